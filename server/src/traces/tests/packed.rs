//! Traces in blocks: large ones, ones that grow for long, and files of the form before.

use sqlx::Connection;

use super::*;

/// Every span of a trace by its skeleton, in the order of arrival.
async fn read(house: &House, trace: u128) -> (Arc<Skeleton>, Vec<Span>) {
    let skeleton = house.traces.skeleton(TraceId(trace)).await.unwrap().unwrap();
    let all: Vec<usize> = (0..skeleton.len()).collect();
    let spans = house.traces.spans_at(&skeleton, &all).await.unwrap();
    (skeleton, spans)
}

/// Blocks of the store.
async fn blocks(house: &House) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM blocks")
        .fetch_one(house.traces.0.db.readers())
        .await
        .unwrap()
}

fn varied(id: u64) -> Span {
    let mut span = span(1, id, (id > 1).then_some(id / 2));
    if id.is_multiple_of(3) {
        span = along(span, "cart -> state:store");
    }
    if id.is_multiple_of(5) {
        span = failed(span);
    }
    span.name = format!("name {}", id % 7).into();
    span
}

#[tokio::test]
async fn a_skeleton_says_what_the_spans_say_and_keeps_their_indices_as_the_trace_grows() {
    let house = House::new().await;
    let mut stored = Vec::new();
    let mut before: Option<Arc<Skeleton>> = None;
    // Enough to be kept in memory, in pieces of all sizes.
    for (round, size) in [1_500u64, 1, 2, 900, 40, 3_000].into_iter().enumerate() {
        let from = stored.len() as u64;
        let piece: Vec<Span> = (from + 1..=from + size).map(varied).collect();
        house.store(piece.clone()).await;
        stored.extend(piece);
        let (skeleton, spans) = read(&house, 1).await;
        assert_eq!(spans, stored, "round {round}");
        for (at, span) in spans.iter().enumerate() {
            assert_eq!(skeleton.id[at], span.span_id.0);
            assert_eq!(skeleton.parent[at], span.parent_id.map_or(0, |id| id.0));
            assert_eq!(skeleton.start_ns[at], span.start_unix_ns);
            assert_eq!(
                skeleton.word(skeleton.name[at]).map(AsRef::as_ref),
                Some(&*span.name)
            );
            let edge = summary::text_of(span, crate::telemetry::fields::EDGE);
            assert_eq!(skeleton.word(skeleton.edge[at]), edge);
            assert_eq!(
                skeleton.status[at] == 2,
                matches!(span.status, protocol::SpanStatus::Failed { .. })
            );
        }
        if let Some(before) = before {
            assert_eq!(skeleton.id[..before.len()], before.id);
        }
        before = Some(skeleton);
    }
    let (skeleton, _) = read(&house, 1).await;
    let some = house
        .traces
        .spans_at(&skeleton, &[4_000, 3, 1_501])
        .await
        .unwrap();
    let ids: Vec<u64> = some.iter().map(|span| span.span_id.0).collect();
    assert_eq!(ids, [4_001, 4, 1_502]);
    assert!(house.traces.spans_at(&skeleton, &[skeleton.len()]).await.is_err());
}

#[tokio::test]
async fn a_trace_that_grows_span_by_span_has_few_blocks_and_an_old_skeleton_still_serves() {
    let house = House::new().await;
    let mut early = None;
    for id in 1..=300 {
        house.store(vec![varied(id)]).await;
        if id == 15 {
            early = house.traces.skeleton(TraceId(1)).await.unwrap();
        }
    }
    assert!(blocks(&house).await <= 30, "{}", blocks(&house).await);
    let (_, spans) = read(&house, 1).await;
    assert_eq!(spans, (1..=300).map(varied).collect::<Vec<_>>());
    let early = early.unwrap();
    let found = house.traces.spans_at(&early, &[14]).await.unwrap();
    assert_eq!(found, [varied(15)]);
    // After a restart the tail is known again.
    let house = house.reopen(Retention::default().bytes).await;
    for id in 301..=340 {
        house.store(vec![varied(id), varied(1)]).await;
    }
    assert!(blocks(&house).await <= 30);
    assert_eq!(read(&house, 1).await.1.len(), 340);
}

#[tokio::test]
async fn a_trace_that_goes_while_it_is_read_is_said_to_be_gone() {
    let house = House::new().await;
    house.store(trace(1, 20)).await;
    let skeleton = house.traces.skeleton(TraceId(1)).await.unwrap().unwrap();
    let house = house.without(1).await;
    let error = house.traces.spans_at(&skeleton, &[0]).await.unwrap_err();
    assert!(matches!(error, Error::Gone(TraceId(1))), "{error}");
    assert!(house.traces.skeleton(TraceId(1)).await.unwrap().is_none());
    // Another trace by the same id is not taken for it.
    house.store(vec![span(1, 77, None)]).await;
    assert!(house.traces.spans_at(&skeleton, &[0]).await.is_err());
}

#[tokio::test]
async fn a_damaged_block_is_an_error_that_names_it() {
    let house = House::new().await;
    house.store(trace(1, 20)).await;
    house.store(trace(2, 20)).await;
    let house = house
        .with("UPDATE blocks SET head = substr(head, 1, 40) WHERE id >> 20 = 1")
        .await;
    let error = house.traces.get(TraceId(1)).await.unwrap_err().to_string();
    assert!(
        error.contains("block 0 of trace 1 is damaged: its head"),
        "{error}"
    );
    assert_eq!(house.get(2).await.spans.len(), 20);
}

#[tokio::test]
async fn a_file_of_rows_is_packed_when_it_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("traces.db");
    let old = db::Migration {
        version: 2_026_112_201,
        sql: include_str!("../../../../migrations/traces/2026112201_create_spans.sql"),
    };
    let (db, mut writer) = Db::open(&file, &[old], db::Synchronous::Normal).await.unwrap();
    // Two traces; the second continues a span of the first.
    let rows = "
        INSERT INTO words VALUES (1, 'cart'), (2, 'home'), (3, 'cart -> state:store'), (4, 'together'), (5, 'queue');
        INSERT INTO traces VALUES
            (7, x'00000000000000000000000000000001', 1000, 2000, 2, 1, 1, 1, 'GET /', 1, 2, 1000, NULL, 4, x'01000000'),
            (8, x'00000000000000000000000000000002', 3000, 4000, 1, 0, 1, -9, 'process', 5, 2, 1000, NULL, NULL, x'05000000');
        INSERT INTO parts VALUES (1, 7), (3, 7), (5, 8);
        INSERT INTO spans (trace, span_id, parent_id, kind, handler, node, name, start_at, duration_ns, status, message,
            peer, transport, cold, edge, placement, link_trace, link_span, lift_ns, send_ns, travel_ns, lower_ns,
            total_ns, decode_ns, wait_ns, run_ns, outgoing_ns, encode_ns)
        VALUES
            (7, 1, NULL, 1, 1, 2, 'GET /', 1000, 1000, 0, NULL, NULL, NULL, NULL, NULL, 4, NULL, NULL,
                NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
            (7, -2, 1, 2, 1, 2, 'shop:cart/cart.get', 1100, 500, 4, 'it trapped', 5, 1, NULL, 3, NULL, NULL, NULL,
                1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
            (8, -9, NULL, 4, 5, 2, 'process', 3000, 1000, 0, NULL, NULL, 2, NULL, NULL, NULL,
                x'00000000000000000000000000000001', -2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);";
    sqlx::raw_sql(rows).execute(writer.connection()).await.unwrap();
    db.close().await;
    writer.close().await.unwrap();

    let house = House::open(dir, Retention::default().bytes).await;
    assert_eq!(house.list(TraceQuery::default()).await, [2, 1]);
    let detail = house.get(1).await;
    let call = &detail.spans[1].span;
    assert_eq!(
        (call.span_id.0, &*call.name),
        (-2i64 as u64, "shop:cart/cart.get")
    );
    let Some(protocol::span::Stages::Caller(stages)) = &call.stages else {
        panic!("{call:?}");
    };
    assert_eq!((stages.lift, stages.callee.encode), (1, 10));
    // It was answered, and the callee's span is not there.
    assert_eq!(house.get(2).await.linked[0].wait_ns, 1_400);
    assert_eq!(detail.summary.missing, 1);
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = 'spans'")
        .fetch_one(house.traces.0.db.readers())
        .await
        .unwrap();
    assert_eq!(left, 0);
    house.store(vec![span(1, 3, Some(-2i64 as u64))]).await;
    assert_eq!(house.get(1).await.summary.missing, 0);
}

#[tokio::test]
async fn a_person_can_read_the_list_with_sqlite() {
    let house = House::new().await;
    house.store(vec![failed(span(1, 1, None))]).await;
    let row: (String, String, String, f64, String) =
        sqlx::query_as("SELECT trace_id, started, handler, ms, error FROM trace_list")
            .fetch_one(house.traces.0.db.readers())
            .await
            .unwrap();
    assert_eq!(row.0, "00000000000000000000000000000001");
    assert!(row.1.starts_with("2026-09-21 "), "{}", row.1);
    assert_eq!((row.2.as_str(), row.3), ("cart", 1.0));
    assert!(row.4.contains("it divided by zero"));
}

impl House {
    /// The same house, after a statement was carried out on its file while it was closed.
    async fn with(self, statement: &'static str) -> Self {
        assert_eq!(self.tasks.drain(Duration::from_secs(60)).await, Ok(()));
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.dir.path().join("traces.db"));
        let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        Self::open(self.dir, Retention::default().bytes).await
    }

    /// The same house without its first trace.
    async fn without(self, trace: u128) -> Self {
        assert_eq!(trace, 1, "the first");
        self.with("DELETE FROM blocks WHERE id >> 20 = 1; DELETE FROM traces WHERE id = 1;")
            .await
    }
}
