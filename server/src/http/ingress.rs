//! Ingress: any outside request becomes a call of `cleave:http/exchange`, and its reply the answer.
//!
//! The root handler answers `/`; every HTTP handler also answers at `/~name/`, with the prefix stripped. Promises: every
//! answer names its trace in `x-trace-id`; a request has one deadline, from its first byte to its answer; a failure is a
//! small page, or a problem for clients that read JSON. Who goes away cancels the call.

mod page;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use protocol::exchange::{self, HEADERS_MAX, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX};
use protocol::span::Value;
use protocol::{CallError, ErrorCode, HandlerName, SpanKind, SpanStatus, TraceContext, TraceId};

use super::Context;
use super::body;
use super::error::Failure;
use crate::dispatch::{Call, Dispatch};
use crate::telemetry::{OpenSpan, fields};

/// Names an answer's trace.
const X_TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
const TRACEPARENT: &str = "traceparent";
/// The longest path in a span's name; the whole is in its attributes.
const NAME_BYTES_MAX: usize = 128;
/// The longest path kept in a span's attributes.
const PATH_BYTES_MAX: usize = 1_024;

/// Headers that are about one connection, not about the exchange (RFC 9110, 7.6.1).
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What became of a request.
enum Outcome {
    Answered(exchange::Response),
    Redirected(String),
    Failed(Failure, Option<CallError>),
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure, None)
    }
}

/// Answers one request.
pub(super) async fn answer(context: &Context, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let began = Instant::now();
    let inbound = request
        .headers()
        .get(TRACEPARENT)
        .and_then(|header| header.to_str().ok());
    let inbound = inbound.and_then(TraceContext::from_header);
    let head = context.sampler.head(inbound);
    let mut span = open_span(context, &head, inbound.is_some(), &request);
    let trace = span.as_ref().map_or(head, OpenSpan::context);
    let wants_json = page::wants_json(request.headers());
    let is_head = *request.method() == Method::HEAD;
    let outcome = exchange(context, request, trace, began).await;
    let mut response = match &outcome {
        Outcome::Answered(answer) => match passed_on(answer, is_head) {
            Ok(response) => response,
            Err(failure) => failed(context, &failure, trace, wants_json),
        },
        Outcome::Redirected(to) => redirect(to),
        Outcome::Failed(failure, _) => failed(context, failure, trace, wants_json),
    };
    if let Some(span) = &mut span {
        close_span(span, &outcome, response.status());
    }
    let id = HeaderValue::try_from(trace.trace_id.to_string()).expect("hexadecimal digits");
    response.headers_mut().insert(X_TRACE_ID, id);
    response
}

fn open_span(
    context: &Context,
    head: &TraceContext,
    is_inbound: bool,
    request: &Request<Incoming>,
) -> Option<OpenSpan> {
    if !head.sampled {
        return None;
    }
    let (method, path) = (request.method().as_str(), request.uri().path());
    let name = Arc::from(format!("{method} {}", cut(path, NAME_BYTES_MAX)));
    let ingress = HandlerName::ingress();
    let recorder = &context.recorder;
    let mut span = if is_inbound {
        OpenSpan::begin(recorder, head, SpanKind::Server, &ingress, &name)?
    } else {
        OpenSpan::begin_root(recorder, head, SpanKind::Server, &ingress, &name)?
    };
    let attributes = &mut span.span_mut().attributes;
    attributes.push((fields::HTTP_REQUEST_METHOD.into(), Value::Text(method.into())));
    attributes.push((
        fields::URL_PATH.into(),
        Value::Text(cut(path, PATH_BYTES_MAX).into()),
    ));
    Some(span)
}

fn close_span(span: &mut OpenSpan, outcome: &Outcome, status: StatusCode) {
    let record = span.span_mut();
    let code = Value::Int(i64::from(status.as_u16()));
    record
        .attributes
        .push((fields::HTTP_RESPONSE_STATUS_CODE.into(), code));
    record.status = match outcome {
        Outcome::Failed(_, Some(error)) => SpanStatus::Failed {
            code: error.code,
            message: error.message.clone(),
        },
        Outcome::Failed(failure, None) => {
            let message = failure.problem().detail.clone();
            SpanStatus::Failed {
                code: ErrorCode::Rejected,
                message,
            }
        }
        // The handler's own answer, and its own error.
        Outcome::Answered(_) if status.is_server_error() => SpanStatus::Err,
        Outcome::Answered(_) | Outcome::Redirected(_) => SpanStatus::Ok,
    };
}

async fn exchange(
    context: &Context,
    request: Request<Incoming>,
    trace: TraceContext,
    began: Instant,
) -> Outcome {
    let deadline = began + context.ingress_timeout;
    let target = match target(request.uri(), &context.ingress_root) {
        Ok(Target::Handler { name, path }) => (name, path),
        Ok(Target::Redirect(to)) => return Outcome::Redirected(to),
        Err(failure) => return failure.into(),
    };
    let (handler, path) = target;
    let (parts, incoming) = request.into_parts();
    let body = match body::read(incoming, REQUEST_BYTES_MAX, deadline.into()).await {
        Ok(body) => body,
        Err(failure) => return failure.into(),
    };
    let headers = kept(&parts.headers);
    if headers.len() > HEADERS_MAX {
        return Failure::too_many_headers(headers.len(), HEADERS_MAX).into();
    }
    let exchange = exchange::Request {
        method: parts.method.as_str().to_owned(),
        scheme: "http".to_owned(),
        authority: authority(&parts.uri, &parts.headers),
        path,
        headers,
        body,
    };
    let call = Call {
        caller: HandlerName::ingress(),
        handler: Some(handler),
        function: exchange_function(),
        type_hash: None,
        args: exchange.encode(),
        deadline,
        trace,
        hop: 0,
        lift_ns: 0,
    };
    match context.router.dispatch(call).await {
        // The reply's span ends here, before the root's does.
        Ok(reply) => match exchange::Response::decode(&reply.value) {
            Ok(response) => Outcome::Answered(response),
            Err(error) => Failure::bad_answer(format!("it is no HTTP response: {error}")).into(),
        },
        Err(error) => Outcome::Failed(Failure::call(&error), Some(error)),
    }
}

/// The function of every exchange, made once.
fn exchange_function() -> Arc<protocol::FunctionPath> {
    static FUNCTION: std::sync::LazyLock<Arc<protocol::FunctionPath>> =
        std::sync::LazyLock::new(|| Arc::new(exchange::function()));
    Arc::clone(&FUNCTION)
}

/// Who answers.
#[derive(Debug, PartialEq)]
enum Target {
    Handler { name: HandlerName, path: String },
    Redirect(String),
}

fn target(uri: &Uri, root: &HandlerName) -> Result<Target, Failure> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let Some(rest) = path.strip_prefix("/~") else {
        // `OPTIONS *` asks about the server as a whole, which is the root handler.
        let path = if path.starts_with('/') { path } else { "/" };
        return Ok(Target::Handler {
            name: root.clone(),
            path: path.to_owned(),
        });
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (name, rest) = rest.split_at(end);
    let parsed = HandlerName::parse(name).ok().filter(|name| !name.is_reserved());
    let name = parsed.ok_or_else(|| {
        Failure::not_found(format!(
            "no handler `{name}` is served; `cleave ls handlers` lists those that are"
        ))
    })?;
    if rest.starts_with('/') {
        Ok(Target::Handler {
            name,
            path: rest.to_owned(),
        })
    } else {
        // Without the slash, the page's relative links would miss their handler.
        Ok(Target::Redirect(format!("/~{name}/{rest}")))
    }
}

/// The host that was asked for, if it can stand in an address.
fn authority(uri: &Uri, headers: &HeaderMap) -> String {
    let given = match uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => headers.get(HOST).and_then(|host| host.to_str().ok()),
    };
    let given = given.filter(|given| given.parse::<http::uri::Authority>().is_ok());
    given.unwrap_or("localhost").to_owned()
}

/// The headers without those of the connection.
fn kept(headers: &HeaderMap) -> exchange::Headers {
    let named = named_by_connection(headers.get_all(CONNECTION).iter().map(HeaderValue::as_bytes));
    let kept = headers.iter().filter(|(name, _)| is_kept(name.as_str(), &named));
    kept.map(|(name, value)| (name.as_str().to_owned(), Bytes::copy_from_slice(value.as_bytes())))
        .collect()
}

fn named_by_connection<'a>(values: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    let values = values.filter_map(|value| std::str::from_utf8(value).ok());
    values
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect()
}

fn is_kept(name: &str, named: &[String]) -> bool {
    !HOP_BY_HOP.contains(&name) && !named.iter().any(|other| other == name)
}

/// The handler's answer as it goes out.
fn passed_on(answer: &exchange::Response, is_head: bool) -> Result<Response<Full<Bytes>>, Failure> {
    if answer.body.len() > RESPONSE_BYTES_MAX {
        return Err(Failure::bad_answer(format!(
            "it has {} bytes, {RESPONSE_BYTES_MAX} are the most",
            answer.body.len()
        )));
    }
    let status = StatusCode::from_u16(answer.status)
        .ok()
        .filter(|status| !status.is_informational())
        .ok_or_else(|| Failure::bad_answer(format!("its status is {}", answer.status)))?;
    let mut response = Response::new(Full::new(answer.body.clone()));
    *response.status_mut() = status;
    let connection = answer
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("connection"));
    let named = named_by_connection(connection.map(|(_, value)| value.as_ref()));
    for (name, value) in &answer.headers {
        let name = HeaderName::try_from(name.as_str())
            .map_err(|_| Failure::bad_answer(format!("`{name}` is no header's name")))?;
        // The length is that of the body that we have, but for HEAD, which has none.
        let is_ours = name == CONTENT_LENGTH && !(is_head && answer.body.is_empty());
        if is_ours || !is_kept(name.as_str(), &named) {
            continue;
        }
        let value = HeaderValue::from_maybe_shared(value.clone())
            .map_err(|_| Failure::bad_answer(format!("the value of its header `{name}` has a line break")))?;
        response.headers_mut().append(name, value);
    }
    Ok(response)
}

fn redirect(to: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    if let Ok(to) = HeaderValue::try_from(to) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}

fn failed(
    context: &Context,
    failure: &Failure,
    trace: TraceContext,
    wants_json: bool,
) -> Response<Full<Bytes>> {
    let failure = failure.clone().traced(trace.trace_id);
    let mut response = if wants_json {
        page::problem(&failure)
    } else {
        page::page(&failure, &trace_address(context, trace.trace_id))
    };
    if let Some(seconds) = failure.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

fn trace_address(context: &Context, trace_id: TraceId) -> String {
    format!("http://{}/traces/{trace_id}", context.home.status().ui)
}

fn cut(text: &str, bytes_max: usize) -> &str {
    let end = (0..=bytes_max.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests;
