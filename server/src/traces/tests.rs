//! Tests of the traces as their users see them: real files, the real sink.

mod found;
mod lines;
mod listed;
mod packed;
mod pictured;
mod retained;
mod typical;

use std::time::Duration;

use proptest::prelude::*;
use protocol::api::traces::{TraceDetail, TraceQuery};
use protocol::{HandlerName, SpanId, TraceId};
use tempfile::TempDir;

use super::testing::{along, any_trace, continues, failed, span};
use super::*;
use crate::clock::Clock;

/// A store in a directory of its own.
struct House {
    dir: TempDir,
    tasks: Tasks,
    recorder: Arc<Recorder>,
    traces: Traces,
}

impl House {
    async fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap(), Retention::default().bytes).await
    }

    async fn open(dir: TempDir, bytes: u64) -> Self {
        // Spans of tests are of a fixed time, which may be long ago.
        let age = Duration::MAX;
        let keep = Keep::default();
        Self::keeping(dir, Retention { bytes, age, keep }, Clock::system()).await
    }

    async fn keeping(dir: TempDir, retention: Retention, clock: Clock) -> Self {
        let (recorder, spans) = Recorder::channel(NodeName::home(), clock);
        let tasks = Tasks::new();
        let file = dir.path().join("traces.db");
        let traces = Traces::open(&file, retention, Arc::clone(&recorder), spans, &tasks)
            .await
            .unwrap();
        Self {
            dir,
            tasks,
            recorder,
            traces,
        }
    }

    async fn reopen(self, bytes: u64) -> Self {
        assert_eq!(self.tasks.drain(Duration::from_secs(60)).await, Ok(()));
        Self::open(self.dir, bytes).await
    }

    /// Stores the spans as one node's batch.
    async fn store(&self, spans: Vec<Span>) {
        self.traces.ingest(spans);
        self.traces.flush().await.unwrap();
    }

    async fn list(&self, query: TraceQuery) -> Vec<u128> {
        let page = self.traces.list(&query).await.unwrap();
        page.items.iter().map(|trace| trace.trace_id.0).collect()
    }

    async fn get(&self, trace: u128) -> TraceDetail {
        self.traces.get(TraceId(trace)).await.unwrap().unwrap()
    }
}

/// A trace of `spans` spans, all below the first.
fn trace(id: u128, spans: u64) -> Vec<Span> {
    (1..=spans)
        .map(|at| span(id, at, (at > 1).then_some(1)))
        .collect()
}

fn handler(name: &str) -> HandlerName {
    HandlerName::parse(name).unwrap()
}

#[tokio::test]
async fn spans_of_this_node_and_of_others_make_one_trace() {
    let house = House::new().await;
    let there = Span {
        node: NodeName::parse("catalog").unwrap(),
        handler: handler("catalog"),
        ..span(1, 3, Some(2))
    };
    house.traces.ingest(vec![there]);
    house.recorder.record(span(1, 2, Some(1)));
    house.recorder.record(span(1, 1, None));
    house.traces.flush().await.unwrap();

    let detail = house.get(1).await;
    assert_eq!((detail.summary.spans, detail.summary.nodes), (3, 2));
    assert_eq!(detail.summary.handlers, [handler("cart"), handler("catalog")]);
    let rows: Vec<(u64, u32)> = detail
        .spans
        .iter()
        .map(|row| (row.span.span_id.0, row.depth))
        .collect();
    assert_eq!(rows, [(1, 0), (2, 1), (3, 2)]);
    assert_eq!((detail.truncated, detail.orphans), (0, 0));
    let critical: u64 = detail
        .spans
        .iter()
        .flat_map(|row| &row.critical)
        .map(|(from, to)| to - from)
        .sum();
    assert_eq!(critical, detail.spans[0].span.duration_ns);
    let counts = house.traces.counts();
    assert_eq!((counts.finished, counts.recorded, counts.dropped), (2, 3, 0));
    assert!(counts.stored_bytes > 0);
    assert!(house.traces.get(TraceId(2)).await.unwrap().is_none());
}

#[tokio::test]
async fn late_spans_change_the_summary_and_doubles_do_not() {
    let house = House::new().await;
    house.store(vec![span(1, 2, Some(1)), span(1, 3, Some(1))]).await;
    assert_eq!(house.get(1).await.orphans, 1, "one leads until the root comes");
    house.store(vec![span(1, 2, Some(1)), span(1, 1, None)]).await;
    house
        .store(vec![failed(span(1, 4, Some(2))), span(1, 1, None)])
        .await;
    let detail = house.get(1).await;
    assert_eq!((detail.summary.spans, detail.summary.errors), (4, 1));
    assert_eq!((detail.spans.len(), detail.orphans), (4, 0));
    assert_eq!(house.traces.counts().recorded, 4);
}

#[tokio::test]
async fn everything_is_there_after_a_restart_and_goes_on() {
    let house = House::new().await;
    house
        .store(vec![along(span(1, 2, Some(1)), "cart -> state:store")])
        .await;
    // Taken, not flushed: the end of the tasks writes it.
    house.recorder.record(span(1, 3, Some(1)));
    let house = house.reopen(Retention::default().bytes).await;
    house
        .store(vec![span(1, 1, None), span(1, 3, Some(1)), span(2, 1, None)])
        .await;
    let detail = house.get(1).await;
    assert_eq!((detail.summary.spans, detail.orphans), (3, 0));
    assert_eq!(house.list(TraceQuery::default()).await, [2, 1]);
    let along = TraceQuery {
        edge: Some("cart -> state:store".into()),
        ..TraceQuery::default()
    };
    assert_eq!(house.list(along).await, [1]);
}

#[tokio::test]
async fn followers_see_traces_once_their_root_has_ended_and_when_they_grow() {
    let house = House::new().await;
    let mut live = house.traces.follow();
    house.store(vec![span(1, 2, Some(1))]).await;
    assert!(live.try_recv().is_err(), "its root has not ended");
    house.store(vec![span(1, 1, None), span(2, 1, None)]).await;
    let batch = live.try_recv().unwrap();
    let seen: Vec<(u128, u32)> = batch
        .iter()
        .map(|trace| (trace.trace_id.0, trace.spans))
        .collect();
    assert_eq!(seen, [(1, 2), (2, 1)]);
    house.store(vec![span(1, 3, Some(2))]).await;
    assert_eq!(live.try_recv().unwrap()[0].spans, 3);
}

#[tokio::test]
async fn spans_beyond_what_may_wait_are_dropped_and_counted() {
    let house = House::new().await;
    house.traces.ingest(trace(1, SPANS_WAITING_MAX as u64 + 1));
    house.store(trace(2, 5)).await;
    let counts = house.traces.counts();
    assert_eq!(
        (counts.recorded, counts.dropped),
        (5, SPANS_WAITING_MAX as u64 + 1)
    );
}

#[tokio::test]
async fn what_nodes_finished_and_dropped_stays_when_they_restart() {
    let house = House::new().await;
    let cart = NodeName::parse("cart").unwrap();
    house.traces.note_node(&cart, 1, 100, 5);
    house.traces.note_node(&cart, 1, 120, 5);
    house.traces.note_node(&cart, 2, 10, 1);
    house.traces.note_node(&cart, 1, 130, 9);
    let counts = house.traces.counts();
    assert_eq!((counts.finished, counts.dropped), (130, 6));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_spans_are_stored_without_a_drop() {
    const TRACES: u128 = 5_000;
    const SPANS: u64 = 20;
    let house = House::new().await;
    for id in 1..=TRACES {
        let mut spans = trace(id, SPANS);
        // Half comes from another node, and what comes last is the root.
        let there = spans.split_off(SPANS as usize / 2);
        house.traces.ingest(there);
        spans
            .into_iter()
            .rev()
            .for_each(|span| house.recorder.record(span));
        if id % 1_000 == 0 {
            house.traces.flush().await.unwrap();
        }
    }
    let all = TRACES as u64 * SPANS;
    let counts = house.traces.counts();
    assert_eq!((counts.recorded, counts.dropped), (all, 0));
    assert_eq!(house.get(TRACES / 2).await.spans.len(), SPANS as usize);
    let bytes = counts.stored_bytes / all;
    assert!((20..200).contains(&bytes), "{bytes} bytes a span");
}

#[tokio::test]
async fn a_trace_with_too_many_spans_to_show_says_how_many_are_left_out() {
    let house = House::new().await;
    let max = protocol::api::traces::SPANS_MAX;
    house.store(trace(1, max as u64 + 3)).await;
    let detail = house.get(1).await;
    assert_eq!((detail.spans.len(), detail.truncated), (max, 3));
    assert_eq!(detail.spans[0].span.parent_id, None);
    assert_eq!(detail.summary.spans as usize, max + 3);
}

#[tokio::test]
async fn a_damaged_and_a_newer_file_are_refused_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("traces.db");
    let text = "no database at all, only a long enough line of text to fill a header ".repeat(20);
    std::fs::write(&file, &text).unwrap();
    let open = async || {
        let (recorder, spans) = Recorder::channel(NodeName::home(), Clock::system());
        Traces::open(&file, Retention::default(), recorder, spans, &Tasks::new()).await
    };
    assert!(matches!(
        open().await,
        Err(Error::Db(db::Error::NotADatabase { .. }))
    ));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);

    std::fs::remove_file(&file).unwrap();
    let newer = db::Migration {
        version: i32::MAX,
        sql: "CREATE TABLE later (id INTEGER) STRICT;",
    };
    let (db, writer) = Db::open(&file, &[newer], db::Synchronous::Normal).await.unwrap();
    db.close().await;
    writer.close().await.unwrap();
    assert!(matches!(open().await, Err(Error::Db(db::Error::Newer { .. }))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever comes in whatever pieces, what is kept is what a look at all of it gives, and reads back as it came.
    #[test]
    fn what_is_kept_equals_what_came(
        first in any_trace(1),
        second in any_trace(2),
        pieces in prop::collection::vec(1usize..9, 1..20),
        restart in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut house = House::new().await;
            let mut mixed: Vec<Span> = first.iter().chain(&second).cloned().collect();
            mixed.sort_by_key(|span| span.span_id.0 % 17);
            let mut pieces = pieces.into_iter().cycle();
            while !mixed.is_empty() {
                let rest = mixed.split_off(pieces.next().unwrap().min(mixed.len()));
                house.store(std::mem::replace(&mut mixed, rest)).await;
                if restart {
                    house = house.reopen(Retention::default().bytes).await;
                }
            }
            for (id, spans) in [(1, first), (2, second)] {
                let expected = testing::summary(&spans);
                let detail = house.get(id).await;
                let missing = detail.summary.missing;
                assert_eq!(Some(detail.summary), expected.show(TraceId(id), missing, testing::word));
                let mut found: Vec<Span> = detail.spans.into_iter().map(|row| row.span).collect();
                found.sort_by_key(|span| std::cmp::Reverse(span.span_id.0));
                assert_eq!(found, spans);
            }
        });
    }
}
