//! A zoo of hostile guests: each dies alone, by a message that names it, while its neighbour answers every call.

mod zoo;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use protocol::api::handlers::{Handler, HandlerState};
use serde_json::{Value, json};

use crate::support::{Home, cleave};

/// What a call of the zoo may take: what never ends, ends by this.
const TIMEOUT_MS: u64 = 700;

/// How an animal's call ends.
struct Animal {
    function: &'static str,
    args: Value,
    /// The status and code of the problem.
    ends: (u16, &'static str),
    /// What the message says beside the function's name.
    says: &'static str,
}

fn animal(function: &'static str, ends: (u16, &'static str), says: &'static str) -> Animal {
    Animal {
        function,
        args: json!([]),
        ends,
        says,
    }
}

const TRAPPED: (u16, &str) = (502, "trapped");
const DEADLINE: (u16, &str) = (504, "deadline");

fn animals() -> Vec<Animal> {
    let with = |args: Value, animal: Animal| Animal { args, ..animal };
    vec![
        animal("spin", DEADLINE, "deadline"),
        animal("sleep", DEADLINE, "deadline"),
        animal("grow", TRAPPED, "memory"),
        animal("recurse", TRAPPED, "stack"),
        animal("hoard-handles", TRAPPED, "table"),
        animal("flood-logs", DEADLINE, "deadline"),
        animal("flood-calls", DEADLINE, "deadline"),
        animal("huge-list", TRAPPED, "outside"),
        animal("list-outside", TRAPPED, "outside"),
        animal("list-misaligned", TRAPPED, "aligned"),
        animal("pair-outside", TRAPPED, "outside"),
        animal("pair-misaligned", TRAPPED, "misaligned"),
        animal("text-invalid", TRAPPED, "UTF-8"),
        animal("char-surrogate", TRAPPED, "character"),
        animal("char-beyond", TRAPPED, "character"),
        animal("case-beyond", TRAPPED, "case"),
        animal("giant-result", TRAPPED, "bytes"),
        animal("trap-after-result", TRAPPED, "unreachable"),
        with(json!(["text"]), animal("realloc-traps", TRAPPED, "unreachable")),
        with(json!(["text"]), animal("realloc-lies", TRAPPED, "memory")),
    ]
}

/// Calls the neighbour all the time until told to stop; the calls that it made and those that failed.
fn watch(home: &Home, ended: &AtomicBool, calls: &AtomicU64) -> Vec<String> {
    let mut failed = Vec::new();
    while !ended.load(Ordering::Acquire) {
        let answer = home.call("example:hello/greeter", "greet", &json!(["Ada"]));
        if !answer.status.is_success() {
            failed.push(answer.text());
        }
        calls.fetch_add(1, Ordering::AcqRel);
    }
    failed
}

#[test]
fn twenty_hostile_guests_die_alone_and_by_name() {
    let home = Home::with(&["examples/hello"]).start();
    home.wait_serving("hello");
    std::fs::write(home.folder().join("zoo.wasm"), zoo::component()).expect("the folder takes a file");
    home.wait_serving("zoo");
    for placement in ["together", "apart"] {
        home.place(&json!({ "mode": placement }));
        let (ended, calls) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            let neighbour = scope.spawn(|| watch(&home, &ended, &calls));
            for animal in animals() {
                let before = calls.load(Ordering::Acquire);
                let name = animal.function;
                let answer = home.call_within("hostile:zoo/zoo", name, &animal.args, Some(TIMEOUT_MS));
                let (status, code) = animal.ends;
                let problem = answer.problem(status);
                assert_eq!(problem.code, code, "{placement}: {name}: {problem:?}");
                for says in [name, animal.says] {
                    assert!(problem.detail.contains(says), "{placement}: {name}: {problem:?}");
                }
                // The neighbour went on meanwhile, or goes on now.
                crate::support::wait_for("the neighbour's next answer", || {
                    match calls.load(Ordering::Acquire) > before {
                        true => Ok(()),
                        false => Err(format!("{before} calls")),
                    }
                });
            }
            ended.store(true, Ordering::Release);
            let failed = neighbour
                .join()
                .expect("the neighbour's caller goes on to the end");
            assert_eq!(failed, Vec::<String>::new(), "{placement}: the neighbour's calls");
        });
        let kept: Value = home.call("hostile:zoo/zoo", "count", &json!([])).expect();
        assert_eq!(
            kept["result"],
            json!(1),
            "{placement}: nobody inherits what trapped"
        );
    }
}

#[test]
fn handlers_that_call_each_other_in_a_circle_end_by_their_depth() {
    let home = Home::with(&["examples/hello"]).start();
    for (name, wasm) in [("ring-a", zoo::ring("a", "b")), ("ring-b", zoo::ring("b", "a"))] {
        std::fs::write(home.folder().join(format!("{name}.wasm")), wasm).expect("the folder takes a file");
    }
    home.wait_serving("ring-a");
    home.wait_serving("ring-b");
    for placement in ["together", "apart"] {
        home.place(&json!({ "mode": placement }));
        let problem = home.call("hostile:ring/a", "go", &json!([])).problem(502);
        assert_eq!(problem.code, "trapped", "{placement}: {problem:?}");
        assert!(problem.detail.contains("circle"), "{placement}: {problem:?}");
        let answer = home.call("example:hello/greeter", "greet", &json!(["Ada"]));
        assert!(answer.status.is_success(), "{placement}: {}", answer.text());
    }
}

#[test]
fn what_imports_nothing_real_waits_and_says_for_what() {
    let home = Home::with(&["examples/hello"]).start();
    std::fs::write(home.folder().join("lonely.wasm"), zoo::ring("lonely", "nobody"))
        .expect("the folder takes a file");
    let waits = |handler: &Handler| matches!(handler.state, HandlerState::Waiting { .. });
    home.wait_handler("lonely", "waiting", waits);
    let problem = home.call("hostile:ring/lonely", "go", &json!([])).problem(404);
    assert_eq!(problem.code, "not-found", "{problem:?}");
    let listed = cleave(&["ls", "handlers", "--server", &home.url()]).ok();
    assert!(listed.stdout.contains("hostile:ring/nobody"), "{}", listed.stdout);
}

#[test]
fn a_call_that_could_not_leave_its_process_is_refused_with_function_and_reason() {
    let home = Home::with(&["examples/hello"]).start();
    let resource = r#"(export "drawer" (type $drawer (sub resource)))
        (export "open" (func (param "number" u32) (result (own $drawer))))"#;
    let stream = r#"(export "pour" (func (param "water" (stream u8))))"#;
    for (name, items, function, obstacle) in [
        ("lodger", resource, "open", "a resource"),
        ("drinker", stream, "pour", "a stream"),
    ] {
        let component = zoo::borrower("hostile:desk/desk@0.1.0", items);
        std::fs::write(home.folder().join(format!("{name}.wasm")), component)
            .expect("the folder takes a file");
        let is_rejected = |handler: &Handler| matches!(handler.state, HandlerState::Rejected { .. });
        let HandlerState::Rejected { reason, remedy } =
            home.wait_handler(name, "rejected", is_rejected).state
        else {
            unreachable!("it was asked for")
        };
        for says in [function, "`hostile:desk/desk@0.1.0`", obstacle] {
            assert!(reason.contains(says), "`{reason}` does not say `{says}`");
        }
        assert!(remedy.contains("plain values"), "{remedy}");
    }
    let answer = home.call("example:hello/greeter", "greet", &json!(["Ada"]));
    assert!(answer.status.is_success(), "{}", answer.text());
}
