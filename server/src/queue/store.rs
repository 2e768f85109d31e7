//! Every SQL statement about messages and queues, one function each; what they mean together is in `writer.rs`.
//!
//! States are literals in the text, because SQLite uses a partial index only where its condition stands in the query.
//! Lists of ids go in as JSON. Times are parameters, in ms since the Unix epoch. Settling is in
//! `store/settle.rs`, reading for people in `store/list.rs`.

mod list;
mod settle;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use protocol::{FunctionPath, HandlerName, InterfaceName, QueueName, TraceContext, TypeHash};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Row};

use super::message::{Lease, MessageId, NewMessage};
use crate::db::Migration;

pub use list::{PAGE_MAX, Stored};
pub(super) use list::{body, counts, page};
pub(super) use settle::{
    Outcome, delete, delete_settled, forget_dead, forget_done, put_back, release, revive, settle,
};

/// The schema's steps.
pub(super) const MIGRATIONS: &[Migration] = &[Migration {
    version: 2_026_112_201,
    sql: include_str!("../../../migrations/queue/2026112201_create_messages.sql"),
}];

/// Rows of one insert: a few texts, which stay prepared.
const INSERT_SIZES: [usize; 5] = [512, 128, 32, 8, 1];
/// Rows that one statement moves at most, so that no group takes long.
pub(super) const ROWS_MAX: i64 = 1_024;

type Result<T> = std::result::Result<T, sqlx::Error>;

static INSERTS: LazyLock<[Arc<str>; 5]> = LazyLock::new(|| {
    INSERT_SIZES.map(|rows| {
        let mut sql = String::from(
            "INSERT INTO messages (id, queue, state, priority, due_at, tries, backoff_ms, timeout_ms, \
             enqueued_at, caller, handler, interface, function, type_hash, order_key, trace, body) VALUES ",
        );
        let row = format!("({})", ["?"; 17].join(", "));
        write!(sql, "{}", vec![row; rows].join(", ")).expect("a string takes what is written");
        sql.into()
    })
});

/// A message with what the writer decided about it.
#[derive(Debug)]
pub(super) struct NewRow<'a> {
    pub id: MessageId,
    pub blocked: bool,
    pub now_ms: i64,
    pub message: &'a NewMessage,
}

impl NewRow<'_> {
    pub(super) fn due_ms(&self) -> i64 {
        let delay = i64::try_from(self.message.delay.as_millis()).unwrap_or(i64::MAX);
        self.now_ms.saturating_add(delay)
    }

    fn state(&self) -> i64 {
        match self.message.delay.is_zero() {
            _ if self.blocked => 3,
            true => 0,
            false => 2,
        }
    }
}

/// A queue as it is stored.
#[derive(Debug, Clone)]
pub(super) struct QueueRow {
    pub name: QueueName,
    pub kind: i64,
    pub tries: u32,
    pub paused: bool,
    /// Messages that wait, are leased or dead.
    pub held: u64,
}

/// A leased message, as far as settling it needs.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub id: MessageId,
    pub lease: u32,
    pub queue: QueueName,
    pub attempt: u32,
    pub tries: u32,
    pub backoff: Duration,
    pub order_key: Option<String>,
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("numbers and texts always have a JSON form")
}

/// The highest id ever given; the sequence survives the rows.
pub(super) async fn last_id(connection: &mut SqliteConnection) -> Result<MessageId> {
    let seq: Option<i64> = sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'messages'")
        .fetch_optional(connection)
        .await?;
    Ok(seq.unwrap_or(0))
}

/// Every queue with the number of its messages, done ones aside.
pub(super) async fn queues(connection: &mut SqliteConnection) -> Result<Vec<QueueRow>> {
    let rows = sqlx::query(
        "SELECT q.name, q.kind, q.tries, q.paused, \
         (SELECT count(*) FROM messages m WHERE m.queue = q.name) + \
         (SELECT count(*) FROM settled s WHERE s.queue = q.name AND s.state = 5) FROM queues q",
    )
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(QueueRow {
                name: name(row, 0, QueueName::parse)?,
                kind: row.try_get(1)?,
                tries: row.try_get(2)?,
                paused: row.try_get(3)?,
                held: row.try_get::<i64, _>(4)?.unsigned_abs(),
            })
        })
        .collect()
}

/// Writes a queue's settings; its pause stays.
pub(super) async fn put_queue(
    connection: &mut SqliteConnection,
    queue: &QueueName,
    kind: i64,
    tries: u32,
    now_ms: i64,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO queues (name, kind, tries, created_at) VALUES (?, ?, ?, ?) \
         ON CONFLICT (name) DO UPDATE SET tries = excluded.tries",
    )
    .bind(queue.as_str())
    .bind(kind)
    .bind(tries)
    .bind(now_ms)
    .execute(connection)
    .await
    .map(drop)
}

/// Pauses or resumes a queue; whether there is one.
pub(super) async fn set_paused(
    connection: &mut SqliteConnection,
    queue: &QueueName,
    paused: bool,
) -> Result<bool> {
    let done = sqlx::query("UPDATE queues SET paused = ? WHERE name = ?")
        .bind(paused)
        .bind(queue.as_str())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Inserts messages, in statements of a few fixed sizes.
pub(super) async fn insert(connection: &mut SqliteConnection, rows: &[NewRow<'_>]) -> Result<()> {
    let mut rest = rows;
    for (size, sql) in INSERT_SIZES.into_iter().zip(INSERTS.iter()) {
        while rest.len() >= size {
            let (now, later) = rest.split_at(size);
            rest = later;
            let mut query = sqlx::query(AssertSqlSafe(Arc::clone(sql)));
            for row in now {
                let message = row.message;
                query = query
                    .bind(row.id)
                    .bind(message.queue.as_str())
                    .bind(row.state())
                    .bind(message.priority)
                    .bind(row.due_ms())
                    .bind(message.tries)
                    .bind(millis(message.backoff))
                    .bind(millis(message.timeout))
                    .bind(row.now_ms)
                    .bind(message.caller.as_str())
                    .bind(message.handler.as_ref().map(HandlerName::as_str))
                    .bind(
                        message
                            .function
                            .as_ref()
                            .map(|function| function.interface.as_str()),
                    )
                    .bind(
                        message
                            .function
                            .as_ref()
                            .map(|function| function.function.as_ref()),
                    )
                    .bind(message.type_hash.map(|hash| hash.0.to_vec()))
                    .bind(message.order_key.as_deref())
                    .bind(message.trace.map(|trace| trace.to_header()))
                    .bind(message.body.as_ref());
            }
            query.execute(&mut *connection).await?;
        }
    }
    Ok(())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Messages by dedupe key, of the keys that are still remembered: (queue, key, message).
pub(super) async fn remembered(
    connection: &mut SqliteConnection,
    keys: &[(&str, &str)],
    now_ms: i64,
) -> Result<Vec<(String, String, MessageId)>> {
    sqlx::query_as(
        "SELECT d.queue, d.key, d.message_id FROM json_each(?) j CROSS JOIN dedupe_keys d \
         ON d.queue = j.value ->> 0 AND d.key = j.value ->> 1 \
         WHERE d.until_at > ? OR EXISTS (SELECT 1 FROM messages m WHERE m.id = d.message_id)",
    )
    .bind(json(&keys))
    .bind(now_ms)
    .fetch_all(connection)
    .await
}

/// Remembers dedupe keys: (queue, key, message).
pub(super) async fn remember(
    connection: &mut SqliteConnection,
    keys: &[(&str, &str, MessageId)],
    until_ms: i64,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO dedupe_keys (queue, key, message_id, until_at) \
         SELECT j.value ->> 0, j.value ->> 1, j.value ->> 2, ? FROM json_each(?) j WHERE true \
         ON CONFLICT (queue, key) DO UPDATE SET message_id = excluded.message_id, until_at = excluded.until_at",
    )
    .bind(until_ms)
    .bind(json(&keys))
    .execute(connection)
    .await
    .map(drop)
}

/// Forgets dedupe keys whose time is over and whose message is settled.
pub(super) async fn forget_keys(connection: &mut SqliteConnection, now_ms: i64) -> Result<()> {
    sqlx::query(
        "DELETE FROM dedupe_keys WHERE (queue, key) IN (SELECT d.queue, d.key FROM dedupe_keys d \
         WHERE d.until_at <= ? AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = d.message_id) LIMIT ?)",
    )
    .bind(now_ms)
    .bind(ROWS_MAX)
    .execute(connection)
    .await
    .map(drop)
}

/// Lets the next message of each lane go where none is under way: (queue, order key). Index `messages_blocked`.
pub(super) async fn unblock(
    connection: &mut SqliteConnection,
    lanes: &HashSet<(QueueName, String)>,
    now_ms: i64,
) -> Result<Vec<(QueueName, i64)>> {
    let lanes: Vec<_> = lanes.iter().map(|(queue, key)| (queue.as_str(), key)).collect();
    let rows = sqlx::query(
        "UPDATE messages SET state = CASE WHEN due_at > ?1 THEN 2 ELSE 0 END WHERE id IN ( \
         SELECT (SELECT min(b.id) FROM messages b \
           WHERE b.state = 3 AND b.queue = l.value ->> 0 AND b.order_key = l.value ->> 1) \
         FROM json_each(?2) l WHERE NOT EXISTS (SELECT 1 FROM messages a WHERE a.queue = l.value ->> 0 \
           AND a.order_key = l.value ->> 1 AND a.order_key IS NOT NULL AND a.state <> 3)) \
         RETURNING queue, due_at",
    )
    .bind(now_ms)
    .bind(json(&lanes))
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| Ok((name(row, 0, QueueName::parse)?, row.try_get(1)?)))
        .collect()
}

/// Makes delayed messages ready whose time has come; their queues. Index `messages_delayed`.
pub(super) async fn promote(connection: &mut SqliteConnection, now_ms: i64) -> Result<Vec<QueueName>> {
    let rows = sqlx::query(
        "UPDATE messages SET state = 0 WHERE id IN (SELECT id FROM messages \
         WHERE state = 2 AND due_at <= ? ORDER BY due_at LIMIT ?) RETURNING queue",
    )
    .bind(now_ms)
    .bind(ROWS_MAX)
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| name(row, 0, QueueName::parse)).collect()
}

/// When the next delay or lease ends. Indexes `messages_leased` and `messages_delayed`.
pub(super) async fn next_due(connection: &mut SqliteConnection) -> Result<Option<i64>> {
    sqlx::query_scalar(
        "SELECT min(due) FROM (SELECT min(due_at) AS due FROM messages WHERE state = 1 \
         UNION ALL SELECT min(due_at) FROM messages WHERE state = 2)",
    )
    .fetch_one(connection)
    .await
}

/// Leases the next messages of a queue: higher priority first, then the older. Index `messages_ready`.
pub(super) async fn lease(
    connection: &mut SqliteConnection,
    queue: &QueueName,
    count: u32,
    until_ms: i64,
) -> Result<Vec<Lease>> {
    let rows = sqlx::query(
        "UPDATE messages SET state = 1, attempt = attempt + 1, lease = lease + 1, due_at = ?1 \
         WHERE id IN (SELECT id FROM messages WHERE queue = ?2 AND state = 0 ORDER BY priority DESC, id LIMIT ?3) \
         RETURNING id, lease, attempt, tries, timeout_ms, enqueued_at, caller, handler, interface, function, \
         type_hash, trace, body, priority",
    )
    .bind(until_ms)
    .bind(queue.as_str())
    .bind(count)
    .fetch_all(connection)
    .await?;
    let mut leases = rows
        .iter()
        .map(|row| Ok((row.try_get::<i32, _>(13)?, lease_of(row, until_ms)?)))
        .collect::<Result<Vec<_>>>()?;
    leases.sort_by_key(|(priority, lease)| (std::cmp::Reverse(*priority), lease.id));
    Ok(leases.into_iter().map(|(_, lease)| lease).collect())
}

fn lease_of(row: &SqliteRow, until_ms: i64) -> Result<Lease> {
    Ok(Lease {
        id: row.try_get(0)?,
        lease: row.try_get(1)?,
        attempt: row.try_get(2)?,
        tries: row.try_get(3)?,
        until_ms,
        timeout: Duration::from_millis(row.try_get::<i64, _>(4)?.unsigned_abs()),
        enqueued_ms: row.try_get(5)?,
        caller: name(row, 6, HandlerName::parse)?,
        handler: optional_name(row, 7, HandlerName::parse)?,
        function: function(row, 8)?.map(Arc::new),
        type_hash: type_hash(row, 10)?,
        trace: trace(row, 11)?,
        body: Bytes::from(row.try_get::<Vec<u8>, _>(12)?),
    })
}

/// The messages of these fences (id, lease) that are still leased so.
pub(super) async fn held(
    connection: &mut SqliteConnection,
    fences: &[(MessageId, u32)],
) -> Result<Vec<Held>> {
    let rows = sqlx::query(
        "SELECT m.id, m.lease, m.queue, m.attempt, m.tries, m.backoff_ms, m.order_key FROM json_each(?) j \
         CROSS JOIN messages m ON m.id = j.value ->> 0 WHERE m.lease = j.value ->> 1 AND m.state = 1",
    )
    .bind(json(&fences))
    .fetch_all(connection)
    .await?;
    rows.iter().map(held_of).collect()
}

/// The messages whose lease has ended. Index `messages_leased`.
pub(super) async fn expired(connection: &mut SqliteConnection, now_ms: i64) -> Result<Vec<Held>> {
    let rows = sqlx::query(
        "SELECT id, lease, queue, attempt, tries, backoff_ms, order_key FROM messages \
         WHERE state = 1 AND due_at <= ? ORDER BY due_at LIMIT ?",
    )
    .bind(now_ms)
    .bind(ROWS_MAX)
    .fetch_all(connection)
    .await?;
    rows.iter().map(held_of).collect()
}

fn held_of(row: &SqliteRow) -> Result<Held> {
    Ok(Held {
        id: row.try_get(0)?,
        lease: row.try_get(1)?,
        queue: name(row, 2, QueueName::parse)?,
        attempt: row.try_get(3)?,
        tries: row.try_get(4)?,
        backoff: Duration::from_millis(row.try_get::<i64, _>(5)?.unsigned_abs()),
        order_key: row.try_get(6)?,
    })
}

/// Ends every lease now: at start, their holders are gone.
pub(super) async fn end_leases(connection: &mut SqliteConnection, now_ms: i64) -> Result<u64> {
    let done = sqlx::query("UPDATE messages SET due_at = ? WHERE state = 1")
        .bind(now_ms)
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}

/// Extends leases (id, lease, until) and says which of them still stood.
pub(super) async fn extend(
    connection: &mut SqliteConnection,
    leases: &[(MessageId, u32, i64)],
) -> Result<HashSet<MessageId>> {
    let ids: Vec<MessageId> = sqlx::query_scalar(
        "UPDATE messages SET due_at = j.value ->> 2 FROM json_each(?) j \
         WHERE messages.id = j.value ->> 0 AND messages.lease = j.value ->> 1 AND messages.state = 1 \
         RETURNING messages.id",
    )
    .bind(json(&leases))
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().collect())
}

/// A stored name; that it parses is an invariant of the writer, so another is a damaged file.
pub(super) fn name<T, E: std::error::Error + Send + Sync + 'static>(
    row: &SqliteRow,
    column: usize,
    parse: impl Fn(&str) -> std::result::Result<T, E>,
) -> Result<T> {
    parse(row.try_get(column)?).map_err(|error| sqlx::Error::Decode(error.into()))
}

fn optional_name<T, E: std::error::Error + Send + Sync + 'static>(
    row: &SqliteRow,
    column: usize,
    parse: impl Fn(&str) -> std::result::Result<T, E>,
) -> Result<Option<T>> {
    let text: Option<&str> = row.try_get(column)?;
    text.map(parse)
        .transpose()
        .map_err(|error| sqlx::Error::Decode(error.into()))
}

/// The function in two columns, interface first.
pub(super) fn function(row: &SqliteRow, column: usize) -> Result<Option<FunctionPath>> {
    let interface = optional_name(row, column, InterfaceName::parse)?;
    let function: Option<&str> = row.try_get(column + 1)?;
    Ok(interface
        .zip(function)
        .map(|(interface, function)| FunctionPath::new(interface, function)))
}

fn type_hash(row: &SqliteRow, column: usize) -> Result<Option<TypeHash>> {
    let bytes: Option<Vec<u8>> = row.try_get(column)?;
    Ok(bytes.and_then(|bytes| bytes.try_into().ok()).map(TypeHash))
}

/// A stored trace context.
pub(super) fn trace(row: &SqliteRow, column: usize) -> Result<Option<TraceContext>> {
    let header: Option<&str> = row.try_get(column)?;
    Ok(header.and_then(TraceContext::from_header))
}
