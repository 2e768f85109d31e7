//! Sides made by hand: together and apart, and populations whose difference is known.

use protocol::api::diff::Verdict;
use protocol::{HandlerName, NodeName, Span, SpanKind};

use super::*;
use crate::traces::skeleton::Columns;
use crate::traces::testing::{failed, span};

/// One request: (id, parent, callee, function, start, length), each in the way of a placement.
type Call = (u64, u64, &'static str, &'static str, u64, u64);

const REQUEST: [Call; 4] = [
    (10, 0, "frontend", "handle", 0, 1_000),
    (20, 10, "checkout", "place-order", 100, 800),
    (30, 20, "cart", "get-cart", 150, 100),
    (40, 20, "payment", "charge", 400, 300),
];

/// Together a call is one span; apart it has two, on two nodes, and travels.
fn spans(calls: &[Call], trace: u128, apart: bool) -> Vec<Span> {
    let mut made = Vec::new();
    for (id, parent, callee, name, start, length) in calls.iter().copied() {
        let mut one = span(trace, id, (parent > 0).then_some(parent + u64::from(apart)));
        one.name = format!("shop:x/x.{name}").into();
        one.handler = HandlerName::parse(callee).unwrap();
        one.start_unix_ns = 5_000_000 + start;
        one.duration_ns = length;
        one.kind = SpanKind::Server;
        if !apart {
            made.push(one);
            continue;
        }
        let mut client = one.clone();
        client.kind = SpanKind::Client;
        client.peer = Some(one.handler.clone());
        client.handler = HandlerName::parse("caller").unwrap();
        client.transport = Some(Transport::Quic);
        one.span_id = SpanId(id + 1);
        one.parent_id = Some(SpanId(id));
        one.node = NodeName::parse(callee).unwrap();
        one.start_unix_ns += 10;
        one.duration_ns = length - 40;
        made.extend([client, one]);
    }
    made
}

fn member(spans: &[Span], placement: &str) -> Member {
    let trace = spans[0].trace_id;
    let mut columns = Columns::new(trace);
    for span in spans {
        columns.add(span, None);
    }
    let laid = Laid::out(Arc::new(columns.done()), spans[0].span_id.0);
    Member {
        duration_ns: laid.duration_ns(),
        laid: Arc::new(laid),
        name: "GET /cart".to_owned(),
        placement: placement.to_owned(),
        has_failed: false,
    }
}

fn one(spans: &[Span]) -> Side {
    Side {
        members: vec![member(spans, "together")],
        is_cut: false,
    }
}

fn names(diff: &Diff) -> Vec<(u32, String)> {
    let paths = diff.paths.iter();
    paths
        .map(|path| (path.depth, format!("{}.{}", path.handler, path.label)))
        .collect()
}

#[test]
fn a_request_is_the_same_together_and_apart() {
    let diff = diff(&one(&spans(&REQUEST, 1, false)), &one(&spans(&REQUEST, 2, true)));
    assert_eq!(
        names(&diff),
        [
            (0, "frontend.handle".to_owned()),
            (1, "checkout.place-order".to_owned()),
            (2, "cart.get-cart".to_owned()),
            (2, "payment.charge".to_owned())
        ]
    );
    for path in &diff.paths {
        let (a, b) = (path.a.as_ref().unwrap(), path.b.as_ref().unwrap());
        assert_eq!((a.calls, b.calls), (1, 1));
        assert_eq!((a.between_median_ns, b.between_median_ns), (0, 40));
        assert_eq!(b.ways, [Transport::Quic]);
        assert_eq!(
            path.length.unwrap().verdict,
            Verdict::Inconclusive,
            "one call each"
        );
    }
    assert_eq!(diff.paths[2].caller, "checkout");
}

#[test]
fn added_and_missing_calls_are_told_as_such() {
    let more: Vec<Call> = REQUEST
        .into_iter()
        .filter(|call| call.2 != "cart")
        .chain([(50, 20, "email", "send", 800, 50)])
        .collect();
    let diff = diff(&one(&spans(&REQUEST, 1, false)), &one(&spans(&more, 2, false)));
    let sides: Vec<(String, bool, bool)> = diff
        .paths
        .iter()
        .map(|path| (path.handler.clone(), path.a.is_some(), path.b.is_some()))
        .collect();
    assert_eq!(
        sides[2..],
        [
            ("cart".to_owned(), true, false),
            ("payment".to_owned(), true, true),
            ("email".to_owned(), false, true)
        ]
    );
}

/// A population whose payments take so long, with some spread.
fn population(count: u64, payment: u64, apart: bool) -> Side {
    let members = (0..count).map(|at| {
        let mut calls = REQUEST;
        calls[3].5 = payment + at % 7 * 5;
        member(&spans(&calls, 100 + u128::from(at), apart), "apart")
    });
    Side {
        members: members.collect(),
        is_cut: false,
    }
}

#[test]
fn a_population_s_shift_is_found_where_it_is_and_nowhere_else() {
    let found = diff(&population(30, 200, false), &population(30, 350, true));
    let by = |name: &str| found.paths.iter().find(|path| path.handler == name).unwrap();
    let payment = by("payment").length.unwrap();
    assert_eq!((payment.by_ns, payment.verdict), (150, Verdict::ABetter));
    assert_eq!(payment.samples, (30, 30));
    assert_eq!(by("cart").length.unwrap().verdict, Verdict::Equivalent);
    assert_eq!(found.whole.verdict, Verdict::Equivalent);
    assert_eq!((found.a.traces, found.a.name.as_str()), (30, "GET /cart"));
}

#[test]
fn repeated_calls_count_one_by_one_and_failures_are_counted() {
    let mut calls = REQUEST.to_vec();
    calls.extend((0..9).map(|at| (60 + at * 2, 20, "currency", "convert", 710 + at * 10, 5)));
    let mut many = spans(&calls, 2, false);
    let last = many.pop().unwrap();
    many.push(failed(last));
    let diff = diff(&one(&spans(&REQUEST, 1, false)), &one(&many));
    let currency = diff.paths.last().unwrap();
    let told = currency.b.as_ref().unwrap();
    assert_eq!((currency.depth, told.calls, told.failed), (2, 9, 1));
}

#[test]
fn an_answer_has_an_end() {
    let calls: Vec<Call> = REQUEST.to_vec();
    let mut many = spans(&calls, 1, false);
    for id in 0..2_000 {
        let mut one = span(1, 1_000 + id, Some(10));
        one.name = format!("f{id}").into();
        many.push(one);
    }
    let diff = diff(&one(&many), &one(&many));
    assert_eq!(
        (diff.paths.len(), diff.left_out),
        (PATHS_MAX, 2_004 - PATHS_MAX as u64)
    );
}
