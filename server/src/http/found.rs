//! Finding traces for the APIs of other tools: their questions in the store's query language, their answers in OTLP.
//!
//! Promises: a bounded search, as every other of the store; what is read whole is bounded in traces and in spans, and very
//! large traces are found by their id alone. Not here: each API's questions and answers.

use std::collections::{BTreeMap, BTreeSet};

use protocol::api::traces::{TraceQuery, TraceSummary};
use protocol::{HandlerName, TraceId};

use super::error::Failure;
use crate::otlp::model::AnyValue;
use crate::otlp::{TracesData, traces_data};
use crate::traces::{Column, Condition, Field, KINDS, Literal, Op, Query, Skeleton, Traces, Whole};

/// Pages of a search that are asked for; each is bounded in time.
const PAGES_MAX: usize = 8;
/// Traces of a page.
const PAGE: u32 = 200;
/// Traces of which the handlers are listed.
const LOOKED_MAX: usize = 2_000;
/// The largest trace that is searched.
const TRACE_SPANS_MAX: u32 = 10_000;
/// Spans that one answer brings.
const ANSWER_SPANS_MAX: u32 = 50_000;
/// Traces from which names of operations and attributes are taken.
const SAMPLE: usize = 50;

/// What is looked for.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Finds something in the trace.
    pub(super) query: Query,
    /// The trace began then or later, in ns since the Unix epoch; 0 for any time.
    pub(super) from_ns: u64,
    /// The trace began before; 0 for any time.
    pub(super) to_ns: u64,
    /// At most so many.
    pub(super) limit: usize,
}

/// A trace that was read whole.
#[derive(Debug)]
pub(super) struct Hit {
    pub(super) whole: Whole,
    pub(super) data: TracesData,
}

/// The newest traces that hold what is wanted, as far as one answer goes.
pub(super) async fn find(traces: &Traces, wanted: &Wanted) -> Result<Vec<TraceSummary>, Failure> {
    const MS: u64 = 1_000_000;
    let mut query = TraceQuery {
        q: (wanted.query != Query::Spans(Condition::All)).then(|| wanted.query.to_string()),
        from: (wanted.from_ns > 0).then_some(wanted.from_ns / MS),
        to: (wanted.to_ns > 0).then(|| wanted.to_ns.div_ceil(MS)),
        ..TraceQuery::default()
    };
    let (mut found, mut spans) = (Vec::new(), 0);
    for _ in 0..PAGES_MAX {
        let left = wanted.limit.saturating_sub(found.len());
        query.limit = Some(u32::try_from(left).unwrap_or(PAGE).clamp(1, PAGE));
        let page = traces.list(&query).await?;
        for summary in page.items {
            if summary.spans > TRACE_SPANS_MAX {
                continue;
            }
            if found.len() >= wanted.limit || spans >= ANSWER_SPANS_MAX {
                return Ok(found);
            }
            spans += summary.spans;
            found.push(summary);
        }
        query.before = page.next;
        if query.before.is_none() {
            break;
        }
    }
    Ok(found)
}

/// Traces that were found, whole.
pub(super) async fn read(traces: &Traces, found: &[TraceSummary]) -> Result<Vec<Hit>, Failure> {
    let mut hits = Vec::with_capacity(found.len());
    for summary in found {
        // It may have been deleted meanwhile.
        hits.extend(whole(traces, summary.trace_id).await?);
    }
    Ok(hits)
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

/// Spans of each handler in a trace, and those of them that failed.
pub(super) fn spans_by_handler(skeleton: &Skeleton) -> BTreeMap<&str, (u32, u32)> {
    let mut handlers: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    for (handler, status) in skeleton.handler.iter().zip(&skeleton.status) {
        let (count, failed) = handlers.entry(skeleton.text(*handler)).or_default();
        *count += 1;
        *failed += u32::from(*status == 2);
    }
    handlers
}

/// That a column has this text.
pub(super) fn equals(column: Column, text: &str) -> Condition {
    Condition::Compare(Field::Known(column), Op::Equal, Literal::Text(text.to_owned()))
}

/// That an attribute has this value, which other tools write as a text whatever it is.
pub(super) fn attribute_equals(key: &str, value: &str) -> Condition {
    let is = |literal| Condition::Compare(Field::Attribute(key.to_owned()), Op::Equal, literal);
    let text = is(Literal::Text(value.to_owned()));
    let other = match value {
        "true" | "false" => Some(Literal::Bool(value == "true")),
        value => value.parse().map(Literal::Int).ok().or_else(|| {
            let number = value.parse().ok().filter(|number: &f64| number.is_finite());
            number.map(Literal::Float)
        }),
    };
    other.into_iter().fold(text, |text, other| text.or(is(other)))
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
    let handler = handler.map(|handler| equals(Column::Handler, handler.as_str()));
    let wanted = Wanted {
        query: Query::Spans(handler.unwrap_or(Condition::All)),
        from_ns: 0,
        to_ns: 0,
        limit: SAMPLE,
    };
    read(traces, &find(traces, &wanted).await?).await
}

/// OTLP's number of a kind in a word; they begin at 1.
pub(super) fn kind(number: u64) -> &'static str {
    let place = usize::try_from(number)
        .ok()
        .and_then(|number| number.checked_sub(1));
    place.and_then(|place| KINDS.get(place)).unwrap_or(&"internal")
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
}
