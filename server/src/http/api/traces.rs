//! `traces`, `traces/{id}`, its `find` and `links`, and `steps`.

use axum::Json;
use axum::extract::State;
use protocol::TraceId;
use protocol::api::Page;
use protocol::api::traces::{
    FindQuery, FoundSpans, LinkedTrace, LinksQuery, StepsQuery, TraceDetail, TracePage, TraceQuery,
    TypicalSteps,
};

use super::extract::{Named, Parameters};
use super::{Shared, whole};
use crate::http::error::Failure;

pub(super) async fn list(
    State(shared): State<Shared>,
    Parameters(query): Parameters<TraceQuery>,
) -> Result<Json<TracePage>, Failure> {
    Ok(Json(shared.context.traces.list(&query).await?))
}

pub(super) async fn show(
    State(shared): State<Shared>,
    Named(id): Named<TraceId>,
) -> Result<Json<TraceDetail>, Failure> {
    let detail = shared.context.traces.get(id).await?;
    detail.map(Json).ok_or_else(|| missing(id))
}

pub(super) async fn find(
    State(shared): State<Shared>,
    Named(id): Named<TraceId>,
    Parameters(query): Parameters<FindQuery>,
) -> Result<Json<FoundSpans>, Failure> {
    let found = shared.context.traces.find_spans(id, &query).await?;
    found.map(Json).ok_or_else(|| missing(id))
}

pub(super) async fn links(
    State(shared): State<Shared>,
    Named(id): Named<TraceId>,
    Parameters(query): Parameters<LinksQuery>,
) -> Result<Json<Page<LinkedTrace>>, Failure> {
    let linked = shared.context.traces.linked(id, query.span).await?;
    linked.map(whole).ok_or_else(|| missing(id))
}

/// There is no such trace.
pub(super) fn missing(id: TraceId) -> Failure {
    Failure::not_found(format!(
        "there is no trace {id}; it was not sampled, was not kept, is not stored yet, or was deleted as one of the oldest"
    ))
}

pub(super) async fn steps(
    State(shared): State<Shared>,
    Parameters(query): Parameters<StepsQuery>,
) -> Result<Json<Page<TypicalSteps>>, Failure> {
    Ok(whole(shared.context.traces.steps(&query).await?))
}
