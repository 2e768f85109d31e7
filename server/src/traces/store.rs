//! The trace store's writing half: the one connection that writes, and what it remembers between batches.
//!
//! A batch is one transaction: its spans, the rows of the traces that they change, and which handlers and edges took
//! part. Traces that still grow are kept in memory, so that a batch reads only the traces that it has forgotten or not
//! seen. `synchronous=NORMAL`: a power cut may cost the last batches, the end of the process none.
//!
//! Here and below `store/` is all SQL of the traces: `store/row.rs` has the form of rows, `store/insert.rs` the
//! statements with many rows, `store/read.rs` and `store/sample.rs` what readers ask.

mod insert;
mod open;
pub(super) mod read;
mod row;
pub(super) mod sample;
mod words;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use protocol::api::traces::TraceSummary;
use protocol::{Span, TraceId};
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::retention::{self, TRACE_SPANS_MAX};
use crate::db::{self, Db, Migration, Synchronous, Writer};

use insert::{SpanRow, TraceRow};
use open::{OpenTrace, OpenTraces};
pub(super) use words::Words;

const MIGRATIONS: [Migration; 1] = [Migration {
    version: 2_026_112_201,
    sql: include_str!("../../../migrations/traces/2026112201_create_spans.sql"),
}];

/// The writing half.
#[derive(Debug)]
pub(super) struct Store {
    writer: Writer,
    words: Arc<Words>,
    open: OpenTraces,
    /// The id of the next new trace.
    next: i64,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Spans stored.
    pub(super) recorded: u64,
    /// Spans beyond a limit.
    pub(super) refused: u64,
    /// The traces that changed and can be shown, in the order of their arrival.
    pub(super) changed: Vec<TraceSummary>,
}

impl Store {
    /// Opens the file, and its readers.
    pub(super) async fn open(path: &Path) -> Result<(Db, Self), db::Error> {
        let (db, mut writer) = Db::open(path, &MIGRATIONS, Synchronous::Normal).await?;
        let words = Words::load(writer.connection())
            .await
            .map_err(|error| db.error(error))?;
        let newest: Option<i64> = sqlx::query_scalar("SELECT max(id) FROM traces")
            .fetch_one(writer.connection())
            .await
            .map_err(|error| db.error(error))?;
        let store = Self {
            writer,
            words: Arc::new(words),
            open: OpenTraces::default(),
            next: newest.unwrap_or(0) + 1,
        };
        Ok((db, store))
    }

    /// The words, for readers.
    pub(super) fn words(&self) -> Arc<Words> {
        Arc::clone(&self.words)
    }

    /// Stores a batch, or nothing of it.
    pub(super) async fn write(&mut self, spans: Vec<Span>) -> Result<Written, db::Error> {
        let outcome = self.write_all(spans).await;
        if outcome.is_err() {
            // What is in memory may be ahead of what was rolled back.
            self.open.clear();
        }
        outcome.map_err(|error| self.writer.error(error))
    }

    async fn write_all(&mut self, spans: Vec<Span>) -> Result<Written, sqlx::Error> {
        let Self {
            writer,
            words,
            open,
            next,
        } = self;
        let mut written = Written::default();
        let given = spans.len();
        let spans = words.know(writer.connection(), spans).await?;
        written.refused += (given - spans.len()) as u64;

        let mut transaction = writer.begin().await?;
        let mut rows = Vec::with_capacity(spans.len());
        let mut changed = BTreeSet::new();
        let unopened: BTreeSet<TraceId> = spans.iter().map(|span| span.trace_id).collect();
        let unopened: Vec<TraceId> = unopened.into_iter().filter(|id| !open.contains(*id)).collect();
        let known = read::known_traces(&mut transaction, &unopened).await?;
        for span in spans {
            let trace_id = span.trace_id;
            if !open.contains(trace_id) {
                let trace = match known.get(&trace_id) {
                    Some(id) => read::open_trace(&mut transaction, words, (*id, trace_id)).await?,
                    None => {
                        *next += 1;
                        OpenTrace::new(*next - 1)
                    }
                };
                open.insert(trace_id, trace);
            }
            let trace = open.touch(trace_id);
            if trace.has(span.span_id) {
                continue;
            }
            if trace.spans() >= TRACE_SPANS_MAX {
                written.refused += 1;
                continue;
            }
            trace.add(&span);
            changed.insert((trace.id, trace_id));
            rows.push(SpanRow::new(trace.id, span, words)?);
        }
        insert::spans(&mut transaction, &rows).await?;
        update(&mut transaction, words, open, &changed).await?;
        transaction.commit().await?;
        written.recorded = rows.len() as u64;
        written.changed = changed
            .into_iter()
            .filter_map(|(_, trace_id)| open.touch(trace_id).show(trace_id))
            .collect();
        open.trim();
        Ok(written)
    }

    /// Deletes the oldest traces, one slice of them, all but the newest; whether there were any to delete.
    pub(super) async fn prune(&mut self) -> Result<bool, db::Error> {
        let outcome = self.prune_slice(i64::MAX, self.next - 1).await;
        outcome.map_err(|error| self.writer.error(error))
    }

    /// The same for those that ended before a moment, up to the first that did not, be it the newest.
    pub(super) async fn prune_ended_before(&mut self, before_ns: u64) -> Result<bool, db::Error> {
        let outcome = self.prune_slice(row::number(before_ns), i64::MAX).await;
        outcome.map_err(|error| self.writer.error(error))
    }

    /// When the oldest trace ended, if there is one.
    pub(super) async fn oldest_end(&mut self) -> Result<Option<u64>, db::Error> {
        let end: Result<Option<i64>, _> = sqlx::query_scalar("SELECT end_at FROM traces ORDER BY id LIMIT 1")
            .fetch_optional(self.writer.connection())
            .await;
        let end = end.map_err(|error| self.writer.error(error))?;
        Ok(end.map(i64::unsigned_abs))
    }

    async fn prune_slice(&mut self, ended_before: i64, newest: i64) -> Result<bool, sqlx::Error> {
        let oldest: Vec<(i64, i64, i64)> =
            sqlx::query_as("SELECT id, spans, end_at FROM traces ORDER BY id LIMIT ?")
                .bind(retention::SLICE_TRACES)
                .fetch_all(self.writer.connection())
                .await?;
        let oldest: Vec<(i64, u64)> = oldest
            .into_iter()
            .take_while(|(_, _, end_at)| *end_at < ended_before)
            .map(|(id, spans, _)| (id, spans.unsigned_abs()))
            .collect();
        let Some(last) = retention::slice(&oldest, newest) else {
            return Ok(false);
        };
        let mut transaction = self.writer.begin().await?;
        for statement in [
            "DELETE FROM spans WHERE trace <= ?",
            "DELETE FROM parts WHERE word IN (SELECT id FROM words) AND trace <= ?",
            "DELETE FROM traces WHERE id <= ?",
        ] {
            sqlx::query(statement)
                .bind(last)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        self.open.forget_up_to(last);
        Ok(true)
    }

    /// Bytes of the pages in use.
    pub(super) async fn live_bytes(&mut self) -> Result<u64, db::Error> {
        let row = sqlx::query(
            "SELECT (SELECT page_count FROM pragma_page_count), \
             (SELECT freelist_count FROM pragma_freelist_count), (SELECT page_size FROM pragma_page_size)",
        )
        .fetch_one(self.writer.connection())
        .await
        .and_then(|row| {
            Ok((
                row.try_get::<i64, _>(0)?,
                row.try_get::<i64, _>(1)?,
                row.try_get::<i64, _>(2)?,
            ))
        });
        let (pages, free, size) = row.map_err(|error| self.writer.error(error))?;
        Ok(((pages - free) * size).unsigned_abs())
    }

    /// Moves the log into the file where that is due.
    pub(super) async fn checkpoint_if_due(&mut self) -> Result<(), db::Error> {
        let outcome = self.writer.checkpoint_if_due().await;
        outcome.map_err(|error| self.writer.error(error))
    }

    /// Closes the file.
    pub(super) async fn close(self) -> Result<(), db::Error> {
        self.writer.close().await
    }
}

/// Brings the rows of the traces that changed up to date.
async fn update(
    connection: &mut SqliteConnection,
    words: &Words,
    open: &mut OpenTraces,
    changed: &BTreeSet<(i64, TraceId)>,
) -> Result<(), sqlx::Error> {
    let mut traces = Vec::with_capacity(changed.len());
    let mut parts = Vec::new();
    for (id, trace_id) in changed {
        let trace = open.touch(*trace_id);
        for word in trace.unwritten_parts(words)? {
            parts.push((word, *id));
        }
        traces.extend(TraceRow::new(*trace_id, trace, words)?);
    }
    insert::traces(connection, &traces).await?;
    insert::parts(connection, &parts).await
}
