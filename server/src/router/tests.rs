//! Calls through the router to callees that do what the test says: spans, stages, counts, and who may not go on.

use std::future::Future;
use std::sync::Mutex;

use bytes::Bytes;
use protocol::control::{EdgeTimeout, HandlerRoute, InterfaceRoute, Limits, Routes};
use protocol::{CalleeStages, FunctionPath, InterfaceName, NodeName, Span, TraceContext, TraceId};
use tokio::sync::mpsc;

use super::*;
use crate::clock::Clock;
use crate::dispatch::Dispatcher;

const WATCHDOG: Duration = Duration::from_secs(60);
const EMAIL: &str = "shop:email/email@0.1.0";

/// A callee of a test, and what it was given.
struct Fake<F> {
    seen: Mutex<Vec<Call>>,
    respond: F,
}

impl<F, R> Dispatch for Fake<F>
where
    F: Fn(Call) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Reply, CallError>> + Send + 'static,
{
    fn dispatch(&self, call: Call) -> ReplyFuture<'_> {
        self.seen.lock().unwrap().push(call.clone());
        Box::pin((self.respond)(call))
    }
}

fn fake<F, R>(respond: F) -> Arc<Fake<F>>
where
    F: Fn(Call) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Reply, CallError>> + Send + 'static,
{
    Arc::new(Fake {
        seen: Mutex::default(),
        respond,
    })
}

struct House {
    router: Arc<Router>,
    edges: Arc<Edges>,
    spans: mpsc::Receiver<Span>,
}

fn house() -> House {
    let clock = Clock::system();
    let (recorder, spans) = Recorder::channel(NodeName::home(), clock.clone());
    let edges = Arc::new(Edges::new(clock));
    let router = Arc::new(Router::new(recorder, Arc::clone(&edges)));
    House { router, edges, spans }
}

impl House {
    /// Calls, failed calls and `err`s of the one edge.
    fn counts(&self) -> Option<(u64, u64, u64)> {
        let figures = self.edges.figures();
        assert!(figures.len() <= 1);
        figures.first().map(|edge| (edge.calls, edge.errors, edge.errs))
    }

    async fn call(&self, call: Call) -> Result<Reply, CallError> {
        let answer = self.router.dispatch(call);
        tokio::time::timeout(WATCHDOG, answer)
            .await
            .expect("the router waits for nothing but its target")
    }
}

fn name(text: &str) -> HandlerName {
    HandlerName::parse(text).unwrap()
}

fn interface() -> InterfaceName {
    InterfaceName::parse(EMAIL).unwrap()
}

fn table(generation: u64, target: Dispatcher, timeout_ms: Option<u64>) -> RouteTable {
    table_within(generation, target, timeout_ms, Limits::default())
}

fn table_within(generation: u64, target: Dispatcher, timeout_ms: Option<u64>, limits: Limits) -> RouteTable {
    let timeout = |timeout_ms| EdgeTimeout {
        caller: name("checkout"),
        interface: interface(),
        timeout_ms,
    };
    let routes = Routes {
        generation,
        placement: "together".into(),
        handlers: vec![HandlerRoute {
            name: name("email"),
            node: NodeName::home(),
            artifact: String::new(),
            http: false,
            limits,
            grants: Default::default(),
        }],
        interfaces: vec![InterfaceRoute {
            interface: interface(),
            providers: vec![name("email")],
        }],
        edge_timeouts: timeout_ms.map(timeout).into_iter().collect(),
        ..Routes::default()
    };
    let target = Target {
        dispatcher: target,
        transport: Transport::Direct,
    };
    RouteTable::build(&routes, |_, _| Some(target.clone()))
}

fn call(sampled: bool) -> Call {
    Call {
        caller: name("checkout"),
        handler: None,
        function: Arc::new(FunctionPath::new(interface(), "send")),
        type_hash: None,
        args: Bytes::from_static(b"abc"),
        deadline: Instant::now() + WATCHDOG,
        trace: TraceContext {
            trace_id: TraceId(7),
            span_id: crate::telemetry::new_span_id(),
            sampled,
        },
        hop: 0,
        lift_ns: 1_000,
    }
}

fn refused(code: ErrorCode) -> CallError {
    CallError::new(code, "as the test says")
}

#[tokio::test]
async fn a_sampled_call_leaves_a_span_whose_stages_add_up() {
    const WORK: Duration = Duration::from_micros(300);
    let mut house = house();
    let callee = fake(async |_| {
        let began = Instant::now();
        while began.elapsed() < WORK {
            std::hint::spin_loop();
        }
        let total = began.elapsed().as_nanos() as u64;
        let stages = CalleeStages {
            total,
            run: total,
            ..CalleeStages::default()
        };
        Ok(Reply {
            stages: Some(stages),
            is_err: true,
            ..Reply::new(Bytes::from_static(b"\x01"))
        })
    });
    house
        .router
        .swap(table(1, Arc::clone(&callee) as Dispatcher, None));
    let given = call(true);
    let reply = house.call(given.clone()).await.unwrap();
    assert!(
        house.spans.try_recv().is_err(),
        "the span is open until the reply is lowered"
    );
    drop(reply);
    let span = house.spans.recv().await.unwrap();
    let seen = callee.seen.lock().unwrap().remove(0);
    assert_eq!(
        (seen.trace.span_id, seen.handler),
        (span.span_id, Some(name("email")))
    );
    assert_eq!(
        (span.parent_id, span.kind),
        (Some(given.trace.span_id), SpanKind::Client)
    );
    assert_eq!(
        (span.peer, span.transport),
        (Some(name("email")), Some(Transport::Direct))
    );
    assert_eq!(span.status, SpanStatus::Err);
    let has = |key: &'static str, value: Value| span.attributes.contains(&(key.into(), value));
    assert!(has(
        fields::EDGE,
        Value::Text("checkout -> shop:email/email".into())
    ));
    assert!(has(fields::PLACEMENT, Value::Text("together".into())));
    assert!(has(fields::ARGS_BYTES, Value::Int(3)) && has(fields::VALUE_BYTES, Value::Int(1)));
    let Some(Stages::Caller(stages)) = span.stages else {
        panic!("{:?}", span.stages)
    };
    assert_eq!(stages.lift, 1_000);
    assert!(stages.callee.total >= WORK.as_nanos() as u64);
    let sum = stages.lift + stages.send + stages.travel + stages.callee.total + stages.lower;
    assert!(sum <= span.duration_ns, "{stages:?} of {}", span.duration_ns);
    assert_eq!(house.counts(), Some((1, 0, 1)));
}

#[tokio::test]
async fn arguments_are_kept_where_it_was_asked_for_and_they_are_short() {
    let long = Bytes::from(vec![7; ARGUMENTS_KEPT_MAX + 1]);
    let short = Bytes::from_static(b"abc");
    for (keeps, sampled, args, expected) in [
        (false, true, &short, None),
        (true, false, &short, None),
        (true, true, &long, None),
        (true, true, &short, Some("YWJj")),
    ] {
        let clock = Clock::system();
        let (recorder, mut spans) = Recorder::channel(NodeName::home(), clock.clone());
        let router = Router::new(recorder, Arc::new(Edges::new(clock))).keeping_arguments(keeps);
        router.swap(table(1, fake(async |_| Err(refused(ErrorCode::Trapped))), None));
        let call = Call {
            args: args.clone(),
            ..call(sampled)
        };
        router.dispatch(call).await.unwrap_err();
        // Also of a call that fails: it is those that one wants to make again.
        let span = spans.recv().await.unwrap();
        let kept = span
            .attributes
            .iter()
            .find(|(key, _)| key.as_ref() == fields::ARGS);
        let expected = expected.map(|text| Value::Text(text.into()));
        assert_eq!(
            kept.map(|(_, value)| value.clone()),
            expected,
            "{keeps} {sampled} {}",
            args.len()
        );
    }
}

#[tokio::test]
async fn an_unsampled_call_leaves_a_span_without_stages_only_where_it_fails() {
    let mut house = house();
    let callee = fake(async |call: Call| {
        if call.args.is_empty() {
            Err(refused(ErrorCode::Trapped))
        } else {
            Ok(Reply::new(call.args))
        }
    });
    house.router.swap(table(1, callee, None));
    house.call(call(false)).await.unwrap();
    assert!(house.spans.try_recv().is_err());
    house
        .call(Call {
            args: Bytes::new(),
            ..call(false)
        })
        .await
        .unwrap_err();
    let span = house.spans.try_recv().unwrap();
    assert_eq!((span.parent_id, span.stages), (None, None));
    assert!(matches!(
        span.status,
        SpanStatus::Failed {
            code: ErrorCode::Trapped,
            ..
        }
    ));
    assert_eq!(span.peer, Some(name("email")));
    assert!(house.spans.try_recv().is_err(), "one span, not two");
    assert_eq!(house.counts(), Some((2, 1, 0)));
}

#[tokio::test]
async fn what_must_not_go_on_is_refused_before_anyone_is_asked() {
    let mut house = house();
    let callee = fake(async |call: Call| Ok(Reply::new(call.args)));
    house
        .router
        .swap(table(1, Arc::clone(&callee) as Dispatcher, None));
    house
        .call(Call {
            hop: HOPS_MAX,
            ..call(false)
        })
        .await
        .unwrap();
    let deep = house
        .call(Call {
            hop: HOPS_MAX + 1,
            ..call(false)
        })
        .await
        .unwrap_err();
    assert_eq!(deep.code, ErrorCode::Rejected);
    let late = house
        .call(Call {
            deadline: Instant::now(),
            ..call(false)
        })
        .await
        .unwrap_err();
    assert_eq!(late.code, ErrorCode::Deadline);
    let nobody = InterfaceName::parse("a:b/c").unwrap();
    let function = Arc::new(FunctionPath::new(nobody, "f"));
    let lost = house
        .call(Call {
            function,
            ..call(false)
        })
        .await
        .unwrap_err();
    assert_eq!(lost.code, ErrorCode::NotFound);
    assert_eq!(callee.seen.lock().unwrap().len(), 1);
    for code in [ErrorCode::Rejected, ErrorCode::Deadline, ErrorCode::NotFound] {
        let span = house.spans.try_recv().unwrap();
        assert!(matches!(span.status, SpanStatus::Failed { code: told, .. } if told == code));
    }
}

#[tokio::test]
async fn a_withdrawn_callee_is_looked_up_once_more_and_leaves_no_trace() {
    let mut house = house();
    let newer = fake(async |call: Call| Ok(Reply::new(call.args)));
    let swapping = {
        let (router, newer) = (Arc::downgrade(&house.router), Arc::clone(&newer));
        fake(move |_| {
            let (router, newer) = (router.upgrade().unwrap(), Arc::clone(&newer));
            async move {
                router.swap(table(2, newer, None));
                Err(refused(ErrorCode::NotFound))
            }
        })
    };
    house
        .router
        .swap(table(1, Arc::clone(&swapping) as Dispatcher, None));
    house.call(call(true)).await.unwrap();
    assert_eq!(
        (
            swapping.seen.lock().unwrap().len(),
            newer.seen.lock().unwrap().len()
        ),
        (1, 1)
    );
    assert_eq!(house.counts(), Some((1, 0, 0)));
    assert_eq!(house.spans.try_recv().unwrap().status, SpanStatus::Ok);
    assert!(house.spans.try_recv().is_err());
}

#[tokio::test]
async fn a_call_that_never_left_is_looked_up_once_more_and_one_that_may_have_run_is_not() {
    for (unsent, expected) in [(true, Ok(())), (false, Err(ErrorCode::Unreachable))] {
        let house = house();
        let newer = fake(async |call: Call| Ok(Reply::new(call.args)));
        let dead = {
            let (router, newer) = (Arc::downgrade(&house.router), Arc::clone(&newer));
            fake(move |_| {
                let (router, newer) = (router.upgrade().unwrap(), Arc::clone(&newer));
                async move {
                    router.swap(table(2, newer, None));
                    let error = refused(ErrorCode::Unreachable);
                    Err(if unsent { error.unsent() } else { error })
                }
            })
        };
        house.router.swap(table(1, dead, None));
        let outcome = house.call(call(false)).await;
        assert_eq!(outcome.map(drop).map_err(|error| error.code), expected);
        assert_eq!(newer.seen.lock().unwrap().len(), usize::from(unsent));
        assert_eq!(house.counts(), Some((1, u64::from(!unsent), 0)));
    }
}

#[tokio::test]
async fn a_second_look_keeps_to_the_deadline() {
    let house = house();
    let newer = fake(async |call: Call| Ok(Reply::new(call.args)));
    let dead = {
        let (router, newer) = (Arc::downgrade(&house.router), Arc::clone(&newer));
        fake(move |call: Call| {
            let (router, newer) = (router.upgrade().unwrap(), Arc::clone(&newer));
            async move {
                tokio::time::sleep_until(call.deadline.into()).await;
                router.swap(table(2, newer, None));
                Err(refused(ErrorCode::Unreachable).unsent())
            }
        })
    };
    house.router.swap(table(1, dead, None));
    let short = Call {
        deadline: Instant::now() + Duration::from_millis(20),
        ..call(false)
    };
    let error = house.call(short).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Deadline);
    assert_eq!(newer.seen.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn a_callee_that_is_nowhere_is_asked_once_under_one_table_and_twice_under_two() {
    let house = house();
    let gone = fake(async |_| Err(refused(ErrorCode::NotFound)));
    house.router.swap(table(1, Arc::clone(&gone) as Dispatcher, None));
    assert_eq!(
        house.call(call(false)).await.unwrap_err().code,
        ErrorCode::NotFound
    );
    assert_eq!(gone.seen.lock().unwrap().len(), 1);
    assert_eq!(house.counts(), Some((1, 1, 0)));

    let always = {
        let (router, gone) = (Arc::downgrade(&house.router), Arc::clone(&gone));
        fake(move |_| {
            let (router, gone) = (router.upgrade().unwrap(), Arc::clone(&gone));
            async move {
                router.swap(table(3, gone, None));
                Err(refused(ErrorCode::NotFound))
            }
        })
    };
    house.router.swap(table(2, always, None));
    assert_eq!(
        house.call(call(false)).await.unwrap_err().code,
        ErrorCode::NotFound
    );
    assert_eq!(gone.seen.lock().unwrap().len(), 2, "not a third time");
    assert_eq!(house.counts(), Some((2, 2, 0)));
}

#[tokio::test]
async fn an_edge_s_timeout_shortens_a_deadline_and_never_lengthens_it() {
    let house = house();
    let callee = fake(async |call: Call| Ok(Reply::new(call.args)));
    house
        .router
        .swap(table(1, Arc::clone(&callee) as Dispatcher, Some(1_000)));
    let (long, short) = (
        call(false),
        Call {
            deadline: Instant::now() + Duration::from_millis(900),
            ..call(false)
        },
    );
    house.call(long.clone()).await.unwrap();
    // Where the machine was busy for 0.9 s, this one is late before it begins: then it was not lengthened either.
    let outcome = house.call(short.clone()).await;
    let seen = callee.seen.lock().unwrap();
    assert!(seen[0].deadline < long.deadline);
    assert!(seen[0].deadline <= Instant::now() + Duration::from_millis(1_000));
    match outcome {
        Ok(_) => assert!(seen[1].deadline <= short.deadline),
        Err(error) => assert_eq!(error.code, ErrorCode::Deadline),
    }
}

#[tokio::test]
async fn a_handler_s_timeout_holds_for_every_caller_beside_their_own() {
    let house = house();
    let callee = fake(async |call: Call| Ok(Reply::new(call.args)));
    let limits = Limits {
        timeout_ms: Some(60_000),
        ..Limits::default()
    };
    for edge_timeout in [None, Some(90_000), Some(30_000)] {
        let target = Arc::clone(&callee) as Dispatcher;
        house.router.swap(table_within(1, target, edge_timeout, limits));
        let long = Call {
            deadline: Instant::now() + Duration::from_secs(3_600),
            ..call(false)
        };
        for handler in [None, Some(name("email"))] {
            let before = Instant::now();
            let given = Call {
                handler,
                ..long.clone()
            };
            house.call(given).await.unwrap();
            let seen = callee.seen.lock().unwrap().pop().unwrap();
            let wanted = Duration::from_millis(edge_timeout.unwrap_or(u64::MAX).min(60_000));
            assert!(before + wanted <= seen.deadline, "not less than it may take");
            assert!(seen.deadline <= Instant::now() + wanted, "and not more");
        }
    }
    let short = Call {
        deadline: Instant::now() + Duration::from_secs(20),
        ..call(false)
    };
    house.call(short.clone()).await.unwrap();
    let seen = callee.seen.lock().unwrap().pop().unwrap();
    assert_eq!(
        seen.deadline, short.deadline,
        "the caller's own deadline is nearer"
    );
}

#[tokio::test]
async fn what_is_too_long_is_refused_wherever_the_callee_is() {
    let mut house = house();
    let callee = fake(async |call: Call| {
        let len = if call.args.is_empty() {
            (16 << 20) + 1
        } else {
            16 << 20
        };
        Ok(Reply::new(Bytes::from(vec![0; len])))
    });
    house
        .router
        .swap(table(1, Arc::clone(&callee) as Dispatcher, None));
    let with_args = |len: usize| Call {
        args: Bytes::from(vec![0; len]),
        ..call(false)
    };
    let reply = house.call(with_args(16 << 20)).await.unwrap();
    assert_eq!(reply.value.len(), 16 << 20, "the limit itself is allowed");
    let args = house.call(with_args((16 << 20) + 1)).await.unwrap_err();
    assert_eq!(args.code, ErrorCode::Invalid);
    assert_eq!(callee.seen.lock().unwrap().len(), 1, "the callee was not asked");
    let value = house.call(with_args(0)).await.unwrap_err();
    assert_eq!(value.code, ErrorCode::Trapped);
    for error in [args, value] {
        for part in ["shop:email/email.send", "16777217", "16777216"] {
            assert!(error.message.contains(part), "`{part}` is missing in: {error}");
        }
        let span = house.spans.try_recv().unwrap();
        assert!(matches!(span.status, SpanStatus::Failed { code, .. } if code == error.code));
    }
    assert_eq!(house.counts(), Some((3, 2, 0)));
}

#[tokio::test]
async fn a_line_follows_the_table_and_keeps_nobody_who_left_it() {
    let house = house();
    let old = fake(async |_| Ok(Reply::new(Bytes::from_static(b"old"))));
    let new = fake(async |_| Ok(Reply::new(Bytes::from_static(b"new"))));
    let given = call(false);
    let line = Arc::clone(&house.router)
        .line(&given.caller, None, &given.function)
        .expect("a router gives lines");
    let ask = async || {
        let call = Call {
            function: Arc::clone(&given.function),
            ..call(false)
        };
        line.dispatch(call).await.map(|reply| reply.value)
    };
    assert_eq!(ask().await.unwrap_err().code, ErrorCode::NotFound);
    house.router.swap(table(1, Arc::clone(&old) as Dispatcher, None));
    for _ in 0..3 {
        assert_eq!(ask().await.unwrap(), "old");
    }
    let left = Arc::downgrade(&old);
    drop(old);
    house.router.swap(table(2, new, None));
    assert!(left.upgrade().is_none(), "what a line keeps goes with its table");
    assert_eq!(ask().await.unwrap(), "new");
    assert_eq!(house.counts(), Some((4, 0, 0)));
}

#[tokio::test]
async fn a_line_sends_a_call_on_that_its_callee_missed() {
    let house = house();
    let given = call(false);
    let line = Arc::clone(&house.router)
        .line(&given.caller, None, &given.function)
        .expect("a router gives lines");
    let there = fake(async |_| Ok(Reply::new(Bytes::from_static(b"there"))));
    let router = Arc::clone(&house.router);
    // Withdrawn while the call was on its way: the newer table is in force by the time that the old callee says so.
    let gone = fake(move |_| {
        router.swap(table(2, Arc::clone(&there) as Dispatcher, None));
        async { Err(refused(ErrorCode::NotFound)) }
    });
    house.router.swap(table(1, gone, None));
    let reply = line.dispatch(given).await.unwrap();
    assert_eq!(reply.value, "there");
    assert_eq!(house.counts(), Some((1, 0, 0)));
}

/// Routes to `email` on these nodes.
fn on_nodes(generation: u64, nodes: &[(&str, Dispatcher)]) -> RouteTable {
    let handler = |(node, _): &(&str, Dispatcher)| HandlerRoute {
        name: name("email"),
        node: NodeName::parse(node).unwrap(),
        artifact: String::new(),
        http: false,
        limits: Limits::default(),
        grants: Default::default(),
    };
    let routes = Routes {
        generation,
        handlers: nodes.iter().map(handler).collect(),
        interfaces: vec![InterfaceRoute {
            interface: interface(),
            providers: vec![name("email")],
        }],
        ..Routes::default()
    };
    RouteTable::build(&routes, |wanted, _| {
        let (_, dispatcher) = nodes.iter().find(|(node, _)| *node == wanted.as_str())?;
        Some(Target {
            dispatcher: Arc::clone(dispatcher),
            transport: Transport::Quic,
        })
    })
}

#[tokio::test]
async fn a_replica_that_is_not_reached_costs_no_call_and_is_asked_once_a_table() {
    let house = house();
    let gone = fake(async |_| Err(refused(ErrorCode::Unreachable).unsent()));
    let there = fake(async |call: Call| Ok(Reply::new(call.args)));
    let nodes: [(&str, Dispatcher); 3] = [
        ("email", Arc::clone(&gone) as Dispatcher),
        ("email-2", Arc::clone(&there) as Dispatcher),
        ("email-3", Arc::clone(&gone) as Dispatcher),
    ];
    house.router.swap(on_nodes(1, &nodes));
    for _ in 0..50 {
        house.call(call(false)).await.unwrap();
    }
    assert_eq!(there.seen.lock().unwrap().len(), 50);
    assert_eq!(gone.seen.lock().unwrap().len(), 2, "each of the two, once");
    assert_eq!(house.counts(), Some((50, 0, 0)));
    house.router.swap(on_nodes(2, &nodes[..1]));
    let error = house.call(call(false)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unreachable);
    house
        .router
        .swap(on_nodes(3, &[nodes[0].clone(), nodes[2].clone()]));
    house.call(call(false)).await.unwrap_err();
    assert_eq!(gone.seen.lock().unwrap().len(), 5, "one alone, then both");
}

#[tokio::test]
async fn a_call_that_ran_is_not_sent_to_another_replica() {
    let house = house();
    let failing = fake(async |_| Err(refused(ErrorCode::Unreachable)));
    let nodes: [(&str, Dispatcher); 2] = [
        ("email", Arc::clone(&failing) as Dispatcher),
        ("email-2", Arc::clone(&failing) as Dispatcher),
    ];
    house.router.swap(on_nodes(1, &nodes));
    house.call(call(false)).await.unwrap_err();
    assert_eq!(failing.seen.lock().unwrap().len(), 1);
    assert_eq!(house.counts(), Some((1, 1, 0)));
}
