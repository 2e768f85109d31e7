//! The head of a reply, and the error that stands in a failed one's body.
//!
//! Whether stages are there is not in the reply: the call asked for them or did not.

use bytes::{BufMut, BytesMut};

use super::cursor::{Cursor, head, put_leb, put_str};
use super::{BODY_BYTES_MAX, FrameError};
use crate::error::{CallError, ErrorCode, MESSAGE_BYTES_MAX};
use crate::span::CalleeStages;

/// The longest head: status, six stages, length.
pub const REPLY_HEAD_BYTES_MAX: usize = 1 + 6 * 10 + 5;

// `CallError` cuts to these; what is longer does not come from it.
const DETAIL_BYTES_MAX: usize = 4 * MESSAGE_BYTES_MAX;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// With a value.
    Ok = 0,
    /// With a value that is the callee's own `err`.
    Err = 1,
    /// It failed: the body is an error.
    Failed = 2,
}

/// What precedes the value or the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyHead {
    /// How it ended.
    pub status: Status,
    /// The callee's stages, if the call asked for them.
    pub stages: Option<CalleeStages>,
    /// The length of what follows, at most [`BODY_BYTES_MAX`].
    pub len: usize,
}

/// Writes the head; the value or the error follows it.
pub fn encode_reply(reply: &ReplyHead, out: &mut BytesMut) {
    out.put_u8(reply.status as u8);
    if let Some(stages) = &reply.stages {
        for ns in [
            stages.total,
            stages.decode,
            stages.wait,
            stages.run,
            stages.outgoing,
            stages.encode,
        ] {
            put_leb(out, ns);
        }
    }
    put_leb(out, reply.len as u64);
}

/// Reads a head and says how many bytes it took; `None` while bytes are missing. `stages` as the call asked.
pub fn decode_reply(bytes: &[u8], stages: bool) -> Result<Option<(ReplyHead, usize)>, FrameError> {
    head(read(bytes, stages))
}

fn read(bytes: &[u8], stages: bool) -> Result<(ReplyHead, usize), FrameError> {
    let mut cursor = Cursor::new(bytes);
    let status = match cursor.u8()? {
        0 => Status::Ok,
        1 => Status::Err,
        2 => Status::Failed,
        value => {
            return Err(FrameError::Unknown {
                what: "reply status",
                value,
            });
        }
    };
    let stages = if stages {
        Some(read_stages(&mut cursor)?)
    } else {
        None
    };
    let len = cursor.len(BODY_BYTES_MAX)?;
    Ok((ReplyHead { status, stages, len }, cursor.taken()))
}

fn read_stages(cursor: &mut Cursor<'_>) -> Result<CalleeStages, FrameError> {
    Ok(CalleeStages {
        total: cursor.leb(64)?,
        decode: cursor.leb(64)?,
        wait: cursor.leb(64)?,
        run: cursor.leb(64)?,
        outgoing: cursor.leb(64)?,
        encode: cursor.leb(64)?,
    })
}

/// Writes an error, cut to its limits.
pub fn encode_error(error: &CallError, out: &mut BytesMut) {
    let cut = CallError::new(error.code, error.message.as_str());
    put_leb(out, u64::from(cut.code as u16));
    put_str(out, &cut.message);
    match &error.detail {
        None => out.put_u8(0),
        Some(detail) => {
            out.put_u8(1);
            put_str(
                out,
                cut.with_detail(detail.as_str())
                    .detail
                    .as_deref()
                    .unwrap_or_default(),
            );
        }
    }
}

/// Reads an error that fills the whole of `bytes`.
pub fn decode_error(bytes: &[u8]) -> Result<CallError, FrameError> {
    let mut cursor = Cursor::new(bytes);
    let code = u16::try_from(cursor.leb(16)?).map_err(|_| FrameError::Number)?;
    let message = cursor.text("error message", MESSAGE_BYTES_MAX)?;
    let error = CallError::new(ErrorCode::from_number(code), message);
    let error = match cursor.u8()? {
        0 => error,
        1 => error.with_detail(cursor.text("error detail", DETAIL_BYTES_MAX)?),
        value => {
            return Err(FrameError::Unknown {
                what: "option",
                value,
            });
        }
    };
    cursor.end()?;
    Ok(error)
}
