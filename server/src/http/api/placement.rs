//! `placement`.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use protocol::api::placement::{Accepted, Placement, PlacementStatus};

use super::Shared;
use super::extract::JsonBody;
use crate::http::error::Failure;

pub(super) async fn show(State(shared): State<Shared>) -> Json<PlacementStatus> {
    Json(shared.context.desired.status())
}

pub(super) async fn put(
    State(shared): State<Shared>,
    JsonBody(placement): JsonBody<Placement>,
) -> Result<(StatusCode, Json<Accepted>), Failure> {
    let accepted = shared.context.desired.put(placement)?;
    Ok((StatusCode::ACCEPTED, Json(accepted)))
}
