//! `OpenTraces`: the traces that spans came for lately, so that a batch need not read them again.
//!
//! Whatever is forgotten here is read back from the store when a further span comes: this is a cache, and bounded.

use protocol::TraceId;
use rustc_hash::{FxHashMap, FxHashSet};

use super::super::ids::IdSet;
use super::super::summary::{Facts, Summary};
use super::super::ties::Ties;

/// The most traces kept between batches: those of some seconds.
const TRACES_MAX: usize = 16_384;
/// The most spans of all of them together, at some fifteen bytes each; one trace alone may have as many as it likes.
const SPANS_MAX: usize = 4_000_000;

/// Blocks with fewer spans are small: a trace that grows by few spans at a time leaves many of them.
const BLOCK_SMALL: u32 = 1_024;
/// So many small blocks at the end of a trace become one.
const BLOCKS_MERGED: usize = 16;

/// A trace that may still grow.
#[derive(Debug, Default)]
pub(super) struct OpenTrace {
    pub(super) id: i64,
    pub(super) summary: Option<Summary>,
    ids: IdSet,
    ties: Ties,
    /// Handlers and edges that are in the store as its parts.
    written: FxHashSet<u32>,
    pub(super) tail: Tail,
    /// When it last grew, in batches.
    turn: u64,
}

/// The blocks of a trace, as far as further ones depend on them.
#[derive(Debug, Default)]
pub(super) struct Tail {
    next: u32,
    /// The small ones at the end: number and spans.
    small: Vec<(u32, u32)>,
}

impl Tail {
    /// The number of a further block of so many spans.
    pub(super) fn push(&mut self, spans: usize) -> u32 {
        let number = self.next;
        let spans = u32::try_from(spans).unwrap_or(u32::MAX);
        self.note(number, spans);
        number
    }

    /// Takes a block that is there.
    pub(super) fn note(&mut self, number: u32, spans: u32) {
        self.next = number + 1;
        if spans < BLOCK_SMALL {
            self.small.push((number, spans));
        } else {
            self.small.clear();
        }
    }

    /// The blocks to be made one, the first and the last, when there are too many small ones. They count as one then,
    /// by the first one's number: the order of a trace's spans does not change.
    pub(super) fn merge(&mut self) -> Option<(u32, u32)> {
        if self.small.len() < BLOCKS_MERGED {
            return None;
        }
        let small = std::mem::take(&mut self.small);
        let (first, last) = (small.first()?.0, small.last()?.0);
        self.note(first, small.iter().map(|(_, spans)| spans).sum());
        Some((first, last))
    }
}

impl OpenTrace {
    /// A trace without spans.
    pub(super) fn new(id: i64) -> Self {
        Self {
            id,
            ..Self::default()
        }
    }

    /// Takes a span; whether it did not have it.
    pub(super) fn add(&mut self, facts: &Facts<'_>) -> bool {
        if !self.ids.insert(facts.id) {
            return false;
        }
        let ids = &self.ids;
        self.ties.add(facts, |id| ids.contains(id));
        match &mut self.summary {
            Some(summary) => summary.add(facts),
            None => self.summary = Some(Summary::of(facts)),
        }
        true
    }

    pub(super) fn has(&self, span: u64) -> bool {
        self.ids.contains(span)
    }

    pub(super) fn spans(&self) -> usize {
        self.ids.len()
    }

    /// Spans that others speak of and that are not here.
    pub(super) fn missing(&self) -> u32 {
        self.ties.missing()
    }

    /// Words of handlers and edges that are not in the store as its parts, and from now on count as if they were.
    pub(super) fn unwritten_parts(&mut self) -> Vec<u32> {
        let Some(summary) = &self.summary else {
            return Vec::new();
        };
        if self.written.len() == summary.handlers.len() + summary.edges.len() {
            return Vec::new();
        }
        let parts = summary.handlers.iter().chain(&summary.edges).copied();
        parts.filter(|word| self.written.insert(*word)).collect()
    }
}

/// The traces that still may grow.
#[derive(Debug, Default)]
pub(super) struct OpenTraces {
    traces: FxHashMap<TraceId, OpenTrace>,
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

    pub(super) fn get(&self, trace_id: TraceId) -> Option<&OpenTrace> {
        self.traces.get(&trace_id)
    }

    /// Ends a batch: when there is too much, forgets what has not grown for longest until half of it is free.
    pub(super) fn trim(&mut self) {
        self.turn += 1;
        let mut spans: usize = self.traces.values().map(OpenTrace::spans).sum();
        if self.traces.len() <= TRACES_MAX && spans <= SPANS_MAX {
            return;
        }
        let mut by_turn: Vec<(u64, TraceId)> = self
            .traces
            .iter()
            .map(|(trace_id, trace)| (trace.turn, *trace_id))
            .collect();
        by_turn.sort_unstable();
        // The last to grow stays, however large: it is likely to grow on, and to read it back takes long.
        by_turn.pop();
        for (_, trace_id) in by_turn {
            if self.traces.len() <= TRACES_MAX / 2 && spans <= SPANS_MAX / 2 {
                return;
            }
            spans -= self.traces.remove(&trace_id).map_or(0, |trace| trace.spans());
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
    use super::super::super::testing::{numbers, span};
    use super::*;

    fn add(open: &mut OpenTraces, trace: u128, id: u64) {
        let span = span(trace, id, None);
        open.touch(TraceId(trace)).add(&Facts::of(&span, numbers(&span)));
    }

    #[test]
    fn too_many_open_traces_are_halved_the_oldest_first() {
        let mut open = OpenTraces::default();
        for id in 1..=2 * TRACES_MAX as u128 {
            open.insert(TraceId(id), OpenTrace::new(id as i64));
            add(&mut open, id, 1);
            if id == TRACES_MAX as u128 {
                open.trim();
                assert_eq!(open.traces.len(), TRACES_MAX);
            }
        }
        open.trim();
        assert_eq!(open.traces.len(), TRACES_MAX / 2);
        assert!(!open.contains(TraceId(1)));
        assert!(open.contains(TraceId(2 * TRACES_MAX as u128)));
    }

    #[test]
    fn the_trace_that_grows_stays_open_however_large() {
        let mut open = OpenTraces::default();
        add(&mut open, 1, 1);
        open.trim();
        for id in 1..=SPANS_MAX as u64 + 1 {
            add(&mut open, 2, id);
        }
        open.trim();
        assert!(open.contains(TraceId(2)) && !open.contains(TraceId(1)));
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

    #[test]
    fn many_small_blocks_become_one_and_a_large_one_is_left_alone() {
        let mut tail = Tail::default();
        let mut blocks: Vec<u32> = Vec::new();
        let mut merged = 0;
        for _ in 0..10_000 {
            blocks.push(tail.push(3));
            if let Some((first, last)) = tail.merge() {
                blocks.retain(|number| *number <= first || *number > last);
                merged += 1;
            }
            assert!(blocks.is_sorted());
        }
        // 30,000 spans in blocks of a thousand, and some small ones at the end.
        assert!((20..50).contains(&blocks.len()), "{}", blocks.len());
        assert!(merged > 100);
        tail.push(5_000);
        assert!(tail.merge().is_none() && tail.small.is_empty());
    }
}
