//! The OTLP doors: spans from other programs, over HTTP/1.1 (`/v1/traces`) and over gRPC.
//!
//! Promises: loopback only, no pages; a body has a limit in size, unpacked too, and in time, and few are read at once, so
//! that no number of senders takes more memory than those; what cannot be taken now is told so, with a time to come back;
//! what is wrong with single spans refuses those alone. An answer has its request's encoding.
//!
//! Logs and metrics are not taken, and the answer says so: a span that ended is stored as it is, and lines that come later
//! have no place in it; what Cleave counts itself is at `/metrics`.

mod grpc;
mod unpack;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::connections::{self, Version};
use super::error::Failure;
use super::{body, guard};
use crate::otlp::{self, BODY_BYTES_MAX, Encoding, Intake};
use crate::shutdown::Tasks;
use crate::traces::Traces;
use unpack::unpack;

/// Bodies that are read at the same time.
const BODIES_MAX: usize = 4;
/// How long a request waits for its turn.
const TURN_WITHIN: Duration = Duration::from_secs(1);
/// How long a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// What both doors share.
#[derive(Debug)]
pub struct Door {
    traces: Traces,
    intake: Arc<Intake>,
    turns: Semaphore,
    received: AtomicU64,
    refused: AtomicU64,
}

/// A body that was taken.
#[derive(Debug, PartialEq, Eq)]
struct Accepted {
    /// Spans that were refused.
    rejected: u64,
    /// Why; also what was left out of others.
    message: String,
}

impl Door {
    /// A door to a store.
    pub fn new(traces: Traces, intake: Arc<Intake>) -> Self {
        Self {
            traces,
            intake,
            turns: Semaphore::new(BODIES_MAX),
            received: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Spans taken and refused since the start.
    pub fn counts(&self) -> (u64, u64) {
        (
            self.received.load(Ordering::Relaxed),
            self.refused.load(Ordering::Relaxed),
        )
    }

    /// Waits for a turn to read a body.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, Failure> {
        let turn = tokio::time::timeout(TURN_WITHIN, self.turns.acquire()).await;
        let turn = turn.map_err(|_| {
            Failure::too_many_requests(format!(
                "{BODIES_MAX} bodies are being read, the most at once; come back"
            ))
        })?;
        Ok(turn.expect("the semaphore is never closed"))
    }

    /// Reads a body's message and hands its spans to the store.
    async fn take(self: &Arc<Self>, message: Bytes, encoding: Encoding) -> Result<Accepted, Failure> {
        let door = Arc::clone(self);
        // A large body takes tens of milliseconds of a core: not on a thread that serves calls.
        let read = tokio::task::spawn_blocking(move || {
            let decoded = otlp::decode(&message, encoding)?;
            Ok::<_, otlp::Error>((door.intake.take(&decoded.data), decoded.dropped_values))
        });
        let read = read.await.map_err(|error| Failure::internal(&error))?;
        let (taken, dropped_values) = read.map_err(|error| match error {
            otlp::Error::TooMany => Failure::too_many_spans(&error),
            error => Failure::invalid(error.to_string()),
        })?;
        let count = taken.spans.len() as u64;
        if !taken.spans.is_empty() && self.traces.offer(taken.spans).is_err() {
            return Err(Failure::store_behind());
        }
        self.received.fetch_add(count, Ordering::Relaxed);
        self.refused.fetch_add(taken.refused, Ordering::Relaxed);
        let mut reasons = taken.reasons;
        if dropped_values > 0 {
            reasons.push(format!(
                "{dropped_values} attributes, events and links beyond the {} of one body were left out",
                otlp::VALUES_MAX
            ));
        }
        Ok(Accepted {
            rejected: taken.refused,
            message: reasons.join("; "),
        })
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>, port: u16) -> Response {
        if let Err(failure) = guard::check_otlp(request.uri(), request.headers(), port) {
            return failure.into_response();
        }
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        if !["/v1/traces", "/v1/logs", "/v1/metrics"].contains(&path) {
            return Failure::not_found(format!("`{path}` is no path here; send spans to `/v1/traces`"))
                .into_response();
        }
        if parts.method != Method::POST {
            return Failure::method_not_allowed(&parts.method, path).into_response();
        }
        let Some(encoding) = encoding(&parts.headers) else {
            let detail = "send `Content-Type: application/x-protobuf` or `application/json`";
            return Failure::unsupported_media_type(detail).into_response();
        };
        let outcome = match path {
            "/v1/traces" => self.export(&parts.headers, body, encoding).await,
            path => Err(Failure::no_such_signal(path)),
        };
        match outcome {
            Ok(accepted) => {
                let answer = otlp::answer(accepted.rejected, &accepted.message, encoding);
                with_type(StatusCode::OK, answer, encoding)
            }
            Err(failure) => told(&failure, encoding),
        }
    }

    async fn export(
        self: &Arc<Self>,
        headers: &HeaderMap,
        body: Incoming,
        encoding: Encoding,
    ) -> Result<Accepted, Failure> {
        let _turn = self.turn().await?;
        let packed = body::read(body, BODY_BYTES_MAX, Instant::now() + BODY_WITHIN).await?;
        let message = unpack(packed, headers.get(CONTENT_ENCODING)).await?;
        self.take(message, encoding).await
    }
}

/// Serves OTLP over HTTP, or over gRPC, until the tasks are cancelled.
pub async fn serve_otlp(listener: TcpListener, door: Arc<Door>, is_grpc: bool, tasks: Tasks) {
    let port = match listener.local_addr() {
        Ok(address) => address.port(),
        Err(error) => {
            tracing::error!(%error, "an OTLP listener has no address");
            return;
        }
    };
    let service = hyper::service::service_fn(move |request| {
        let door = Arc::clone(&door);
        async move {
            let answer = if is_grpc {
                grpc::answer(door, request, port).await
            } else {
                door.answer(request, port).await
            };
            Ok::<_, Infallible>(answer)
        }
    });
    let version = if is_grpc { Version::Two } else { Version::One };
    connections::serve(listener, service, version, tasks).await;
}

fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    if guard::is_of(headers, "application/x-protobuf") {
        Some(Encoding::Protobuf)
    } else if guard::is_of(headers, guard::JSON) {
        Some(Encoding::Json)
    } else {
        None
    }
}

fn with_type(status: StatusCode, body: Vec<u8>, encoding: Encoding) -> Response {
    let media_type = match encoding {
        Encoding::Protobuf => "application/x-protobuf",
        Encoding::Json => guard::JSON,
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// A failure as a `google.rpc.Status` in the request's encoding.
fn told(failure: &Failure, encoding: Encoding) -> Response {
    let body = otlp::status(failure.grpc_code(), &failure.problem().detail, encoding);
    let mut response = with_type(failure.status(), body, encoding);
    if let Some(seconds) = failure.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

#[cfg(test)]
mod tests;
