//! Real QUIC over loopback: nodes of one authority, a callee that does what its function's name says, and raw peers
//! that do what no node would.
//!
//! Waiting is for a condition, under one watchdog; nothing here asserts how long anything takes.

mod calls;
mod foreign;
mod ladder;
mod life;
mod renewal;
mod sim;

use std::collections::HashSet;
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use protocol::control::Control;
use protocol::{
    CallError, CalleeStages, ErrorCode, FunctionPath, HandlerName, InterfaceName, NodeName, SpanId,
    TraceContext, TraceId, TypeHash,
};
use tokio::sync::{Semaphore, mpsc};

use super::{Authority, Config, Exported, Identity, PeerClient, Permissions, Quic};
use crate::clock::Clock;
use crate::dispatch::{Call, Dispatch, Dispatcher, Reply, ReplyFuture};
use crate::shutdown::Tasks;

const WATCHDOG: Duration = Duration::from_secs(60);
const HASH: TypeHash = TypeHash([1; 16]);
const FUNCTIONS: [&str; 6] = ["echo", "err", "trap", "wait", "huge", "staged"];

async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(WATCHDOG, future)
        .await
        .expect("it happens before the watchdog barks")
}

async fn until(condition: impl Fn() -> bool) {
    soon(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn name(text: &str) -> HandlerName {
    HandlerName::parse(text).unwrap()
}

fn node_name(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

fn path(function: &str) -> FunctionPath {
    FunctionPath::new(
        InterfaceName::parse("test:callee/callee@0.1.0").unwrap(),
        function,
    )
}

fn exported(handler: &str, function: &str) -> Exported {
    Exported {
        handler: name(handler),
        function: path(function),
        type_hash: HASH,
    }
}

fn permit(quic: &Quic, callers: &[&str], functions: &[Exported]) {
    let mut permissions = Permissions::default();
    for caller in callers {
        for exported in functions {
            permissions.allow(&name(caller), &exported.handler, &exported.function);
        }
    }
    quic.set_permissions(permissions);
}

/// A callee that does what the function's name says.
struct Callee {
    seen: Mutex<Vec<Call>>,
    /// Calls of `wait` that began, may end, and were given up.
    began: Semaphore,
    may_end: Semaphore,
    given_up: Semaphore,
}

impl Callee {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            seen: Mutex::default(),
            began: Semaphore::new(0),
            may_end: Semaphore::new(0),
            given_up: Semaphore::new(0),
        })
    }

    fn seen(&self) -> Vec<Call> {
        self.seen.lock().unwrap().clone()
    }

    async fn wait(&self, args: Bytes) -> Result<Reply, CallError> {
        struct GivenUp<'a>(Option<&'a Semaphore>);
        impl Drop for GivenUp<'_> {
            fn drop(&mut self) {
                if let Some(given_up) = self.0 {
                    given_up.add_permits(1);
                }
            }
        }
        let mut guard = GivenUp(Some(&self.given_up));
        self.began.add_permits(1);
        self.may_end.acquire().await.unwrap().forget();
        guard.0 = None;
        Ok(Reply::new(args))
    }
}

impl Dispatch for Callee {
    fn dispatch(&self, call: Call) -> ReplyFuture<'_> {
        Box::pin(async move {
            self.seen.lock().unwrap().push(Call {
                args: call.args.slice(..call.args.len().min(8)),
                ..call.clone()
            });
            match call.function.function.as_ref() {
                "err" => Ok(Reply {
                    is_err: true,
                    ..Reply::new(call.args)
                }),
                "trap" => Err(CallError::new(ErrorCode::Trapped, "unreachable executed").with_detail("at f")),
                "wait" => self.wait(call.args).await,
                "huge" => Ok(Reply::new(Bytes::from(vec![7; 17 << 20]))),
                "staged" => Ok(Reply {
                    stages: Some(CalleeStages::default()),
                    ..Reply::new(call.args)
                }),
                "panic" => panic!("on purpose"),
                _ => Ok(Reply::new(call.args)),
            }
        })
    }
}

/// One node of the test's authority.
struct Node {
    name: NodeName,
    quic: Arc<Quic>,
    callee: Arc<Callee>,
    control: mpsc::Receiver<(NodeName, Control)>,
    tasks: Tasks,
}

impl Node {
    fn start(config: Config) -> Self {
        let name = config.identity.node.clone();
        let callee = Callee::new();
        let (sender, control) = mpsc::channel(64);
        let tasks = Tasks::new();
        let local: Dispatcher = Arc::clone(&callee) as Dispatcher;
        let quic = Quic::bind(config, local, sender, tasks.clone()).unwrap();
        let exports = FUNCTIONS.map(|function| exported(name.as_str(), function));
        quic.set_exports(exports.to_vec()).unwrap();
        permit(&quic, &["web", "cart"], &exports);
        Self {
            name,
            quic,
            callee,
            control,
            tasks,
        }
    }

    /// Lets another node call in these names.
    fn allow(&self, node: &Node, callers: &[&str]) {
        let callers: HashSet<_> = callers.iter().map(|caller| name(caller)).collect();
        self.quic.set_callers(&node.name, callers);
    }

    /// Lets callers call these functions here, and no others.
    fn permit(&self, callers: &[&str], functions: &[Exported]) {
        permit(&self.quic, callers, functions);
    }

    fn client(&self, to: &Node) -> Arc<PeerClient> {
        self.quic.client(&to.name, to.quic.local_addr(), 1)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

/// An authority whose directory goes with it.
struct World {
    authority: Authority,
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::open(&Path::join(dir.path(), "identity"), &Clock::system()).unwrap();
        Self { authority, dir }
    }

    fn identity(&self, node: &str) -> Identity {
        self.authority.issue(&node_name(node)).unwrap()
    }

    /// Incarnation 1 of a node; silence is borne for long, so that a busy machine breaks no test.
    fn config(&self, node: &str) -> Config {
        Config {
            idle_timeout: 2 * WATCHDOG,
            ..Config::new(loopback(), self.identity(node), 1)
        }
    }

    fn node(&self, node: &str) -> Node {
        Node::start(self.config(node))
    }

    /// A caller and a callee that lets it call in its own name.
    fn pair(&self) -> (Node, Node) {
        let (web, cart) = (self.node("web"), self.node("cart"));
        cart.allow(&web, &["web"]);
        (web, cart)
    }
}

/// A call from `web` to `cart`.
fn call(function: &str, args: impl Into<Bytes>) -> Call {
    Call {
        caller: name("web"),
        handler: Some(name("cart")),
        function: Arc::new(path(function)),
        type_hash: Some(HASH),
        args: args.into(),
        deadline: Instant::now() + 2 * WATCHDOG,
        trace: TraceContext {
            trace_id: TraceId(1),
            span_id: SpanId(2),
            sampled: false,
        },
        hop: 3,
        lift_ns: 0,
    }
}

fn code(outcome: Result<Reply, CallError>) -> ErrorCode {
    outcome.expect_err("the call fails").code
}
