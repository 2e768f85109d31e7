//! Statements that write many rows at once, in a few fixed sizes, so that each is prepared once.

use std::sync::{Arc, LazyLock};

use protocol::{Span, SpanStatus, TraceId};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{AssertSqlSafe, Sqlite};

use super::super::summary::{Summary, text_of};
use super::open::OpenTrace;
use super::row::{SPAN_COLUMNS, has_column, number, stage_numbers, status_number, trace_bytes};
use super::words::Words;
use crate::telemetry::fields;

/// The longest name of a span that is kept, in bytes; a request's path can be longer.
const NAME_BYTES_MAX: usize = 1_024;

type Bound = Query<'static, Sqlite, SqliteArguments>;

/// One statement in several sizes, the largest first and 1 last, each a few times the next: so any number of rows takes few
/// statements, and each of them goes to the thread of the connection and back.
type Sizes = [(usize, Arc<str>); 5];

static SPANS: LazyLock<Sizes> =
    LazyLock::new(|| sizes("INSERT INTO spans", &SPAN_COLUMNS, "", [256, 64, 16, 4, 1]));
static PARTS: LazyLock<Sizes> = LazyLock::new(|| {
    sizes(
        "INSERT OR IGNORE INTO parts",
        &["word", "trace"],
        "",
        [256, 64, 16, 4, 1],
    )
});
static TRACES: LazyLock<Sizes> = LazyLock::new(|| {
    let updates: Vec<String> = TRACE_COLUMNS[2..]
        .iter()
        .map(|column| format!("{column} = excluded.{column}"))
        .collect();
    let conflict = format!(" ON CONFLICT (id) DO UPDATE SET {}", updates.join(", "));
    sizes("INSERT INTO traces", &TRACE_COLUMNS, &conflict, [64, 16, 8, 3, 1])
});

/// A trace's columns, in the order in which they are bound and read; all but the first two change as it grows.
pub(super) const TRACE_COLUMNS: [&str; 15] = [
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
];

/// A span with its words looked up.
pub(super) struct SpanRow {
    trace: i64,
    handler: i64,
    node: i64,
    peer: Option<i64>,
    edge: Option<i64>,
    placement: Option<i64>,
    attributes: Option<Vec<u8>>,
    logs: Option<Vec<u8>>,
    span: Span,
}

impl SpanRow {
    pub(super) fn new(trace: i64, mut span: Span, words: &Words) -> Result<Self, sqlx::Error> {
        let word_of = |key| text_of(&span, key).map(|text| words.known_id(text)).transpose();
        let (edge, placement) = (word_of(fields::EDGE)?, word_of(fields::PLACEMENT)?);
        let peer = span.peer.as_ref().map(|peer| words.known_id(peer.as_str()));
        span.attributes.retain(|attribute| !has_column(attribute));
        if span.name.len() > NAME_BYTES_MAX {
            span.name = span.name[..span.name.floor_char_boundary(NAME_BYTES_MAX)].into();
        }
        Ok(Self {
            trace,
            handler: words.known_id(span.handler.as_str())?,
            node: words.known_id(span.node.as_str())?,
            peer: peer.transpose()?,
            edge,
            placement,
            attributes: packed(&span.attributes),
            logs: packed(&span.logs),
            span,
        })
    }

    fn bind(&self, query: Bound) -> Bound {
        let span = &self.span;
        let message = match &span.status {
            SpanStatus::Failed { message, .. } => Some(message.as_str()),
            SpanStatus::Ok | SpanStatus::Err => None,
        };
        let mut query = query
            .bind(self.trace)
            .bind(span.span_id.0.cast_signed())
            .bind(span.parent_id.map(|id| id.0.cast_signed()))
            .bind(span.kind as i64)
            .bind(self.handler)
            .bind(self.node)
            .bind(Arc::clone(&span.name))
            .bind(number(span.start_unix_ns))
            .bind(number(span.duration_ns))
            .bind(status_number(&span.status))
            .bind(message)
            .bind(self.peer)
            .bind(span.transport.map(|transport| transport as i64))
            .bind(span.cold)
            .bind(self.edge)
            .bind(self.placement)
            .bind(span.link.map(|link| trace_bytes(link.trace_id)))
            .bind(span.link.map(|link| link.span_id.0.cast_signed()));
        for stage in stage_numbers(span.stages.as_ref()) {
            query = query.bind(stage);
        }
        query.bind(self.attributes.as_deref()).bind(self.logs.as_deref())
    }
}

/// A trace's row, with its words looked up.
pub(super) struct TraceRow {
    id: i64,
    trace_id: TraceId,
    handler: i64,
    node: i64,
    placement: Option<i64>,
    handlers: Vec<u8>,
    summary: Summary,
}

impl TraceRow {
    /// `None` for a trace without spans.
    pub(super) fn new(
        trace_id: TraceId,
        trace: &OpenTrace,
        words: &Words,
    ) -> Result<Option<Self>, sqlx::Error> {
        let Some(summary) = trace.summary() else {
            return Ok(None);
        };
        let placement = summary.placement().map(|text| words.known_id(text));
        let mut handlers = Vec::with_capacity(4 * summary.handlers.len());
        for handler in &summary.handlers {
            let word = words.known_id(handler.as_str())?;
            let word = u32::try_from(word).expect("there are at most WORDS_MAX words");
            handlers.extend(word.to_le_bytes());
        }
        Ok(Some(Self {
            id: trace.id,
            trace_id,
            handler: words.known_id(summary.root.handler.as_str())?,
            node: words.known_id(summary.root.node.as_str())?,
            placement: placement.transpose()?,
            handlers,
            summary: summary.clone(),
        }))
    }

    fn bind(&self, query: Bound) -> Bound {
        let summary = &self.summary;
        query
            .bind(self.id)
            .bind(trace_bytes(self.trace_id))
            .bind(number(summary.start_unix_ns))
            .bind(number(summary.end_unix_ns))
            .bind(summary.spans)
            .bind(summary.errors)
            .bind(number(summary.nodes.len() as u64))
            .bind(summary.root.span_id.0.cast_signed())
            .bind(Arc::clone(&summary.root.name))
            .bind(self.handler)
            .bind(self.node)
            .bind(number(summary.root.duration_ns))
            .bind(summary.root.error.as_deref())
            .bind(self.placement)
            .bind(self.handlers.as_slice())
    }
}

/// Writes spans.
pub(super) async fn spans(connection: &mut SqliteConnection, rows: &[SpanRow]) -> Result<(), sqlx::Error> {
    all(connection, &SPANS, rows, |query, row| row.bind(query)).await
}

/// Writes traces, or what has changed of them.
pub(super) async fn traces(connection: &mut SqliteConnection, rows: &[TraceRow]) -> Result<(), sqlx::Error> {
    all(connection, &TRACES, rows, |query, row| row.bind(query)).await
}

/// Writes which words are parts of which traces; what is there already stays.
pub(super) async fn parts(connection: &mut SqliteConnection, rows: &[(i64, i64)]) -> Result<(), sqlx::Error> {
    all(connection, &PARTS, rows, |query, (word, trace)| {
        query.bind(*word).bind(*trace)
    })
    .await
}

async fn all<T>(
    connection: &mut SqliteConnection,
    sizes: &Sizes,
    rows: &[T],
    bind: impl Fn(Bound, &T) -> Bound,
) -> Result<(), sqlx::Error> {
    let mut left = rows;
    for (size, statement) in sizes {
        while left.len() >= *size {
            let (these, others) = left.split_at(*size);
            let query = sqlx::query(AssertSqlSafe(Arc::clone(statement)));
            these.iter().fold(query, &bind).execute(&mut *connection).await?;
            left = others;
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

fn packed<T: serde::Serialize>(items: &Vec<T>) -> Option<Vec<u8>> {
    (!items.is_empty()).then(|| postcard::to_stdvec(items).expect("attributes and logs have plain fields"))
}
