//! `traces/{id}/rows`, `/overview`, `/path` and `/spans/{span}`: a trace of any size, in windows.

use axum::Json;
use axum::extract::{Path, State};
use protocol::api::path::TracePath;
use protocol::api::rows::{CallDetail, Overview, OverviewQuery, Rows, RowsQuery};
use protocol::{SpanId, TraceId};

use super::Shared;
use super::extract::{Named, Parameters};
use super::recorded;
use super::traces::missing;
use crate::http::error::Failure;

pub(super) async fn rows(
    State(shared): State<Shared>,
    Named(id): Named<TraceId>,
    Parameters(query): Parameters<RowsQuery>,
) -> Result<Json<Rows>, Failure> {
    let rows = shared.context.traces.rows(id, &query).await?;
    rows.map(Json).ok_or_else(|| missing(id))
}

pub(super) async fn overview(
    State(shared): State<Shared>,
    Named(id): Named<TraceId>,
    Parameters(query): Parameters<OverviewQuery>,
) -> Result<Json<Overview>, Failure> {
    let overview = shared.context.traces.overview(id, &query).await?;
    overview.map(Json).ok_or_else(|| missing(id))
}

pub(super) async fn path(
    State(shared): State<Shared>,
    Named(id): Named<TraceId>,
) -> Result<Json<TracePath>, Failure> {
    let path = shared.context.traces.path(id).await?;
    path.map(Json).ok_or_else(|| missing(id))
}

pub(super) async fn call(
    State(shared): State<Shared>,
    Path((id, span)): Path<(String, String)>,
) -> Result<Json<CallDetail>, Failure> {
    let id: TraceId = parse(&id)?;
    let span: SpanId = parse(&span)?;
    let call = shared.context.traces.call(id, span).await?;
    let told = call.map(|mut call| {
        call.arguments = recorded::arguments(&shared.context, &call.own.span);
        Json(call)
    });
    told.ok_or_else(|| Failure::not_found(format!("there is no span {span} in a trace {id}")))
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, Failure> {
    text.parse()
        .map_err(|error: T::Err| Failure::invalid(error.to_string()))
}
