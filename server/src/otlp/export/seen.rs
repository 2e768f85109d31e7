//! Which spans went out lately: two generations of their ids, the older forgotten when the newer is full.

use std::collections::HashSet;

use protocol::{Span, SpanId, TraceId};

/// Ids of one generation: some seconds of a busy node.
const IDS_MAX: usize = 65_536;

#[derive(Debug, Default)]
pub(super) struct Seen {
    newer: HashSet<(TraceId, SpanId)>,
    older: HashSet<(TraceId, SpanId)>,
}

impl Seen {
    /// Whether a span goes out for the first time.
    pub(super) fn is_new(&mut self, span: &Span) -> bool {
        let id = (span.trace_id, span.span_id);
        if self.older.contains(&id) || !self.newer.insert(id) {
            return false;
        }
        if self.newer.len() >= IDS_MAX {
            self.older = std::mem::take(&mut self.newer);
        }
        true
    }
}
