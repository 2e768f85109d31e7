//! The form of a span as a row: numbers as SQLite keeps them, and back.
//!
//! Ids and words are signed 64-bit integers; times beyond the year 2262 are cut. A row that does not read back is
//! damage, and an error that says what is wrong with it.

use protocol::span::{Attribute, CallerStages, Link, Stages, Value};
use protocol::{
    CalleeStages, ErrorCode, HandlerName, NodeName, Span, SpanId, SpanKind, SpanStatus, TraceId, Transport,
};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::words::Words;
use crate::telemetry::fields;

/// A span's columns, in the order in which they are bound and read.
pub(super) const SPAN_COLUMNS: [&str; 30] = [
    "trace",
    "span_id",
    "parent_id",
    "kind",
    "handler",
    "node",
    "name",
    "start_at",
    "duration_ns",
    "status",
    "message",
    "peer",
    "transport",
    "cold",
    "edge",
    "placement",
    "link_trace",
    "link_span",
    "lift_ns",
    "send_ns",
    "travel_ns",
    "lower_ns",
    "total_ns",
    "decode_ns",
    "wait_ns",
    "run_ns",
    "outgoing_ns",
    "encode_ns",
    "attributes",
    "logs",
];

/// The first of the ten columns of stages.
const STAGES_AT: usize = 18;
const STATUS_OK: i64 = 0;
const STATUS_ERR: i64 = -1;

/// A count or a time; what does not fit is cut.
pub(super) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A trace's id as 16 bytes.
pub(super) fn trace_bytes(trace_id: TraceId) -> Vec<u8> {
    trace_id.0.to_be_bytes().to_vec()
}

/// The id of 16 bytes.
pub(super) fn trace_id(bytes: &[u8]) -> Result<TraceId, sqlx::Error> {
    let bytes = <[u8; 16]>::try_from(bytes).map_err(|_| damaged("a trace id"))?;
    Ok(TraceId(u128::from_be_bytes(bytes)))
}

/// A span's status as a number.
pub(super) fn status_number(status: &SpanStatus) -> i64 {
    match status {
        SpanStatus::Ok => STATUS_OK,
        SpanStatus::Err => STATUS_ERR,
        SpanStatus::Failed { code, .. } => *code as i64,
    }
}

/// The ten columns of stages.
pub(super) fn stage_numbers(stages: Option<&Stages>) -> [Option<i64>; 10] {
    let (caller, callee) = match stages {
        None => (None, None),
        Some(Stages::Caller(caller)) => (Some(caller), Some(&caller.callee)),
        Some(Stages::Callee(callee)) => (None, Some(callee)),
    };
    [
        caller.map(|stages| stages.lift),
        caller.map(|stages| stages.send),
        caller.map(|stages| stages.travel),
        caller.map(|stages| stages.lower),
        callee.map(|stages| stages.total),
        callee.map(|stages| stages.decode),
        callee.map(|stages| stages.wait),
        callee.map(|stages| stages.run),
        callee.map(|stages| stages.outgoing),
        callee.map(|stages| stages.encode),
    ]
    .map(|stage| stage.map(number))
}

/// Whether an attribute has a column of its own.
pub(super) fn has_column(attribute: &Attribute) -> bool {
    let (key, value) = attribute;
    matches!(value, Value::Text(_)) && [fields::EDGE, fields::PLACEMENT].contains(&key.as_ref())
}

/// Reads a span. The attributes with columns of their own come first.
pub(super) fn span(row: &SqliteRow, trace_id: TraceId, words: &Words) -> Result<Span, sqlx::Error> {
    let kind: i64 = row.try_get(3)?;
    let transport: Option<i64> = row.try_get(12)?;
    let peer: Option<i64> = row.try_get(11)?;
    let name: &str = row.try_get(6)?;
    Ok(Span {
        trace_id,
        span_id: span_id(row.try_get(1)?),
        parent_id: row.try_get::<Option<i64>, _>(2)?.map(span_id),
        kind: span_kind(kind)?,
        handler: handler(row.try_get(4)?, words)?,
        node: node(row.try_get(5)?, words)?,
        name: name.into(),
        start_unix_ns: row.try_get::<i64, _>(7)?.unsigned_abs(),
        duration_ns: row.try_get::<i64, _>(8)?.unsigned_abs(),
        status: status(row)?,
        peer: peer.map(|word| handler(word, words)).transpose()?,
        transport: transport.map(span_transport).transpose()?,
        cold: row.try_get(13)?,
        stages: stages(row)?,
        link: link(row)?,
        attributes: attributes(row, words)?,
        logs: match row.try_get::<Option<&[u8]>, _>(29)? {
            Some(bytes) => postcard::from_bytes(bytes).map_err(|_| damaged("the logs of a span"))?,
            None => Vec::new(),
        },
    })
}

/// A span's id from its number.
pub(super) fn span_id(number: i64) -> SpanId {
    SpanId(number.cast_unsigned())
}

/// The handler of a word.
pub(super) fn handler(word: i64, words: &Words) -> Result<HandlerName, sqlx::Error> {
    HandlerName::parse(&words.text(word)?).map_err(|_| damaged("a handler's name"))
}

/// The node of a word.
pub(super) fn node(word: i64, words: &Words) -> Result<NodeName, sqlx::Error> {
    NodeName::parse(&words.text(word)?).map_err(|_| damaged("a node's name"))
}

/// The error for a value that this program does not write.
pub(super) fn damaged(what: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("{what} is damaged").into())
}

fn span_kind(number: i64) -> Result<SpanKind, sqlx::Error> {
    [
        SpanKind::Internal,
        SpanKind::Server,
        SpanKind::Client,
        SpanKind::Producer,
        SpanKind::Consumer,
    ]
    .into_iter()
    .find(|kind| *kind as i64 == number)
    .ok_or_else(|| damaged("the kind of a span"))
}

fn span_transport(number: i64) -> Result<Transport, sqlx::Error> {
    Transport::from_number(number).ok_or_else(|| damaged("the transport of a span"))
}

fn status(row: &SqliteRow) -> Result<SpanStatus, sqlx::Error> {
    Ok(match row.try_get::<i64, _>(9)? {
        STATUS_OK => SpanStatus::Ok,
        STATUS_ERR => SpanStatus::Err,
        code => SpanStatus::Failed {
            code: ErrorCode::from_number(u16::try_from(code).unwrap_or(u16::MAX)),
            message: row.try_get::<Option<String>, _>(10)?.unwrap_or_default(),
        },
    })
}

fn stages(row: &SqliteRow) -> Result<Option<Stages>, sqlx::Error> {
    let mut numbers = [None; 10];
    for (at, number) in numbers.iter_mut().enumerate() {
        *number = row
            .try_get::<Option<i64>, _>(STAGES_AT + at)?
            .map(i64::unsigned_abs);
    }
    let [
        lift,
        send,
        travel,
        lower,
        total,
        decode,
        wait,
        run,
        outgoing,
        encode,
    ] = numbers;
    let Some(total) = total else { return Ok(None) };
    let callee = CalleeStages {
        total,
        decode: decode.unwrap_or_default(),
        wait: wait.unwrap_or_default(),
        run: run.unwrap_or_default(),
        outgoing: outgoing.unwrap_or_default(),
        encode: encode.unwrap_or_default(),
    };
    Ok(Some(match lift {
        None => Stages::Callee(callee),
        Some(lift) => Stages::Caller(CallerStages {
            lift,
            send: send.unwrap_or_default(),
            travel: travel.unwrap_or_default(),
            lower: lower.unwrap_or_default(),
            callee,
        }),
    }))
}

fn link(row: &SqliteRow) -> Result<Option<Link>, sqlx::Error> {
    let Some(bytes) = row.try_get::<Option<&[u8]>, _>(16)? else {
        return Ok(None);
    };
    let linked: Option<i64> = row.try_get(17)?;
    Ok(Some(Link {
        trace_id: trace_id(bytes)?,
        span_id: span_id(linked.unwrap_or_default()),
    }))
}

fn attributes(row: &SqliteRow, words: &Words) -> Result<Vec<Attribute>, sqlx::Error> {
    let mut attributes = Vec::new();
    for (column, key) in [(14, fields::EDGE), (15, fields::PLACEMENT)] {
        if let Some(word) = row.try_get::<Option<i64>, _>(column)? {
            attributes.push((key.into(), Value::Text(words.text(word)?)));
        }
    }
    if let Some(bytes) = row.try_get::<Option<&[u8]>, _>(28)? {
        let others: Vec<Attribute> =
            postcard::from_bytes(bytes).map_err(|_| damaged("the attributes of a span"))?;
        attributes.extend(others);
    }
    Ok(attributes)
}
