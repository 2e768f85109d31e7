//! What handlers extract, with problems for what cannot be read: a name of the path, a query, a body.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use bytes::Bytes;
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use tokio::time::{Duration, Instant};

use crate::http::body;
use crate::http::error::Failure;
use crate::http::guard::{self, JSON, WASM};
use crate::runtime::inspect::FILE_BYTES_MAX;

/// The largest JSON body. Arguments of a call are 16 MiB on the wire, and shorter there.
const JSON_BYTES_MAX: usize = 32 << 20;
/// How long a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(60);

/// The path's one parameter, parsed.
pub(super) struct Named<T>(pub(super) T);

impl<S, T> FromRequestParts<S> for Named<T>
where
    S: Send + Sync,
    T: FromStr<Err: Display> + Send,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|rejection| Failure::invalid(rejection.body_text()))?;
        text.parse()
            .map(Self)
            .map_err(|error: T::Err| Failure::invalid(error.to_string()))
    }
}

/// A function that the path names: its last segment, with the interface before it. Each segment is decoded by itself.
pub(super) struct Callee {
    pub(super) interface: String,
    pub(super) function: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Callee {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path = Path::<Vec<String>>::from_request_parts(parts, state).await;
        let Path(mut segments) = path.map_err(|rejection| Failure::invalid(rejection.body_text()))?;
        let function = segments.pop().unwrap_or_default();
        let interface = segments.join("/");
        Ok(Self { interface, function })
    }
}

/// The query, parsed.
pub(super) struct Parameters<T>(pub(super) T);

impl<S, T> FromRequestParts<S> for Parameters<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        let Query(value) = query.map_err(|rejection| Failure::invalid(rejection.body_text()))?;
        Ok(Self(value))
    }
}

/// A JSON body; one that is empty stands for `{}`.
pub(super) struct JsonBody<T>(pub(super) T);

impl<S, T> FromRequest<S> for JsonBody<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = Failure;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Failure> {
        let bytes = of_type(request, JSON, JSON_BYTES_MAX).await?;
        let json = if bytes.is_empty() {
            b"{}".as_slice()
        } else {
            &bytes
        };
        parse(json).map(Self)
    }
}

/// Reads JSON; what does not fit is pointed at.
fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, Failure> {
    let unreadable = |error: &serde_json::Error| Failure::invalid(error.to_string());
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let (path, error) = (error.path().clone(), error.into_inner());
        if !error.is_data() {
            // No JSON at all, or cut short: line and column say where.
            return unreadable(&error);
        }
        let text = error.to_string();
        let at = format!(" at line {} column {}", error.line(), error.column());
        let pointer: String = path.iter().map(step).collect();
        Failure::invalid(text.strip_suffix(&at).unwrap_or(&text)).at(pointer)
    })?;
    reader.end().map_err(|error| unreadable(&error))?;
    Ok(value)
}

/// One step of a JSON pointer (RFC 6901).
fn step(segment: &Segment) -> String {
    match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } | Segment::Enum { variant: key } => {
            format!("/{}", key.replace('~', "~0").replace('/', "~1"))
        }
        Segment::Unknown => String::new(),
    }
}

/// A component's bytes.
pub(super) struct WasmBody(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for WasmBody {
    type Rejection = Failure;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Failure> {
        of_type(request, WASM, FILE_BYTES_MAX as usize).await.map(Self)
    }
}

async fn of_type(request: Request, media_type: &str, bytes_max: usize) -> Result<Bytes, Failure> {
    if !guard::is_of(request.headers(), media_type) {
        return Err(Failure::unsupported_media_type(format!(
            "send `Content-Type: {media_type}`"
        )));
    }
    body::read(request.into_body(), bytes_max, Instant::now() + BODY_WITHIN).await
}
