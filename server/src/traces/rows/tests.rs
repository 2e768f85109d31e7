//! Rows of traces: pairing, runs, folding, windows, and that every span has its row.

mod odd;

use proptest::prelude::*;
use protocol::api::rows::{Rows, RowsQuery};
use protocol::{HandlerName, NodeName, Span, TraceId};

use super::*;
use crate::traces::skeleton::Columns;
use crate::traces::testing::{any_trace, failed, span};

/// A client span of `id`, or the server's side of it.
fn side(id: u64, parent: u64, kind: SpanKind, times: (u64, u64)) -> Span {
    let mut made = span(1, id, (parent > 0).then_some(parent));
    made.kind = kind;
    made.start_unix_ns = 1_000_000 + times.0;
    made.duration_ns = times.1 - times.0;
    made.peer = Some(HandlerName::parse("catalog").unwrap());
    made.transport = Some(Transport::Quic);
    if kind == SpanKind::Server {
        made.handler = HandlerName::parse("catalog").unwrap();
        made.node = NodeName::parse("catalog").unwrap();
    }
    made
}

fn laid(spans: &[Span]) -> Laid {
    let mut columns = Columns::new(TraceId(1));
    for span in spans {
        columns.add(span, None);
    }
    let root = spans.iter().find(|span| span.parent_id.is_none());
    Laid::out(
        std::sync::Arc::new(columns.done()),
        root.map_or(1, |span| span.span_id.0),
    )
}

fn ask(laid: &Laid, query: RowsQuery) -> Rows {
    window(laid, &View::of(&query).unwrap(), &[])
}

/// Rows as (key, server, depth, below, folded).
fn told(rows: &Rows) -> Vec<(String, Option<u64>, u32, u32, bool)> {
    let rows = rows.rows.iter();
    rows.map(|row| {
        let key = row.key.to_string();
        let key = key.trim_start_matches('0').replace("r000000000000000", "r");
        (
            key,
            row.server.map(|server| server.0),
            row.depth,
            row.below,
            row.folded,
        )
    })
    .collect()
}

#[test]
fn a_call_s_two_spans_are_one_row_with_travel_at_its_ends() {
    let laid = laid(&[
        side(1, 0, SpanKind::Internal, (0, 100)),
        side(2, 1, SpanKind::Client, (10, 90)),
        side(3, 2, SpanKind::Server, (20, 60)),
        side(4, 3, SpanKind::Internal, (30, 40)),
    ]);
    let rows = ask(&laid, RowsQuery::default());
    assert_eq!(
        told(&rows),
        [
            ("1".into(), None, 0, 2, false),
            ("2".into(), Some(3), 1, 1, false),
            ("4".into(), None, 2, 0, false)
        ]
    );
    let call = &rows.rows[1];
    assert_eq!(
        (call.outer, call.inner, call.bar),
        ((10, 90), Some((20, 60)), RowBar::Remote)
    );
    let word = |at: u32| rows.words[at as usize].as_str();
    assert_eq!(
        (word(call.handler), word(call.node), word(call.label)),
        ("catalog", "catalog", "get")
    );
}

#[test]
fn a_client_with_two_servers_is_a_row_of_its_own() {
    let laid = laid(&[
        side(1, 0, SpanKind::Client, (0, 100)),
        side(2, 1, SpanKind::Server, (10, 20)),
        side(3, 1, SpanKind::Server, (30, 40)),
    ]);
    let rows = ask(&laid, RowsQuery::default());
    assert_eq!(rows.total, 3, "a retry shows both tries");
    assert!(rows.rows.iter().all(|row| row.server.is_none()));
}

/// A root with `calls` calls of one function, each with one below it.
fn repeated(calls: u64) -> Laid {
    let mut spans = vec![side(1, 0, SpanKind::Internal, (0, 10_000_000))];
    for call in 0..calls {
        let (id, start) = (2 + call * 2, 10 + call * 10);
        spans.push(side(id, 1, SpanKind::Client, (start, start + 8)));
        let below = side(id + 1, id, SpanKind::Internal, (start + 1, start + 2));
        spans.push(if call == 3 { failed(below) } else { below });
    }
    laid(&spans)
}

#[test]
fn calls_that_follow_each_other_stand_below_a_row_that_is_folded() {
    let laid = repeated(6);
    let rows = ask(&laid, RowsQuery::default());
    assert_eq!(
        told(&rows),
        [("1".into(), None, 0, 13, false), ("r2".into(), None, 1, 12, true)]
    );
    let stands = rows.rows[1].repeats.as_ref().unwrap();
    assert_eq!((stands.count, stands.total_ns, stands.failed), (6, 48, 0));
    assert_eq!((rows.rows[1].outer, stands.bars.len()), ((10, 68), 6));

    let opened = RowsQuery {
        collapsed: Some("r0000000000000002,0000000000000004".to_owned()),
        ..RowsQuery::default()
    };
    let rows = ask(&laid, opened);
    assert_eq!(rows.total, 13, "one of six is folded");
    assert_eq!(told(&rows)[2], ("2".into(), None, 2, 1, false));
    assert_eq!(told(&rows)[4], ("4".into(), None, 2, 1, true));
    assert_eq!(repeated(4).table.len(), 9, "four are read as quickly one by one");
}

#[test]
fn levels_lengths_and_a_focus_say_what_is_shown() {
    let laid = repeated(6);
    let total = |query: RowsQuery| ask(&laid, query).total;
    let level = |level| RowsQuery {
        level: Some(level),
        ..RowsQuery::default()
    };
    assert_eq!((total(level(0)), total(level(1))), (1, 2));
    let focus = RowsQuery {
        focus: Some(SpanId(6)),
        ..RowsQuery::default()
    };
    assert_eq!(total(focus), 2);
    let long = RowsQuery {
        min_ns: Some(1_000),
        ..RowsQuery::default()
    };
    assert_eq!(total(long), 1);
}

#[test]
fn a_hidden_span_is_revealed_with_what_hid_it() {
    let laid = repeated(6);
    let reveal = RowsQuery {
        reveal: Some(SpanId(9)),
        ..RowsQuery::default()
    };
    let rows = ask(&laid, reveal);
    let revealed = rows.revealed.unwrap();
    assert_eq!(rows.total, 14);
    let keys: Vec<String> = revealed.turned.iter().map(ToString::to_string).collect();
    assert_eq!(keys, ["r0000000000000002"]);
    let at = (revealed.row - rows.at) as usize;
    assert_eq!(rows.rows[at].key.span, SpanId(9));
}

#[test]
fn a_window_begins_where_it_is_asked_to_and_keeps_to_its_size() {
    let laid = repeated(10_000);
    let all = "r0000000000000002".to_owned();
    let asked = RowsQuery {
        at: Some(12_345),
        count: Some(500),
        collapsed: Some(all),
        ..RowsQuery::default()
    };
    let rows = ask(&laid, asked);
    assert_eq!((rows.total, rows.at, rows.rows.len()), (20_002, 12_345, 500));
    let json = serde_json::to_vec(&rows).unwrap();
    assert!(
        json.len() < protocol::api::rows::WINDOW_BYTES_MAX,
        "{}",
        json.len()
    );
    let path: u64 = rows.path.iter().map(|part| part.end - part.start).sum();
    assert!(rows.path.len() < 500 && path > 0);
}

#[test]
fn queries_beyond_their_bounds_are_refused() {
    let count = |count| RowsQuery {
        count: Some(count),
        ..RowsQuery::default()
    };
    assert!(View::of(&count(0)).is_err() && View::of(&count(501)).is_err() && View::of(&count(500)).is_ok());
    let collapsed = |text: String| RowsQuery {
        collapsed: Some(text),
        ..RowsQuery::default()
    };
    assert!(View::of(&collapsed("xyz".into())).is_err());
    let many: Vec<String> = (1..=501).map(|id| SpanId(id).to_string()).collect();
    assert!(View::of(&collapsed(many.join(","))).is_err());
    assert!(View::of(&collapsed(many[1..].join(","))).is_ok());
}

proptest! {
    #[test]
    fn every_span_has_a_row_and_every_row_its_place(spans in any_trace(1)) {
        let laid = laid(&spans);
        let Laid { skeleton, table, .. } = &laid;
        for row in &table.row_of {
            prop_assert!((*row as usize) < table.len());
        }
        for row in 0..table.len() {
            let parent = table.parent[row];
            let end = row + 1 + table.below[row] as usize;
            prop_assert!(end <= table.len());
            if parent != NONE {
                prop_assert!((parent as usize) < row);
                prop_assert_eq!(table.depth[row], table.depth[parent as usize] + 1);
                prop_assert!(end <= parent as usize + 1 + table.below[parent as usize] as usize);
            }
        }
        let all: Vec<String> = (0..table.len() as u32)
            .filter(|row| table.repeats(*row).is_some())
            .map(|row| table.key(skeleton, row).to_string())
            .collect();
        let rows = ask(&laid, RowsQuery { collapsed: Some(all.join(",")), count: Some(500), ..RowsQuery::default() });
        prop_assert_eq!(rows.total as usize, table.len());
        let end = rows.path.last().map_or(0, |part| part.end);
        prop_assert!(rows.path.windows(2).all(|two| two[0].end == two[1].start));
        prop_assert!(end <= laid.duration_ns());
    }
}
