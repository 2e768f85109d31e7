//! The bill, the hour and the map of a real shop, from outside.

use protocol::Transport;
use protocol::api::bill::{Basis, Bill, BilledEdge};
use protocol::api::history::{History, NodeChange};
use protocol::api::map::Picture;
use serde_json::json;

use crate::support::{Home, wait_for};

fn edge<'a>(bill: &'a Bill, caller: &str, callee: &str) -> Option<&'a BilledEdge> {
    let mut edges = bill.edges.iter();
    edges.find(|edge| edge.caller.as_str() == caller && edge.callee.as_str() == callee)
}

/// Visits the shop until an edge goes one way in the bill, with enough stored calls to be its own basis.
fn billed(home: &Home, transport: Transport) -> BilledEdge {
    let mut visitor = home.visitor();
    wait_for("stored calls in the bill", || {
        visitor.get("/");
        let bill: Bill = home.api.get("/api/v1/edges/bill");
        let found = edge(&bill, "frontend", "currency").filter(|edge| edge.transport == transport);
        match found {
            Some(edge) if edge.sample.as_ref().is_some_and(|sample| sample.calls >= 5) => Ok(edge.clone()),
            other => Err(format!("{other:?}")),
        }
    })
}

/// Scenario: somebody reads the bill together, cuts an edge, and finds the forecast beside what is measured then.
#[test]
fn an_edge_is_billed_before_and_after_it_is_cut() {
    let home = Home::shop().start();
    let before = billed(&home, Transport::Direct);
    let sample = before.sample.clone().expect("calls are stored");
    assert!(sample.share > 0.0 && sample.share <= 1.0, "{sample:?}");
    assert!(sample.carried_share <= sample.share, "{sample:?}");
    assert!(before.call_bytes > 0 && before.reply_bytes > 0);
    let price = |edge: &BilledEdge, rung| edge.rungs.iter().find(|price| price.rung == rung).cloned();
    let quic = price(&before, protocol::Rung::Quic).expect("every rung has a price");
    assert_eq!(quic.basis, Basis::Ladder, "nobody went by QUIC yet");
    assert!(quic.request_ns > 0, "{quic:?}");

    home.place(&json!({"mode": "groups", "groups": [["currency"]]}));
    let after = billed(&home, Transport::Quic);
    let quic = price(&after, protocol::Rung::Quic).expect("every rung has a price");
    assert_eq!((quic.basis, quic.request_ns), (Basis::Edge, 0), "{quic:?}");
    assert!(
        quic.carried_ns > sample.carried_p50_ns,
        "a wire is dearer than none"
    );
    let direct = price(&after, protocol::Rung::Direct).expect("every rung has a price");
    assert_eq!(direct.basis, Basis::Edge, "it is remembered from before");

    let picture: Picture = home.api.get("/api/v1/map?width=1280");
    let nodes: Vec<&str> = picture.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(nodes, ["currency", "home"]);
    let mut lines = picture.lines.iter();
    assert!(lines.any(|line| line.caller.as_str() == "frontend" && line.callee.as_str() == "currency"));

    wait_for("the hour to know the node and who was where", || {
        let hour: History = home.api.get("/api/v1/edges/history");
        let ready = hour
            .events
            .iter()
            .any(|event| event.node.as_str() == "currency" && event.change == NodeChange::Ready);
        let places: Vec<&str> = hour
            .places
            .iter()
            .map(|placed| placed.placement.as_str())
            .collect();
        match ready && places.contains(&"together") && places.contains(&"groups") {
            true => Ok(()),
            false => Err(format!("{:?} {places:?}", hour.events)),
        }
    });
}
