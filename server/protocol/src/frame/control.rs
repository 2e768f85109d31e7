//! The frames of the control stream: one in each direction of a connection, open as long as it lives.
//!
//! `hello` comes first. `sync n` asks the peer to say `synced n` once everything that it wrote before is written, so
//! that who misses a function knows whether the table is behind or the function is not there. `drain` says that new
//! calls will be refused; `drained` answers that none is under way any more. `retire` asks to leave this connection for another
//! one, and is answered by `drained` and by the end of the stream.

use bytes::{BufMut, Bytes, BytesMut};

use super::cursor::{Cursor, head, put_leb, put_str};
use super::{FrameError, TABLE_BYTES_MAX};
use crate::control::{CONTROL_BYTES_MAX, Control};

/// The longest body of the small kinds.
const SMALL_BYTES_MAX: usize = 32;

/// The longest path of a Unix socket, in bytes: what the system's address holds.
pub const SOCKET_PATH_BYTES_MAX: usize = 107;

/// What a control frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Version and incarnation of the sender, and where it takes lanes.
    Hello = 1,
    /// Adds to the table of exports.
    Exports = 2,
    /// Adds to the table of callers.
    Callers = 3,
    /// A [`Control`] message.
    Control = 4,
    /// Asks for `synced`.
    Sync = 5,
    /// Everything before is written.
    Synced = 6,
    /// The sender takes no new calls.
    Drain = 7,
    /// The sender has no call under way on this connection and begins none.
    Drained = 8,
    /// The sender has another connection for what follows, and ends this one when nothing is under way on it.
    Retire = 9,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Hello,
        Self::Exports,
        Self::Callers,
        Self::Control,
        Self::Sync,
        Self::Synced,
        Self::Drain,
        Self::Drained,
        Self::Retire,
    ];

    fn bytes_max(self) -> usize {
        match self {
            Self::Exports | Self::Callers => TABLE_BYTES_MAX,
            Self::Control => CONTROL_BYTES_MAX,
            Self::Hello => SMALL_BYTES_MAX + SOCKET_PATH_BYTES_MAX,
            Self::Sync | Self::Synced => SMALL_BYTES_MAX,
            Self::Drain | Self::Drained | Self::Retire => 0,
        }
    }
}

/// What precedes the body of a control frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope {
    /// What the body is.
    pub kind: Kind,
    /// Its length, within the kind's limit.
    pub len: usize,
}

/// The first frame of a control stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The sender's [`super::Version`], as a number: a later one is refused in words.
    pub version: u32,
    /// Which start of its process this is.
    pub incarnation: u64,
    /// Where it takes TCP, beside the address of this connection; 0 where it does not.
    pub tcp_port: u16,
    /// The path of its Unix socket; empty where it has none.
    pub uds_path: String,
}

/// Reads an envelope and says how many bytes it took; `None` while bytes are missing.
pub fn decode_envelope(bytes: &[u8]) -> Result<Option<(Envelope, usize)>, FrameError> {
    head(read(bytes))
}

fn read(bytes: &[u8]) -> Result<(Envelope, usize), FrameError> {
    let mut cursor = Cursor::new(bytes);
    let value = cursor.u8()?;
    let kind = Kind::ALL
        .into_iter()
        .find(|kind| *kind as u8 == value)
        .ok_or(FrameError::Unknown {
            what: "control frame",
            value,
        })?;
    let len = cursor.len(kind.bytes_max())?;
    Ok((Envelope { kind, len }, cursor.taken()))
}

/// Writes a frame whose body is already bytes.
pub fn encode_mark(kind: Kind, body: &[u8], out: &mut BytesMut) {
    out.put_u8(kind as u8);
    put_leb(out, body.len() as u64);
    out.put_slice(body);
}

/// Writes `hello`.
pub fn encode_hello(hello: &Hello, out: &mut BytesMut) {
    let mut body = BytesMut::with_capacity(SMALL_BYTES_MAX);
    put_leb(&mut body, u64::from(hello.version));
    put_leb(&mut body, hello.incarnation);
    put_leb(&mut body, u64::from(hello.tcp_port));
    put_str(&mut body, &hello.uds_path);
    encode_mark(Kind::Hello, &body, out);
}

/// Reads the body of `hello`.
pub fn decode_hello(bytes: &[u8]) -> Result<Hello, FrameError> {
    let mut cursor = Cursor::new(bytes);
    let hello = Hello {
        version: cursor.leb32()?,
        incarnation: cursor.leb(64)?,
        tcp_port: u16::try_from(cursor.leb(16)?).map_err(|_| FrameError::Number)?,
        uds_path: cursor.text("socket path", SOCKET_PATH_BYTES_MAX)?.to_owned(),
    };
    cursor.end()?;
    Ok(hello)
}

/// Writes `sync` or `synced` with its number.
pub fn encode_number(kind: Kind, number: u64, out: &mut BytesMut) {
    let mut body = BytesMut::with_capacity(SMALL_BYTES_MAX);
    put_leb(&mut body, number);
    encode_mark(kind, &body, out);
}

/// Reads the number of `sync` or `synced`.
pub fn decode_number(bytes: &[u8]) -> Result<u64, FrameError> {
    let mut cursor = Cursor::new(bytes);
    let number = cursor.leb(64)?;
    cursor.end()?;
    Ok(number)
}

/// The whole frame of a message; refused above [`CONTROL_BYTES_MAX`].
pub fn encode_control(control: &Control) -> Result<Bytes, FrameError> {
    let body = postcard::to_stdvec(control).map_err(|_| FrameError::Malformed("control message"))?;
    if body.len() > CONTROL_BYTES_MAX {
        return Err(FrameError::TooLong {
            bytes: body.len() as u64,
            bytes_max: CONTROL_BYTES_MAX,
        });
    }
    let mut out = BytesMut::with_capacity(body.len() + 6);
    encode_mark(Kind::Control, &body, &mut out);
    Ok(out.freeze())
}

/// Reads the body of a message.
pub fn decode_control(bytes: &[u8]) -> Result<Control, FrameError> {
    // Postcard reserves at most what serde deems cautious, whatever length the bytes claim.
    let (control, rest) =
        postcard::take_from_bytes(bytes).map_err(|_| FrameError::Malformed("control message"))?;
    if rest.is_empty() {
        Ok(control)
    } else {
        Err(FrameError::Trailing)
    }
}
