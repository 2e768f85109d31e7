//! Reading and writing whole frames on quinn's streams.
//!
//! A frame that arrives in one piece is never copied; what is held grows with the bytes received. A call or a reply is
//! the whole of its stream: bytes after it are refused.

use bytes::{Bytes, BytesMut};
use protocol::frame::{Body, FrameError};
use quinn::{ConnectionError, ReadError, RecvStream, SendStream, WriteError};

/// The most that one read takes: several packets, one buffer.
const CHUNK_BYTES_MAX: usize = 64 << 10;

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
    Lost(ConnectionError),
}

impl From<FrameError> for Fault {
    fn from(error: FrameError) -> Self {
        Self::Malformed(error)
    }
}

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Reset(_) => Self::Reset,
            ReadError::ConnectionLost(error) => Self::Lost(error),
            // Streams are read in order, once, and without early data.
            ReadError::ClosedStream | ReadError::IllegalOrderedRead | ReadError::ZeroRttRejected => {
                Self::Malformed(FrameError::CutShort)
            }
        }
    }
}

impl From<WriteError> for Fault {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Stopped(_) => Self::Reset,
            WriteError::ConnectionLost(error) => Self::Lost(error),
            WriteError::ClosedStream | WriteError::ZeroRttRejected => Self::Reset,
        }
    }
}

/// The next bytes of the stream, `None` at its end.
pub(super) async fn read_some(recv: &mut RecvStream) -> Result<Option<Bytes>, Fault> {
    Ok(recv
        .read_chunk(CHUNK_BYTES_MAX, true)
        .await?
        .map(|chunk| chunk.bytes))
}

/// Reads a head and gives it with the bytes that came behind it. `first` are bytes read before.
pub(super) async fn read_head<H>(
    recv: &mut RecvStream,
    first: Bytes,
    decode: impl Fn(&[u8]) -> Result<Option<(H, usize)>, FrameError>,
) -> Result<(H, Bytes), Fault> {
    let mut bytes = first;
    loop {
        if let Some((head, taken)) = decode(&bytes)? {
            return Ok((head, bytes.split_off(taken)));
        }
        let more = read_some(recv).await?.ok_or(FrameError::CutShort)?;
        bytes = join(&bytes, more);
    }
}

/// Reads the rest of a body, and the end of the stream behind it.
pub(super) async fn read_body(recv: &mut RecvStream, first: Bytes, len: usize) -> Result<Bytes, Fault> {
    let mut body = Body::new(len);
    body.push(first)?;
    while let Some(more) = read_some(recv).await? {
        body.push(more)?;
    }
    Ok(body.finish()?)
}

/// Reads exactly `len` bytes behind `rest`, and leaves in it what came after them.
pub(super) async fn read_exact(recv: &mut RecvStream, rest: &mut Bytes, len: usize) -> Result<Bytes, Fault> {
    let mut body = Body::new(len);
    body.push(rest.split_to(rest.len().min(len)))?;
    while body.received() < len {
        let mut more = read_some(recv).await?.ok_or(FrameError::CutShort)?;
        let missing = len - body.received();
        *rest = more.split_off(more.len().min(missing));
        body.push(more)?;
    }
    Ok(body.finish()?)
}

/// Writes a head and what follows it, and ends the stream.
pub(super) async fn write(send: &mut SendStream, mut head: BytesMut, body: Bytes) -> Result<(), Fault> {
    if body.len() <= INLINE_BYTES_MAX {
        head.extend_from_slice(&body);
        send.write_chunk(head.freeze()).await?;
    } else {
        send.write_all_chunks(&mut [head.freeze(), body]).await?;
    }
    // Fails only where the stream was finished or reset before, which the writer owns.
    let _ = send.finish();
    Ok(())
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
