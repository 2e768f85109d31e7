//! `traces/{id}/export` and `traces/import`: traces as OTLP's JSON, in one file.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use protocol::TraceId;
use protocol::api::traces::Imported;
use tokio::time::{Duration, Instant};

use super::Shared;
use super::extract::Named;
use crate::http::error::Failure;
use crate::http::{body, guard};
use crate::otlp::{self, Encoding};

/// The largest file: a trace of the size that is exported has half of it.
const FILE_BYTES_MAX: usize = 128 << 20;
const FILE_WITHIN: Duration = Duration::from_secs(60);

/// One trace, whole.
pub(super) async fn export(
    State(shared): State<Shared>,
    Named(id): Named<TraceId>,
) -> Result<Response, Failure> {
    let whole = shared.context.traces.whole(id).await?;
    let whole = whole.ok_or_else(|| Failure::not_found(format!("there is no trace {id}")))?;
    let written = tokio::task::spawn_blocking(move || {
        let mut file = otlp::encode(&otlp::traces_data(&whole.spans), Encoding::Json);
        file.push(b'\n');
        file
    });
    let mut response = written
        .await
        .map_err(|error| Failure::internal(&error))?
        .into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(guard::JSON));
    let name = format!("attachment; filename=\"trace-{id}.json\"");
    if let Ok(name) = HeaderValue::try_from(name) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// Traces of a file; answered once they can be asked for. What is there already stays as it is.
pub(super) async fn import(
    State(shared): State<Shared>,
    request: Request,
) -> Result<Json<Imported>, Failure> {
    if !guard::is_of(request.headers(), guard::JSON) {
        let detail = format!("send `Content-Type: {}`", guard::JSON);
        return Err(Failure::unsupported_media_type(detail));
    }
    let file = body::read(request.into_body(), FILE_BYTES_MAX, Instant::now() + FILE_WITHIN).await?;
    let intake = std::sync::Arc::clone(&shared.context.intake);
    let read = tokio::task::spawn_blocking(move || {
        let decoded = otlp::decode(&file, Encoding::Json)?;
        Ok::<_, otlp::Error>(intake.take(&decoded.data))
    });
    let taken = read.await.map_err(|error| Failure::internal(&error))?;
    let taken = taken.map_err(|error| match error {
        otlp::Error::TooMany => Failure::too_many_spans(&error),
        error => Failure::invalid(error.to_string()),
    })?;
    let mut traces: Vec<TraceId> = taken.spans.iter().map(|span| span.trace_id).collect();
    traces.sort_unstable();
    traces.dedup();
    let spans = taken.spans.len() as u64;
    shared
        .context
        .traces
        .offer(taken.spans)
        .map_err(|_| Failure::store_behind())?;
    shared.context.traces.flush().await?;
    Ok(Json(Imported {
        spans,
        refused: taken.refused,
        reasons: taken.reasons,
        traces,
    }))
}
