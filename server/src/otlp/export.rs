//! OTLP out: what was stored goes on to another collector, over HTTP in protobuf.
//!
//! Promises: nothing here waits for the collector but this task. What cannot be sent is tried again, later each time, for
//! some minutes; what waits is bounded, and what is given up is counted. A span goes out once, so that two that send to
//! each other do not send it for ever.
//!
//! `opentelemetry-otlp` is not used: it sends what its SDK recorded, for one resource and from its own queue, whereas
//! here every span has its own resource and was recorded, sampled and stored already.

mod seen;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use protocol::Span;
use protocol::api::OtlpExport;
use rand::Rng;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::wire::Fields;
use super::{Encoding, encode, traces_data};
use seen::Seen;

/// Spans of one request: well below what collectors take.
const BATCH_SPANS: usize = 1_000;
/// What one request may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The pause after a first failure; it doubles with each, to the most.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How long a batch is tried for.
const TRY_FOR: Duration = Duration::from_secs(5 * 60);
/// What the last spans may take once the node stops.
const LAST_WITHIN: Duration = Duration::from_secs(3);
/// How long it is waited for last spans.
const LAST_WAIT: Duration = Duration::from_millis(300);
/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// What became of the spans that go out; the store's side of it adds and drops.
#[derive(Debug, Default)]
pub struct Figures {
    sent: AtomicU64,
    refused: AtomicU64,
    error: Mutex<Option<String>>,
}

/// Sends spans on.
#[derive(Debug)]
pub struct Exporter {
    to: Uri,
    client: Client<HttpConnector, Full<Bytes>>,
    figures: Arc<Figures>,
    seen: Seen,
}

/// Why a batch did not get through.
enum Trouble {
    /// It may later.
    Passing { reason: String, after: Option<Duration> },
    /// It will not.
    Final(String),
}

/// Checks an address that spans shall go to; gives that of its traces.
pub fn endpoint(text: &str) -> Result<Uri, String> {
    let uri: Uri = text
        .parse()
        .map_err(|_| "not an address; write http://127.0.0.1:4318".to_owned())?;
    if uri.scheme_str() != Some("http") || uri.authority().is_none() {
        return Err(
            "spans go out over plain HTTP; write http://HOST:PORT, of a collector on this machine".to_owned(),
        );
    }
    let path = uri.path().trim_end_matches('/');
    let path = if path.ends_with("/v1/traces") {
        path.to_owned()
    } else {
        format!("{path}/v1/traces")
    };
    let authority = uri
        .authority()
        .map(http::uri::Authority::as_str)
        .unwrap_or_default();
    format!("http://{authority}{path}")
        .parse()
        .map_err(|_| "not an address".to_owned())
}

impl Figures {
    /// What the status shows; `waiting` and `dropped` are those of the store's side.
    pub fn show(&self, to: &Uri, waiting: u64, dropped: u64) -> OtlpExport {
        OtlpExport {
            to: to.to_string(),
            sent: self.sent.load(Ordering::Relaxed),
            waiting,
            dropped: dropped + self.refused.load(Ordering::Relaxed),
            error: self.error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    fn note(&self, error: Option<String>) {
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }
}

impl Exporter {
    /// An exporter to an address from [`endpoint`].
    pub fn new(to: Uri) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(ANSWER_WITHIN));
        Self {
            to,
            client: Client::builder(TokioExecutor::new()).build(connector),
            figures: Arc::default(),
            seen: Seen::default(),
        }
    }

    /// What became of the spans.
    pub fn figures(&self) -> Arc<Figures> {
        Arc::clone(&self.figures)
    }

    /// Sends what comes until it is cancelled, then what is left, once. `taken` is told how many spans no longer wait.
    pub async fn run(
        mut self,
        mut spans: mpsc::Receiver<Vec<Span>>,
        taken: impl Fn(usize) + Send,
        cancelled: CancellationToken,
    ) {
        while let Some(Some(batch)) = cancelled.run_until_cancelled(spans.recv()).await {
            let count = batch.len();
            self.batch(batch, &cancelled).await;
            taken(count);
        }
        let deadline = Instant::now() + LAST_WITHIN;
        while let Ok(Some(batch)) = tokio::time::timeout(LAST_WAIT, spans.recv()).await {
            let count = batch.len();
            if tokio::time::timeout_at(deadline, self.batch(batch, &cancelled))
                .await
                .is_err()
            {
                break;
            }
            taken(count);
        }
    }

    async fn batch(&mut self, mut batch: Vec<Span>, cancelled: &CancellationToken) {
        batch.retain(|span| self.seen.is_new(span));
        for part in batch.chunks(BATCH_SPANS) {
            let body = Bytes::from(encode(&traces_data(part), Encoding::Protobuf));
            let count = part.len() as u64;
            let refused = match self.deliver(body, cancelled).await {
                Ok(refused) => refused.min(count),
                Err(reason) => {
                    tracing::warn!(spans.dropped = count, to = %self.to, "spans could not be sent on: {reason}");
                    count
                }
            };
            self.figures.sent.fetch_add(count - refused, Ordering::Relaxed);
            self.figures.refused.fetch_add(refused, Ordering::Relaxed);
        }
    }

    /// Sends until it is taken, refused, or given up; how many spans were refused.
    async fn deliver(&self, body: Bytes, cancelled: &CancellationToken) -> Result<u64, String> {
        let give_up = Instant::now() + TRY_FOR;
        let mut pause = PAUSE_MIN;
        loop {
            let (reason, after) = match self.send(body.clone()).await {
                Ok(refused) => {
                    self.figures.note(None);
                    return Ok(refused);
                }
                Err(Trouble::Final(reason)) => {
                    self.figures.note(Some(reason.clone()));
                    return Err(reason);
                }
                Err(Trouble::Passing { reason, after }) => (reason, after),
            };
            self.figures.note(Some(reason.clone()));
            // Up to half as long again, so that many do not come back at once.
            let wait = after.unwrap_or_else(|| pause.mul_f64(rand::rng().random_range(1.0..1.5)));
            if Instant::now() + wait > give_up || cancelled.is_cancelled() {
                return Err(reason);
            }
            if cancelled
                .run_until_cancelled(tokio::time::sleep(wait))
                .await
                .is_none()
            {
                return Err(reason);
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn send(&self, body: Bytes) -> Result<u64, Trouble> {
        let passing = |reason: String| Trouble::Passing { reason, after: None };
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.to.clone())
            .header(CONTENT_TYPE, "application/x-protobuf")
            .body(Full::new(body))
            .map_err(|error| Trouble::Final(error.to_string()))?;
        let exchange = async {
            let response = self
                .client
                .request(request)
                .await
                .map_err(|error| passing(innermost(&error)))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| passing(error.to_string()))?.to_bytes();
            Ok::<_, Trouble>((parts, body))
        };
        let answer = tokio::time::timeout(ANSWER_WITHIN, exchange).await;
        let (parts, body) =
            answer.map_err(|_| passing(format!("no answer within {} s", ANSWER_WITHIN.as_secs())))??;
        let status = parts.status;
        if status.is_success() {
            return Ok(rejected(&body));
        }
        let reason = format!("{} answered {status}", self.to);
        // Those that OTLP says may pass.
        let is_passing = [429, 502, 503, 504].contains(&status.as_u16());
        if !is_passing {
            return Err(Trouble::Final(reason));
        }
        let after = parts
            .headers
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        let after = after.map(|seconds| Duration::from_secs(seconds).min(PAUSE_MAX));
        Err(Trouble::Passing { reason, after })
    }
}

/// How many spans an answer says were refused.
fn rejected(body: &[u8]) -> u64 {
    let partial = |body| -> Option<u64> {
        let mut rejected = 0;
        let mut fields = Fields::of(body);
        while let Some((number, field)) = fields.next().ok()? {
            if number == 1 {
                let mut inner = Fields::of(field.bytes(1).ok()?);
                while let Some((number, field)) = inner.next().ok()? {
                    if number == 1 {
                        rejected = field.varint(1).ok()?;
                    }
                }
            }
        }
        Some(rejected)
    };
    partial(body).unwrap_or(0)
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

#[cfg(test)]
mod tests;
