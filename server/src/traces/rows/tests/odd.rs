//! Traces that no good program makes: every span still has its row, windows follow each other without a gap, and what is
//! told of them keeps its size.

use protocol::api::rows::{OverviewQuery, WINDOW_BYTES_MAX};

use super::*;
use crate::traces::overview::overview;

/// An overview's answer stays below this.
const OVERVIEW_BYTES_MAX: usize = 128 << 10;
/// Windows that are looked at from the first on.
const WINDOWS: usize = 4;
const HOUR_NS: u64 = 3_600_000_000_000;

/// Lays a trace out and looks at it in every way; how many rows it has with nothing folded by hand.
fn look_at(spans: &[Span]) -> (Laid, u64) {
    let laid = laid(spans);
    assert_eq!(laid.tree.order.len(), spans.len());
    assert!(
        laid.table.row_of.iter().all(|row| *row != NONE),
        "each has its row"
    );
    let total = windows(&laid);
    strip(&laid);
    path(&laid);
    (laid, total)
}

/// One window after the other, and the last ones.
fn windows(laid: &Laid) -> u64 {
    let mut at = 0;
    let mut total = 0;
    for turn in 0..WINDOWS {
        let rows = ask(
            laid,
            RowsQuery {
                at: Some(at),
                count: Some(500),
                ..RowsQuery::default()
            },
        );
        let bytes = serde_json::to_vec(&rows).unwrap().len();
        assert!(bytes <= WINDOW_BYTES_MAX, "{bytes} bytes");
        assert_eq!(rows.at, at);
        assert!(rows.rows.len() == 500 || at + rows.rows.len() as u64 == rows.total);
        let ends = rows.rows.iter().all(|row| row.outer.0 <= row.outer.1);
        assert!(ends, "no row ends before it begins");
        total = rows.total;
        at = match turn {
            2 => total.saturating_sub(3),
            _ => at + rows.rows.len() as u64,
        };
    }
    let last = RowsQuery {
        reveal: Some(SpanId(laid.skeleton.id[laid.skeleton.len() - 1])),
        ..RowsQuery::default()
    };
    assert!(ask(laid, last).revealed.is_some(), "each span can be gone to");
    total
}

fn strip(laid: &Laid) {
    for names in [None, Some(true)] {
        let query = OverviewQuery {
            columns: Some(512),
            names,
            ..OverviewQuery::default()
        };
        let told = overview(laid, &query).unwrap();
        for level in &told.levels {
            let ends = level
                .windows(2)
                .all(|runs| runs[0].at + runs[0].len <= runs[1].at);
            assert!(ends && level.iter().all(|run| run.at + run.len <= told.columns));
        }
        let bytes = serde_json::to_vec(&told).unwrap().len();
        assert!(names.is_some() || bytes <= OVERVIEW_BYTES_MAX, "{bytes} bytes");
    }
}

/// The critical path is the root's time, once.
fn path(laid: &Laid) {
    let Some(root) = laid.tree.root else { return };
    let sum: u64 = laid.path.iter().map(|part| part.end - part.start).sum();
    assert_eq!(sum, laid.tree.duration_ns[root]);
    assert!(laid.path.windows(2).all(|parts| parts[0].end <= parts[1].start));
}

#[test]
fn a_circle_of_ten_thousand_parents() {
    let spans: Vec<Span> = (1..=10_000)
        .map(|id| side(id, id % 10_000 + 1, SpanKind::Internal, (id, id + 5)))
        .collect();
    let (laid, total) = look_at(&spans);
    assert_eq!((laid.tree.orphans, total), (0, 10_000));
}

#[test]
fn two_hundred_thousand_calls_of_one_span_are_one_row_and_can_be_opened() {
    let mut spans = vec![side(1, 0, SpanKind::Internal, (0, 3_000_000))];
    spans.extend((2..=200_000).map(|id| side(id, 1, SpanKind::Client, (id * 10, id * 10 + 8))));
    let (laid, total) = look_at(&spans);
    assert_eq!(total, 2, "the root, and the row that stands for the others");
    let stands = ask(&laid, RowsQuery::default()).rows[1].key;
    let opened = ask(
        &laid,
        RowsQuery {
            collapsed: Some(stands.to_string()),
            at: Some(150_000),
            ..RowsQuery::default()
        },
    );
    assert_eq!((opened.total, opened.rows.len()), (200_001, 100));
}

#[test]
fn two_hundred_thousand_different_children_of_one_span_come_in_windows() {
    let mut spans = vec![side(1, 0, SpanKind::Internal, (0, 3_000_000))];
    spans.extend((2..=200_000u64).map(|id| {
        let mut child = side(id, 1, SpanKind::Internal, (id * 10, id * 10 + 8));
        child.name = if id % 2 == 0 { "even" } else { "odd" }.into();
        child
    }));
    let (_, total) = look_at(&spans);
    assert_eq!(total, 200_000);
}

#[test]
fn ten_thousand_levels() {
    let spans: Vec<Span> = (1..=10_000)
        .map(|id| side(id, id - 1, SpanKind::Internal, (id, 40_000 - id)))
        .collect();
    let (laid, total) = look_at(&spans);
    assert_eq!(total, 10_000);
    let told = overview(&laid, &OverviewQuery::default()).unwrap();
    assert_eq!(told.depth, 10_000);
    assert!(told.levels.len() <= 64);
}

#[test]
fn clocks_off_by_hours_are_put_where_the_call_was() {
    let mut behind = side(3, 2, SpanKind::Server, (0, 60));
    behind.start_unix_ns = 1;
    let mut ahead = side(5, 4, SpanKind::Server, (0, 60));
    ahead.start_unix_ns += 5 * HOUR_NS;
    ahead.node = NodeName::parse("cart").unwrap();
    let (laid, _) = look_at(&[
        side(1, 0, SpanKind::Internal, (0, 1_000)),
        side(2, 1, SpanKind::Client, (100, 200)),
        behind,
        side(4, 1, SpanKind::Client, (300, 400)),
        ahead,
    ]);
    assert_eq!(
        laid.duration_ns(),
        1_000,
        "hours of difference make no hours of trace"
    );
    let rows = ask(&laid, RowsQuery::default()).rows;
    assert_eq!(
        (rows[1].inner, rows[2].inner),
        (Some((120, 180)), Some((320, 380)))
    );
}

#[test]
fn a_trace_without_any_length() {
    let mut spans = vec![side(1, 0, SpanKind::Internal, (7, 7))];
    spans.extend((2..=50).map(|id| side(id, id / 2, SpanKind::Internal, (7, 7))));
    let (laid, total) = look_at(&spans);
    assert_eq!((laid.duration_ns(), total), (0, 50));
}

#[test]
fn times_at_the_end_of_all_time() {
    let mut late = side(2, 1, SpanKind::Internal, (0, 0));
    (late.start_unix_ns, late.duration_ns) = (u64::MAX - 5, u64::MAX);
    let mut early = side(3, 1, SpanKind::Internal, (0, 0));
    early.start_unix_ns = 0;
    let spans = [side(1, 0, SpanKind::Internal, (0, 100)), late, early];
    let laid = laid(&spans);
    assert_eq!(laid.tree.order.len(), 3);
    strip(&laid);
    assert_eq!(ask(&laid, RowsQuery::default()).total, 3);
}
