//! What is kept of a span at most; the rest is cut, and how much of it is said. Pure.
//!
//! Spans of this system keep to these by themselves. Those that others send in can have anything.

use protocol::span::{Attribute, LOG_BYTES_MAX, LOGS_MAX, Value};
use protocol::{Span, SpanStatus};

use crate::telemetry::fields;

/// The longest name, in bytes; a request's path can be longer.
const NAME_BYTES_MAX: usize = 1_024;
/// The longest message of a failure, and the longest text of an attribute, in bytes.
const TEXT_BYTES_MAX: usize = 4_096;
/// The longest key of an attribute, in bytes.
const KEY_BYTES_MAX: usize = 256;
/// The most attributes of a span: OpenTelemetry's own default.
const ATTRIBUTES_MAX: usize = 128;

/// Cuts what is beyond the limits. Attributes and log lines that do not fit are counted in an attribute each.
pub(super) fn cut(span: &mut Span) {
    if span.name.len() > NAME_BYTES_MAX {
        span.name = head(&span.name, NAME_BYTES_MAX).into();
    }
    if let SpanStatus::Failed { message, .. } = &mut span.status {
        shorten(message, TEXT_BYTES_MAX);
    }
    let lines = span.logs.len().saturating_sub(LOGS_MAX);
    span.logs.truncate(LOGS_MAX);
    for log in &mut span.logs {
        shorten(&mut log.message, LOG_BYTES_MAX);
        if log.level.len() > KEY_BYTES_MAX {
            log.level = head(&log.level, KEY_BYTES_MAX).into();
        }
    }
    let attributes = span.attributes.len().saturating_sub(ATTRIBUTES_MAX);
    span.attributes.truncate(ATTRIBUTES_MAX);
    for (key, value) in &mut span.attributes {
        if key.len() > KEY_BYTES_MAX {
            *key = head(key, KEY_BYTES_MAX).to_owned().into();
        }
        if let Value::Text(text) = value
            && text.len() > TEXT_BYTES_MAX
        {
            *text = head(text, TEXT_BYTES_MAX).into();
        }
    }
    add(&mut span.attributes, fields::ATTRIBUTES_DROPPED, attributes);
    add(&mut span.attributes, fields::LOGS_DROPPED, lines);
}

/// Adds to a count among the attributes.
fn add(attributes: &mut Vec<Attribute>, key: &'static str, more: usize) {
    if more == 0 {
        return;
    }
    let more = i64::try_from(more).unwrap_or(i64::MAX);
    let known = attributes.iter_mut().find(|(name, _)| name.as_ref() == key);
    match known {
        Some((_, Value::Int(count))) => *count = count.saturating_add(more),
        _ => attributes.push((key.into(), Value::Int(more))),
    }
}

fn head(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

fn shorten(text: &mut String, bytes: usize) {
    if text.len() > bytes {
        text.truncate(text.floor_char_boundary(bytes));
    }
}

#[cfg(test)]
mod tests {
    use protocol::ErrorCode;
    use protocol::span::Log;

    use super::super::testing::span;
    use super::*;

    #[test]
    fn a_million_attributes_are_cut_and_counted() {
        let mut huge = span(1, 1, None);
        huge.attributes = (0..1_000_000)
            .map(|at| (format!("key.{at}").into(), Value::Int(at)))
            .collect();
        cut(&mut huge);
        assert_eq!(huge.attributes.len(), ATTRIBUTES_MAX + 1);
        let dropped = (fields::ATTRIBUTES_DROPPED.into(), Value::Int(1_000_000 - 128));
        assert_eq!(huge.attributes.last(), Some(&dropped));
        let again = huge.clone();
        huge.attributes.truncate(ATTRIBUTES_MAX);
        cut(&mut huge);
        assert_eq!(huge.attributes, again.attributes[..ATTRIBUTES_MAX]);
    }

    #[test]
    fn long_texts_end_between_characters() {
        let long = "ö".repeat(10_000);
        let mut span = Span {
            name: long.as_str().into(),
            status: SpanStatus::Failed {
                code: ErrorCode::Trapped,
                message: long.clone(),
            },
            ..span(1, 1, None)
        };
        span.attributes = vec![(long.clone().into(), Value::Text(long.as_str().into()))];
        let log = Log {
            unix_ns: 0,
            level: "info".into(),
            message: format!("x{long}"),
        };
        span.logs = vec![log; LOGS_MAX + 7];
        cut(&mut span);
        assert_eq!(span.name.len(), NAME_BYTES_MAX);
        assert_eq!(span.logs.len(), LOGS_MAX);
        assert_eq!(span.logs[0].message.len(), LOG_BYTES_MAX - 1);
        assert_eq!(span.attributes[0].0.len(), KEY_BYTES_MAX);
        assert_eq!(span.attributes[1], (fields::LOGS_DROPPED.into(), Value::Int(7)));
        let SpanStatus::Failed { message, .. } = &span.status else {
            panic!("it failed");
        };
        assert_eq!(message.len(), TEXT_BYTES_MAX);
    }
}
