//! Spans and traces for tests.

use std::sync::Arc;

use proptest::prelude::*;
use protocol::span::{Attribute, CallerStages, Link, Log, Stages, Value};
use protocol::{
    CalleeStages, ErrorCode, HandlerName, NodeName, Span, SpanId, SpanKind, SpanStatus, TraceId, Transport,
};

use super::block::Numbers;
use super::summary::{Facts, Summary, text_of};
use crate::telemetry::fields;

/// The words of spans of tests; the place of one and 1 is its number.
const WORDS: [&str; 15] = [
    "ingress",
    "cart",
    "catalog",
    "checkout",
    "queue",
    "home",
    "state",
    "frontend",
    "email",
    "cart -> state:store",
    "checkout -> shop:cart/cart",
    "checkout -> shop:email/email",
    "together",
    "apart",
    "groups",
];

/// The word of a number.
pub(super) fn word(number: u32) -> Option<Arc<str>> {
    WORDS
        .get((number as usize).wrapping_sub(1))
        .map(|word| (*word).into())
}

/// The numbers of a span's words.
pub(super) fn numbers(span: &Span) -> Numbers {
    let number = |text: Option<&str>| {
        text.map_or(0, |text| {
            let place = WORDS.iter().position(|word| *word == text);
            place.unwrap_or_else(|| panic!("`{text}` is no word of tests")) as u32 + 1
        })
    };
    Numbers {
        handler: number(Some(span.handler.as_str())),
        node: number(Some(span.node.as_str())),
        peer: number(span.peer.as_ref().map(|peer| peer.as_str())),
        edge: number(text_of(span, fields::EDGE).map(AsRef::as_ref)),
        placement: number(text_of(span, fields::PLACEMENT).map(AsRef::as_ref)),
    }
}

/// The summary of spans.
pub(super) fn summary(spans: &[Span]) -> Summary {
    let facts = |span| Facts::of(span, numbers(span));
    let mut summary = Summary::of(&facts(&spans[0]));
    spans[1..].iter().for_each(|span| summary.add(&facts(span)));
    summary
}

/// A plain server span: 1 ms long, starting `id` µs after a fixed moment.
pub(super) fn span(trace: u128, id: u64, parent: Option<u64>) -> Span {
    Span {
        trace_id: TraceId(trace),
        span_id: SpanId(id),
        parent_id: parent.map(SpanId),
        kind: SpanKind::Server,
        handler: HandlerName::parse("cart").unwrap(),
        node: NodeName::home(),
        name: "shop:cart/cart.get".into(),
        start_unix_ns: 1_790_000_000_000_000_000 + id * 1_000,
        duration_ns: 1_000_000,
        status: SpanStatus::Ok,
        peer: None,
        transport: Some(Transport::Direct),
        cold: Some(false),
        stages: Some(Stages::Callee(CalleeStages::default())),
        link: None,
        attributes: Vec::new(),
        logs: Vec::new(),
    }
}

/// The span as an attempt that continues another one.
pub(super) fn continues(span: Span, trace: u128, id: u64) -> Span {
    Span {
        kind: SpanKind::Consumer,
        link: Some(Link {
            trace_id: TraceId(trace),
            span_id: SpanId(id),
        }),
        ..span
    }
}

/// The span as a call along an edge.
pub(super) fn along(mut span: Span, edge: &str) -> Span {
    span.kind = SpanKind::Client;
    span.attributes
        .push((fields::EDGE.into(), Value::Text(edge.into())));
    span
}

/// The span as a call that failed.
pub(super) fn failed(span: Span) -> Span {
    Span {
        status: SpanStatus::Failed {
            code: ErrorCode::Trapped,
            message: "it divided by zero".into(),
        },
        ..span
    }
}

/// Spans of one trace, in any shape: several or no roots, missing parents, circles, clocks that differ.
pub(super) fn any_trace(trace: u128) -> impl Strategy<Value = Vec<Span>> {
    prop::collection::vec(any_span(), 1..30).prop_map(move |spans| {
        spans
            .into_iter()
            .zip(1..)
            .map(|(span, id)| Span {
                trace_id: TraceId(trace),
                // Ids use all 64 bits, and so must their form in the store.
                span_id: SpanId(u64::MAX / id),
                parent_id: span.parent_id.map(|parent| SpanId(u64::MAX / parent.0)),
                ..span
            })
            .collect()
    })
}

fn any_span() -> impl Strategy<Value = Span> {
    let who = (
        prop::sample::select(vec!["ingress", "cart", "catalog", "checkout", "queue"]),
        prop::sample::select(vec!["home", "cart", "catalog"]),
        prop::option::weighted(0.9, 1u64..34),
    );
    let what = (
        prop::sample::select(vec![
            SpanKind::Internal,
            SpanKind::Server,
            SpanKind::Client,
            SpanKind::Producer,
            SpanKind::Consumer,
        ]),
        any_status(),
        any_stages(),
        prop::option::of(prop::sample::select(vec![
            Transport::Direct,
            Transport::Quic,
            Transport::Queue,
            Transport::Codec,
            Transport::Uds,
            Transport::Tcp,
        ])),
    );
    let times = (0u64..1_000, 0u64..1_000);
    (who, what, times, any_attributes(), any::<bool>()).prop_map(|(who, what, times, attributes, rich)| {
        let (handler, node, parent) = who;
        let (kind, status, stages, transport) = what;
        let mut made = span(1, 1, parent);
        made.handler = HandlerName::parse(handler).unwrap();
        made.node = NodeName::parse(node).unwrap();
        made.name = Arc::from(format!("{handler}.{}", times.0 % 3));
        made.start_unix_ns += times.0;
        made.duration_ns = times.1;
        (made.kind, made.status, made.stages, made.transport) = (kind, status, stages, transport);
        made.attributes = attributes;
        made.cold = rich.then_some(times.1.is_multiple_of(2));
        made.peer = rich.then(HandlerName::state);
        if rich {
            made.logs = vec![Log {
                unix_ns: made.start_unix_ns,
                level: "info".into(),
                message: "two in the cart".into(),
            }];
        }
        made
    })
}

fn any_status() -> impl Strategy<Value = SpanStatus> {
    prop_oneof![
        4 => Just(SpanStatus::Ok),
        1 => Just(SpanStatus::Err),
        1 => prop::sample::select(ErrorCode::ALL.to_vec()).prop_map(|code| SpanStatus::Failed {
            code,
            message: "it did not work".into(),
        }),
    ]
}

fn any_stages() -> impl Strategy<Value = Option<Stages>> {
    let callee = any::<[u32; 6]>().prop_map(|[total, decode, wait, run, outgoing, encode]| CalleeStages {
        total: total.into(),
        decode: decode.into(),
        wait: wait.into(),
        run: run.into(),
        outgoing: outgoing.into(),
        encode: encode.into(),
    });
    prop_oneof![
        Just(None),
        callee.clone().prop_map(|callee| Some(Stages::Callee(callee))),
        (any::<[u16; 4]>(), callee).prop_map(|([lift, send, travel, lower], callee)| Some(Stages::Caller(
            CallerStages {
                lift: lift.into(),
                send: send.into(),
                travel: travel.into(),
                lower: lower.into(),
                callee,
            }
        ))),
    ]
}

fn any_attributes() -> impl Strategy<Value = Vec<Attribute>> {
    let edge = prop::sample::select(vec!["cart -> state:store", "checkout -> shop:cart/cart"]);
    let placement = prop::sample::select(vec!["together", "apart"]);
    (
        prop::option::of(edge),
        prop::option::of(placement),
        any::<Option<i64>>(),
    )
        .prop_map(|(edge, placement, bytes)| {
            let text = |key: &'static str, value: &str| (key.into(), Value::Text(value.into()));
            let mut attributes = Vec::new();
            attributes.extend(edge.map(|edge| text(fields::EDGE, edge)));
            attributes.extend(placement.map(|placement| text(fields::PLACEMENT, placement)));
            attributes.extend(bytes.map(|bytes| (fields::ARGS_BYTES.into(), Value::Int(bytes))));
            attributes
        })
}
