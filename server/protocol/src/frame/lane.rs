//! The frames of a lane: one TCP or Unix connection that carries the call streams of a link, interleaved.
//!
//! ```text
//! hello   version LEB · token 32 B        first, from who dialed; answered by a token of 32 B
//! frame   stream LEB · kind u8 · len LEB · bytes
//! ```
//!
//! Streams are opened by who dialed, with growing ids from 1, and begin with their first frame. `fin` is `data` after
//! which nothing follows; the reply's ends the stream. `reset` ends it at once, in both directions. `window` lets the
//! peer send more: on a stream, or as stream 0 on the lane.

use bytes::{BufMut, BytesMut};

use super::FrameError;
use super::cursor::{Cursor, head, put_leb};

/// The longest `data` or `fin`, in bytes, so that calls interleave.
pub const LANE_CHUNK_BYTES_MAX: usize = 64 << 10;
/// The longest head: stream, kind, length.
pub const LANE_HEAD_BYTES_MAX: usize = 10 + 1 + 3;
/// A token, in bytes.
pub const LANE_TOKEN_BYTES: usize = 32;
/// The longest hello.
pub const LANE_HELLO_BYTES_MAX: usize = 5 + LANE_TOKEN_BYTES;

/// The longest number in a `window`.
const NUMBER_BYTES_MAX: usize = 10;

/// What a frame of a lane is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum LaneKind {
    /// Bytes of a call or a reply.
    Data = 0,
    /// The last of them.
    Fin = 1,
    /// The stream is given up.
    Reset = 2,
    /// So many bytes more may be sent.
    Window = 3,
}

impl LaneKind {
    const ALL: [Self; 4] = [Self::Data, Self::Fin, Self::Reset, Self::Window];

    fn bytes_max(self) -> usize {
        match self {
            Self::Data | Self::Fin => LANE_CHUNK_BYTES_MAX,
            Self::Reset => 0,
            Self::Window => NUMBER_BYTES_MAX,
        }
    }
}

/// What precedes the bytes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneHead {
    /// The stream; 0 is the lane itself, and only of a `window`.
    pub stream: u64,
    /// What the frame is.
    pub kind: LaneKind,
    /// The length of its bytes, within the kind's limit.
    pub len: usize,
}

/// Writes a head; its bytes follow it.
pub fn encode_lane(head: &LaneHead, out: &mut BytesMut) {
    put_leb(out, head.stream);
    out.put_u8(head.kind as u8);
    put_leb(out, head.len as u64);
}

/// Writes a whole `window`.
pub fn encode_window(stream: u64, more: u64, out: &mut BytesMut) {
    let mut body = BytesMut::with_capacity(NUMBER_BYTES_MAX);
    put_leb(&mut body, more);
    let head = LaneHead {
        stream,
        kind: LaneKind::Window,
        len: body.len(),
    };
    encode_lane(&head, out);
    out.put_slice(&body);
}

/// Reads a head and says how many bytes it took; `None` while bytes are missing.
pub fn decode_lane(bytes: &[u8]) -> Result<Option<(LaneHead, usize)>, FrameError> {
    head(read(bytes))
}

fn read(bytes: &[u8]) -> Result<(LaneHead, usize), FrameError> {
    let mut cursor = Cursor::new(bytes);
    let stream = cursor.leb(64)?;
    let value = cursor.u8()?;
    let kind = LaneKind::ALL
        .into_iter()
        .find(|kind| *kind as u8 == value)
        .ok_or(FrameError::Unknown {
            what: "lane frame",
            value,
        })?;
    if stream == 0 && kind != LaneKind::Window {
        return Err(FrameError::Malformed("stream of a lane"));
    }
    let len = cursor.len(kind.bytes_max())?;
    Ok((LaneHead { stream, kind, len }, cursor.taken()))
}

/// Reads the body of a `window`.
pub fn decode_window(bytes: &[u8]) -> Result<u64, FrameError> {
    let mut cursor = Cursor::new(bytes);
    let more = cursor.leb(64)?;
    cursor.end()?;
    Ok(more)
}

/// Writes the hello.
pub fn encode_lane_hello(version: u32, token: &[u8; LANE_TOKEN_BYTES], out: &mut BytesMut) {
    put_leb(out, u64::from(version));
    out.put_slice(token);
}

/// Reads a hello, version and token, and says how many bytes it took; `None` while bytes are missing.
pub fn decode_lane_hello(bytes: &[u8]) -> Result<Option<(u32, [u8; LANE_TOKEN_BYTES], usize)>, FrameError> {
    let mut cursor = Cursor::new(bytes);
    let mut hello = || Ok((cursor.leb32()?, cursor.array()?, cursor.taken()));
    head(hello())
}
