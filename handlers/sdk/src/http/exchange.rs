//! Between `wasi:http` and whole messages: reads a request to its end, writes a response to its end.

use super::{Handler, REQUEST_BYTES_MAX, Request, Response};
use crate::bindings::wasi::http::types::{
    Fields, IncomingBody, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use crate::bindings::wasi::io::streams::StreamError;
use crate::grant::Logging;
use crate::log::{Level, Log};

/// One read asks for this much; the host gives what it has.
const READ_BYTES: u64 = 64 << 10;

/// The SDK's own voice in the log.
struct Sdk;

impl Logging for Sdk {
    const CONTEXT: &'static str = "sdk::http";
}

/// Takes one exchange from `wasi:http` through a handler.
pub fn serve(handler: &impl Handler, incoming: IncomingRequest, out: ResponseOutparam) {
    let head = matches!(incoming.method(), Method::Head);
    let response = match read(&incoming) {
        Ok(request) => handler.handle(request),
        Err(refusal) => refusal,
    };
    drop(incoming);
    if let Err(reason) = write(response, head, out) {
        Sdk.log(Level::Warn, &format!("failed to write the response: {reason}"));
    }
}

fn read(incoming: &IncomingRequest) -> Result<Request, Response> {
    let target = incoming.path_with_query().unwrap_or_else(|| "/".to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let headers = incoming.headers().entries().into_iter();
    let body = incoming
        .consume()
        .map_err(|()| Response::text(400, "the request has no body to read\n"))?;
    Ok(Request {
        method: method(incoming.method()),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: headers
            .map(|(name, value)| {
                (
                    name.to_ascii_lowercase(),
                    String::from_utf8_lossy(&value).into_owned(),
                )
            })
            .collect(),
        body: read_body(&body)?,
    })
}

fn read_body(body: &IncomingBody) -> Result<Vec<u8>, Response> {
    let stream = body
        .stream()
        .map_err(|()| Response::text(400, "the request has no body to read\n"))?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(READ_BYTES) {
            Ok(more) if bytes.len() + more.len() > REQUEST_BYTES_MAX => {
                return Err(Response::text(413, "the request is larger than 1 MiB\n"));
            }
            Ok(more) => bytes.extend_from_slice(&more),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(_)) => {
                return Err(Response::text(400, "the request ended too early\n"));
            }
        }
    }
}

fn method(method: Method) -> String {
    let name = match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Connect => "CONNECT",
        Method::Options => "OPTIONS",
        Method::Trace => "TRACE",
        Method::Patch => "PATCH",
        Method::Other(name) => return name.to_ascii_uppercase(),
    };
    name.to_owned()
}

fn write(response: Response, head: bool, out: ResponseOutparam) -> Result<(), String> {
    let length = ("content-length".to_owned(), response.body.len().to_string());
    let headers = response.headers.into_iter().chain((!head).then_some(length));
    let headers = headers
        .map(|(name, value)| (name, value.into_bytes()))
        .collect::<Vec<_>>();
    let headers =
        Fields::from_list(&headers).map_err(|error| format!("a header is not allowed: {error:?}"))?;
    let outgoing = OutgoingResponse::new(headers);
    outgoing
        .set_status_code(response.status)
        .map_err(|()| format!("{} is no status", response.status))?;
    let body = outgoing.body().map_err(|()| "its body was taken".to_owned())?;
    ResponseOutparam::set(out, Ok(outgoing));
    if !head {
        write_body(&body, &response.body).map_err(|error| format!("{error:?}"))?;
    }
    OutgoingBody::finish(body, None).map_err(|error| format!("{error:?}"))
}

/// Writes as much at once as the host takes, and waits when it takes nothing.
fn write_body(body: &OutgoingBody, mut bytes: &[u8]) -> Result<(), StreamError> {
    let stream = body.write().map_err(|()| StreamError::Closed)?;
    while !bytes.is_empty() {
        let room = usize::try_from(stream.check_write()?).unwrap_or(usize::MAX);
        if room == 0 {
            stream.subscribe().block();
            continue;
        }
        let (now, later) = bytes.split_at(room.min(bytes.len()));
        stream.write(now)?;
        bytes = later;
    }
    stream.blocking_flush()
}
