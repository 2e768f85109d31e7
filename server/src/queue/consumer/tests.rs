//! Attempts against a fake callee.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};

use bytes::Bytes;
use protocol::api::queues::MessageState;
use protocol::{FunctionPath, InterfaceName, NodeName, Span};
use tokio::sync::{Semaphore, mpsc};

use super::*;
use crate::dispatch::{Dispatch, ReplyFuture};
use crate::queue::NewMessage;
use crate::queue::tests::{Bench, WATCHDOG, queue};

const CONCURRENCY: u32 = 5;

/// What the fake handler does with a call.
#[derive(Debug, Clone, Copy)]
enum Act {
    Ok,
    Err(&'static str),
    Fail(ErrorCode),
    /// Its node is not reached.
    Unsent,
    /// Until the test opens the gate.
    Slow,
    Hang,
    Panic,
}

/// A handler that does as it is told, one act a call, the last one for ever.
struct Fake {
    acts: Mutex<Vec<Act>>,
    calls: mpsc::Sender<Call>,
    gate: Semaphore,
    at_once: AtomicUsize,
    at_once_max: AtomicUsize,
}

impl Fake {
    fn new(acts: &[Act]) -> (Arc<Self>, mpsc::Receiver<Call>) {
        let (calls, seen) = mpsc::channel(10_000);
        let fake = Self {
            acts: Mutex::new(acts.iter().rev().copied().collect()),
            calls,
            gate: Semaphore::new(0),
            at_once: AtomicUsize::new(0),
            at_once_max: AtomicUsize::new(0),
        };
        (Arc::new(fake), seen)
    }

    fn next(&self) -> Act {
        let mut acts = self.acts.lock().unwrap();
        if acts.len() > 1 {
            acts.pop().unwrap()
        } else {
            acts[0]
        }
    }

    async fn act(&self) -> Result<Reply, CallError> {
        match self.next() {
            Act::Ok => Ok(Reply::new(Bytes::new())),
            Act::Err(value) => Ok(Reply {
                is_err: true,
                ..Reply::new(Bytes::from_static(value.as_bytes()))
            }),
            Act::Fail(code) => Err(CallError::new(code, "on purpose")),
            Act::Unsent => Err(CallError::new(ErrorCode::Unreachable, "nobody answers").unsent()),
            Act::Slow => {
                self.gate.acquire().await.unwrap().forget();
                Ok(Reply::new(Bytes::new()))
            }
            Act::Hang => pending().await,
            Act::Panic => panic!("on purpose"),
        }
    }
}

impl Dispatch for Fake {
    fn dispatch(&self, call: Call) -> ReplyFuture<'_> {
        Box::pin(async move {
            self.calls.send(call).await.unwrap();
            let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
            self.at_once_max.fetch_max(now, Ordering::SeqCst);
            let outcome = self.act().await;
            self.at_once.fetch_sub(1, Ordering::SeqCst);
            outcome
        })
    }
}

struct Stage {
    bench: Bench,
    fake: Arc<Fake>,
    calls: mpsc::Receiver<Call>,
    spans: mpsc::Receiver<Span>,
    consumers: Consumers,
    tasks: Tasks,
}

impl Stage {
    async fn new(acts: &[Act], lease: Duration) -> Self {
        let bench = Bench::in_dir(tempfile::tempdir().unwrap(), crate::clock::Clock::system()).await;
        bench.queues.spawn_sweeper(&bench.tasks);
        let (fake, calls) = Fake::new(acts);
        let (recorder, spans) = Recorder::channel(NodeName::home(), bench.clock.clone());
        let tasks = Tasks::new();
        let dispatcher: Dispatcher = Arc::<Fake>::clone(&fake);
        let work = Work {
            dispatcher,
            recorder,
            explain: Arc::new(|handler: &HandlerName, function: &FunctionPath, value: &[u8]| {
                let said = format!("{handler} {function} {}", String::from_utf8_lossy(value));
                value.first().map(|_| said)
            }),
            concurrency: CONCURRENCY,
        };
        let consumers = Consumers::spawn_with(bench.queues.clone(), work, lease, &tasks);
        Self {
            bench,
            fake,
            calls,
            spans,
            consumers,
            tasks,
        }
    }

    async fn enqueue(&self, message: NewMessage) -> i64 {
        self.bench.queues.enqueue(message).await.unwrap()
    }

    async fn next_call(&mut self) -> Call {
        let call = tokio::time::timeout(WATCHDOG, self.calls.recv()).await;
        call.expect("a call within the watchdog's time").unwrap()
    }

    async fn next_span(&mut self) -> Span {
        let span = tokio::time::timeout(WATCHDOG, self.spans.recv()).await;
        span.expect("a span within the watchdog's time").unwrap()
    }

    /// Waits until so many messages stand there. Settling follows the call, so a look may come too early.
    async fn until(&self, state: MessageState, count: usize) {
        let looking = async {
            while self.bench.ids(state).await.len() != count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let found = tokio::time::timeout(WATCHDOG, looking).await;
        assert!(found.is_ok(), "{state:?}: {:?}", self.bench.ids(state).await);
    }
}

fn message() -> NewMessage {
    let function = FunctionPath::new(InterfaceName::parse("shop:email/email@0.1.0").unwrap(), "send");
    NewMessage {
        handler: Some(HandlerName::parse("email").unwrap()),
        function: Some(function),
        backoff: Duration::from_millis(5),
        trace: TraceContext::from_header("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ..NewMessage::plain(
            queue(),
            HandlerName::parse("checkout").unwrap(),
            Bytes::from_static(b"dear"),
        )
    }
}

#[tokio::test]
async fn a_message_becomes_a_call_of_its_handler_and_a_trace_of_its_own() {
    let mut stage = Stage::new(&[Act::Ok], LEASE).await;
    let id = stage.enqueue(message()).await;
    let call = stage.next_call().await;
    assert_eq!(call.caller, HandlerName::queue());
    assert_eq!(call.handler.as_ref().unwrap().as_str(), "email");
    assert_eq!(call.function.to_string(), "shop:email/email.send");
    assert_eq!(call.args, "dear");
    assert!(call.trace.sampled);
    stage.until(MessageState::Done, 1).await;
    let span = stage.next_span().await;
    assert_eq!(
        (span.kind, &*span.name),
        (SpanKind::Consumer, "process checkout.email")
    );
    assert_eq!((span.parent_id, span.span_id), (None, call.trace.span_id));
    let link = span.link.unwrap();
    assert_ne!(link.trace_id, span.trace_id);
    assert_eq!(link.trace_id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    let attribute = |key: &str| {
        span.attributes
            .iter()
            .find(|(name, _)| &**name == key)
            .unwrap()
            .1
            .clone()
    };
    assert_eq!(
        attribute("messaging.message.id"),
        Value::Text(id.to_string().into())
    );
    assert_eq!(
        attribute("messaging.destination.name"),
        Value::Text("checkout.email".into())
    );
    assert_eq!(attribute("cleave.message.attempt"), Value::Int(1));
    let done = stage.bench.only(MessageState::Done).await.message;
    assert_eq!(done.attempt_trace.unwrap().trace_id, span.trace_id);
}

#[tokio::test]
async fn err_trap_and_unreachable_are_failed_attempts_until_the_tries_are_used() {
    let acts = [
        Act::Err(""),
        Act::Fail(ErrorCode::Unreachable),
        Act::Fail(ErrorCode::Trapped),
    ];
    let mut stage = Stage::new(&acts, LEASE).await;
    stage.enqueue(message()).await;
    for _ in 0..3 {
        stage.next_call().await;
    }
    stage.until(MessageState::Dead, 1).await;
    let dead = stage.bench.only(MessageState::Dead).await.message;
    let error = dead.last_error.unwrap();
    assert_eq!(
        (dead.attempt, error.code.as_str(), error.message.as_str()),
        (3, "trapped", "on purpose")
    );
    assert_eq!(stage.next_span().await.status, SpanStatus::Err);
    assert!(matches!(
        stage.next_span().await.status,
        SpanStatus::Failed {
            code: ErrorCode::Unreachable,
            ..
        }
    ));
    assert_eq!(stage.bench.queues.list().await.unwrap()[0].failed_attempts, 3);
}

#[tokio::test]
async fn what_the_callee_said_is_kept_with_the_message_and_cut() {
    static LONG: LazyLock<String> = LazyLock::new(|| "é".repeat(ERROR_BYTES_MAX));
    for (value, said) in [
        ("", ""),
        ("no such street", ": email shop:email/email.send no such street"),
        (LONG.as_str(), "é…"),
    ] {
        let stage = Stage::new(&[Act::Err(value)], LEASE).await;
        stage
            .enqueue(NewMessage {
                tries: 1,
                ..message()
            })
            .await;
        stage.until(MessageState::Dead, 1).await;
        let error = stage
            .bench
            .only(MessageState::Dead)
            .await
            .message
            .last_error
            .unwrap();
        assert_eq!(error.code, "err");
        assert!(
            error.message.ends_with(&format!("its own error{said}")) || value == LONG.as_str(),
            "{error:?}"
        );
        assert!(
            error.message.ends_with(said) && error.message.len() < ERROR_BYTES_MAX + 100,
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn an_attempt_ends_at_its_timeout_and_the_next_one_can_succeed() {
    let mut stage = Stage::new(&[Act::Hang, Act::Ok], LEASE).await;
    stage
        .enqueue(NewMessage {
            timeout: Duration::from_millis(30),
            ..message()
        })
        .await;
    stage.next_call().await;
    stage.next_call().await;
    stage.until(MessageState::Done, 1).await;
    let done = stage.bench.only(MessageState::Done).await.message;
    assert_eq!(
        (done.attempt, done.last_error.unwrap().code.as_str()),
        (2, "deadline")
    );
}

#[tokio::test]
async fn the_host_extends_the_lease_of_a_slow_attempt() {
    let lease = Duration::from_millis(300);
    let mut stage = Stage::new(&[Act::Slow], lease).await;
    stage.enqueue(message()).await;
    stage.next_call().await;
    // The lease moves on several times, each time past the end that it had before.
    for _ in 0..4 {
        let until = stage.bench.only(MessageState::Leased).await.message.due_unix_ms;
        let moving = async {
            while stage.bench.only(MessageState::Leased).await.message.due_unix_ms <= until {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(WATCHDOG, moving)
            .await
            .expect("the lease is extended");
    }
    stage.fake.gate.add_permits(1);
    stage.until(MessageState::Done, 1).await;
    assert_eq!(stage.bench.only(MessageState::Done).await.message.attempt, 1);
}

#[tokio::test]
async fn an_absent_handler_uses_no_tries_and_is_found_when_it_comes() {
    let absent = Act::Fail(ErrorCode::NotFound);
    let mut stage = Stage::new(
        &[
            absent,
            Act::Unsent,
            Act::Fail(ErrorCode::Overloaded),
            absent,
            Act::Ok,
        ],
        LEASE,
    )
    .await;
    for _ in 0..3 {
        stage
            .enqueue(NewMessage {
                tries: 1,
                ..message()
            })
            .await;
    }
    stage.next_call().await;
    stage.consumers.routes_changed();
    stage.until(MessageState::Done, 3).await;
    assert_eq!(stage.bench.only_dead().await, 0);
    let done = stage
        .bench
        .queues
        .messages(&queue(), Some(MessageState::Done), None, 9)
        .await
        .unwrap();
    assert!(done.iter().all(|stored| stored.message.attempt == 1));
}

#[tokio::test]
async fn a_queue_s_attempts_are_bounded_and_all_of_it_is_worked_off() {
    let count = CONCURRENCY as usize * 3;
    let mut stage = Stage::new(&[Act::Slow], LEASE).await;
    for _ in 0..count {
        stage.enqueue(message()).await;
    }
    for _ in 0..CONCURRENCY as usize {
        stage.next_call().await;
    }
    stage.until(MessageState::Leased, CONCURRENCY as usize).await;
    stage.fake.gate.add_permits(count);
    stage.until(MessageState::Done, count).await;
    assert_eq!(
        stage.fake.at_once_max.load(Ordering::SeqCst),
        CONCURRENCY as usize
    );
}

#[tokio::test]
async fn a_drain_finishes_what_is_in_work_and_starts_nothing() {
    let mut stage = Stage::new(&[Act::Slow], LEASE).await;
    stage
        .enqueue(NewMessage {
            order_key: Some("a".into()),
            ..message()
        })
        .await;
    let second = stage
        .enqueue(NewMessage {
            order_key: Some("a".into()),
            ..message()
        })
        .await;
    stage.next_call().await;
    stage.tasks.cancel();
    stage.fake.gate.add_permits(2);
    stage.tasks.drain(WATCHDOG).await.unwrap();
    assert_eq!(stage.bench.ids(MessageState::Done).await.len(), 1);
    assert_eq!(stage.bench.ids(MessageState::Ready).await, [second]);
}

#[tokio::test]
async fn a_panic_in_an_attempt_costs_one_lease_and_not_the_queue() {
    let mut stage = Stage::new(&[Act::Panic, Act::Ok], Duration::from_millis(100)).await;
    stage.enqueue(message()).await;
    stage.next_call().await;
    stage.enqueue(message()).await;
    stage.until(MessageState::Done, 2).await;
    let errors: Vec<_> = stage
        .bench
        .queues
        .messages(&queue(), Some(MessageState::Done), None, 9)
        .await
        .unwrap()
        .into_iter()
        .filter_map(|stored| stored.message.last_error)
        .collect();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].code, "lease-expired");
}

impl Bench {
    async fn only_dead(&self) -> usize {
        self.ids(MessageState::Dead).await.len()
    }
}
