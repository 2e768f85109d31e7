//! The sink: the one task that writes. Spans come in one by one from this node and in batches from others.
//!
//! Promises: a span that was taken is in the store within a batch's time (100 ms, or 8,000 spans if they come sooner);
//! what cannot be stored is counted as dropped; at the end, what was taken is written before the file is closed. Where
//! only some traces are kept, those that are not decided yet are held in memory instead.
//! Between batches it deletes the oldest traces, a slice at a time, when the store has passed a limit; when nothing
//! comes it wakes for the next trace that gets too old.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::Span;
use protocol::api::traces::TraceSummary;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::exemplars::Exemplars;
use super::held::Held;
use super::store::{Store, Stored};
use super::{Retention, tap};
use crate::clock::Clock;
use crate::db::{self, Db};

/// The most spans of one transaction.
const BATCH_SPANS: usize = 8_000;
/// How long a batch waits for more spans: short enough to be seen live, long enough to share a commit.
const BATCH_WAIT: Duration = Duration::from_millis(100);
/// How often a batch that waits looks at what has come. To be woken by each span would cost more than to record it: a
/// thread that sleeps has to be told.
const NAP: Duration = Duration::from_millis(50);

/// Batches after which the store's size is looked at again: some megabytes.
const MEASURE_EVERY: u32 = 8;
/// And when nothing came for so long after any.
const MEASURE_AFTER: Duration = Duration::from_millis(250);
/// A look for traces that are too old comes no sooner and no later than so long after the one before.
const LOOK_MIN: Duration = Duration::from_secs(1);
const LOOK_MAX: Duration = Duration::from_secs(60 * 60);

/// What the sink and those who ask about it share.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) recorded: AtomicU64,
    pub(super) dropped: AtomicU64,
    /// Spans and traces that were not kept.
    pub(super) let_go: AtomicU64,
    pub(super) let_go_traces: AtomicU64,
    pub(super) stored: Mutex<Stored>,
    /// Spans in batches that wait.
    pub(super) waiting: AtomicUsize,
    pub(super) exemplars: Exemplars,
    pub(super) live: broadcast::Sender<Arc<[TraceSummary]>>,
    /// Who gets what was stored.
    pub(super) tap: tap::Place,
}

/// What the sink reads.
#[derive(Debug)]
pub(super) struct Inlets {
    pub(super) spans: mpsc::Receiver<Span>,
    pub(super) batches: mpsc::Receiver<Vec<Span>>,
    /// Who waits until all that was taken is stored.
    pub(super) flushes: mpsc::Receiver<oneshot::Sender<()>>,
}

/// The writing task.
#[derive(Debug)]
pub(super) struct Sink {
    pub(super) db: Db,
    pub(super) store: Store,
    pub(super) inlets: Inlets,
    pub(super) tally: Arc<Tally>,
    pub(super) retention: Retention,
    pub(super) held: Held,
    pub(super) clock: Clock,
    /// When a trace may be too old, in ns since the Unix epoch.
    pub(super) look_at_ns: u64,
    /// Batches since the store's size was looked at.
    pub(super) unmeasured: u32,
}

/// Why the sink woke up.
enum Wake {
    Ended,
    Flush(oneshot::Sender<()>),
    Span(Box<Span>),
    Batch(Vec<Span>),
    /// There is more to delete than one slice, a trace may have got too old, or whether one is kept can be decided.
    Look,
}

impl Sink {
    /// Runs until it is cancelled, then writes what was taken and closes the file.
    pub(super) async fn run(mut self, cancelled: CancellationToken) {
        let mut is_over = self.measure().await;
        loop {
            let mut flushed = None;
            let pause = if is_over {
                Duration::ZERO
            } else {
                let until_due = self.held.until_due(Instant::now().into_std());
                let until_measured = match self.unmeasured {
                    0 => LOOK_MAX,
                    _ => MEASURE_AFTER,
                };
                let pause = self.until_look().min(until_due.unwrap_or(LOOK_MAX));
                pause.min(until_measured)
            };
            match self.inlets.wake(&cancelled, pause).await {
                Wake::Ended => break,
                Wake::Flush(done) => {
                    self.write_waiting().await;
                    let ended = self.held.decide_ended();
                    self.store(ended).await;
                    self.unmeasured = MEASURE_EVERY;
                    flushed = Some(done);
                }
                Wake::Span(span) => self.write_with(vec![*span], &cancelled).await,
                Wake::Batch(batch) => {
                    self.tally.take(&batch);
                    self.write_with(batch, &cancelled).await;
                }
                Wake::Look => {
                    let decided = self.held.decide(Instant::now().into_std());
                    self.store(decided).await;
                    if self.unmeasured > 0 {
                        self.unmeasured = MEASURE_EVERY;
                    }
                }
            }
            is_over = self.keep_within_limits().await;
            if let Some(done) = flushed {
                // Whoever asked may have given up.
                let _ = done.send(());
            }
        }
        self.inlets.spans.close();
        self.inlets.batches.close();
        self.write_waiting().await;
        let left = self.held.drain();
        self.store(left).await;
        self.db.close().await;
        let path = self.db.path().display().to_string();
        if let Err(error) = self.store.close().await {
            tracing::warn!(db.path = path, %error, "trace store did not close cleanly");
        }
    }

    /// Writes what has come together with what comes soon.
    async fn write_with(&mut self, mut batch: Vec<Span>, cancelled: &CancellationToken) {
        self.inlets.fill(&mut batch, cancelled, &self.tally).await;
        self.write(batch).await;
    }

    /// Writes all that was taken so far.
    async fn write_waiting(&mut self) {
        let mut left = self.inlets.spans.len();
        let mut batches = self.inlets.batches.len();
        loop {
            let mut batch = Vec::new();
            while batch.len() < BATCH_SPANS && left > 0 {
                left -= 1;
                batch.extend(self.inlets.spans.try_recv());
            }
            while batch.len() < BATCH_SPANS && batches > 0 {
                batches -= 1;
                if let Ok(more) = self.inlets.batches.try_recv() {
                    self.tally.take(&more);
                    batch.extend(more);
                }
            }
            if batch.is_empty() {
                return;
            }
            self.write(batch).await;
        }
    }

    async fn write(&mut self, batch: Vec<Span>) {
        let kept = self.held.take(batch, Instant::now().into_std());
        self.store(kept).await;
    }

    async fn store(&mut self, batch: Vec<Span>) {
        let let_go = self.held.let_go;
        self.tally.let_go.store(let_go.spans, Ordering::Relaxed);
        self.tally.let_go_traces.store(let_go.traces, Ordering::Relaxed);
        if batch.is_empty() {
            return;
        }
        self.unmeasured += 1;
        let taken = batch.len() as u64;
        self.tally.exemplars.take(&batch);
        let copy = self.tally.tap.get().map(|tap| (tap, batch.clone()));
        match self.store.write(batch).await {
            Ok(written) => {
                self.tally.recorded.fetch_add(written.recorded, Ordering::Relaxed);
                self.tally.dropped.fetch_add(written.refused, Ordering::Relaxed);
                if let Some((tap, copy)) = copy.filter(|_| written.recorded > 0) {
                    tap.take(copy);
                }
                if !written.changed.is_empty() {
                    // Nobody may be following.
                    let _ = self.tally.live.send(written.changed.into());
                }
            }
            Err(error) => {
                self.tally.dropped.fetch_add(taken, Ordering::Relaxed);
                tracing::error!(spans.dropped = taken, %error, "spans could not be stored");
            }
        }
        if let Err(error) = self.store.checkpoint_if_due().await {
            tracing::warn!(%error, "trace store's log keeps growing");
        }
    }

    /// Deletes a slice where the store is too large or a trace too old; whether there is more to delete.
    async fn keep_within_limits(&mut self) -> bool {
        let mut outcome = Ok(false);
        if self.unmeasured >= MEASURE_EVERY && self.measure().await {
            outcome = self.store.prune().await;
        }
        if matches!(outcome, Ok(false)) && self.until_look().is_zero() {
            outcome = self.prune_old().await;
        }
        match outcome {
            Ok(has_deleted) => has_deleted && (self.measure().await || self.until_look().is_zero()),
            Err(error) => {
                tracing::error!(%error, "old traces could not be deleted");
                self.look_again(self.clock.unix_ns(), LOOK_MAX);
                false
            }
        }
    }

    /// Deletes a slice of what is too old; whether there was any. Where there was none it says when to look again.
    async fn prune_old(&mut self) -> Result<bool, db::Error> {
        let age_ns = u64::try_from(self.retention.age.as_nanos()).unwrap_or(u64::MAX);
        let now_ns = self.clock.unix_ns();
        let before_ns = now_ns.saturating_sub(age_ns);
        if self.store.prune_ended_before(before_ns).await? {
            return Ok(true);
        }
        let oldest_ns = self.store.oldest_end().await?;
        // In an empty store nothing can be too old before it has got so old.
        let oldest_ns = oldest_ns.unwrap_or(now_ns);
        self.look_again(now_ns, Duration::from_nanos(oldest_ns.saturating_sub(before_ns)));
        Ok(false)
    }

    fn look_again(&mut self, now_ns: u64, pause: Duration) {
        let pause = pause.clamp(LOOK_MIN, LOOK_MAX);
        self.look_at_ns = now_ns.saturating_add(pause.as_nanos() as u64);
    }

    fn until_look(&self) -> Duration {
        Duration::from_nanos(self.look_at_ns.saturating_sub(self.clock.unix_ns()))
    }

    /// Notes what is stored; whether it is beyond the limit.
    async fn measure(&mut self) -> bool {
        match self.store.measure().await {
            Ok(stored) => {
                *self.tally.stored.lock().unwrap_or_else(PoisonError::into_inner) = stored;
                let is_over = stored.bytes > self.retention.bytes;
                // While it is, it is looked at after every slice.
                self.unmeasured = if is_over { MEASURE_EVERY } else { 0 };
                is_over
            }
            Err(error) => {
                tracing::warn!(%error, "trace store's size is not known");
                self.unmeasured = 0;
                false
            }
        }
    }
}

impl Inlets {
    async fn wake(&mut self, cancelled: &CancellationToken, pause: Duration) -> Wake {
        tokio::select! {
            biased;
            () = cancelled.cancelled() => Wake::Ended,
            Some(done) = self.flushes.recv() => Wake::Flush(done),
            Some(span) = self.spans.recv() => Wake::Span(Box::new(span)),
            Some(batch) = self.batches.recv() => Wake::Batch(batch),
            () = tokio::time::sleep(pause) => Wake::Look,
        }
    }

    /// Adds what comes to a batch until it is full or its time is over.
    async fn fill(&mut self, batch: &mut Vec<Span>, cancelled: &CancellationToken, tally: &Tally) {
        let deadline = Instant::now() + BATCH_WAIT;
        while batch.len() < BATCH_SPANS {
            self.take_waiting(batch, tally);
            let now = Instant::now();
            if now >= deadline || batch.len() >= BATCH_SPANS {
                return;
            }
            tokio::select! {
                biased;
                () = cancelled.cancelled() => return,
                () = tokio::time::sleep_until(deadline.min(now + NAP)) => {}
            }
        }
    }

    /// Takes what waits, up to a full batch; the last batch of another node may go beyond it.
    fn take_waiting(&mut self, batch: &mut Vec<Span>, tally: &Tally) {
        while batch.len() < BATCH_SPANS
            && let Ok(span) = self.spans.try_recv()
        {
            batch.push(span);
        }
        while batch.len() < BATCH_SPANS
            && let Ok(more) = self.batches.try_recv()
        {
            tally.take(&more);
            batch.extend(more);
        }
    }
}

impl Tally {
    /// A batch no longer waits.
    pub(super) fn take(&self, batch: &[Span]) {
        self.waiting.fetch_sub(batch.len(), Ordering::Relaxed);
    }
}
