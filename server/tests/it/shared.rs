//! Handlers with async functions among others, together and apart.

mod guests;

use protocol::api::handlers::{Engine, InstancePolicy};
use serde_json::{Value, json};

use crate::support::{Home, cleave};

const RELAY: &str = "test:shared/relay";

fn home() -> Home {
    let home = Home::with(&[]).start();
    let handlers = [
        ("last", guests::last()),
        ("back", guests::plain("back", "last")),
        ("relay", guests::relay()),
        ("front", guests::plain("front", "relay")),
    ];
    for (name, wasm) in handlers {
        std::fs::write(home.folder().join(format!("{name}.wasm")), wasm).expect("the folder takes a file");
    }
    home.wait_serving("front");
    home
}

fn ask(home: &Home, interface: &str, function: &str, x: u32) -> Value {
    let answer: Value = home.call(interface, function, &json!([x])).expect();
    answer["result"].clone()
}

#[test]
fn plain_and_async_functions_call_each_other_together_and_apart() {
    let home = home();
    let relay = home.wait_serving("relay");
    assert_eq!(relay.policy, Some(InstancePolicy::Shared));
    assert_eq!(relay.engine, Some(Engine::Concurrent));
    assert_eq!(home.wait_serving("front").engine, Some(Engine::Sync));
    for placement in ["together", "apart", "together"] {
        home.place(&json!({ "mode": placement }));
        // front (plain) → relay (async) → back (plain) → last: 2x, + 1, + 100, + 1.
        assert_eq!(
            ask(&home, "test:shared/front", "ask", 4),
            json!(110),
            "{placement}"
        );
        assert_eq!(ask(&home, RELAY, "ask", 5), json!(111), "{placement}");
        let problem = home.call("test:shared/front", "ask", &json!([13])).problem(502);
        assert_eq!(problem.code, "trapped", "{placement}: {problem:?}");
        assert!(
            problem.detail.contains("test:shared/last"),
            "{placement}: {problem:?}"
        );
        assert_eq!(
            ask(&home, "test:shared/front", "ask", 6),
            json!(114),
            "{placement}"
        );
    }
    let table = cleave(&["ls", "handlers", "--server", &home.url()]).ok().stdout;
    assert!(table.contains("POLICY") && table.contains("shared"), "{table}");
}

#[test]
fn two_calls_meet_in_one_instance() {
    let home = home();
    for placement in ["together", "apart"] {
        home.place(&json!({ "mode": placement }));
        let waited = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| ask(&home, RELAY, "wait", 1));
            // Not before the first is there: an instance whose gate is open answers at once.
            home.wait_handler("relay", "busy", |relay| relay.figures.instances_busy == 1);
            assert_eq!(ask(&home, RELAY, "open", 30), json!(30), "{placement}");
            waiting.join().expect("the first call ends")
        });
        assert_eq!(waited, json!(31), "{placement}");
    }
}
