//! Moves of every kind under constant load, with no failed call: together and apart, more and fewer replicas, newer
//! versions, nodes that start anew, one handler from node to node.
//!
//! CLEAVE_MOVES says how many moves; the kinds take turns. What came of it is one line of JSON on standard error, for
//! who measures.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::Method;
use protocol::api::handlers::HandlerState;
use protocol::api::placement::Accepted;
use serde_json::{Value, json};

use crate::support::{Home, Req, cleave, read_component, wait_for};

const HANDLERS: [&str; 4] = ["cart", "catalog", "currency", "recommendation"];
const RULES: &str = "[traces]\nsampling = \"off\"\n\n[handler.cart]\naffinity = \"user-id\"\n";
const CALLERS: usize = 3;
/// Two rounds of every kind.
const MOVES: usize = 32;
/// Between two calls of a caller: constant load leaves the machine time to move.
const PAUSE: Duration = Duration::from_millis(4);
/// Failures that are told; the others are counted.
const TOLD_MAX: usize = 10;

/// One change of what shall be.
#[derive(Debug)]
enum Move {
    Place(Value),
    Scale(&'static str, u32),
    /// A newer version of a handler, with the same types.
    Swap(&'static str),
    /// A node starts anew.
    Drain(&'static str),
}

/// A round of every kind, after which everything is as it was.
fn round() -> Vec<Move> {
    let groups = |groups: Value| Move::Place(json!({"mode": "groups", "groups": groups}));
    vec![
        Move::Place(json!({"mode": "apart"})),
        Move::Scale("catalog", 3),
        Move::Swap("catalog"),
        Move::Drain("catalog-2"),
        Move::Scale("cart", 2),
        Move::Drain("cart"),
        Move::Scale("catalog", 1),
        Move::Swap("recommendation"),
        Move::Scale("cart", 1),
        groups(json!([["cart", "catalog"], ["recommendation"]])),
        groups(json!([["cart"], ["catalog", "recommendation"]])),
        Move::Drain("catalog-recommendation"),
        Move::Swap("catalog"),
        Move::Drain("cart"),
        Move::Place(json!({"mode": "together"})),
        Move::Swap("cart"),
    ]
}

/// What callers came to.
#[derive(Default)]
struct Tally {
    calls: AtomicU64,
    failed: AtomicU64,
    told: Mutex<Vec<String>>,
    is_over: AtomicBool,
}

impl Tally {
    fn note(&self, outcome: Result<Value, String>) -> Option<Value> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let failure = match outcome {
            Ok(value) if value["result"].get("ok").is_some() => return Some(value["result"]["ok"].clone()),
            Ok(value) => value.to_string(),
            Err(failure) => failure,
        };
        self.failed.fetch_add(1, Ordering::Relaxed);
        let mut told = self.told.lock().expect("nobody panics while holding it");
        if told.len() < TOLD_MAX {
            told.push(failure);
        }
        None
    }
}

fn call(home: &Home, interface: &str, function: &str, args: Value) -> Result<Value, String> {
    let path = format!("/api/v1/call/{interface}/{function}");
    let request = Req::new(Method::POST, &path).json(&json!({"args": args, "timeout_ms": 10_000}));
    let answer = home
        .api
        .try_send(request)
        .map_err(|error| format!("{interface}.{function}: {error}"))?;
    if !answer.status.is_success() {
        return Err(format!("{interface}.{function}: {}", answer.text()));
    }
    Ok(answer.expect())
}

/// Calls until it is over: reads, a call that makes another, and a cart that must never lose anything.
fn work(home: &Home, tally: &Tally, caller: usize) {
    let user = format!("caller-{caller}");
    let mut added = 0;
    while !tally.is_over.load(Ordering::Relaxed) {
        tally.note(call(home, "shop:catalog/catalog", "list-products", json!([])));
        let ids = json!([["storm-kettle"]]);
        let recommendation = "shop:recommendation/recommendation";
        tally.note(call(home, recommendation, "list-recommendations", ids));
        let item = json!({"product-id": "storm-kettle", "quantity": 1});
        let cart = tally.note(call(home, "shop:cart/cart", "add-item", json!([user, item])));
        added += 1;
        if let Some(cart) = cart {
            assert_eq!(cart[0]["quantity"], json!(added), "{cart}");
        }
        if added == 50 {
            tally.note(call(home, "shop:cart/cart", "empty-cart", json!([user])));
            added = 0;
        }
        // Nobody unparks: this is the pause.
        std::thread::park_timeout(PAUSE);
    }
}

/// Makes the moves, one after the other.
struct Mover<'h> {
    home: &'h Home,
    versions: u32,
}

impl Mover<'_> {
    fn make(&mut self, wanted: &Move) {
        match wanted {
            Move::Place(placement) => _ = self.home.place(placement),
            Move::Scale(handler, replicas) => {
                let change = json!({"replicas": {*handler: replicas}});
                self.ask(Req::new(Method::PATCH, "/api/v1/placement").json(&change));
            }
            Move::Drain(node) => {
                let before = self.home.node(node);
                let path = format!("/api/v1/nodes/{node}/drain");
                self.ask(Req::new(Method::POST, &path).json(&json!({})));
                let after = self.home.node(node);
                assert!(
                    after.incarnation > before.incarnation && after.pid != before.pid,
                    "{before:?} {after:?}"
                );
            }
            Move::Swap(handler) => self.swap(handler),
        }
    }

    fn ask(&self, request: Req) {
        let answer = self.home.api.send(request);
        assert_eq!(answer.status.as_u16(), 202, "{}", answer.text());
        self.home.wait_placed(answer.expect::<Accepted>().generation);
    }

    fn swap(&mut self, handler: &str) {
        self.versions += 1;
        let before = self.home.wait_serving(handler).version;
        let file = self.home.folder().join(format!("{handler}.wasm"));
        let newer = another_version(&read_component(handler), self.versions);
        std::fs::write(file, newer).expect("the folder takes a file");
        self.home.wait_handler(handler, "newer", |newer| {
            newer.version != before && newer.state == HandlerState::Serving
        });
        wait_for("the version to be in force", || {
            let status = self.home.placement();
            if status.settled {
                Ok(())
            } else {
                Err(format!("{status:?}"))
            }
        });
    }
}

/// The same component with other bytes: a custom section more.
fn another_version(component: &[u8], number: u32) -> Vec<u8> {
    let content = format!("\u{7}version{number}");
    let length = u8::try_from(content.len()).expect("a short section");
    [component, &[0, length], content.as_bytes()].concat()
}

#[test]
fn moves_of_every_kind_fail_no_call() {
    let moves =
        std::env::var("CLEAVE_MOVES").map_or(MOVES, |count| count.parse().expect("CLEAVE_MOVES is a number"));
    let home = Home::with(&HANDLERS).rules(RULES).start();
    let tally = Tally::default();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for caller in 0..CALLERS {
            let (home, tally) = (&home, &tally);
            scope.spawn(move || work(home, tally, caller));
        }
        // Whatever panics in here, the callers must end.
        let moved = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut mover = Mover {
                home: &home,
                versions: 0,
            };
            for wanted in std::iter::repeat_with(round).flatten().take(moves) {
                let before = tally.calls.load(Ordering::Relaxed);
                mover.make(&wanted);
                wait_for("calls to go on", || {
                    let calls = tally.calls.load(Ordering::Relaxed) - before;
                    if calls > 0 {
                        Ok(())
                    } else {
                        Err("none did".to_owned())
                    }
                });
            }
        }));
        tally.is_over.store(true, Ordering::Relaxed);
        moved.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    let (calls, failed) = (tally.calls.into_inner(), tally.failed.into_inner());
    let seconds = began.elapsed().as_secs_f64();
    eprintln!(
        "{}",
        json!({"moves": moves, "calls": calls, "moves_failed": failed, "seconds": seconds})
    );
    let told = tally.told.into_inner().expect("nobody panicked while holding it");
    assert_eq!(
        failed,
        0,
        "of {calls} calls in {moves} moves:\n{}",
        told.join("\n")
    );
}

#[test]
fn a_handler_is_scaled_and_a_node_drained_by_command() {
    let home = Home::with(&["catalog", "currency"]).rules(RULES_FOR_TWO).start();
    let at = |arguments: &[&str]| cleave(&[arguments, &["--server", &home.url()]].concat());
    let refused = at(&["scale", "catalog=2"]).failed(1);
    assert!(
        refused.stderr.contains("nodes of their own"),
        "{}",
        refused.stderr
    );
    let placed = at(&["place", "apart"]).ok();
    assert!(
        placed.stdout.contains("currency-2  currency"),
        "the file's replicas: {}",
        placed.stdout
    );
    let scaled = at(&["scale", "catalog=2"]).ok();
    assert!(scaled.stdout.contains("catalog-2"), "{}", scaled.stdout);
    assert!(
        scaled.stderr.contains("cleave.toml says together, currency ×2"),
        "{}",
        scaled.stderr
    );
    assert_eq!(home.wait_serving("catalog").nodes.len(), 2);
    let before = home.node("catalog-2");
    let drained = at(&["drain", "catalog-2"]).ok();
    assert!(
        drained.stderr.contains("node `catalog-2` is"),
        "{}",
        drained.stderr
    );
    assert!(home.node("catalog-2").incarnation > before.incarnation);
    let json = at(&["scale", "catalog=1", "--json"]).ok().json();
    assert_eq!(json["desired"]["replicas"], json!({"currency": 2}));
    let together = at(&["place", "together"]).ok();
    assert!(
        together
            .stdout
            .contains("note: `currency` has one replica instead of 2"),
        "{}",
        together.stdout
    );
    at(&["drain", "home"]).failed(1);
    let unknown = at(&["drain", "curency"]).failed(1);
    assert!(
        unknown.stderr.contains("no node is called `curency`"),
        "{}",
        unknown.stderr
    );
    at(&["scale", "catalog"]).failed(2);
    let unknown = at(&["scale", "catalogue=2"]).failed(1);
    assert!(
        unknown.stderr.contains("did you mean `catalog`?"),
        "{}",
        unknown.stderr
    );
}

const RULES_FOR_TWO: &str = "[traces]\nsampling = \"all\"\n\n[handler.currency]\nreplicas = 2\n";
