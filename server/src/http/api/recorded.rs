//! `call/{interface}/{function}/recorded`: what a function was called with, where the spans of its calls kept it.
//!
//! Promises: arguments are shown as the function's present type reads them, and not at all where it cannot. Kept they are
//! only where `[traces] arguments` is on.

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::api::Page;
use protocol::api::calls::RecordedCall;
use protocol::api::traces::TraceQuery;
use protocol::span::Value;
use protocol::{InterfaceName, Span, SpanStatus};

use super::calls::find;
use super::extract::Callee;
use super::{Shared, whole};
use crate::http::error::Failure;
use crate::http::{CallableFunction, Context};
use crate::runtime::json;
use crate::telemetry::fields;
use crate::traces::{Column, Condition, Field, Literal, Op, Query};

/// Calls that are shown: of each trace the newest.
const RECORDED_MAX: u32 = 10;

pub(super) async fn list(
    State(shared): State<Shared>,
    Callee { interface, function }: Callee,
) -> Result<Json<Page<RecordedCall>>, Failure> {
    let context = &shared.context;
    let function = find(context, &interface, &function)?;
    let query = calls_of(&function).to_string();
    let page = TraceQuery {
        q: Some(query.clone()),
        limit: Some(RECORDED_MAX),
        ..TraceQuery::default()
    };
    let mut recorded = Vec::new();
    for summary in context.traces.list(&page).await?.items {
        // It may have been deleted meanwhile.
        let Some((skeleton, found)) = context.traces.find(summary.trace_id, &query).await? else {
            continue;
        };
        let newest: Vec<usize> = found.last().map(|at| *at as usize).into_iter().collect();
        let spans = context.traces.spans_at(&skeleton, &newest).await?;
        recorded.extend(spans.iter().filter_map(|span| shown(&function, span)));
    }
    Ok(whole(recorded))
}

/// Calls of a function that kept their arguments.
fn calls_of(function: &CallableFunction) -> Query {
    let is = |column, literal| Condition::Compare(Field::Known(column), Op::Equal, literal);
    let kept = Field::Attribute(fields::ARGS.to_owned());
    let all = is(Column::Kind, Literal::Word("client"))
        .and(is(
            Column::Peer,
            Literal::Text(function.handler.as_str().to_owned()),
        ))
        .and(is(Column::Name, Literal::Text(function.path.to_string())))
        .and(Condition::Compare(kept, Op::Unequal, Literal::Nil));
    Query::Spans(all)
}

fn shown(function: &CallableFunction, span: &Span) -> Option<RecordedCall> {
    Some(RecordedCall {
        trace_id: span.trace_id,
        span_id: span.span_id,
        start_unix_ns: span.start_unix_ns,
        caller: span.handler.clone(),
        failed: matches!(span.status, SpanStatus::Failed { .. }),
        arguments: read(function, span)?,
    })
}

/// What a call was made with, where its span kept it and the callee's function still reads it.
pub(super) fn arguments(context: &Context, span: &Span) -> Option<serde_json::Value> {
    let callee = span.peer.as_ref()?;
    let (interface, function) = span.name.rsplit_once('.')?;
    let interface = InterfaceName::parse(interface).ok()?;
    let function = context.home.function(Some(callee), &interface, function)?;
    read(&function, span)
}

fn read(function: &CallableFunction, span: &Span) -> Option<serde_json::Value> {
    let kept = span.attributes.iter().find_map(|(key, value)| match value {
        Value::Text(text) if key.as_ref() == fields::ARGS => Some(text),
        _ => None,
    })?;
    let bytes = STANDARD.decode(kept.as_bytes()).ok()?;
    json::decode_arguments(&function.ty, &bytes).ok()
}
