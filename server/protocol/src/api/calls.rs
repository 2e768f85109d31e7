//! `call/{interface}/{function}`: a function by hand.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::name::HandlerName;
use crate::trace::{SpanId, TraceId};

/// What to call it with. `args` is an array by position, or an object by parameter name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallRequest {
    /// The arguments; absent for a function without parameters.
    #[serde(default)]
    pub args: Value,
    /// The time that it may take, in ms, at most 300,000; when absent, the handler's own `timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// Its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallReply {
    /// The result; `null` for a function that returns nothing.
    pub result: Value,
    /// The trace of the call: always sampled.
    pub trace_id: TraceId,
    /// How long it took.
    pub duration_ns: u64,
}

/// `call/{interface}/{function}/recorded`: a call that kept what it was made with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedCall {
    /// Its trace.
    pub trace_id: TraceId,
    /// Its span: the caller's.
    pub span_id: SpanId,
    /// When it began.
    pub start_unix_ns: u64,
    /// Who called.
    pub caller: HandlerName,
    /// Whether it failed.
    pub failed: bool,
    /// The arguments, by parameter name.
    pub arguments: Value,
}
