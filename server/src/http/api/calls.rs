//! `call/{interface}/{function}`: a function by hand. Always sampled, called as `cli`, never queued.
//!
//! The slash within an interface's name may be written as it is or as `%2F`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use protocol::api::calls::{CallReply, CallRequest};
use protocol::{CallError, HandlerName, InterfaceName, SpanKind, SpanStatus, TraceContext, nearest};
use serde_json::Value;

use super::Shared;
use super::extract::{Callee, JsonBody};
use crate::dispatch::{Call, Dispatch};
use crate::http::error::Failure;
use crate::http::{CallableFunction, Context};
use crate::runtime::json;
use crate::telemetry::OpenSpan;

/// What a call may take where nothing else is said, and at most.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
const TIMEOUT_MAX: Duration = Duration::from_secs(300);

pub(super) async fn call(
    State(shared): State<Shared>,
    Callee { interface, function }: Callee,
    JsonBody(request): JsonBody<CallRequest>,
) -> Result<Json<CallReply>, Failure> {
    let context = &shared.context;
    let function = find(context, &interface, &function)?;
    if let Some(obstacle) = function.ty.obstacle() {
        let detail = format!(
            "`{}` passes a {obstacle}, which cannot leave the process",
            function.path
        );
        return Err(Failure::local_only(detail));
    }
    let timeout = timeout(&request)?;
    let args = json::encode_arguments(&function.ty, &request.args);
    let args = args.map_err(|error| Failure::json(&error, "/args"))?;
    let head = context.sampler.head_by_hand();
    let began = Instant::now();
    let call = Call {
        caller: HandlerName::cli(),
        handler: Some(function.handler.clone()),
        function: Arc::clone(&function.path),
        type_hash: None,
        args,
        deadline: began + timeout,
        trace: head,
        hop: 0,
        lift_ns: 0,
    };
    let result = carry_out(context, call, &function).await;
    let duration_ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let result = result.map_err(|failure| failure.traced(head.trace_id))?;
    Ok(Json(CallReply {
        result,
        trace_id: head.trace_id,
        duration_ns,
    }))
}

async fn carry_out(context: &Context, mut call: Call, function: &CallableFunction) -> Result<Value, Failure> {
    let mut span = open_span(context, &call.trace, function);
    if let Some(span) = &span {
        call.trace = span.context();
    }
    let reply = context.router.dispatch(call).await;
    if let Some(span) = &mut span {
        span.span_mut().status = match &reply {
            Ok(reply) if reply.is_err => SpanStatus::Err,
            Ok(_) => SpanStatus::Ok,
            Err(error) => failed(error),
        };
    }
    let mut reply = reply.map_err(|error| Failure::call(&error))?;
    // The call's span ends before the root's.
    drop(reply.span.take());
    drop(span);
    json::decode_result(&function.ty, &reply.value).map_err(|error| {
        Failure::bad_answer(format!(
            "`{}` answered with bytes of another type: {error}",
            function.path
        ))
    })
}

fn failed(error: &CallError) -> SpanStatus {
    SpanStatus::Failed {
        code: error.code,
        message: error.message.clone(),
    }
}

fn open_span(context: &Context, head: &TraceContext, function: &CallableFunction) -> Option<OpenSpan> {
    let name = Arc::from(format!("call {}", function.path));
    OpenSpan::begin_root(
        &context.recorder,
        head,
        SpanKind::Internal,
        &HandlerName::cli(),
        &name,
    )
}

fn timeout(request: &CallRequest) -> Result<Duration, Failure> {
    let timeout = request.timeout_ms.map_or(TIMEOUT_DEFAULT, Duration::from_millis);
    if timeout.is_zero() || timeout > TIMEOUT_MAX {
        let detail = format!(
            "`timeout_ms` is {}; write 1 to {}",
            timeout.as_millis(),
            TIMEOUT_MAX.as_millis()
        );
        return Err(Failure::invalid(detail).at("/timeout_ms"));
    }
    Ok(timeout)
}

/// Reads `[HANDLER@]INTERFACE`. The version's `@` comes after the slash, the handler's before.
pub(super) fn find(context: &Context, text: &str, function: &str) -> Result<CallableFunction, Failure> {
    let slash = text.find('/').unwrap_or(text.len());
    let (handler, interface) = match text[..slash].split_once('@') {
        Some((handler, _)) => (Some(handler), &text[handler.len() + 1..]),
        None => (None, text),
    };
    let invalid = |error: protocol::name::NameError| Failure::invalid(error.to_string());
    let handler = handler.map(HandlerName::parse).transpose().map_err(invalid)?;
    let interface = InterfaceName::parse(interface).map_err(invalid)?;
    let found = context.home.function(handler.as_ref(), &interface, function);
    found.ok_or_else(|| Failure::not_found(instead(context, handler.as_ref(), &interface, function)))
}

/// Says what there is instead.
fn instead(
    context: &Context,
    handler: Option<&HandlerName>,
    interface: &InterfaceName,
    function: &str,
) -> String {
    let handlers = context.home.handlers();
    if let Some(name) = handler
        && !handlers.iter().any(|known| known.name == *name)
    {
        return format!("there is no handler `{name}`; `cleave ls handlers` lists those that there are");
    }
    let of = handlers
        .iter()
        .filter(|known| handler.is_none_or(|name| known.name == *name));
    let exports: Vec<_> = of.flat_map(|known| &known.exports).collect();
    let same = exports
        .iter()
        .filter(|export| export.interface.unversioned() == interface.unversioned());
    let functions: Vec<&str> = same
        .flat_map(|export| &export.functions)
        .map(|known| known.name.as_str())
        .collect();
    if !functions.is_empty() {
        let hint = closest(function, functions.iter().copied());
        return format!(
            "`{interface}` has no function `{function}`{hint}; it has {}",
            functions.join(", ")
        );
    }
    let hint = closest(
        interface.as_str(),
        exports.iter().map(|export| export.interface.unversioned()),
    );
    match handler {
        Some(name) => format!("`{name}` does not serve `{interface}`{hint}"),
        None => format!("nobody serves `{interface}`{hint}; `cleave ls handlers` lists what there is"),
    }
}

fn closest<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(wanted, known)
        .map(|name| format!(" (did you mean `{name}`?)"))
        .unwrap_or_default()
}
