//! Two nodes of Cleave, one of which echoes.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use protocol::{FunctionPath, HandlerName, InterfaceName, NodeName, Rung, TraceContext, TypeHash, Way};
use server::clock::Clock;
use server::dispatch::{Call, Dispatch, Dispatcher, Reply, ReplyFuture};
use server::quic::{Authority, Config, Exported, Permissions, Quic, Twin};
use server::shutdown::Tasks;
use server::telemetry::{new_span_id, new_trace_id};
use tokio::sync::mpsc;

use super::{TIMEOUT, Wire};

const HASH: TypeHash = TypeHash([1; 16]);

/// A client of the node that echoes.
#[derive(Clone)]
pub struct Ours {
    client: Dispatcher,
    function: Arc<FunctionPath>,
    caller: HandlerName,
    callee: HandlerName,
    nodes: [Arc<Quic>; 2],
    _identity: Arc<tempfile::TempDir>,
}

struct Echo;

impl Dispatch for Echo {
    fn dispatch(&self, call: Call) -> ReplyFuture<'_> {
        Box::pin(async move { Ok(Reply::new(call.args)) })
    }
}

impl Ours {
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory for the authority");
        let authority =
            Authority::open(&directory.path().join("identity"), &Clock::system()).expect("an authority");
        let node = |name: &str| {
            let name = NodeName::parse(name).expect("a node's name");
            let identity = authority.issue(&name).expect("a certificate");
            let config = Config {
                sockets: Some(directory.path().join("sockets")),
                ..Config::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), identity, 1)
            };
            let (control, _messages) = mpsc::channel(1);
            Quic::bind(config, Arc::new(Echo), control, Tasks::new()).expect("a port")
        };
        let (web, cart) = (node("web"), node("cart"));
        let handler = |name| HandlerName::parse(name).expect("a handler's name");
        let interface = InterfaceName::parse("bench:blob/blob@0.1.0").expect("an interface's name");
        let function = FunctionPath::new(interface, "echo");
        cart.set_exports(vec![Exported {
            handler: handler("cart"),
            function: function.clone(),
            type_hash: HASH,
        }])
        .expect("one export");
        let web_name = NodeName::parse("web").expect("a node's name");
        let mut permissions = Permissions::default();
        permissions.allow(&handler("web"), &handler("cart"), &function);
        cart.set_permissions(permissions);
        cart.set_callers(&web_name, HashSet::from([handler("web")]));
        let cart_name = NodeName::parse("cart").expect("a node's name");
        let client = web.client(&cart_name, cart.local_addr(), 1);
        let ours = Self {
            client,
            function: Arc::new(function),
            caller: handler("web"),
            callee: handler("cart"),
            nodes: [web, cart],
            _identity: Arc::new(directory),
        };
        ours.echo(Bytes::new()).await;
        ours
    }

    /// The same nodes by another way.
    pub async fn by(&self, way: Way) -> Self {
        let [web, cart] = &self.nodes;
        let course = way.course();
        let client: Dispatcher = match way.transport {
            Some(Rung::Direct) => Arc::new(Echo),
            Some(Rung::Codec) => Twin::dispatcher(Arc::new(Echo)),
            _ => {
                let cart_name = NodeName::parse("cart").expect("a node's name");
                let by = (course.between, course.shaping);
                web.client_by(by, &cart_name, cart.local_addr(), 1)
            }
        };
        let ours = Self {
            client,
            ..self.clone()
        };
        ours.echo(Bytes::new()).await;
        ours
    }
}

impl Wire for Ours {
    async fn echo(&self, body: Bytes) -> Bytes {
        let call = Call {
            caller: self.caller.clone(),
            handler: Some(self.callee.clone()),
            function: Arc::clone(&self.function),
            type_hash: Some(HASH),
            args: body,
            deadline: Instant::now() + TIMEOUT,
            trace: TraceContext {
                trace_id: new_trace_id(),
                span_id: new_span_id(),
                sampled: false,
            },
            hop: 0,
            lift_ns: 0,
        };
        self.client.dispatch(call).await.expect("an echo").value
    }
}
