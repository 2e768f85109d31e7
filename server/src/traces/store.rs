//! The trace store's writing half: the one connection that writes, and what it remembers between batches.
//!
//! A batch is one transaction: a block of each trace's spans, the rows of the traces that they change, and which handlers
//! and edges took part. Traces that still grow are kept in memory, so that a batch reads only the traces that it has
//! forgotten or not seen. `synchronous=NORMAL`: a power cut may cost the last batches, the end of the process none.
//!
//! Here and below `store/` is all SQL of the traces: `store/pack.rs` makes blocks of a batch, `store/insert.rs` has the
//! statements with many rows, `store/blocks.rs`, `read.rs`, `links.rs` and `sample.rs` what readers ask.

pub(super) mod blocks;
mod insert;
pub(super) mod links;
mod old;
mod open;
mod pack;
pub(super) mod read;
mod row;
pub(super) mod sample;
mod words;

use std::path::Path;
use std::sync::Arc;

use protocol::api::traces::TraceSummary;
use protocol::{Span, TraceId};
use rustc_hash::FxHashMap;
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::block::{BLOCK_SPANS_MAX, Numbers};
use super::limits;
use super::retention::{self, TRACE_SPANS_MAX};
use crate::db::{self, Db, Migration, Synchronous, Writer};

use insert::TraceRow;
use open::{OpenTrace, OpenTraces};
use pack::Packs;
pub(super) use words::Words;

const MIGRATIONS: [Migration; 2] = [
    Migration {
        version: 2_026_112_201,
        sql: include_str!("../../../migrations/traces/2026112201_create_spans.sql"),
    },
    Migration {
        version: 2_026_112_202,
        sql: include_str!("../../../migrations/traces/2026112202_pack_spans.sql"),
    },
];

/// The most traces of a batch that are told to who follows, the newest ones.
const CHANGED_MAX: usize = 100;

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
        let loaded = Self::load(&mut writer).await;
        match loaded {
            Ok((words, next)) => {
                let store = Self {
                    writer,
                    words: Arc::new(words),
                    open: OpenTraces::default(),
                    next,
                };
                Ok((db, store))
            }
            Err(error) => {
                let error = db.error(error);
                db.close().await;
                writer.close().await?;
                Err(error)
            }
        }
    }

    async fn load(writer: &mut Writer) -> Result<(Words, i64), sqlx::Error> {
        let words = Words::load(writer.connection()).await?;
        old::bring_forward(writer.connection(), &words).await?;
        let newest: Option<i64> = sqlx::query_scalar("SELECT max(id) FROM traces")
            .fetch_one(writer.connection())
            .await?;
        Ok((words, newest.unwrap_or(0) + 1))
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

    async fn write_all(&mut self, mut spans: Vec<Span>) -> Result<Written, sqlx::Error> {
        let Self {
            writer,
            words,
            open,
            next,
        } = self;
        let mut written = Written::default();
        let given = spans.len();
        spans.iter_mut().for_each(limits::cut);
        let numbers = words.know(writer.connection(), &mut spans).await?;
        written.refused += (given - spans.len()) as u64;
        let groups = by_trace(&spans, &numbers);

        let mut transaction = writer.begin().await?;
        let unopened = groups.iter().map(|(trace_id, _)| *trace_id);
        let unopened: Vec<TraceId> = unopened.filter(|id| !open.contains(*id)).collect();
        let known = read::known_traces(&mut transaction, &unopened).await?;
        for trace_id in unopened {
            let trace = match known.get(&trace_id) {
                Some(id) => blocks::open_trace(&mut transaction, words, *id).await?,
                None => {
                    *next += 1;
                    OpenTrace::new(*next - 1)
                }
            };
            open.insert(trace_id, trace);
        }
        let mut packs = Packs::default();
        let mut changed = Vec::with_capacity(groups.len());
        for (trace_id, rows) in &groups {
            let trace = open.touch(*trace_id);
            let before = packs.spans;
            for rows in rows.chunks(BLOCK_SPANS_MAX) {
                let room = TRACE_SPANS_MAX.saturating_sub(trace.spans());
                let (rows, beyond) = rows.split_at(rows.len().min(room));
                packs.add(trace, rows);
                let refused = beyond.iter().filter(|(span, _)| !trace.has(span.span_id.0));
                written.refused += refused.count() as u64;
            }
            if packs.spans > before {
                changed.push(*trace_id);
            }
        }
        written.recorded = packs.spans;
        insert::blocks(&mut transaction, packs.blocks).await?;
        insert::links(&mut transaction, packs.links).await?;
        update(&mut transaction, words, open, &changed).await?;
        transaction.commit().await?;
        written.changed = told(open, words, &changed);
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
            "DELETE FROM blocks WHERE id < (?1 + 1) << 20",
            "DELETE FROM links WHERE trace <= ?",
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

/// Spans with their words, by trace, in the order in which each trace came first.
fn by_trace<'a>(spans: &'a [Span], numbers: &[Numbers]) -> Vec<(TraceId, Vec<(&'a Span, Numbers)>)> {
    let mut places: FxHashMap<TraceId, usize> = FxHashMap::default();
    let mut groups: Vec<(TraceId, Vec<(&Span, Numbers)>)> = Vec::new();
    for (span, numbers) in spans.iter().zip(numbers) {
        let place = *places.entry(span.trace_id).or_insert_with(|| {
            groups.push((span.trace_id, Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push((span, *numbers));
    }
    groups
}

/// Brings the rows of the traces that changed up to date, and makes one of a trace's many small blocks.
async fn update(
    connection: &mut SqliteConnection,
    words: &Words,
    open: &mut OpenTraces,
    changed: &[TraceId],
) -> Result<(), sqlx::Error> {
    let mut parts = Vec::new();
    for trace_id in changed {
        let trace = open.touch(*trace_id);
        let id = trace.id;
        parts.extend(trace.unwritten_parts().into_iter().map(|word| (word, id)));
        if let Some(merged) = trace.tail.merge() {
            blocks::merge(connection, words, id, merged).await?;
        }
    }
    let rows = changed.iter().filter_map(|id| TraceRow::new(*id, open.get(*id)?));
    insert::traces(connection, rows.collect()).await?;
    insert::parts(connection, parts).await
}

/// The newest of the traces that changed, as far as their root is there.
fn told(open: &OpenTraces, words: &Words, changed: &[TraceId]) -> Vec<TraceSummary> {
    let mut shown: Vec<(i64, TraceId)> = changed
        .iter()
        .filter_map(|trace_id| {
            let trace = open.get(*trace_id)?;
            let summary = trace.summary.as_ref()?;
            summary.has_root().then_some((trace.id, *trace_id))
        })
        .collect();
    shown.sort_unstable();
    let newest = shown.len().saturating_sub(CHANGED_MAX);
    let show = |(_, trace_id): &(i64, TraceId)| {
        let trace = open.get(*trace_id)?;
        let summary = trace.summary.as_ref()?;
        summary.show(*trace_id, trace.missing(), |word| words.get(word))
    };
    shown[newest..].iter().filter_map(show).collect()
}
