//! Opening, migrating and refusing files.

use super::*;

const FIRST: Migration = Migration {
    version: 2_026_010_101,
    sql: "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;",
};
const SECOND: Migration = Migration {
    version: 2_026_010_102,
    sql: "ALTER TABLE notes ADD COLUMN at INTEGER NOT NULL DEFAULT 0; CREATE INDEX notes_at ON notes (at);",
};

async fn open(path: &Path, migrations: &[Migration]) -> Result<(Db, Writer), Error> {
    Db::open(path, migrations, Synchronous::Full).await
}

#[tokio::test]
async fn a_file_moves_forward_and_keeps_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.db");
    let (db, mut writer) = open(&path, &[FIRST]).await.unwrap();
    sqlx::query("INSERT INTO notes (text) VALUES ('kept')")
        .execute(writer.connection())
        .await
        .unwrap();
    db.close().await;
    writer.close().await.unwrap();

    let (db, writer) = open(&path, &[FIRST, SECOND]).await.unwrap();
    let row: (String, i64) = sqlx::query_as("SELECT text, at FROM notes")
        .fetch_one(db.readers())
        .await
        .unwrap();
    assert_eq!(row, ("kept".to_owned(), 0));
    db.close().await;
    writer.close().await.unwrap();
}

#[tokio::test]
async fn a_newer_file_is_refused_with_both_versions() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.db");
    let (db, writer) = open(&path, &[FIRST, SECOND]).await.unwrap();
    db.close().await;
    writer.close().await.unwrap();
    let error = open(&path, &[FIRST]).await.unwrap_err();
    assert!(matches!(
        error,
        Error::Newer {
            found: 2_026_010_102,
            known: 2_026_010_101,
            ..
        }
    ));
    let text = error.to_string();
    for part in ["notes.db", "2026010102", "2026010101", "another data directory"] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn a_failed_migration_leaves_the_version_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.db");
    let broken = Migration {
        version: 2_026_010_102,
        sql: "CREATE TABLE extra (id INTEGER) STRICT; INSERT INTO nowhere VALUES (1);",
    };
    assert!(open(&path, &[FIRST, broken]).await.is_err());
    let (db, writer) = open(&path, &[FIRST]).await.unwrap();
    let extra: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = 'extra'")
        .fetch_one(db.readers())
        .await
        .unwrap();
    assert_eq!(extra, 0);
    db.close().await;
    writer.close().await.unwrap();
}

#[tokio::test]
async fn some_other_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.db");
    std::fs::write(
        &path,
        "no database at all, only a long enough line of text to fill a header ".repeat(20),
    )
    .unwrap();
    let error = open(&path, &[FIRST]).await.unwrap_err();
    assert!(matches!(error, Error::NotADatabase { .. }), "{error}");
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("no database"));
}

#[tokio::test]
async fn a_directory_in_the_way_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = open(dir.path(), &[FIRST]).await.unwrap_err();
    assert!(
        error.to_string().contains(&dir.path().display().to_string()),
        "{error}"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_and_its_log_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.db");
    let (db, writer) = open(&path, &[FIRST]).await.unwrap();
    for file in [path.clone(), wal_path(&path)] {
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    db.close().await;
    writer.close().await.unwrap();
}

#[tokio::test]
async fn readers_cannot_write_and_the_writer_has_its_settings() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.db");
    let (db, mut writer) = open(&path, &[FIRST]).await.unwrap();
    let refused = sqlx::query("INSERT INTO notes (text) VALUES ('no')")
        .execute(db.readers())
        .await;
    assert!(refused.is_err());
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous")
        .fetch_one(writer.connection())
        .await
        .unwrap();
    assert_eq!(synchronous, 2);
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(writer.connection())
        .await
        .unwrap();
    assert_eq!(mode, "wal");
    db.close().await;
    writer.close().await.unwrap();
}

#[tokio::test]
async fn the_log_is_moved_into_the_file_when_it_has_grown() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.db");
    let (db, mut writer) = open(&path, &[FIRST]).await.unwrap();
    let text = "x".repeat(64 << 10);
    for _ in 0..200 {
        let mut transaction = writer.begin().await.unwrap();
        sqlx::query("INSERT INTO notes (text) VALUES (?)")
            .bind(&text)
            .execute(&mut *transaction)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        writer.checkpoint_if_due().await.unwrap();
    }
    // 12.5 MiB went through a log of at most 4 MiB and the pages of one commit.
    assert!(file_len(&wal_path(&path)) < WAL_BYTES_MAX + (1 << 20));
    assert!(file_len(&path) > 8 << 20);
    db.close().await;
    writer.close().await.unwrap();
}

#[test]
fn versions_compare_by_number() {
    assert!(parse_version("3.51.3") >= Some(SQLITE_VERSION_MIN));
    assert!(parse_version("3.100.0") >= Some(SQLITE_VERSION_MIN));
    assert!(parse_version("3.51.2") < Some(SQLITE_VERSION_MIN));
    assert!(parse_version("three") < Some(SQLITE_VERSION_MIN));
}
