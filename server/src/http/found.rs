//! Finding traces for the APIs of other tools: a test on spans in OTLP's words, tried on the newest traces.
//!
//! Promises: a bounded search. It looks at the newest [`LOOKED_MAX`] traces that the store's own filters leave, reads at
//! most [`READ_MAX`] of them whole, and stops where it has enough; very large traces are found by their id alone.

use std::collections::{BTreeMap, BTreeSet};

use protocol::api::traces::TraceQuery;
use protocol::{HandlerName, TraceId};

use super::error::Failure;
use crate::otlp::model::{AnyValue, KeyValue, Resource, Span};
use crate::otlp::{TracesData, traces_data};
use crate::traces::{Traces, Whole};

/// Traces of which the store is asked for a summary.
const LOOKED_MAX: usize = 2_000;
/// Traces of a page.
const PAGE: u32 = 200;
/// Traces that are read whole for one question.
const READ_MAX: usize = 500;
/// The largest trace that is searched.
const TRACE_SPANS_MAX: u32 = 10_000;
/// Spans that one answer brings.
const ANSWER_SPANS_MAX: usize = 50_000;
/// Traces from which names of operations and attributes are taken.
const SAMPLE: usize = 50;

/// What is looked for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Took part.
    pub(super) handler: Option<HandlerName>,
    /// Holds for one span.
    pub(super) test: Option<Test>,
    /// The trace began then or later, in ns since the Unix epoch; 0 for any time.
    pub(super) from_ns: u64,
    /// The trace began before; 0 for any time.
    pub(super) to_ns: u64,
    /// At most so many.
    pub(super) limit: usize,
}

/// A test on a span.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    Is(Field, Op, Literal),
}

/// What of a span, or of its trace.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Field {
    Name,
    Kind,
    Status,
    DurationNs,
    RootName,
    RootService,
    TraceDurationNs,
    /// Of the span, of the resource, or of either.
    Attribute(Scope, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Span,
    Resource,
    Either,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    /// One of several patterns with `.*`.
    Like,
    Unlike,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    Text(String),
    Number(f64),
    Nil,
}

/// A trace that was found.
#[derive(Debug)]
pub(super) struct Hit {
    pub(super) whole: Whole,
    pub(super) data: TracesData,
}

/// The newest traces that hold what is wanted.
pub(super) async fn find(traces: &Traces, wanted: &Wanted) -> Result<Vec<Hit>, Failure> {
    let (mut hits, mut looked, mut read, mut spans) = (Vec::new(), 0, 0, 0);
    let mut query = TraceQuery {
        handler: wanted.handler.clone(),
        limit: Some(PAGE),
        ..TraceQuery::default()
    };
    loop {
        let page = traces.list(&query).await?;
        for summary in &page.items {
            let start = summary.start_unix_ns;
            let is_in_time = start >= wanted.from_ns && (wanted.to_ns == 0 || start < wanted.to_ns);
            looked += 1;
            if !is_in_time || summary.spans > TRACE_SPANS_MAX {
                continue;
            }
            if hits.len() >= wanted.limit || read >= READ_MAX || spans > ANSWER_SPANS_MAX {
                return Ok(hits);
            }
            read += 1;
            // It may have been deleted meanwhile.
            let Some(hit) = whole(traces, summary.trace_id).await? else {
                continue;
            };
            if wanted
                .test
                .as_ref()
                .is_none_or(|test| !hit.matched(test).is_empty())
            {
                spans += hit.whole.spans.len();
                hits.push(hit);
            }
        }
        query.before = page.next;
        if query.before.is_none() || looked >= LOOKED_MAX {
            return Ok(hits);
        }
    }
}

/// One trace, as OTLP.
pub(super) async fn whole(traces: &Traces, id: TraceId) -> Result<Option<Hit>, Failure> {
    let whole = traces.whole(id).await?;
    Ok(whole.map(|whole| Hit {
        data: traces_data(&whole.spans),
        whole,
    }))
}

/// A trace by an id as other tools write it: of either case, and without leading zeros.
pub(super) async fn by_id(traces: &Traces, id: &str) -> Result<Hit, Failure> {
    let padded = format!("{:0>32}", id.to_ascii_lowercase());
    let id: TraceId = padded
        .parse()
        .map_err(|error| Failure::invalid(format!("`{id}`: {error}")))?;
    let hit = whole(traces, id).await?;
    hit.ok_or_else(|| Failure::not_found("trace not found"))
}

/// Every handler that took part in the newest traces.
pub(super) async fn services(traces: &Traces) -> Result<BTreeSet<String>, Failure> {
    let (mut services, mut looked) = (BTreeSet::new(), 0);
    let mut query = TraceQuery {
        limit: Some(PAGE),
        ..TraceQuery::default()
    };
    loop {
        let page = traces.list(&query).await?;
        looked += page.items.len();
        let handlers = page.items.iter().flat_map(|summary| &summary.handlers);
        services.extend(handlers.map(ToString::to_string));
        query.before = page.next;
        if query.before.is_none() || looked >= LOOKED_MAX {
            return Ok(services);
        }
    }
}

/// Names of a handler's spans, with their kinds, in the newest traces that it took part in.
pub(super) async fn operations(
    traces: &Traces,
    handler: Option<HandlerName>,
) -> Result<BTreeSet<(String, &'static str)>, Failure> {
    let hits = sample(traces, handler.clone()).await?;
    let spans = hits.iter().flat_map(|hit| &hit.whole.spans);
    let own = spans.filter(|span| handler.as_ref().is_none_or(|handler| span.handler == *handler));
    Ok(own
        .map(|span| (span.name.as_ref().to_owned(), kind(span.kind as u64 + 1)))
        .collect())
}

/// Names and values of attributes in the newest traces: of resources, and of spans.
pub(super) async fn attributes(traces: &Traces) -> Result<[BTreeMap<String, BTreeSet<String>>; 2], Failure> {
    let mut found = [BTreeMap::new(), BTreeMap::new()];
    for hit in sample(traces, None).await? {
        for (resource, _, span) in hit.data.spans() {
            for (of, pairs) in found.iter_mut().zip([&resource.attributes, &span.attributes]) {
                for pair in pairs {
                    let values: &mut BTreeSet<String> = of.entry(pair.key.clone()).or_default();
                    if values.len() < 1_000 {
                        values.insert(text(&pair.value));
                    }
                }
            }
        }
    }
    Ok(found)
}

async fn sample(traces: &Traces, handler: Option<HandlerName>) -> Result<Vec<Hit>, Failure> {
    let wanted = Wanted {
        handler,
        limit: SAMPLE,
        ..Wanted::default()
    };
    find(traces, &wanted).await
}

/// OTLP's number of a kind in a word.
pub(super) fn kind(number: u64) -> &'static str {
    match number {
        2 => "server",
        3 => "client",
        4 => "producer",
        5 => "consumer",
        _ => "internal",
    }
}

/// A value in words.
pub(super) fn text(value: &AnyValue) -> String {
    match value {
        AnyValue::Text(text) => text.clone(),
        AnyValue::Int(value) => value.to_string(),
        AnyValue::Double(value) => value.to_string(),
        AnyValue::Bool(value) => value.to_string(),
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}

impl Hit {
    /// The spans for which a test holds.
    pub(super) fn matched(&self, test: &Test) -> Vec<(&Resource, &Span)> {
        let spans = self
            .data
            .spans()
            .filter(|(resource, _, span)| test.holds(&self.whole, resource, span));
        spans.map(|(resource, _, span)| (resource, span)).collect()
    }
}

impl Test {
    fn holds(&self, whole: &Whole, resource: &Resource, span: &Span) -> bool {
        match self {
            Self::All(tests) => tests.iter().all(|test| test.holds(whole, resource, span)),
            Self::Any(tests) => tests.iter().any(|test| test.holds(whole, resource, span)),
            Self::Is(field, op, literal) => {
                let summary = &whole.summary;
                let number = |value: u64| AnyValue::Int(value.cast_signed());
                let value = match field {
                    Field::Name => Some(AnyValue::Text(span.name.clone())),
                    Field::Kind => Some(AnyValue::Text(kind(span.kind).to_owned())),
                    Field::Status => {
                        let word = ["unset", "ok", "error"]
                            .get(span.status.code as usize)
                            .unwrap_or(&"unset");
                        Some(AnyValue::Text((*word).to_owned()))
                    }
                    Field::DurationNs => Some(number(
                        span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano),
                    )),
                    Field::RootName => Some(AnyValue::Text(summary.name.clone())),
                    Field::RootService => Some(AnyValue::Text(summary.handler.to_string())),
                    Field::TraceDurationNs => Some(number(summary.duration_ns)),
                    Field::Attribute(scope, key) => attribute(*scope, key, resource, span),
                };
                compare(value.as_ref(), *op, literal)
            }
        }
    }
}

fn attribute(scope: Scope, key: &str, resource: &Resource, span: &Span) -> Option<AnyValue> {
    let of = |pairs: &[KeyValue]| {
        pairs
            .iter()
            .find(|pair| pair.key == key)
            .map(|pair| pair.value.clone())
    };
    match scope {
        Scope::Span => of(&span.attributes),
        Scope::Resource => of(&resource.attributes),
        Scope::Either => of(&span.attributes).or_else(|| of(&resource.attributes)),
    }
}

fn compare(value: Option<&AnyValue>, op: Op, literal: &Literal) -> bool {
    let Some(value) = value else {
        return op == Op::Eq && *literal == Literal::Nil;
    };
    let number = match value {
        AnyValue::Int(value) => Some(*value as f64),
        AnyValue::Double(value) => Some(*value),
        _ => None,
    };
    match (op, literal) {
        (Op::Eq, Literal::Nil) => false,
        (_, Literal::Nil) => op == Op::Ne,
        (Op::Like, Literal::Text(patterns)) => is_like(&text(value), patterns),
        (Op::Unlike, Literal::Text(patterns)) => !is_like(&text(value), patterns),
        (Op::Eq, Literal::Text(wanted)) => text(value) == *wanted,
        (Op::Ne, Literal::Text(wanted)) => text(value) != *wanted,
        (Op::Lt, Literal::Text(wanted)) => text(value) < *wanted,
        (Op::Le, Literal::Text(wanted)) => text(value) <= *wanted,
        (Op::Gt, Literal::Text(wanted)) => text(value) > *wanted,
        (Op::Ge, Literal::Text(wanted)) => text(value) >= *wanted,
        (op, Literal::Number(wanted)) => number.is_some_and(|number| match op {
            Op::Eq => number == *wanted,
            Op::Ne => number != *wanted,
            Op::Lt => number < *wanted,
            Op::Le => number <= *wanted,
            Op::Gt => number > *wanted,
            Op::Ge => number >= *wanted,
            Op::Like | Op::Unlike => false,
        }),
    }
}

/// Whether a text is one of several patterns, divided by `|`, in which `.*` stands for anything.
fn is_like(text: &str, patterns: &str) -> bool {
    patterns.split('|').any(|pattern| {
        let mut parts = pattern.split(".*");
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else {
            return false;
        };
        let parts: Vec<&str> = parts.collect();
        let Some((last, middle)) = parts.split_last() else {
            return rest.is_empty();
        };
        for part in middle {
            let Some(at) = rest.find(part) else {
                return false;
            };
            rest = rest.get(at + part.len()..).unwrap_or_default();
        }
        rest.ends_with(last)
    })
}

/// A length as Go writes it: `1.5s`, `1m30s`, `100us`.
pub(super) fn go_duration(text: &str) -> Option<f64> {
    let units = [
        ("ns", 1.0),
        ("us", 1e3),
        ("µs", 1e3),
        ("ms", 1e6),
        ("s", 1e9),
        ("m", 60e9),
        ("h", 3_600e9),
    ];
    let (mut rest, mut sum) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .filter(|at| *at > 0)?;
        let (number, behind) = rest.split_at(digits);
        let letters = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(letters);
        let (_, ns) = units.iter().find(|(name, _)| *name == unit)?;
        sum += number.parse::<f64>().ok()? * ns;
        rest = behind;
    }
    (!text.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_as_go_writes_them() {
        for (text, expected) in [
            ("1.5s", Some(1.5e9)),
            ("1m30s", Some(90e9)),
            ("100us", Some(1e5)),
            ("7ns", Some(7.0)),
            ("", None),
            ("5", None),
            ("s", None),
            ("5 s", None),
        ] {
            assert_eq!(go_duration(text), expected, "{text}");
        }
    }

    #[test]
    fn patterns_are_whole_and_know_anything() {
        for (text, pattern, expected) in [
            ("cart", "cart|catalog", true),
            ("cart", "car", false),
            ("shop:cart/cart.get", ".*cart.*", true),
            ("shop:cart", "shop:.*", true),
            ("shop:cart", ".*cart", true),
            ("shop", ".*cart", false),
            ("aXbYc", "a.*b.*c", true),
        ] {
            assert_eq!(is_like(text, pattern), expected, "{text} {pattern}");
        }
    }

    #[test]
    fn what_is_not_there_is_nil_and_nothing_else() {
        let one = AnyValue::Int(1);
        for (value, op, literal, expected) in [
            (None, Op::Eq, Literal::Nil, true),
            (None, Op::Ne, Literal::Text("x".into()), false),
            (Some(&one), Op::Ne, Literal::Nil, true),
            (Some(&one), Op::Eq, Literal::Text("1".into()), true),
            (Some(&one), Op::Ge, Literal::Number(1.0), true),
            (Some(&one), Op::Lt, Literal::Number(1.0), false),
        ] {
            assert_eq!(
                compare(value, op, &literal),
                expected,
                "{value:?} {op:?} {literal:?}"
            );
        }
    }
}
