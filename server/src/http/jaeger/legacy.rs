//! Jaeger's API of before: `{"data": …}` with times in µs, as Grafana's data source asks.

use std::collections::BTreeMap;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::question::{Parameters, handler, wanted_v1};
use super::{Failure, Hit, Shared, called, found, search};
use crate::otlp::model::{AnyValue, Event, KeyValue, Resource, Scope, Span};

/// A failure as v1 tells it.
pub(super) struct Told(Failure);

impl From<Failure> for Told {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl From<super::Told> for Told {
    fn from(told: super::Told) -> Self {
        Self(told.0)
    }
}

impl IntoResponse for Told {
    fn into_response(self) -> Response {
        let status = self.0.status();
        let errors = json!([{ "code": status.as_u16(), "msg": self.0.problem().detail }]);
        let body = json!({ "data": null, "total": 0, "limit": 0, "offset": 0, "errors": errors });
        (status, axum::Json(body)).into_response()
    }
}

type Answer = Result<axum::Json<Value>, Told>;

fn data(rows: Vec<Value>) -> axum::Json<Value> {
    axum::Json(json!({ "data": rows, "total": rows.len(), "limit": 0, "offset": 0, "errors": null }))
}

pub(super) async fn services(State(shared): State<Shared>) -> Answer {
    let services = found::services(&shared.context.traces).await?;
    Ok(data(services.into_iter().map(Value::from).collect()))
}

pub(super) async fn operations(State(shared): State<Shared>, Path(service): Path<String>) -> Answer {
    let operations = found::operations(&shared.context.traces, Some(handler(&service))).await?;
    let mut names: Vec<String> = operations.into_iter().map(|(name, _)| name).collect();
    names.dedup();
    Ok(data(names.into_iter().map(Value::from).collect()))
}

pub(super) async fn operations_of(
    State(shared): State<Shared>,
    Query(parameters): Query<Parameters>,
) -> Answer {
    let service = parameters
        .get("service")
        .ok_or_else(|| Failure::invalid("parameter 'service' is required"))?;
    let operations = found::operations(&shared.context.traces, Some(handler(service))).await?;
    let rows = operations
        .into_iter()
        .map(|(name, kind)| json!({ "name": name, "spanKind": kind }));
    Ok(data(rows.collect()))
}

pub(super) async fn traces(State(shared): State<Shared>, Query(parameters): Query<Parameters>) -> Answer {
    let ids = parameters.get("traceID");
    let hits = match ids {
        Some(id) => vec![found::by_id(&shared.context.traces, id).await?],
        None => search(&shared, &wanted_v1(&parameters)?).await?,
    };
    Ok(data(hits.iter().map(shown).collect()))
}

pub(super) async fn trace(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let hit = found::by_id(&shared.context.traces, &id).await?;
    Ok(data(vec![shown(&hit)]))
}

pub(super) async fn dependencies(State(shared): State<Shared>) -> axum::Json<Value> {
    let calls = called(&shared).into_iter();
    data(
        calls
            .map(|((parent, child), calls)| json!({ "parent": parent, "child": child, "callCount": calls }))
            .collect(),
    )
}

fn shown(hit: &Hit) -> Value {
    let mut processes: BTreeMap<String, Value> = BTreeMap::new();
    let mut spans = Vec::with_capacity(hit.whole.spans.len());
    for (at, of) in hit.data.resource_spans.iter().enumerate() {
        let process = format!("p{}", at + 1);
        processes.insert(process.clone(), self::process(&of.resource));
        for scope in &of.scope_spans {
            spans.extend(scope.spans.iter().map(|one| span(one, &scope.scope, &process)));
        }
    }
    json!({
        "traceID": hit.whole.summary.trace_id,
        "spans": spans,
        "processes": processes,
        "warnings": null,
    })
}

fn process(resource: &Resource) -> Value {
    let name = resource.attributes.iter().find(|pair| pair.key == "service.name");
    let tags = resource
        .attributes
        .iter()
        .filter(|pair| pair.key != "service.name");
    json!({
        "serviceName": name.map(|pair| found::text(&pair.value)).unwrap_or_default(),
        "tags": tags.map(tag).collect::<Vec<_>>(),
    })
}

fn span(span: &Span, scope: &Scope, process: &str) -> Value {
    let reference =
        |kind: &str, trace: Value, of: Value| json!({ "refType": kind, "traceID": trace, "spanID": of });
    let parent = span
        .parent_span_id
        .map(|parent| reference("CHILD_OF", json!(span.trace_id), json!(parent)));
    let links = span
        .links
        .iter()
        .map(|link| reference("FOLLOWS_FROM", json!(link.trace_id), json!(link.span_id)));
    let mut tags: Vec<Value> = span.attributes.iter().map(tag).collect();
    tags.push(json!({ "key": "span.kind", "type": "string", "value": found::kind(span.kind) }));
    tags.push(json!({ "key": "otel.scope.name", "type": "string", "value": scope.name }));
    if span.status.code == 2 {
        tags.push(json!({ "key": "otel.status_code", "type": "string", "value": "ERROR" }));
        tags.push(json!({ "key": "error", "type": "bool", "value": true }));
        if !span.status.message.is_empty() {
            let message = &span.status.message;
            tags.push(json!({ "key": "otel.status_description", "type": "string", "value": message }));
        }
    }
    json!({
        "traceID": span.trace_id,
        "spanID": span.span_id,
        "operationName": span.name,
        "references": parent.into_iter().chain(links).collect::<Vec<_>>(),
        "startTime": span.start_time_unix_nano / 1_000,
        "duration": span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano) / 1_000,
        "tags": tags,
        "logs": span.events.iter().map(log).collect::<Vec<_>>(),
        "processID": process,
        "flags": 1,
        "warnings": null,
    })
}

fn log(event: &Event) -> Value {
    let name = KeyValue::text("event", event.name.clone());
    let fields: Vec<Value> = std::iter::once(&name).chain(&event.attributes).map(tag).collect();
    json!({ "timestamp": event.time_unix_nano / 1_000, "fields": fields })
}

fn tag(pair: &KeyValue) -> Value {
    let (kind, value) = match &pair.value {
        AnyValue::Bool(value) => ("bool", json!(value)),
        AnyValue::Int(value) => ("int64", json!(value)),
        AnyValue::Double(value) => ("float64", json!(value)),
        other => ("string", json!(found::text(other))),
    };
    json!({ "key": pair.key, "type": kind, "value": value })
}
