//! What one call costs: a hop through the router, in numbers, in an order, in bytes; a span; a table of handlers.
//!
//! A hop is one import call of a guest: out of its memory, through the router, into another instance and back. It is
//! timed inside one long call of the caller, so that what surrounds the hops is a part of none of them.

mod guests;
mod instances;
mod val;

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::control::{HandlerRoute, InterfaceRoute, Limits, NodeRoute, Routes};
use protocol::span::Value;
use protocol::value::put_leb;
use protocol::{FunctionPath, HandlerName, InterfaceName, NodeName, SpanKind, TraceContext, Transport};
use server::clock::Clock;
use server::dispatch::{Call, Dispatch, Dispatcher};
use server::edges::Edges;
use server::router::{RouteTable, Router, Target};
use server::runtime::Runtime;
use server::telemetry::{OpenSpan, Recorder, new_span_id, new_trace_id};

use crate::table::{Bound, Row, paired, quantile, rounded};

/// Turns of each pair.
const TURNS: usize = 15;
/// Hops in one call of a caller.
const HOPS: u32 = 20_000;
/// Hops with 64 KiB each way.
const BLOB_HOPS: u32 = 4_000;
/// How often the spans of slow calls are taken.
const DRAINED_EVERY: Duration = Duration::from_millis(10);
/// Far beyond what a turn takes.
const DEADLINE: Duration = Duration::from_secs(120);

/// The rows of `calls` whose names begin with a word; with an empty one all of them.
pub fn rows(executor: &tokio::runtime::Runtime, only: &str) -> Vec<Row> {
    type Measure = fn(&tokio::runtime::Runtime) -> Row;
    let all: [(&str, Measure); 7] = [
        ("hop_add_vs_floor", hop_add),
        ("hop_order_vs_val", hop_order),
        ("hop_64k_vs_memcpy4", hop_64k),
        ("span_ns", span),
        ("handlers_1000_vs_10", many_handlers),
        ("call_fresh_vs_pooled", instances::fresh),
        ("call_shared_vs_pooled", instances::shared),
    ];
    let chosen = all.iter().filter(|(name, _)| name.starts_with(only));
    chosen.map(|(_, measure)| measure(executor)).collect()
}

/// A router with a runtime behind it, as one node has them.
pub struct House {
    pub router: Arc<Router>,
    runtime: Arc<Runtime>,
    routes: Routes,
    _code: tempfile::TempDir,
}

impl House {
    pub fn new(executor: &tokio::runtime::Runtime) -> Self {
        let code = tempfile::tempdir().expect("a directory for compiled code");
        let clock = Clock::system();
        let (recorder, mut spans) = Recorder::channel(NodeName::home(), clock.clone());
        // As the trace store does: looking now and then, so that no span has to wake a thread.
        executor.spawn(async move {
            while !spans.is_closed() {
                tokio::time::sleep(DRAINED_EVERY).await;
                while spans.try_recv().is_ok() {}
            }
        });
        let router = Arc::new(Router::new(Arc::clone(&recorder), Arc::new(Edges::new(clock))));
        let dispatcher = Arc::clone(&router) as Dispatcher;
        let runtime =
            Arc::new(Runtime::new(&code.path().join("code"), dispatcher, recorder).expect("an engine"));
        let routes = Routes {
            generation: 1,
            placement: "together".into(),
            nodes: vec![NodeRoute {
                name: NodeName::home(),
                address: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
                incarnation: 1,
            }],
            ..Routes::default()
        };
        Self {
            router,
            runtime,
            routes,
            _code: code,
        }
    }

    pub fn deploy(&mut self, name: &str, wasm: &[u8], interface: &str) {
        self.deploy_within(name, wasm, interface, Limits::default());
    }

    fn deploy_within(&mut self, name: &str, wasm: &[u8], interface: &str, limits: Limits) {
        let name = HandlerName::parse(name).expect("a handler's name");
        let (artifact, _) = self.runtime.compile(wasm).expect("it compiles");
        self.runtime.deploy(&name, &artifact, limits).expect("it links");
        self.routes.handlers.push(HandlerRoute {
            name: name.clone(),
            node: NodeName::home(),
            artifact: artifact.hash.clone(),
            http: false,
            limits,
            grants: Default::default(),
        });
        let interface = InterfaceName::parse(interface).expect("an interface's name");
        match self
            .routes
            .interfaces
            .iter_mut()
            .find(|route| route.interface == interface)
        {
            Some(route) => route.providers.push(name),
            None => self.routes.interfaces.push(InterfaceRoute {
                interface,
                providers: vec![name],
            }),
        }
    }

    /// Lets the router know what was deployed.
    pub fn publish(&self) {
        let target = Target {
            dispatcher: Arc::clone(&self.runtime) as Dispatcher,
            transport: Transport::Direct,
        };
        self.router
            .swap(RouteTable::build(&self.routes, |_, _| Some(target.clone())));
    }

    /// A house with a caller and its callee.
    fn pair(executor: &tokio::runtime::Runtime, callee: &[u8], interface: &str, caller: &[u8]) -> Self {
        let mut house = Self::new(executor);
        house.deploy("callee", callee, interface);
        house.deploy("caller", caller, guests::RUN);
        house.publish();
        house
    }

    /// Nanoseconds of one hop, over `hops` of them in one call.
    fn hop_ns(&self, executor: &tokio::runtime::Runtime, hops: u32) -> f64 {
        let began = Instant::now();
        let mut args = Vec::new();
        put_leb(&mut args, u64::from(hops));
        let call = call(Some("caller"), guests::RUN, "run", args);
        executor
            .block_on(self.router.dispatch(call))
            .expect("the caller answers");
        began.elapsed().as_nanos() as f64 / f64::from(hops)
    }
}

/// A call from outside.
pub fn call(handler: Option<&str>, interface: &str, function: &str, args: Vec<u8>) -> Call {
    let interface = InterfaceName::parse(interface).expect("an interface's name");
    Call {
        caller: HandlerName::ingress(),
        handler: handler.map(|name| HandlerName::parse(name).expect("a handler's name")),
        function: Arc::new(FunctionPath::new(interface, function)),
        type_hash: None,
        args: args.into(),
        deadline: Instant::now() + DEADLINE,
        trace: TraceContext {
            trace_id: new_trace_id(),
            span_id: new_span_id(),
            sampled: false,
        },
        hop: 0,
        lift_ns: 0,
    }
}

/// Two numbers: what routing costs beyond wasmtime's own typed call.
fn hop_add(executor: &tokio::runtime::Runtime) -> Row {
    let house = House::pair(executor, &guests::math(), guests::MATH, &guests::math_caller());
    let mut floor = val::Floor::new(&guests::math());
    let measured = paired(
        TURNS,
        || house.hop_ns(executor, HOPS),
        || executor.block_on(floor.add_ns(HOPS)),
    );
    measured.row(
        "hop_add_vs_floor",
        Bound::AtMost(3.0),
        2.0,
        ("hop", "typed call_async", "ns"),
    )
}

/// An order of 5 items and 17 texts, there and back, against the same hop over wasmtime's dynamic values.
fn hop_order(executor: &tokio::runtime::Runtime) -> Row {
    let house = House::pair(
        executor,
        &guests::orders(),
        guests::ORDERS,
        &guests::orders_caller(),
    );
    let mut dynamic = val::Hop::new(
        &guests::orders(),
        &guests::orders_caller(),
        guests::ORDERS,
        "process",
    );
    let measured = paired(
        TURNS,
        || house.hop_ns(executor, HOPS),
        || executor.block_on(dynamic.hop_ns(HOPS)),
    );
    measured.row(
        "hop_order_vs_val",
        Bound::AtMost(0.65),
        0.45,
        ("hop", "over Val", "ns"),
    )
}

/// 64 KiB there and back, against the four copies that cannot be avoided.
fn hop_64k(executor: &tokio::runtime::Runtime) -> Row {
    let house = House::pair(executor, &guests::blob(), guests::BLOB, &guests::blob_caller());
    let measured = paired(TURNS, || house.hop_ns(executor, BLOB_HOPS), four_copies_ns);
    measured.row(
        "hop_64k_vs_memcpy4",
        Bound::AtMost(2.0),
        1.3,
        ("hop", "4 copies", "ns"),
    )
}

fn four_copies_ns() -> f64 {
    const PLACES: usize = 5;
    // Not a multiple of a page apart: copies between places that differ by little more than pages are slow on many
    // processors, and that would flatter the hop.
    const STRIDE: usize = guests::BLOB_BYTES + 1_088;
    let mut memory = vec![7_u8; PLACES * STRIDE];
    let began = Instant::now();
    for _ in 0..BLOB_HOPS {
        for place in 1..PLACES {
            let (from, to) = memory.split_at_mut(place * STRIDE);
            let from = &from[(place - 1) * STRIDE..][..guests::BLOB_BYTES];
            to[..guests::BLOB_BYTES].copy_from_slice(black_box(from));
        }
        black_box(&mut memory);
    }
    began.elapsed().as_nanos() as f64 / f64::from(BLOB_HOPS)
}

/// Recording a client span with the attributes of a call.
fn span(executor: &tokio::runtime::Runtime) -> Row {
    const SPANS: u32 = 20_000;
    let (recorder, mut spans) = Recorder::channel(NodeName::home(), Clock::system());
    let handler = HandlerName::parse("caller").expect("a handler's name");
    let name: Arc<str> = Arc::from("bench:math/math@0.1.0#add");
    let trace = TraceContext {
        trace_id: new_trace_id(),
        span_id: new_span_id(),
        sampled: true,
    };
    let mut turns = Vec::new();
    for _ in 0..=TURNS {
        let began = Instant::now();
        for _ in 0..SPANS {
            let mut span = OpenSpan::begin(&recorder, &trace, SpanKind::Client, &handler, &name)
                .expect("the trace is sampled");
            let record = span.span_mut();
            record.peer = Some(handler.clone());
            record
                .attributes
                .push(("cleave.args.bytes".into(), Value::Int(2)));
        }
        turns.push(began.elapsed().as_nanos() as f64 / f64::from(SPANS));
        // Emptied between the turns, so that none is dropped and taking is not timed.
        executor.block_on(async { while spans.try_recv().is_ok() {} });
    }
    let value = quantile(&turns[1..], 0.5);
    Row {
        name: "span_ns",
        value,
        must: Bound::AtMost(300.0),
        aim: 150.0,
        detail: format!("{} ns a span, until it is in the sink's channel", rounded(value)),
    }
}

/// The same ten handlers called in turn, with 990 more loaded and without.
fn many_handlers(executor: &tokio::runtime::Runtime) -> Row {
    const CALLED: usize = 10;
    const CALLS: usize = 20_000;
    let house = |handlers: usize| {
        let mut house = House::new(executor);
        for number in 0..handlers {
            house.deploy(&format!("math-{number}"), &guests::math(), guests::MATH);
        }
        house.publish();
        house
    };
    let (many, few) = (house(1_000), house(CALLED));
    let names: Vec<String> = (0..CALLED).map(|number| format!("math-{number}")).collect();
    let calls_per_s = |house: &House| {
        let began = Instant::now();
        executor.block_on(async {
            for number in 0..CALLS {
                let call = call(Some(&names[number % CALLED]), guests::MATH, "add", vec![1, 2]);
                house.router.dispatch(call).await.expect("it adds");
            }
        });
        CALLS as f64 / began.elapsed().as_secs_f64()
    };
    let measured = paired(TURNS, || calls_per_s(&many), || calls_per_s(&few));
    measured.row(
        "handlers_1000_vs_10",
        Bound::AtLeast(0.9),
        1.0,
        ("1,000", "10", "calls/s"),
    )
}
