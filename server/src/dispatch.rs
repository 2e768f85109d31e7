//! `Dispatch`: anything that can take a `Call` and give a `Reply`, bytes in, bytes out. The one seam of the house.
//!
//! The WASM runtime, a QUIC peer, the queued edge, the built-in interfaces and the router implement it; ingress, queue
//! consumers and guest imports use it. The bytes are the wire form, so a call that stays and a call that leaves run the
//! same code up to the last branch in the router. Only `node` knows more than one implementation.
//!
//! Who calls the same function again and again asks once for a line to it.

mod serving;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use protocol::frame::BODY_BYTES_MAX;
use protocol::{CallError, CalleeStages, ErrorCode, FunctionPath, HandlerName, TraceContext, TypeHash};

use crate::telemetry::OpenSpan;

pub use serving::Serving;

/// The most hops of a chain of calls, so that a cycle ends before it exhausts the pools.
pub const HOPS_MAX: u8 = 32;

/// One invocation of a function.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who calls: a handler, or `ingress`, `cli`, `queue`.
    pub caller: HandlerName,
    /// The callee where the caller names one (`HANDLER@INTERFACE`, HTTP); else the router resolves the interface.
    pub handler: Option<HandlerName>,
    /// What is called.
    pub function: Arc<FunctionPath>,
    /// The function's type as the caller knows it; `None` where it takes it from the callee (a call by hand).
    pub type_hash: Option<TypeHash>,
    /// The parameters, one after the other in the component model's value encoding.
    pub args: Bytes,
    /// When it must have ended.
    pub deadline: Instant,
    /// Its place in the trace: `span_id` is the parent of the span that the next one opens.
    pub trace: TraceContext,
    /// Calls above it in its chain.
    pub hop: u8,
    /// Step 1, measured by the caller: arguments lifted from its memory, in ns.
    pub lift_ns: u64,
}

impl Call {
    /// The time left, zero when the deadline has passed.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Refuses arguments longer than any may be, wherever the callee is.
    pub fn check_args(&self) -> Result<(), CallError> {
        let too_long = |said| CallError::new(ErrorCode::Invalid, said);
        check_length(&self.function, "arguments", self.args.len()).map_err(too_long)
    }

    /// The error for a deadline that passed before or during this call.
    pub fn deadline_error(&self) -> CallError {
        CallError::new(
            ErrorCode::Deadline,
            format!("`{}` did not answer by its deadline", self.function),
        )
    }
}

/// The answer to one call. A guest's own `err(E)` is an answer too.
#[derive(Debug)]
pub struct Reply {
    /// The result in the component model's value encoding; empty where there is none.
    pub value: Bytes,
    /// Whether the result is the callee's own `err`.
    pub is_err: bool,
    /// The callee's stages, where the trace is sampled.
    pub stages: Option<CalleeStages>,
    /// Step 2, measured by who sent it to another node: until the frame was written, in ns. 0 within the process.
    pub sent_ns: u64,
    /// The caller's span, which ends when the caller has lowered the value: hold it until then, or drop it.
    pub span: Option<OpenSpan>,
}

impl Reply {
    /// An answer without stages or span.
    pub fn new(value: Bytes) -> Self {
        Self {
            value,
            is_err: false,
            stages: None,
            sent_ns: 0,
            span: None,
        }
    }
}

/// Refuses a result longer than any may be, wherever the caller is. The callee ran, so that this is its trap.
pub fn check_result(function: &FunctionPath, value: &[u8]) -> Result<(), CallError> {
    let too_long = |said| CallError::new(ErrorCode::Trapped, said);
    check_length(function, "results", value.len()).map_err(too_long)
}

fn check_length(function: &FunctionPath, what: &str, len: usize) -> Result<(), String> {
    if len <= BODY_BYTES_MAX {
        return Ok(());
    }
    Err(format!(
        "the {what} of `{function}` take {len} bytes, {BODY_BYTES_MAX} are the most; pass less at a time"
    ))
}

/// What a dispatched call comes to. Dropping the future cancels the call.
pub type ReplyFuture<'a> = Pin<Box<dyn Future<Output = Result<Reply, CallError>> + Send + 'a>>;

/// Anything that can take a call.
pub trait Dispatch: Send + Sync + 'static {
    /// Carries the call out by its deadline and answers exactly once.
    fn dispatch(&self, call: Call) -> ReplyFuture<'_>;

    /// Takes an unsampled call that can begin at once, and gives any other back, untouched: for lines, whose calls are many
    /// and alike, so that nothing has to be kept of a call in case that it met nobody.
    fn offer(&self, call: Call) -> Result<ReplyFuture<'static>, Call> {
        Err(call)
    }

    /// A dispatch for the many calls that one caller makes to one function, of this callee where the caller names one: it
    /// may keep what it looked up for the one before. `None` where a look-up costs nothing.
    fn line(
        self: Arc<Self>,
        _caller: &HandlerName,
        _callee: Option<&HandlerName>,
        _function: &Arc<FunctionPath>,
    ) -> Option<Dispatcher> {
        None
    }
}

/// A shared dispatch.
pub type Dispatcher = Arc<dyn Dispatch>;
