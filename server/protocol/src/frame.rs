//! The frames that nodes exchange over QUIC, TCP and Unix sockets: pure bytes ⇄ values, without I/O.
//!
//! Decoders never index, never recurse and never allocate from a length that they were told: what they hold grows with
//! the bytes that came. A decoder of a frame's head answers `None` while bytes are missing, so that a reader can feed
//! it whatever has arrived. Reading and writing streams is the server's `quic`.
//!
//! ```text
//! call     flags u8 · caller LEB · function LEB · remaining_us LEB · hop u8 · traceparent 26 B · len LEB · args
//! reply    status u8 · stages {total, decode, wait, run, outgoing, encode} ns LEB (if asked) · len LEB · value | error
//! error    code LEB · message text · detail option<text>
//! control  kind u8 · len LEB · body
//! lane     stream LEB · kind u8 · len LEB · bytes
//! ```

#![deny(clippy::indexing_slicing)]

mod body;
mod call;
mod control;
mod cursor;
mod lane;
mod reply;
mod table;
#[cfg(test)]
mod tests;

pub use body::Body;
pub use call::{CALL_HEAD_BYTES_MAX, CallHead, decode_call, encode_call};
pub use control::{
    Envelope, Hello, Kind, SOCKET_PATH_BYTES_MAX, decode_control, decode_envelope, decode_hello,
    decode_number, encode_control, encode_hello, encode_mark, encode_number,
};
pub use lane::{
    LANE_CHUNK_BYTES_MAX, LANE_HEAD_BYTES_MAX, LANE_HELLO_BYTES_MAX, LANE_TOKEN_BYTES, LaneHead, LaneKind,
    decode_lane, decode_lane_hello, decode_window, encode_lane, encode_lane_hello, encode_window,
};
pub use reply::{
    REPLY_HEAD_BYTES_MAX, ReplyHead, Status, decode_error, decode_reply, encode_error, encode_reply,
};
pub use table::{
    Exported, FUNCTION_BYTES_MAX, TABLE_BYTES_MAX, TABLE_ENTRIES_MAX, TableFrame, decode_callers,
    decode_exports, encode_callers, encode_exports,
};

/// The history of the frames. Golden bytes in the tests change only together with a new entry here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Version {
    /// Calls and replies, exports and callers, control messages in postcard, sync, drain, retire.
    V1 = 1,
    /// A hello says where the other transports are reached, and lanes carry calls over those.
    V2 = 2,
}

/// The version that this build speaks.
pub const VERSION: Version = Version::V2;

/// What TLS negotiates; another version has another name, so that two versions never meet in a stream.
pub const ALPN: &[u8] = b"cleave/2";

/// The same for what carries only calls of a connection that is there already.
pub const LANE_ALPN: &[u8] = b"cleave-lane/2";

/// The longest arguments or result, in bytes.
pub const BODY_BYTES_MAX: usize = 16 << 20;

/// Bytes that are not a frame of this version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The stream ended, or the body's bytes did, before the frame.
    #[error("frame is cut short")]
    CutShort,
    /// More bytes than the frame says.
    #[error("frame has bytes after its end")]
    Trailing,
    /// A number that is too large for its field, or not in its shortest form.
    #[error("number does not fit its field, or is not in its shortest form")]
    Number,
    /// A length above the limit.
    #[error("frame of {bytes} bytes is longer than {bytes_max}")]
    TooLong {
        /// The length that it says.
        bytes: u64,
        /// The limit.
        bytes_max: usize,
    },
    /// A tag, kind or flag of no meaning in this version.
    #[error("unknown {what} {value}")]
    Unknown {
        /// What it should be.
        what: &'static str,
        /// What it is.
        value: u8,
    },
    /// Text that is not UTF-8, or not a name of its kind.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// A table frame that does not continue its table.
    #[error("table goes on at {first}, after {len} entries")]
    Gap {
        /// Where the frame starts.
        first: u32,
        /// The entries so far.
        len: usize,
    },
}
