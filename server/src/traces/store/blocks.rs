//! The blocks of a trace: what there are, their heads, and whole ones.

use futures_util::TryStreamExt;
use protocol::{Span, TraceId};
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::super::block::{self, BLOCK_SPANS_MAX, Head, Naming, Numbers, Rest};
use super::super::summary::{Facts, INGRESS};
use super::open::OpenTrace;
use super::row::{block_id, block_number, damaged_block, trace_bytes};
use super::words::Words;

/// The number of a trace's row.
pub(in crate::traces) async fn row_of(
    connection: &mut SqliteConnection,
    trace_id: TraceId,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar("SELECT id FROM traces WHERE trace_id = ?")
        .bind(trace_bytes(trace_id))
        .fetch_optional(connection)
        .await
}

/// Number and spans of each block of a trace, in their order.
pub(in crate::traces) async fn list(
    connection: &mut SqliteConnection,
    trace: i64,
) -> Result<Vec<(u32, u32)>, sqlx::Error> {
    let rows: Vec<(i64, u32)> =
        sqlx::query_as("SELECT id, spans FROM blocks WHERE id >= ? AND id < ? ORDER BY id")
            .bind(block_id(trace, 0))
            .bind(block_id(trace + 1, 0))
            .fetch_all(connection)
            .await?;
    Ok(rows
        .into_iter()
        .map(|(id, spans)| (block_number(id), spans))
        .collect())
}

/// Shows the heads of a trace's blocks from a number on, in their order.
pub(in crate::traces) async fn heads(
    connection: &mut SqliteConnection,
    (trace, from): (i64, u32),
    mut show: impl FnMut(u32, &Head<'_>),
) -> Result<(), sqlx::Error> {
    let mut rows = sqlx::query("SELECT id, head FROM blocks WHERE id >= ? AND id < ? ORDER BY id")
        .bind(block_id(trace, from))
        .bind(block_id(trace + 1, 0))
        .fetch(connection);
    while let Some(row) = rows.try_next().await? {
        let id: i64 = row.try_get(0)?;
        let head = Head::read(row.try_get(1)?).map_err(|damage| damaged_block(id, &damage))?;
        show(block_number(id), &head);
    }
    Ok(())
}

/// Shows whole blocks of a trace, in the order of their numbers, until `show` wants no more.
pub(in crate::traces) async fn whole(
    connection: &mut SqliteConnection,
    (trace, numbers): (i64, &[u32]),
    mut show: impl FnMut(u32, &Head<'_>, &Rest<'_>) -> Result<bool, block::Damage>,
) -> Result<(), sqlx::Error> {
    let ids: Vec<i64> = numbers.iter().map(|number| block_id(trace, *number)).collect();
    let mut rows = sqlx::query(
        "SELECT b.id, b.head, b.rest FROM json_each(?) w CROSS JOIN blocks b ON b.id = w.value ORDER BY b.id",
    )
    .bind(serde_json::Value::from(ids).to_string())
    .fetch(connection);
    while let Some(row) = rows.try_next().await? {
        let id: i64 = row.try_get(0)?;
        let fault = |damage| damaged_block(id, &damage);
        let head = Head::read(row.try_get(1)?).map_err(fault)?;
        let rest = Rest::read(row.try_get(2)?, head.len()).map_err(fault)?;
        if !show(block_number(id), &head, &rest).map_err(fault)? {
            break;
        }
    }
    Ok(())
}

/// A trace that the writer has forgotten.
pub(super) async fn open_trace(
    connection: &mut SqliteConnection,
    words: &Words,
    trace: i64,
) -> Result<OpenTrace, sqlx::Error> {
    let ingress = words.id(INGRESS).unwrap_or_default();
    let mut open = OpenTrace::new(trace);
    heads(connection, (trace, 0), |number, head| {
        for at in 0..head.len() {
            open.add(&Facts::in_head(head, at, ingress));
        }
        open.tail.note(number, head.len() as u32);
    })
    .await?;
    // Heads do not have why a span failed; of the root it stands in the trace's row.
    if let Some(summary) = &mut open.summary
        && summary.root.has_failed
    {
        let row: Option<(i64, Option<String>)> =
            sqlx::query_as("SELECT root_span, root_error FROM traces WHERE id = ?")
                .bind(trace)
                .fetch_optional(connection)
                .await?;
        if let Some((root, error)) = row
            && root.cast_unsigned() == summary.root.span_id.0
        {
            summary.root.error = error;
        }
    }
    Ok(open)
}

/// Makes the blocks from `first` to `last` of a trace one, under the number of the first.
pub(super) async fn merge(
    connection: &mut SqliteConnection,
    words: &Words,
    trace: i64,
    (first, last): (u32, u32),
) -> Result<(), sqlx::Error> {
    let numbers: Vec<u32> = (first..=last).collect();
    let word = |number| words.get(number);
    // Of which trace they are does not matter here.
    let mut naming = Naming::new(TraceId(0), &word);
    let mut spans: Vec<(Span, Numbers)> = Vec::new();
    whole(&mut *connection, (trace, &numbers), |_, head, rest| {
        for at in 0..head.len() {
            spans.push((rest.span(head, at, &mut naming)?, head.numbers(at)));
        }
        Ok(true)
    })
    .await?;
    debug_assert!(spans.len() <= BLOCK_SPANS_MAX, "small blocks are few and small");
    let rows: Vec<_> = spans.iter().map(|(span, numbers)| (span, *numbers)).collect();
    let (head, rest) = block::pack(&rows);
    sqlx::query("UPDATE blocks SET spans = ?, head = ?, rest = ? WHERE id = ?")
        .bind(i64::try_from(rows.len()).unwrap_or(i64::MAX))
        .bind(head)
        .bind(rest)
        .bind(block_id(trace, first))
        .execute(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM blocks WHERE id > ? AND id <= ?")
        .bind(block_id(trace, first))
        .bind(block_id(trace, last))
        .execute(connection)
        .await?;
    Ok(())
}
