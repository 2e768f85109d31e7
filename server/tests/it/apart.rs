//! Ten child processes: one trace through them, and what happens when one of them or home dies.

use std::collections::BTreeSet;

use protocol::api::nodes::{Node, NodeState};
use protocol::api::traces::TraceDetail;

use crate::support::{Home, SHOP, children_of, is_alive, send_signal, wait_for};
use crate::traces::{check_stages, wait_trace};

/// A child by its name, once it serves.
fn wait_ready(home: &Home, name: &str, incarnation: u64) -> Node {
    wait_for(&format!("`{name}` to serve as number {incarnation}"), || {
        let node = home.node(name);
        match node.state == NodeState::Ready && node.incarnation >= incarnation {
            true => Ok(node),
            false => Err(format!("{node:?}")),
        }
    })
}

#[test]
fn a_checkout_crosses_ten_processes_in_one_trace() {
    let home = Home::shop().placement("apart").start();
    let nodes = home.nodes();
    assert_eq!(nodes[0].name.as_str(), "home");
    assert!(nodes[0].handlers.is_empty(), "{:?}", nodes[0]);
    let names: Vec<_> = nodes[1..].iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, SHOP);
    let pids: BTreeSet<_> = nodes.iter().map(|node| node.pid).collect();
    assert_eq!(pids.len(), 11, "{nodes:?}");
    let children: BTreeSet<_> = children_of(home.pid()).into_iter().collect();
    assert_eq!(
        children,
        nodes[1..].iter().map(|node| node.pid).collect(),
        "the API's children are the system's"
    );

    let mut visitor = home.visitor();
    visitor.buy_something();
    // The first one connects the nodes; the second is what a shop's day looks like.
    visitor.add("storm-kettle", 1);
    let answer = visitor.post(
        "/cart/checkout",
        &crate::support::card_form("robin@harbour.example"),
    );
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
    let detail: TraceDetail = wait_trace(&home, answer.header("x-trace-id"));
    let crossed: BTreeSet<_> = detail.spans.iter().map(|row| row.span.node.as_str()).collect();
    for node in [
        "home", "frontend", "checkout", "cart", "catalog", "currency", "shipping", "payment",
    ] {
        assert!(crossed.contains(node), "`{node}` is missing in {crossed:?}");
    }
    assert_eq!(detail.summary.placement, "apart");
    assert_eq!(detail.summary.nodes as usize, crossed.len());
    check_stages(&detail);
    let bytes: u64 = home.nodes().iter().map(|node| node.quic_bytes_sent).sum();
    assert!(bytes > 0, "calls between processes are bytes");
}

#[test]
fn a_child_that_dies_is_missed_only_where_it_is_needed_and_comes_back() {
    let home = Home::shop().placement("apart").start();
    let mut visitor = home.visitor();
    let product = crate::support::between(&visitor.page("/"), "data-product=\"", "\"").to_owned();
    let page = format!("/product/{product}");
    assert!(visitor.page(&page).contains("id=\"recommendations\""));

    for name in ["recommendation", "catalog"] {
        let before = home.node(name);
        send_signal(before.pid, libc::SIGKILL);
        // Whatever the calls in between met: they ended with a page or its clear absence, and soon all is well again.
        let answer = visitor.get(&page);
        let status = answer.status.as_u16();
        match name {
            "recommendation" => assert_eq!(status, 200, "{}", answer.text()),
            _ if status == 200 => {}
            _ => {
                assert_eq!(status, 502, "{}", answer.text());
                assert!(
                    answer.text().contains("data-handler=\"catalog\""),
                    "{}",
                    answer.text()
                );
            }
        }
        let after = wait_ready(&home, name, before.incarnation + 1);
        assert_ne!(after.pid, before.pid);
        assert_eq!(
            after.incarnation,
            before.incarnation + 1,
            "it died once and started once"
        );
        assert!(after.last_error.is_some(), "{after:?}");
        wait_for("the page to be whole again", || {
            let answer = visitor.get(&page);
            let is_whole = answer.status.as_u16() == 200 && answer.text().contains("id=\"recommendations\"");
            if is_whole { Ok(()) } else { Err(answer.text()) }
        });
    }
}

#[test]
fn calls_of_a_dead_node_end_as_unreachable() {
    let home = Home::with(&["guests/hostile-spin", "guests/hostile-trap"])
        .placement("apart")
        .start();
    let node = home.node("hostile-spin");
    let ended = std::thread::scope(|scope| {
        let in_flight = scope.spawn(|| {
            let forever = serde_json::json!([]);
            home.call_within("hostile:guests/spin", "forever", &forever, Some(300_000))
        });
        wait_for("the call to be in progress", || {
            let handler = home.wait_serving("hostile-spin");
            if handler.figures.instances_busy > 0 {
                Ok(())
            } else {
                Err(format!("{:?}", handler.figures))
            }
        });
        send_signal(node.pid, libc::SIGKILL);
        in_flight.join().expect("the call ends")
    });
    let problem = ended.problem(503);
    assert_eq!(problem.code, "unreachable", "{problem:?}");
    assert!(problem.trace_id.is_some(), "{problem:?}");
    // The neighbour never noticed, and the dead one is back.
    let count = serde_json::json!([]);
    assert_eq!(
        home.call("hostile:guests/trap", "count", &count).status.as_u16(),
        200
    );
    wait_ready(&home, "hostile-spin", node.incarnation + 1);
    let steps = serde_json::json!([1]);
    wait_for("the function to be served again", || {
        let answer = home.call("hostile:guests/spin", "steps", &steps);
        if answer.status.as_u16() == 200 {
            Ok(())
        } else {
            Err(answer.text())
        }
    });
}

#[test]
fn no_child_outlives_its_home() {
    let mut home = Home::shop().placement("apart").start();
    let children = home.kill();
    assert_eq!(children.len(), SHOP.len());
    wait_for("the children to end", || {
        let alive: Vec<_> = children.iter().filter(|pid| is_alive(**pid)).collect();
        if alive.is_empty() {
            Ok(())
        } else {
            Err(format!("{alive:?} live on"))
        }
    });
    home.start_again();
    home.visitor().buy_something();
}
