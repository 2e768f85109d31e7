//! `OpenTraces`: the traces that spans came for lately, so that a batch need not read them again.
//!
//! Whatever is forgotten here is read back from the store when a further span comes: this is a cache, and bounded.

use std::collections::{HashMap, HashSet};

use protocol::api::traces::TraceSummary;
use protocol::{Span, SpanId, TraceId};

use super::super::summary::Summary;
use super::words::Words;

/// The most traces kept between batches: those of some seconds.
const TRACES_MAX: usize = 4_096;
/// The most spans of all of them together.
const SPANS_MAX: usize = 500_000;

/// A trace that may still grow.
#[derive(Debug, Default)]
pub(super) struct OpenTrace {
    pub(super) id: i64,
    summary: Option<Summary>,
    spans: HashSet<SpanId>,
    /// Handlers and edges that are in the store as its parts.
    written: HashSet<i64>,
    /// When it last grew, in batches.
    turn: u64,
}

impl OpenTrace {
    /// A trace without spans.
    pub(super) fn new(id: i64) -> Self {
        Self {
            id,
            ..Self::default()
        }
    }

    /// Takes a span that it does not have.
    pub(super) fn add(&mut self, span: &Span) {
        self.spans.insert(span.span_id);
        match &mut self.summary {
            Some(summary) => summary.add(span),
            None => self.summary = Some(Summary::of(span)),
        }
    }

    pub(super) fn has(&self, span: SpanId) -> bool {
        self.spans.contains(&span)
    }

    pub(super) fn spans(&self) -> usize {
        self.spans.len()
    }

    pub(super) fn summary(&self) -> Option<&Summary> {
        self.summary.as_ref()
    }

    /// What a list shows of it, once its root is there.
    pub(super) fn show(&self, trace_id: TraceId) -> Option<TraceSummary> {
        let summary = self.summary.as_ref().filter(|summary| summary.has_root())?;
        Some(summary.show(trace_id))
    }

    /// Words of handlers and edges that are not in the store as its parts, and from now on count as if they were.
    pub(super) fn unwritten_parts(&mut self, words: &Words) -> Result<Vec<i64>, sqlx::Error> {
        let Some(summary) = &self.summary else {
            return Ok(Vec::new());
        };
        let handlers = summary.handlers.iter().map(|handler| handler.as_str());
        let edges = summary.edges.iter().map(AsRef::as_ref);
        let mut unwritten = Vec::new();
        for text in handlers.chain(edges) {
            let word = words.known_id(text)?;
            if self.written.insert(word) {
                unwritten.push(word);
            }
        }
        Ok(unwritten)
    }
}

/// The traces that still may grow.
#[derive(Debug, Default)]
pub(super) struct OpenTraces {
    traces: HashMap<TraceId, OpenTrace>,
    turn: u64,
}

impl OpenTraces {
    pub(super) fn contains(&self, trace_id: TraceId) -> bool {
        self.traces.contains_key(&trace_id)
    }

    pub(super) fn insert(&mut self, trace_id: TraceId, trace: OpenTrace) {
        self.traces.insert(trace_id, trace);
    }

    /// The trace, which counts as grown in this batch.
    pub(super) fn touch(&mut self, trace_id: TraceId) -> &mut OpenTrace {
        let trace = self.traces.entry(trace_id).or_default();
        trace.turn = self.turn;
        trace
    }

    /// Ends a batch: forgets the half that has not grown for longest when there are too many.
    pub(super) fn trim(&mut self) {
        self.turn += 1;
        let spans: usize = self.traces.values().map(OpenTrace::spans).sum();
        if self.traces.len() <= TRACES_MAX && spans <= SPANS_MAX {
            return;
        }
        let mut by_turn: Vec<(u64, TraceId)> = self
            .traces
            .iter()
            .map(|(trace_id, trace)| (trace.turn, *trace_id))
            .collect();
        by_turn.sort_unstable();
        for (_, trace_id) in &by_turn[..by_turn.len().div_ceil(2)] {
            self.traces.remove(trace_id);
        }
    }

    /// Forgets traces that were deleted.
    pub(super) fn forget_up_to(&mut self, last: i64) {
        self.traces.retain(|_, trace| trace.id > last);
    }

    pub(super) fn clear(&mut self) {
        self.traces.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::span;
    use super::*;

    #[test]
    fn too_many_open_traces_are_halved_the_oldest_first() {
        let mut open = OpenTraces::default();
        for id in 1..=2 * TRACES_MAX as u128 {
            open.insert(TraceId(id), OpenTrace::new(id as i64));
            open.touch(TraceId(id)).add(&span(id, 1, None));
            if id == TRACES_MAX as u128 {
                open.trim();
                assert_eq!(open.traces.len(), TRACES_MAX);
            }
        }
        open.trim();
        assert_eq!(open.traces.len(), TRACES_MAX);
        assert!(!open.contains(TraceId(1)));
        assert!(open.contains(TraceId(2 * TRACES_MAX as u128)));
    }

    #[test]
    fn deleted_traces_are_forgotten() {
        let mut open = OpenTraces::default();
        for id in 1..=4 {
            open.insert(TraceId(id), OpenTrace::new(id as i64));
        }
        open.forget_up_to(3);
        assert!(!open.contains(TraceId(3)) && open.contains(TraceId(4)));
    }
}
