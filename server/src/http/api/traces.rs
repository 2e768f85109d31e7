//! `traces`, `traces/{id}` and `steps`.

use axum::Json;
use axum::extract::State;
use protocol::TraceId;
use protocol::api::Page;
use protocol::api::traces::{StepsQuery, TraceDetail, TraceQuery, TraceSummary, TypicalSteps};

use super::extract::{Named, Parameters};
use super::{Shared, whole};
use crate::http::error::Failure;

pub(super) async fn list(
    State(shared): State<Shared>,
    Parameters(query): Parameters<TraceQuery>,
) -> Result<Json<Page<TraceSummary>>, Failure> {
    Ok(Json(shared.context.traces.list(&query).await?))
}

pub(super) async fn show(
    State(shared): State<Shared>,
    Named(id): Named<TraceId>,
) -> Result<Json<TraceDetail>, Failure> {
    let detail = shared.context.traces.get(id).await?;
    detail.map(Json).ok_or_else(|| missing(id))
}

/// There is no such trace.
pub(super) fn missing(id: TraceId) -> Failure {
    Failure::not_found(format!(
        "there is no trace {id}; it was not sampled, is not stored yet, or was deleted as one of the oldest"
    ))
}

pub(super) async fn steps(
    State(shared): State<Shared>,
    Parameters(query): Parameters<StepsQuery>,
) -> Result<Json<Page<TypicalSteps>>, Failure> {
    Ok(whole(shared.context.traces.steps(&query).await?))
}
