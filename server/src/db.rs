//! `Db`: one SQLite file with one writer and a small read-only pool.
//!
//! Promises: WAL, private (0600), migrated to exactly the version that this program knows; a file from a newer version,
//! a locked or an unwritable one is refused with the remedy. The one [`Writer`] is handed to the task that owns all
//! writing ([`group`] is that task's loop); nothing else writes or checkpoints. Readers never wait for the writer.
//!
//! Not here: any statement about a store's own tables. Those are in the `store.rs` of each store.

pub mod group;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, Connection, Row, Sqlite, Transaction};

/// How long a statement waits for another process's lock before it fails.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that read: one for a page, one for a stream of events.
const READERS_MAX: u32 = 2;
/// How long a reader waits for a free connection.
const READER_TIMEOUT: Duration = Duration::from_secs(5);
/// Rows that a statement may be ahead of who reads them: each time it has to wait costs two switches of threads.
const ROWS_WAITING_MAX: usize = 1_024;
/// The write-ahead log is moved into the file when it grows beyond this: some thousand messages.
const WAL_BYTES_MAX: u64 = 4 << 20;
/// A checkpoint that a reader held up is tried again after this much more.
const WAL_RETRY_BYTES: u64 = 1 << 20;
/// Before 3.51.3 two connections could corrupt a file that one of them checkpointed.
const SQLITE_VERSION_MIN: (u32, u32, u32) = (3, 51, 3);

/// One step from a version to the next; never edited after it has landed.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// `YYYYMMDDNN`, as in the file's name; it becomes the file's `user_version`.
    pub version: i32,
    /// The statements.
    pub sql: &'static str,
}

/// What a committed transaction survives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// The end of the process, however sudden.
    #[default]
    Normal,
    /// A power cut too: each commit waits for the disk.
    Full,
}

/// Why a database could not be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Written by a later version of this program.
    #[error(
        "open `{path}`: it was written by a newer version (its schema is {found}, this one knows {known}); \
         start that version again or choose another data directory"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i32,
        /// The newest version known here.
        known: i32,
    },
    /// No right to write.
    #[error("open `{path}`: not writable; check the owner and the permissions of the file and its directory")]
    NotWritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another process holds it.
    #[error("open `{path}`: locked by another process; stop it or choose another data directory")]
    Locked {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: sqlx::Error,
    },
    /// Some other file.
    #[error("open `{path}`: not a database, or a damaged one; move it away or choose another data directory")]
    NotADatabase {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: sqlx::Error,
    },
    /// The linked SQLite can corrupt files.
    #[error("open `{path}`: SQLite {found} is linked, 3.51.3 or later is needed; build with the bundled one")]
    OldSqlite {
        /// The file.
        path: PathBuf,
        /// The version that is linked.
        found: String,
    },
    /// Anything else that SQLite refuses.
    #[error("use `{path}`: {source}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: sqlx::Error,
    },
    /// Anything else that the system refuses.
    #[error("open `{path}`: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The task that writes has ended.
    #[error("write: the store is closed")]
    Closed,
    /// A batch was rolled back.
    #[error("write: {0}")]
    RolledBack(String),
}

/// An open database, seen by its readers; a cheap clone.
#[derive(Clone)]
pub struct Db {
    path: PathBuf,
    readers: SqlitePool,
}

impl Db {
    /// Opens the file, creates it where there is none, and brings it to the newest of `migrations`, which are in the
    /// order of their versions.
    pub async fn open(
        path: &Path,
        migrations: &[Migration],
        synchronous: Synchronous,
    ) -> Result<(Self, Writer), Error> {
        create_private(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            .synchronous(match synchronous {
                Synchronous::Normal => SqliteSynchronous::Normal,
                Synchronous::Full => SqliteSynchronous::Full,
            })
            .pragma("temp_store", "MEMORY")
            .row_buffer_size(ROWS_WAITING_MAX);
        let writing = options
            .clone()
            .journal_mode(SqliteJournalMode::Wal)
            // The writer checkpoints between batches, so that no commit waits for it.
            .pragma("wal_autocheckpoint", "0")
            .pragma("journal_size_limit", WAL_BYTES_MAX.to_string());
        let mut connection = SqliteConnection::connect_with(&writing)
            .await
            .map_err(|source| classify(path, source))?;
        let fit = match check_sqlite(path, &mut connection).await {
            Ok(()) => migrate(path, &mut connection, migrations).await,
            refused => refused,
        };
        if let Err(error) = fit {
            // Dropped, it would be closed by a thread that the end of the process may overtake.
            let _ = connection.close().await;
            return Err(error);
        }
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .acquire_timeout(READER_TIMEOUT)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(options.read_only(true));
        let db = Self {
            path: path.to_owned(),
            readers,
        };
        Ok((db, Writer::new(path, connection)))
    }

    /// The read-only pool.
    pub fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names the file in an error of a statement.
    pub fn error(&self, source: sqlx::Error) -> Error {
        Error::Sqlite {
            path: self.path.clone(),
            source,
        }
    }

    /// Bytes on disk, the write-ahead log included.
    pub fn file_bytes(&self) -> u64 {
        file_len(&self.path) + file_len(&wal_path(&self.path))
    }

    /// Closes the readers; call it before the writer ends, which then cleans up the write-ahead log.
    pub async fn close(&self) {
        self.readers.close().await;
    }
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Db").field(&self.path).finish()
    }
}

/// The one connection that writes.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    wal: PathBuf,
    connection: SqliteConnection,
    checkpoint_bytes: u64,
}

impl Writer {
    fn new(path: &Path, connection: SqliteConnection) -> Self {
        Self {
            path: path.to_owned(),
            wal: wal_path(path),
            connection,
            checkpoint_bytes: WAL_BYTES_MAX,
        }
    }

    /// Begins a transaction that can write from its first statement on, so that it never fails half-way for a lock.
    pub async fn begin(&mut self) -> Result<Transaction<'_, Sqlite>, sqlx::Error> {
        self.connection.begin_with("BEGIN IMMEDIATE").await
    }

    /// The connection, for statements outside of a transaction.
    pub fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names the file in an error of a statement.
    pub fn error(&self, source: sqlx::Error) -> Error {
        Error::Sqlite {
            path: self.path.clone(),
            source,
        }
    }

    /// Moves the write-ahead log into the file where it has grown enough; to be called between batches. The log's
    /// length is a fair measure because `journal_size_limit` cuts it when it starts anew.
    pub async fn checkpoint_if_due(&mut self) -> Result<(), sqlx::Error> {
        if file_len(&self.wal) <= self.checkpoint_bytes {
            return Ok(());
        }
        let row = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)")
            .fetch_one(&mut self.connection)
            .await?;
        let (pages, moved): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
        self.checkpoint_bytes = if moved < pages {
            file_len(&self.wal) + WAL_RETRY_BYTES
        } else {
            WAL_BYTES_MAX
        };
        Ok(())
    }

    /// Closes the connection; the last one moves the whole write-ahead log into the file.
    pub async fn close(self) -> Result<(), Error> {
        let path = self.path;
        self.connection
            .close()
            .await
            .map_err(|source| Error::Sqlite { path, source })
    }
}

fn wal_path(path: &Path) -> PathBuf {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    PathBuf::from(wal)
}

fn file_len(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Creates the file with its final permissions; SQLite gives the log beside it the same ones.
fn create_private(path: &Path) -> Result<(), Error> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(source) => Err(match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Error::NotWritable {
                path: path.to_owned(),
                source: source.into(),
            },
            _ => Error::Io {
                path: path.to_owned(),
                source,
            },
        }),
    }
}

/// SQLite's primary result codes that have a remedy of their own.
fn classify(path: &Path, source: sqlx::Error) -> Error {
    const BUSY: i32 = 5;
    const LOCKED: i32 = 6;
    const READONLY: i32 = 8;
    const CANTOPEN: i32 = 14;
    const NOTADB: i32 = 26;
    const CORRUPT: i32 = 11;
    let path = path.to_owned();
    let code = source
        .as_database_error()
        .and_then(|error| error.code())
        .and_then(|code| code.parse::<i32>().ok())
        .map(|code| code & 0xff);
    match code {
        Some(BUSY | LOCKED) => Error::Locked { path, source },
        Some(READONLY | CANTOPEN) => Error::NotWritable {
            path,
            source: source.into(),
        },
        Some(NOTADB | CORRUPT) => Error::NotADatabase { path, source },
        _ => Error::Sqlite { path, source },
    }
}

async fn check_sqlite(path: &Path, connection: &mut SqliteConnection) -> Result<(), Error> {
    let found: String = sqlx::query_scalar("SELECT sqlite_version()")
        .fetch_one(connection)
        .await
        .map_err(|source| classify(path, source))?;
    if parse_version(&found) >= Some(SQLITE_VERSION_MIN) {
        Ok(())
    } else {
        let path = path.to_owned();
        Err(Error::OldSqlite { path, found })
    }
}

fn parse_version(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text.split('.').map(str::parse);
    match (parts.next()?, parts.next()?, parts.next()?) {
        (Ok(major), Ok(minor), Ok(patch)) => Some((major, minor, patch)),
        _ => None,
    }
}

/// Applies what is missing, each step with its version in one transaction.
async fn migrate(
    path: &Path,
    connection: &mut SqliteConnection,
    migrations: &[Migration],
) -> Result<(), Error> {
    let fault = |source| classify(path, source);
    let found: i32 = sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(&mut *connection)
        .await
        .map_err(fault)?;
    let known = migrations.last().map_or(0, |migration| migration.version);
    if found > known {
        return Err(Error::Newer {
            path: path.to_owned(),
            found,
            known,
        });
    }
    for migration in migrations.iter().filter(|migration| migration.version > found) {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
        sqlx::raw_sql(migration.sql)
            .execute(&mut *transaction)
            .await
            .map_err(fault)?;
        let version = format!("PRAGMA user_version = {}", migration.version);
        sqlx::raw_sql(AssertSqlSafe(version))
            .execute(&mut *transaction)
            .await
            .map_err(fault)?;
        transaction.commit().await.map_err(fault)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
