//! Round trips, limits, and bodies that nobody should send.

use proptest::prelude::*;
use protocol::span::{CallerStages, Link, Log, Stages, Value};
use protocol::{
    CalleeStages, ErrorCode, HandlerName, NodeName, Span, SpanId, SpanKind, SpanStatus, TraceId, Transport,
};

use super::model::{self, AnyValue, Event, KeyValue, Resource, ResourceSpans, Scope, ScopeSpans};
use super::*;
use crate::clock::Clock;
use crate::telemetry::fields;

const NOW_MS: u64 = 1_790_000_000_000;
const START_NS: u64 = NOW_MS * 1_000_000;

fn intake() -> Intake {
    Intake::new(Clock::test(NOW_MS))
}

fn call() -> Span {
    let callee = CalleeStages {
        total: 900,
        decode: 10,
        wait: 20,
        run: 700,
        outgoing: 100,
        encode: 11,
    };
    Span {
        trace_id: TraceId(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736),
        span_id: SpanId(u64::MAX),
        parent_id: Some(SpanId(7)),
        kind: SpanKind::Client,
        handler: HandlerName::parse("checkout").unwrap(),
        node: NodeName::home(),
        name: "shop:cart/cart.get".into(),
        start_unix_ns: START_NS + 1,
        duration_ns: 1_234_567,
        status: SpanStatus::Failed {
            code: ErrorCode::Deadline,
            message: "5 s are over".into(),
        },
        peer: Some(HandlerName::parse("cart").unwrap()),
        transport: Some(Transport::Quic),
        cold: Some(true),
        stages: Some(Stages::Caller(CallerStages {
            lift: 1,
            send: 2,
            travel: 3,
            lower: 4,
            callee,
        })),
        link: Some(Link {
            trace_id: TraceId(1),
            span_id: SpanId(2),
        }),
        attributes: vec![
            (
                fields::EDGE.into(),
                Value::Text("checkout -> shop:cart/cart".into()),
            ),
            (fields::PLACEMENT.into(), Value::Text("apart".into())),
            (fields::ARGS_BYTES.into(), Value::Int(12)),
            ("half".into(), Value::Float(0.5)),
            ("done".into(), Value::Bool(false)),
        ],
        logs: vec![Log {
            unix_ns: START_NS + 5,
            level: "warn".into(),
            message: "two\nlines, <b>bold</b> and مرحبا".into(),
        }],
    }
}

/// Out, in bytes, and in again.
fn round_trip(spans: &[Span], encoding: Encoding) -> Vec<Span> {
    let bytes = encode(&traces_data(spans), encoding);
    let decoded = decode(&bytes, encoding).unwrap();
    assert_eq!(decoded.dropped_values, 0);
    let taken = intake().take(&decoded.data);
    assert_eq!((taken.refused, taken.reasons), (0, Vec::new()));
    taken.spans
}

fn any_of_ours() -> impl Strategy<Value = Span> {
    let who = (
        prop::sample::select(vec!["ingress", "cart", "checkout"]),
        prop::sample::select(vec!["home", "cart"]),
    );
    let how = (
        prop::sample::select(vec![
            SpanKind::Internal,
            SpanKind::Server,
            SpanKind::Client,
            SpanKind::Producer,
            SpanKind::Consumer,
        ]),
        prop::option::of(prop::sample::select(Transport::ALL.to_vec())),
        prop::sample::select(vec![0u8, 1, 2]),
        0u8..3,
    );
    (who, how, any::<(u64, bool, Option<bool>)>(), 1..u64::MAX).prop_map(|(who, how, more, id)| {
        let mut span = call();
        span.handler = HandlerName::parse(who.0).unwrap();
        span.node = NodeName::parse(who.1).unwrap();
        let (duration, is_rich, cold) = more;
        span.span_id = SpanId(id);
        span.duration_ns = duration >> 8;
        (span.kind, span.transport, span.cold) = (how.0, how.1, cold);
        span.status = match how.2 {
            0 => SpanStatus::Ok,
            1 => SpanStatus::Err,
            _ => span.status,
        };
        span.stages = match (how.3, span.stages) {
            (1, Some(Stages::Caller(caller))) => Some(Stages::Callee(caller.callee)),
            (2, stages) => stages,
            _ => None,
        };
        if !is_rich {
            span.attributes.clear();
            span.logs.clear();
            (span.link, span.peer, span.parent_id) = (None, None, None);
        }
        span
    })
}

proptest! {
    #[test]
    fn our_spans_come_back_as_they_went(spans in prop::collection::vec(any_of_ours(), 0..20)) {
        for encoding in [Encoding::Protobuf, Encoding::Json] {
            let mut back = round_trip(&spans, encoding);
            // They go by resource, so the order is another one.
            let place = |span: &Span| spans.iter().position(|known| known == span);
            prop_assert_eq!(back.len(), spans.len());
            back.retain(|span| place(span).is_none());
            prop_assert_eq!(back, Vec::new());
        }
    }

    #[test]
    fn any_body_is_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..400)) {
        for encoding in [Encoding::Protobuf, Encoding::Json] {
            if let Ok(decoded) = decode(&body, encoding) {
                intake().take(&decoded.data);
            }
        }
    }

    #[test]
    fn a_changed_body_is_read_or_refused(
        encoding in prop::sample::select(vec![Encoding::Protobuf, Encoding::Json]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        keep in any::<prop::sample::Index>(),
    ) {
        let mut body = encode(&foreign(), encoding);
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        body.truncate(keep.index(body.len()) + 1);
        if let Ok(decoded) = decode(&body, encoding) {
            for span in intake().take(&decoded.data).spans {
                prop_assert!(span.attributes.len() <= 128 && span.logs.len() <= 64);
            }
        }
    }
}

/// What an SDK of another language sends, and some that none should.
fn foreign() -> TracesData {
    let text = |key: &str, value: &str| KeyValue::text(key, value);
    let event = |name: &str, attributes| Event {
        time_unix_nano: START_NS + 3,
        name: name.into(),
        attributes,
    };
    let exception = vec![
        text("exception.type", "KeyError"),
        text("exception.message", "'x'"),
    ];
    let link = |id| model::Link {
        trace_id: Some(TraceId(id)),
        span_id: Some(SpanId(9)),
    };
    let span = model::Span {
        trace_id: Some(TraceId(5)),
        span_id: Some(SpanId(6)),
        trace_state: "vendor=1".into(),
        name: "GET /<script>\u{7}\u{202e}".into(),
        kind: 2,
        start_time_unix_nano: START_NS,
        end_time_unix_nano: START_NS + 10,
        attributes: vec![
            text("http.request.method", "GET"),
            text("peer.service", "Billing (EU)"),
            text("cleave.edge", "a -> b:c/d"),
            KeyValue {
                key: "list".into(),
                value: AnyValue::Array(vec![AnyValue::Int(1), AnyValue::Text("x".into())]),
            },
            KeyValue {
                key: "nan".into(),
                value: AnyValue::Double(f64::NAN),
            },
            text("", "no name"),
        ],
        dropped_attributes_count: 2,
        events: vec![
            event("exception", exception),
            event("cache miss", vec![]),
            event("retry", vec![KeyValue::int("attempt", 2)]),
        ],
        links: vec![link(11), link(12), link(13)],
        status: model::Status {
            message: "boom".into(),
            code: 2,
        },
        ..model::Span::default()
    };
    TracesData {
        resource_spans: vec![ResourceSpans {
            resource: Resource {
                attributes: vec![
                    text("service.name", "Cart Service"),
                    text("host.name", "Home"),
                    text("telemetry.sdk.language", "python"),
                ],
            },
            scope_spans: vec![ScopeSpans {
                scope: Scope {
                    name: "my.library".into(),
                    version: "1.2".into(),
                },
                spans: vec![span],
                schema_url: String::new(),
            }],
            schema_url: String::new(),
        }],
    }
}

fn attribute<'a>(span: &'a Span, key: &str) -> Option<&'a Value> {
    span.attributes
        .iter()
        .find(|(name, _)| name == key)
        .map(|(_, value)| value)
}

#[test]
fn a_foreign_span_keeps_what_it_said() {
    let taken = intake().take(&foreign());
    assert_eq!(taken.refused, 0, "{:?}", taken.reasons);
    let span = &taken.spans[0];
    assert_eq!(
        (span.handler.as_str(), span.node.as_str()),
        ("cart-service", "host-home")
    );
    assert_eq!(span.name.as_ref(), "GET /<script>\u{7}\u{202e}");
    assert_eq!(span.peer.as_ref().map(|peer| peer.as_str()), Some("billing-eu"));
    assert_eq!(span.link.map(|link| link.trace_id), Some(TraceId(11)));
    let text = |value: &str| Some(Value::Text(value.into()));
    for (key, value) in [
        ("otel.scope.name", text("my.library")),
        ("otel.scope.version", text("1.2")),
        ("service.name", text("Cart Service")),
        ("cleave.trace_state", text("vendor=1")),
        ("resource.telemetry.sdk.language", text("python")),
        ("list", text("[1,\"x\"]")),
        ("nan", text("NaN")),
        ("cleave.link.2", text(&format!("{:032x}-{:016x}", 13, 9))),
        ("cleave.edge", None),
        // The name that is ours, the one that is none, and two that were missing before.
        ("otel.dropped_attributes_count", Some(Value::Int(4))),
    ] {
        assert_eq!(attribute(span, key), value.as_ref(), "{key}");
    }
    let lines: Vec<String> = span
        .logs
        .iter()
        .map(|log| format!("{} {}", log.level, log.message))
        .collect();
    assert_eq!(
        lines,
        [
            "error KeyError: 'x'",
            "event cache miss",
            "event retry {\"attempt\":2}"
        ]
    );
    let SpanStatus::Failed { message, .. } = &span.status else {
        panic!("{:?}", span.status)
    };
    assert_eq!(message, "boom");
}

#[test]
fn a_foreign_span_that_went_out_comes_back_the_same() {
    let once = intake().take(&foreign()).spans;
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        assert_eq!(round_trip(&once, encoding), once);
    }
    let out = traces_data(&once);
    let (resource, scope, span) = out.spans().next().unwrap();
    assert!(
        resource
            .attributes
            .contains(&KeyValue::text("service.name", "Cart Service"))
    );
    assert_eq!(
        (scope.name.as_str(), span.links.len(), span.kind),
        ("my.library", 3, 2)
    );
    assert_eq!(span.trace_state, "vendor=1");
}

#[test]
fn what_a_span_lacks_refuses_it_alone() {
    let mut data = foreign();
    let spans = &mut data.resource_spans[0].scope_spans[0].spans;
    let good = spans[0].clone();
    spans.push(model::Span {
        trace_id: None,
        ..good.clone()
    });
    spans.push(model::Span {
        span_id: None,
        ..good.clone()
    });
    spans.push(model::Span {
        start_time_unix_nano: 0,
        ..good.clone()
    });
    let day = 24 * 60 * 60 * 1_000_000_000;
    spans.push(model::Span {
        start_time_unix_nano: START_NS + 2 * day,
        ..good.clone()
    });
    // Clocks that are off by hours, either way, and an end before the start are taken.
    spans.push(model::Span {
        start_time_unix_nano: START_NS + day / 2,
        ..good.clone()
    });
    spans.push(model::Span {
        start_time_unix_nano: START_NS - day / 2,
        ..good
    });
    let taken = intake().take(&data);
    assert_eq!((taken.spans.len(), taken.refused), (3, 4));
    assert_eq!(taken.reasons.len(), 3);
    assert_eq!(taken.spans[1].duration_ns, 0);
    assert!(attribute(&taken.spans[1], fields::ENDED_EARLY_NS).is_some());
    assert_eq!(round_trip(&taken.spans, Encoding::Protobuf), taken.spans);
}

#[test]
fn a_million_attributes_are_counted_not_kept() {
    let mut data = foreign();
    let span = &mut data.resource_spans[0].scope_spans[0].spans[0];
    span.attributes = (0..1_000_000)
        .map(|at| KeyValue::int(&at.to_string(), at))
        .collect();
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        let decoded = decode(&encode(&data, encoding), encoding).unwrap();
        assert!(decoded.dropped_values >= 1_000_000 - VALUES_MAX as u64);
        let taken = intake().take(&decoded.data);
        assert_eq!(taken.spans[0].attributes.len(), 128);
    }
}

#[test]
fn too_many_spans_refuse_the_body() {
    // Two bytes each: a span of which nothing is said.
    let spans = [0x12, 0x00].repeat(SPANS_MAX);
    let mut scope = Message::default();
    scope.bytes(2, &spans);
    let mut body = Message::default();
    body.bytes(1, &scope.into_bytes());
    assert_eq!(
        decode(&body.into_bytes(), Encoding::Protobuf),
        Err(Error::TooMany)
    );
    let spans = vec!["{}"; SPANS_MAX].join(",");
    let body = format!("{{\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":[{spans}]}}]}}]}}");
    assert_eq!(decode(body.as_bytes(), Encoding::Json), Err(Error::TooMany));
}

#[test]
fn a_value_within_values_within_values_ends() {
    let mut value = AnyValue::Int(1);
    for _ in 0..200 {
        value = AnyValue::Array(vec![value]);
    }
    let mut data = foreign();
    let key = "deep".to_owned();
    data.resource_spans[0]
        .resource
        .attributes
        .push(KeyValue { key, value });
    let protobuf = encode(&data, Encoding::Protobuf);
    assert_eq!(decode(&protobuf, Encoding::Protobuf), Err(Error::TooDeep));
    assert!(matches!(
        decode(&encode(&data, Encoding::Json), Encoding::Json),
        Err(Error::Json(_))
    ));
}

#[test]
fn no_sender_fills_the_store_with_names() {
    let (intake, mut handlers) = (intake(), std::collections::BTreeSet::new());
    let mut data = foreign();
    for number in 0..6_000 {
        let resource = &mut data.resource_spans[0].resource;
        resource.attributes = vec![KeyValue::text("service.name", format!("service-of-pod-{number}"))];
        let span = intake.take(&data).spans.pop().unwrap();
        assert_eq!(
            attribute(&span, "service.name").is_some(),
            span.handler.as_str() == "other",
            "{number}"
        );
        handlers.insert(span.handler);
    }
    assert!(handlers.len() <= 4_097, "{}", handlers.len());
}

#[test]
fn json_is_read_as_senders_write_it() {
    let body = r#"{"resourceSpans":[{"resource":null,"scopeSpans":[{"spans":[{
        "traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"eee19b7ec3c1b174","parentSpanId":"",
        "name":"I'm a server span","kind":"SPAN_KIND_SERVER","startTimeUnixNano":1790000000000000000,
        "endTimeUnixNano":"1790000000000000001","attributes":[
            {"key":"my.attr","value":{"intValue":"10"}},{"key":"other","value":{"intValue":11}},
            {"key":"nothing","value":null},{"key":"raw","value":{"bytesValue":"AQI="}},
            {"key":"half","value":{"doubleValue":0.5}},{"key":"map","value":{"kvlistValue":{"values":[
                {"key":"a","value":{"boolValue":true}}]}}}],
        "status":{},"unknownField":[1,{}]}]}]}]}"#;
    let decoded = decode(body.as_bytes(), Encoding::Json).unwrap();
    let taken = intake().take(&decoded.data);
    assert_eq!(taken.reasons, Vec::<String>::new());
    let span = &taken.spans[0];
    assert_eq!(span.trace_id.to_string(), "5b8efff798038103d269b633813fc60c");
    assert_eq!(
        (span.parent_id, span.kind, span.duration_ns),
        (None, SpanKind::Server, 1)
    );
    assert_eq!(span.handler.as_str(), "unknown-service");
    for (key, value) in [
        ("my.attr", Value::Int(10)),
        ("other", Value::Int(11)),
        ("raw", Value::Text("0102".into())),
        ("half", Value::Float(0.5)),
        ("map", Value::Text("{\"a\":true}".into())),
    ] {
        assert_eq!(attribute(span, key), Some(&value), "{key}");
    }
    for bad in [
        "",
        "[]",
        "{",
        "{\"resourceSpans\":{}}",
        "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"kind\":{}}]}]}]}",
    ] {
        assert!(
            matches!(decode(bad.as_bytes(), Encoding::Json), Err(Error::Json(_))),
            "{bad}"
        );
    }
}

#[test]
fn bytes_are_those_of_the_published_schema() {
    // Written by hand from opentelemetry-proto 1.x: resource_spans 1, scope_spans 2, spans 2; trace_id 1, span_id 2,
    // name 5, kind 6, times 7 and 8 (fixed64), status 15.
    let mut span = vec![0x0a, 16];
    span.extend(5u128.to_be_bytes());
    span.extend([0x12, 8]);
    span.extend(6u64.to_be_bytes());
    span.extend([0x2a, 1, b'n', 0x30, 3, 0x39]);
    span.extend(START_NS.to_le_bytes());
    span.push(0x41);
    span.extend((START_NS + 2).to_le_bytes());
    span.extend([0x7a, 2, 0x18, 1]);
    let wrap = |tag: u8, inner: &[u8]| [&[tag, u8::try_from(inner.len()).unwrap()], inner].concat();
    let body = wrap(0x0a, &wrap(0x12, &wrap(0x12, &span)));
    let decoded = decode(&body, Encoding::Protobuf).unwrap();
    let span = decoded.data.spans().next().unwrap().2.clone();
    let expected = model::Span {
        trace_id: Some(TraceId(5)),
        span_id: Some(SpanId(6)),
        name: "n".into(),
        kind: 3,
        start_time_unix_nano: START_NS,
        end_time_unix_nano: START_NS + 2,
        status: model::Status {
            code: 1,
            ..model::Status::default()
        },
        ..model::Span::default()
    };
    assert_eq!(span, expected);
}
