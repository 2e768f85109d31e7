//! gRPC's side of the door: one unary method, `TraceService/Export`, on HTTP/2 without TLS.
//!
//! A message is a frame: whether it is packed, its length, its bytes. The outcome stands in trailers, or, where there is
//! no message, in the headers. The service is so small that a gRPC library would be most of it.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::unpack::gunzip;
use super::{Accepted, BODY_WITHIN, Door};
use crate::http::error::Failure;
use crate::http::{body, guard};
use crate::otlp::{self, BODY_BYTES_MAX, Encoding};

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// What gRPC has for a method that is not there.
const UNIMPLEMENTED: u64 = 12;
/// The frame's head: packed or not, and the length.
const HEAD_BYTES: usize = 5;
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

pub(super) async fn answer(door: Arc<Door>, request: Request<Incoming>, port: u16) -> Response {
    if let Err(failure) = guard::check_otlp(request.uri(), request.headers(), port) {
        return failed(failure.grpc_code(), &failure.problem().detail);
    }
    let (parts, body) = request.into_parts();
    if parts.method != Method::POST || parts.uri.path() != EXPORT {
        let path = parts.uri.path();
        let message = format!("`{path}` is not served: Cleave takes traces alone, by `{EXPORT}`");
        return failed(UNIMPLEMENTED, &message);
    }
    match export(&door, &parts.headers, body).await {
        Ok(accepted) => done(&accepted),
        Err(failure) => failed(failure.grpc_code(), &failure.problem().detail),
    }
}

async fn export(door: &Arc<Door>, headers: &HeaderMap, body: Incoming) -> Result<Accepted, Failure> {
    let _turn = door.turn().await?;
    let bytes_max = BODY_BYTES_MAX + HEAD_BYTES;
    let frame = body::read(body, bytes_max, Instant::now() + BODY_WITHIN).await?;
    let message = message(frame, headers).await?;
    door.take(message, Encoding::Protobuf).await
}

/// The one message of a body.
async fn message(mut frame: Bytes, headers: &HeaderMap) -> Result<Bytes, Failure> {
    let short = || Failure::invalid("the gRPC message is cut short");
    if frame.len() < HEAD_BYTES {
        return Err(short());
    }
    let packed = frame.get_u8();
    let length = frame.get_u32() as usize;
    if frame.len() < length {
        return Err(short());
    }
    if frame.len() > length {
        return Err(Failure::invalid(
            "there is more than one gRPC message, where `Export` takes one",
        ));
    }
    match (packed, headers.get(ENCODING).map(HeaderValue::as_bytes)) {
        (0, _) => Ok(frame),
        (1, Some(b"gzip")) => gunzip(frame).await,
        _ => Err(Failure::unsupported_media_type(
            "pack with `grpc-encoding: gzip`, or not at all",
        )),
    }
}

fn done(accepted: &Accepted) -> Response {
    let message = otlp::answer(accepted.rejected, &accepted.message, Encoding::Protobuf);
    let mut frame = BytesMut::with_capacity(HEAD_BYTES + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).expect("an answer is some sentences"));
    frame.extend_from_slice(&message);
    let mut trailers = HeaderMap::new();
    trailers.insert(STATUS, HeaderValue::from_static("0"));
    let body = Full::new(frame.freeze()).with_trailers(std::future::ready(Some(Ok(trailers))));
    typed(Response::new(Body::new(body)))
}

fn failed(code: u64, message: &str) -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(STATUS, HeaderValue::from(code));
    if let Ok(message) = HeaderValue::try_from(escaped(message)) {
        headers.insert(MESSAGE, message);
    }
    typed(response)
}

fn typed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-accept-encoding", HeaderValue::from_static("identity,gzip"));
    response
}

/// A message as gRPC's headers have it: what is not printable ASCII, and `%`, in percent signs.
fn escaped(message: &str) -> String {
    let escape = |byte: u8| match byte {
        b' '..=b'~' if byte != b'%' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    message.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_escaped() {
        assert_eq!(escaped("50% of é\n"), "50%25 of %C3%A9%0A");
    }

    #[tokio::test]
    async fn frames_are_one_whole_message() {
        let none = HeaderMap::new();
        let message = async |bytes: &'static [u8]| message(Bytes::from_static(bytes), &none).await;
        assert_eq!(message(&[0, 0, 0, 0, 2, 7, 8]).await.unwrap().as_ref(), [7, 8]);
        for bad in [
            &[][..],
            &[0, 0, 0, 0],
            &[0, 0, 0, 0, 2, 7],
            &[0, 0, 0, 0, 1, 7, 8],
            &[1, 0, 0, 0, 1, 7],
            &[0, 255, 255, 255, 255, 7],
        ] {
            assert!(message(bad).await.is_err(), "{bad:?}");
        }
    }
}
