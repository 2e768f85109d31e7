//! What Jaeger's clients ask for: names of parameters, old and new, and how their values are written.

use std::collections::BTreeMap;

use protocol::HandlerName;

use super::super::error::Failure;
use super::super::found::{Wanted, attribute_equals, equals, go_duration};
use super::moment;
use crate::otlp::service_name;
use crate::traces::{Column, Condition, Field, KINDS, Literal, Op, Query};

/// A query's parameters; of one that comes twice, the last.
pub(super) type Parameters = BTreeMap<String, String>;

const LIMIT_DEFAULT: usize = 20;
const LIMIT_MAX: usize = 1_500;

/// The handler that a service is, whatever its name.
pub(super) fn handler(service: &str) -> HandlerName {
    service_name(service)
}

/// A parameter under its name of now or of before.
pub(super) fn either<'a>(parameters: &'a Parameters, now: &str, before: &str) -> Option<&'a str> {
    let found = parameters.get(now).or_else(|| parameters.get(before));
    found.map(String::as_str).filter(|value| !value.is_empty())
}

/// A search of `/api/v3`.
pub(super) fn wanted_v3(parameters: &Parameters) -> Result<Wanted, Failure> {
    let get = |now, before| either(parameters, now, before);
    if parameters.contains_key("query.filter") {
        return Err(Failure::invalid(
            "`query.filter` is not answered here; use `query.attributes`",
        ));
    }
    let time = |name, text: Option<&str>| match text {
        None => Ok(0),
        Some(text) => moment(text).ok_or_else(|| unreadable(name, text, "a time in RFC 3339 with `Z`")),
    };
    let depth = get("query.searchDepth", "query.search_depth")
        .or_else(|| get("query.num_traces", "query.num_traces"));
    build(Asked {
        service: get("query.serviceName", "query.service_name"),
        operation: get("query.operationName", "query.operation_name"),
        tags: get("query.attributes", "query.attributes"),
        min: get("query.durationMin", "query.duration_min"),
        max: get("query.durationMax", "query.duration_max"),
        from_ns: time(
            "query.startTimeMin",
            get("query.startTimeMin", "query.start_time_min"),
        )?,
        to_ns: time(
            "query.startTimeMax",
            get("query.startTimeMax", "query.start_time_max"),
        )?,
        limit: depth,
    })
}

/// A search of v1: times in µs.
pub(super) fn wanted_v1(parameters: &Parameters) -> Result<Wanted, Failure> {
    let get = |name: &'static str| either(parameters, name, name);
    let time = |name: &'static str| -> Result<u64, Failure> {
        let Some(text) = get(name) else {
            return Ok(0);
        };
        let us: u64 = text
            .parse()
            .map_err(|_| unreadable(name, text, "a time in µs since 1970"))?;
        Ok(us.saturating_mul(1_000))
    };
    if get("service").is_none() {
        return Err(Failure::invalid("parameter 'service' is required"));
    }
    build(Asked {
        service: get("service"),
        operation: get("operation").filter(|operation| *operation != "all"),
        tags: get("tags"),
        min: get("minDuration"),
        max: get("maxDuration"),
        from_ns: time("start")?,
        to_ns: time("end")?,
        limit: get("limit"),
    })
}

struct Asked<'a> {
    service: Option<&'a str>,
    operation: Option<&'a str>,
    tags: Option<&'a str>,
    min: Option<&'a str>,
    max: Option<&'a str>,
    from_ns: u64,
    to_ns: u64,
    limit: Option<&'a str>,
}

/// All of it holds of one span.
fn build(asked: Asked<'_>) -> Result<Wanted, Failure> {
    let mut all = Condition::All;
    if let Some(service) = asked.service {
        all = all.and(equals(Column::Handler, handler(service).as_str()));
    }
    if let Some(operation) = asked.operation {
        all = all.and(equals(Column::Name, operation));
    }
    if let Some(tags) = asked.tags {
        let tags: BTreeMap<String, String> = serde_json::from_str(tags).map_err(|_| {
            unreadable(
                "tags",
                tags,
                "a JSON object of texts, as {\"http.status_code\":\"200\"}",
            )
        })?;
        for (key, value) in tags {
            all = all.and(tag(&key, &value)?);
        }
    }
    for (name, length, op) in [
        ("minDuration", asked.min, Op::AtLeast),
        ("maxDuration", asked.max, Op::AtMost),
    ] {
        if let Some(text) = length {
            let ns = go_duration(text).ok_or_else(|| unreadable(name, text, "a length, as 1.5ms"))?;
            let field = Field::Known(Column::Duration);
            all = all.and(Condition::Compare(field, op, Literal::Duration(ns as u64)));
        }
    }
    let limit = match asked.limit {
        None => LIMIT_DEFAULT,
        Some(text) => text.parse().map_err(|_| unreadable("limit", text, "a number"))?,
    };
    Ok(Wanted {
        query: Query::Spans(all),
        from_ns: asked.from_ns,
        to_ns: asked.to_ns,
        limit: limit.clamp(1, LIMIT_MAX),
    })
}

/// A tag; `error` and `span.kind` are tags in Jaeger's eyes.
fn tag(key: &str, value: &str) -> Result<Condition, Failure> {
    let failed = |op| Condition::Compare(Field::Known(Column::Status), op, Literal::Word("error"));
    Ok(match (key, value) {
        ("error", "true") => failed(Op::Equal),
        ("error", "false") => failed(Op::Unequal),
        ("span.kind", _) => {
            let kind = KINDS.iter().copied().find(|kind| *kind == value);
            let kind = kind.ok_or_else(|| unreadable("span.kind", value, "a kind of spans, as server"))?;
            Condition::Compare(Field::Known(Column::Kind), Op::Equal, Literal::Word(kind))
        }
        _ => attribute_equals(key, value),
    })
}

fn unreadable(name: &str, value: &str, expected: &str) -> Failure {
    Failure::invalid(format!("malformed parameter {name}: `{value}` is not {expected}"))
}
