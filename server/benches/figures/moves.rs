//! A thousand moves of every kind under constant load: how many calls fail.
//!
//! What moves and what calls is the integration test `moves::moves_of_every_kind_fail_no_call`, of which every run of the
//! tests makes a few; here it makes many, and its line of JSON is read.

use std::process::{Command, Stdio};

use crate::table::{Bound, Row};

/// Sixty rounds and more of every kind.
const MOVES: u32 = 1_000;
const TEST: &str = "moves::moves_of_every_kind_fail_no_call";

/// The one row of `moves`.
pub fn rows() -> Vec<Row> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["test", "--release", "--workspace", "--test", "it", "--"])
        .args(["--exact", TEST, "--nocapture"])
        .env("CLEAVE_MOVES", MOVES.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .expect("the integration tests can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    let told = said
        .lines()
        .filter(|line| line.starts_with('{'))
        .find_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let Some(told) = told else {
        panic!("`{TEST}` told nothing of its moves:\n{said}");
    };
    let number = |key: &str| told[key].as_f64().expect("a number");
    vec![Row {
        name: "moves_failed",
        value: number("moves_failed"),
        must: Bound::AtMost(0.0),
        aim: 0.0,
        detail: format!(
            "{} calls during {} moves of every kind in {:.0} s",
            number("calls"),
            number("moves"),
            number("seconds")
        ),
    }]
}
