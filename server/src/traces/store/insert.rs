//! Statements that write many rows at once, in a few fixed sizes, so that each is prepared once.

use std::sync::{Arc, LazyLock};

use protocol::TraceId;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{AssertSqlSafe, Sqlite};

use super::super::summary::Summary;
use super::open::OpenTrace;
use super::row::{number, trace_bytes};

type Bound = Query<'static, Sqlite, SqliteArguments>;

/// One statement in several sizes, the largest first and 1 last, each a few times the next: so any number of rows takes few
/// statements, and each of them goes to the thread of the connection and back.
type Sizes = [(usize, Arc<str>); 5];

static BLOCKS: LazyLock<Sizes> =
    LazyLock::new(|| sizes("INSERT INTO blocks", &BLOCK_COLUMNS, "", [256, 64, 16, 4, 1]));
static LINKS: LazyLock<Sizes> = LazyLock::new(|| {
    let columns = ["link_trace", "link_span", "trace", "span", "start_at"];
    sizes("INSERT OR IGNORE INTO links", &columns, "", [256, 64, 16, 4, 1])
});
static PARTS: LazyLock<Sizes> = LazyLock::new(|| {
    sizes(
        "INSERT OR IGNORE INTO parts",
        &["word", "trace"],
        "",
        [1024, 256, 64, 8, 1],
    )
});
static TRACES: LazyLock<Sizes> = LazyLock::new(|| {
    let updates: Vec<String> = TRACE_COLUMNS[2..]
        .iter()
        .map(|column| format!("{column} = excluded.{column}"))
        .collect();
    let conflict = format!(" ON CONFLICT (id) DO UPDATE SET {}", updates.join(", "));
    sizes(
        "INSERT INTO traces",
        &TRACE_COLUMNS,
        &conflict,
        [256, 64, 16, 4, 1],
    )
});

const BLOCK_COLUMNS: [&str; 4] = ["id", "spans", "head", "rest"];

/// A trace's columns, in the order in which they are bound and read; all but the first two change as it grows.
pub(super) const TRACE_COLUMNS: [&str; 16] = [
    "id",
    "trace_id",
    "start_at",
    "end_at",
    "spans",
    "errors",
    "nodes",
    "root_span",
    "root_name",
    "root_handler",
    "root_node",
    "root_ns",
    "root_error",
    "placement",
    "handlers",
    "missing",
];

/// A packed block.
pub(super) struct BlockRow {
    pub(super) id: i64,
    pub(super) spans: usize,
    pub(super) head: Vec<u8>,
    pub(super) rest: Vec<u8>,
}

/// A span that continues one of another trace.
pub(super) struct LinkRow {
    pub(super) link_trace: TraceId,
    pub(super) link_span: u64,
    pub(super) trace: i64,
    pub(super) span: u64,
    pub(super) start_unix_ns: u64,
}

/// A trace's row.
pub(super) struct TraceRow<'a> {
    trace_id: TraceId,
    trace: &'a OpenTrace,
    summary: &'a Summary,
}

impl<'a> TraceRow<'a> {
    /// `None` for a trace without spans.
    pub(super) fn new(trace_id: TraceId, trace: &'a OpenTrace) -> Option<Self> {
        Some(Self {
            trace_id,
            trace,
            summary: trace.summary.as_ref()?,
        })
    }

    fn bind(self, query: Bound) -> Bound {
        let summary = self.summary;
        let handlers: Vec<u8> = summary
            .handlers
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        query
            .bind(self.trace.id)
            .bind(trace_bytes(self.trace_id))
            .bind(number(summary.start_unix_ns))
            .bind(number(summary.end_unix_ns))
            .bind(summary.spans)
            .bind(summary.errors)
            .bind(number(summary.nodes.len() as u64))
            .bind(summary.root.span_id.0.cast_signed())
            .bind(Arc::clone(&summary.root.name))
            .bind(summary.root.handler)
            .bind(summary.root.node)
            .bind(number(summary.root.duration_ns))
            .bind(summary.root.error.clone())
            .bind(summary.placement())
            .bind(handlers)
            .bind(self.trace.missing())
    }
}

/// Writes blocks.
pub(super) async fn blocks(
    connection: &mut SqliteConnection,
    rows: Vec<BlockRow>,
) -> Result<(), sqlx::Error> {
    all(connection, &BLOCKS, rows, |query, row| {
        query
            .bind(row.id)
            .bind(number(row.spans as u64))
            .bind(row.head)
            .bind(row.rest)
    })
    .await
}

/// Writes links; one that is there already stays.
pub(super) async fn links(connection: &mut SqliteConnection, rows: Vec<LinkRow>) -> Result<(), sqlx::Error> {
    all(connection, &LINKS, rows, |query, row| {
        query
            .bind(trace_bytes(row.link_trace))
            .bind(row.link_span.cast_signed())
            .bind(row.trace)
            .bind(row.span.cast_signed())
            .bind(number(row.start_unix_ns))
    })
    .await
}

/// Writes traces, or what has changed of them.
pub(super) async fn traces(
    connection: &mut SqliteConnection,
    rows: Vec<TraceRow<'_>>,
) -> Result<(), sqlx::Error> {
    all(connection, &TRACES, rows, |query, row| row.bind(query)).await
}

/// Writes which words are parts of which traces; what is there already stays.
pub(super) async fn parts(
    connection: &mut SqliteConnection,
    rows: Vec<(u32, i64)>,
) -> Result<(), sqlx::Error> {
    all(connection, &PARTS, rows, |query, (word, trace)| {
        query.bind(word).bind(trace)
    })
    .await
}

async fn all<T>(
    connection: &mut SqliteConnection,
    sizes: &Sizes,
    rows: Vec<T>,
    bind: impl Fn(Bound, T) -> Bound,
) -> Result<(), sqlx::Error> {
    let mut left = rows.into_iter();
    for (size, statement) in sizes {
        while left.len() >= *size {
            let query = sqlx::query(AssertSqlSafe(Arc::clone(statement)));
            let query = left.by_ref().take(*size).fold(query, &bind);
            query.execute(&mut *connection).await?;
        }
    }
    Ok(())
}

fn sizes(head: &str, columns: &[&str], tail: &str, sizes: [usize; 5]) -> Sizes {
    let row = format!("({})", vec!["?"; columns.len()].join(", "));
    sizes.map(|size| {
        let rows = vec![row.as_str(); size].join(", ");
        let statement = format!("{head} ({}) VALUES {rows}{tail}", columns.join(", "));
        (size, statement.into())
    })
}
