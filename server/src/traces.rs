//! Traces: where finished spans go, and how they are asked for.
//!
//! One SQLite file, one task that writes it in batches, readers beside it. Promises: taking a span never waits, what
//! does not fit is dropped and counted; spans may come in any order, twice, late and from any node; a trace keeps its
//! place in the list; the file keeps to its limits of size and age by deleting the oldest traces; it is all there after
//! a restart.
//!
//! Not here: who is sampled and what a span is made of (`telemetry`), counts of every call (`edges`).

mod block;
mod critical;
mod detail;
mod diff;
mod exemplars;
mod facets;
mod finding;
#[cfg(test)]
mod golden;
mod heat;
mod held;
mod ids;
mod keep;
mod limits;
mod logs;
mod newest;
mod overview;
mod path;
mod query;
mod requests;
mod retention;
mod rows;
mod search;
mod sink;
mod skeleton;
mod skeletons;
mod steps;
mod store;
mod summary;
mod tap;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod ties;
mod tree;
mod whole;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::api::SpanCounts;
use protocol::api::traces::{LinkedTrace, StepsQuery, TraceSummary, TypicalSteps};
use protocol::{HandlerName, InterfaceName, NodeName, Span, SpanId, TraceId, edge_name};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::db::{self, Db};
use crate::shutdown::Tasks;
use crate::telemetry::{Recorder, SPANS_WAITING_MAX};

use detail::blocking;
pub use exemplars::Exemplar;
use exemplars::Exemplars;
use held::Held;
pub use keep::{Keep, SHARE_ALL, Slower};
pub(crate) use query::{Column, Condition, Field, KINDS, Literal, Op, Query};
use rows::Shelf;
use sink::{Inlets, Sink, Tally};
pub use skeleton::Skeleton;
use skeletons::Skeletons;
use store::{Store, Words, links, sample};
pub use tap::Tap;
pub use whole::{WHOLE_SPANS_MAX, Whole};

pub use requests::Request;

/// How much is kept, and for how long; the oldest traces go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The store's size.
    pub bytes: u64,
    /// A trace's age, from the end of its last span.
    pub age: Duration,
    /// Which traces are kept at all.
    pub keep: Keep,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            // Some fifteen million spans: weeks of work by hand, some hours at the default sampling rate.
            bytes: 1 << 30,
            // What a person still looks into; names and arguments of calls should not lie about for longer unasked.
            age: Duration::from_secs(7 * 24 * 60 * 60),
            keep: Keep::default(),
        }
    }
}

/// The least size that makes sense: some minutes of a busy shop.
pub const RETENTION_BYTES_MIN: u64 = 1 << 20;

/// Batches of other nodes that wait; their spans count against [`SPANS_WAITING_MAX`] too.
const BATCHES_WAITING_MAX: usize = 1_024;
/// Batches of summaries that a follower may fall behind.
const LIVE_BATCHES_MAX: usize = 64;
/// How often skeletons that nobody looks at any more are looked for.
const TIDY_EVERY: Duration = Duration::from_secs(20);
/// Callers that wait for a flush.
const FLUSHES_MAX: usize = 16;

/// Why traces could not be opened, asked for or flushed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file.
    #[error(transparent)]
    Db(#[from] db::Error),
    /// A thread that was to lay a trace out.
    #[error("lay out a trace: {0}; try again")]
    Work(String),
    /// A query that cannot be answered.
    #[error("read `{field}` of a query for traces: `{value}` is no {expected}")]
    Query {
        /// The parameter.
        field: &'static str,
        /// What was given.
        value: String,
        /// What it should have been.
        expected: &'static str,
    },
    /// A text that is no query.
    #[error("read `q`: {0}")]
    Search(String),
    /// A trace that was there a moment ago.
    #[error("trace {0} is gone: it was deleted as one of the oldest while it was read")]
    Gone(TraceId),
    /// A trace that is too large to be had whole.
    #[error(
        "trace {trace_id} has {spans} spans, {WHOLE_SPANS_MAX} are the most that are given out at once; look at it in the UI"
    )]
    TooLarge {
        /// Which.
        trace_id: TraceId,
        /// How many it has.
        spans: u32,
    },
}

/// The traces of all nodes; a cheap clone.
#[derive(Debug, Clone)]
pub struct Traces(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    db: Db,
    words: Arc<Words>,
    skeletons: Skeletons,
    retention: Retention,
    recorder: Arc<Recorder>,
    batches: mpsc::Sender<Vec<Span>>,
    flushes: mpsc::Sender<oneshot::Sender<()>>,
    tally: Arc<Tally>,
    /// What other nodes say of their spans.
    nodes: Mutex<HashMap<NodeName, NodeSpans>>,
    /// Traces that are being looked at.
    shelf: Shelf,
}

/// A node's counts: of its incarnation now, and of those before.
#[derive(Debug, Default)]
struct NodeSpans {
    incarnation: u64,
    finished: u64,
    dropped: u64,
    past_finished: u64,
    past_dropped: u64,
}

impl Traces {
    /// Opens the file and starts the task that writes it. `spans` is where `recorder`'s spans come out. When `tasks`
    /// are cancelled, what was taken until then is written and the file is closed: cancel them after the last call.
    pub async fn open(
        file: &Path,
        retention: Retention,
        recorder: Arc<Recorder>,
        spans: mpsc::Receiver<Span>,
        tasks: &Tasks,
    ) -> Result<Self, Error> {
        let (db, store) = Store::open(file).await?;
        let retention = Retention {
            bytes: retention.bytes.max(RETENTION_BYTES_MIN),
            ..retention
        };
        let (batches, batches_out) = mpsc::channel(BATCHES_WAITING_MAX);
        let (flushes, flushes_out) = mpsc::channel(FLUSHES_MAX);
        let tally = Arc::new(Tally {
            recorded: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            let_go: AtomicU64::new(0),
            let_go_traces: AtomicU64::new(0),
            stored: Mutex::default(),
            waiting: AtomicUsize::new(0),
            live: broadcast::Sender::new(LIVE_BATCHES_MAX),
            tap: tap::Place::new(),
            exemplars: Exemplars::default(),
        });
        let clock = recorder.clock().clone();
        let traces = Self(Arc::new(Inner {
            db: db.clone(),
            words: store.words(),
            skeletons: Skeletons::default(),
            retention,
            recorder,
            batches,
            flushes,
            tally: Arc::clone(&tally),
            nodes: Mutex::default(),
            shelf: Shelf::default(),
        }));
        let (sweeper, token) = (traces.clone(), tasks.token());
        tasks.spawn("laid-out traces", async move {
            let mut pause = tokio::time::interval(rows::IDLE / 2);
            loop {
                tokio::select! {
                    () = token.cancelled() => return,
                    _ = pause.tick() => sweeper.0.shelf.sweep(),
                }
            }
        });
        let sink = Sink {
            db,
            store,
            inlets: Inlets {
                spans,
                batches: batches_out,
                flushes: flushes_out,
            },
            tally,
            retention,
            held: Held::new(retention.keep),
            clock,
            look_at_ns: 0,
            unmeasured: 0,
        };
        tasks.spawn("traces", sink.run(tasks.token()));
        let (tidied, token) = (traces.clone(), tasks.token());
        tasks.spawn("skeletons", async move {
            while token
                .run_until_cancelled(tokio::time::sleep(TIDY_EVERY))
                .await
                .is_some()
            {
                tidied.0.skeletons.tidy();
            }
        });
        Ok(traces)
    }

    /// Takes spans that another node recorded. Never waits: when too many wait already they are dropped and counted.
    pub fn ingest(&self, spans: Vec<Span>) {
        let tally = &self.0.tally;
        let count = spans.len();
        let waiting = tally.waiting.fetch_add(count, Ordering::Relaxed);
        let is_taken = waiting + count <= SPANS_WAITING_MAX && self.0.batches.try_send(spans).is_ok();
        if !is_taken {
            tally.waiting.fetch_sub(count, Ordering::Relaxed);
            tally.dropped.fetch_add(count as u64, Ordering::Relaxed);
        }
    }

    /// Notes how many spans another node finished and dropped since its start.
    pub fn note_node(&self, node: &NodeName, incarnation: u64, finished: u64, dropped: u64) {
        let mut nodes = self.0.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let known = nodes.entry(node.clone()).or_default();
        if incarnation < known.incarnation {
            return;
        }
        if incarnation > known.incarnation {
            known.past_finished += std::mem::take(&mut known.finished);
            known.past_dropped += std::mem::take(&mut known.dropped);
            known.incarnation = incarnation;
        }
        known.finished = known.finished.max(finished);
        known.dropped = known.dropped.max(dropped);
    }

    /// The newest stored trace of each order of latency of an edge's calls to a callee, ascending.
    pub fn exemplars(&self, edge: &str, callee: &HandlerName) -> Vec<Exemplar> {
        self.0.tally.exemplars.of(edge, callee)
    }

    /// What became of the spans since this node's start.
    pub fn counts(&self) -> SpanCounts {
        let inner = &self.0;
        let stored = *inner.tally.stored.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts = SpanCounts {
            finished: inner.recorder.finished(),
            recorded: inner.tally.recorded.load(Ordering::Relaxed),
            dropped: inner.recorder.dropped() + inner.tally.dropped.load(Ordering::Relaxed),
            stored_bytes: stored.bytes,
            stored_traces: stored.traces,
            stored_spans: stored.spans,
            oldest_unix_ns: stored.oldest_unix_ns,
            retention_bytes: inner.retention.bytes,
            retention_age_s: inner.retention.age.as_secs(),
            let_go: inner.tally.let_go.load(Ordering::Relaxed),
            let_go_traces: inner.tally.let_go_traces.load(Ordering::Relaxed),
        };
        let nodes = inner.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        for node in nodes.values() {
            counts.finished += node.past_finished + node.finished;
            counts.dropped += node.past_dropped + node.dropped;
        }
        counts
    }

    /// Waits until all spans taken so far are in the store.
    pub async fn flush(&self) -> Result<(), Error> {
        let (done, flushed) = oneshot::channel();
        let sent = self.0.flushes.send(done).await;
        sent.map_err(|_| db::Error::Closed)?;
        Ok(flushed.await.map_err(|_| db::Error::Closed)?)
    }

    /// The summaries of traces whose root has ended, whenever they have changed, oldest first. One that still grows
    /// comes again; who falls behind misses the oldest.
    pub fn follow(&self) -> broadcast::Receiver<Arc<[TraceSummary]>> {
        self.0.tally.live.subscribe()
    }

    /// What a view needs of every span of a trace; `None` if there is no such trace.
    pub async fn skeleton(&self, trace_id: TraceId) -> Result<Option<Arc<Skeleton>>, Error> {
        let inner = &self.0;
        let fault = |error| inner.db.error(error);
        let mut connection = inner.db.readers().acquire().await.map_err(fault)?;
        let skeleton = inner.skeletons.get(&mut connection, &inner.words, trace_id);
        Ok(skeleton.await.map_err(fault)?)
    }

    /// Whole spans of a trace, by their indices in its skeleton and in the order of these.
    pub async fn spans_at(&self, skeleton: &Skeleton, wanted: &[usize]) -> Result<Vec<Span>, Error> {
        let inner = &self.0;
        let fault = |error| inner.db.error(error);
        let mut connection = inner.db.readers().acquire().await.map_err(fault)?;
        let spans = skeletons::spans_at(&mut connection, &inner.words, skeleton, wanted);
        let spans = spans.await.map_err(fault)?;
        spans.ok_or(Error::Gone(skeleton.trace_id))
    }

    /// The traces that a trace continues and those that continue it, of one of its spans or of all; `None` if there is
    /// no such trace.
    pub async fn linked(
        &self,
        trace_id: TraceId,
        span: Option<SpanId>,
    ) -> Result<Option<Vec<LinkedTrace>>, Error> {
        let inner = &self.0;
        let fault = |error| inner.db.error(error);
        let mut connection = inner.db.readers().acquire().await.map_err(fault)?;
        let row = store::blocks::row_of(&mut connection, trace_id)
            .await
            .map_err(fault)?;
        let Some(row) = row else { return Ok(None) };
        let linked = links::linked(&mut connection, &inner.words, (row, trace_id), span).await;
        Ok(Some(linked.map_err(fault)?))
    }

    /// What the calls of a function by a handler are made of, by the way they go; of a way without a stored call, nothing.
    pub async fn steps(&self, query: &StepsQuery) -> Result<Vec<TypicalSteps>, Error> {
        let fault = || Error::Query {
            field: "function",
            value: query.function.clone(),
            expected: "whole name of a function: write `shop:cart/cart.get-cart`",
        };
        let (interface, _) = query.function.rsplit_once('.').ok_or_else(fault)?;
        let interface = InterfaceName::parse(interface).map_err(|_| fault())?;
        let edge = edge_name(&query.caller, &interface);
        let inner = &self.0;
        let fault = |error| inner.db.error(error);
        let mut connection = inner.db.readers().acquire().await.map_err(fault)?;
        let call = (query.caller.as_str(), edge.as_str(), query.function.as_str());
        let samples = sample::samples(&mut connection, &inner.words, call)
            .await
            .map_err(fault)?;
        Ok(steps::typical(samples))
    }
}
