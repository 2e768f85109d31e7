//! `traces/{id}/rows`, `traces/{id}/overview` and `traces/{id}/spans/{span}`: a trace of any size, in windows.
//!
//! A row is a call: its client span and its only server span together. Calls of one function that follow each other
//! stand below a row that stands for them, which is folded at first. Times are ns after the trace's start.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::traces::{LinkedTrace, SpanRow, TraceSummary};
use crate::trace::{IdError, SpanId, TraceId};

/// Rows of one answer, where nothing else is said, and at most.
pub const ROWS_DEFAULT: u32 = 100;
/// The most rows of one answer.
pub const ROWS_MAX: u32 = 500;
/// The most rows that a query may name as turned.
pub const TURNED_MAX: usize = 500;
/// Columns of an overview, at most.
pub const COLUMNS_MAX: u32 = 1_024;
/// Cells (columns times levels) of an overview, at most.
pub const CELLS_MAX: u32 = 8_192;
/// The largest answer, in bytes; a window that would be larger has fewer rows.
pub const WINDOW_BYTES_MAX: usize = 256 << 10;

/// What a row is known by: its span, or `r` and its first call's span where it stands for several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RowKey {
    /// The span; the client's of a call.
    pub span: SpanId,
    /// Whether it is the row that stands for this call and those that follow it.
    pub repeats: bool,
}

impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.repeats { "r" } else { "" };
        write!(f, "{mark}{}", self.span)
    }
}

impl FromStr for RowKey {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let (repeats, span) = match text.strip_prefix('r') {
            Some(span) => (true, span),
            None => (false, text),
        };
        Ok(Self {
            span: span.parse()?,
            repeats,
        })
    }
}

impl TryFrom<String> for RowKey {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<RowKey> for String {
    fn from(key: RowKey) -> Self {
        key.to_string()
    }
}

/// What `rows` is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowsQuery {
    /// The first row, counted among those that are shown; 0 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    /// How many, 1 to [`ROWS_MAX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Rows that are folded although they begin unfolded, or the reverse: [`RowKey`]s with commas between them, at
    /// most [`TURNED_MAX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collapsed: Option<String>,
    /// Rows this far below the root begin folded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<u32>,
    /// Rows shorter than this are left out, with all below them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_ns: Option<u64>,
    /// Only this span's row and those below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub focus: Option<SpanId>,
    /// A span whose row is to be shown: what hides it is unfolded, and the window begins near to it unless `at` says
    /// where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reveal: Option<SpanId>,
    /// Where the part of the time begins for which the critical path and repeated calls are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// Where it ends; the trace's end when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
    /// Whether the answer tells of the trace as a whole too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<bool>,
}

/// `traces/{id}/rows`: a window of a trace's rows, in the order of its tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rows {
    /// Rows that are shown, in this window and beyond.
    pub total: u64,
    /// The place of the first row of this window.
    pub at: u64,
    /// What `handler`, `node` and `label` of the rows point to.
    pub words: Vec<String>,
    /// The rows.
    pub rows: Vec<TraceRow>,
    /// The critical path between `from` and `to`, by time, drawn through the rows that are shown; what is too short to
    /// be seen is part of what comes before it.
    pub path: Vec<Stretch>,
    /// Where `reveal` was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revealed: Option<Revealed>,
    /// The whole, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<TraceHead>,
}

/// What a row's bar looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowBar {
    /// Work within one process.
    Solid,
    /// A call to another node.
    Remote,
    /// An enqueue.
    Queued,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TraceRow {
    /// What it is known by.
    pub key: RowKey,
    /// The server's span of a call, where it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<SpanId>,
    /// The callee, as an index into `words`.
    pub handler: u32,
    /// Where the work was done.
    pub node: u32,
    /// What it does: `place-order`, `GET /cart`.
    pub label: u32,
    /// Levels below the root, in rows.
    pub depth: u32,
    /// Rows below that belong to it, at any depth, shown or not.
    pub below: u32,
    /// Whether those are hidden.
    pub folded: bool,
    /// Start and end of the whole.
    pub outer: (u64, u64),
    /// Start and end of the work within, where that is told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inner: Option<(u64, u64)>,
    /// What its bar looks like.
    pub bar: RowBar,
    /// Whether it failed.
    pub failed: bool,
    /// Whether its parent was not recorded, or has not come yet.
    pub orphan: bool,
    /// The calls that it stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<RowRepeats>,
    /// The trace that continues it through a queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub later: Option<Later>,
}

/// What a row stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowRepeats {
    /// Calls.
    pub count: u64,
    /// What they took, together.
    pub total_ns: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Where each of them was between `from` and `to`; empty where they are too many to be told apart.
    pub bars: Vec<(u64, u64)>,
}

/// What came of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Later {
    /// The trace in which it was handled.
    pub trace_id: TraceId,
    /// How long it waited.
    pub wait_ns: u64,
}

/// A stretch of the critical path in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// The place of the row, among those that are shown.
    pub row: u64,
    /// Start.
    pub start: u64,
    /// End.
    pub end: u64,
}

/// A span that was to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revealed {
    /// The place of its row.
    pub row: u64,
    /// What hid it, to be turned in the next query.
    pub turned: Vec<RowKey>,
}

/// A trace as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TraceHead {
    /// As in the list.
    pub summary: TraceSummary,
    /// Rows with nothing folded.
    pub rows: u64,
    /// Levels of rows.
    pub levels: u32,
    /// Spans whose parent is not in the store.
    pub orphans: u32,
    /// Traces on the other side of a link.
    pub linked: Vec<LinkedTrace>,
    /// What the critical path is made of, the largest share first.
    pub shares: Vec<PathShare>,
    /// How much of it was calls on their way between nodes.
    pub travel_ns: u64,
    /// The deepest failure, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The span to explain first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telling: Option<SpanId>,
}

/// A handler's share of the critical path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathShare {
    /// The handler.
    pub handler: String,
    /// Its time on the path.
    pub ns: u64,
    /// How much of that its longest calls waited for an instance.
    pub wait_ns: u64,
}

/// What `overview` is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverviewQuery {
    /// Columns, 16 to [`COLUMNS_MAX`]; 256 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<u32>,
    /// Where it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// Where it ends; the trace's end when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
    /// Only this span's row and those below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub focus: Option<SpanId>,
    /// Whether each run names its span and what it does; then there are at most 2,048 runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<bool>,
}

/// `traces/{id}/overview`: a trace, or a part of it, in a screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overview {
    /// Where it begins.
    pub from: u64,
    /// Where it ends.
    pub to: u64,
    /// Columns between them.
    pub columns: u32,
    /// Levels of rows that the trace has; those beyond `levels` are not told.
    pub depth: u32,
    /// What `handler` and `label` point to.
    pub words: Vec<String>,
    /// By level below the root, runs of columns from left to right.
    pub levels: Vec<Vec<Run>>,
}

/// Columns of one level in which the same call, or calls of the same handler, take most of the time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The first column.
    pub at: u32,
    /// Columns.
    pub len: u32,
    /// The handler that takes most of the time.
    pub handler: u32,
    /// Calls that begin or go on in it.
    pub calls: u32,
    /// Calls that failed.
    #[serde(default, skip_serializing_if = "is_none")]
    pub failed: u32,
    /// What the longest call does, where names were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<u32>,
    /// Its span.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<SpanId>,
    /// Its start and end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outer: Option<(u64, u64)>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_none(count: &u32) -> bool {
    *count == 0
}

/// `traces/{id}/spans/{span}`: one row with all that was recorded of it; of its critical path the first 500 parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallDetail {
    /// What the row is known by.
    pub key: RowKey,
    /// Its own span: the client's of a call.
    pub own: SpanRow,
    /// The server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<SpanRow>,
    /// Traces that it continues, and that continue it.
    pub linked: Vec<LinkedTrace>,
    /// The rows above it, the nearest first, at most 64: span and what it does.
    pub above: Vec<(SpanId, String)>,
    /// What was passed, where `[traces] arguments` was on and the function still has the same type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<serde_json::Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_s_key_survives_its_text() {
        for (text, repeats) in [("00000000000000a1", false), ("r00000000000000a1", true)] {
            let key: RowKey = text.parse().unwrap();
            assert_eq!((key.span, key.repeats), (SpanId(0xa1), repeats));
            assert_eq!(key.to_string(), text);
        }
        assert!("r".parse::<RowKey>().is_err());
    }
}
