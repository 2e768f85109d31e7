//! Spans as the shop makes them, made up.

use std::sync::{Arc, LazyLock};

use protocol::span::{Attribute, CallerStages, Link, Log, Stages, Value};
use protocol::{
    CalleeStages, ErrorCode, HandlerName, NodeName, Span, SpanId, SpanKind, SpanStatus, TraceId, Transport,
};
use server::clock::Clock;
use server::telemetry::fields;

/// Handlers with the function that each is called by, and the edge from the one before.
const CALLS: [(&str, &str); 12] = [
    ("frontend", "cleave:http/exchange.handle"),
    ("catalog", "shop:catalog/catalog.list-products"),
    ("cart", "shop:cart/cart.get-cart"),
    ("state", "state:store.get"),
    ("currency", "shop:currency/currency.convert"),
    ("checkout", "shop:checkout/checkout.place-order"),
    ("payment", "shop:payment/payment.charge"),
    ("shipping", "shop:shipping/shipping.quote"),
    ("recommendation", "shop:recommendation/recommendation.list"),
    ("ad", "shop:ad/ad.pick"),
    ("email", "shop:email/email.send"),
    ("cart", "shop:cart/cart.empty-cart"),
];

struct Known {
    handler: HandlerName,
    name: Arc<str>,
    edge: Arc<str>,
}

static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let known = |(handler, function): (&str, &str)| Known {
        handler: HandlerName::parse(handler).expect("a handler's name"),
        name: function.into(),
        edge: format!(
            "frontend -> {}",
            function.rsplit_once('.').map_or("", |(interface, _)| interface)
        )
        .into(),
    };
    CALLS.into_iter().map(known).collect()
});
static PLACEMENT: LazyLock<Arc<str>> = LazyLock::new(|| "together".into());
static HOME: LazyLock<NodeName> = LazyLock::new(NodeName::home);
static INGRESS: LazyLock<HandlerName> = LazyLock::new(HandlerName::ingress);

/// An hour ago: retention takes nothing of it while it is measured, and nothing lies in the future.
static BEGAN_NS: LazyLock<u64> = LazyLock::new(|| Clock::system().unix_ns() - 3_600_000_000_000);

fn id(trace: u128, at: u64) -> SpanId {
    let mixed = (trace as u64 ^ 0x9e37_79b9_7f4a_7c15)
        .wrapping_mul(0xbf58_476d_1ce4_e5b9)
        .wrapping_add(at.wrapping_mul(0x94d0_49bb_1331_11eb));
    SpanId(mixed | 1)
}

fn root(trace: u128, at: u64) -> Span {
    Span {
        trace_id: TraceId(trace),
        span_id: id(trace, at),
        parent_id: None,
        kind: SpanKind::Server,
        handler: INGRESS.clone(),
        node: HOME.clone(),
        name: "GET /cart".into(),
        start_unix_ns: *BEGAN_NS + at * 3_000_000,
        duration_ns: 3_000_000,
        status: SpanStatus::Ok,
        peer: None,
        transport: None,
        cold: None,
        stages: None,
        link: None,
        attributes: vec![
            (fields::PLACEMENT.into(), Value::Text(Arc::clone(&PLACEMENT))),
            (fields::HTTP_REQUEST_METHOD.into(), Value::Text("GET".into())),
            (fields::HTTP_RESPONSE_STATUS_CODE.into(), Value::Int(200)),
        ],
        logs: Vec::new(),
    }
}

/// A call and its callee, below a span.
fn call(trace: u128, (at, parent): (u64, SpanId), start_ns: u64) -> [Span; 2] {
    let known = &KNOWN[(at as usize / 2) % KNOWN.len()];
    let duration_ns = 20_000 + at * 7_919 % 3_000_000;
    let callee = CalleeStages {
        total: duration_ns - 3_000,
        decode: 800,
        wait: 300,
        run: duration_ns - 6_000,
        outgoing: 0,
        encode: 700,
    };
    let attributes = |bytes: i64| -> Vec<Attribute> {
        vec![
            (fields::ARGS_BYTES.into(), Value::Int(bytes)),
            (fields::VALUE_BYTES.into(), Value::Int(bytes * 2)),
        ]
    };
    let mut client = Span {
        kind: SpanKind::Client,
        parent_id: Some(parent),
        handler: KNOWN[0].handler.clone(),
        name: Arc::clone(&known.name),
        start_unix_ns: start_ns,
        duration_ns,
        peer: Some(known.handler.clone()),
        transport: Some(Transport::Direct),
        stages: Some(Stages::Caller(CallerStages {
            lift: 400,
            send: 900,
            travel: 0,
            lower: 500,
            callee,
        })),
        attributes: attributes((at * 31 % 1_000).cast_signed()),
        ..root(trace, at)
    };
    client.attributes.extend([
        (fields::EDGE.into(), Value::Text(Arc::clone(&known.edge))),
        (fields::PLACEMENT.into(), Value::Text(Arc::clone(&PLACEMENT))),
    ]);
    let mut server = Span {
        kind: SpanKind::Server,
        parent_id: Some(client.span_id),
        handler: known.handler.clone(),
        name: Arc::clone(&known.name),
        start_unix_ns: start_ns + 1_500,
        duration_ns: duration_ns - 3_000,
        peer: Some(KNOWN[0].handler.clone()),
        transport: Some(Transport::Direct),
        cold: Some(false),
        stages: Some(Stages::Callee(callee)),
        attributes: Vec::new(),
        ..root(trace, at + 1)
    };
    mark(&mut server, at);
    [client, server]
}

/// Some callees fail, some write; their numbers are odd.
fn mark(server: &mut Span, at: u64) {
    if at % 1_000 == 7 {
        server.status = SpanStatus::Failed {
            code: ErrorCode::Trapped,
            message: "it divided by zero".into(),
        };
    }
    if at % 500 == 13 {
        server.logs.push(Log {
            unix_ns: server.start_unix_ns + 5,
            level: "warn".into(),
            message: if at % 5_000 == 13 {
                "the payment was refused"
            } else {
                "two in the cart"
            }
            .into(),
        });
    }
}

/// A request with its 12 calls: 25 spans, as they end.
pub fn request(at: u128) -> Vec<Span> {
    let root = root(at + 1, 0);
    let mut spans = Vec::with_capacity(25);
    for number in 0..12 {
        let start_ns = root.start_unix_ns + number * 200_000;
        spans.extend(call(at + 1, (1 + 2 * number, root.span_id), start_ns));
    }
    spans.push(root);
    spans
}

/// The span of a request that sends a message.
pub fn sender(at: u128) -> SpanId {
    id(at + 1, 1)
}

/// The attempt of that message, in a trace of its own.
pub fn attempt(at: u128) -> Vec<Span> {
    vec![Span {
        kind: SpanKind::Consumer,
        handler: HandlerName::queue(),
        name: "process checkout.email".into(),
        link: Some(Link {
            trace_id: TraceId(at + 1),
            span_id: sender(at),
        }),
        ..root(at + (1 << 64), 0)
    }]
}

/// One of the requests of a large trace: 50 spans.
pub fn part(trace: u128, request: u64) -> Vec<Span> {
    let first = request * 50;
    let top = root(trace, 0);
    let mut spans = Vec::with_capacity(50);
    if request == 0 {
        spans.push(top.clone());
    }
    let mut parent = top.span_id;
    for number in 0..25 {
        let start_ns = top.start_unix_ns + request * 3_000_000 + number * 100_000;
        let pair = call(trace, (first + 1 + 2 * number, parent), start_ns);
        // Each fifth begins below the root again.
        parent = if number % 5 == 4 {
            top.span_id
        } else {
            pair[1].span_id
        };
        spans.extend(pair);
    }
    spans
}
