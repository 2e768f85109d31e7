//! The last hour as the map shows it: the curve, and how things were at a moment.
//!
//! Promises: a moment has the shape of the present, so that one page shows both; a moment outside the hour is the
//! nearest in it.

use std::collections::BTreeMap;

use protocol::NodeName;
use protocol::api::edges::{Edge, Latency};
use protocol::api::history::{EdgeHistory, History, NodeChange, NodeEvent};

/// The bucket that a moment lies in.
pub fn bucket(history: &History, unix_ms: u64) -> Option<u32> {
    let last = history.buckets.checked_sub(1)?;
    let since = unix_ms.saturating_sub(history.first_unix_ms) / history.bucket_ms.max(1);
    Some(u32::try_from(since).unwrap_or(u32::MAX).min(last))
}

/// When a bucket begins.
pub fn begins(history: &History, bucket: u32) -> u64 {
    history.first_unix_ms + u64::from(bucket) * history.bucket_ms
}

/// The edges as they were in a bucket.
pub fn edges(history: &History, bucket: u32) -> Vec<Edge> {
    let at = bucket as usize;
    let seconds = history.bucket_ms as f64 / 1e3;
    history
        .edges
        .iter()
        .map(|edge| moment(edge, at, seconds))
        .collect()
}

fn moment(edge: &EdgeHistory, at: usize, seconds: f64) -> Edge {
    let of = |list: &[u32]| list.get(at).copied().unwrap_or_default();
    let ns = |list: &[u64]| list.get(at).copied().unwrap_or_default();
    let (calls, errors) = (of(&edge.calls), of(&edge.errors));
    Edge {
        caller: edge.caller.clone(),
        callee: edge.callee.clone(),
        interface: edge.interface.clone(),
        transport: edge.transports.get(at).copied().unwrap_or(edge.transport),
        asked: None,
        calls: calls.into(),
        errors: errors.into(),
        errs: 0,
        rate_per_s: f64::from(calls) / seconds,
        error_rate_per_s: f64::from(errors) / seconds,
        bytes_in: 0,
        bytes_out: 0,
        latency_ns: Latency {
            p50: ns(&edge.p50_ns),
            p99: ns(&edge.p99_ns),
            ..Latency::default()
        },
        queue: None,
    }
}

/// How nodes stood at a moment, as far as their events tell.
pub fn nodes(history: &History, unix_ms: u64) -> BTreeMap<NodeName, NodeChange> {
    let before = history.events.iter().filter(|event| event.unix_ms <= unix_ms);
    before.map(|event| (event.node.clone(), event.change)).collect()
}

/// Calls per second of each bucket, and failed ones.
pub fn totals(history: &History) -> Vec<(f64, f64)> {
    let seconds = history.bucket_ms.max(1) as f64 / 1e3;
    (0..history.buckets as usize)
        .map(|at| {
            let sum = |part: fn(&EdgeHistory) -> &[u32]| {
                let lists = history.edges.iter().map(part);
                lists
                    .map(|list| f64::from(list.get(at).copied().unwrap_or_default()))
                    .sum::<f64>()
            };
            (
                sum(|edge| &edge.calls) / seconds,
                sum(|edge| &edge.errors) / seconds,
            )
        })
        .collect()
}

/// The curve as an SVG path in a box of `buckets` by 1, with its area closed; empty without buckets.
pub fn curve(totals: &[f64], most: f64) -> String {
    let mut path = String::new();
    for (at, value) in totals.iter().enumerate() {
        let y = 1.0 - (value / most.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0) * 0.94;
        path.push_str(&format!(
            "{}{at} {y:.3}L{} {y:.3}",
            if at == 0 { "M" } else { "L" },
            at + 1
        ));
    }
    path
}

/// A node's event in words: `payment ended: exit code 137`.
pub fn event_words(event: &NodeEvent) -> String {
    let node = &event.node;
    match (event.change, &event.reason) {
        (NodeChange::Starting, _) => format!("{node} is starting"),
        (NodeChange::Ready, _) => format!("{node} serves"),
        (NodeChange::Draining, _) => format!("{node} finishes what it accepted"),
        (NodeChange::Down, Some(reason)) => format!("{node} ended: {reason}"),
        (NodeChange::Down, None) => format!("{node} ended"),
        (NodeChange::Gone, _) => format!("{node} is needed no longer"),
    }
}

#[cfg(test)]
mod tests {
    use protocol::{HandlerName, InterfaceName, Transport};

    use super::*;

    fn history() -> History {
        History {
            bucket_ms: 10_000,
            first_unix_ms: 100_000,
            buckets: 3,
            edges: vec![EdgeHistory {
                caller: HandlerName::parse("frontend").unwrap(),
                callee: HandlerName::parse("cart").unwrap(),
                interface: InterfaceName::parse("shop:cart/cart@0.1.0").unwrap(),
                transports: vec![Transport::Direct, Transport::Quic, Transport::Quic],
                transport: Transport::Quic,
                calls: vec![20, 0, 50],
                errors: Vec::new(),
                p50_ns: vec![7, 0, 9],
                p99_ns: vec![70, 0, 90],
            }],
            ..History::default()
        }
    }

    #[test]
    fn a_moment_looks_like_the_present() {
        let history = history();
        assert_eq!(bucket(&history, 125_000), Some(2));
        assert_eq!(
            (bucket(&history, 5), bucket(&history, u64::MAX)),
            (Some(0), Some(2))
        );
        assert_eq!(bucket(&History::default(), 5), None);
        assert_eq!(begins(&history, 2), 120_000);
        let edges = edges(&history, 0);
        let edge = &edges[0];
        assert_eq!(
            (edge.rate_per_s, edge.latency_ns.p99, edge.transport),
            (2.0, 70, Transport::Direct)
        );
        assert_eq!(totals(&history), [(2.0, 0.0), (0.0, 0.0), (5.0, 0.0)]);
        assert_eq!(curve(&[0.0, 5.0], 5.0), "M0 1.000L1 1.000L1 0.060L2 0.060");
    }

    #[test]
    fn the_last_event_before_a_moment_says_how_a_node_stood() {
        let event = |unix_ms, change| NodeEvent {
            unix_ms,
            node: NodeName::parse("cart").unwrap(),
            incarnation: 1,
            change,
            reason: (change == NodeChange::Down).then(|| "exit code 137".to_owned()),
        };
        let history = History {
            events: vec![
                event(5, NodeChange::Ready),
                event(9, NodeChange::Down),
                event(12, NodeChange::Ready),
            ],
            ..History::default()
        };
        let at = |moment| nodes(&history, moment).into_values().next();
        assert_eq!(
            [at(4), at(8), at(9), at(99)],
            [
                None,
                Some(NodeChange::Ready),
                Some(NodeChange::Down),
                Some(NodeChange::Ready)
            ]
        );
        assert_eq!(event_words(&history.events[1]), "cart ended: exit code 137");
    }
}
