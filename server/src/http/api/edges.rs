//! `edges`: every call, counted, with what waits in the queues of queued edges.

use axum::Json;
use axum::extract::State;
use protocol::Transport;
use protocol::api::Page;
use protocol::api::edges::{Edge, EdgeQueue};

use super::{Shared, whole};
use crate::http::Context;
use crate::http::error::Failure;
use crate::queue;

pub(super) async fn list(State(shared): State<Shared>) -> Result<Json<Page<Edge>>, Failure> {
    Ok(whole(edges(&shared.context).await?))
}

/// Every edge. A queued edge's queue is named after its two ends.
pub(in crate::http) async fn edges(context: &Context) -> Result<Vec<Edge>, queue::Error> {
    let mut edges = context.edges.snapshot();
    let in_force = context.desired.status().actual;
    for edge in &mut edges {
        let asked = in_force.way_of(&edge.caller, &edge.interface);
        edge.asked = (!asked.is_silent()).then_some(asked);
    }
    if edges.iter().all(|edge| edge.transport != Transport::Queue) {
        return Ok(edges);
    }
    let queues = context.queues.list().await?;
    for edge in edges.iter_mut().filter(|edge| edge.transport == Transport::Queue) {
        let name = format!("{}.{}", edge.caller, edge.callee);
        let queue = queues.iter().find(|queue| queue.name.as_str() == name);
        let depth = queue.map_or(0, |queue| queue.ready + queue.delayed + queue.leased);
        edge.queue = Some(EdgeQueue { name, depth });
    }
    Ok(edges)
}
