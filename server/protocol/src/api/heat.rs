//! `heat`: latency over time, as counts in cells, of the traces that filters and a query find.

use serde::{Deserialize, Serialize};

use crate::trace::TraceId;

/// The most columns that can be asked for, and those that come unasked.
pub const COLUMNS_MAX: u32 = 240;
/// As above.
pub const COLUMNS_DEFAULT: u32 = 96;
/// The most rows, and those that come unasked.
pub const ROWS_MAX: u32 = 60;
/// As above.
pub const ROWS_DEFAULT: u32 = 24;

/// What `heat` asks beside the filters of `traces` (`TraceQuery` without its pages).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeatQuery {
    /// At most this many columns, 1 to [`COLUMNS_MAX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<u32>,
    /// At most this many rows, 1 to [`ROWS_MAX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u32>,
}

/// `heat`: columns are spans of time of one width, rows are spans of duration of (about) one ratio.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heat {
    /// When the first column begins; a whole number of columns since the Unix epoch.
    pub from_unix_ms: u64,
    /// How much time a column is.
    pub column_ms: u64,
    /// Columns; none where there is no trace.
    pub columns: u32,
    /// Where each row begins, the shortest first, and where the last one ends.
    pub bounds_ns: Vec<u64>,
    /// The cells that are not empty, by column and row.
    pub cells: Vec<HeatCell>,
    /// Traces that were counted.
    pub traces: u64,
    /// Those among them in which something failed.
    pub failed: u64,
    /// Half of them took no longer.
    pub p50_ns: u64,
    /// All but one in a hundred took no longer.
    pub p99_ns: u64,
    /// The longest.
    pub max_ns: u64,
    /// Where reading stopped because one answer reads no more: traces that arrived before are not counted. The start of
    /// the last one that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_unix_ms: Option<u64>,
}

/// A cell with traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeatCell {
    /// From 0.
    pub column: u32,
    /// From 0, the shortest first.
    pub row: u32,
    /// Traces that began then and took so long.
    pub count: u32,
    /// Those among them in which something failed.
    pub failed: u32,
    /// One of them: the newest that failed, else the newest.
    pub exemplar: TraceId,
}
