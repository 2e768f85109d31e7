//! The calls of the built-in interfaces, as the bytes that a guest's own call would have: requests and replies.
//!
//! Home serves them behind the router like any handler's; the runtime turns `wasi:keyvalue` into them. Pure. The WIT
//! stands in `handlers/wit/state.wit` and `queue.wit`; field order and case order here are theirs.
//!
//! The encoding is the component model's for values (`value.rs`), byte for byte.

pub mod queue;
pub mod state;
pub mod value;

use crate::error::{CallError, ErrorCode};

use value::{Decoder, Encoder, ValueError};

/// Writes WIT's `call-error`.
pub(crate) fn encode_call_error(to: &mut Encoder, error: &CallError) {
    to.u64(u64::from(error.code as u16));
    to.string(&error.message);
    to.bool(error.is_retryable());
}

/// Reads WIT's `call-error`.
pub(crate) fn decode_call_error(from: &mut Decoder<'_>) -> Result<CallError, ValueError> {
    let code = u16::try_from(from.u64()?).map_err(|_| ValueError::Range)?;
    let message = from.string()?;
    from.bool()?;
    Ok(CallError::new(ErrorCode::from_number(code), message))
}
