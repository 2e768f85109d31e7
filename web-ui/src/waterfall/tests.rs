//! Traces made by hand: together, apart, queued.

use super::path::critical_path;
use super::*;
use protocol::api::traces::TraceSummary;
use protocol::{Span, TraceId};

const TRACE: TraceId = TraceId(1);

struct Made(Vec<SpanRow>);

impl Made {
    fn add(
        &mut self,
        id: u64,
        parent: Option<u64>,
        kind: SpanKind,
        handler: &str,
        times: (u64, u64),
    ) -> &mut Span {
        self.0.push(SpanRow {
            span: Span {
                trace_id: TRACE,
                span_id: SpanId(id),
                parent_id: parent.map(SpanId),
                kind,
                handler: HandlerName::parse(handler).unwrap(),
                node: NodeName::parse(handler).unwrap(),
                name: "shop:cart/cart.get-cart".into(),
                start_unix_ns: times.0,
                duration_ns: times.1 - times.0,
                status: SpanStatus::Ok,
                peer: None,
                transport: None,
                cold: None,
                stages: None,
                link: None,
                attributes: Vec::new(),
                logs: Vec::new(),
            },
            depth: 0,
            offset_ns: times.0,
            self_ns: 0,
            critical: Vec::new(),
        });
        &mut self.0.last_mut().unwrap().span
    }

    fn detail(self) -> TraceDetail {
        TraceDetail {
            summary: TraceSummary {
                trace_id: TRACE,
                name: "GET /cart".to_owned(),
                handler: HandlerName::parse("frontend").unwrap(),
                start_unix_ns: 0,
                duration_ns: 1000,
                spans: self.0.len() as u32,
                errors: 0,
                nodes: 1,
                handlers: Vec::new(),
                placement: "apart".to_owned(),
                error: None,
                missing: 0,
            },
            spans: self.0,
            truncated: 0,
            orphans: 0,
            linked: Vec::new(),
        }
    }
}

/// ingress → frontend → cart → state; frontend → ad, which never answered.
fn shop() -> Made {
    let mut made = Made(Vec::new());
    made.add(1, None, SpanKind::Server, "frontend", (0, 1000));
    let client = made.add(2, Some(1), SpanKind::Client, "frontend", (100, 500));
    client.transport = Some(Transport::Quic);
    client.peer = Some(HandlerName::parse("cart").unwrap());
    made.add(3, Some(2), SpanKind::Server, "cart", (150, 450));
    made.add(4, Some(3), SpanKind::Client, "cart", (200, 300)).peer = Some(HandlerName::state());
    let lost = made.add(5, Some(1), SpanKind::Client, "frontend", (600, 900));
    lost.peer = Some(HandlerName::parse("ad").unwrap());
    lost.status = SpanStatus::Failed {
        code: protocol::ErrorCode::Unreachable,
        message: "node ad is down".to_owned(),
    };
    made
}

#[test]
fn a_call_is_one_row_with_the_travel_around_the_work() {
    let rows = rows(&shop().detail());
    let seen: Vec<(&str, u32)> = rows.iter().map(|row| (row.handler.as_str(), row.depth)).collect();
    assert_eq!(seen, [("frontend", 0), ("cart", 1), ("state", 2), ("ad", 1)]);
    let cart = &rows[1];
    assert_eq!((cart.outer, cart.inner), ((100, 500), (150, 450)));
    assert_eq!((cart.bar, cart.label.as_str()), (Bar::Remote, "get-cart"));
    assert_eq!((cart.id, cart.server_id), (SpanId(2), Some(SpanId(3))));
    assert_eq!(cart.node.as_str(), "cart");
    assert!(rows[3].failed && !cart.failed);
    assert_eq!(rows.iter().map(|row| row.below).collect::<Vec<_>>(), [3, 1, 0, 0]);
}

#[test]
fn a_collapsed_row_hides_all_below_it_and_nothing_else() {
    let rows = rows(&shop().detail());
    assert_eq!(visible(&rows, &|_| false), [0, 1, 2, 3]);
    assert_eq!(visible(&rows, &|index| index == 1), [0, 1, 3]);
    assert_eq!(visible(&rows, &|index| index == 0), [0]);
}

#[test]
fn an_enqueue_is_a_dot_that_leads_to_its_continuation() {
    let mut made = shop();
    made.add(6, Some(1), SpanKind::Producer, "frontend", (910, 950))
        .peer = Some(HandlerName::parse("email").unwrap());
    let mut detail = made.detail();
    detail.linked.push(LinkedTrace {
        trace_id: TraceId(2),
        name: "process frontend.email".to_owned(),
        here: SpanId(6),
        duration_ns: 10,
        wait_ns: 40_000_000,
        follows: true,
        handler: HandlerName::parse("email").unwrap(),
        node: NodeName::parse("email").unwrap(),
        errors: 0,
    });
    let rows = rows(&detail);
    let dot = rows.last().unwrap();
    assert_eq!(
        (dot.bar, dot.continues, dot.handler.as_str()),
        (Bar::Queued, Some(0), "email")
    );
    assert_eq!(rows[0].continues, None);
}

#[test]
fn the_critical_path_of_hidden_rows_lies_on_the_row_that_hides_them() {
    let mut made = shop();
    for (index, parts) in [
        (0, vec![(0, 100), (500, 1000)]),
        (1, vec![(100, 150), (450, 500)]),
        (2, vec![(150, 200), (300, 450)]),
        (3, vec![(200, 300)]),
    ] {
        made.0[index].critical = parts;
    }
    let rows = rows(&made.detail());
    let all = critical_path(&rows, &visible(&rows, &|_| false));
    let seen: Vec<(usize, u64, u64)> = all.iter().map(|s| (s.place, s.start, s.end)).collect();
    assert_eq!(
        seen,
        [
            (0, 0, 100),
            (1, 100, 200),
            (2, 200, 300),
            (1, 300, 500),
            (0, 500, 1000)
        ]
    );
    let folded = critical_path(&rows, &visible(&rows, &|index| index == 1));
    let seen: Vec<(usize, u64, u64)> = folded.iter().map(|s| (s.place, s.start, s.end)).collect();
    assert_eq!(seen, [(0, 0, 100), (1, 100, 500), (0, 500, 1000)]);
}

#[test]
fn a_server_span_outside_its_client_is_held_within() {
    let mut made = Made(Vec::new());
    made.add(1, None, SpanKind::Client, "cart", (100, 200));
    made.add(2, Some(1), SpanKind::Server, "cart", (90, 250));
    let rows = rows(&made.detail());
    assert_eq!(rows[0].inner, (100, 200));
}

#[test]
fn ten_thousand_spans_deep_and_wide_are_laid_out() {
    let mut made = Made(Vec::new());
    made.add(1, None, SpanKind::Server, "frontend", (0, 1000));
    for id in 2..=10_000 {
        made.add(
            id,
            Some(if id % 2 == 0 { 1 } else { id - 1 }),
            SpanKind::Internal,
            "cart",
            (1, 2),
        );
    }
    let rows = rows(&made.detail());
    // One row stands for the five thousand calls below the first.
    assert_eq!((rows.len(), rows[0].below), (10_001, 10_000));
    assert_eq!(visible(&rows, &|index| rows[index].repeats.is_some()).len(), 2);
}

/// frontend calls cart `count` times, each of which asks state; then ad, then cart once more.
fn repeating(count: u64) -> Vec<Row> {
    let mut made = Made(Vec::new());
    made.add(1, None, SpanKind::Server, "frontend", (0, 1000));
    for call in 0..count {
        let (id, start) = (10 + call * 2, 100 + call * 20);
        made.add(id, Some(1), SpanKind::Internal, "cart", (start, start + 10));
        made.add(
            id + 1,
            Some(id),
            SpanKind::Internal,
            "state",
            (start + 2, start + 8),
        );
    }
    made.add(500, Some(1), SpanKind::Internal, "ad", (700, 800));
    made.add(501, Some(1), SpanKind::Internal, "cart", (800, 900));
    rows(&made.detail())
}

#[test]
fn calls_that_repeat_stand_below_one_row_with_their_count_and_sum() {
    let rows = repeating(6);
    let seen: Vec<(&str, u32, Option<usize>, usize)> = rows
        .iter()
        .map(|row| (row.handler.as_str(), row.depth, row.parent, row.below))
        .collect();
    assert_eq!(
        seen[..4],
        [
            ("frontend", 0, None, 15),
            ("cart", 1, Some(0), 12),
            ("cart", 2, Some(1), 1),
            ("state", 3, Some(2), 0)
        ]
    );
    assert_eq!(seen[13], ("state", 3, Some(12), 0));
    assert_eq!(seen[14..], [("ad", 1, Some(0), 0), ("cart", 1, Some(0), 0)]);
    let repeats = rows[1].repeats.as_ref().unwrap();
    assert_eq!((repeats.count, repeats.total_ns, repeats.failed), (6, 60, 0));
    assert_eq!((rows[1].outer, repeats.bars[5]), ((100, 210), (200, 210)));
    assert_eq!(folded_at_first(&rows).collect::<Vec<_>>(), [1]);
    assert!(!rows[1].is(SpanId(10)) && rows[2].is(SpanId(10)));
    assert_eq!(ancestors(&rows, 13).collect::<Vec<_>>(), [12, 1, 0]);
}

#[test]
fn four_in_a_row_are_left_as_they_are() {
    assert!(repeating(4).iter().all(|row| row.repeats.is_none()));
}

#[test]
fn the_neighbour_of_a_hidden_span_is_beside_the_row_that_hides_it() {
    let rows = repeating(6);
    let shown = visible(&rows, &|index| rows[index].repeats.is_some());
    assert_eq!(shown, [0, 1, 14, 15]);
    let next = |from, forward| neighbour(&rows, &shown, from, forward);
    assert_eq!(next(None, true), Some(SpanId(1)));
    assert_eq!(next(Some(SpanId(1)), true), Some(SpanId(500)));
    assert_eq!(next(Some(SpanId(13)), true), Some(SpanId(500)));
    assert_eq!(next(Some(SpanId(13)), false), Some(SpanId(1)));
    assert_eq!(next(Some(SpanId(501)), true), None);
    assert_eq!(next(Some(SpanId(1)), false), None);
}

#[test]
fn names_are_shortened_only_where_they_are_functions() {
    assert_eq!(short_name("shop:cart/cart.get-cart"), "get-cart");
    assert_eq!(short_name("process checkout.email"), "process checkout.email");
    assert_eq!(short_name("GET /picture.svg"), "GET /picture.svg");
}
