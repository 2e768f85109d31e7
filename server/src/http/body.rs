//! Bodies of requests: read whole, within a size and a time.

use bytes::Bytes;
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::Instant;

use super::error::Failure;

/// Reads a body of at most `bytes_max` by `deadline`.
pub(super) async fn read<B>(body: B, bytes_max: usize, deadline: Instant) -> Result<Bytes, Failure>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    // What says beforehand that it is too large is not read at all.
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(Failure::too_large(bytes_max));
    }
    let whole = Limited::new(body, bytes_max).collect();
    match tokio::time::timeout_at(deadline, whole).await {
        Err(_) => Err(Failure::too_slow()),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Failure::too_large(bytes_max)),
        Ok(Err(error)) => Err(Failure::invalid(format!("the body broke off: {error}"))),
    }
}
