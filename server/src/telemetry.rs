//! Recording spans: who is sampled, and where a finished span goes. Ground: knows nothing of calls or stores.
//!
//! A span costs an id and a send on a bounded channel; when the channel is full the span is dropped and counted, never
//! waited for. Home drains the channel into its trace store, a child ships it to home.

pub mod fields;
mod open_span;
mod sampler;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use protocol::{NodeName, Span, SpanId, TraceId};
use rand::Rng;
use tokio::sync::mpsc;

use crate::clock::Clock;

pub use open_span::OpenSpan;
pub use sampler::{Sampler, Sampling};

/// Finished spans that wait to be stored or shipped: a second of a busy node. Beyond it they are dropped.
pub const SPANS_WAITING_MAX: usize = 65_536;

/// Takes finished spans of one node.
#[derive(Debug)]
pub struct Recorder {
    node: NodeName,
    clock: Clock,
    spans: mpsc::Sender<Span>,
    finished: AtomicU64,
    dropped: AtomicU64,
}

impl Recorder {
    /// A recorder, and the end where its spans come out.
    pub fn channel(node: NodeName, clock: Clock) -> (Arc<Self>, mpsc::Receiver<Span>) {
        let (spans, out) = mpsc::channel(SPANS_WAITING_MAX);
        let recorder = Self {
            node,
            clock,
            spans,
            finished: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        };
        (Arc::new(recorder), out)
    }

    /// Takes a finished span; drops and counts it when too many wait.
    pub fn record(&self, span: Span) {
        self.finished.fetch_add(1, Ordering::Relaxed);
        if self.spans.try_send(span).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The node whose spans these are.
    pub fn node(&self) -> &NodeName {
        &self.node
    }

    /// The node's clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Spans finished so far, the dropped ones included.
    pub fn finished(&self) -> u64 {
        self.finished.load(Ordering::Relaxed)
    }

    /// Spans dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// A fresh trace id.
pub fn new_trace_id() -> TraceId {
    TraceId(rand::rng().random_range(1..=u128::MAX))
}

/// A fresh span id. Every sampled call takes two, and they must be unlike only those of the same trace: so each thread
/// counts on from a random place and scatters the count (SplitMix64), which meets a number again after 2^64 of them.
pub fn new_span_id() -> SpanId {
    thread_local! {
        static COUNT: Cell<u64> = Cell::new(rand::rng().random());
    }
    COUNT.with(|count| {
        loop {
            let next = count.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
            count.set(next);
            let mixed = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let mixed = mixed ^ (mixed >> 31);
            if mixed != 0 {
                return SpanId(mixed);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn span_ids_differ_within_and_between_threads() {
        let many = || (0..10_000).map(|_| new_span_id()).collect::<Vec<_>>();
        let other = std::thread::spawn(many).join().unwrap();
        let ids: HashSet<_> = many().into_iter().chain(other).collect();
        assert_eq!(ids.len(), 20_000);
        assert!(!ids.contains(&SpanId(0)));
    }
}
