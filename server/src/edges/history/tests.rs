//! Tests of the history: buckets, bounds, nodes that die and return.

use std::collections::BTreeMap;

use protocol::InterfaceName;
use protocol::api::placement::{HandlerPlace, Placement};

use super::*;

fn key(callee: &str) -> EdgeKey {
    EdgeKey {
        caller: HandlerName::parse("frontend").unwrap(),
        callee: HandlerName::parse(callee).unwrap(),
        interface: InterfaceName::parse("shop:cart/cart@0.1.0").unwrap(),
    }
}

/// Counters after `calls` calls of `ns` each.
fn counts(calls: &[(u64, u64)]) -> Counts {
    let mut counts = Counts::default();
    for (count, ns) in calls {
        counts.latency.add(*ns, *count);
    }
    counts
}

fn close(history: &mut History, second: u64, calls: &[(u64, u64)]) {
    assert!(history.is_due(second * 1_000));
    history.close(
        second * 1_000,
        vec![(key("cart"), counts(calls), Transport::Direct)],
    );
}

#[test]
fn a_bucket_holds_the_calls_that_ended_in_it() {
    let mut history = History::default();
    close(&mut history, 100, &[(50, 9_000)]);
    close(&mut history, 110, &[(50, 9_000), (10, 100)]);
    close(&mut history, 120, &[(50, 9_000), (10, 100)]);
    close(&mut history, 130, &[(50, 9_000), (10, 100), (4, 1_000)]);
    assert!(!history.is_due(139_999));
    let answer = history.answer(60);
    assert_eq!(
        (answer.bucket_ms, answer.first_unix_ms, answer.buckets),
        (10_000, 100_000, 3)
    );
    let edge = &answer.edges[0];
    assert_eq!(edge.calls, [10, 0, 4]);
    assert!(edge.errors.is_empty() && edge.transports.is_empty());
    assert!(edge.p50_ns[0].abs_diff(100) <= 2 && edge.p50_ns[1] == 0 && edge.p99_ns[2].abs_diff(1_000) <= 16);
}

#[test]
fn an_hour_is_kept_and_no_more_edges_than_the_limit() {
    let mut history = History::default();
    for step in 0..500u64 {
        let counted = (0..EDGES_MAX + 3).map(|at| {
            (
                key(&format!("h{at}")),
                counts(&[(step + 1, 100)]),
                Transport::Quic,
            )
        });
        // Few steps have all edges: a thousand histograms a step would only be slow.
        let counted: Vec<_> = if step < 2 {
            counted.collect()
        } else {
            counted.take(1).collect()
        };
        history.close(1_000_000 + step * BUCKET_MS, counted);
    }
    assert_eq!(history.edges.len(), EDGES_MAX);
    let answer = history.answer(60);
    assert_eq!((answer.edges.len(), answer.buckets), (1, 360));
    assert_eq!(answer.edges[0].calls, vec![1; 360]);
    assert_eq!(history.answer(1).buckets, 6);
}

#[test]
fn many_edges_have_longer_buckets() {
    let mut history = History::default();
    for step in 0..361u64 {
        let counted = (0..300).map(|at| {
            (
                key(&format!("h{at}")),
                counts(&[(step + 1, 100)]),
                Transport::Quic,
            )
        });
        history.close(1_000_000 + step * BUCKET_MS, counted.collect());
    }
    let answer = history.answer(60);
    assert_eq!((answer.bucket_ms, answer.buckets), (30_000, 120));
    assert_eq!(answer.edges[7].calls, vec![3; 120]);
}

fn node(name: &str, incarnation: u64, state: NodeState) -> Node {
    Node {
        name: NodeName::parse(name).unwrap(),
        state,
        pid: 1,
        address: None,
        incarnation,
        handlers: Vec::new(),
        started_unix_ms: 0,
        cpu_seconds: 0.0,
        resident_bytes: 0,
        quic_bytes_sent: 0,
        quic_bytes_received: 0,
        last_error: Some("exit code 137".to_owned()),
    }
}

fn placed(handler: &str, node: &str) -> PlacementStatus {
    let node = NodeName::parse(node).unwrap();
    let place = HandlerPlace {
        node: Some(node.clone()),
        desired_node: node.clone(),
        nodes: vec![node.clone()],
        desired_nodes: vec![node],
        state: "serving".to_owned(),
    };
    PlacementStatus {
        generation: 1,
        actual_generation: 1,
        desired: Placement::default(),
        actual: Placement::default(),
        settled: true,
        file: Placement::default(),
        handlers: BTreeMap::from([(HandlerName::parse(handler).unwrap(), place)]),
        notes: Vec::new(),
        error: None,
    }
}

#[test]
fn a_node_that_dies_and_returns_leaves_both_events_even_between_two_looks() {
    let mut history = History::default();
    let status = placed("cart", "cart");
    for (second, incarnation, state) in [
        (1, 1, NodeState::Ready),
        (2, 1, NodeState::Ready),
        (3, 1, NodeState::Down),
        (4, 2, NodeState::Ready),
        (5, 3, NodeState::Ready),
    ] {
        history.note(second * 1_000, &[node("cart", incarnation, state)], &status);
    }
    history.note(6_000, &[], &status);
    let told: Vec<_> = history
        .events
        .iter()
        .map(|event| (event.unix_ms, event.change))
        .collect();
    assert_eq!(
        told,
        [
            (1_000, NodeChange::Ready),
            (3_000, NodeChange::Down),
            (4_000, NodeChange::Ready),
            (5_000, NodeChange::Down),
            (5_000, NodeChange::Ready),
            (6_000, NodeChange::Gone),
        ]
    );
    assert_eq!(history.events[1].reason.as_deref(), Some("exit code 137"));
    for second in 0..2_000 {
        let state = if second % 2 == 0 {
            NodeState::Down
        } else {
            NodeState::Ready
        };
        history.note(10_000 + second, &[node("cart", second, state)], &status);
    }
    assert_eq!(history.events.len(), EVENTS_MAX);
}

#[test]
fn who_was_where_is_known_for_every_moment() {
    let mut history = History::default();
    history.note(1_000, &[], &placed("cart", "home"));
    history.note(2_000, &[], &placed("cart", "home"));
    history.note(3_000, &[], &placed("cart", "cart"));
    assert_eq!(history.places.len(), 2);
    let at = |unix_ms| {
        let placed = history.places_at(unix_ms).unwrap();
        placed.handlers.values().next().unwrap().to_string()
    };
    assert_eq!([at(500), at(2_999), at(3_000)], ["home", "home", "cart"]);
    for step in 0..1_000u64 {
        let node = if step % 2 == 0 { "home" } else { "cart" };
        history.note(4_000 + step, &[], &placed("cart", node));
    }
    assert_eq!(history.places.len(), PLACES_MAX);
}
