//! Spans as rows, one each: the form of the store before blocks, read once to be packed.
//!
//! Promises: a file of that form is brought forward when it is opened, some thousand spans a transaction, so that a start
//! that was ended in the middle goes on where it was. A row that does not read back is left out and named in the log.

use protocol::span::{Attribute, CallerStages, Link, Stages, Value};
use protocol::{CalleeStages, ErrorCode, Span, SpanKind, SpanStatus, TraceId, Transport};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Connection, Row};

use super::super::block::BLOCK_SPANS_MAX;
use super::insert;
use super::open::OpenTrace;
use super::pack;
use super::row::{damaged, handler, node, span_id, trace_id};
use super::words::Words;
use crate::telemetry::fields;

/// Spans packed in one transaction.
const SLICE_SPANS: usize = 20_000;

/// A span's columns, in the order in which they are read.
const SPAN_COLUMNS: [&str; 30] = [
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

/// Packs all spans that are rows, and drops their table; nothing where there is none.
pub(super) async fn bring_forward(
    connection: &mut SqliteConnection,
    words: &Words,
) -> Result<(), sqlx::Error> {
    let has_rows: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'spans')",
    )
    .fetch_one(&mut *connection)
    .await?;
    if !has_rows {
        return Ok(());
    }
    let mut packed = 0;
    loop {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let spans = slice(&mut transaction, words).await?;
        if spans == 0 {
            sqlx::query("DROP TABLE spans").execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        packed += spans;
        if spans == 0 {
            break;
        }
    }
    if packed > 0 {
        tracing::info!(spans.packed = packed, "spans of an older form were packed");
    }
    Ok(())
}

/// Packs the spans of some traces, the oldest; how many there were.
async fn slice(connection: &mut SqliteConnection, words: &Words) -> Result<usize, sqlx::Error> {
    let mut taken = 0;
    while taken < SLICE_SPANS {
        let next: Option<(i64, Vec<u8>)> = sqlx::query_as(
            "SELECT t.id, t.trace_id FROM spans s JOIN traces t ON t.id = s.trace ORDER BY s.trace LIMIT 1",
        )
        .fetch_optional(&mut *connection)
        .await?;
        let Some((trace, bytes)) = next else { break };
        taken += one(connection, words, (trace, trace_id(&bytes)?)).await?.max(1);
    }
    Ok(taken)
}

async fn one(
    connection: &mut SqliteConnection,
    words: &Words,
    (trace, trace_id): (i64, TraceId),
) -> Result<usize, sqlx::Error> {
    let columns = SPAN_COLUMNS.join(", ");
    let statement = format!("SELECT {columns} FROM spans WHERE trace = ? ORDER BY rowid");
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(trace)
        .fetch_all(&mut *connection)
        .await?;
    let taken = rows.len();
    let mut spans = Vec::with_capacity(taken);
    for row in rows {
        match span(&row, trace_id, words) {
            Ok(span) => spans.push(span),
            Err(error) => tracing::warn!(%trace_id, %error, "a stored span does not read back"),
        }
    }
    let numbers = words.know(connection, &mut spans).await?;
    let rows: Vec<_> = spans.iter().zip(numbers).collect();
    let mut open = OpenTrace::new(trace);
    let mut packs = pack::Packs::default();
    for rows in rows.chunks(BLOCK_SPANS_MAX) {
        packs.add(&mut open, rows);
    }
    insert::blocks(connection, packs.blocks).await?;
    insert::links(connection, packs.links).await?;
    sqlx::query("UPDATE traces SET missing = ? WHERE id = ?")
        .bind(open.missing())
        .bind(trace)
        .execute(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM spans WHERE trace = ?")
        .bind(trace)
        .execute(connection)
        .await?;
    Ok(taken)
}

/// Reads a span. The attributes with columns of their own come first.
fn span(row: &SqliteRow, trace_id: TraceId, words: &Words) -> Result<Span, sqlx::Error> {
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
