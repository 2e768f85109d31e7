//! The calls of the built-in interfaces, as the bytes that a guest's own call would have: requests and replies.
//!
//! Home serves them behind the router like any handler's; the runtime turns `wasi:keyvalue` into them. Pure. The WIT
//! stands in `handlers/wit/state.wit` and `queue.wit`; field order and case order here are theirs.
//!
//! The encoding is the component model's for values (`crate::value`), byte for byte.

pub mod queue;
pub mod state;

use crate::error::{CallError, ErrorCode};

use crate::value::{Reader, ValueError, put_leb, put_str};

/// Writes WIT's `call-error`.
pub(crate) fn encode_call_error(to: &mut Vec<u8>, error: &CallError) {
    put_leb(to, u64::from(error.code as u16));
    put_str(to, &error.message);
    to.push(u8::from(error.is_retryable()));
}

/// Reads WIT's `call-error`.
pub(crate) fn decode_call_error(from: &mut Reader<'_>) -> Result<CallError, ValueError> {
    let code = from.unsigned()?;
    let message = from.string()?;
    from.bool()?;
    Ok(CallError::new(ErrorCode::from_number(code), message))
}
