//! Tempo's query API under `/tempo`, as Grafana's data source asks: traces by id, search, tags and their values.
//!
//! `q` is TraceQL as far as `query` reads it. Not here: metrics of TraceQL and streaming over gRPC, which Grafana asks for
//! only where it is told that they are there.

mod query;

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use protocol::Span;
use protocol::api::traces::TraceSummary;
use serde_json::{Value, json};

use super::api::Shared;
use super::error::Failure;
use super::found::{self, Wanted, attribute_equals, equals, go_duration};
use crate::otlp::{self, Encoding, service_name};
use crate::traces::{self, Column, Condition, Field, Literal, Op, Skeleton};

const LIMIT_DEFAULT: usize = 20;
const LIMIT_MAX: usize = 500;
/// Spans that are shown of each trace that was found, where nothing is said, and at most.
const SPANS_DEFAULT: usize = 3;
const SPANS_MAX: usize = 100;
const PROTOBUF: &str = "application/protobuf";

/// What a span has without attributes.
const INTRINSICS: [&str; 7] = [
    "duration",
    "kind",
    "name",
    "rootName",
    "rootServiceName",
    "status",
    "traceDuration",
];

type Parameters = BTreeMap<String, String>;

/// Everything below `/tempo`.
pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/api/echo", get(async || "echo"))
        .route("/ready", get(async || "ready\n"))
        .route("/api/status/buildinfo", get(buildinfo))
        .route("/api/traces/{id}", get(trace))
        .route("/api/v2/traces/{id}", get(trace_v2))
        .route("/api/search", get(search))
        .route("/api/search/tags", get(tags))
        .route("/api/v2/search/tags", get(tags_v2))
        .route("/api/search/tag/{tag}/values", get(values))
        .route("/api/v2/search/tag/{tag}/values", get(values_v2))
        .route("/api/metrics/query_range", get(metrics))
        .route("/api/metrics/query", get(metrics))
}

/// A failure as Tempo tells it: a line of text.
struct Told(Failure);

impl From<Failure> for Told {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl IntoResponse for Told {
    fn into_response(self) -> Response {
        (self.0.status(), format!("{}\n", self.0.problem().detail)).into_response()
    }
}

async fn buildinfo() -> axum::Json<Value> {
    axum::Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "revision": "cleave",
        "branch": "",
        "buildDate": "",
        "buildUser": "",
        "goVersion": "",
    }))
}

async fn metrics() -> Told {
    Told(Failure::not_found(
        "metrics of TraceQL are not answered here; Cleave's own are at /metrics",
    ))
}

fn wants_protobuf(headers: &HeaderMap) -> bool {
    let accepted = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accepted.is_some_and(|accept| accept.contains(PROTOBUF))
}

fn protobuf(bytes: Vec<u8>) -> Response {
    let mut response = bytes.into_response();
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
    response
}

async fn trace(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Told> {
    let hit = found::by_id(&shared.context.traces, &id).await?;
    if wants_protobuf(&headers) {
        return Ok(protobuf(otlp::encode(&hit.data, Encoding::Protobuf)));
    }
    Ok(axum::Json(json!({ "batches": hit.data.resource_spans })).into_response())
}

async fn trace_v2(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Told> {
    let hit = found::by_id(&shared.context.traces, &id).await?;
    if wants_protobuf(&headers) {
        return Ok(protobuf(otlp::encode_wrapped(&hit.data)));
    }
    Ok(axum::Json(json!({ "trace": hit.data, "metrics": {} })).into_response())
}

/// A number of a query, or what stands for none.
fn number(parameters: &Parameters, name: &str, default: usize) -> Result<usize, Failure> {
    match parameters.get(name) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .map_err(|_| Failure::invalid(format!("invalid {name}: `{text}` is no number"))),
    }
}

async fn search(
    State(shared): State<Shared>,
    Query(parameters): Query<Parameters>,
) -> Result<axum::Json<Value>, Told> {
    let seconds = |name| -> Result<u64, Failure> {
        let ns = (number(&parameters, name, 0)? as u64).saturating_mul(1_000_000_000);
        Ok(ns)
    };
    let given = parameters.get("q").map_or("", String::as_str);
    let mut query =
        query::read(given).map_err(|reason| Failure::invalid(format!("invalid TraceQL query: {reason}")))?;
    let mut also = parameters.get("tags").map_or(Condition::All, |tags| tagged(tags));
    for (name, op) in [("minDuration", Op::AtLeast), ("maxDuration", Op::AtMost)] {
        if let Some(text) = parameters.get(name).filter(|text| !text.is_empty()) {
            let length = go_duration(text);
            let ns =
                length.ok_or_else(|| Failure::invalid(format!("invalid {name}: `{text}` is no length")))?;
            let field = Field::Known(Column::TraceDuration);
            also = also.and(Condition::Compare(field, op, Literal::Duration(ns as u64)));
        }
    }
    if also != Condition::All {
        query = match query {
            traces::Query::Spans(condition) => traces::Query::Spans(condition.and(also)),
            sets => traces::Query::And(Box::new(sets), Box::new(traces::Query::Spans(also))),
        };
    }
    let wanted = Wanted {
        query,
        from_ns: seconds("start")?,
        to_ns: seconds("end")?,
        limit: number(&parameters, "limit", LIMIT_DEFAULT)?.clamp(1, LIMIT_MAX),
    };
    let shown = number(&parameters, "spss", SPANS_DEFAULT)?.clamp(1, SPANS_MAX);
    let store = &shared.context.traces;
    let found = found::find(store, &wanted).await?;
    let asked = wanted.query.to_string();
    let mut rows = Vec::with_capacity(found.len());
    for of in &found {
        // It may have been deleted meanwhile.
        if let Some((skeleton, matched)) = store.find(of.trace_id, &asked).await.map_err(Failure::from)? {
            let first: Vec<usize> = matched.iter().take(shown).map(|at| *at as usize).collect();
            let spans = store.spans_at(&skeleton, &first).await.map_err(Failure::from)?;
            rows.push(summary(of, &skeleton, matched.len(), &spans));
        }
    }
    Ok(axum::Json(
        json!({ "traces": rows, "metrics": { "inspectedTraces": found.len(), "completedJobs": 1, "totalJobs": 1 } }),
    ))
}

/// `service.name=cart http.method="GET"`, as the search of before has it.
fn tagged(tags: &str) -> Condition {
    let pairs = tags.split_whitespace().filter_map(|pair| pair.split_once('='));
    pairs.fold(Condition::All, |all, (key, value)| {
        let value = value.trim_matches('"');
        all.and(match key {
            "service.name" => equals(Column::Handler, service_name(value).as_str()),
            "name" => equals(Column::Name, value),
            key => attribute_equals(key, value),
        })
    })
}

fn summary(of: &TraceSummary, skeleton: &Skeleton, matched: usize, spans: &[Span]) -> Value {
    let spans: Vec<Value> = spans
        .iter()
        .map(|span| {
            // Under its own name, which is not always one of ours.
            let resource = otlp::resource_attributes(span).into_iter();
            let service = resource.filter(|pair| pair.key == "service.name");
            json!({
                "spanID": span.span_id,
                "name": span.name,
                "startTimeUnixNano": span.start_unix_ns.to_string(),
                "durationNanos": span.duration_ns.to_string(),
                "attributes": service.collect::<Vec<_>>(),
            })
        })
        .collect();
    let services: BTreeMap<&str, Value> = found::spans_by_handler(skeleton)
        .into_iter()
        .map(|(name, (count, failed))| (name, json!({ "spanCount": count, "errorCount": failed })))
        .collect();
    let set = json!({ "spans": spans, "matched": matched });
    json!({
        "traceID": of.trace_id,
        "rootServiceName": of.handler,
        "rootTraceName": of.name,
        "startTimeUnixNano": of.start_unix_ns.to_string(),
        "durationMs": of.duration_ns / 1_000_000,
        "spanSet": set,
        "spanSets": [set],
        "serviceStats": services,
    })
}

async fn tags(
    State(shared): State<Shared>,
    Query(parameters): Query<Parameters>,
) -> Result<axum::Json<Value>, Told> {
    let scopes = scopes(&shared, &parameters).await?;
    let names: std::collections::BTreeSet<String> = scopes.into_iter().flat_map(|(_, tags)| tags).collect();
    Ok(axum::Json(json!({ "tagNames": names, "metrics": {} })))
}

async fn tags_v2(
    State(shared): State<Shared>,
    Query(parameters): Query<Parameters>,
) -> Result<axum::Json<Value>, Told> {
    let scopes = scopes(&shared, &parameters).await?;
    let scopes: Vec<Value> = scopes
        .into_iter()
        .map(|(name, tags)| json!({ "name": name, "tags": tags }))
        .collect();
    Ok(axum::Json(json!({ "scopes": scopes, "metrics": {} })))
}

async fn scopes(
    shared: &Shared,
    parameters: &Parameters,
) -> Result<Vec<(&'static str, Vec<String>)>, Failure> {
    let [resource, span] = found::attributes(&shared.context.traces).await?;
    let all = [
        ("resource", resource.into_keys().collect()),
        ("span", span.into_keys().collect()),
        ("intrinsic", INTRINSICS.map(str::to_owned).to_vec()),
    ];
    let wanted = parameters
        .get("scope")
        .map(String::as_str)
        .filter(|scope| !["", "all"].contains(scope));
    Ok(all
        .into_iter()
        .filter(|(name, _)| wanted.is_none_or(|wanted| wanted == *name))
        .collect())
}

async fn values(State(shared): State<Shared>, Path(tag): Path<String>) -> Result<axum::Json<Value>, Told> {
    let (_, values) = values_of(&shared, &tag).await?;
    Ok(axum::Json(json!({ "tagValues": values, "metrics": {} })))
}

async fn values_v2(State(shared): State<Shared>, Path(tag): Path<String>) -> Result<axum::Json<Value>, Told> {
    let (kind, values) = values_of(&shared, &tag).await?;
    let values: Vec<Value> = values
        .into_iter()
        .map(|value| json!({ "type": kind, "value": value }))
        .collect();
    Ok(axum::Json(json!({ "tagValues": values, "metrics": {} })))
}

/// The values of a tag, and their kind: a text, or a keyword of TraceQL.
async fn values_of(shared: &Shared, tag: &str) -> Result<(&'static str, Vec<String>), Failure> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let traces = &shared.context.traces;
    let (text, keyword) = ("string", "keyword");
    Ok(match tag {
        "status" | "span:status" => (keyword, words(&["error", "ok", "unset"])),
        "kind" | "span:kind" => (
            keyword,
            words(&["client", "consumer", "internal", "producer", "server"]),
        ),
        "name" | "span:name" | "rootName" | "trace:rootName" => {
            let operations = found::operations(traces, None).await?;
            let mut names: Vec<String> = operations.into_iter().map(|(name, _)| name).collect();
            names.dedup();
            (text, names)
        }
        "rootServiceName" | "trace:rootService" => {
            (text, found::services(traces).await?.into_iter().collect())
        }
        tag => {
            let [mut resource, mut span] = found::attributes(traces).await?;
            let (key, of_resource, of_span) = match tag {
                tag if tag.starts_with("resource.") => (&tag["resource.".len()..], true, false),
                tag if tag.starts_with("span.") => (&tag["span.".len()..], false, true),
                tag => (tag.trim_start_matches('.'), true, true),
            };
            let mut values = std::collections::BTreeSet::new();
            values.extend(resource.remove(key).filter(|_| of_resource).into_iter().flatten());
            values.extend(span.remove(key).filter(|_| of_span).into_iter().flatten());
            (text, values.into_iter().collect())
        }
    })
}
