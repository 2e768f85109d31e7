//! The bill: what the calls of each edge are made of, and what another way would cost. Pure.
//!
//! Promises: a figure is of calls that went the present way, and says of how many; calls under way at the same time
//! count once in a share; a price says whether it was measured on the edge itself, on other edges, or on the ladder's
//! bench. Which stored requests are looked at is the caller's choice.

use std::collections::{BTreeMap, HashMap};

use protocol::api::bill::{Basis, Bill, BillSample, BilledEdge, RungPrice};
use protocol::api::edges::Edge;
use protocol::span::{Stages, Value};
use protocol::{CalleeStages, CallerStages, Rung, Span, SpanKind, SpanStatus, Transport, edge_name};

use crate::telemetry::fields;

/// Calls of the edge itself that make a price; fewer are chance.
const OWN_CALLS_MIN: usize = 5;
/// Calls of one other edge that make its median count.
const OTHER_CALLS_MIN: usize = 5;

/// A round trip of 200 bytes by each rung, in ns: `cargo xtask bench ladder`, as in `docs/figures.md`.
const LADDER_NS: [(Rung, u64); 5] = [
    (Rung::Direct, 200),
    (Rung::Codec, 1_150),
    (Rung::Uds, 52_700),
    (Rung::Tcp, 103_000),
    (Rung::Quic, 145_000),
];

/// A stored call along an edge.
struct Call<'a> {
    request: usize,
    span: &'a Span,
    stages: CallerStages,
}

/// The calls of one edge, by the way they went.
type Ways<'a> = BTreeMap<Transport, Vec<Call<'a>>>;

/// The bill of these edges, by stored requests: each one's duration in ns, and its spans.
pub fn bill(edges: Vec<Edge>, requests: &[(u64, Vec<Span>)]) -> Bill {
    let mut by_edge: HashMap<&str, Ways<'_>> = HashMap::new();
    let mut calls = 0u32;
    for (request, (_, spans)) in requests.iter().enumerate() {
        for span in spans {
            let (Some(edge), Some(transport), Some(stages)) =
                (edge_of(span), span.transport, stages_of(span))
            else {
                continue;
            };
            calls = calls.saturating_add(1);
            let ways = by_edge.entry(edge).or_default();
            ways.entry(transport).or_default().push(Call {
                request,
                span,
                stages,
            });
        }
    }
    let medians = medians(&by_edge);
    let durations: Vec<u64> = requests.iter().map(|(duration, _)| *duration).collect();
    Bill {
        requests: count(requests.len()),
        calls,
        edges: edges
            .into_iter()
            .map(|edge| {
                let name = edge_name(&edge.caller, &edge.interface);
                billed(edge, by_edge.get(name.as_str()), (&name, &medians), &durations)
            })
            .collect(),
    }
}

/// By way: each edge that has enough calls, with their median price.
type Medians = BTreeMap<Transport, Vec<(String, u64, usize)>>;

fn medians(by_edge: &HashMap<&str, Ways<'_>>) -> Medians {
    let mut medians = Medians::new();
    for (edge, ways) in by_edge {
        for (transport, calls) in ways.iter().filter(|(_, calls)| calls.len() >= OTHER_CALLS_MIN) {
            let price = percentile(calls, 500, |call| carried(&call.stages));
            let known = medians.entry(*transport).or_default();
            known.push(((*edge).to_owned(), price, calls.len()));
        }
    }
    medians
}

fn billed(edge: Edge, ways: Option<&Ways<'_>>, others: (&str, &Medians), durations: &[u64]) -> BilledEdge {
    let per_call = |bytes: u64| bytes / edge.calls.max(1);
    let present = ways.and_then(|ways| ways.get(&edge.transport));
    let sample = present.map(|calls| sample(calls, durations));
    let rungs = match edge.transport {
        Transport::Queue => Vec::new(),
        _ => Rung::ALL
            .into_iter()
            .map(|rung| price(rung, ways, others, sample.as_ref()))
            .collect(),
    };
    BilledEdge {
        call_bytes: per_call(edge.bytes_in),
        reply_bytes: per_call(edge.bytes_out),
        p50_ns: edge.latency_ns.p50,
        p99_ns: edge.latency_ns.p99,
        caller: edge.caller,
        callee: edge.callee,
        interface: edge.interface,
        transport: edge.transport,
        asked: edge.asked,
        calls: edge.calls,
        errors: edge.errors,
        rate_per_s: edge.rate_per_s,
        queue: edge.queue,
        sample,
        rungs,
    }
}

fn sample(calls: &[Call<'_>], durations: &[u64]) -> BillSample {
    let mut by_request: BTreeMap<usize, Vec<&Call<'_>>> = BTreeMap::new();
    for call in calls {
        by_request.entry(call.request).or_default().push(call);
    }
    let (mut whole, mut covered, mut carrying) = (0.0, 0.0, 0.0);
    for (request, calls) in &by_request {
        let duration = durations.get(*request).copied().unwrap_or_default();
        let (cover, sum) = cover(calls);
        // Of calls under way at once each is charged its part of the time that they took together.
        let carried: u64 = calls.iter().map(|call| carried(&call.stages)).sum();
        whole += duration as f64;
        covered += cover.min(duration) as f64;
        carrying += (carried as f64 * cover as f64 / sum.max(1) as f64).min(duration as f64);
    }
    let part = |of: f64| if whole > 0.0 { of / whole } else { 0.0 };
    BillSample {
        calls: count(calls.len()),
        requests: count(by_request.len()),
        calls_per_request: calls.len() as f64 / by_request.len().max(1) as f64,
        p50: stages(calls, 500),
        p99: stages(calls, 990),
        carried_p50_ns: percentile(calls, 500, |call| carried(&call.stages)),
        carried_p99_ns: percentile(calls, 990, |call| carried(&call.stages)),
        share: part(covered),
        carried_share: part(carrying),
    }
}

/// The time during which at least one of the calls was under way, and the sum of their times.
fn cover(calls: &[&Call<'_>]) -> (u64, u64) {
    let mut spans: Vec<(u64, u64)> = calls
        .iter()
        .map(|call| {
            let start = call.span.start_unix_ns;
            (start, start.saturating_add(call.span.duration_ns))
        })
        .collect();
    spans.sort_unstable();
    let (mut covered, mut reached) = (0, 0);
    for (start, end) in &spans {
        let from = (*start).max(reached);
        covered += end.saturating_sub(from);
        reached = reached.max(*end);
    }
    (covered, spans.iter().map(|(start, end)| end - start).sum())
}

fn price(
    rung: Rung,
    ways: Option<&Ways<'_>>,
    (name, medians): (&str, &Medians),
    now: Option<&BillSample>,
) -> RungPrice {
    let transport = rung.transport();
    let own = ways
        .and_then(|ways| ways.get(&transport))
        .map_or(&[][..], Vec::as_slice);
    let (carried_ns, basis, calls) = if own.len() >= OWN_CALLS_MIN {
        (
            percentile(own, 500, |call| carried(&call.stages)),
            Basis::Edge,
            own.len(),
        )
    } else if let Some((price, calls)) = of_others(name, medians.get(&transport)) {
        (price, Basis::Edges, calls)
    } else {
        (on_ladder(rung, now), Basis::Ladder, 0)
    };
    let request_ns = now.map_or(0, |now| {
        let difference = carried_ns as f64 - now.carried_p50_ns as f64;
        (difference * now.calls_per_request).round() as i64
    });
    RungPrice {
        rung,
        carried_ns,
        request_ns,
        basis,
        calls: count(calls),
    }
}

/// The median of other edges' medians, and the calls behind it. Every edge counts alike, so that one busy edge with
/// large arguments is not taken for all.
fn of_others(name: &str, known: Option<&Vec<(String, u64, usize)>>) -> Option<(u64, usize)> {
    let others: Vec<_> = known?.iter().filter(|(edge, ..)| edge != name).collect();
    let mut prices: Vec<u64> = others.iter().map(|(_, price, _)| *price).collect();
    prices.sort_unstable();
    let price = prices.get(prices.len().checked_sub(1)? / 2)?;
    Some((*price, others.iter().map(|(_, _, calls)| calls).sum()))
}

/// The bench's number, with what lifting and lowering this edge's values takes on any rung.
fn on_ladder(rung: Rung, now: Option<&BillSample>) -> u64 {
    let bench = LADDER_NS.iter().find(|(known, _)| *known == rung);
    let values = now.map_or(0, |now| now.p50.lift + now.p50.lower);
    bench.map_or(0, |(_, ns)| *ns) + values
}

/// What carrying a call took: everything but the wait for an instance, the run and what the callee called itself.
fn carried(stages: &CallerStages) -> u64 {
    let inside = &stages.callee;
    let worked = inside.wait + inside.run + inside.outgoing;
    stages.lift + stages.send + stages.travel + stages.lower + inside.total.saturating_sub(worked)
}

fn stages(calls: &[Call<'_>], permille: usize) -> CallerStages {
    let of = |part: fn(&CallerStages) -> u64| percentile(calls, permille, |call| part(&call.stages));
    let mut callee = CalleeStages {
        total: of(|stages| {
            let inside = &stages.callee;
            inside.total.saturating_sub(parts(inside))
        }),
        decode: of(|stages| stages.callee.decode),
        wait: of(|stages| stages.callee.wait),
        run: of(|stages| stages.callee.run),
        outgoing: of(|stages| stages.callee.outgoing),
        encode: of(|stages| stages.callee.encode),
    };
    // As in `steps`: the parts add up to the total.
    callee.total += parts(&callee);
    CallerStages {
        lift: of(|stages| stages.lift),
        send: of(|stages| stages.send),
        travel: of(|stages| stages.travel),
        lower: of(|stages| stages.lower),
        callee,
    }
}

fn parts(callee: &CalleeStages) -> u64 {
    callee.decode + callee.wait + callee.run + callee.outgoing + callee.encode
}

/// The value below which that many of a thousand lie, by nearest rank.
fn percentile(calls: &[Call<'_>], permille: usize, value: impl Fn(&Call<'_>) -> u64) -> u64 {
    let mut values: Vec<u64> = calls.iter().map(value).collect();
    values.sort_unstable();
    let rank = (values.len() * permille).div_ceil(1_000).max(1);
    values.get(rank - 1).copied().unwrap_or_default()
}

fn edge_of(span: &Span) -> Option<&str> {
    let of_edge = span.attributes.iter().find(|(key, _)| key == fields::EDGE);
    match of_edge {
        Some((_, Value::Text(edge))) => Some(edge),
        _ => None,
    }
}

fn stages_of(span: &Span) -> Option<CallerStages> {
    match span.stages {
        Some(Stages::Caller(stages))
            if span.kind == SpanKind::Client && !matches!(span.status, SpanStatus::Failed { .. }) =>
        {
            Some(stages)
        }
        _ => None,
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use protocol::{HandlerName, NodeName, SpanId, TraceId};

    use super::*;
    use crate::clock::Clock;
    use crate::edges::{EdgeKey, Edges, Ended, Outcome};

    /// A call of `run` ns that was `carry` ns on its way.
    fn call(edge: &str, transport: Transport, (start, run, carry): (u64, u64, u64)) -> Span {
        let stages = CallerStages {
            lift: 10,
            send: 5,
            travel: carry - 30,
            lower: 10,
            callee: CalleeStages {
                total: run + 5,
                run,
                decode: 5,
                ..CalleeStages::default()
            },
        };
        Span {
            trace_id: TraceId(1),
            span_id: SpanId(1),
            parent_id: None,
            kind: SpanKind::Client,
            handler: HandlerName::parse("frontend").unwrap(),
            node: NodeName::home(),
            name: "shop:cart/cart.get".into(),
            start_unix_ns: start,
            duration_ns: run + carry,
            status: SpanStatus::Ok,
            peer: None,
            transport: Some(transport),
            cold: None,
            stages: Some(Stages::Caller(stages)),
            link: None,
            attributes: vec![(fields::EDGE.into(), Value::Text(edge.into()))],
            logs: Vec::new(),
        }
    }

    fn counted(callees: &[(&str, Transport)]) -> Vec<Edge> {
        let edges = Edges::new(Clock::test(1_000_000));
        for (callee, transport) in callees {
            let key = EdgeKey {
                caller: HandlerName::parse("frontend").unwrap(),
                callee: HandlerName::parse(callee).unwrap(),
                interface: protocol::InterfaceName::parse(&format!("shop:{callee}/{callee}@0.1.0")).unwrap(),
            };
            let ended = Ended {
                transport: *transport,
                outcome: Outcome::Ok,
                latency_ns: 500,
                bytes_in: 30,
                bytes_out: 70,
            };
            edges.record(&key, ended);
        }
        edges.snapshot()
    }

    const CART: &str = "frontend -> shop:cart/cart";
    const CATALOG: &str = "frontend -> shop:catalog/catalog";

    #[test]
    fn calls_at_the_same_time_count_once_in_the_share() {
        let spans = vec![
            call(CART, Transport::Direct, (1_000, 60, 40)),
            call(CART, Transport::Direct, (1_050, 60, 40)),
            call(CART, Transport::Direct, (1_400, 60, 40)),
        ];
        let bill = bill(counted(&[("cart", Transport::Direct)]), &[(1_000, spans)]);
        assert_eq!((bill.requests, bill.calls), (1, 3));
        let edge = &bill.edges[0];
        assert_eq!((edge.call_bytes, edge.reply_bytes), (30, 70));
        let sample = edge.sample.as_ref().unwrap();
        assert_eq!((sample.calls, sample.requests), (3, 1));
        // 150 ns of the first two and 100 of the third, of 1,000; of 3 × 40 ns carried, 250 of 300 count.
        assert!((sample.share - 0.25).abs() < 1e-9, "{sample:?}");
        assert!((sample.carried_share - 0.1).abs() < 1e-9, "{sample:?}");
        assert_eq!((sample.carried_p50_ns, sample.p50.callee.run), (40, 60));
    }

    #[test]
    fn a_price_is_of_the_edge_then_of_others_then_of_the_bench() {
        let many =
            |edge, transport, carry| (0..6).map(move |at| call(edge, transport, (at * 1_000, 60, carry)));
        let spans: Vec<Span> = many(CART, Transport::Direct, 40)
            .chain(many(CATALOG, Transport::Direct, 50))
            .chain(many(CATALOG, Transport::Quic, 9_000))
            .collect();
        let counted = counted(&[("cart", Transport::Direct), ("catalog", Transport::Quic)]);
        let bill = bill(counted, &[(100_000, spans)]);
        let price = |edge: usize, rung: Rung| {
            let found = bill.edges[edge].rungs.iter().find(|price| price.rung == rung);
            found.cloned().unwrap()
        };
        let own = price(0, Rung::Direct);
        assert_eq!(
            (own.carried_ns, own.request_ns, own.basis, own.calls),
            (40, 0, Basis::Edge, 6)
        );
        let others = price(0, Rung::Quic);
        assert_eq!(
            (others.carried_ns, others.basis, others.calls),
            (9_000, Basis::Edges, 6)
        );
        assert_eq!(others.request_ns, 6 * (9_000 - 40));
        let bench = price(0, Rung::Uds);
        assert_eq!(
            (bench.carried_ns, bench.basis, bench.calls),
            (52_720, Basis::Ladder, 0)
        );
        // Joining the other: it was measured together before.
        let joined = price(1, Rung::Direct);
        assert_eq!((joined.carried_ns, joined.basis), (50, Basis::Edge));
        assert!(joined.request_ns < 0);
    }

    #[test]
    fn an_edge_without_stored_calls_is_billed_from_the_bench_alone() {
        let bill = bill(
            counted(&[("cart", Transport::Queue), ("catalog", Transport::Direct)]),
            &[],
        );
        assert!(bill.edges[0].rungs.is_empty() && bill.edges[0].sample.is_none());
        assert!(
            bill.edges[1]
                .rungs
                .iter()
                .all(|price| price.basis == Basis::Ladder && price.request_ns == 0)
        );
    }

    #[test]
    fn failed_calls_and_other_spans_are_left_out() {
        let failed = Span {
            status: SpanStatus::Failed {
                code: protocol::ErrorCode::Unreachable,
                message: String::new(),
            },
            ..call(CART, Transport::Direct, (1, 60, 40))
        };
        let served = Span {
            kind: SpanKind::Server,
            ..call(CART, Transport::Direct, (1, 60, 40))
        };
        let bill = bill(
            counted(&[("cart", Transport::Direct)]),
            &[(1_000, vec![failed, served])],
        );
        assert_eq!((bill.calls, bill.edges[0].sample.clone()), (0, None));
    }
}
