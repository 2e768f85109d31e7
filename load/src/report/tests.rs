//! Reports: schema, text, exit codes.

use super::*;
use crate::generator::ScheduleError;

const GOLDEN: &str = include_str!("golden.json");

fn latency(p50: u64) -> Latency {
    Latency {
        p50,
        p90: p50 * 3 / 2,
        p99: p50 * 2,
        p99_9: p50 * 5,
        max: p50 * 8,
    }
}

/// 1000 requests with 1 error, p50 1 ms, p99 2 ms, p99.9 5 ms... of a placement by this name.
pub(crate) fn placement(name: &str) -> Placement {
    let latency_ns = Latency {
        p99_9: 4_000_000,
        ..latency(1_000_000)
    };
    Placement {
        name: name.to_owned(),
        requests: 1000,
        errors: 1,
        errors_by_kind: BTreeMap::from([("status 500".to_owned(), 1)]),
        answered_per_s: 99.9,
        capacity_per_s: Some(800.0),
        latency_ns,
        service_ns: latency(900_000),
        lag_ns: latency(10_000),
        cpu_seconds_per_request: Some(0.001),
        bytes_per_request: Some(0.0),
        cold_starts: Some(2),
        start_p50_ns: Some(40_000),
        memory_bytes: Some(64 << 20),
        processes: Some(1),
        operations: vec![OperationFigures {
            name: "index".to_owned(),
            requests: 1000,
            errors: 1,
            latency_ns,
        }],
        curve: vec![
            (0.5, 1_000_000),
            (0.9, 1_500_000),
            (0.99, 2_000_000),
            (0.999, 4_000_000),
        ],
        blocks: vec![Block {
            round: 0,
            requests: 1000,
            errors: 1,
            p50_ns: 1_000_000,
            p99_ns: 2_000_000,
            cpu_seconds_per_request: Some(0.001),
        }],
    }
}

fn apart() -> Placement {
    let mut apart = placement("apart");
    apart.errors = 0;
    apart.errors_by_kind.clear();
    apart.capacity_per_s = Some(300.0);
    apart.latency_ns = latency(2_500_000);
    apart.cpu_seconds_per_request = Some(0.0031);
    apart.bytes_per_request = Some(5120.0);
    apart.cold_starts = Some(11);
    apart.memory_bytes = Some(310 << 20);
    apart.processes = Some(11);
    apart.curve = placement("apart")
        .curve
        .iter()
        .map(|(quantile, ns)| (*quantile, ns * 5 / 2))
        .collect();
    apart
}

fn judged(quantity: &'static str, base: f64, ratio: f64, answer: &str) -> Judged {
    let more = base * (ratio - 1.0);
    Judged {
        quantity,
        base,
        other: base * ratio,
        difference: Some(more),
        interval: Some((more * 0.5, more * 1.5)),
        ratio: Some((ratio, 1.0 + (ratio - 1.0) * 0.5, 1.0 + (ratio - 1.0) * 1.5)),
        answer: answer.to_owned(),
        rounds_needed: (answer == "inconclusive").then_some(21),
    }
}

pub(crate) fn comparison() -> Report {
    Report {
        schema: SCHEMA,
        scenario: "shop".to_owned(),
        target: "http://127.0.0.1:8080".to_owned(),
        rate_per_s: 150.0,
        arrivals: "poisson",
        seed: 7,
        rounds: 6,
        block_seconds: 4.5,
        placements: vec![placement("together"), apart()],
        comparisons: vec![Comparison {
            base: "together".to_owned(),
            other: "apart".to_owned(),
            differences: vec![
                judged("p50", 1_000_000.0, 2.5, "together better"),
                judged("p90", 1_500_000.0, 1.25, "inconclusive"),
                judged("p99", 2_000_000.0, 2.5, "together better"),
                judged("cpu_per_request", 0.001, 3.0, "together better"),
            ],
        }],
        generator: Generator {
            schedule_error_ns: ScheduleError {
                p50: 9000,
                p99: 84_000,
                max: 900_000,
            },
            limited: false,
            reason: None,
            cores: Some(0.25),
            threads: 1,
            users: 64,
            queued: 0,
        },
        sampling: "100/s".to_owned(),
        machine: Machine {
            cores: 2,
            model: "Example CPU".to_owned(),
            kernel: "linux 6.1".to_owned(),
            memory_bytes: Some(8 << 30),
            load_average_before: Some(0.25),
            same_host: true,
        },
        thresholds: vec![Checked {
            threshold: "p99<50ms".to_owned(),
            placement: "together".to_owned(),
            value: Some(2_000_000.0),
            held: true,
            found: "2.00 ms".to_owned(),
        }],
        interrupted: false,
        notes: Vec::new(),
    }
}

/// Scripts read this file's shape. Fields may be added to it, never renamed or removed.
#[test]
fn the_json_is_the_golden_one() {
    let json = comparison().to_json();
    assert_eq!(
        json, GOLDEN,
        "the JSON changed; if only fields were added, take it over:\n{json}"
    );
}

#[test]
fn the_json_has_what_the_design_promises() {
    let json: serde_json::Value = serde_json::from_str(&comparison().to_json()).unwrap();
    assert_eq!(json["schema"], 1);
    let together = &json["placements"]["together"];
    for pointer in [
        "/requests",
        "/errors",
        "/capacity_per_s",
        "/cpu_seconds_per_request",
        "/bytes_per_request",
    ] {
        assert!(
            together
                .pointer(pointer)
                .is_some_and(serde_json::Value::is_number),
            "{pointer}"
        );
    }
    for percentile in ["p50", "p90", "p99", "p99_9", "max"] {
        assert!(together["latency_ns"][percentile].is_u64(), "{percentile}");
    }
    assert!(json["generator"]["schedule_error_ns"]["p99"].is_u64());
    assert!(json["generator"]["limited"].is_boolean());
    assert!(json["sampling"].is_string() && json["seed"].is_u64() && json["machine"]["cores"].is_u64());
}

#[test]
fn the_text_fits_100_columns_and_has_every_row() {
    let mut report = comparison();
    report.notes.push(
        "a note that is far longer than a terminal is wide "
            .repeat(4)
            .trim()
            .to_owned(),
    );
    let text = text::render(&report);
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    for row in [
        "capacity",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "max",
        "errors",
        "CPU per request",
        "bytes per request",
    ] {
        assert!(
            text.lines().any(|line| line.starts_with(row)),
            "no row {row} in\n{text}"
        );
    }
    assert!(
        text.starts_with("Apart costs 3.00 × the CPU and adds 3.00 ms at p99\n"),
        "{text}"
    );
    assert!(
        text.contains("no real network") && text.contains("inconclusive: ~21 rounds"),
        "{text}"
    );
}

#[test]
fn the_html_needs_nothing_else_and_escapes_names() {
    let mut report = comparison();
    report.placements[1].operations[0].name = "<script>alert(1)</script>".to_owned();
    let html = html::render(&report);
    for forbidden in ["<script", "<link", "src=", "href=", "@import", "url("] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    assert_eq!(html.matches("<polyline").count(), 2);
    assert!(html.contains("prefers-color-scheme:dark") && html.contains("&lt;script&gt;"));
}

#[test]
fn exit_codes_tell_the_outcomes_apart() {
    let ok = comparison();
    assert_eq!(ok.exit_code(), 0);
    let mut missed = ok;
    missed.thresholds[0].held = false;
    assert_eq!(missed.exit_code(), 3);
    let mut limited = missed.clone();
    limited.generator.limited = true;
    assert_eq!(limited.exit_code(), 4);
    let mut dead = limited;
    dead.placements[0].errors = dead.placements[0].requests;
    assert_eq!(dead.exit_code(), 1);
}

#[test]
fn a_headline_says_what_the_answers_say() {
    let mut comparison = comparison().comparisons.remove(0);
    comparison.differences = vec![
        judged("p99", 2e6, 0.5, "apart better"),
        judged("cpu_per_request", 1.0, 0.8, "apart better"),
    ];
    assert_eq!(
        comparison.headline(),
        "apart saves 20.0 % of the CPU and takes 1.00 ms off p99"
    );
    comparison.differences = vec![
        judged("p99", 2e6, 1.0, "equivalent"),
        judged("cpu_per_request", 1.0, 1.1, "inconclusive"),
    ];
    assert_eq!(
        comparison.headline(),
        "apart leaves the CPU undecided and has the same p99"
    );
    comparison.differences.clear();
    assert!(comparison.headline().contains("too little ran"));
}
