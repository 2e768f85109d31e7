//! `traces/{id}/path`: the critical path, continued through queues into the traces that handle what was sent.

use serde::{Deserialize, Serialize};

use crate::name::{HandlerName, NodeName};
use crate::trace::{SpanId, TraceId};

/// Traces that are followed, at most.
pub const LEGS_MAX: usize = 40;
/// Queues one after the other, at most.
pub const HOPS_MAX: usize = 8;

/// `traces/{id}/path`: producer, wait and consumer as one timeline. Times are ns after the first leg's start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracePath {
    /// The traces, each after the one that it continues.
    pub legs: Vec<PathLeg>,
    /// When the last of them ended.
    pub end_ns: u64,
    /// Whether there are more than are told.
    pub is_cut: bool,
}

/// A trace on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathLeg {
    /// The trace.
    pub trace_id: TraceId,
    /// Its root's name.
    pub name: String,
    /// Its root's handler.
    pub handler: HandlerName,
    /// Its root's node.
    pub node: NodeName,
    /// The message that it handles: absent of the first leg.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<PathStart>,
    /// When it began.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: u64,
    /// Spans that failed.
    pub errors: u32,
    /// Whether the end had to wait for it: it, or what it leads to, ended last.
    pub is_critical: bool,
    /// Its critical path by handler; stretches too short to be seen are part of what comes before.
    pub parts: Vec<PathPart>,
}

/// Where a leg comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathStart {
    /// The leg that sent the message, by its place.
    pub leg: u32,
    /// The span that sent it.
    pub span: SpanId,
    /// When it was sent.
    pub sent_ns: u64,
}

/// A stretch of a leg's critical path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathPart {
    /// The handler.
    pub handler: String,
    /// Start.
    pub start_ns: u64,
    /// End.
    pub end_ns: u64,
}
