//! Doors on free ports, over a fake home whose one callee answers by what it is asked.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use protocol::api::SpanCounts;
use protocol::api::chronicle::Happening;
use protocol::api::handlers::{Export, Function, HandlerState, Reach};
use protocol::api::nodes::NodeState;
use protocol::api::placement::Placement;
use protocol::control::{HandlerRoute, Limits, Routes};
use protocol::{CallError, ErrorCode, NodeName, Transport, exchange};
use tokio::sync::Notify;

use super::*;
use crate::dispatch::{Call, Dispatch, Reply, ReplyFuture};
use crate::placement::{Intake, Inventory};
use crate::queue;
use crate::router::{RouteTable, Target};
use crate::runtime::wit_type::WitType;
use crate::telemetry::Sampling;
use crate::traces::Retention;

pub(super) const WATCHDOG: Duration = Duration::from_secs(60);
pub(super) const INTERFACE: &str = "shop:till/till@0.1.0";

pub(super) fn name(text: &str) -> HandlerName {
    HandlerName::parse(text).unwrap()
}

/// `add: func(amount: u32, note: string) -> u32`
fn add() -> CallableFunction {
    let ty = FunctionType {
        params: vec![("amount".into(), WitType::U32), ("note".into(), WitType::String)],
        result: Some(WitType::U32),
        is_async: false,
    };
    let path = Arc::new(FunctionPath::new(InterfaceName::parse(INTERFACE).unwrap(), "add"));
    CallableFunction {
        handler: name("till"),
        path,
        hash: ty.hash(),
        ty,
    }
}

/// Serves everything: `add` gives 7; an exchange gives its request back, `/fail/N` the error of that number, and `/gate`
/// waits until the gate opens.
#[derive(Default)]
pub(super) struct Callee {
    pub gate: Notify,
    pub entered: Notify,
}

impl Callee {
    async fn serve(&self, call: Call) -> Result<Reply, CallError> {
        if call.function.interface.as_str() != exchange::INTERFACE {
            return Ok(Reply::new(Bytes::from_static(&[7])));
        }
        let request = exchange::Request::decode(&call.args).unwrap();
        if let Some(number) = request.path.strip_prefix("/fail/") {
            return Err(CallError::new(
                ErrorCode::from_number(number.parse().unwrap()),
                "it <failed>",
            ));
        }
        if request.path == "/gate" {
            self.entered.notify_one();
            self.gate.notified().await;
        }
        let body = format!("{} {} {}", request.method, request.path, request.body.len());
        let response = exchange::Response {
            status: 200,
            headers: Vec::new(),
            body: body.into(),
        };
        Ok(Reply::new(response.encode()))
    }
}

impl Dispatch for Callee {
    fn dispatch(&self, call: Call) -> ReplyFuture<'_> {
        Box::pin(self.serve(call))
    }
}

pub(super) struct FakeHome {
    pub changes: watch::Sender<u64>,
    pub is_large: AtomicBool,
}

impl FakeHome {
    fn till(&self) -> Handler {
        let function = Function {
            name: "add".into(),
            signature: add().ty.signature(),
            reach: Reach::Routable,
            docs: None,
            reports_failed_calls: false,
        };
        let export = Export {
            interface: InterfaceName::parse(INTERFACE).unwrap(),
            functions: vec![function],
            shadowed_by: None,
        };
        Handler {
            name: name("till"),
            file: None,
            state: HandlerState::Serving,
            version: "0123456789ab".into(),
            size_bytes: if self.is_large.load(Ordering::SeqCst) {
                2
            } else {
                1
            },
            compile_ms: 0,
            refused: None,
            since_unix_ms: None,
            http: true,
            policy: None,
            engine: None,
            exports: vec![export],
            imports: Vec::new(),
            limits: Limits::default(),
            grants: Default::default(),
            nodes: vec![NodeName::home()],
            figures: Default::default(),
            warnings: Vec::new(),
        }
    }
}

impl HomeView for FakeHome {
    fn handlers(&self) -> Vec<Handler> {
        vec![self.till()]
    }

    fn handler(&self, wanted: &HandlerName) -> Option<HandlerDetail> {
        (*wanted == name("till")).then(|| HandlerDetail {
            handler: self.till(),
            wit: "world till {}".into(),
            interfaces: Vec::new(),
        })
    }

    fn function(
        &self,
        handler: Option<&HandlerName>,
        interface: &InterfaceName,
        function: &str,
    ) -> Option<CallableFunction> {
        let known = add();
        let is_it = interface.unversioned() == known.path.interface.unversioned()
            && function == "add"
            && handler.is_none_or(|handler| *handler == known.handler);
        is_it.then_some(known)
    }

    fn nodes(&self) -> Vec<Node> {
        vec![Node {
            name: NodeName::home(),
            state: NodeState::Ready,
            pid: 1,
            address: None,
            incarnation: 1,
            handlers: vec![name("till")],
            started_unix_ms: 0,
            cpu_seconds: 0.0,
            resident_bytes: 0,
            quic_bytes_sent: 0,
            quic_bytes_received: 0,
            papers: None,
            last_error: None,
        }]
    }

    fn kill_node(&self, name: &NodeName) -> bool {
        name.as_str() == "till"
    }

    fn chronicle(&self, query: &ChronicleQuery) -> Page<Entry> {
        let entry = Entry {
            number: 7,
            unix_ms: 5,
            what: Happening::NodeDied,
            node: NodeName::parse("till").ok(),
            handler: None,
            text: "it ended".into(),
        };
        let items = vec![entry; query.limit.unwrap_or(1) as usize];
        Page { items, next: None }
    }

    fn put_handler(&self, _: HandlerName, bytes: Bytes) -> BoxFuture<'_, Result<Handler, Rejection>> {
        let outcome = crate::runtime::inspect::inspect(&bytes).map(|_| self.till());
        Box::pin(async move { outcome })
    }

    fn delete_handler(&self, wanted: HandlerName) -> BoxFuture<'_, bool> {
        Box::pin(async move { wanted == name("till") })
    }

    fn status(&self) -> Status {
        Status {
            version: "0.0.0".into(),
            data: "data".into(),
            ui: "127.0.0.1:7070".into(),
            ingress: "127.0.0.1:8080".into(),
            sampling: "all".into(),
            started_unix_ms: 0,
            spans: SpanCounts::default(),
            otlp: None,
        }
    }

    fn is_ready(&self) -> bool {
        true
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// Both doors, open.
pub(super) struct Doors {
    pub ui: String,
    pub ingress: String,
    pub context: Arc<Context>,
    pub home: Arc<FakeHome>,
    pub callee: Arc<Callee>,
    pub tasks: Tasks,
    client: legacy::Client<HttpConnector, Full<Bytes>>,
    _ground: Tasks,
    _intake: Intake,
    _folder: tempfile::TempDir,
}

pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Doors {
    pub async fn open() -> Self {
        let (ground, tasks, clock) = (Tasks::new(), Tasks::new(), Clock::system());
        let folder = tempfile::tempdir().unwrap();
        let (recorder, spans) = Recorder::channel(NodeName::home(), clock.clone());
        let file = folder.path().join("traces.db");
        let traces = Traces::open(&file, Retention::default(), Arc::clone(&recorder), spans, &ground)
            .await
            .unwrap();
        let queues = Queues::open(
            &folder.path().join("queue.db"),
            queue::KEEP_DONE_DEFAULT,
            clock.clone(),
            &ground,
        )
        .await
        .unwrap();
        let edges = Arc::new(Edges::new(clock.clone()));
        let router = Arc::new(Router::new(Arc::clone(&recorder), Arc::clone(&edges)));
        let callee = Arc::new(Callee::default());
        router.swap(table(&callee));
        let placement = Placement::default();
        let (desired, intake) = Desired::channel(placement.clone(), placement, Inventory::default());
        let home = Arc::new(FakeHome {
            changes: watch::Sender::new(0),
            is_large: AtomicBool::new(false),
        });
        let context = Arc::new(Context {
            router,
            recorder,
            sampler: Arc::new(Sampler::new(Sampling::All)),
            traces,
            edges,
            desired,
            queues,
            home: Arc::clone(&home) as Arc<dyn HomeView>,
            intake: Arc::new(crate::otlp::Intake::new(clock.clone())),
            clock,
            ingress_root: name("till"),
            ingress_timeout: WATCHDOG,
        });
        let ui = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ingress = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = [&ui, &ingress].map(|door| format!("http://{}", door.local_addr().unwrap()));
        tasks.spawn("ui", serve_ui(ui, Arc::clone(&context), tasks.clone()));
        tasks.spawn(
            "ingress",
            serve_ingress(ingress, Arc::clone(&context), tasks.clone()),
        );
        let client = legacy::Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        let [ui, ingress] = addresses;
        Self {
            ui,
            ingress,
            context,
            home,
            callee,
            tasks,
            client,
            _ground: ground,
            _intake: intake,
            _folder: folder,
        }
    }

    pub async fn start(&self, request: Request<Full<Bytes>>) -> http::Response<Incoming> {
        tokio::time::timeout(WATCHDOG, self.client.request(request))
            .await
            .unwrap()
            .unwrap()
    }

    pub async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let (parts, body) = self.start(request).await.into_parts();
        let body = tokio::time::timeout(WATCHDOG, body.collect())
            .await
            .unwrap()
            .unwrap()
            .to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(request("GET", &format!("{}{path}", self.ui), &[], ""))
            .await
    }

    pub async fn json(&self, method: &str, path: &str, body: &str) -> Answer {
        let address = format!("{}{path}", self.ui);
        self.send(request(
            method,
            &address,
            &[("content-type", "application/json")],
            body.to_owned(),
        ))
        .await
    }
}

pub(super) fn request(
    method: &str,
    address: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(address);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(body.into())).unwrap()
}

fn table(callee: &Arc<Callee>) -> RouteTable {
    let till = HandlerRoute {
        name: name("till"),
        node: NodeName::home(),
        artifact: String::new(),
        http: true,
        limits: Limits::default(),
        grants: Default::default(),
    };
    let routes = Routes {
        generation: 1,
        placement: "together".into(),
        handlers: vec![till],
        ..Routes::default()
    };
    let target = Target {
        dispatcher: Arc::clone(callee) as Arc<dyn Dispatch>,
        transport: Transport::Direct,
    };
    RouteTable::build(&routes, |_, _| Some(target.clone()))
}
