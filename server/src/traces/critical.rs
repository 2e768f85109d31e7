//! The critical path: which span, at each moment of the root's time, the end had to wait for. Pure.
//!
//! Walks back from the root's end. The child that finished last before the moment looked at was waited for; before
//! that child began, the one that had finished by then, and so on; what no child covers is the span's own time. What
//! a child did after its parent's end was waited for by nobody.
//!
//! Promises: the parts are disjoint and together are exactly the root's time.

use super::tree::Tree;

/// A part of the critical path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    /// The span that it lies in, by index.
    pub(super) span: u32,
    /// Start, after the trace's start.
    pub(super) start: u64,
    pub(super) end: u64,
}

/// The critical path, by time.
pub(super) fn path(tree: &Tree) -> Vec<Stretch> {
    let Some(root) = tree.root else {
        return Vec::new();
    };
    let mut parts = Vec::new();
    let mut children = Vec::new();
    let mut waiting = vec![(root as u32, tree.offset_ns[root], tree.end_ns(root))];
    while let Some((span, from, to)) = waiting.pop() {
        let mut now = to;
        by_end(tree, span as usize, (from, to), &mut children);
        for (child, start, end) in children.drain(..) {
            // One that ended after `now` was still running when what came next began: nobody waited for it there.
            if end > now {
                continue;
            }
            if end < now {
                parts.push(Stretch {
                    span,
                    start: end,
                    end: now,
                });
            }
            waiting.push((child, start, end));
            now = start;
        }
        if from < now {
            parts.push(Stretch {
                span,
                start: from,
                end: now,
            });
        }
    }
    parts.sort_unstable_by_key(|part| part.start);
    parts
}

/// The children with what lies of them between two moments, the last to end first; of two that end together the
/// longer one.
fn by_end(tree: &Tree, at: usize, (from, to): (u64, u64), children: &mut Vec<(u32, u64, u64)>) {
    let below = tree.children(at).iter().map(|child| {
        let at = *child as usize;
        (*child, tree.offset_ns[at].max(from), tree.end_ns(at).min(to))
    });
    children.extend(below.filter(|(_, start, end)| start < end));
    children.sort_unstable_by_key(|(child, start, end)| (std::cmp::Reverse(*end), *start, *child));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tree::tests::{Bar, any_bars, lay_out};
    use super::*;

    /// Spans as (id, parent, start, end), the first is the root; the parts by id.
    fn check(spans: &[(u64, u64, u64, u64)], expected: &[(u64, &[(u64, u64)])]) {
        let bars: Vec<Bar> = spans
            .iter()
            .map(|(id, parent, start, end)| Bar {
                id: *id,
                parent: *parent,
                node: 0,
                start_ns: *start,
                duration_ns: end - start,
            })
            .collect();
        let parts = by_span(&path(&lay_out(&bars, Some(spans[0].0))), spans.len());
        let found: Vec<(u64, &[(u64, u64)])> = spans
            .iter()
            .zip(&parts)
            .filter(|(_, parts)| !parts.is_empty())
            .map(|(span, parts)| (span.0, parts.as_slice()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_span_alone_is_its_own_path() {
        check(&[(1, 0, 0, 10)], &[(1, &[(0, 10)])]);
    }

    #[test]
    fn sequential_calls_are_all_on_it_with_the_gaps_in_their_parent() {
        check(
            &[(1, 0, 0, 100), (2, 1, 10, 40), (3, 1, 50, 90)],
            &[
                (1, &[(0, 10), (40, 50), (90, 100)]),
                (2, &[(10, 40)]),
                (3, &[(50, 90)]),
            ],
        );
    }

    #[test]
    fn of_parallel_calls_only_the_one_that_ends_last_is_on_it() {
        check(
            &[(1, 0, 0, 100), (2, 1, 10, 60), (3, 1, 10, 90), (4, 1, 20, 30)],
            &[(1, &[(0, 10), (90, 100)]), (3, &[(10, 90)])],
        );
    }

    #[test]
    fn a_call_that_overlaps_the_next_one_was_not_waited_for() {
        check(
            &[(1, 0, 0, 25), (2, 1, 0, 10), (3, 1, 5, 20)],
            &[(1, &[(0, 5), (20, 25)]), (3, &[(5, 20)])],
        );
    }

    #[test]
    fn two_rounds_of_parallel_calls_join_at_the_last_of_each() {
        check(
            &[
                (1, 0, 0, 100),
                (2, 1, 0, 30),
                (3, 1, 0, 40),
                (4, 1, 40, 90),
                (5, 1, 40, 100),
            ],
            &[(3, &[(0, 40)]), (5, &[(40, 100)])],
        );
    }

    #[test]
    fn work_that_outlives_its_parent_counts_to_the_parent_s_end() {
        check(
            &[(1, 0, 0, 50), (2, 1, 20, 200), (3, 2, 30, 180), (4, 2, 60, 70)],
            &[(1, &[(0, 20)]), (2, &[(20, 30)]), (3, &[(30, 50)])],
        );
    }

    #[test]
    fn work_that_begins_after_its_parent_s_end_is_not_on_it() {
        check(&[(1, 0, 0, 50), (2, 1, 60, 90)], &[(1, &[(0, 50)])]);
    }

    #[test]
    fn it_goes_down_as_deep_as_the_tree() {
        check(
            &[(1, 0, 0, 100), (2, 1, 10, 90), (3, 2, 20, 80), (4, 3, 30, 70)],
            &[
                (1, &[(0, 10), (90, 100)]),
                (2, &[(10, 20), (80, 90)]),
                (3, &[(20, 30), (70, 80)]),
                (4, &[(30, 70)]),
            ],
        );
    }

    #[test]
    fn spans_without_length_add_nothing() {
        check(&[(1, 0, 0, 10), (2, 1, 5, 5), (3, 1, 10, 10)], &[(1, &[(0, 10)])]);
        check(&[(1, 0, 7, 7), (2, 1, 7, 7)], &[]);
    }

    /// The parts of each span.
    fn by_span(path: &[Stretch], spans: usize) -> Vec<Vec<(u64, u64)>> {
        let mut parts = vec![Vec::new(); spans];
        for part in path {
            parts[part.span as usize].push((part.start, part.end));
        }
        parts
    }

    proptest! {
        #[test]
        fn the_parts_are_exactly_the_root_s_time(bars in any_bars(), root in 1u64..40) {
            let tree = lay_out(&bars, Some(root));
            let parts = path(&tree);
            if let Some(root) = tree.root {
                let mut now = tree.offset_ns[root];
                for part in &parts {
                    let at = part.span as usize;
                    prop_assert!(tree.offset_ns[at] <= part.start && part.end <= tree.end_ns(at));
                    prop_assert!(part.start < part.end);
                    prop_assert_eq!(part.start, now);
                    now = part.end;
                }
                prop_assert_eq!(now, tree.end_ns(root));
            }
        }
    }
}
