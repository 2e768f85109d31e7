//! `placement`, `nodes/{name}/drain`: what shall be, and how far it is.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use protocol::api::placement::{Accepted, Mode, Placement, PlacementStatus, Scale};
use protocol::{HandlerName, NodeName};
use serde::Deserialize;

use super::Shared;
use super::extract::{JsonBody, Named};
use crate::http::error::Failure;

/// A placement as it is asked for: with the replicas that it names, or with those that there are.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    mode: Mode,
    #[serde(default)]
    groups: Vec<Vec<HandlerName>>,
    replicas: Option<BTreeMap<HandlerName, u32>>,
}

pub(super) async fn show(State(shared): State<Shared>) -> Json<PlacementStatus> {
    Json(shared.context.desired.status())
}

pub(super) async fn put(
    State(shared): State<Shared>,
    JsonBody(Asked {
        mode,
        groups,
        replicas,
    }): JsonBody<Asked>,
) -> Result<(StatusCode, Json<Accepted>), Failure> {
    let desired = &shared.context.desired;
    let keeps_replicas = replicas.is_none();
    let placement = Placement {
        mode,
        groups,
        replicas: replicas.unwrap_or_default(),
    };
    let accepted = match keeps_replicas {
        true => desired.put_beside_replicas(placement)?,
        false => desired.put(placement)?,
    };
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
