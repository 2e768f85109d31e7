//! `StateStore`: what handlers remember, in `state.db`: values under keys, in buckets, one space a handler.
//!
//! An answered write survives the sudden end of the process, and a power cut too where [`StateStore::open`] is told
//! so. A value's version changes with every write and is never used again, so `swap` notices also a value that was
//! deleted and came back. Writes are the writer's (`writer.rs`), in groups; reads go to the read-only pool and see every
//! answered write.

mod builtin;
mod store;
mod writer;

use std::path::Path;

use protocol::HandlerName;
use protocol::builtin::state::{
    Answer, Entry, KEY_BYTES_MAX, KEYS_MAX, KeyPage, Operation, Request, VALUE_BYTES_MAX,
};
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::db::group::{self, OPS_WAITING_MAX, ask};
use crate::db::{self, Db, Synchronous};
use crate::shutdown::Tasks;

pub use builtin::StateDispatch;

use writer::{Op, StateJournal, Write, WriteKind, Written};

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Db(#[from] db::Error),
    /// A bucket, key or value is not acceptable.
    #[error("{0}")]
    Invalid(String),
    /// There is something else than a number.
    #[error("the value of `{key}` is not a whole number of 64 bits, or the sum is not")]
    NotANumber {
        /// The key.
        key: String,
    },
}

/// The state of a node's handlers; a cheap clone.
#[derive(Debug, Clone)]
pub struct StateStore {
    db: Db,
    ops: mpsc::Sender<Op>,
}

impl StateStore {
    /// Opens `state.db`; `synchronous` says what an answered write survives. The writer runs in `tasks` and closes the
    /// file when they are cancelled: drain them after everything that uses the store.
    pub async fn open(
        path: &Path,
        synchronous: Synchronous,
        clock: Clock,
        tasks: &Tasks,
    ) -> Result<Self, Error> {
        let (db, writer) = Db::open(path, store::MIGRATIONS, synchronous).await?;
        let (ops, waiting) = mpsc::channel(OPS_WAITING_MAX);
        tasks.spawn(
            "state-writer",
            group::run(writer, StateJournal::new(clock), waiting, tasks.token()),
        );
        Ok(Self { db, ops })
    }

    /// Carries one operation out in the handler's own space.
    pub async fn carry_out(&self, handler: &HandlerName, request: Request) -> Result<Answer, Error> {
        let bucket = request.bucket;
        check_name("bucket", &bucket)?;
        match request.operation {
            Operation::Get { key } => self.get(handler, &bucket, &key).await.map(Answer::Entry),
            Operation::Exists { key } => {
                let entry = self.get(handler, &bucket, &key).await?;
                Ok(Answer::Exists(entry.is_some()))
            }
            Operation::ListKeys { cursor } => {
                let page = self.list_keys(handler, &bucket, cursor.as_deref()).await?;
                Ok(Answer::Keys(page))
            }
            Operation::Set { key, value } => self.write(handler, bucket, key, WriteKind::Set(value)).await,
            Operation::Delete { key } => self.write(handler, bucket, key, WriteKind::Delete).await,
            Operation::Increment { key, delta } => {
                self.write(handler, bucket, key, WriteKind::Increment(delta))
                    .await
            }
            Operation::Swap { key, expected, value } => {
                self.write(handler, bucket, key, WriteKind::Swap { expected, value })
                    .await
            }
        }
    }

    async fn get(&self, handler: &HandlerName, bucket: &str, key: &str) -> Result<Option<Entry>, Error> {
        check_name("key", key)?;
        let mut reader = self
            .db
            .readers()
            .acquire()
            .await
            .map_err(|error| self.db.error(error))?;
        store::get(&mut reader, handler, bucket, key)
            .await
            .map_err(|error| self.db.error(error).into())
    }

    async fn list_keys(
        &self,
        handler: &HandlerName,
        bucket: &str,
        cursor: Option<&str>,
    ) -> Result<KeyPage, Error> {
        // One more than a page, to know whether there is another.
        let limit = KEYS_MAX + 1;
        let mut keys = store::keys(
            self.db.readers(),
            handler,
            bucket,
            cursor.unwrap_or(""),
            limit as i64,
        )
        .await
        .map_err(|error| self.db.error(error))?;
        let more = keys.len() > KEYS_MAX;
        keys.truncate(KEYS_MAX);
        let cursor = if more { keys.last().cloned() } else { None };
        Ok(KeyPage { keys, cursor })
    }

    async fn write(
        &self,
        handler: &HandlerName,
        bucket: String,
        key: String,
        kind: WriteKind,
    ) -> Result<Answer, Error> {
        check_name("key", &key)?;
        if let WriteKind::Set(value) | WriteKind::Swap { value, .. } = &kind
            && value.len() > VALUE_BYTES_MAX
        {
            let message = format!(
                "the value has {} bytes, at most {VALUE_BYTES_MAX} are kept",
                value.len()
            );
            return Err(Error::Invalid(message));
        }
        let write = Write {
            handler: handler.clone(),
            bucket,
            key: key.clone(),
            kind,
        };
        match ask(&self.ops, write, Op).await? {
            Written::Answer(answer) => Ok(answer),
            Written::NotANumber => Err(Error::NotANumber { key }),
        }
    }

    /// Closes the readers. The writer closes the file when its tasks are drained; call this before.
    pub async fn close(&self) {
        self.db.close().await;
    }
}

fn check_name(what: &str, name: &str) -> Result<(), Error> {
    if (1..=KEY_BYTES_MAX).contains(&name.len()) {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "a {what} is 1 to {KEY_BYTES_MAX} bytes long, not {}",
        name.len()
    )))
}

#[cfg(test)]
mod tests;
