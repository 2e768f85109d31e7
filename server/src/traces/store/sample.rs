//! Stored calls of one function by one handler, as samples of what they are made of.
//!
//! There is no index by function: the traces of the call's edge are known by `parts`, the spans of a trace by
//! `spans_place`. Each placement is looked for by itself, because the newest traces are all of the one in force. Every
//! step has a bound, so that an edge that never was together costs some milliseconds and no more.

use protocol::{SpanKind, TraceId};
use sqlx::AssertSqlSafe;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::super::steps::{SAMPLES_MAX, Sample};
use super::row::{self, SPAN_COLUMNS};
use super::words::Words;

/// The placements that traces may have, as their word.
const PLACEMENTS: [&str; 3] = ["together", "apart", "groups"];
/// Traces of the edge that are looked through for a placement, the newest.
const TRACES_SEEN_MAX: i64 = 20_000;
/// Traces of a placement that are opened.
const TRACES_OPENED_MAX: i64 = 40;

/// Calls of `function` by `caller`, along `edge`, that did not fail and have their steps, of each placement.
pub(in crate::traces) async fn samples(
    connection: &mut SqliteConnection,
    words: &Words,
    (caller, edge, function): (&str, &str, &str),
) -> Result<Vec<Sample>, sqlx::Error> {
    let (Some(caller), Some(edge)) = (words.id(caller), words.id(edge)) else {
        return Ok(Vec::new());
    };
    let statement = statement();
    let mut samples = Vec::new();
    for placement in PLACEMENTS.into_iter().filter_map(|placement| words.id(placement)) {
        let rows = sqlx::query(AssertSqlSafe(statement.as_str()))
            .bind(edge)
            .bind(TRACES_SEEN_MAX)
            .bind(placement)
            .bind(TRACES_OPENED_MAX)
            .bind(caller)
            .bind(function)
            .bind(SpanKind::Client as i64)
            .bind(row::number(SAMPLES_MAX as u64))
            .fetch_all(&mut *connection)
            .await?;
        for row in &rows {
            samples.extend(sample(row, words)?);
        }
    }
    Ok(samples)
}

fn statement() -> String {
    let columns = SPAN_COLUMNS.map(|column| format!("s.{column}")).join(", ");
    format!(
        "SELECT {columns} FROM ( \
         SELECT t.id FROM (SELECT trace FROM parts WHERE word = ? ORDER BY trace DESC LIMIT ?) p \
         CROSS JOIN traces t ON t.id = p.trace WHERE t.placement = ? ORDER BY t.id DESC LIMIT ?) c \
         CROSS JOIN spans s INDEXED BY spans_place ON s.trace = c.id \
         WHERE s.handler = ? AND s.name = ? AND s.kind = ? AND s.status <= 0 AND s.lift_ns IS NOT NULL LIMIT ?"
    )
}

fn sample(row: &SqliteRow, words: &Words) -> Result<Option<Sample>, sqlx::Error> {
    // Whose trace it is does not matter here.
    let span = row::span(row, TraceId(0), words)?;
    Ok(match (span.transport, span.stages) {
        (Some(transport), Some(protocol::span::Stages::Caller(stages))) => Some(Sample {
            transport,
            start_unix_ns: span.start_unix_ns,
            stages,
        }),
        _ => None,
    })
}
