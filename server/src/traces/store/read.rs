//! What readers ask of `traces`: a page of them, one by its id.

use std::collections::HashMap;
use std::sync::Arc;

use protocol::api::traces::TraceSummary;
use protocol::{SpanId, TraceId};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Row};

use super::insert::TRACE_COLUMNS;
use super::row::{damaged, handler, span_id, trace_bytes, trace_id};
use super::words::Words;

/// What a page of traces is asked for.
#[derive(Debug, Clone, Default)]
pub(in crate::traces) struct Filter {
    pub(in crate::traces) handler: Option<String>,
    pub(in crate::traces) edge: Option<String>,
    pub(in crate::traces) placement: Option<String>,
    pub(in crate::traces) min_ns: Option<i64>,
    pub(in crate::traces) has_failed: Option<bool>,
    /// Traces that arrived before this one.
    pub(in crate::traces) before: i64,
    pub(in crate::traces) limit: u32,
}

/// A trace as its row has it.
#[derive(Debug)]
pub(in crate::traces) struct Stored {
    pub(in crate::traces) id: i64,
    pub(in crate::traces) root: SpanId,
    pub(in crate::traces) summary: TraceSummary,
}

/// A page of traces, the newest first. By word it reads `parts` in the order of its key, else `traces` by id or, for
/// failed ones, `traces_failed`.
pub(in crate::traces) async fn list(
    connection: &mut SqliteConnection,
    words: &Words,
    filter: &Filter,
) -> Result<Vec<Stored>, sqlx::Error> {
    let mut parts = Vec::new();
    for text in [&filter.edge, &filter.handler].into_iter().flatten() {
        let Some(word) = words.id(text) else {
            return Ok(Vec::new());
        };
        parts.push(word);
    }
    let mut query = sqlx::query(AssertSqlSafe(list_statement(filter, parts.len())));
    if let Some(word) = parts.first() {
        query = query.bind(*word);
    }
    query = query.bind(filter.before);
    if let Some(word) = parts.get(1) {
        query = query.bind(*word);
    }
    if let Some(placement) = &filter.placement {
        let Some(word) = words.id(placement) else {
            return Ok(Vec::new());
        };
        query = query.bind(word);
    }
    if let Some(min_ns) = filter.min_ns {
        query = query.bind(min_ns);
    }
    let rows = query.bind(filter.limit).fetch_all(connection).await?;
    rows.iter().map(|row| stored(row, words)).collect()
}

fn list_statement(filter: &Filter, parts: usize) -> String {
    let columns = trace_columns();
    let mut statement = match (parts, filter.has_failed) {
        (0, Some(true)) => {
            format!("SELECT {columns} FROM traces t INDEXED BY traces_failed WHERE t.id < ?")
        }
        (0, _) => format!("SELECT {columns} FROM traces t WHERE t.id < ?"),
        _ => format!(
            "SELECT {columns} FROM parts p CROSS JOIN traces t ON t.id = p.trace WHERE p.word = ? AND p.trace < ?"
        ),
    };
    if parts > 1 {
        statement.push_str(" AND EXISTS (SELECT 1 FROM parts q WHERE q.word = ? AND q.trace = t.id)");
    }
    if filter.placement.is_some() {
        statement.push_str(" AND t.placement = ?");
    }
    if filter.min_ns.is_some() {
        statement.push_str(" AND t.end_at - t.start_at >= ?");
    }
    statement.push_str(match filter.has_failed {
        None => "",
        Some(true) => " AND t.errors > 0",
        Some(false) => " AND t.errors = 0",
    });
    statement.push_str(if parts > 0 {
        " ORDER BY p.trace DESC LIMIT ?"
    } else {
        " ORDER BY t.id DESC LIMIT ?"
    });
    statement
}

/// One trace, by the index on its id.
pub(in crate::traces) async fn trace(
    connection: &mut SqliteConnection,
    words: &Words,
    id: TraceId,
) -> Result<Option<Stored>, sqlx::Error> {
    let statement = format!("SELECT {} FROM traces t WHERE t.trace_id = ?", trace_columns());
    let row = sqlx::query(AssertSqlSafe(statement))
        .bind(trace_bytes(id))
        .fetch_optional(connection)
        .await?;
    row.map(|row| stored(&row, words)).transpose()
}

/// Which of these traces are in the store, with their rows: one question for a whole batch.
pub(super) async fn known_traces(
    connection: &mut SqliteConnection,
    trace_ids: &[TraceId],
) -> Result<HashMap<TraceId, i64>, sqlx::Error> {
    if trace_ids.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<String> = trace_ids.iter().map(|id| format!("\"{:032x}\"", id.0)).collect();
    let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT id, trace_id FROM traces WHERE trace_id IN (SELECT unhex(value) FROM json_each(?))",
    )
    .bind(format!("[{}]", ids.join(",")))
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(id, bytes)| Ok((trace_id(&bytes)?, id)))
        .collect()
}

fn trace_columns() -> String {
    TRACE_COLUMNS.map(|column| format!("t.{column}")).join(", ")
}

fn stored(row: &SqliteRow, words: &Words) -> Result<Stored, sqlx::Error> {
    let start_at: i64 = row.try_get(2)?;
    let end_at: i64 = row.try_get(3)?;
    let placement: Option<i64> = row.try_get(13)?;
    let placement: Option<Arc<str>> = placement.map(|word| words.text(word)).transpose()?;
    let packed: &[u8] = row.try_get(14)?;
    let (handlers, rest) = packed.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(damaged("the handlers of a trace"));
    }
    let handlers: Result<Vec<_>, _> = handlers
        .iter()
        .map(|word| handler(u32::from_le_bytes(*word).into(), words))
        .collect();
    let mut handlers = handlers?;
    handlers.sort_unstable();
    Ok(Stored {
        id: row.try_get(0)?,
        root: span_id(row.try_get(7)?),
        summary: TraceSummary {
            trace_id: trace_id(row.try_get(1)?)?,
            name: row.try_get(8)?,
            handler: handler(row.try_get(9)?, words)?,
            start_unix_ns: start_at.unsigned_abs(),
            duration_ns: end_at.saturating_sub(start_at).unsigned_abs(),
            spans: row.try_get(4)?,
            errors: row.try_get(5)?,
            nodes: row.try_get(6)?,
            handlers,
            placement: placement.as_deref().unwrap_or_default().to_owned(),
            error: row.try_get(12)?,
            missing: row.try_get(15)?,
        },
    })
}
