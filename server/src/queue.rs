//! `Queues`: messages that outlive the call that sent them, in `queue.db`.
//!
//! At least once: what [`Queues::enqueue`] has answered survives a power cut, and is worked off or dead in the end. A
//! lease is settled once by its fence, id and lease number; a stale settlement is refused and counted. A failed attempt
//! waits for its stored backoff; after its tries a message is dead and keeps its last error.
//!
//! `consumer` works messages off, `sweeper` ends leases and delays, `edge` is the way in for a queued edge, and
//! `builtin` the one for guests. All writing is the writer's (`writer.rs`), all SQL `store`'s.

mod builtin;
mod consumer;
mod edge;
mod figures;
mod message;
mod retry;
mod store;
mod sweeper;
mod writer;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use protocol::QueueName;
use protocol::api::queues::{LastError, MessageState, Queue};
use tokio::sync::{Notify, mpsc, watch};

use crate::clock::Clock;
use crate::db::group::{self, OPS_WAITING_MAX, ask};
use crate::db::{self, Db, Synchronous};
use crate::shutdown::Tasks;

pub use builtin::QueueDispatch;
pub use consumer::{CONCURRENCY_DEFAULT, Consumers, Explain, LEASE, Work};
pub use edge::{Answer, EdgeSettings, QueueEdge};
pub use message::{BODY_BYTES_MAX, Fence, Lease, MessageId, NewMessage, Settled};
pub use store::{PAGE_MAX, Stored};
pub use writer::{DEDUPE_WINDOW, KEEP_DONE_DEFAULT, QUEUE_MESSAGES_MAX, QUEUES_MAX, Swept};

use figures::Figures;
use writer::{How, LeaseAsk, Op, QueueJournal, Settlement};

/// Messages of one lease at most.
pub const LEASES_MAX: u32 = 128;

/// Why something could not be done with a queue.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Db(#[from] db::Error),
    /// A setting of the message.
    #[error("enqueue into `{queue}`: {reason}")]
    Invalid {
        /// The queue.
        queue: QueueName,
        /// What is wrong with it.
        reason: String,
    },
    /// The body.
    #[error("enqueue into `{queue}`: the body has {bytes} bytes, at most {BODY_BYTES_MAX} are accepted")]
    TooLarge {
        /// The queue.
        queue: QueueName,
        /// Its size.
        bytes: usize,
    },
    /// The queue had no room, or is not for such messages.
    #[error("enqueue into `{queue}`: {refusal}")]
    Refused {
        /// The queue.
        queue: QueueName,
        /// Why.
        refusal: Refusal,
    },
}

/// Why a queue does not take a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// At its limit.
    #[error("it holds {QUEUE_MESSAGES_MAX} messages, the most it may; work them off or forget the dead ones")]
    Full,
    /// One queue too many.
    #[error("there are {QUEUES_MAX} queues, the most there may be; use one of them")]
    TooManyQueues,
    /// Calls and plain messages do not mix.
    #[error("calls of an edge and plain messages do not share a queue; choose another name")]
    OtherKind,
}

/// The queues of a node; a cheap clone.
#[derive(Debug, Clone)]
pub struct Queues {
    db: Db,
    ops: mpsc::Sender<Op>,
    shared: Arc<Shared>,
}

/// A queue's settings, as its consumer needs them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Whether its messages are calls, which a consumer can make.
    pub calls: bool,
    /// Whether leasing is paused.
    pub paused: bool,
    /// The tries of its newest message.
    pub tries: u32,
}

/// An operation on dead messages by their ids.
type ByIds = group::Request<(QueueName, Vec<MessageId>), u64>;

impl Queues {
    /// Opens `queue.db`; done messages are kept for `keep_done`. The writer runs in `tasks` and closes the file when
    /// they are cancelled: drain them after everything that uses the queues. Leases of the process before this one end
    /// at once.
    pub async fn open(path: &Path, keep_done: Duration, clock: Clock, tasks: &Tasks) -> Result<Self, Error> {
        let (db, mut writer) = Db::open(path, store::MIGRATIONS, Synchronous::Full).await?;
        let ended = store::end_leases(writer.connection(), clock.unix_ms())
            .await
            .map_err(|error| db.error(error))?;
        if ended > 0 {
            tracing::info!(
                messages = ended,
                "{ended} messages were in work when the node stopped; they are tried again"
            );
        }
        let queues = store::queues(writer.connection())
            .await
            .map_err(|error| db.error(error))?;
        let shared = Arc::new(Shared::new(clock, keep_done));
        shared.publish_queues(queues.iter());
        let (ops, waiting) = mpsc::channel(OPS_WAITING_MAX);
        let journal = QueueJournal::new(Arc::clone(&shared));
        tasks.spawn(
            "queue-writer",
            group::run(writer, journal, waiting, tasks.token()),
        );
        let queues = Self { db, ops, shared };
        let swept = queues.sweep().await?;
        if let Some(due_ms) = swept.next_due_ms {
            queues.shared.due(due_ms);
        }
        Ok(queues)
    }

    /// Puts a message into its queue; when this answers, it is on disk. A message whose dedupe key is remembered is
    /// dropped, and the first one's id is the answer.
    pub async fn enqueue(&self, message: NewMessage) -> Result<MessageId, Error> {
        let queue = message.queue.clone();
        let bytes = message.body.len();
        if bytes > BODY_BYTES_MAX {
            return Err(Error::TooLarge { queue, bytes });
        }
        if let Some(reason) = message.fault() {
            return Err(Error::Invalid { queue, reason });
        }
        ask(&self.ops, message, Op::Enqueue)
            .await?
            .map_err(|refusal| Error::Refused { queue, refusal })
    }

    /// Takes up to `count` messages (at most [`LEASES_MAX`]) for a while; none while the queue is paused. Who drops
    /// this future leaves what it would have got to the lease's end.
    pub async fn lease(&self, queue: &QueueName, count: u32, length: Duration) -> Result<Vec<Lease>, Error> {
        let ask_for = LeaseAsk {
            queue: queue.clone(),
            count: count.min(LEASES_MAX),
            length,
        };
        Ok(ask(&self.ops, ask_for, Op::Lease).await?)
    }

    /// Lets a lease end this much from now; whether it still stood.
    pub async fn extend(&self, fence: Fence, length: Duration) -> Result<bool, Error> {
        Ok(ask(&self.ops, (fence, length), Op::Extend).await?)
    }

    /// Settles a lease as done.
    pub async fn ack(&self, fence: Fence) -> Result<Settled, Error> {
        self.settle(fence, How::Done).await
    }

    /// Settles a lease as a failed attempt.
    pub async fn nack(&self, fence: Fence, error: LastError) -> Result<Settled, Error> {
        self.settle(fence, How::Failed(error)).await
    }

    /// Gives a lease back whose attempt never started: no try is used.
    pub async fn release(&self, fence: Fence, wait: Duration) -> Result<Settled, Error> {
        self.settle(fence, How::Release(wait)).await
    }

    async fn settle(&self, fence: Fence, how: How) -> Result<Settled, Error> {
        Ok(ask(&self.ops, Settlement { fence, how }, Op::Settle).await?)
    }

    /// Ends leases and delays whose time is over, and forgets what is kept no longer.
    pub async fn sweep(&self) -> Result<Swept, Error> {
        Ok(ask(&self.ops, (), Op::Sweep).await?)
    }

    /// Stops leasing from a queue, or goes on; whether there is such a queue.
    pub async fn pause(&self, queue: &QueueName, paused: bool) -> Result<bool, Error> {
        Ok(ask(&self.ops, (queue.clone(), paused), Op::Pause).await?)
    }

    /// Gives dead messages all their tries again: these, or all of the queue. How many came back.
    pub async fn retry_dead(&self, queue: &QueueName, ids: &[MessageId]) -> Result<u64, Error> {
        self.in_steps(queue, ids, Op::Revive).await
    }

    /// Forgets dead messages: these, or all of the queue. How many there were.
    pub async fn forget_dead(&self, queue: &QueueName, ids: &[MessageId]) -> Result<u64, Error> {
        self.in_steps(queue, ids, Op::Forget).await
    }

    /// Works a long list, or a whole queue, off in groups, so that nobody waits long behind it.
    async fn in_steps(
        &self,
        queue: &QueueName,
        ids: &[MessageId],
        wrap: fn(ByIds) -> Op,
    ) -> Result<u64, Error> {
        let step = store::ROWS_MAX as usize;
        let mut total = 0;
        for ids in ids.chunks(step) {
            total += ask(&self.ops, (queue.clone(), ids.to_vec()), wrap).await?;
        }
        while ids.is_empty() {
            let moved = ask(&self.ops, (queue.clone(), Vec::new()), wrap).await?;
            total += moved;
            if moved < step as u64 {
                break;
            }
        }
        Ok(total)
    }

    /// Every queue, by name.
    pub async fn list(&self) -> Result<Vec<Queue>, Error> {
        let counts = store::counts(self.db.readers())
            .await
            .map_err(|error| self.db.error(error))?;
        let known = self.shared.known.borrow().clone();
        let now_ms = self.shared.clock.unix_ms();
        let mut queues = Vec::with_capacity(known.len());
        for (name, settings) in known.iter() {
            let counts = counts.get(name).copied().unwrap_or_default();
            let figures = self.shared.figures(name);
            queues.push(Queue {
                name: name.clone(),
                ready: counts.ready,
                delayed: counts.waiting,
                leased: counts.leased,
                dead: counts.dead,
                done: figures.done,
                failed_attempts: figures.failed_attempts,
                oldest_ready_ms: counts
                    .oldest_ready_at
                    .map_or(0, |at| (now_ms - at).max(0).unsigned_abs()),
                enqueue_rate_per_s: figures.enqueued.per_second(now_ms),
                done_rate_per_s: figures.worked_off.per_second(now_ms),
                tries: settings.tries,
                paused: settings.paused,
            });
        }
        queues.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(queues)
    }

    /// One page of a queue's messages, newest first; the last one's id is the cursor of the next page.
    pub async fn messages(
        &self,
        queue: &QueueName,
        state: Option<MessageState>,
        before: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<Stored>, Error> {
        store::page(
            self.db.readers(),
            queue,
            state,
            before.unwrap_or(MessageId::MAX),
            limit,
        )
        .await
        .map_err(|error| self.db.error(error).into())
    }

    /// A message's whole body, while the message is kept.
    pub async fn body(&self, id: MessageId) -> Result<Option<Bytes>, Error> {
        store::body(self.db.readers(), id)
            .await
            .map_err(|error| self.db.error(error).into())
    }

    /// Settlements and extensions that came too late since the start.
    pub fn stale(&self) -> u64 {
        self.shared.stale.load(Ordering::Relaxed)
    }

    /// Whether there is such a queue.
    pub fn contains(&self, queue: &QueueName) -> bool {
        self.shared.known.borrow().contains_key(queue)
    }

    /// The queues with their settings, and news when one comes or changes.
    pub fn known(&self) -> watch::Receiver<Arc<HashMap<QueueName, Known>>> {
        self.shared.known.subscribe()
    }

    /// Closes the readers. The writer closes the file when its tasks are drained; call this before.
    pub async fn close(&self) {
        self.db.close().await;
    }
}

/// What the writer tells everyone else, outside of the database.
#[derive(Debug)]
struct Shared {
    clock: Clock,
    /// How long a done message can be looked at.
    keep_done: Duration,
    known: watch::Sender<Arc<HashMap<QueueName, Known>>>,
    figures: Mutex<HashMap<QueueName, Figures>>,
    wakes: Mutex<HashMap<QueueName, Arc<Notify>>>,
    stale: AtomicU64,
    next_due_ms: AtomicI64,
    due_changed: Notify,
}

impl Shared {
    fn new(clock: Clock, keep_done: Duration) -> Self {
        Self {
            clock,
            keep_done,
            known: watch::Sender::new(Arc::default()),
            figures: Mutex::default(),
            wakes: Mutex::default(),
            stale: AtomicU64::new(0),
            next_due_ms: AtomicI64::new(i64::MAX),
            due_changed: Notify::new(),
        }
    }

    fn count(&self, count: impl FnOnce(&mut HashMap<QueueName, Figures>)) {
        count(&mut self.figures.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn figures(&self, queue: &QueueName) -> Figures {
        let figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        figures.get(queue).cloned().unwrap_or_default()
    }

    fn count_stale(&self, stale: u64) {
        self.stale.fetch_add(stale, Ordering::Relaxed);
    }

    fn publish_queues<'a>(&self, rows: impl Iterator<Item = &'a store::QueueRow>) {
        let known = rows.map(|row| {
            let known = Known {
                calls: row.kind == 1,
                paused: row.paused,
                tries: row.tries,
            };
            (row.name.clone(), known)
        });
        self.known.send_replace(Arc::new(known.collect()));
    }

    /// What a queue's consumer waits on.
    fn wake_of(&self, queue: &QueueName) -> Arc<Notify> {
        let mut wakes = self.wakes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(wakes.entry(queue.clone()).or_default())
    }

    fn wake(&self, queue: &QueueName) {
        self.wake_of(queue).notify_one();
    }

    /// Something ends at this time: the sweeper wakes no later.
    fn due(&self, due_ms: i64) {
        if self.next_due_ms.fetch_min(due_ms, Ordering::AcqRel) > due_ms {
            self.due_changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
