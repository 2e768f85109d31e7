//! This reading against that of `serde_json`: of values made up for each type of the API, and of odd texts.

mod invention;

use protocol::api::handlers::HandlerState;
use protocol::api::{
    Page, Status, bill, calls, chronicle, diff, edges, handlers, history, logs, map, nodes, path, placement,
    problem, queues, rows, traces, wit,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use self::invention::invent;
use super::from_str;

/// Enough for each variant and each optional field to come up, and to be absent.
const SEEDS: u64 = 40;

/// Both readings of a text of this type are equal, of pretty text too.
fn agrees<T: DeserializeOwned + Serialize>() {
    for seed in 0..SEEDS {
        same::<T>(&invent::<T>(seed));
    }
}

fn same<T: DeserializeOwned + Serialize>(value: &T) {
    let name = std::any::type_name::<T>();
    for text in [
        serde_json::to_string(value).unwrap(),
        serde_json::to_string_pretty(value).unwrap(),
    ] {
        let theirs: T = serde_json::from_str(&text).unwrap();
        let ours: T = from_str(&text).unwrap_or_else(|error| panic!("{name}: {error} in {text}"));
        let [ours, theirs] = [ours, theirs].map(|value| serde_json::to_value(value).unwrap());
        assert_eq!(ours, theirs, "{name}: {text}");
    }
}

macro_rules! agree {
    ($($type:ty),+ $(,)?) => { $(agrees::<$type>();)+ };
}

#[test]
fn every_answer_of_the_api_is_read_as_by_serde_json() {
    agree!(
        Page<nodes::Node>,
        Status,
        bill::Bill,
        calls::CallReply,
        chronicle::Entry,
        diff::Diff,
        edges::Edge,
        handlers::Figures,
        history::History,
        history::NodeEvent,
        logs::LogLine,
        map::Picture,
        nodes::Node,
        path::TracePath,
        placement::Placement,
        placement::Accepted,
        placement::PlacementStatus,
        problem::Problem,
        queues::Queue,
        queues::Message,
        queues::RetryResult,
        rows::Rows,
        rows::Overview,
        rows::Revealed,
        rows::CallDetail,
        traces::TraceSummary,
        traces::TraceDetail,
        traces::TracePage,
        traces::FoundSpans,
        traces::LinkedTrace,
        traces::Imported,
        traces::TypicalSteps,
        wit::Interface,
        wit::Signature,
    );
}

/// What is flattened asks for any field, so nothing can be made up for it from outside.
#[test]
fn what_is_flattened_is_read_as_by_serde_json() {
    let (reason, remedy) = ("a \"reason\"".to_owned(), String::new());
    let states = [
        HandlerState::Loading,
        HandlerState::Serving,
        HandlerState::Waiting { on: invent(7) },
        HandlerState::Down {
            reason: reason.clone(),
        },
        HandlerState::Rejected { reason, remedy },
    ];
    for seed in 0..SEEDS {
        let handler = handlers::Handler {
            name: invent(seed),
            file: invent(seed),
            state: states[seed as usize % states.len()].clone(),
            version: invent(seed),
            size_bytes: invent(seed),
            compile_ms: invent(seed),
            refused: invent(seed),
            since_unix_ms: invent(seed),
            http: invent(seed),
            policy: invent(seed),
            engine: invent(seed),
            exports: invent(seed),
            imports: invent(seed),
            limits: invent(seed),
            grants: invent(seed),
            nodes: invent(seed),
            figures: invent(seed),
            warnings: invent(seed),
        };
        same(&handler);
        same(&handlers::HandlerDetail {
            handler,
            wit: invent(seed),
            interfaces: invent(seed),
        });
    }
}

#[test]
fn the_events_of_the_stream_are_read_as_by_serde_json() {
    agree!(
        Vec<nodes::Node>,
        Vec<edges::Edge>,
        Vec<queues::Queue>,
        Vec<traces::TraceSummary>
    );
}

const ODD_TEXTS: &[&str] = &[
    "null",
    " true ",
    "false",
    "0",
    "-0",
    "7",
    "-7",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775808",
    "-9223372036854775809",
    "0.1",
    "-0.5",
    "1e3",
    "1E-3",
    "1.5e+2",
    "0.30000000000000004",
    "123456789012345678901234567890.5",
    "1e400",
    "2.2250738585072014e-308",
    "5e-324",
    "9007199254740993",
    "\"\"",
    "\"a\\u00e9\\n\\\"\\\\\\/\\b\\f\\r\\t\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud83d\"",
    "\"\\ude00\"",
    "\"\\ud83dx\"",
    "\"\\ud83d\\u0041\"",
    "\"مرحبا <b>\"",
    "\"\u{1}\"",
    "\"",
    "\"\\",
    "\"\\u12",
    "\"\\q\"",
    "[]",
    "[ 1 , [ ] , { } ]",
    "[1,]",
    "[,1]",
    "[1 2]",
    "[",
    "]",
    "{}",
    "{\"a\":1,\"b\":{\"c\":[null]}}",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{a:1}",
    "{\"a\" : 1 \n}",
    "{\"a\":1",
    "",
    " ",
    "nul",
    "nulll",
    "tru",
    "01",
    "-",
    "1.",
    ".5",
    "1e",
    "1e+",
    "+1",
    "--1",
    "1 2",
    "{\"a\":1}x",
    "\u{feff}1",
    "NaN",
];

#[test]
fn odd_texts_are_read_or_refused_as_by_serde_json() {
    for &text in ODD_TEXTS {
        let theirs = serde_json::from_str::<Value>(text).ok();
        let ours = from_str::<Value>(text).ok();
        match (&theirs, &ours) {
            // `serde_json` is off by a bit where a float has many digits, and refuses what is too large for one.
            (Some(Value::Number(_)), Some(Value::Number(ours))) if ours.is_f64() => {
                assert_eq!(ours.as_f64(), text.trim().parse().ok(), "{text}");
            }
            (None, Some(Value::Null)) if text == "1e400" => {}
            _ => assert_eq!(ours, theirs, "{text}"),
        }
    }
}

#[test]
fn errors_say_what_is_wrong_and_where() {
    let error = |text| from_str::<problem::Problem>(text).unwrap_err().to_string();
    assert_eq!(error("{\"title\":1"), "expected a string, at byte 10");
    assert_eq!(error("{}"), "missing field `title`, at byte 2");
    assert_eq!(
        from_str::<u64>("1 x").unwrap_err().to_string(),
        "expected the end, at byte 2"
    );
    assert_eq!(
        from_str::<[u8; 1]>("[1,2]").unwrap_err().to_string(),
        "expected nothing more, at byte 3"
    );
    assert!(from_str::<u8>("256").is_err());
    assert!(from_str::<u8>("-1").is_err());
}

#[test]
fn nesting_has_an_end() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(from_str::<Value>(&nested(100)).is_ok());
    assert!(from_str::<Value>(&nested(129)).is_err());
    let ignored = format!("{{\"a\":{}}}", nested(100_000));
    assert!(from_str::<problem::Problem>(&ignored).is_err());
}
