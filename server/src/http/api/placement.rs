//! `placement`, `nodes/{name}/drain`: what shall be, and how far it is.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use protocol::api::placement::{Accepted, Mode, Placement, PlacementStatus, Scale};
use protocol::ladder::{Bandwidth, Delay, Loss};
use protocol::{EdgeName, HandlerName, NodeName, Rung, Way};
use serde::Deserialize;

use super::Shared;
use super::extract::{JsonBody, Named};
use crate::http::error::Failure;
use crate::placement::Kept;

/// A placement as it is asked for: with the replicas and the rules of edges that it names, or with those that there are.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    mode: Mode,
    #[serde(default)]
    groups: Vec<Vec<HandlerName>>,
    replicas: Option<BTreeMap<HandlerName, u32>>,
    transport: Option<Rung>,
    delay: Option<Delay>,
    jitter: Option<Delay>,
    loss: Option<Loss>,
    bandwidth: Option<Bandwidth>,
    edges: Option<BTreeMap<EdgeName, Way>>,
}

pub(super) async fn show(State(shared): State<Shared>) -> Json<PlacementStatus> {
    Json(shared.context.desired.status())
}

pub(super) async fn put(
    State(shared): State<Shared>,
    JsonBody(asked): JsonBody<Asked>,
) -> Result<(StatusCode, Json<Accepted>), Failure> {
    let kept = Kept {
        replicas: asked.replicas.is_none(),
        edges: asked.edges.is_none(),
    };
    let placement = Placement {
        mode: asked.mode,
        groups: asked.groups,
        replicas: asked.replicas.unwrap_or_default(),
        transport: asked.transport,
        delay: asked.delay,
        jitter: asked.jitter,
        loss: asked.loss,
        bandwidth: asked.bandwidth,
        edges: asked.edges.unwrap_or_default(),
    };
    let accepted = shared.context.desired.put_beside(placement, kept)?;
    Ok((StatusCode::ACCEPTED, Json(accepted)))
}

pub(super) async fn scale(
    State(shared): State<Shared>,
    JsonBody(Scale { replicas }): JsonBody<Scale>,
) -> Result<(StatusCode, Json<Accepted>), Failure> {
    let accepted = shared.context.desired.scale(&replicas)?;
    Ok((StatusCode::ACCEPTED, Json(accepted)))
}

pub(super) async fn drain(
    State(shared): State<Shared>,
    Named(node): Named<NodeName>,
) -> Result<(StatusCode, Json<Accepted>), Failure> {
    let accepted = shared.context.desired.drain(&node)?;
    Ok((StatusCode::ACCEPTED, Json(accepted)))
}
