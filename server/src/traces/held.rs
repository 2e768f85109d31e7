//! `Held`: spans of traces of which it is not decided yet whether they are kept.
//!
//! Promises: a trace is decided soon after its root has ended, all of it alike; spans that come later go the same way. What
//! cannot be held longer, because there is too much of it or its root does not end, is kept. Nothing is held where
//! everything is kept.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::{Span, SpanStatus, TraceId};
use rustc_hash::FxHashMap;

use super::block::Numbers;
use super::keep::{Keep, Latencies, Slower};
use super::summary::Facts;

/// After its root, a trace's other spans come from their nodes within this.
const GRACE: Duration = Duration::from_secs(1);
/// A trace without a root is held no longer.
const ROOT_MAX: Duration = Duration::from_secs(30);
/// All spans that are held, at some 700 bytes each.
const SPANS_MAX: usize = 65_536;
/// Decisions that are remembered for spans that come late.
const DECIDED_MAX: usize = 65_536;

/// Spans that wait for a decision.
#[derive(Debug)]
pub(super) struct Held {
    keep: Keep,
    latencies: Latencies,
    traces: FxHashMap<TraceId, Waiting>,
    /// By when they have to be decided at the latest, in the order in which they came; one that was decided before is
    /// found to be gone.
    latest: VecDeque<(Instant, TraceId)>,
    /// By when those are decided whose root has ended.
    ended: VecDeque<(Instant, TraceId)>,
    spans: usize,
    decided: FxHashMap<TraceId, bool>,
    decided_order: VecDeque<TraceId>,
    pub(super) let_go: LetGo,
}

/// What was not kept.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct LetGo {
    pub(super) spans: u64,
    pub(super) traces: u64,
}

#[derive(Debug)]
struct Waiting {
    spans: Vec<Span>,
    has_failed: bool,
    /// The trace that it continues.
    source: Option<TraceId>,
    /// Name and length of its root.
    root: Option<(Arc<str>, u64)>,
}

impl Held {
    pub(super) fn new(keep: Keep) -> Self {
        Self {
            keep,
            latencies: Latencies::default(),
            traces: FxHashMap::default(),
            latest: VecDeque::new(),
            ended: VecDeque::new(),
            spans: 0,
            decided: FxHashMap::default(),
            decided_order: VecDeque::new(),
            let_go: LetGo::default(),
        }
    }

    /// Takes spans; gives those that are to be stored now.
    pub(super) fn take(&mut self, batch: Vec<Span>, now: Instant) -> Vec<Span> {
        if self.keep.is_all() {
            return batch;
        }
        let mut kept = Vec::new();
        for span in batch {
            match self.decided.get(&span.trace_id) {
                Some(true) => kept.push(span),
                Some(false) => self.let_go.spans += 1,
                None => self.hold(span, now),
            }
        }
        while self.spans > SPANS_MAX
            && let Some((_, trace_id)) = self.latest.pop_front()
        {
            self.end(trace_id, true, &mut kept);
        }
        kept.extend(self.decide(now));
        kept
    }

    /// Decides what is due; gives what is kept of it.
    pub(super) fn decide(&mut self, now: Instant) -> Vec<Span> {
        let mut kept = Vec::new();
        while let Some(trace_id) = self.next_due(now) {
            let is_kept = self.judge(trace_id);
            self.end(trace_id, is_kept, &mut kept);
        }
        kept
    }

    fn next_due(&mut self, now: Instant) -> Option<TraceId> {
        for due in [&mut self.ended, &mut self.latest] {
            while let Some((when, trace_id)) = due.front().copied() {
                let is_held = self.traces.contains_key(&trace_id);
                if is_held && when > now {
                    break;
                }
                due.pop_front();
                if is_held {
                    return Some(trace_id);
                }
            }
        }
        None
    }

    /// Decides all whose root has ended, without waiting for more of them.
    pub(super) fn decide_ended(&mut self) -> Vec<Span> {
        let ended = self.traces.iter().filter(|(_, waiting)| waiting.root.is_some());
        let ended: Vec<TraceId> = ended.map(|(trace_id, _)| *trace_id).collect();
        let mut kept = Vec::new();
        for trace_id in ended {
            let is_kept = self.judge(trace_id);
            self.end(trace_id, is_kept, &mut kept);
        }
        kept
    }

    /// Gives all that is held, decided or not: there will be no more.
    pub(super) fn drain(&mut self) -> Vec<Span> {
        let mut kept = self.decide_ended();
        for (_, waiting) in self.traces.drain() {
            kept.extend(waiting.spans);
        }
        self.latest.clear();
        self.ended.clear();
        self.spans = 0;
        kept
    }

    /// Until something is due.
    pub(super) fn until_due(&self, now: Instant) -> Option<Duration> {
        let fronts = [self.ended.front(), self.latest.front()];
        let next = fronts.into_iter().flatten().map(|(due, _)| *due).min();
        next.map(|due| due.saturating_duration_since(now))
    }

    fn hold(&mut self, span: Span, now: Instant) {
        // Only what stands on its own is asked here, not which words they are.
        let facts = Facts::of(&span, Numbers::default());
        let stands_for_trace = !facts.names_its_parent();
        let trace_id = span.trace_id;
        let latest = &mut self.latest;
        let waiting = self.traces.entry(trace_id).or_insert_with(|| {
            latest.push_back((now + ROOT_MAX, trace_id));
            Waiting {
                spans: Vec::new(),
                has_failed: false,
                source: None,
                root: None,
            }
        });
        waiting.has_failed |= matches!(span.status, SpanStatus::Failed { .. });
        if stands_for_trace && waiting.root.is_none() {
            waiting.root = Some((Arc::clone(&span.name), span.duration_ns));
            waiting.source = span.link.map(|link| link.trace_id);
            self.ended.push_back((now + GRACE, trace_id));
        }
        waiting.spans.push(span);
        self.spans += 1;
    }

    fn judge(&mut self, trace_id: TraceId) -> bool {
        let Some(waiting) = self.traces.get(&trace_id) else {
            return false;
        };
        let is_slow = match (self.keep.slower_than, &waiting.root) {
            (None, _) | (_, None) => false,
            (Some(Slower::Than(limit)), Some((_, ns))) => u128::from(*ns) > limit.as_nanos(),
            (Some(Slower::ThanMost), Some((name, ns))) => self.latencies.is_slow(name, *ns),
        };
        let has_share = self.keep.has_share(waiting.source.unwrap_or(trace_id));
        is_slow || has_share || (self.keep.errors && waiting.has_failed)
    }

    fn end(&mut self, trace_id: TraceId, is_kept: bool, kept: &mut Vec<Span>) {
        let Some(waiting) = self.traces.remove(&trace_id) else {
            return;
        };
        self.spans -= waiting.spans.len();
        if is_kept {
            kept.extend(waiting.spans);
        } else {
            self.let_go.traces += 1;
            self.let_go.spans += waiting.spans.len() as u64;
        }
        if self.decided.insert(trace_id, is_kept).is_none() {
            self.decided_order.push_back(trace_id);
        }
        if self.decided_order.len() > DECIDED_MAX
            && let Some(oldest) = self.decided_order.pop_front()
        {
            self.decided.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{continues, failed, span};
    use super::*;

    const NONE: Keep = Keep {
        errors: false,
        slower_than: None,
        share_ppm: 0,
    };

    fn ids(spans: &[Span]) -> Vec<(u128, u64)> {
        let mut ids: Vec<_> = spans
            .iter()
            .map(|span| (span.trace_id.0, span.span_id.0))
            .collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn errors_the_slow_and_a_share_are_kept_whole_and_the_rest_is_counted() {
        let now = Instant::now();
        let mut held = Held::new(Keep {
            errors: true,
            slower_than: Some(Slower::Than(Duration::from_millis(5))),
            share_ppm: 0,
        });
        let slow = Span {
            duration_ns: 6_000_000,
            ..span(3, 1, None)
        };
        let first = vec![
            span(1, 2, Some(1)),
            failed(span(2, 2, Some(1))),
            span(3, 2, Some(1)),
            span(1, 1, None),
            span(2, 1, None),
            slow,
        ];
        assert!(held.take(first, now).is_empty());
        assert_eq!(held.until_due(now), Some(GRACE));
        let kept = held.decide(now + GRACE);
        assert_eq!(ids(&kept), [(2, 1), (2, 2), (3, 1), (3, 2)]);
        // What comes late goes the same way.
        let kept = held.take(vec![span(1, 3, Some(1)), span(2, 3, Some(1))], now + GRACE);
        assert_eq!(ids(&kept), [(2, 3)]);
        assert_eq!(held.let_go, LetGo { spans: 3, traces: 1 });
        assert_eq!(held.spans, 0);
    }

    #[test]
    fn a_trace_whose_root_never_ends_is_decided_too_and_what_is_left_is_given_at_the_end() {
        let now = Instant::now();
        let mut held = Held::new(NONE);
        held.take(vec![span(1, 2, Some(1))], now);
        assert!(held.decide(now + ROOT_MAX / 2).is_empty());
        assert_eq!(held.let_go.traces, 0);
        assert!(held.decide(now + ROOT_MAX).is_empty());
        assert_eq!(held.let_go, LetGo { spans: 1, traces: 1 });
        held.take(vec![span(2, 2, Some(1)), span(3, 1, None)], now);
        assert_eq!(ids(&held.drain()), [(2, 2)]);
    }

    #[test]
    fn too_much_is_kept_rather_than_held() {
        let now = Instant::now();
        let mut held = Held::new(NONE);
        let many: Vec<Span> = (1..=SPANS_MAX as u64 + 10)
            .map(|id| span(1, id + 1, Some(1)))
            .collect();
        assert_eq!(held.take(many, now).len(), SPANS_MAX + 10);
        assert_eq!(held.let_go, LetGo::default());
    }

    #[test]
    fn an_attempt_goes_with_the_trace_that_sent_it() {
        let keep = Keep {
            share_ppm: 500_000,
            ..NONE
        };
        let now = Instant::now();
        let mut held = Held::new(keep);
        let mut batch = Vec::new();
        for id in 1..=200 {
            batch.push(span(id, 1, None));
            batch.push(continues(span(1_000 + id, 1, None), id, 1));
        }
        held.take(batch, now);
        let kept = ids(&held.decide(now + GRACE));
        let (senders, attempts): (Vec<u128>, Vec<u128>) = (
            kept.iter()
                .map(|(trace, _)| *trace)
                .filter(|trace| *trace < 1_000)
                .collect(),
            kept.iter()
                .filter(|(trace, _)| *trace > 1_000)
                .map(|(trace, _)| trace - 1_000)
                .collect(),
        );
        assert_eq!(senders, attempts);
        assert!((50..150).contains(&senders.len()));
    }
}
