//! Reading whole frames off a stream, whatever carries it.
//!
//! A frame that arrives in one piece is never copied; what is held grows with the bytes received. A call or a reply is
//! the whole of its stream: bytes after it are refused.

use bytes::{Bytes, BytesMut};
use protocol::frame::{Body, FrameError};

use super::path::{Lost, Receiver};

/// A result up to this size is copied behind its head, so that both leave in one piece.
pub(super) const INLINE_BYTES_MAX: usize = 4 << 10;

/// Why a frame could not be read or written.
#[derive(Debug)]
pub(super) enum Fault {
    /// The bytes are no frame.
    Malformed(FrameError),
    /// The peer gave the stream up.
    Reset,
    /// The connection is gone.
    Lost(Lost),
}

impl From<FrameError> for Fault {
    fn from(error: FrameError) -> Self {
        Self::Malformed(error)
    }
}

/// Reads a head and gives it with the bytes that came behind it. `first` are bytes read before.
pub(super) async fn read_head<H>(
    recv: &mut Receiver,
    first: Bytes,
    decode: impl Fn(&[u8]) -> Result<Option<(H, usize)>, FrameError>,
) -> Result<(H, Bytes), Fault> {
    let mut bytes = first;
    loop {
        if let Some((head, taken)) = decode(&bytes)? {
            return Ok((head, bytes.split_off(taken)));
        }
        let more = recv.read().await?.ok_or(FrameError::CutShort)?;
        bytes = join(&bytes, more);
    }
}

/// Reads the rest of a body, and the end of the stream behind it.
pub(super) async fn read_body(recv: &mut Receiver, first: Bytes, len: usize) -> Result<Bytes, Fault> {
    let mut body = Body::new(len);
    body.push(first)?;
    while let Some(more) = recv.read().await? {
        body.push(more)?;
    }
    Ok(body.finish()?)
}

/// Reads exactly `len` bytes behind `rest`, and leaves in it what came after them.
pub(super) async fn read_exact(recv: &mut Receiver, rest: &mut Bytes, len: usize) -> Result<Bytes, Fault> {
    let mut body = Body::new(len);
    body.push(rest.split_to(rest.len().min(len)))?;
    while body.received() < len {
        let mut more = recv.read().await?.ok_or(FrameError::CutShort)?;
        let missing = len - body.received();
        *rest = more.split_off(more.len().min(missing));
        body.push(more)?;
    }
    Ok(body.finish()?)
}

fn join(bytes: &Bytes, more: Bytes) -> Bytes {
    if bytes.is_empty() {
        return more;
    }
    let mut joined = BytesMut::with_capacity(bytes.len() + more.len());
    joined.extend_from_slice(bytes);
    joined.extend_from_slice(&more);
    joined.freeze()
}
