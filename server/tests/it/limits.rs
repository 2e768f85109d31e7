//! Limits hold in every placement, and whoever meets one is told the same.

use std::sync::atomic::{AtomicBool, Ordering};

use protocol::api::problem::Problem;
use serde_json::{Value, json};

use crate::support::{Home, wait_for};

const PLACEMENTS: [&str; 2] = ["together", "apart"];

const RULES: &str = r#"
[handler.hostile-spin]
timeout = "300ms"

[handler.hostile-memory]
memory = "8MiB"
"#;

#[test]
fn what_the_rules_say_of_a_handler_holds_where_it_is() {
    let home = Home::with(&["guests/hostile-spin", "guests/hostile-memory"])
        .rules(RULES)
        .start();
    for placement in PLACEMENTS {
        home.place(&json!({ "mode": placement }));
        // The caller would wait longer than the test does.
        let late = home
            .call_within("hostile:guests/spin", "forever", &json!([]), Some(300_000))
            .problem(504);
        assert_eq!(late.code, "deadline", "{placement}: {late:?}");
        let taken: Value = home
            .call("hostile:guests/memory", "take-all", &json!([]))
            .expect();
        let bytes = taken["result"].as_u64().expect("a number of bytes");
        assert!(
            (1 << 20..8 << 20).contains(&bytes),
            "{placement}: it may have 8 MiB and took {bytes} bytes"
        );
    }
}

/// More than may be passed; the JSON of it is still read.
const TOO_LONG: usize = 17 << 20;
/// Room for the guest to make its answers in.
const ROOM: &str = "[handler.hostile-echo]\nmemory = \"256MiB\"\n";
/// What a busy machine may take for an answer of this size, in ms.
const PATIENCE: Option<u64> = Some(60_000);

/// Arguments of `echo-many`, whose answer has three bytes and more for each of these.
fn many(bytes: usize) -> Value {
    let zeros = json!({ "base64": "AAAA".repeat(bytes / 3) });
    let point = json!({ "x": 1, "y": 2.0 });
    json!([
        1,
        2,
        3,
        4,
        -1,
        -2,
        -3,
        -4,
        0.5,
        0.25,
        true,
        "x",
        "text",
        zeros,
        point,
        "red",
        [],
        null
    ])
}

#[test]
fn what_is_too_long_ends_with_the_same_error_everywhere() {
    let home = Home::with(&["guests/hostile-echo"]).rules(ROOM).start();
    let told: Vec<[Problem; 2]> = PLACEMENTS
        .iter()
        .map(|placement| {
            home.place(&json!({ "mode": placement }));
            let zeros = json!([{ "base64": "AAAA".repeat(TOO_LONG / 3) }]);
            let echo = |function: &str, args: &Value| {
                home.call_within("hostile:guests/echo", function, args, PATIENCE)
            };
            let arguments = echo("echo-bytes", &zeros);
            let result = echo("echo-many", &many(6 << 20));
            // Neither harms the next call, nor what is just short enough.
            let whole = echo("echo-many", &many(4 << 20));
            assert_eq!(whole.status.as_u16(), 200, "{placement}");
            [arguments.problem(400), result.problem(502)].map(|problem| Problem {
                trace_id: None,
                ..problem
            })
        })
        .collect();
    assert_eq!(told[0], told[1], "together and apart");
    let [arguments, result] = &told[0];
    assert_eq!(
        (arguments.code.as_str(), result.code.as_str()),
        ("invalid", "trapped")
    );
    for (problem, function) in [(arguments, "echo-bytes"), (result, "echo-many")] {
        for part in [function, "16777216"] {
            assert!(
                problem.detail.contains(part),
                "`{part}` is missing in {problem:?}"
            );
        }
    }
}

#[test]
fn calls_beyond_the_concurrency_are_refused_with_the_key_to_raise() {
    let rules = "[handler.hostile-spin]\nconcurrency = 1\n";
    let home = Home::with(&["guests/hostile-spin"]).rules(rules).start();
    for placement in PLACEMENTS {
        home.place(&json!({ "mode": placement }));
        let over = AtomicBool::new(false);
        let spin = || home.call_within("hostile:guests/spin", "forever", &json!([]), Some(500));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Acquire) {
                    spin();
                }
            });
            // Sooner or later one comes while the other is under way.
            let problem = wait_for("a call that is refused", || match spin() {
                answer if answer.status.as_u16() == 503 => Ok(answer.problem(503)),
                answer => Err(answer.text()),
            });
            over.store(true, Ordering::Release);
            assert_eq!(problem.code, "overloaded", "{placement}: {problem:?}");
            for says in [
                "`hostile-spin` has 1 calls",
                "`concurrency`",
                "[handler.hostile-spin]",
            ] {
                assert!(
                    problem.detail.contains(says),
                    "{placement}: `{says}` is missing in {problem:?}"
                );
            }
        });
    }
}
