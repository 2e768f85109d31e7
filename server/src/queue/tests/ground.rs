//! The ground that queue tests stand on.

use super::*;
use crate::db::Writer;
use crate::queue::store;

#[tokio::test]
async fn the_sweeper_ends_a_delay_without_anybody_asking() {
    let bench = Bench::in_dir(tempfile::tempdir().unwrap(), Clock::system()).await;
    bench.queues.spawn_sweeper(&bench.tasks);
    let wake = bench.queues.shared.wake_of(&queue());
    bench
        .enqueue(NewMessage {
            delay: Duration::from_millis(40),
            ..message()
        })
        .await;
    let woken = tokio::time::timeout(WATCHDOG, wake.notified()).await;
    assert!(woken.is_ok());
    assert_eq!(bench.lease(1).await.len(), 1);
}

#[tokio::test]
async fn a_delay_that_a_restart_interrupted_still_ends_by_itself() {
    let bench = Bench::in_dir(tempfile::tempdir().unwrap(), Clock::system()).await;
    bench
        .enqueue(NewMessage {
            delay: Duration::from_millis(1_500),
            ..message()
        })
        .await;
    let bench = bench.reopened().await;
    assert_eq!(
        bench.queues.list().await.unwrap()[0].delayed,
        1,
        "it was reopened in time"
    );
    bench.queues.spawn_sweeper(&bench.tasks);
    let wake = bench.queues.shared.wake_of(&queue());
    let woken = tokio::time::timeout(WATCHDOG, wake.notified()).await;
    assert!(woken.is_ok());
}

#[tokio::test]
async fn done_messages_are_bounded_however_many_there_are() {
    let bench = Bench::new().await;
    let enqueued = (0..12_000).map(|_| bench.enqueue(message()));
    futures_util::future::join_all(enqueued).await;
    loop {
        let leases = bench.lease(LEASES_MAX).await;
        if leases.is_empty() {
            break;
        }
        futures_util::future::join_all(leases.iter().map(|lease| bench.queues.ack(lease.fence()))).await;
    }
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM settled")
        .fetch_one(bench.queues.db.readers())
        .await
        .unwrap();
    assert!((10_000..10_000 + 1_024).contains(&kept), "{kept}");
}

#[tokio::test]
async fn a_newer_file_is_refused() {
    let bench = Bench::new().await;
    bench.queues.close().await;
    bench.tasks.drain(WATCHDOG).await.unwrap();
    let path = bench.dir.path().join("queue.db");
    let newer = db::Migration {
        version: i32::MAX,
        sql: "CREATE TABLE later (id INTEGER) STRICT;",
    };
    let (db, writer) = Db::open(&path, &[store::MIGRATIONS, &[newer]].concat(), Synchronous::Full)
        .await
        .unwrap();
    db.close().await;
    writer.close().await.unwrap();
    let refused = Queues::open(&path, KEEP_DONE_DEFAULT, Clock::test(0), &Tasks::new())
        .await
        .unwrap_err();
    assert!(matches!(refused, Error::Db(db::Error::Newer { .. })), "{refused}");
}

/// The writer's connection, without its task.
async fn raw(bench: Bench) -> (tempfile::TempDir, Db, Writer) {
    bench.queues.close().await;
    bench.tasks.drain(WATCHDOG).await.unwrap();
    let path = bench.dir.path().join("queue.db");
    let (db, writer) = Db::open(&path, store::MIGRATIONS, Synchronous::Full)
        .await
        .unwrap();
    (bench.dir, db, writer)
}

#[tokio::test]
async fn an_end_between_two_statements_of_a_settlement_changes_nothing() {
    let bench = Bench::new().await;
    let id = bench.enqueue(message()).await;
    bench.lease_one().await;
    let clock = bench.clock.clone();
    let (dir, db, mut writer) = raw(bench).await;
    {
        let mut transaction = writer.begin().await.unwrap();
        let outcome = store::Outcome {
            id,
            due_ms: 0,
            trace: None,
            error: None,
        };
        store::settle(&mut transaction, 4, 0, &[outcome]).await.unwrap();
        // The process ends here: the row is in both tables, and nothing is committed.
    }
    drop(writer);
    db.close().await;
    let bench = Bench::in_dir(dir, clock).await;
    assert!(bench.ids(MessageState::Done).await.is_empty());
    assert_eq!(bench.ids(MessageState::Ready).await, [id]);
}

#[tokio::test]
async fn hot_statements_use_their_indexes() {
    let (_dir, db, mut writer) = raw(Bench::new().await).await;
    let plans = [
        (
            "SELECT id FROM messages WHERE queue = 'q' AND state = 0 ORDER BY priority DESC, id LIMIT 9",
            "messages_ready",
        ),
        (
            "SELECT id FROM messages WHERE state = 2 AND due_at <= 9 ORDER BY due_at LIMIT 9",
            "messages_delayed",
        ),
        (
            "SELECT id FROM messages WHERE state = 1 AND due_at <= 9 ORDER BY due_at LIMIT 9",
            "messages_leased",
        ),
        (
            "SELECT min(id) FROM messages WHERE state = 3 AND queue = 'q' AND order_key = 'k'",
            "messages_blocked",
        ),
        (
            "SELECT 1 FROM messages WHERE queue = 'q' AND order_key = 'k' AND order_key IS NOT NULL AND state <> 3",
            "messages_lane",
        ),
        (
            "SELECT id FROM messages WHERE queue = 'q' AND id < 9 ORDER BY id DESC LIMIT 9",
            "messages_queue",
        ),
        (
            "SELECT id FROM settled WHERE queue = 'q' AND state = 5 AND id < 9 ORDER BY id DESC",
            "settled_queue",
        ),
        (
            "SELECT id FROM settled WHERE state = 4 ORDER BY ended_at DESC, id DESC LIMIT 9 OFFSET 9",
            "settled_done",
        ),
        (
            "SELECT queue, count(*), min(id) FROM messages INDEXED BY messages_ready WHERE state = 0 GROUP BY queue",
            "COVERING INDEX messages_ready",
        ),
        (
            "UPDATE messages SET state = 2 FROM json_each('[]') j WHERE messages.id = j.value ->> 0",
            "INTEGER PRIMARY KEY",
        ),
    ];
    for (sql, index) in plans {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")))
            .fetch_all(writer.connection())
            .await
            .unwrap();
        let plan: Vec<String> = rows.iter().map(|row| sqlx::Row::get(row, 3)).collect();
        let plan = plan.join("; ");
        assert!(
            plan.contains(index) && !plan.contains("TEMP B-TREE"),
            "{sql}: {plan}"
        );
    }
    db.close().await;
    writer.close().await.unwrap();
}

#[tokio::test]
async fn one_write_that_fails_does_not_fail_its_neighbours() {
    let bench = Bench::new().await;
    let first = bench.enqueue(message()).await;
    let clock = bench.clock.clone();
    let (dir, db, mut writer) = raw(bench).await;
    sqlx::query(
        "CREATE TRIGGER refuse BEFORE INSERT ON messages WHEN NEW.body = x'ff' \
         BEGIN SELECT RAISE(ABORT, 'refused by the test'); END",
    )
    .execute(writer.connection())
    .await
    .unwrap();
    db.close().await;
    writer.close().await.unwrap();
    let bench = Bench::in_dir(dir, clock).await;
    let enqueued = futures_util::future::join_all((0..9).map(|number| {
        let body = Bytes::from_static(if number == 4 { b"\xff" } else { b"fine" });
        bench.queues.enqueue(NewMessage { body, ..message() })
    }))
    .await;
    let failed: Vec<_> = enqueued.iter().map(Result::is_err).collect();
    assert_eq!(failed.iter().filter(|failed| **failed).count(), 1);
    assert!(failed[4]);
    let ids: BTreeSet<_> = enqueued.into_iter().flatten().chain([first]).collect();
    assert_eq!(ids, bench.ids(MessageState::Ready).await.into_iter().collect());
    assert_eq!(bench.queues.list().await.unwrap()[0].ready, 9);
}
