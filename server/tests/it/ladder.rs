//! Up the ladder while calls run: no call fails for a change of the transport, and spans say which one it was.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http::Method;
use protocol::Transport;
use protocol::api::edges::Edge;
use protocol::api::traces::{TraceDetail, TraceSummary};
use serde_json::{Value, json};

use crate::support::{Home, Req, cleave, wait_for};

const HANDLERS: [&str; 4] = ["cart", "catalog", "currency", "recommendation"];
const RULES: &str = "[traces]\nsampling = \"all\"\n";
const CALLERS: usize = 3;
const PAUSE: Duration = Duration::from_millis(4);

/// A placement with how calls go, and the transport that the call from `recommendation` to `catalog` has then.
fn ladder() -> Vec<(Value, Transport)> {
    let edge = "recommendation -> shop:catalog/catalog";
    vec![
        (json!({"mode": "together"}), Transport::Direct),
        (
            json!({"mode": "together", "transport": "codec"}),
            Transport::Codec,
        ),
        (json!({"mode": "apart", "transport": "uds"}), Transport::Uds),
        (json!({"mode": "apart", "transport": "tcp"}), Transport::Tcp),
        (json!({"mode": "apart"}), Transport::Quic),
        (
            json!({"mode": "apart", "transport": "uds", "delay": "1ms"}),
            Transport::Uds,
        ),
        (
            json!({"mode": "apart", "transport": "tcp", "delay": "1ms", "jitter": "500us", "loss": "1%"}),
            Transport::Tcp,
        ),
        (
            json!({"mode": "apart", "delay": "1ms", "loss": "1%", "bandwidth": "100Mbit/s"}),
            Transport::Quic,
        ),
        (
            json!({"mode": "apart", "edges": {edge: {"transport": "uds"}}}),
            Transport::Uds,
        ),
        (
            json!({"mode": "apart", "edges": {edge: {"transport": "tcp", "delay": "1ms"}}}),
            Transport::Tcp,
        ),
        (json!({"mode": "apart", "edges": {}}), Transport::Quic),
        (
            json!({"mode": "together", "edges": {edge: {"transport": "codec"}}}),
            Transport::Codec,
        ),
        (json!({"mode": "together", "edges": {}}), Transport::Direct),
    ]
}

#[derive(Default)]
struct Tally {
    calls: AtomicU64,
    failed: Mutex<Vec<String>>,
    is_over: AtomicBool,
}

fn call(home: &Home, interface: &str, function: &str, args: Value) -> Result<(), String> {
    let path = format!("/api/v1/call/{interface}/{function}");
    let request = Req::new(Method::POST, &path).json(&json!({"args": args, "timeout_ms": 10_000}));
    let answer = home.api.try_send(request).map_err(|error| error.to_string())?;
    if !answer.status.is_success() {
        return Err(format!("{interface}.{function}: {}", answer.text()));
    }
    let value: Value = answer.expect();
    match value["result"].get("ok") {
        Some(_) => Ok(()),
        None => Err(value.to_string()),
    }
}

/// Calls until it is over: one that makes another, and one that keeps state.
fn work(home: &Home, tally: &Tally, caller: usize) {
    let user = format!("climber-{caller}");
    while !tally.is_over.load(Ordering::Relaxed) {
        let ids = json!([["storm-kettle"]]);
        let item = json!({"product-id": "storm-kettle", "quantity": 1});
        let outcomes = [
            call(
                home,
                "shop:recommendation/recommendation",
                "list-recommendations",
                ids,
            ),
            call(home, "shop:cart/cart", "add-item", json!([user, item])),
            call(home, "shop:cart/cart", "empty-cart", json!([user])),
        ];
        for outcome in outcomes {
            tally.calls.fetch_add(1, Ordering::Relaxed);
            if let Err(failure) = outcome {
                tally
                    .failed
                    .lock()
                    .expect("nobody panics while holding it")
                    .push(failure);
            }
        }
        // Nobody unparks: this is the pause.
        std::thread::park_timeout(PAUSE);
    }
}

fn edge(home: &Home) -> Option<Edge> {
    let mut edges = home.api.list::<Edge>("/api/v1/edges").into_iter();
    edges.find(|edge| edge.caller.as_str() == "recommendation" && edge.callee.as_str() == "catalog")
}

/// Waits until calls along the edge go by a transport, and a trace of one says so.
fn wait_transport(home: &Home, wanted: Transport) {
    wait_for("the edge to go by its transport", || match edge(home) {
        Some(edge) if edge.transport == wanted => Ok(()),
        other => Err(format!("{wanted:?}: {other:?}")),
    });
    wait_for("a span to say so", || {
        let traces: Vec<TraceSummary> = home.api.list("/api/v1/traces?handler=recommendation&limit=5");
        let mut seen = BTreeSet::new();
        for trace in traces {
            let detail: TraceDetail = home.api.get(&format!("/api/v1/traces/{}", trace.trace_id));
            let spans = detail.spans.iter().map(|row| &row.span);
            let calls = spans.filter(|span| span.handler.as_str() == "recommendation");
            seen.extend(calls.filter_map(|span| span.transport));
        }
        match seen.contains(&wanted) {
            true => Ok(()),
            false => Err(format!("{wanted:?}: {seen:?}")),
        }
    });
}

#[test]
fn up_the_ladder_under_load_no_call_fails() {
    let home = Home::with(&HANDLERS).rules(RULES).start();
    let tally = Tally::default();
    std::thread::scope(|scope| {
        for caller in 0..CALLERS {
            let (home, tally) = (&home, &tally);
            scope.spawn(move || work(home, tally, caller));
        }
        // Whatever panics in here, the callers must end.
        let climbed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for (placement, transport) in ladder() {
                home.place(&placement);
                wait_transport(&home, transport);
            }
        }));
        tally.is_over.store(true, Ordering::Relaxed);
        climbed.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    let failed = tally
        .failed
        .into_inner()
        .expect("nobody panicked while holding it");
    let calls = tally.calls.into_inner();
    assert!(
        failed.is_empty(),
        "of {calls} calls {}: {:?}",
        failed.len(),
        failed.first()
    );
}

#[test]
fn a_rung_is_chosen_by_command_and_shown() {
    let home = Home::with(&["catalog", "currency", "recommendation"])
        .rules(RULES)
        .start();
    let at = |arguments: &[&str]| cleave(&[arguments, &["--server", &home.url()]].concat());
    let placed = at(&["place", "apart", "--transport", "uds", "--delay", "1ms"]).ok();
    assert!(
        placed.stdout.contains("(apart+uds+1ms) is in force"),
        "{}",
        placed.stdout
    );
    let ids = json!([["storm-kettle"]]);
    call(
        &home,
        "shop:recommendation/recommendation",
        "list-recommendations",
        ids.clone(),
    )
    .expect("an answer");
    wait_transport(&home, Transport::Uds);
    let edges = at(&["ls", "edges"]).ok();
    assert!(edges.stdout.contains("uds+1ms"), "{}", edges.stdout);
    let placed = at(&["place", "together+tcp"]).ok();
    assert!(
        placed
            .stdout
            .contains("note: `tcp` is idle: no call between handlers leaves its node"),
        "{}",
        placed.stdout
    );
    call(
        &home,
        "shop:recommendation/recommendation",
        "list-recommendations",
        ids,
    )
    .expect("an answer");
    wait_transport(&home, Transport::Direct);
    let edges = at(&["ls", "edges"]).ok();
    assert!(edges.stdout.contains("direct (tcp is idle)"), "{}", edges.stdout);
    let placed = at(&["place", "--transport", "codec", "--json"]).ok().json();
    assert_eq!(
        placed["actual"],
        json!({"mode": "together", "transport": "codec"})
    );
    let refused = home
        .api
        .send(Req::new(Method::PUT, "/api/v1/placement").json(&json!({"mode": "apart", "delay": "2 hours"})));
    assert_eq!(refused.status.as_u16(), 400, "{}", refused.text());
    assert!(refused.text().contains("not a delay"), "{}", refused.text());
    let edge = json!({"mode": "apart", "edges": {"catalogue -> shop:ad/ad": {"transport": "tcp"}}});
    let refused = home
        .api
        .send(Req::new(Method::PUT, "/api/v1/placement").json(&edge));
    assert!(
        refused.text().contains("did you mean `catalog`?"),
        "{}",
        refused.text()
    );
}
