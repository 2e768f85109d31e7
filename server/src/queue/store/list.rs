//! Reading queues and messages for people: on the read-only pool, page by page, never in the writer's way.

use std::collections::HashMap;

use bytes::Bytes;
use protocol::api::queues::{LastError, Message, MessageState};
use protocol::span::Link;
use protocol::{FunctionPath, HandlerName, QueueName, TraceContext};
use sqlx::Row;
use sqlx::sqlite::{SqlitePool, SqliteRow};

use super::{Result, function, name, trace};
use crate::queue::message::{MessageId, api_state};

/// Messages of one page at most.
pub const PAGE_MAX: u32 = 200;
/// Bodies up to this size come with a page.
const BODY_SHOWN_MAX: i64 = 64 << 10;

/// How many messages of a queue stand where.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub ready: u64,
    pub waiting: u64,
    pub leased: u64,
    pub dead: u64,
    pub oldest_ready_at: Option<i64>,
}

/// A stored message with what is needed to show its arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// As the API shows it, without arguments.
    pub message: Message,
    /// Who sent it.
    pub caller: HandlerName,
    /// The handler that it is for, where it names one.
    pub handler: Option<HandlerName>,
    /// What its attempts call.
    pub function: Option<FunctionPath>,
    /// The arguments, where they are not too large for a page.
    pub body: Option<Bytes>,
}

/// Every queue's counts. Each state is counted over its own index.
pub(crate) async fn counts(pool: &SqlitePool) -> Result<HashMap<QueueName, Counts>> {
    let rows = sqlx::query(
        "SELECT r.queue, 0, r.n, m.due_at FROM (SELECT queue, count(*) AS n, min(id) AS first \
           FROM messages INDEXED BY messages_ready WHERE state = 0 GROUP BY queue) r \
           JOIN messages m ON m.id = r.first \
         UNION ALL SELECT queue, 1, count(*), NULL \
           FROM messages INDEXED BY messages_leased WHERE state = 1 GROUP BY queue \
         UNION ALL SELECT queue, 2, count(*), NULL \
           FROM messages INDEXED BY messages_delayed WHERE state = 2 GROUP BY queue \
         UNION ALL SELECT queue, 3, count(*), NULL \
           FROM messages INDEXED BY messages_blocked WHERE state = 3 GROUP BY queue \
         UNION ALL SELECT queue, 5, count(*), NULL FROM settled WHERE state = 5 GROUP BY queue",
    )
    .fetch_all(pool)
    .await?;
    let mut counts: HashMap<QueueName, Counts> = HashMap::new();
    for row in rows {
        let queue = counts.entry(name(&row, 0, QueueName::parse)?).or_default();
        let (state, count): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
        let count = count.unsigned_abs();
        match state {
            0 => {
                queue.ready = count;
                queue.oldest_ready_at = row.try_get(3)?;
            }
            1 => queue.leased = count,
            5 => queue.dead = count,
            _ => queue.waiting += count,
        }
    }
    Ok(counts)
}

/// Messages still to be worked off, newest first, below an id. Index `messages_queue`.
async fn live(
    pool: &SqlitePool,
    queue: &QueueName,
    state: Option<MessageState>,
    before: MessageId,
    limit: u32,
) -> Result<Vec<SqliteRow>> {
    // Leased messages are few among many, so they are found by their own index.
    let sql = match state {
        Some(MessageState::Leased) => {
            "SELECT id, queue, state, due_at, attempt, tries, enqueued_at, caller, handler, interface, \
             function, trace, attempt_trace, last_error, length(body), CASE WHEN length(body) <= ?4 THEN body END \
             FROM messages INDEXED BY messages_leased WHERE queue = ?1 AND id < ?2 AND state = 1 \
             ORDER BY id DESC LIMIT ?3"
        }
        Some(_) => {
            "SELECT id, queue, state, due_at, attempt, tries, enqueued_at, caller, handler, interface, \
             function, trace, attempt_trace, last_error, length(body), CASE WHEN length(body) <= ?4 THEN body END \
             FROM messages WHERE queue = ?1 AND id < ?2 AND state <> 1 ORDER BY id DESC LIMIT ?3"
        }
        None => {
            "SELECT id, queue, state, due_at, attempt, tries, enqueued_at, caller, handler, interface, \
             function, trace, attempt_trace, last_error, length(body), CASE WHEN length(body) <= ?4 THEN body END \
             FROM messages WHERE queue = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"
        }
    };
    sqlx::query(sql)
        .bind(queue.as_str())
        .bind(before)
        .bind(limit)
        .bind(BODY_SHOWN_MAX)
        .fetch_all(pool)
        .await
}

/// Messages that ended, newest first, below an id. Index `settled_queue`.
async fn settled(
    pool: &SqlitePool,
    queue: &QueueName,
    stored_state: i64,
    before: MessageId,
    limit: u32,
) -> Result<Vec<SqliteRow>> {
    sqlx::query(
        "SELECT id, queue, state, ended_at, attempt, tries, enqueued_at, caller, handler, interface, function, trace, \
         attempt_trace, last_error, length(body), CASE WHEN length(body) <= ?5 THEN body END \
         FROM settled WHERE queue = ?1 AND state = ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4",
    )
    .bind(queue.as_str())
    .bind(stored_state)
    .bind(before)
    .bind(limit)
    .bind(BODY_SHOWN_MAX)
    .fetch_all(pool)
    .await
}

/// One page of a queue's messages, newest first, below an id.
pub(crate) async fn page(
    pool: &SqlitePool,
    queue: &QueueName,
    state: Option<MessageState>,
    before: MessageId,
    limit: u32,
) -> Result<Vec<Stored>> {
    let limit = limit.clamp(1, PAGE_MAX);
    let mut rows = Vec::new();
    if matches!(state, None | Some(MessageState::Ready | MessageState::Leased)) {
        rows.extend(live(pool, queue, state, before, limit).await?);
    }
    for (of, stored_state) in [(MessageState::Done, 4), (MessageState::Dead, 5)] {
        if state.is_none_or(|state| state == of) {
            rows.extend(settled(pool, queue, stored_state, before, limit).await?);
        }
    }
    // A message that was settled between the two reads is in both; the later read is the truth, so it comes first.
    let mut page = rows.iter().rev().map(stored).collect::<Result<Vec<_>>>()?;
    page.sort_by_key(|stored| std::cmp::Reverse(stored.message.id));
    page.dedup_by_key(|stored| stored.message.id);
    page.truncate(limit as usize);
    Ok(page)
}

/// The whole body of a message, wherever it stands.
pub(crate) async fn body(pool: &SqlitePool, id: MessageId) -> Result<Option<Bytes>> {
    let body: Option<Vec<u8>> = sqlx::query_scalar(
        "SELECT body FROM messages WHERE id = ?1 UNION ALL SELECT body FROM settled WHERE id = ?1 LIMIT 1",
    )
    .bind(id)
    .fetch_optional(pool)
    .await?;
    Ok(body.map(Bytes::from))
}

fn stored(row: &SqliteRow) -> Result<Stored> {
    let function = function(row, 9)?;
    let body: Option<Vec<u8>> = row.try_get(15)?;
    let last_error: Option<&str> = row.try_get(13)?;
    Ok(Stored {
        message: Message {
            id: row.try_get(0)?,
            queue: name(row, 1, QueueName::parse)?,
            state: api_state(row.try_get(2)?),
            function: function.as_ref().map(ToString::to_string).unwrap_or_default(),
            attempt: row.try_get(4)?,
            tries: row.try_get(5)?,
            enqueued_unix_ms: row.try_get(6)?,
            due_unix_ms: row.try_get(3)?,
            body_bytes: row.try_get::<i64, _>(14)?.unsigned_abs(),
            arguments: None,
            last_error: last_error.and_then(|error| serde_json::from_str::<LastError>(error).ok()),
            trace: trace(row, 11)?.and_then(link),
            attempt_trace: trace(row, 12)?.and_then(link),
        },
        caller: name(row, 7, HandlerName::parse)?,
        handler: row
            .try_get::<Option<&str>, _>(8)?
            .and_then(|handler| HandlerName::parse(handler).ok()),
        function,
        body: body.map(Bytes::from),
    })
}

/// A link to a span that was recorded; to one that was not, there is nothing to follow.
fn link(context: TraceContext) -> Option<Link> {
    context.sampled.then_some(Link {
        trace_id: context.trace_id,
        span_id: context.span_id,
    })
}
