//! `diff`: two traces, or two sets of traces, aligned call by call.
//!
//! A call's path is who calls what from the root on, whatever way the calls go; so a request is the same together and
//! apart. Differences are b minus a.

use serde::{Deserialize, Serialize};

use crate::span::Transport;
use crate::trace::{SpanId, TraceId};

/// Traces of one side, at most.
pub const TRACES_MAX: u32 = 200;
/// Spans of one side, at most.
pub const SPANS_MAX: usize = 1_000_000;
/// Paths that an answer tells, those that take the most time.
pub const PATHS_MAX: usize = 400;

/// What is compared: each side is the id of a trace, or a query of traces as in an address (`handler=cart&min_ms=5`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiffQuery {
    /// The base.
    pub a: String,
    /// What is held against it.
    pub b: String,
}

/// `diff`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diff {
    /// The base.
    pub a: DiffSide,
    /// What is held against it.
    pub b: DiffSide,
    /// The length of whole traces.
    pub whole: Shift,
    /// Calls by path, in the order of the tree.
    pub paths: Vec<DiffPath>,
    /// Paths that are not told.
    pub left_out: u64,
}

/// One side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffSide {
    /// The root's name, where all traces share it.
    pub name: String,
    /// Traces.
    pub traces: u32,
    /// Their spans.
    pub spans: u64,
    /// Whether there were more traces than are compared.
    pub is_cut: bool,
    /// Traces with a failure.
    pub failed: u32,
    /// The median of their lengths.
    pub median_ns: u64,
    /// The placements that they ran in.
    pub placements: Vec<String>,
}

/// A path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DiffPath {
    /// Levels below the root.
    pub depth: u32,
    /// Who calls; nothing at the root.
    pub caller: String,
    /// Who is called.
    pub handler: String,
    /// What.
    pub label: String,
    /// In the base; absent where it does not call this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub a: Option<PathSide>,
    /// In the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b: Option<PathSide>,
    /// How a call's length differs, where both sides have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<Shift>,
    /// How the time differs that a call spends itself: without the calls that it makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<Shift>,
}

/// A path on one side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PathSide {
    /// Traces that have it.
    pub traces: u32,
    /// Calls.
    pub calls: u64,
    /// Calls in a trace, on average over all traces of the side.
    pub calls_per_trace: f64,
    /// Calls that failed.
    pub failed: u64,
    /// The median length of a call.
    pub median_ns: u64,
    /// The median of the time that it spends itself.
    pub own_median_ns: u64,
    /// The median of what it takes to get there and back: packing, travel and unpacking. 0 within one span.
    pub between_median_ns: u64,
    /// The ways that calls go.
    pub ways: Vec<Transport>,
    /// The slowest call.
    pub slowest: (TraceId, SpanId),
}

/// What a difference comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The base is quicker.
    ABetter,
    /// The other is quicker.
    BBetter,
    /// The difference is smaller than what matters.
    Equivalent,
    /// Too few or too varied to tell.
    Inconclusive,
}

/// How much longer b takes than a, with a 95 % interval: Hodges and Lehmann's estimate, and the interval that belongs
/// to Mann and Whitney's test in its normal approximation. Samples are traces, or calls where each side is one trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shift {
    /// The estimate.
    pub by_ns: i64,
    /// The interval; absent where there are too few samples for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_ns: Option<(i64, i64)>,
    /// Samples of both sides.
    pub samples: (u32, u32),
    /// What it comes to; a difference below 5 % of the base does not matter.
    pub verdict: Verdict,
}
