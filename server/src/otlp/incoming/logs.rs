//! Events of a span as lines of its log, and back where they were ours.

use protocol::span::{LOG_BYTES_MAX, LOGS_MAX, Log};
use serde_json::{Map, Value};

use super::super::conventions::{EVENT_LEVEL, LOG_EVENT};
use super::super::model::{AnyValue, Event};
use super::{cut, text_of};
use crate::telemetry::fields;

/// The longest word for a level.
const LEVEL_BYTES_MAX: usize = 16;

/// The lines, and how many events are beyond those that a span keeps.
pub(super) fn logs(events: &[Event], start_unix_ns: u64) -> (Vec<Log>, u64) {
    let logs = events
        .iter()
        .take(LOGS_MAX)
        .map(|event| log(event, start_unix_ns));
    (logs.collect(), events.len().saturating_sub(LOGS_MAX) as u64)
}

fn log(event: &Event, start_unix_ns: u64) -> Log {
    let line = |level: &str, message: &str| Log {
        unix_ns: if event.time_unix_nano == 0 {
            start_unix_ns
        } else {
            event.time_unix_nano
        },
        level: cut(level, LEVEL_BYTES_MAX).into(),
        message: cut(message, LOG_BYTES_MAX).to_owned(),
    };
    let text = |key| text_of(&event.attributes, key);
    if event.name == LOG_EVENT
        && let (Some(level), Some(message)) = (text(fields::LOG_LEVEL), text(fields::LOG_MESSAGE))
    {
        return line(level, message);
    }
    if event.name == "exception" {
        let kind = text(fields::EXCEPTION_TYPE).unwrap_or("exception");
        let message = text(fields::EXCEPTION_MESSAGE).unwrap_or_default();
        return line("error", &format!("{kind}: {message}"));
    }
    if event.attributes.is_empty() {
        return line(EVENT_LEVEL, &event.name);
    }
    let attributes: Map<String, Value> = event
        .attributes
        .iter()
        .map(|pair| (pair.key.clone(), readable(&pair.value)))
        .collect();
    line(
        EVENT_LEVEL,
        &format!("{} {}", event.name, Value::Object(attributes)),
    )
}

/// A value as plain JSON, for people.
pub(super) fn readable(value: &AnyValue) -> Value {
    match value {
        AnyValue::Empty => Value::Null,
        AnyValue::Text(text) => text.as_str().into(),
        AnyValue::Bool(value) => (*value).into(),
        AnyValue::Int(value) => (*value).into(),
        AnyValue::Double(value) => (*value).into(),
        AnyValue::Array(values) => values.iter().map(readable).collect(),
        AnyValue::Map(values) => {
            let pairs = values
                .iter()
                .map(|pair| (pair.key.clone(), readable(&pair.value)));
            Value::Object(pairs.collect())
        }
        AnyValue::Bytes(bytes) => bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
            .into(),
    }
}
