//! The head of a call: all that the callee needs beside the arguments.
//!
//! `caller` and `function` index the tables of the connection. Time travels as what remains of it, because clocks of
//! two nodes have nothing in common. `hop` is the call's own; the receiver's router counts it on.

use std::time::Duration;

use bytes::{BufMut, BytesMut};

use super::cursor::{Cursor, head, put_leb};
use super::{BODY_BYTES_MAX, FrameError};
use crate::trace::TraceContext;

/// The longest head: flags, two ids, remaining time, hop, trace context, length.
pub const CALL_HEAD_BYTES_MAX: usize = 1 + 5 + 5 + 10 + 1 + 26 + 5;

/// No call may take longer, so that a foreign number cannot overflow a clock.
pub const REMAINING_MAX: Duration = Duration::from_secs(24 * 60 * 60);

const FLAG_STAGES: u8 = 1;

/// What precedes the arguments of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallHead {
    /// Whether the reply shall carry the callee's stages.
    pub stages: bool,
    /// Who calls: an index into the sender's table of callers.
    pub caller: u32,
    /// What is called: an index into the receiver's table of exports.
    pub function: u32,
    /// The time left, in whole microseconds, at most [`REMAINING_MAX`].
    pub remaining: Duration,
    /// Calls above it in its chain.
    pub hop: u8,
    /// Its place in the trace.
    pub trace: TraceContext,
    /// The length of the arguments, at most [`BODY_BYTES_MAX`].
    pub len: usize,
}

/// Writes the head; the arguments follow it.
pub fn encode_call(call: &CallHead, out: &mut BytesMut) {
    out.put_u8(if call.stages { FLAG_STAGES } else { 0 });
    put_leb(out, u64::from(call.caller));
    put_leb(out, u64::from(call.function));
    put_leb(out, call.remaining.min(REMAINING_MAX).as_micros() as u64);
    out.put_u8(call.hop);
    out.put_slice(&call.trace.to_bytes());
    put_leb(out, call.len as u64);
}

/// Reads a head and says how many bytes it took; `None` while bytes are missing.
pub fn decode_call(bytes: &[u8]) -> Result<Option<(CallHead, usize)>, FrameError> {
    head(read(bytes))
}

fn read(bytes: &[u8]) -> Result<(CallHead, usize), FrameError> {
    let mut cursor = Cursor::new(bytes);
    let flags = cursor.u8()?;
    if flags & !FLAG_STAGES != 0 {
        return Err(FrameError::Unknown {
            what: "flags",
            value: flags,
        });
    }
    let call = CallHead {
        stages: flags & FLAG_STAGES != 0,
        caller: cursor.leb32()?,
        function: cursor.leb32()?,
        remaining: Duration::from_micros(cursor.leb(64)?).min(REMAINING_MAX),
        hop: cursor.u8()?,
        trace: TraceContext::from_bytes(&cursor.array()?).ok_or(FrameError::Malformed("trace context"))?,
        len: cursor.len(BODY_BYTES_MAX)?,
    };
    Ok((call, cursor.taken()))
}
