//! Statements about messages that leave their lease, and about what became of them.
//!
//! A message that ends is copied to `settled` and deleted from the hot table in one transaction; a dead one that is
//! retried goes the way back. A list of outcomes goes in as JSON rows of id, due time, trace and error.

use protocol::QueueName;
use sqlx::sqlite::SqliteConnection;

use super::{ROWS_MAX, Result, json};
use crate::queue::message::MessageId;

/// How a message leaves the hot table, or goes back in it.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub id: MessageId,
    pub due_ms: i64,
    pub trace: Option<String>,
    pub error: Option<String>,
}

fn outcomes_json(outcomes: &[Outcome]) -> String {
    let rows: Vec<_> = outcomes
        .iter()
        .map(|outcome| (outcome.id, outcome.due_ms, &outcome.trace, &outcome.error))
        .collect();
    json(&rows)
}

/// Puts failed messages back, to be tried at their time.
pub(crate) async fn put_back(connection: &mut SqliteConnection, outcomes: &[Outcome]) -> Result<()> {
    sqlx::query(
        "UPDATE messages SET state = 2, due_at = j.value ->> 1, \
         attempt_trace = coalesce(j.value ->> 2, attempt_trace), last_error = j.value ->> 3 \
         FROM json_each(?) j WHERE messages.id = j.value ->> 0",
    )
    .bind(outcomes_json(outcomes))
    .execute(connection)
    .await
    .map(drop)
}

/// Puts messages back whose attempt never started: it does not count.
pub(crate) async fn release(connection: &mut SqliteConnection, outcomes: &[Outcome]) -> Result<()> {
    sqlx::query(
        "UPDATE messages SET state = 2, attempt = attempt - 1, due_at = j.value ->> 1 \
         FROM json_each(?) j WHERE messages.id = j.value ->> 0",
    )
    .bind(outcomes_json(outcomes))
    .execute(connection)
    .await
    .map(drop)
}

/// Copies messages that ended to `settled`; [`delete`] follows in the same transaction.
pub(crate) async fn settle(
    connection: &mut SqliteConnection,
    state: i64,
    now_ms: i64,
    outcomes: &[Outcome],
) -> Result<()> {
    sqlx::query(
        "INSERT INTO settled (id, queue, state, priority, ended_at, lease, attempt, tries, backoff_ms, timeout_ms, \
         enqueued_at, caller, handler, interface, function, type_hash, order_key, trace, attempt_trace, last_error, \
         body) SELECT m.id, m.queue, ?, m.priority, ?, m.lease, m.attempt, m.tries, m.backoff_ms, m.timeout_ms, \
         m.enqueued_at, m.caller, m.handler, m.interface, m.function, m.type_hash, m.order_key, m.trace, \
         coalesce(j.value ->> 2, m.attempt_trace), coalesce(j.value ->> 3, m.last_error), m.body \
         FROM json_each(?) j CROSS JOIN messages m ON m.id = j.value ->> 0",
    )
    .bind(state)
    .bind(now_ms)
    .bind(outcomes_json(outcomes))
    .execute(connection)
    .await
    .map(drop)
}

/// Takes messages out of the hot table.
pub(crate) async fn delete(connection: &mut SqliteConnection, outcomes: &[Outcome]) -> Result<()> {
    let ids: Vec<MessageId> = outcomes.iter().map(|outcome| outcome.id).collect();
    sqlx::query("DELETE FROM messages WHERE id IN (SELECT value FROM json_each(?))")
        .bind(json(&ids))
        .execute(connection)
        .await
        .map(drop)
}

/// Copies dead messages back, with all their tries; all of the queue's when `ids` is empty, up to [`ROWS_MAX`].
/// A message with an order key comes back blocked; [`unblock`] follows, and [`delete_settled`] before both commit.
pub(crate) async fn revive(
    connection: &mut SqliteConnection,
    queue: &QueueName,
    ids: &[MessageId],
    now_ms: i64,
) -> Result<Vec<(MessageId, Option<String>)>> {
    sqlx::query_as(
        "INSERT INTO messages (id, queue, state, priority, due_at, lease, attempt, tries, backoff_ms, timeout_ms, \
         enqueued_at, caller, handler, interface, function, type_hash, order_key, trace, attempt_trace, last_error, \
         body) SELECT id, queue, CASE WHEN order_key IS NULL THEN 0 ELSE 3 END, priority, ?1, lease, 0, tries, \
         backoff_ms, timeout_ms, enqueued_at, caller, handler, interface, function, type_hash, order_key, trace, \
         attempt_trace, last_error, body FROM settled WHERE queue = ?2 AND state = 5 \
         AND (?3 = '[]' OR id IN (SELECT value FROM json_each(?3))) ORDER BY id LIMIT ?4 RETURNING id, order_key",
    )
    .bind(now_ms)
    .bind(queue.as_str())
    .bind(json(&ids))
    .bind(ROWS_MAX)
    .fetch_all(connection)
    .await
}

/// Takes messages out of `settled`.
pub(crate) async fn delete_settled(connection: &mut SqliteConnection, ids: &[MessageId]) -> Result<()> {
    sqlx::query("DELETE FROM settled WHERE id IN (SELECT value FROM json_each(?))")
        .bind(json(&ids))
        .execute(connection)
        .await
        .map(drop)
}

/// Forgets dead messages of a queue: these, or up to [`ROWS_MAX`] of all when `ids` is empty.
pub(crate) async fn forget_dead(
    connection: &mut SqliteConnection,
    queue: &QueueName,
    ids: &[MessageId],
) -> Result<u64> {
    let done = sqlx::query(
        "DELETE FROM settled WHERE id IN (SELECT id FROM settled WHERE queue = ?1 AND state = 5 \
         AND (?2 = '[]' OR id IN (SELECT value FROM json_each(?2))) LIMIT ?3)",
    )
    .bind(queue.as_str())
    .bind(json(&ids))
    .bind(ROWS_MAX)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Forgets done messages that ended before a time, or are not among the last `keep`. Index `settled_done`.
pub(crate) async fn forget_done(connection: &mut SqliteConnection, before_ms: i64, keep: i64) -> Result<u64> {
    let done = sqlx::query(
        "DELETE FROM settled WHERE id IN (SELECT id FROM settled WHERE state = 4 AND ended_at < ?1 \
         UNION SELECT id FROM (SELECT id FROM settled WHERE state = 4 ORDER BY ended_at DESC, id DESC \
         LIMIT ?3 OFFSET ?2))",
    )
    .bind(before_ms)
    .bind(keep)
    .bind(ROWS_MAX)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
