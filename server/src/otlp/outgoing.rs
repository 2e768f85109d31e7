//! Spans as OTLP: our own in the words of the conventions, foreign ones as they came.

use std::collections::BTreeMap;

use protocol::span::{Log, Stages, Value};
use protocol::{CalleeStages, Span, SpanKind, SpanStatus};

use super::conventions::{EVENT_LEVEL, LOG_EVENT, SCHEMA_URL, SCOPE, SYSTEM};
use super::model::{
    self, AnyValue, Event, KeyValue, Link, Resource, ResourceSpans, Scope, ScopeSpans, Status, TracesData,
};
use crate::telemetry::fields;

/// Spans of any traces, by resource and scope in a fixed order, each group in the order given.
pub fn traces_data(spans: &[Span]) -> TracesData {
    let mut resources: BTreeMap<String, ResourceSpans> = BTreeMap::new();
    for span in spans {
        let resource = Resource {
            attributes: resource_attributes(span),
        };
        let key: String = resource
            .attributes
            .iter()
            .map(|pair| format!("{}={:?};", pair.key, pair.value))
            .collect();
        let of = resources.entry(key).or_insert_with(|| ResourceSpans {
            resource,
            scope_spans: Vec::new(),
            schema_url: SCHEMA_URL.to_owned(),
        });
        let scope = scope(span);
        let place = of.scope_spans.iter().position(|known| known.scope == scope);
        let place = place.unwrap_or_else(|| {
            of.scope_spans.push(ScopeSpans {
                schema_url: if is_foreign(span) {
                    String::new()
                } else {
                    SCHEMA_URL.to_owned()
                },
                scope,
                spans: Vec::new(),
            });
            of.scope_spans.len() - 1
        });
        of.scope_spans[place].spans.push(one(span));
    }
    TracesData {
        resource_spans: resources.into_values().collect(),
    }
}

/// Whether a span came in from outside.
pub(super) fn is_foreign(span: &Span) -> bool {
    text_of(span, fields::SCOPE_NAME).is_some()
}

fn text_of<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    span.attributes.iter().find_map(|(name, value)| match value {
        Value::Text(text) if name.as_ref() == key => Some(text.as_ref()),
        _ => None,
    })
}

/// What the resource of a span says.
pub fn resource_attributes(span: &Span) -> Vec<KeyValue> {
    let service = text_of(span, fields::SERVICE_NAME).unwrap_or(span.handler.as_str());
    let mut attributes = vec![KeyValue::text(fields::SERVICE_NAME, service)];
    if is_foreign(span) {
        let kept = span.attributes.iter().filter_map(|(name, value)| {
            let key = name.strip_prefix(fields::RESOURCE)?.to_owned();
            Some(KeyValue {
                key,
                value: any(value),
            })
        });
        attributes.extend(kept);
    } else {
        attributes.push(KeyValue::text(fields::SERVICE_INSTANCE_ID, span.node.as_str()));
    }
    attributes.push(KeyValue::text(fields::NODE, span.node.as_str()));
    attributes
}

fn scope(span: &Span) -> Scope {
    match text_of(span, fields::SCOPE_NAME) {
        None => Scope {
            name: SCOPE.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        Some(name) => Scope {
            name: name.to_owned(),
            version: text_of(span, fields::SCOPE_VERSION)
                .unwrap_or_default()
                .to_owned(),
        },
    }
}

fn any(value: &Value) -> AnyValue {
    match value {
        Value::Text(text) => AnyValue::Text(text.as_ref().to_owned()),
        Value::Int(value) => AnyValue::Int(*value),
        Value::Float(value) => AnyValue::Double(*value),
        Value::Bool(value) => AnyValue::Bool(*value),
    }
}

fn one(span: &Span) -> model::Span {
    let mut out = model::Span {
        trace_id: Some(span.trace_id),
        span_id: Some(span.span_id),
        parent_span_id: span.parent_id,
        // Sampled: it is here.
        flags: 1,
        name: span.name.as_ref().to_owned(),
        kind: match span.kind {
            SpanKind::Internal => 1,
            SpanKind::Server => 2,
            SpanKind::Client => 3,
            SpanKind::Producer => 4,
            SpanKind::Consumer => 5,
        },
        start_time_unix_nano: span.start_unix_ns,
        end_time_unix_nano: span.start_unix_ns.saturating_add(span.duration_ns),
        events: span.logs.iter().map(event).collect(),
        status: status(span),
        ..model::Span::default()
    };
    out.links.extend(span.link.map(|link| Link {
        trace_id: Some(link.trace_id),
        span_id: Some(link.span_id),
    }));
    if is_foreign(span) {
        span.attributes
            .iter()
            .for_each(|(name, value)| kept(&mut out, name, value));
    } else {
        for (name, value) in &span.attributes {
            out.attributes.push(KeyValue {
                key: name.as_ref().to_owned(),
                value: any(value),
            });
        }
        generated(&mut out.attributes, span);
    }
    out
}

fn status(span: &Span) -> Status {
    match &span.status {
        SpanStatus::Failed { message, .. } => Status {
            message: message.clone(),
            code: 2,
        },
        SpanStatus::Ok | SpanStatus::Err => Status {
            message: String::new(),
            code: u64::from(text_of(span, fields::STATUS_CODE) == Some("OK")),
        },
    }
}

/// An attribute that is kept with a foreign span: to where it came from.
fn kept(out: &mut model::Span, name: &str, value: &Value) {
    let count = |value: &Value| match value {
        Value::Int(count) => u32::try_from(*count).unwrap_or(u32::MAX),
        _ => 0,
    };
    match name {
        fields::SERVICE_NAME | fields::SCOPE_NAME | fields::SCOPE_VERSION | fields::STATUS_CODE => {}
        name if name.starts_with(fields::RESOURCE) => {}
        fields::DROPPED_ATTRIBUTES => out.dropped_attributes_count = count(value),
        fields::DROPPED_LINKS => out.dropped_links_count = count(value),
        fields::LOGS_DROPPED => out.dropped_events_count = count(value),
        fields::TRACE_STATE => {
            if let Value::Text(text) = value {
                out.trace_state = text.as_ref().to_owned();
            }
        }
        fields::ENDED_EARLY_NS => {
            if let Value::Int(early) = value {
                let early = early.unsigned_abs();
                out.end_time_unix_nano = out.start_time_unix_nano.saturating_sub(early);
            }
        }
        name if name.starts_with(fields::LINK) => {
            if let Value::Text(text) = value
                && let Some((trace, span)) = text.split_once('-')
            {
                out.links.push(Link {
                    trace_id: trace.parse().ok(),
                    span_id: span.parse().ok(),
                });
            }
        }
        name => out.attributes.push(KeyValue {
            key: name.to_owned(),
            value: any(value),
        }),
    }
}

fn event(log: &Log) -> Event {
    if log.level.as_ref() == EVENT_LEVEL {
        return Event {
            time_unix_nano: log.unix_ns,
            name: log.message.clone(),
            attributes: Vec::new(),
        };
    }
    Event {
        time_unix_nano: log.unix_ns,
        name: LOG_EVENT.to_owned(),
        attributes: vec![
            KeyValue::text(fields::LOG_LEVEL, log.level.as_ref()),
            KeyValue::text(fields::LOG_MESSAGE, log.message.clone()),
        ],
    }
}

/// The attributes that stand in fields of a span; those that `incoming` reads back.
fn generated(to: &mut Vec<KeyValue>, span: &Span) {
    let is_call = matches!(span.kind, SpanKind::Client | SpanKind::Server) && span.transport.is_some();
    if is_call {
        to.push(KeyValue::text(fields::RPC_SYSTEM_NAME, SYSTEM));
        to.push(KeyValue::text(fields::RPC_METHOD, span.name.as_ref()));
    }
    let operation = match span.kind {
        SpanKind::Producer => Some("send"),
        SpanKind::Consumer => Some("process"),
        _ => None,
    };
    if let Some(operation) = operation {
        to.push(KeyValue::text(fields::MESSAGING_SYSTEM, SYSTEM));
        to.push(KeyValue::text(fields::MESSAGING_OPERATION_TYPE, operation));
    }
    if let Some(peer) = &span.peer {
        to.push(KeyValue::text(fields::SERVICE_PEER_NAME, peer.as_str()));
    }
    if let Some(transport) = span.transport {
        to.push(KeyValue::text(fields::TRANSPORT, transport.word()));
    }
    if let Some(cold) = span.cold {
        to.push(KeyValue {
            key: fields::COLD.to_owned(),
            value: AnyValue::Bool(cold),
        });
    }
    match &span.status {
        SpanStatus::Ok => {}
        SpanStatus::Err => to.push(KeyValue::text(fields::RESULT, "err")),
        SpanStatus::Failed { code, .. } => to.push(KeyValue::text(fields::ERROR_TYPE, code.as_str())),
    }
    let callee = match &span.stages {
        None => return,
        Some(Stages::Callee(callee)) => callee,
        Some(Stages::Caller(caller)) => {
            for (name, ns) in [
                (fields::STAGE_LIFT, caller.lift),
                (fields::STAGE_SEND, caller.send),
                (fields::STAGE_TRAVEL, caller.travel),
                (fields::STAGE_LOWER, caller.lower),
            ] {
                to.push(KeyValue::int(name, ns));
            }
            &caller.callee
        }
    };
    for (name, ns) in callee_stages(callee) {
        to.push(KeyValue::int(name, ns));
    }
}

fn callee_stages(stages: &CalleeStages) -> [(&'static str, u64); 6] {
    [
        (fields::STAGE_TOTAL, stages.total),
        (fields::STAGE_DECODE, stages.decode),
        (fields::STAGE_WAIT, stages.wait),
        (fields::STAGE_RUN, stages.run),
        (fields::STAGE_OUTGOING, stages.outgoing),
        (fields::STAGE_ENCODE, stages.encode),
    ]
}
