//! Every SQL statement about handlers' state, one function each. The primary key serves all of them.

use bytes::Bytes;
use protocol::HandlerName;
use protocol::builtin::state::Entry;
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use crate::db::Migration;

/// The schema's steps.
pub(super) const MIGRATIONS: &[Migration] = &[Migration {
    version: 2_026_112_201,
    sql: include_str!("../../../migrations/state/2026112201_create_entries.sql"),
}];

type Result<T> = std::result::Result<T, sqlx::Error>;

/// The value under a key.
pub(super) async fn get(
    connection: &mut SqliteConnection,
    handler: &HandlerName,
    bucket: &str,
    key: &str,
) -> Result<Option<Entry>> {
    let row: Option<(Vec<u8>, i64)> =
        sqlx::query_as("SELECT value, version FROM entries WHERE handler = ? AND bucket = ? AND key = ?")
            .bind(handler.as_str())
            .bind(bucket)
            .bind(key)
            .fetch_optional(connection)
            .await?;
    Ok(row.map(|(value, version)| Entry {
        value: Bytes::from(value),
        version: version.unsigned_abs(),
    }))
}

/// Keys after another, in byte order.
pub(super) async fn keys(
    pool: &SqlitePool,
    handler: &HandlerName,
    bucket: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<String>> {
    sqlx::query_scalar(
        "SELECT key FROM entries WHERE handler = ? AND bucket = ? AND key > ? ORDER BY key LIMIT ?",
    )
    .bind(handler.as_str())
    .bind(bucket)
    .bind(after)
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// A value to be written.
#[derive(Debug)]
pub(super) struct NewEntry<'a> {
    pub handler: &'a HandlerName,
    pub bucket: &'a str,
    pub key: &'a str,
    pub version: u64,
    pub written_at: i64,
    pub value: &'a [u8],
}

/// Writes a value, whatever stood there before.
pub(super) async fn put(connection: &mut SqliteConnection, entry: NewEntry<'_>) -> Result<()> {
    sqlx::query(
        "INSERT INTO entries (handler, bucket, key, version, written_at, value) VALUES (?, ?, ?, ?, ?, ?) \
         ON CONFLICT (handler, bucket, key) DO UPDATE SET version = excluded.version, \
         written_at = excluded.written_at, value = excluded.value",
    )
    .bind(entry.handler.as_str())
    .bind(entry.bucket)
    .bind(entry.key)
    .bind(entry.version.cast_signed())
    .bind(entry.written_at)
    .bind(entry.value)
    .execute(connection)
    .await
    .map(drop)
}

/// Removes a key.
pub(super) async fn delete(
    connection: &mut SqliteConnection,
    handler: &HandlerName,
    bucket: &str,
    key: &str,
) -> Result<()> {
    sqlx::query("DELETE FROM entries WHERE handler = ? AND bucket = ? AND key = ?")
        .bind(handler.as_str())
        .bind(bucket)
        .bind(key)
        .execute(connection)
        .await
        .map(drop)
}

/// The last version given.
pub(super) async fn last_version(connection: &mut SqliteConnection) -> Result<u64> {
    let last: i64 = sqlx::query_scalar("SELECT last FROM versions WHERE id = 1")
        .fetch_one(connection)
        .await?;
    Ok(last.unsigned_abs())
}

/// Keeps the last version given, in the transaction that used it.
pub(super) async fn set_last_version(connection: &mut SqliteConnection, last: u64) -> Result<()> {
    sqlx::query("UPDATE versions SET last = ? WHERE id = 1")
        .bind(last.cast_signed())
        .execute(connection)
        .await
        .map(drop)
}
