//! Reading and writing whole frames on quinn's streams.
//!
//! A frame that arrives in one piece is never copied; what is held grows with the bytes received. A call or a reply is
//! the whole of its stream: bytes after it are refused.

use bytes::{Bytes, BytesMut};
use protocol::frame::{Body, FrameError};
use quinn::{ConnectionError, ReadError, RecvStream, SendStream, WriteError};

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

/// A receiving half, with what the last look at it brought too many.
pub(super) struct Receiver {
    recv: RecvStream,
    held: Bytes,
}

impl Receiver {
    pub(super) fn new(recv: RecvStream) -> Self {
        Self {
            recv,
            held: Bytes::new(),
        }
    }

    /// The next bytes of the stream, `None` at its end. Cancel-safe.
    pub(super) async fn read(&mut self) -> Result<Option<Bytes>, Fault> {
        if !self.held.is_empty() {
            return Ok(Some(std::mem::take(&mut self.held)));
        }
        // Places for two, so that one look, which takes the connection's lock, sees the end behind a single piece too.
        let mut pieces = [const { Bytes::new() }; 2];
        if self.recv.read_chunks(&mut pieces).await?.is_none() {
            return Ok(None);
        }
        let [first, second] = pieces;
        self.held = second;
        Ok(Some(first))
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
