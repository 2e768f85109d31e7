//! `facets`: what the traces that the filters of `traces` find have in common, counted.

use axum::Json;
use axum::extract::State;
use protocol::api::facets::Facets;
use protocol::api::traces::TraceQuery;

use super::Shared;
use super::extract::Parameters;
use crate::http::error::Failure;

pub(super) async fn show(
    State(shared): State<Shared>,
    Parameters(query): Parameters<TraceQuery>,
) -> Result<Json<Facets>, Failure> {
    Ok(Json(shared.context.traces.facets(&query).await?))
}
