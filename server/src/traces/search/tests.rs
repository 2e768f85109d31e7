//! What queries find in one trace, with and without the rest of its blocks.

use std::sync::Arc;

use protocol::span::{Log, Value};
use protocol::{Span, SpanKind, TraceId, Transport};

use super::super::block::{self, Head, Rest};
use super::super::query::Query;
use super::super::skeleton::{Builder, Skeleton};
use super::super::testing::{along, any_trace, failed, numbers, span, word};
use super::*;

/// Packs spans in blocks of so many.
fn packed(spans: &[Span], size: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let pack = |spans: &[Span]| {
        let rows: Vec<_> = spans.iter().map(|span| (span, numbers(span))).collect();
        block::pack(&rows)
    };
    spans.chunks(size).map(pack).collect()
}

fn skeleton(blocks: &[(Vec<u8>, Vec<u8>)]) -> Arc<Skeleton> {
    let mut builder = Builder::on(Skeleton::new(TraceId(1)), &word);
    for ((head, _), number) in blocks.iter().zip(0..) {
        builder.add(number, &Head::read(head).unwrap(), 0);
    }
    Arc::new(builder.finish())
}

/// The ids of the spans that are found, and how many blocks were needed for it.
fn find(query: &str, spans: &[Span], size: usize) -> (Vec<u64>, usize) {
    let blocks = packed(spans, size);
    let skeleton = skeleton(&blocks);
    let whole = Whole {
        root: 1,
        root_name: "GET /".into(),
        root_handler: "ingress".into(),
        root_ns: 5_000_000,
        duration_ns: 9_000_000,
        spans: spans.len() as u32,
        errors: 1,
        placement: "apart".into(),
    };
    let query = Query::parse(query).unwrap_or_else(|fault| panic!("{query}: {fault}"));
    let mut search = Search::begin(Arc::new(query), Arc::clone(&skeleton), &whole);
    let needs = search.needs();
    for number in &needs {
        let (head, rest) = &blocks[*number as usize];
        let head = Head::read(head).unwrap();
        search
            .take(*number, &head, &Rest::read(rest, head.len()).unwrap())
            .unwrap();
    }
    let found = search.finish();
    let ids = found.into_iter().map(|at| skeleton.id[at as usize]);
    (ids.collect(), needs.len())
}

/// 1 GET, 2 calls the cart by QUIC, 3 is the cart, 4 failed, 5 logged.
fn spans() -> Vec<Span> {
    let log = |message: &str| Log {
        unix_ns: 1,
        level: "info".into(),
        message: message.into(),
    };
    vec![
        Span {
            name: "GET /".into(),
            handler: protocol::HandlerName::ingress(),
            ..span(1, 1, None)
        },
        Span {
            transport: Some(Transport::Quic),
            duration_ns: 4_000_000,
            ..along(span(1, 2, Some(1)), "checkout -> shop:cart/cart")
        },
        Span {
            attributes: vec![
                ("user.id".into(), Value::Int(42)),
                ("user.name".into(), Value::Text("Ada".into())),
            ],
            cold: Some(true),
            ..span(1, 3, Some(2))
        },
        Span {
            kind: SpanKind::Internal,
            attributes: vec![("user.id".into(), Value::Text("none".into()))],
            ..failed(span(1, 4, Some(3)))
        },
        Span {
            logs: vec![log("Two in the cart"), log("and one out")],
            attributes: vec![
                ("load".into(), Value::Float(0.5)),
                ("resource.service.version".into(), Value::Text("7".into())),
                ("is.new".into(), Value::Bool(true)),
            ],
            cold: None,
            ..span(1, 5, Some(9))
        },
    ]
}

#[test]
fn each_field_finds_what_it_says() {
    let spans = spans();
    for (query, expected) in [
        ("{ }", vec![1, 2, 3, 4, 5]),
        ("name = \"GET /\"", vec![1]),
        ("name =~ cart.get", vec![2, 3, 4, 5]),
        ("name !~ cart.get", vec![1]),
        ("handler = ingress", vec![1]),
        ("handler != ingress", vec![2, 3, 4, 5]),
        ("edge = \"checkout -> shop:cart/cart\"", vec![2]),
        ("edge = nil", vec![1, 3, 4, 5]),
        (".service.version = \"7\"", vec![5]),
        ("resource.service.version = \"7\"", vec![5]),
        ("resource.service.version = nil", vec![1, 2, 3, 4]),
        (".service.version != nil", vec![5]),
        ("resource.load = 0.5", vec![]),
        ("status = unset", vec![1, 2, 3, 5]),
        ("status != unset", vec![4]),
        ("peer != nil", vec![]),
        ("duration > 3ms", vec![2]),
        ("duration = 1ms", vec![1, 3, 4, 5]),
        ("status = error", vec![4]),
        ("status != ok", vec![4]),
        ("kind = client || kind = internal", vec![2, 4]),
        ("transport = quic", vec![2]),
        ("transport != quic", vec![1, 3, 4, 5]),
        ("cold = true", vec![3]),
        ("cold = false", vec![1, 2, 4]),
        ("cold = nil", vec![5]),
        ("message =~ zero", vec![4]),
        ("message = \"it divided by zero\"", vec![4]),
        ("log =~ \"two in\"", vec![5]),
        ("log = \"and one out\"", vec![5]),
        ("log !~ \"two\"", vec![]),
        ("log != nil", vec![5]),
        (".user.id = 42", vec![3]),
        (".user.id >= 42.0", vec![3]),
        (".user.id != 42", vec![4]),
        (".user.id != nil", vec![3, 4]),
        (".user.id = nil", vec![1, 2, 5]),
        (".user.name = ada", vec![]),
        (".user.name =~ ada", vec![3]),
        (".load < 1", vec![5]),
        (".is.new = true", vec![5]),
        ("!(.user.id = 42) && handler = cart", vec![2, 4, 5]),
        ("log =~ cart || .user.id = 42 || status = error", vec![3, 4, 5]),
        ("root.name =~ get && kind = client", vec![2]),
        ("root.handler = cart", vec![]),
        (
            "root.duration > 4ms && root.status = ok && status = error",
            vec![4],
        ),
        ("trace.duration < 1ms", vec![]),
        ("trace.spans = 5 && trace.errors > 0 && transport = quic", vec![2]),
        ("placement = apart && cold = true", vec![3]),
        ("placement != apart", vec![]),
        ("{ kind = client } > { }", vec![3]),
        ("{ kind = client } >> { }", vec![3, 4]),
        ("{ name = \"GET /\" } >> { status = error }", vec![4]),
        ("{ status = error } && { cold = true }", vec![3, 4]),
        ("{ status = error } && { handler = nobody }", vec![]),
        ("{ status = error } || { handler = nobody }", vec![4]),
        (
            "({ cold = true } || { kind = client }) > { .user.id != nil }",
            vec![3, 4],
        ),
    ] {
        for size in [1, 2, 100] {
            assert_eq!(find(query, &spans, size).0, expected, "{query}, blocks of {size}");
        }
    }
}

#[test]
fn blocks_are_read_only_where_there_is_a_doubt() {
    let spans = spans();
    assert_eq!(find("status = error && handler = cart", &spans, 1).1, 0);
    // Three have attributes, one has lines, one has failed.
    assert_eq!(find(".user.id = 42", &spans, 1).1, 3);
    assert_eq!(find("log =~ x", &spans, 1).1, 1);
    assert_eq!(find("message =~ x || log =~ x", &spans, 1).1, 2);
    assert_eq!(find("log =~ x && kind = client", &spans, 1).1, 0);
}

#[test]
fn circles_of_parents_end() {
    let spans = vec![
        span(1, 1, Some(2)),
        span(1, 2, Some(1)),
        span(1, 3, Some(2)),
        span(1, 4, Some(4)),
    ];
    assert_eq!(find("{ name =~ cart } >> { }", &spans, 9).0, [1, 2, 3, 4]);
    assert_eq!(find("{ handler = nobody } >> { }", &spans, 9).0, [0u64; 0]);
}

proptest::proptest! {
    /// Whatever the blocks, the answer is the same, and a condition or its opposite holds of every span.
    #[test]
    fn how_spans_lie_in_blocks_does_not_matter(
        spans in any_trace(1),
        size in 1usize..9,
        query in proptest::sample::select(vec![
            "status = error", "log =~ cart", ".cleave.args.bytes > 0", "cold = true && message =~ work", "edge != nil",
            "handler = cart || log = nil", "kind = client && transport = quic && .cleave.args.bytes != nil",
        ]),
    ) {
        let (mut found, _) = find(query, &spans, size);
        proptest::prop_assert_eq!(&found, &find(query, &spans, 1_000).0);
        found.extend(find(&format!("!({query})"), &spans, size).0);
        found.sort_unstable();
        let mut all: Vec<u64> = spans.iter().map(|span| span.span_id.0).collect();
        all.sort_unstable();
        proptest::prop_assert_eq!(found, all);
    }
}
