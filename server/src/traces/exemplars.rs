//! `Exemplars`: of each edge and each order of latency the newest trace that was stored, for whoever reads a histogram and
//! asks what such a call was. Bounded in edges; in memory alone.

use std::sync::{Arc, Mutex, PoisonError};

use protocol::span::Value;
use protocol::{HandlerName, Span, SpanKind, TraceId};
use rustc_hash::FxHashMap;

use crate::telemetry::fields;

/// As many edges as are counted.
const EDGES_MAX: usize = 4_096;
/// Three for each power of ten from 1 µs to 100 s, and one for what takes longer.
const BUCKETS: usize = 26;

/// A call that stands for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exemplar {
    /// Its trace.
    pub trace_id: TraceId,
    /// What it took, as its caller's span says.
    pub latency_ns: u64,
    /// When it ended.
    pub unix_ns: u64,
}

/// Calls that stand for others, by edge and callee.
#[derive(Debug, Default)]
pub(super) struct Exemplars(Mutex<FxHashMap<Key, [Option<Exemplar>; BUCKETS]>>);

/// The edge as spans name it, and who served.
type Key = (Arc<str>, HandlerName);

impl Exemplars {
    /// Takes what is to be stored.
    pub(super) fn take(&self, spans: &[Span]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for span in spans.iter().filter(|span| span.kind == SpanKind::Client) {
            let edge = span.attributes.iter().find_map(|(key, value)| match value {
                Value::Text(text) if key.as_ref() == fields::EDGE => Some(text),
                _ => None,
            });
            let (Some(edge), Some(peer)) = (edge, &span.peer) else {
                continue;
            };
            let key = (Arc::clone(edge), peer.clone());
            if known.len() >= EDGES_MAX && !known.contains_key(&key) {
                continue;
            }
            let of = known.entry(key).or_insert([None; BUCKETS]);
            of[bucket(span.duration_ns)] = Some(Exemplar {
                trace_id: span.trace_id,
                latency_ns: span.duration_ns,
                unix_ns: span.start_unix_ns.saturating_add(span.duration_ns),
            });
        }
    }

    /// Those of one edge, by latency.
    pub(super) fn of(&self, edge: &str, callee: &HandlerName) -> Vec<Exemplar> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = known.get(&(Arc::from(edge), callee.clone()));
        of.into_iter().flatten().flatten().copied().collect()
    }
}

/// 1, 2.5 and 5 of each power of ten, as `/metrics` divides.
fn bucket(ns: u64) -> usize {
    let mut bound = 1_000u64;
    for decade in 0..BUCKETS / 3 {
        for (step, tenths) in [10, 25, 50].into_iter().enumerate() {
            if ns <= bound * tenths / 10 {
                return decade * 3 + step;
            }
        }
        bound *= 10;
    }
    BUCKETS - 1 - usize::from(ns <= bound)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{along, span};
    use super::*;

    #[test]
    fn latencies_are_divided_as_the_metrics_are() {
        for (ns, expected) in [
            (0, 0),
            (1_000, 0),
            (1_001, 1),
            (2_500, 1),
            (5_000, 2),
            (10_000, 3),
            (5_000_000_000, 20),
            (50_000_000_000, 23),
            (100_000_000_000, 24),
            (100_000_000_001, 25),
            (u64::MAX, 25),
        ] {
            assert_eq!(bucket(ns), expected, "{ns}");
        }
    }

    #[test]
    fn the_newest_of_each_order_stands_for_the_others() {
        let exemplars = Exemplars::default();
        let call = |trace, ms: u64| Span {
            duration_ns: ms * 1_000_000,
            peer: Some(HandlerName::parse("cart").unwrap()),
            kind: SpanKind::Client,
            ..along(span(trace, 2, Some(1)), "checkout -> shop:cart/cart")
        };
        exemplars.take(&[call(1, 3), call(2, 4), call(3, 40)]);
        let cart = HandlerName::parse("cart").unwrap();
        let of = |edge: &str, callee| {
            let found = exemplars.of(edge, callee);
            found
                .iter()
                .map(|one| (one.trace_id.0, one.latency_ns))
                .collect::<Vec<_>>()
        };
        let all = of("checkout -> shop:cart/cart", &cart);
        assert_eq!(all, [(2, 4_000_000), (3, 40_000_000)]);
        assert_eq!(of("cart -> shop:cart/cart", &cart), []);
        assert_eq!(of("checkout -> shop:cart/cart", &HandlerName::ingress()), []);
    }
}
