//! Who may do what: grants of `cleave.toml`, and what a node may call at another one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use protocol::api::handlers::{Handler, HandlerState};
use protocol::control::Control;
use protocol::{
    CallError, ErrorCode, FunctionPath, HandlerName, InterfaceName, NodeName, SpanId, TraceContext, TraceId,
};
use serde_json::{Value, json};
use server::clock::Clock;
use server::dispatch::{Call, Dispatch, Reply, ReplyFuture};
use server::quic::{Authority, Config, Quic};
use server::shutdown::Tasks;
use tokio::sync::mpsc;

use crate::support::{Home, WATCHDOG, cleave, component, wait_for};

const CATALOG: &str = "shop:catalog/catalog";

fn rejected(home: &Home, name: &str) -> String {
    let is_rejected = |handler: &Handler| matches!(handler.state, HandlerState::Rejected { .. });
    match home.wait_handler(name, "rejected", is_rejected).state {
        HandlerState::Rejected { reason, remedy } => format!("{reason}; {remedy}"),
        _ => unreachable!("it was asked for"),
    }
}

const RULES: &str = r#"
[handler.recommendation]
interfaces = []
concurrency = 7
"#;

#[test]
fn a_file_that_imports_what_it_is_not_granted_is_rejected_with_the_line_that_grants_it() {
    let mut home = Home::with(&["catalog", "recommendation"]).rules(RULES).start();
    let reason = rejected(&home, "recommendation");
    for says in [
        "`shop:catalog/catalog@0.1.0`",
        "`interfaces` in [handler.recommendation]",
        r#"`interfaces = ["shop:catalog/catalog"]`"#,
    ] {
        assert!(reason.contains(says), "`{reason}` does not say `{says}`");
    }
    // `cleave check` says the same of the file, by the same rules.
    let rules = home.rules_file();
    let rules = rules.to_str().expect("a path in UTF-8");
    let file = component("recommendation");
    let file = file.to_str().expect("a path in UTF-8");
    let checked = cleave(&["check", "--config", rules, file]).failed(1);
    assert!(
        checked.stdout.contains("interfaces = [\"shop:catalog/catalog\"]"),
        "{}",
        checked.stdout
    );
    let list = || home.call(CATALOG, "list-products", &json!([]));
    assert!(list().status.is_success(), "its neighbour serves");

    // The line is written, and it serves; what is set is shown.
    let granted = RULES.replace("[]", r#"["shop:catalog/catalog"]"#);
    home.interrupt();
    std::fs::write(home.rules_file(), granted).expect("the rules can be written");
    home.start_again();
    let served = home.wait_serving("recommendation");
    assert_eq!(served.limits.calls_max, 7);
    assert_eq!(served.grants.interfaces.as_ref().map(Vec::len), Some(1));
    let listed = cleave(&["ls", "handlers", "--server", &home.url()]).ok();
    let told = r#"recommendation: concurrency 7, interfaces ["shop:catalog/catalog"]"#;
    assert!(listed.stdout.contains(told), "{}", listed.stdout);
}

/// Serves nothing: this node only calls.
struct Nobody;

impl Dispatch for Nobody {
    fn dispatch(&self, _: Call) -> ReplyFuture<'_> {
        Box::pin(async { Err(CallError::new(ErrorCode::NotFound, "nothing is served here")) })
    }
}

/// A process that has the papers of a node, and does as it likes.
struct Impostor {
    quic: Arc<Quic>,
    tasks: Tasks,
    _messages: mpsc::Receiver<(NodeName, Control)>,
}

impl Impostor {
    fn with_papers_of(home: &Home, node: &str) -> Self {
        let authority =
            Authority::open(&home.data().join("identity"), &Clock::system()).expect("home's authority");
        let identity = authority
            .issue(&NodeName::parse(node).expect("a node's name"))
            .expect("papers");
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let (control, messages) = mpsc::channel(64);
        let tasks = Tasks::new();
        let config = Config::new(any_port, identity, 1_000);
        let quic = Quic::bind(config, Arc::new(Nobody), control, tasks.clone()).expect("a port");
        Self {
            quic,
            tasks,
            _messages: messages,
        }
    }

    /// Calls a function at a node in somebody's name.
    async fn call(
        &self,
        (node, at): (&str, SocketAddr),
        caller: &str,
        function: &str,
    ) -> Result<Reply, ErrorCode> {
        let handler = |name: &str| HandlerName::parse(name).expect("a handler's name");
        let (interface, function) = function.rsplit_once('.').expect("an interface and a function");
        let interface = InterfaceName::parse(interface).expect("an interface's name");
        let client = self
            .quic
            .client(&NodeName::parse(node).expect("a node's name"), at, 0);
        let call = Call {
            caller: handler(caller),
            handler: Some(handler(node)),
            function: Arc::new(FunctionPath::new(interface, function)),
            type_hash: None,
            args: Bytes::new(),
            deadline: Instant::now() + WATCHDOG,
            trace: TraceContext {
                trace_id: TraceId(1),
                span_id: SpanId(2),
                sampled: false,
            },
            hop: 0,
            lift_ns: 0,
        };
        client.dispatch(call).await.map_err(|error| error.code)
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

#[test]
fn a_node_calls_at_others_only_what_its_own_handlers_import() {
    let home = Home::with(&["catalog", "currency", "recommendation"])
        .placement("apart")
        .start();
    home.wait_serving("recommendation");
    let address = |node: &str| {
        let address = home.node(node).address.expect("a child listens");
        (node.to_owned(), address.parse().expect("an address"))
    };
    let (catalog, at_catalog): (String, SocketAddr) = address("catalog");
    let (currency, at_currency): (String, SocketAddr) = address("currency");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let products = "shop:catalog/catalog@0.1.0.list-products";
        let currencies = "shop:currency/currency@0.1.0.supported-currencies";
        // `recommendation` imports the catalog, of which it uses some functions, and nothing of `currency`.
        let own = Impostor::with_papers_of(&home, "recommendation");
        let at = (catalog.as_str(), at_catalog);
        let answer = own.call(at, "recommendation", products).await;
        assert!(answer.is_ok(), "what it imports: {answer:?}");
        let at_other = (currency.as_str(), at_currency);
        for _ in 0..2 {
            let answer = own.call(at_other, "recommendation", currencies).await;
            assert_eq!(
                answer.map(|_| ()),
                Err(ErrorCode::Rejected),
                "what it does not import"
            );
        }
        let answer = own.call(at, "currency", products).await;
        assert_eq!(
            answer.map(|_| ()),
            Err(ErrorCode::Rejected),
            "another handler's name"
        );
        let answer = own.call(at, "ingress", products).await;
        assert_eq!(
            answer.map(|_| ()),
            Err(ErrorCode::Rejected),
            "a name of the platform"
        );
        // `currency` imports nothing at all.
        let other = Impostor::with_papers_of(&home, "currency");
        let answer = other.call(at, "currency", products).await;
        assert_eq!(answer.map(|_| ()), Err(ErrorCode::Rejected), "it imports nothing");
    });
    // Nobody else noticed: the edge works, and home may call everything.
    let answer: Value = home
        .call(
            "shop:recommendation/recommendation",
            "list-recommendations",
            &json!([["storm-kettle"]]),
        )
        .expect();
    assert!(answer["result"]["ok"].is_array(), "{answer}");
    let answer = home.call("shop:currency/currency", "supported-currencies", &json!([]));
    assert!(answer.status.is_success(), "{}", answer.text());
    let calls = home.wait_serving("currency").figures.calls;
    assert_eq!(calls, 1, "what was refused did not run");
}

/// `hostile:ring/<own>`, whose `go` calls that of `hostile:ring/<next>`, or nothing.
fn ring(own: &str, next: Option<&str>) -> Vec<u8> {
    let (import, go, with) = match next {
        Some(next) => (
            format!(
                r#"(import "hostile:ring/{next}@0.1.0" (instance $next (export "go" (func))))
                (core func $go (canon lower (func $next "go")))"#
            ),
            r#"(import "" "go" (func $go)) (func (export "go") (call $go))"#,
            r#"(with "" (instance (export "go" (func $go))))"#,
        ),
        None => (String::new(), r#"(func (export "go"))"#, ""),
    };
    let text = format!(
        r#"(component {import}
        (core module $m {go})
        (core instance $c (instantiate $m {with}))
        (func $lifted (canon lift (core func $c "go")))
        (instance $i (export "go" (func $lifted)))
        (export "hostile:ring/{own}@0.1.0" (instance $i)))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn a_newer_version_may_call_at_other_nodes_what_the_one_before_it_did_not_import() {
    let home = Home::with(&["examples/hello"]).placement("apart").start();
    let put = |name: &str, wasm: Vec<u8>| {
        std::fs::write(home.folder().join(format!("{name}.wasm")), wasm).expect("the folder takes a file");
    };
    put("callee", ring("callee", None));
    put("caller", ring("caller", None));
    home.wait_serving("callee");
    let before = home.wait_serving("caller");
    let go = || home.call("hostile:ring/caller", "go", &json!([]));
    assert!(go().status.is_success());
    put("caller", ring("caller", Some("callee")));
    home.wait_handler("caller", "another version", |handler| {
        handler.version != before.version && handler.state == HandlerState::Serving
    });
    let callee_is_called = || home.wait_serving("callee").figures.calls > 0;
    wait_for("a call of the newer version", || {
        let answer = go();
        assert!(
            answer.status.is_success(),
            "no call fails meanwhile: {}",
            answer.text()
        );
        match callee_is_called() {
            true => Ok(()),
            false => Err("the one before it answers".to_owned()),
        }
    });
    // More replicas of both, and fewer again: the edge holds on each of them.
    for replicas in [3, 1] {
        let count = replicas.to_string();
        let (caller, callee) = (format!("caller={count}"), format!("callee={count}"));
        cleave(&["scale", &caller, &callee, "--server", &home.url()]).ok();
        for _ in 0..20 {
            let answer = go();
            assert!(answer.status.is_success(), "with {replicas}: {}", answer.text());
        }
    }
}
