//! Tests of the edges as their users see them.

use super::*;

fn key(caller: &str, callee: &str) -> EdgeKey {
    EdgeKey {
        caller: HandlerName::parse(caller).unwrap(),
        callee: HandlerName::parse(callee).unwrap(),
        interface: InterfaceName::parse(&format!("shop:{callee}/{callee}@0.1.0")).unwrap(),
    }
}

fn ended(latency_ns: u64) -> Ended {
    Ended {
        transport: Transport::Direct,
        outcome: Outcome::Ok,
        latency_ns,
        bytes_in: 10,
        bytes_out: 100,
    }
}

fn edges() -> Edges {
    Edges::new(Clock::test(1_000_000))
}

fn node(name: &str) -> NodeName {
    NodeName::parse(name).unwrap()
}

/// A node that counted these calls, as it ships them.
fn figures(calls: &[(&EdgeKey, Ended)]) -> Vec<EdgeFigures> {
    let child = edges();
    for (key, ended) in calls {
        child.record(key, *ended);
    }
    child.figures()
}

#[test]
fn every_kind_of_outcome_is_counted_in_its_place() {
    let edges = edges();
    let cart = key("frontend", "cart");
    edges.record(&cart, ended(1_000));
    edges.record(
        &cart,
        Ended {
            outcome: Outcome::Err,
            ..ended(2_000)
        },
    );
    edges.record(
        &cart,
        Ended {
            outcome: Outcome::Failed,
            transport: Transport::Quic,
            ..ended(3_000)
        },
    );
    edges.record(&key("checkout", "cart"), ended(7));
    let snapshot = edges.snapshot();
    assert_eq!(snapshot.len(), 2);
    assert_eq!(snapshot[0].caller.as_str(), "checkout");
    let edge = &snapshot[1];
    assert_eq!((edge.calls, edge.errs, edge.errors), (3, 1, 1));
    assert_eq!((edge.bytes_in, edge.bytes_out), (30, 300));
    assert_eq!(edge.transport, Transport::Quic);
    assert_eq!(edge.latency_ns.max, 3_000);
    assert!(edge.latency_ns.p50.abs_diff(2_000) <= 2_000 / 64);
    assert_eq!((edge.rate_per_s, edge.error_rate_per_s), (0.3, 0.1));
}

#[test]
fn concurrent_recording_loses_nothing() {
    const THREADS: u64 = 8;
    const CALLS: u64 = 20_000;
    let edges = edges();
    let cart = key("frontend", "cart");
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (edges, cart) = (&edges, &cart);
            scope.spawn(move || {
                let cell = edges.cell(cart);
                for call in 0..CALLS {
                    cell.record(ended(thread * CALLS + call));
                    if call % 1_000 == 0 {
                        edges.snapshot();
                    }
                }
            });
        }
    });
    let edge = &edges.snapshot()[0];
    assert_eq!(edge.calls, THREADS * CALLS);
    assert_eq!(edge.bytes_in, 10 * THREADS * CALLS);
    assert_eq!(edge.latency_ns.max, THREADS * CALLS - 1);
    let shipped: u64 = edges.figures()[0].latency_ns.iter().map(|(_, count)| count).sum();
    assert_eq!(shipped, THREADS * CALLS);
}

#[test]
fn rates_are_those_of_the_last_ten_seconds() {
    let clock = Clock::test(1_000_000);
    let edges = Edges::new(clock.clone());
    let cart = key("frontend", "cart");
    for _ in 0..30 {
        for _ in 0..20 {
            edges.record(&cart, ended(5));
        }
        clock.advance(Duration::from_secs(1));
        edges.sample();
    }
    assert_eq!(edges.snapshot()[0].rate_per_s, 20.0);
    for _ in 0..10 {
        clock.advance(Duration::from_secs(1));
        edges.sample();
    }
    let edge = &edges.snapshot()[0];
    assert_eq!((edge.rate_per_s, edge.calls), (0.0, 600));
}

#[test]
fn home_adds_what_nodes_count_and_keeps_it_across_their_restarts() {
    let home = edges();
    let cart = key("frontend", "cart");
    let quic = |latency_ns| Ended {
        transport: Transport::Quic,
        ..ended(latency_ns)
    };
    home.record(&cart, ended(100));

    let first = [(&cart, quic(1_000)), (&cart, quic(2_000))];
    home.merge(&node("frontend"), 1, figures(&first[..1]));
    home.merge(&node("frontend"), 1, figures(&first));
    let edge = &home.snapshot()[0];
    assert_eq!((edge.calls, edge.latency_ns.max), (3, 2_000));

    // The node dies and comes back: it starts from zero, home does not.
    home.merge(&node("frontend"), 2, Vec::new());
    assert_eq!(home.snapshot()[0].calls, 3);
    home.merge(&node("frontend"), 2, figures(&[(&cart, quic(500))]));
    let edge = &home.snapshot()[0];
    assert_eq!((edge.calls, edge.bytes_out), (4, 400));
    assert_eq!((edge.latency_ns.max, edge.transport), (2_000, Transport::Quic));

    // What the dead one sent comes in late.
    home.merge(&node("frontend"), 1, figures(&first));
    assert_eq!(home.snapshot()[0].calls, 4);

    // Another node counts for itself; home's own calls go on.
    home.merge(&node("group-1"), 1, figures(&[(&cart, quic(1))]));
    home.record(&cart, ended(100));
    let edge = &home.snapshot()[0];
    assert_eq!((edge.calls, edge.transport), (6, Transport::Direct));
}

#[test]
fn the_same_figures_twice_count_once() {
    let home = edges();
    let cart = key("frontend", "cart");
    let batch = figures(&[(&cart, ended(9)), (&cart, ended(11))]);
    home.merge(&node("frontend"), 1, batch.clone());
    home.merge(&node("frontend"), 1, batch);
    assert_eq!(home.snapshot()[0].calls, 2);
}

#[test]
fn slow_is_beyond_the_p99_of_the_calls_shortly_before() {
    let edges = edges();
    let cell = edges.cell(&key("frontend", "cart"));
    for _ in 0..999 {
        cell.record(ended(10_000));
    }
    assert!(!cell.is_slow(u64::MAX - 1), "too few calls to tell");
    cell.record(ended(10_000));
    assert!(cell.is_slow(20_000));
    assert!(!cell.is_slow(10_000), "as slow as all others is not slow");

    // Calls now leave the process: what was slow is the rule after a thousand of them.
    for _ in 0..1_000 {
        cell.record(ended(200_000));
    }
    assert!(!cell.is_slow(200_000));
    assert!(cell.is_slow(400_000));
}

#[test]
fn edges_beyond_the_limit_go_uncounted_and_harm_nobody() {
    let edges = edges();
    for at in 0..EDGES_MAX + 5 {
        edges.record(&key(&format!("h{at}"), "cart"), ended(1));
    }
    assert_eq!(edges.snapshot().len(), EDGES_MAX);
}

#[tokio::test]
async fn the_ticker_ends_with_its_tasks() {
    let tasks = Tasks::new();
    Arc::new(edges()).start(&tasks);
    assert_eq!(tasks.drain(Duration::from_secs(30)).await, Ok(()));
}
