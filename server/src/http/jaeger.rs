//! Jaeger's query API under `/jaeger`: `/api/v3` as its present UI asks, and v1 as Grafana and older UIs do.
//!
//! Times of v1 are whole microseconds, which is that API's limit; v3 and everything of ours have nanoseconds. What a
//! search may cost is bounded in `found`. Failures have each API's own shape.

mod legacy;
mod question;

use std::collections::{BTreeMap, BTreeSet};
use std::time::UNIX_EPOCH;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use protocol::api::traces::TraceSummary;
use serde_json::{Value, json};

use super::api::Shared;
use super::error::Failure;
use super::found::{self, Hit, Wanted};
use crate::otlp::TracesData;
use crate::traces::Skeleton;
use question::{Parameters, wanted_v3};

/// Everything below `/jaeger`.
pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/api/v3/services", get(services))
        .route("/api/v3/operations", get(operations))
        .route("/api/v3/traces", get(traces))
        .route("/api/v3/traces/{id}", get(trace))
        .route("/api/v3/trace-summaries", get(summaries))
        .route("/api/v3/dependencies", get(dependencies))
        .route("/api/services", get(legacy::services))
        .route("/api/services/{service}/operations", get(legacy::operations))
        .route("/api/operations", get(legacy::operations_of))
        .route("/api/traces", get(legacy::traces))
        .route("/api/traces/{id}", get(legacy::trace))
        .route("/api/dependencies", get(legacy::dependencies))
}

/// A failure as Jaeger's gateway tells it.
struct Told(Failure);

impl From<Failure> for Told {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl IntoResponse for Told {
    fn into_response(self) -> Response {
        let status = self.0.status();
        let error = json!({ "httpCode": status.as_u16(), "message": self.0.problem().detail });
        (status, axum::Json(json!({ "error": error }))).into_response()
    }
}

type Answer = Result<axum::Json<Value>, Told>;

async fn services(State(shared): State<Shared>) -> Answer {
    let services = found::services(&shared.context.traces).await?;
    Ok(axum::Json(json!({ "services": services })))
}

async fn operations(State(shared): State<Shared>, Query(parameters): Query<Parameters>) -> Answer {
    let handler = question::handler(
        parameters
            .get("service")
            .ok_or_else(|| Failure::invalid("name a `service`"))?,
    );
    let kind = question::either(&parameters, "spanKind", "span_kind");
    let operations = found::operations(&shared.context.traces, Some(handler)).await?;
    let operations: Vec<Value> = operations
        .into_iter()
        .filter(|(_, of)| kind.is_none_or(|kind| kind.eq_ignore_ascii_case(of)))
        .map(|(name, kind)| json!({ "name": name, "spanKind": kind }))
        .collect();
    Ok(axum::Json(json!({ "operations": operations })))
}

async fn search(shared: &Shared, wanted: &Wanted) -> Result<Vec<Hit>, Told> {
    let traces = &shared.context.traces;
    Ok(found::read(traces, &found::find(traces, wanted).await?).await?)
}

async fn traces(State(shared): State<Shared>, Query(parameters): Query<Parameters>) -> Answer {
    let hits = search(&shared, &wanted_v3(&parameters)?).await?;
    if hits.is_empty() {
        return Err(Failure::not_found("No traces found").into());
    }
    let resource_spans = hits.into_iter().flat_map(|hit| hit.data.resource_spans).collect();
    Ok(axum::Json(json!({ "result": TracesData { resource_spans } })))
}

async fn trace(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let hit = found::by_id(&shared.context.traces, &id).await?;
    Ok(axum::Json(json!({ "result": hit.data })))
}

async fn summaries(State(shared): State<Shared>, Query(parameters): Query<Parameters>) -> Answer {
    let traces = &shared.context.traces;
    let mut summaries = Vec::new();
    for found in found::find(traces, &wanted_v3(&parameters)?)
        .await
        .map_err(Told)?
    {
        // It may have been deleted meanwhile.
        if let Some(skeleton) = traces.skeleton(found.trace_id).await.map_err(Failure::from)? {
            summaries.push(summary(&found, &skeleton));
        }
    }
    Ok(axum::Json(json!({ "summaries": summaries })))
}

fn summary(of: &TraceSummary, skeleton: &Skeleton) -> Value {
    let ids: BTreeSet<u64> = skeleton.id.iter().copied().collect();
    let parents = skeleton.parent.iter().filter(|parent| **parent != 0);
    let orphans = parents.filter(|parent| !ids.contains(parent)).count();
    let services: Vec<Value> = found::spans_by_handler(skeleton)
        .into_iter()
        .map(|(name, (count, failed))| json!({ "name": name, "spanCount": count, "errorSpanCount": failed }))
        .collect();
    json!({
        "traceId": of.trace_id,
        "rootServiceName": of.handler,
        "rootOperationName": of.name,
        "minStartTimeUnixNano": of.start_unix_ns.to_string(),
        "maxEndTimeUnixNano": of.start_unix_ns.saturating_add(of.duration_ns).to_string(),
        "spanCount": of.spans,
        "errorSpanCount": of.errors,
        "orphanSpanCount": orphans,
        "services": services,
    })
}

/// Who calls whom, and how often since the start: every call, sampled or not.
fn called(shared: &Shared) -> BTreeMap<(String, String), u64> {
    let mut calls = BTreeMap::new();
    for edge in shared.context.edges.snapshot() {
        *calls
            .entry((edge.caller.to_string(), edge.callee.to_string()))
            .or_default() += edge.calls;
    }
    calls
}

async fn dependencies(State(shared): State<Shared>) -> axum::Json<Value> {
    let dependencies: Vec<Value> = called(&shared)
        .into_iter()
        .map(|((parent, child), calls)| json!({ "parent": parent, "child": child, "callCount": calls.to_string() }))
        .collect();
    axum::Json(json!({ "dependencies": dependencies }))
}

/// A moment in RFC 3339, in ns since the Unix epoch.
fn moment(text: &str) -> Option<u64> {
    let moment = humantime::parse_rfc3339(text).ok()?;
    u64::try_from(moment.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()
}
