//! The traces that a trace continues, and those that continue it.
//!
//! Both ways by an index of `links`. What the wait between them was is known once the span that was continued is there;
//! it is looked for in the heads of its trace.

use protocol::api::traces::LinkedTrace;
use protocol::{SpanId, TraceId};
use rustc_hash::FxHashMap;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::blocks;
use super::row::{handler, node, span_id, trace_bytes, trace_id};
use super::words::Words;

/// The most linked traces that are told, either way.
const LINKED_MAX: i64 = 100;

/// A link with the trace at its other end, before it is known when the span that was continued ended.
struct Linked {
    shown: LinkedTrace,
    /// The row of the trace that was continued, and the span in it.
    continued: (i64, u64),
    /// When the span that continues it began.
    start_at: i64,
}

/// The traces that a trace continues, by its own links, then those that continue it; each by time. With `span`, only
/// the links of that span.
pub(in crate::traces) async fn linked(
    connection: &mut SqliteConnection,
    words: &Words,
    (trace, trace_id): (i64, TraceId),
    span: Option<SpanId>,
) -> Result<Vec<LinkedTrace>, sqlx::Error> {
    let span = span.map(|span| span.0.cast_signed());
    let before = sqlx::query(
        "SELECT t.trace_id, t.root_name, t.root_handler, t.root_node, t.root_ns, t.errors, \
         l.span, l.start_at, t.id, l.link_span \
         FROM links l INDEXED BY links_trace CROSS JOIN traces t ON t.trace_id = l.link_trace \
         WHERE l.trace = ?1 AND (?2 IS NULL OR l.span = ?2) AND t.id <> l.trace ORDER BY l.start_at LIMIT ?3",
    )
    .bind(trace)
    .bind(span)
    .bind(LINKED_MAX)
    .fetch_all(&mut *connection)
    .await?;
    let narrow = if span.is_some() {
        "AND l.link_span = ?2"
    } else {
        "AND ?2 IS NULL"
    };
    let after = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT t.trace_id, t.root_name, t.root_handler, t.root_node, t.root_ns, t.errors, \
         l.link_span, l.start_at, ?3, l.link_span FROM links l CROSS JOIN traces t ON t.id = l.trace \
         WHERE l.link_trace = ?1 {narrow} AND l.trace <> ?3 ORDER BY l.start_at LIMIT ?4"
    )))
    .bind(trace_bytes(trace_id))
    .bind(span)
    .bind(trace)
    .bind(LINKED_MAX)
    .fetch_all(&mut *connection)
    .await?;
    let before = before.iter().map(|row| read(row, false, words));
    let after = after.iter().map(|row| read(row, true, words));
    let links: Result<Vec<Linked>, _> = before.chain(after).collect();
    with_waits(connection, links?).await
}

fn read(row: &SqliteRow, follows: bool, words: &Words) -> Result<Linked, sqlx::Error> {
    Ok(Linked {
        shown: LinkedTrace {
            trace_id: trace_id(row.try_get(0)?)?,
            name: row.try_get(1)?,
            here: span_id(row.try_get(6)?),
            duration_ns: row.try_get::<i64, _>(4)?.unsigned_abs(),
            wait_ns: 0,
            follows,
            handler: handler(row.try_get(2)?, words)?,
            node: node(row.try_get(3)?, words)?,
            errors: row.try_get(5)?,
        },
        continued: (row.try_get(8)?, row.try_get::<i64, _>(9)?.cast_unsigned()),
        start_at: row.try_get(7)?,
    })
}

/// Adds the waits. The span that was continued may have been dropped, or not have arrived yet: then there is none.
async fn with_waits(
    connection: &mut SqliteConnection,
    links: Vec<Linked>,
) -> Result<Vec<LinkedTrace>, sqlx::Error> {
    let mut ends: FxHashMap<(i64, u64), Option<u64>> =
        links.iter().map(|link| (link.continued, None)).collect();
    let mut traces: Vec<i64> = ends.keys().map(|(trace, _)| *trace).collect();
    traces.sort_unstable();
    traces.dedup();
    for trace in traces {
        blocks::heads(&mut *connection, (trace, 0), |_, head| {
            for at in 0..head.len() {
                if let Some(end) = ends.get_mut(&(trace, head.id[at])) {
                    *end = Some(head.start_ns[at].saturating_add(head.duration_ns[at]));
                }
            }
        })
        .await?;
    }
    let links = links.into_iter().map(|link| {
        let end = ends.get(&link.continued).copied().flatten();
        let wait_ns = end.map_or(0, |end| link.start_at.unsigned_abs().saturating_sub(end));
        LinkedTrace {
            wait_ns,
            ..link.shown
        }
    });
    Ok(links.collect())
}
