//! `handlers/{name}/logs`: what a handler wrote during its newest sampled calls.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::name::NodeName;
use crate::trace::{SpanId, TraceId};

/// The most lines that one answer has.
pub const LINES_MAX: u32 = 500;

/// How many lines are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogQuery {
    /// At most this many, 1 to [`LINES_MAX`]; 100 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// One line, with the call that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When.
    pub unix_ns: u64,
    /// `trace debug info warn error critical`, or `stdout` and `stderr`.
    pub level: Arc<str>,
    /// What.
    pub message: String,
    /// What was called: `shop:cart/cart.get-cart`.
    pub function: Arc<str>,
    /// Where.
    pub node: NodeName,
    /// The trace.
    pub trace_id: TraceId,
    /// The span in it.
    pub span_id: SpanId,
}
