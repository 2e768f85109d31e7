//! Trees of spans.

use proptest::prelude::*;

use super::*;

/// A span; its parent is 0 where it has none.
#[derive(Debug, Clone, Copy)]
pub(in crate::traces) struct Bar {
    pub(in crate::traces) id: u64,
    pub(in crate::traces) parent: u64,
    pub(in crate::traces) node: u32,
    pub(in crate::traces) start_ns: u64,
    pub(in crate::traces) duration_ns: u64,
}

fn bar(id: u64, parent: u64, node: u32, start_ns: u64, duration_ns: u64) -> Bar {
    Bar {
        id,
        parent,
        node,
        start_ns,
        duration_ns,
    }
}

/// Lays out columns made of bars.
pub(in crate::traces) fn lay_out(bars: &[Bar], root: Option<u64>) -> Tree {
    let column = |of: fn(&Bar) -> u64| bars.iter().map(of).collect::<Vec<_>>();
    let node: Vec<u32> = bars.iter().map(|bar| bar.node).collect();
    let (id, parent) = (column(|bar| bar.id), column(|bar| bar.parent));
    let (start_ns, duration_ns) = (column(|bar| bar.start_ns), column(|bar| bar.duration_ns));
    let columns = Bars {
        id: &id,
        parent: &parent,
        node: &node,
        start_ns: &start_ns,
        duration_ns: &duration_ns,
    };
    Tree::lay_out(columns, root)
}

/// Rows as (id, depth, offset, self).
fn rows(bars: &[Bar]) -> Vec<(u64, u32, u64, u64)> {
    let tree = lay_out(bars, None);
    tree.order
        .iter()
        .map(|at| *at as usize)
        .map(|at| (bars[at].id, tree.depth[at], tree.offset_ns[at], tree.self_ns[at]))
        .collect()
}

#[test]
fn rows_come_depth_first_by_start_whatever_the_order_of_arrival() {
    let bars = [
        bar(4, 2, 0, 130, 10),
        bar(3, 1, 0, 160, 20),
        bar(1, 0, 0, 100, 100),
        bar(2, 1, 0, 110, 40),
        bar(5, 2, 0, 115, 10),
    ];
    assert_eq!(
        rows(&bars),
        [
            (1, 0, 0, 40),
            (2, 1, 10, 20),
            (5, 2, 15, 10),
            (4, 2, 30, 10),
            (3, 1, 60, 20)
        ]
    );
}

#[test]
fn overlapping_children_are_subtracted_once_and_only_where_they_overlap_the_parent() {
    let bars = [
        bar(1, 0, 0, 100, 100),
        bar(2, 1, 0, 110, 40),
        bar(3, 1, 0, 130, 40),
        bar(4, 1, 0, 190, 60),
    ];
    // Covered: 110 to 170 and 190 to 200.
    assert_eq!(rows(&bars)[0], (1, 0, 0, 30));
}

#[test]
fn spans_without_their_parent_stand_beside_the_root_and_are_counted() {
    let bars = [
        bar(7, 99, 0, 120, 5),
        bar(8, 7, 0, 121, 1),
        bar(1, 0, 0, 100, 100),
    ];
    let tree = lay_out(&bars, Some(1));
    assert_eq!(tree.orphans, 1);
    assert_eq!(tree.root, Some(2));
    let ids: Vec<u64> = tree.order.iter().map(|at| bars[*at as usize].id).collect();
    assert_eq!(ids, [1, 7, 8]);
}

#[test]
fn a_root_with_a_parent_elsewhere_is_no_orphan() {
    let bars = [bar(1, 99, 0, 100, 100), bar(2, 1, 0, 110, 10)];
    assert_eq!(lay_out(&bars, Some(1)).orphans, 0);
    assert_eq!(
        lay_out(&bars, Some(2)).root,
        Some(0),
        "an inner span leads to its top"
    );
}

#[test]
fn circles_of_parents_are_cut_and_shown() {
    let bars = [
        bar(1, 2, 0, 20, 5),
        bar(2, 3, 0, 10, 5),
        bar(3, 1, 0, 30, 5),
        bar(4, 4, 0, 40, 5),
    ];
    let tree = lay_out(&bars, Some(1));
    assert_eq!(tree.order.len(), 4);
    assert_eq!(tree.orphans, 1, "the root apart");
    assert_eq!(bars[tree.root.unwrap()].id, 2);
}

#[test]
fn a_deep_chain_needs_no_stack() {
    let bars: Vec<Bar> = (1..=200_000)
        .map(|id| bar(id, id - 1, 0, id, 400_000 - id))
        .collect();
    let tree = lay_out(&bars, Some(1));
    assert_eq!(tree.depth[199_999], 199_999);
}

#[test]
fn a_span_of_another_node_that_sticks_out_is_centred_and_takes_its_subtree_along() {
    let bars = [
        bar(1, 0, 0, 1_000, 100), // the client at home
        bar(2, 1, 7, 500, 60),    // its server, whose clock is behind
        bar(3, 2, 7, 510, 20),    // work there
        bar(4, 3, 0, 1_035, 5),   // a call back to home
    ];
    assert_eq!(
        rows(&bars),
        [(1, 0, 0, 40), (2, 1, 20, 40), (3, 2, 30, 15), (4, 3, 35, 5)]
    );
}

#[test]
fn a_node_s_clock_stays_as_it_was_found() {
    let bars = [
        bar(1, 0, 0, 1_000, 1_000),
        bar(2, 1, 0, 1_000, 100),
        bar(3, 2, 7, 5_000, 80),
        bar(4, 1, 0, 1_500, 400),
        bar(5, 4, 7, 5_550, 80),
    ];
    // 5_000 is found to be 1_010, so 5_550 is 1_560, which lies within its parent: not centred anew.
    assert_eq!(rows(&bars)[4], (5, 2, 560, 80));
}

#[test]
fn a_span_within_its_parent_is_left_where_it_is() {
    let bars = [bar(1, 0, 0, 1_000, 100), bar(2, 1, 7, 1_001, 60)];
    assert_eq!(rows(&bars)[1], (2, 1, 1, 60));
}

#[test]
fn a_server_that_outlives_its_client_begins_with_it() {
    let bars = [bar(1, 0, 0, 1_000, 100), bar(2, 1, 7, 1_050, 300)];
    assert_eq!(rows(&bars), [(1, 0, 0, 0), (2, 1, 0, 300)]);
}

#[test]
fn work_that_goes_on_after_its_parent_on_one_clock_is_not_moved() {
    let bars = [bar(1, 0, 0, 1_000, 100), bar(2, 1, 0, 1_050, 300)];
    assert_eq!(rows(&bars), [(1, 0, 0, 50), (2, 1, 50, 300)]);
}

#[test]
fn the_first_rows_keep_their_parents() {
    let bars = [
        bar(1, 0, 0, 0, 100),
        bar(2, 1, 0, 1, 40),
        bar(3, 2, 0, 2, 10),
        bar(4, 1, 0, 50, 40),
        bar(5, 4, 0, 51, 10),
    ];
    let tree = lay_out(&bars, Some(1));
    let ids = |max| -> Vec<u64> {
        tree.first(max)
            .into_iter()
            .map(|at| bars[at as usize].id)
            .collect()
    };
    assert_eq!(ids(9), [1, 2, 3, 4, 5]);
    assert_eq!(ids(3), [1, 2, 4]);
    assert_eq!(ids(4), [1, 2, 3, 4]);
}

#[test]
fn nothing_gives_an_empty_tree() {
    let tree = lay_out(&[], Some(1));
    assert!(tree.order.is_empty() && tree.root.is_none() && tree.orphans == 0);
}

prop_compose! {
    pub(in crate::traces) fn any_bars()(
        bars in prop::collection::vec((0u64..40, 0u32..4, 0u64..1_000, 0u64..500), 0..40)
    ) -> Vec<Bar> {
        bars.into_iter()
            .zip(1..)
            .map(|((parent, node, start, duration), id)| bar(id, parent, node, start, duration))
            .collect()
    }
}

proptest! {
    #[test]
    fn every_span_has_one_row_below_its_parent(bars in any_bars(), root in 0u64..40) {
        let tree = lay_out(&bars, Some(root));
        let mut seen = tree.order.clone();
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..bars.len() as u32).collect::<Vec<_>>());
        prop_assert_eq!(tree.root, tree.order.first().map(|at| *at as usize));
        for at in tree.order.iter().map(|at| *at as usize) {
            prop_assert!(tree.self_ns[at] <= tree.duration_ns[at]);
            for child in tree.children(at).iter().map(|child| *child as usize) {
                prop_assert_eq!(tree.depth[child], tree.depth[at] + 1);
                prop_assert_eq!(tree.parent[child] as usize, at);
                if bars[child].node != bars[at].node {
                    prop_assert!(tree.offset_ns[child] >= tree.offset_ns[at]);
                }
            }
        }
    }
}
