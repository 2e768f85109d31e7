//! State on real SQLite.

use std::time::{Duration, Instant};

use bytes::Bytes;
use protocol::builtin::state::{Fault, Function, Swapped, decode_reply};
use protocol::{
    ErrorCode, FunctionPath, InterfaceName, NodeName, SpanId, SpanKind, SpanStatus, TraceContext, TraceId,
};

use super::*;
use crate::dispatch::{Call, Dispatch};
use crate::telemetry::Recorder;

const WATCHDOG: Duration = Duration::from_secs(60);

struct Bench {
    dir: tempfile::TempDir,
    store: StateStore,
    tasks: Tasks,
}

impl Bench {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tasks = Tasks::new();
        let path = dir.path().join("state.db");
        let store = StateStore::open(&path, Synchronous::Normal, Clock::test(1_000), &tasks)
            .await
            .unwrap();
        Self { dir, store, tasks }
    }

    async fn reopened(self) -> Self {
        self.store.close().await;
        self.tasks.drain(WATCHDOG).await.unwrap();
        let tasks = Tasks::new();
        let path = self.dir.path().join("state.db");
        let store = StateStore::open(&path, Synchronous::Normal, Clock::test(2_000), &tasks)
            .await
            .unwrap();
        Self { store, tasks, ..self }
    }

    async fn run(&self, handler: &str, operation: Operation) -> Result<Answer, Error> {
        let request = Request {
            bucket: "carts".into(),
            operation,
        };
        self.store.carry_out(&name(handler), request).await
    }

    async fn value(&self, handler: &str, key: &str) -> Option<Entry> {
        match self.run(handler, get(key)).await.unwrap() {
            Answer::Entry(entry) => entry,
            other => panic!("{other:?}"),
        }
    }

    async fn swap(&self, key: &str, expected: Option<u64>, value: &str) -> Swapped {
        let operation = Operation::Swap {
            key: key.into(),
            expected,
            value: Bytes::copy_from_slice(value.as_bytes()),
        };
        match self.run("cart", operation).await.unwrap() {
            Answer::Swapped(swapped) => swapped,
            other => panic!("{other:?}"),
        }
    }
}

fn name(handler: &str) -> HandlerName {
    HandlerName::parse(handler).unwrap()
}

fn get(key: &str) -> Operation {
    Operation::Get { key: key.into() }
}

fn set(key: &str, value: &str) -> Operation {
    Operation::Set {
        key: key.into(),
        value: Bytes::copy_from_slice(value.as_bytes()),
    }
}

#[tokio::test]
async fn a_value_survives_and_stays_in_its_handler_s_space() {
    let bench = Bench::new().await;
    assert_eq!(
        bench.run("cart", set("anna", "1 tea")).await.unwrap(),
        Answer::Nothing
    );
    let bench = bench.reopened().await;
    assert_eq!(bench.value("cart", "anna").await.unwrap().value, "1 tea");
    assert_eq!(bench.value("ad", "anna").await, None);
    bench
        .run("cart", Operation::Delete { key: "anna".into() })
        .await
        .unwrap();
    assert_eq!(bench.value("cart", "anna").await, None);
    let exists = bench
        .run("cart", Operation::Exists { key: "anna".into() })
        .await
        .unwrap();
    assert_eq!(exists, Answer::Exists(false));
}

#[tokio::test]
async fn swap_notices_every_other_write_also_across_a_restart() {
    let bench = Bench::new().await;
    let Swapped::Stored(first) = bench.swap("anna", None, "a").await else {
        panic!("an absent key is stored")
    };
    let conflict = bench.swap("anna", None, "b").await;
    assert!(
        matches!(conflict, Swapped::Conflict(Some(entry)) if entry.version == first && entry.value == "a")
    );
    // Deleted and written again with the same value: another version all the same.
    bench
        .run("cart", Operation::Delete { key: "anna".into() })
        .await
        .unwrap();
    assert_eq!(
        bench.swap("anna", Some(first), "b").await,
        Swapped::Conflict(None)
    );
    let bench = bench.reopened().await;
    let Swapped::Stored(second) = bench.swap("anna", None, "a").await else {
        panic!("an absent key is stored")
    };
    assert!(second > first);
    assert!(matches!(bench.swap("anna", Some(second), "c").await, Swapped::Stored(third) if third > second));
}

#[tokio::test]
async fn of_many_swaps_at_once_one_wins_each_round() {
    let bench = Bench::new().await;
    let rounds = futures_util::future::join_all((0..64).map(|_| bench.swap("anna", None, "x"))).await;
    let stored = rounds
        .iter()
        .filter(|swapped| matches!(swapped, Swapped::Stored(_)))
        .count();
    assert_eq!(stored, 1);
}

#[tokio::test]
async fn increments_at_once_all_count() {
    let bench = Bench::new().await;
    let add = |delta| Operation::Increment {
        key: "visits".into(),
        delta,
    };
    futures_util::future::join_all((0..100).map(|_| bench.run("cart", add(3)))).await;
    assert_eq!(bench.run("cart", add(-300)).await.unwrap(), Answer::Sum(0));
    bench.run("cart", set("visits", "many")).await.unwrap();
    assert!(matches!(
        bench.run("cart", add(1)).await,
        Err(Error::NotANumber { .. })
    ));
    bench
        .run("cart", set("visits", &i64::MAX.to_string()))
        .await
        .unwrap();
    assert!(matches!(
        bench.run("cart", add(1)).await,
        Err(Error::NotANumber { .. })
    ));
    assert_eq!(
        bench.value("cart", "visits").await.unwrap().value,
        i64::MAX.to_string()
    );
}

#[tokio::test]
async fn keys_come_in_pages_in_byte_order() {
    let bench = Bench::new().await;
    let names: Vec<String> = (0..KEYS_MAX + 5)
        .map(|number| format!("key-{number:05}"))
        .collect();
    futures_util::future::join_all(names.iter().rev().map(|key| bench.run("cart", set(key, "")))).await;
    let page = |answer| match answer {
        Answer::Keys(page) => page,
        other => panic!("{other:?}"),
    };
    let first = page(
        bench
            .run("cart", Operation::ListKeys { cursor: None })
            .await
            .unwrap(),
    );
    let second = page(
        bench
            .run(
                "cart",
                Operation::ListKeys {
                    cursor: first.cursor.clone(),
                },
            )
            .await
            .unwrap(),
    );
    assert_eq!(first.keys.len(), KEYS_MAX);
    assert_eq!(second.cursor, None);
    assert_eq!([first.keys, second.keys].concat(), names);
}

#[tokio::test]
async fn what_is_too_long_is_refused_by_name() {
    let bench = Bench::new().await;
    let long = "k".repeat(KEY_BYTES_MAX + 1);
    for (operation, part) in [
        (get(""), "key"),
        (get(&long), "key"),
        (set("k", &"v".repeat(VALUE_BYTES_MAX + 1)), "value"),
    ] {
        let error = bench.run("cart", operation).await.unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_group_that_was_not_committed_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    let (db, mut writer) = Db::open(&path, store::MIGRATIONS, Synchronous::Normal)
        .await
        .unwrap();
    let cart = name("cart");
    {
        let mut transaction = writer.begin().await.unwrap();
        let entry = store::NewEntry {
            handler: &cart,
            bucket: "carts",
            key: "anna",
            version: 1,
            written_at: 0,
            value: b"half",
        };
        store::put(&mut transaction, entry).await.unwrap();
        // The process ends here: neither the version counter nor COMMIT is reached.
    }
    drop(writer);
    db.close().await;
    let tasks = Tasks::new();
    let reopened = StateStore::open(&path, Synchronous::Normal, Clock::test(0), &tasks)
        .await
        .unwrap();
    let answer = reopened
        .carry_out(
            &cart,
            Request {
                bucket: "carts".into(),
                operation: get("anna"),
            },
        )
        .await
        .unwrap();
    assert_eq!(answer, Answer::Entry(None));
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one scenario, read from top to bottom")]
async fn calls_are_served_in_the_caller_s_space_and_leave_a_span() {
    let bench = Bench::new().await;
    let (recorder, mut spans) = Recorder::channel(NodeName::home(), Clock::test(0));
    let dispatch = StateDispatch::new(bench.store.clone(), recorder);
    let call = |caller: &str, function: &str, args: Bytes| Call {
        caller: name(caller),
        handler: None,
        function: FunctionPath::new(
            InterfaceName::parse(protocol::builtin::state::INTERFACE).unwrap(),
            function,
        )
        .into(),
        type_hash: None,
        args,
        deadline: Instant::now() + WATCHDOG,
        trace: TraceContext {
            trace_id: TraceId(7),
            span_id: SpanId(8),
            sampled: true,
        },
        hop: 1,
        lift_ns: 0,
    };
    let write = Request {
        bucket: "b".into(),
        operation: set("k", "v"),
    };
    let read = Request {
        bucket: "b".into(),
        operation: get("k"),
    };
    let reply = dispatch
        .dispatch(call("cart", "set", write.encode()))
        .await
        .unwrap();
    assert_eq!(decode_reply(Function::Set, &reply.value), Ok(Ok(Answer::Nothing)));
    assert!(
        reply
            .stages
            .is_some_and(|stages| stages.total >= stages.run && stages.total > 0)
    );
    let reply = dispatch.dispatch(call("ad", "get", read.encode())).await.unwrap();
    assert_eq!(
        decode_reply(Function::Get, &reply.value),
        Ok(Ok(Answer::Entry(None)))
    );
    let empty = Request {
        bucket: String::new(),
        operation: get("k"),
    };
    let reply = dispatch
        .dispatch(call("ad", "get", empty.encode()))
        .await
        .unwrap();
    assert!(reply.is_err);
    assert!(matches!(
        decode_reply(Function::Get, &reply.value),
        Ok(Err(Fault::Invalid(_)))
    ));
    let garbled = dispatch
        .dispatch(call("ad", "get", Bytes::from_static(&[0xff])))
        .await;
    assert_eq!(garbled.unwrap_err().code, ErrorCode::Invalid);
    let unknown = dispatch.dispatch(call("ad", "forget", Bytes::new())).await;
    assert_eq!(unknown.unwrap_err().code, ErrorCode::NotFound);

    let first = spans.recv().await.unwrap();
    assert_eq!((first.kind, first.handler.as_str()), (SpanKind::Server, "state"));
    assert_eq!(&*first.name, "cleave:state/store.set");
    assert_eq!(first.parent_id, Some(SpanId(8)));
    assert_eq!(first.peer.unwrap().as_str(), "cart");
    assert_eq!(spans.recv().await.unwrap().status, SpanStatus::Ok);
    assert_eq!(spans.recv().await.unwrap().status, SpanStatus::Err);
    assert!(matches!(
        spans.recv().await.unwrap().status,
        SpanStatus::Failed { .. }
    ));
}

/// Reader and writer are opened with the same options, and `db` tests the writer's.
#[tokio::test]
async fn what_a_write_survives_is_as_is_said() {
    for (synchronous, expected) in [(Synchronous::Normal, 1), (Synchronous::Full, 2)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let store = StateStore::open(&path, synchronous, Clock::test(0), &Tasks::new())
            .await
            .unwrap();
        let found: i64 = sqlx::query_scalar("PRAGMA synchronous")
            .fetch_one(store.db.readers())
            .await
            .unwrap();
        assert_eq!(found, expected, "{synchronous:?}");
    }
}
