//! `Ties`: which spans others of a trace speak of, and which are not here (yet). Pure.
//!
//! Two kinds: a span that another names as its parent, and the callee's span of a call that was answered with steps (so
//! the callee recorded one). Promises: a span that comes later is no longer missing; the order does not matter. What
//! came in from outside, and calls recorded alone because they failed or were slow, name parents that nobody recorded:
//! those do not count. A missing leaf that nobody waited for leaves no trace of itself: this is a lower bound.

use protocol::SpanKind;
use rustc_hash::{FxHashMap, FxHashSet};

use super::summary::Facts;

/// The ends that are open.
#[derive(Debug, Default)]
pub(super) struct Ties {
    /// Parents that are not here, and whether it was a callee that named them: then they are calls.
    absent: FxHashMap<u64, bool>,
    /// Those that are calls.
    absent_calls: usize,
    /// Answered calls whose callee's span is not here.
    unserved: FxHashSet<u64>,
}

impl Ties {
    /// Takes a span; `is_here` tells which others have come.
    pub(super) fn add(&mut self, facts: &Facts<'_>, is_here: impl Fn(u64) -> bool) {
        let is_served = self.absent.remove(&facts.id) == Some(true);
        self.absent_calls -= usize::from(is_served);
        if facts.is_answered && !is_served {
            self.unserved.insert(facts.id);
        }
        let parent = facts.parent;
        if parent == 0 || !facts.names_its_parent() {
            return;
        }
        let is_callee = facts.kind == SpanKind::Server;
        if is_callee {
            self.unserved.remove(&parent);
        }
        if !is_here(parent) {
            let is_call = self.absent.entry(parent).or_default();
            if is_callee && !*is_call {
                *is_call = true;
                self.absent_calls += 1;
            }
        }
    }

    /// How many spans are missing, at least: a parent that is no call may be the callee that a call waits for.
    pub(super) fn missing(&self) -> u32 {
        let others = self.absent.len() - self.absent_calls;
        u32::try_from(self.absent_calls + others.max(self.unserved.len())).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use protocol::span::{CallerStages, Stages};
    use protocol::{Span, SpanId};

    use super::super::ids::IdSet;
    use super::super::testing::{along, numbers, span};
    use super::*;

    fn missing(spans: &[Span]) -> u32 {
        let (mut ties, mut ids) = (Ties::default(), IdSet::default());
        for span in spans {
            ids.insert(span.span_id.0);
            ties.add(&Facts::of(span, numbers(span)), |id| ids.contains(id));
        }
        ties.missing()
    }

    fn call(id: u64, parent: u64) -> Span {
        let mut call = along(span(1, id, Some(parent)), "cart -> state:store");
        call.stages = Some(Stages::Caller(CallerStages::default()));
        call
    }

    /// A root, its call, the callee, the callee's call, its callee.
    fn whole() -> Vec<Span> {
        vec![
            span(1, 1, None),
            call(2, 1),
            span(1, 3, Some(2)),
            call(4, 3),
            span(1, 5, Some(4)),
        ]
    }

    #[test]
    fn a_lost_span_is_missed_by_its_child_or_its_caller() {
        assert_eq!(missing(&whole()), 0);
        for lost in 0..5 {
            let mut spans = whole();
            spans.remove(lost);
            assert_eq!(missing(&spans), 1, "{lost}");
        }
        // Of a callee's whole side its own span is known to be missing, what it did is not.
        assert_eq!(missing(&whole()[..2]), 1);
    }

    #[test]
    fn what_came_from_outside_or_alone_is_not_incomplete() {
        let entry = Span {
            handler: protocol::HandlerName::ingress(),
            ..span(1, 1, Some(99))
        };
        assert_eq!(missing(&[entry]), 0);
        let lone = Span {
            stages: None,
            ..span(1, 1, Some(99))
        };
        assert_eq!(missing(&[lone]), 0);
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_does_not_matter(
            (spans, shuffled) in super::super::testing::any_trace(1)
                .prop_flat_map(|spans| (Just(spans.clone()), Just(spans).prop_shuffle()))
        ) {
            prop_assert_eq!(missing(&spans), missing(&shuffled));
        }

        #[test]
        fn parents_that_never_came_are_all_counted(orphans in prop::collection::hash_set(2u64..1_000, 1..20)) {
            let spans: Vec<Span> = orphans
                .iter()
                .map(|id| Span { span_id: SpanId(1_000_000 + id), ..span(1, 1, Some(*id)) })
                .collect();
            prop_assert_eq!(missing(&spans) as usize, orphans.len());
        }
    }
}
