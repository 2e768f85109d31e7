//! `traces`, `traces/{id}` and `steps`.

use serde::{Deserialize, Serialize};

use crate::name::{HandlerName, NodeName};
use crate::span::{CallerStages, Span, Transport};
use crate::trace::{SpanId, TraceId};

/// A trace, in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TraceSummary {
    /// Its id.
    pub trace_id: TraceId,
    /// The root's name: `POST /cart/checkout`.
    pub name: String,
    /// The root's handler.
    pub handler: HandlerName,
    /// The earliest start of its spans.
    pub start_unix_ns: u64,
    /// From the earliest start to the latest end.
    pub duration_ns: u64,
    /// Spans recorded.
    pub spans: u32,
    /// Spans that failed.
    pub errors: u32,
    /// Nodes that took part, counted.
    pub nodes: u32,
    /// Handlers that took part, by name.
    pub handlers: Vec<HandlerName>,
    /// The placement in force: `together`, `apart`, `groups`.
    pub placement: String,
    /// The root's failure, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Spans that others of the trace speak of and that are not in the store (yet), at least: parents, and callees of
    /// calls that were answered.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missing: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks in this form")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// `traces/{id}`: at most [`SPANS_MAX`] spans, in tree order (depth first, by start).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TraceDetail {
    /// As in the list.
    pub summary: TraceSummary,
    /// The spans.
    pub spans: Vec<SpanRow>,
    /// Spans that the store has beyond those listed.
    pub truncated: u32,
    /// Spans whose parent is not in the store.
    pub orphans: u32,
    /// Traces that continue this one through a queue, or that this one continues.
    pub linked: Vec<LinkedTrace>,
}

/// The most spans that one answer lists.
pub const SPANS_MAX: usize = 10_000;

/// A span with what its place in the tree says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpanRow {
    /// The span.
    pub span: Span,
    /// Levels below the root.
    pub depth: u32,
    /// Start after the trace's start, in ns, after clocks of nodes were aligned by their parents.
    pub offset_ns: u64,
    /// Duration minus the time that its children cover.
    pub self_ns: u64,
    /// The parts of the critical path that lie in this span, as (start, end) offsets in ns.
    pub critical: Vec<(u64, u64)>,
}

/// A trace on the other side of a link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkedTrace {
    /// The other trace.
    pub trace_id: TraceId,
    /// Its name: `process checkout.email`.
    pub name: String,
    /// The span of this trace that the link touches.
    pub here: SpanId,
    /// The other trace's root duration.
    pub duration_ns: u64,
    /// From the end of this trace's span to the start of the other one: the wait in the queue.
    pub wait_ns: u64,
    /// Whether the other trace continues this one (`true`), or this one continues it.
    pub follows: bool,
    /// The handler at its root.
    pub handler: HandlerName,
    /// The node of its root.
    pub node: NodeName,
    /// Spans of it that failed.
    pub errors: u32,
}

/// `traces`: a page of traces, those that arrived last first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TracePage {
    /// The traces.
    pub items: Vec<TraceSummary>,
    /// The cursor of the next page (`?before=`), absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Where a search stopped before the page was full, because it had read as much as one page may: the start of the
    /// last trace that it looked into. The next page goes on from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub searched_to_unix_ns: Option<u64>,
}

/// `traces/{id}/find`: spans of a trace for which a query holds, by their start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundSpans {
    /// All that were found.
    pub total: u32,
    /// Those of this page.
    pub spans: Vec<FoundSpan>,
    /// The cursor of the next page (`?after=`), absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A span that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundSpan {
    /// Its id.
    pub span_id: SpanId,
    /// When it began.
    pub start_unix_ns: u64,
}

/// What `traces/{id}/find` asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindQuery {
    /// The query; `docs/query.md` has the language.
    pub q: String,
    /// The cursor of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// At most this many, 1 to 10,000; 1,000 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// What `traces/{id}/links` asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinksQuery {
    /// Only the links of this span.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<SpanId>,
}

/// What `traces` can be filtered by; every field narrows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceQuery {
    /// Traces in which this handler took part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler: Option<HandlerName>,
    /// Traces with a call along this edge: `checkout -> shop:email/email`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edge: Option<String>,
    /// At least this long, in ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_ms: Option<u64>,
    /// At most this long, in ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ms: Option<u64>,
    /// At least this long, in µs, for what is shorter than a ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_us: Option<u64>,
    /// At most this long, in µs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_us: Option<u64>,
    /// `ok` or `error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// In this placement: `together`, `apart`, `groups`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<String>,
    /// Begun at this moment or later, in ms since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// Begun before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
    /// With spans for which this query holds; `docs/query.md` has the language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    /// At most this many, 1 to 500; 50 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The cursor of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

/// `traces/import`: what became of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// Spans that were taken; those that were there already are among them.
    pub spans: u64,
    /// Spans that were not.
    pub refused: u64,
    /// Why, for the first of them.
    pub reasons: Vec<String>,
    /// The traces of those that were.
    pub traces: Vec<TraceId>,
}

/// What `steps` asks: the calls of one function by one handler.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepsQuery {
    /// Who calls.
    pub caller: HandlerName,
    /// The function's whole name, as its spans have it: `shop:payment/payment.charge`.
    pub function: String,
}

/// `steps`: what a call is made of when it goes one way. Medians of the newest stored calls that did not fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypicalSteps {
    /// The way.
    pub transport: Transport,
    /// The calls that the medians are of; never 0.
    pub samples: u32,
    /// When the newest of them began.
    pub newest_unix_ns: u64,
    /// The median of whole calls.
    pub duration_ns: u64,
    /// The median of each stage. `callee.total` is what the callee's medians sum to, with the median of what they leave
    /// of its total; so the stages add up, though not always to `duration_ns`.
    pub stages: CallerStages,
}
