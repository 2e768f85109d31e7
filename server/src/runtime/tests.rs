//! Calls through a whole runtime: guests from text, and a router that does what the test says.

pub(in crate::runtime) mod guests;
mod limits;
mod outgoing;

use std::future::pending;
use std::sync::Mutex;

use bytes::Bytes;
use protocol::api::handlers::InstanceEnds;
use protocol::control::{InstancePolicy, Limits};
use protocol::span::Value;
use protocol::value::put_leb;
use protocol::{
    CallError, ErrorCode, FunctionPath, InterfaceName, NodeName, Span, SpanKind, SpanStatus, TraceContext,
    TraceId, exchange,
};
use tokio::sync::{Semaphore, mpsc};

use super::*;
use crate::dispatch::{Call, Dispatch, Reply, ReplyFuture};
use crate::telemetry::fields;

/// Far beyond what any of these takes.
const WATCHDOG: Duration = Duration::from_secs(60);
const MATH: &str = "test:math/math@0.1.0";
const FRONT: &str = "test:front/front@0.1.0";

type Respond = Box<dyn Fn(Call) -> ReplyFuture<'static> + Send + Sync>;

/// The router of a test: remembers what it was given.
struct Fake {
    seen: Mutex<Vec<Call>>,
    respond: Respond,
}

impl Dispatch for Fake {
    fn dispatch(&self, call: Call) -> ReplyFuture<'_> {
        self.seen.lock().unwrap().push(call.clone());
        (self.respond)(call)
    }
}

struct House {
    runtime: Arc<Runtime>,
    router: Arc<Fake>,
    spans: mpsc::Receiver<Span>,
    _directory: tempfile::TempDir,
}

impl House {
    fn new(respond: impl Fn(Call) -> ReplyFuture<'static> + Send + Sync + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let router = Arc::new(Fake {
            seen: Mutex::default(),
            respond: Box::new(respond),
        });
        let (recorder, spans) = Recorder::channel(NodeName::home(), Clock::system());
        let cache = directory.path().join("code");
        let dispatcher = Arc::clone(&router) as Dispatcher;
        let runtime = Arc::new(Runtime::new(&cache, dispatcher, recorder).unwrap());
        Self {
            runtime,
            router,
            spans,
            _directory: directory,
        }
    }

    /// With a router that nobody should call.
    fn alone() -> Self {
        Self::new(|call| panic!("nobody calls `{}`", call.function))
    }

    fn serve(&self, handler: &str, wasm: &[u8]) {
        self.serve_within(handler, wasm, Limits::default());
    }

    fn serve_within(&self, handler: &str, wasm: &[u8], limits: Limits) {
        let (artifact, _) = self.runtime.compile(wasm).unwrap();
        self.runtime.deploy(&name(handler), &artifact, limits).unwrap();
    }

    async fn call(&self, call: Call) -> Result<Reply, CallError> {
        let answer = self.runtime.dispatch(call);
        tokio::time::timeout(WATCHDOG, answer)
            .await
            .expect("a call ends by its deadline")
    }

    async fn value(&self, call: Call) -> Bytes {
        self.call(call).await.unwrap().value
    }

    fn figures(&self) -> InstanceFigures {
        self.runtime.figures()[0].1
    }
}

/// One instance was made; how many are idle, and how those ended that are no more.
fn instances(idle: u64, ended: InstanceEnds) -> InstanceFigures {
    InstanceFigures {
        idle,
        busy: 0,
        made: 1,
        ended,
    }
}

fn name(text: &str) -> HandlerName {
    HandlerName::parse(text).unwrap()
}

fn number(value: u64) -> Bytes {
    let mut out = Vec::new();
    put_leb(&mut out, value);
    out.into()
}

fn call(handler: &str, interface: &str, function: &str, x: u64) -> Call {
    let interface = InterfaceName::parse(interface).unwrap();
    Call {
        caller: HandlerName::cli(),
        handler: Some(name(handler)),
        function: Arc::new(FunctionPath::new(interface, function)),
        type_hash: None,
        args: number(x),
        deadline: Instant::now() + WATCHDOG,
        trace: TraceContext {
            trace_id: TraceId(7),
            span_id: crate::telemetry::new_span_id(),
            sampled: false,
        },
        hop: 3,
        lift_ns: 0,
    }
}

fn math(function: &str, x: u64) -> Call {
    call("math", MATH, function, x)
}

fn ask(x: u64) -> Call {
    call("front", FRONT, "ask", x)
}

fn sampled(call: Call) -> Call {
    let trace = TraceContext {
        sampled: true,
        ..call.trace
    };
    Call { trace, ..call }
}

fn until(call: Call, timeout: Duration) -> Call {
    Call {
        deadline: Instant::now() + timeout,
        ..call
    }
}

fn fails(code: ErrorCode) -> impl Fn(Call) -> ReplyFuture<'static> + Send + Sync + 'static {
    move |_| Box::pin(async move { Err(CallError::new(code, "as the test says")) })
}

#[tokio::test]
async fn instances_are_used_again_and_versions_of_a_track_are_callable() {
    let house = House::alone();
    house.serve("math", &guests::math());
    for x in 0..5 {
        assert_eq!(house.value(math("double", x)).await, number(2 * x));
    }
    assert_eq!(house.figures(), instances(1, InstanceEnds::default()));
    let newer = call("math", "test:math/math@0.1.7", "double", 4);
    assert_eq!(house.value(newer).await, number(8));
    let other_track = call("math", "test:math/math@0.2.0", "double", 4);
    assert_eq!(
        house.call(other_track).await.unwrap_err().code,
        ErrorCode::NotFound
    );
    let other_type = Call {
        type_hash: Some(protocol::TypeHash([9; 16])),
        ..math("double", 1)
    };
    assert_eq!(
        house.call(other_type).await.unwrap_err().code,
        ErrorCode::NotFound
    );
    house.runtime.drop_idle(Instant::now());
    assert_eq!(house.figures().idle, 1);
    house.runtime.drop_idle(Instant::now() + pool::IDLE_FOR_MAX);
    assert_eq!(
        house.figures(),
        instances(
            0,
            InstanceEnds {
                idle: 1,
                ..InstanceEnds::default()
            }
        )
    );
}

#[tokio::test]
async fn a_trap_ends_its_own_call_only() {
    let house = House::alone();
    house.serve("math", &guests::math());
    let (trapped, neighbour) = tokio::join!(house.call(math("trap", 1)), house.call(math("double", 4)));
    let error = trapped.unwrap_err();
    assert_eq!(error.code, ErrorCode::Trapped);
    assert!(
        error.message.contains("`math` trapped in `test:math/math.trap`"),
        "{error}"
    );
    let detail = error.detail.unwrap();
    assert!(
        detail.contains("wasm backtrace") && !detail.contains(".rs"),
        "{detail}"
    );
    assert_eq!(neighbour.unwrap().value, number(8));
    assert_eq!(house.value(math("double", 5)).await, number(10));
    let figures = house.figures();
    assert_eq!((figures.busy, figures.ended.trap), (0, 1));
}

#[tokio::test]
async fn an_endless_loop_ends_by_its_deadline_and_lets_others_run() {
    let house = House::alone();
    house.serve("math", &guests::math());
    let order = Mutex::new(Vec::new());
    let spin = until(math("spin", 0), Duration::from_millis(300));
    let deadline = spin.deadline;
    let spin = async {
        let error = house.call(spin).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Deadline, "{error}");
        assert!(Instant::now() >= deadline);
        order.lock().unwrap().push("spin");
    };
    let neighbour = async {
        assert_eq!(house.value(math("double", 1)).await, number(2));
        order.lock().unwrap().push("double");
    };
    tokio::join!(spin, neighbour);
    assert_eq!(*order.lock().unwrap(), ["double", "spin"]);
    assert_eq!(house.figures().busy, 0);
}

#[tokio::test]
async fn memory_beyond_the_limit_is_named_in_that_call_only() {
    let house = House::alone();
    let limits = Limits {
        memory_bytes_max: 1 << 20,
        ..Limits::default()
    };
    house.serve_within("math", &guests::math(), limits);
    assert_eq!(house.value(math("grow", 1)).await, number(2));
    let error = house.call(math("grow", 100)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Trapped);
    assert!(
        error.message.contains("1048576") && error.message.contains("raise `memory`"),
        "{error}"
    );
    // A guest that goes on without the memory: a later trap has another reason.
    assert_eq!(
        house.value(math("try-grow", 100)).await,
        number(u64::from(u32::MAX))
    );
    let error = house.call(math("trap", 0)).await.unwrap_err();
    assert!(!error.message.contains("memory"), "{error}");
}

#[tokio::test]
async fn a_guest_that_waits_in_the_host_ends_by_its_deadline() {
    let house = House::new(|_| Box::pin(pending()));
    house.serve("front", &guests::front());
    let waiting = until(ask(1), Duration::from_millis(50));
    let deadline = waiting.deadline;
    let error = house.call(waiting).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Deadline, "{error}");
    assert!(Instant::now() >= deadline);
    assert_eq!(
        house.figures(),
        instances(
            0,
            InstanceEnds {
                deadline: 1,
                ..InstanceEnds::default()
            }
        )
    );
}

#[tokio::test]
async fn a_failed_call_traps_a_caller_that_cannot_report_it() {
    let house = House::new(fails(ErrorCode::Unreachable));
    house.serve("front", &guests::front());
    let error = house.call(ask(1)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Trapped);
    assert!(error.message.contains("no case `call-failed`"), "{error}");
    assert!(error.message.contains("as the test says"), "{error}");
}

#[tokio::test]
async fn a_failed_call_is_a_value_to_a_caller_that_can_report_it() {
    let house = House::new(fails(ErrorCode::Unreachable));
    house.serve("front", &guests::careful());
    let expected = number(1_000 + ErrorCode::Unreachable as u64);
    assert_eq!(house.value(ask(1)).await, expected);
    assert_eq!(house.value(ask(1)).await, expected);
    assert_eq!(house.figures().made, 1);
}

#[tokio::test]
async fn a_reply_that_does_not_fit_is_not_the_caller_s_fault() {
    let house = House::new(|_| Box::pin(async { Ok(Reply::new(Bytes::from_static(&[0xff; 9]))) }));
    house.serve("front", &guests::front());
    let error = house.call(ask(1)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Trapped, "{error}");
    assert!(error.message.contains("reply"), "{error}");
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_invalid_and_the_handler_goes_on() {
    let house = House::alone();
    house.serve("math", &guests::math());
    for bad in [&[][..], &[1, 1], &[0xff; 12]] {
        let args = Bytes::copy_from_slice(bad);
        let error = house
            .call(Call {
                args,
                ..math("double", 0)
            })
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Invalid, "{error}");
    }
    assert_eq!(house.value(math("double", 3)).await, number(6));
}

#[tokio::test]
async fn a_call_is_cancelled_by_dropping_it() {
    let (arrived, mut arrivals) = mpsc::channel(1);
    let house = House::new(move |_| {
        let arrived = arrived.clone();
        Box::pin(async move {
            arrived.send(()).await.unwrap();
            pending().await
        })
    });
    house.serve("front", &guests::front());
    tokio::select! {
        outcome = house.call(ask(1)) => panic!("{outcome:?}"),
        arrival = arrivals.recv() => assert!(arrival.is_some()),
    }
    assert_eq!(
        house.figures(),
        instances(
            0,
            InstanceEnds {
                cancelled: 1,
                ..InstanceEnds::default()
            }
        )
    );
}

#[tokio::test]
async fn a_call_waits_for_a_free_instance_up_to_its_deadline() {
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let house = House::new(move |call| {
        let gate = Arc::clone(&opened);
        Box::pin(async move {
            gate.acquire().await.unwrap().forget();
            Ok(Reply::new(call.args))
        })
    });
    house.serve_within(
        "front",
        &guests::front(),
        Limits {
            instances_max: 1,
            ..Limits::default()
        },
    );
    let late = async {
        let error = house
            .call(until(ask(2), Duration::from_millis(50)))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Deadline);
        assert!(error.message.contains("no instance of `front`"), "{error}");
        gate.add_permits(2);
    };
    let (first, (), second) = tokio::join!(house.value(ask(1)), late, house.value(ask(3)));
    assert_eq!((first, second), (number(1), number(3)));
    assert_eq!(house.figures(), instances(1, InstanceEnds::default()));
}

#[tokio::test]
async fn hop_deadline_and_trace_are_handed_on() {
    let mut house = House::new(|call| Box::pin(async { Ok(Reply::new(call.args)) }));
    house.serve("front", &guests::front());
    let given = sampled(ask(5));
    let reply = house.call(given.clone()).await.unwrap();
    assert!(reply.stages.is_some());
    let seen = house.router.seen.lock().unwrap().remove(0);
    let span = house.spans.recv().await.unwrap();
    assert_eq!(seen.caller, name("front"));
    assert_eq!(
        (seen.handler, seen.hop, seen.deadline),
        (None, given.hop + 1, given.deadline)
    );
    assert_eq!(seen.function.to_string(), "test:math/math.double");
    assert!(seen.type_hash.is_some() && seen.trace.sampled);
    assert_eq!(
        (seen.trace.trace_id, seen.trace.span_id),
        (given.trace.trace_id, span.span_id)
    );
    assert_eq!(span.parent_id, Some(given.trace.span_id));
    assert_eq!((span.kind, span.cold), (SpanKind::Server, Some(true)));
    assert_eq!(span.peer, Some(HandlerName::cli()));
    // The deepest hop of the wire is no reason to fall over.
    let deepest = Call {
        hop: u8::MAX,
        ..ask(5)
    };
    assert_eq!(house.value(deepest).await, number(5));
}

#[tokio::test]
async fn an_err_is_a_reply_and_a_failure_is_in_its_span() {
    let mut house = House::alone();
    house.serve("math", &guests::math());
    assert!(!house.call(sampled(math("check", 0))).await.unwrap().is_err);
    assert_eq!(house.spans.recv().await.unwrap().status, SpanStatus::Ok);
    assert!(house.call(sampled(math("check", 1))).await.unwrap().is_err);
    assert_eq!(house.spans.recv().await.unwrap().status, SpanStatus::Err);
    house.call(sampled(math("trap", 1))).await.unwrap_err();
    let span = house.spans.recv().await.unwrap();
    assert!(matches!(
        span.status,
        SpanStatus::Failed {
            code: ErrorCode::Trapped,
            ..
        }
    ));
    assert_eq!(span.stages, None);
    house.call(math("double", 1)).await.unwrap();
    assert!(
        house.spans.try_recv().is_err(),
        "an unsampled call leaves no span"
    );
}

#[tokio::test]
async fn the_callee_s_stages_add_up_to_its_total() {
    const WORK: Duration = Duration::from_micros(500);
    let house = House::new(|call| {
        Box::pin(async move {
            let began = Instant::now();
            while began.elapsed() < WORK {
                std::hint::spin_loop();
            }
            Ok(Reply::new(call.args))
        })
    });
    house.serve("front", &guests::front());
    let (mut fitting, calls) = (0, 40);
    for x in 0..calls {
        let stages = house.call(sampled(ask(x))).await.unwrap().stages.unwrap();
        let sum = stages.wait + stages.decode + stages.run + stages.outgoing + stages.encode;
        assert!(sum <= stages.total, "{stages:?}");
        assert!(stages.outgoing >= WORK.as_nanos() as u64, "{stages:?}");
        fitting += u64::from(stages.total - sum <= (stages.total * 3 / 100).max(2_000));
    }
    // A thread that is interrupted between two looks at the clock proves nothing about the stages.
    assert!(fitting > calls / 2, "{fitting} of {calls}");
}

#[tokio::test]
async fn an_exchange_ends_with_its_guest_and_its_span_is_named_by_the_request() {
    let request = exchange::Request {
        method: "GET".into(),
        scheme: "http".into(),
        authority: "127.0.0.1:8080".into(),
        path: "/cart?user=1".into(),
        headers: Vec::new(),
        body: Bytes::new(),
    };
    let mut house = House::alone();
    house.serve("front", &guests::http("unreachable"));
    house.serve("mute", &guests::http(""));
    for (handler, reason) in [("front", "unreachable"), ("mute", "without a response")] {
        let exchange = Call {
            function: Arc::new(exchange::function()),
            args: request.encode(),
            deadline: Instant::now() + 2 * WATCHDOG,
            ..sampled(call(handler, MATH, "f", 0))
        };
        let error = house.call(exchange).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Trapped, "{error}");
        assert!(
            error.message.contains(reason) && error.message.contains("GET /cart"),
            "{error}"
        );
        let span = house.spans.recv().await.unwrap();
        assert_eq!(&*span.name, "GET /cart");
        assert!(
            span.attributes
                .contains(&(fields::URL_PATH.into(), Value::Text("/cart".into())))
        );
    }
    house.serve("math", &guests::math());
    let function = Arc::new(exchange::function());
    let to_none = Call {
        function: Arc::clone(&function),
        args: request.encode(),
        ..math("double", 0)
    };
    assert_eq!(house.call(to_none).await.unwrap_err().code, ErrorCode::NotFound);
    let damaged = Call {
        function,
        handler: Some(name("mute")),
        ..math("double", 0)
    };
    assert_eq!(house.call(damaged).await.unwrap_err().code, ErrorCode::Invalid);
}

#[tokio::test]
async fn a_new_version_is_swapped_in_whole_while_the_old_one_ends() {
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let house = House::new(move |call| {
        let gate = Arc::clone(&opened);
        Box::pin(async move {
            gate.acquire().await.unwrap().forget();
            Ok(Reply::new(call.args))
        })
    });
    house.serve("front", &guests::front());
    let swap = async {
        while house.router.seen.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        house.serve("front", &guests::math());
        let gone = house.call(ask(1)).await.unwrap_err();
        assert_eq!(gone.code, ErrorCode::NotFound);
        assert_eq!(house.value(call("front", MATH, "double", 1)).await, number(2));
        gate.add_permits(1);
    };
    let (old, ()) = tokio::join!(house.value(ask(9)), swap);
    assert_eq!(old, number(9));
    house.runtime.withdraw(&name("front"));
    assert_eq!(house.call(ask(1)).await.unwrap_err().code, ErrorCode::NotFound);
}

#[tokio::test]
async fn a_fresh_handler_gets_a_new_instance_for_each_call() {
    let house = House::alone();
    let limits = Limits {
        policy: InstancePolicy::Fresh,
        ..Limits::default()
    };
    house.serve_within("math", &guests::math(), limits);
    // Memory starts anew each time: one page, and one more.
    for _ in 0..3 {
        assert_eq!(house.value(math("grow", 1)).await, number(2));
    }
    let figures = house.figures();
    assert_eq!((figures.idle, figures.made, figures.ended.fresh), (0, 3, 3));
}

#[tokio::test]
async fn an_instance_is_replaced_after_its_calls_and_when_it_has_grown_too_far() {
    let house = House::alone();
    house.serve("math", &guests::math());
    for x in 0..u64::from(pool::USES_MAX) + 1 {
        house.value(math("double", x % 8)).await;
    }
    let figures = house.figures();
    assert_eq!((figures.made, figures.ended.uses, figures.idle), (2, 1, 1));
    let pages = (pool::GROWTH_BYTES_MAX >> 16) as u64;
    house.value(math("grow", pages)).await;
    assert_eq!(house.figures().ended.memory, 0, "as far as it may");
    house.value(math("grow", 1)).await;
    let figures = house.figures();
    assert_eq!((figures.made, figures.ended.memory, figures.idle), (2, 1, 0));
}

#[tokio::test]
async fn lives_are_counted_over_the_versions_of_a_handler() {
    let house = House::alone();
    house.serve("math", &guests::math());
    house.value(math("double", 1)).await;
    house.serve("math", &guests::math());
    house.value(math("double", 1)).await;
    let figures = house.figures();
    assert_eq!((figures.made, figures.ended.withdrawn, figures.idle), (2, 1, 1));
}
