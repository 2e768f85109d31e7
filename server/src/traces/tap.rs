//! A tap on the sink: what is stored goes on to one who asked for it, as far as there is room.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use protocol::Span;
use tokio::sync::mpsc;

use super::Traces;
use crate::telemetry::SPANS_WAITING_MAX;

/// Batches that wait; their spans count against [`SPANS_WAITING_MAX`] too.
const BATCHES_MAX: usize = 1_024;

/// The store's end of it, and what the status shows.
#[derive(Debug)]
pub struct Tap {
    batches: mpsc::Sender<Vec<Span>>,
    waiting: AtomicUsize,
    dropped: AtomicU64,
}

/// The place of at most one tap.
pub(super) type Place = OnceLock<Arc<Tap>>;

impl Tap {
    /// Takes a batch that was stored; drops and counts it where too much waits.
    pub(super) fn take(&self, batch: Vec<Span>) {
        let count = batch.len();
        let waiting = self.waiting.fetch_add(count, Ordering::Relaxed);
        if waiting + count > SPANS_WAITING_MAX || self.batches.try_send(batch).is_err() {
            self.waiting.fetch_sub(count, Ordering::Relaxed);
            self.dropped.fetch_add(count as u64, Ordering::Relaxed);
        }
    }

    /// So many spans no longer wait.
    pub fn taken(&self, count: usize) {
        self.waiting.fetch_sub(count, Ordering::Relaxed);
    }

    /// Spans that wait, and those that were dropped.
    pub fn counts(&self) -> (u64, u64) {
        (
            self.waiting.load(Ordering::Relaxed) as u64,
            self.dropped.load(Ordering::Relaxed),
        )
    }
}

impl Traces {
    /// What is stored from now on, once more; there is one such tap, and it is opened once.
    pub fn tap(&self) -> Option<(Arc<Tap>, mpsc::Receiver<Vec<Span>>)> {
        let (batches, out) = mpsc::channel(BATCHES_MAX);
        let tap = Arc::new(Tap {
            batches,
            waiting: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
        });
        self.0.tally.tap.set(Arc::clone(&tap)).ok()?;
        Some((tap, out))
    }
}
