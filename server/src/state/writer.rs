//! `StateJournal`: carries a group of writes out, one after the other in one transaction.
//!
//! A later write of a group sees the earlier ones. Versions are taken from memory and kept once a group.

use bytes::Bytes;
use protocol::HandlerName;
use protocol::builtin::state::{Answer, Entry, Swapped};
use sqlx::sqlite::SqliteConnection;

use super::store::{self, NewEntry};
use crate::clock::Clock;
use crate::db;
use crate::db::group::{Journal, Request};

/// A write, and whom to answer.
#[derive(Debug)]
pub(super) struct Op(pub Request<Write, Written>);

/// One write.
#[derive(Debug)]
pub(super) struct Write {
    pub handler: HandlerName,
    pub bucket: String,
    pub key: String,
    pub kind: WriteKind,
}

#[derive(Debug)]
pub(super) enum WriteKind {
    Set(Bytes),
    Delete,
    Increment(i64),
    Swap { expected: Option<u64>, value: Bytes },
}

/// What came of a write.
#[derive(Debug)]
pub(super) enum Written {
    Answer(Answer),
    NotANumber,
}

/// Carries groups of writes out.
#[derive(Debug)]
pub(super) struct StateJournal {
    clock: Clock,
    /// `None` after a rollback, until it is read again.
    last_version: Option<u64>,
}

impl StateJournal {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            last_version: None,
        }
    }
}

impl Journal for StateJournal {
    type Op = Op;

    fn bytes(op: &Op) -> usize {
        let write = &op.0.input;
        let value = match &write.kind {
            WriteKind::Set(value) | WriteKind::Swap { value, .. } => value.len(),
            WriteKind::Delete | WriteKind::Increment(_) => 0,
        };
        value + write.bucket.len() + write.key.len() + 64
    }

    async fn apply(&mut self, connection: &mut SqliteConnection, ops: &mut [Op]) -> Result<(), sqlx::Error> {
        let before = match self.last_version.take() {
            Some(version) => version,
            None => store::last_version(connection).await?,
        };
        let mut group = Group {
            now_ms: self.clock.unix_ms(),
            version: before,
            connection,
        };
        for Op(request) in ops {
            let written = group.write(&request.input).await?;
            request.set(written);
        }
        let version = group.version;
        if version != before {
            store::set_last_version(connection, version).await?;
        }
        self.last_version = Some(version);
        Ok(())
    }

    fn committed(&mut self, ops: Vec<Op>) {
        for Op(request) in ops {
            request.answer();
        }
    }

    fn rolled_back(&mut self) {
        self.last_version = None;
    }

    fn failed(&mut self, op: Op, error: db::Error) {
        op.0.fail(error);
    }
}

/// One group under way.
struct Group<'a> {
    now_ms: i64,
    version: u64,
    connection: &'a mut SqliteConnection,
}

impl Group<'_> {
    async fn write(&mut self, write: &Write) -> Result<Written, sqlx::Error> {
        let answer = match &write.kind {
            WriteKind::Set(value) => {
                self.put(write, value).await?;
                Answer::Nothing
            }
            WriteKind::Delete => {
                store::delete(self.connection, &write.handler, &write.bucket, &write.key).await?;
                Answer::Nothing
            }
            WriteKind::Increment(delta) => {
                let entry = self.get(write).await?;
                let Some(sum) = count_on(entry.as_ref(), *delta) else {
                    return Ok(Written::NotANumber);
                };
                self.put(write, sum.to_string().as_bytes()).await?;
                Answer::Sum(sum)
            }
            WriteKind::Swap { expected, value } => {
                let entry = self.get(write).await?;
                let found = entry.as_ref().map(|entry| entry.version);
                if found == *expected {
                    self.put(write, value).await?;
                    Answer::Swapped(Swapped::Stored(self.version))
                } else {
                    Answer::Swapped(Swapped::Conflict(entry))
                }
            }
        };
        Ok(Written::Answer(answer))
    }

    async fn get(&mut self, write: &Write) -> Result<Option<Entry>, sqlx::Error> {
        store::get(self.connection, &write.handler, &write.bucket, &write.key).await
    }

    async fn put(&mut self, write: &Write, value: &[u8]) -> Result<(), sqlx::Error> {
        self.version += 1;
        let entry = NewEntry {
            handler: &write.handler,
            bucket: &write.bucket,
            key: &write.key,
            version: self.version,
            written_at: self.now_ms,
            value,
        };
        store::put(self.connection, entry).await
    }
}

/// The sum, where the value is a number in decimal text and so is the sum.
fn count_on(entry: Option<&Entry>, delta: i64) -> Option<i64> {
    let number = match entry {
        None => 0,
        Some(entry) => std::str::from_utf8(&entry.value).ok()?.parse::<i64>().ok()?,
    };
    number.checked_add(delta)
}
