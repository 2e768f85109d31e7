//! Bodies that come packed: gzip, to a limit of what comes out.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::HeaderValue;

use crate::http::error::Failure;
use crate::otlp::BODY_BYTES_MAX;

/// The body as it was before it was packed.
pub(super) async fn unpack(packed: Bytes, encoding: Option<&HeaderValue>) -> Result<Bytes, Failure> {
    match encoding.map(HeaderValue::as_bytes) {
        None | Some(b"" | b"identity") => Ok(packed),
        Some(b"gzip") => gunzip(packed).await,
        Some(_) => Err(Failure::unsupported_media_type(
            "send `Content-Encoding: gzip`, or none",
        )),
    }
}

pub(super) async fn gunzip(packed: Bytes) -> Result<Bytes, Failure> {
    let unpacked = tokio::task::spawn_blocking(move || {
        let mut body = Vec::new();
        let mut reader = MultiGzDecoder::new(packed.as_ref()).take(BODY_BYTES_MAX as u64 + 1);
        reader.read_to_end(&mut body).map(|_| body)
    });
    let unpacked = unpacked.await.map_err(|error| Failure::internal(&error))?;
    let body = unpacked.map_err(|error| Failure::invalid(format!("the body is no gzip: {error}")))?;
    if body.len() > BODY_BYTES_MAX {
        return Err(Failure::too_large(BODY_BYTES_MAX));
    }
    Ok(body.into())
}
