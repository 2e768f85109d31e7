//! A trace as the API shows it: rows in tree order, each with its place and its part of the critical path. Pure.

use std::collections::HashMap;

use protocol::api::traces::{LinkedTrace, SPANS_MAX, SpanRow, TraceDetail, TraceSummary};
use protocol::{Span, SpanId};

use super::critical;
use super::tree::{Bar, Place, Tree};

/// What was read of a trace.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) summary: TraceSummary,
    pub(super) layout: Layout,
    /// The spans that the layout has, in any order.
    pub(super) spans: Vec<Span>,
    pub(super) linked: Vec<LinkedTrace>,
}

/// Where the spans go that are shown.
#[derive(Debug)]
pub(super) struct Layout {
    rows: HashMap<SpanId, Row>,
    truncated: u32,
    orphans: u32,
}

#[derive(Debug)]
struct Row {
    at: usize,
    place: Place,
    critical: Vec<(u64, u64)>,
}

/// Lays a trace out, and chooses the spans that are shown where there are too many.
pub(super) fn lay_out(bars: Vec<Bar>, root: SpanId) -> Layout {
    let mut tree = Tree::lay_out(&bars, Some(root.0));
    let mut critical = critical::path(&tree);
    let shown = tree.first(SPANS_MAX);
    let truncated = u32::try_from(bars.len() - shown.len()).unwrap_or(u32::MAX);
    let rows = shown
        .into_iter()
        .enumerate()
        .map(|(at, bar)| {
            let row = Row {
                at,
                place: std::mem::take(&mut tree.places[bar]),
                critical: std::mem::take(&mut critical[bar]),
            };
            (SpanId(bars[bar].id), row)
        })
        .collect();
    Layout {
        rows,
        truncated,
        orphans: tree.orphans,
    }
}

impl Layout {
    /// The spans that are shown, where there are others.
    pub(super) fn only(&self) -> Option<Vec<SpanId>> {
        (self.truncated > 0).then(|| self.rows.keys().copied().collect())
    }
}

impl Shelf {
    /// What the API shows.
    pub(super) fn show(mut self) -> TraceDetail {
        let mut rows: Vec<(usize, SpanRow)> = Vec::with_capacity(self.spans.len());
        for span in self.spans {
            let Some(row) = self.layout.rows.remove(&span.span_id) else {
                continue;
            };
            let shown = SpanRow {
                span,
                depth: row.place.depth,
                offset_ns: row.place.offset_ns,
                self_ns: row.place.self_ns,
                critical: row.critical,
            };
            rows.push((row.at, shown));
        }
        rows.sort_by_key(|(at, _)| *at);
        TraceDetail {
            summary: self.summary,
            spans: rows.into_iter().map(|(_, row)| row).collect(),
            truncated: self.layout.truncated,
            orphans: self.layout.orphans,
            linked: self.linked,
        }
    }
}
