//! The trace store: what it takes to store a span, and how long people wait for what they ask of it.
//!
//! `ingest` is the whole way from a node's recorder and from other nodes' batches to SQLite, in traces of 25 spans such as
//! the shop makes; its unit is a second of CPU, so that the machine's cores do not matter. The trace of a million spans has
//! 20,000 requests of 50 spans below one root. Each look at it is measured from the first, when nothing is in memory.

pub mod spans;

use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::api::traces::FindQuery;
use protocol::{NodeName, Span, TraceId};
use server::clock::Clock;
use server::shutdown::Tasks;
use server::telemetry::Recorder;
use server::traces::{Retention, Traces};
use tokio::runtime::Runtime;

use crate::table::{Bound, Row, quantile, rounded};
use crate::wire::cpu_seconds;

/// Spans that are stored to measure it, and those of a trace.
const INGESTED: u64 = 500_000;
const TRACE_SPANS: u64 = 25;
/// Of as many spans as the recorder's channel takes, so that none is dropped for want of a pause.
const FLUSH_EVERY: u64 = 25_000;
/// The large trace.
const LARGE: u128 = 1 << 100;
const LARGE_SPANS: u64 = 1_000_000;
/// Looks at backlinks.
const LINKS_ASKED: u128 = 2_000;
/// The live tail is looked at under this load, for so long.
const LIVE_SPANS_PER_S: u64 = 20_000;
const LIVE_FOR: Duration = Duration::from_secs(5);

/// A store in a directory of its own.
struct House {
    traces: Traces,
    recorder: Arc<Recorder>,
    tasks: Tasks,
    _dir: tempfile::TempDir,
}

impl House {
    async fn open() -> Self {
        let dir = tempfile::tempdir().expect("a directory for traces");
        let (recorder, spans) = Recorder::channel(NodeName::home(), Clock::system());
        let tasks = Tasks::new();
        let file = dir.path().join("traces.db");
        let traces = Traces::open(&file, Retention::default(), Arc::clone(&recorder), spans, &tasks).await;
        Self {
            traces: traces.expect("a fresh store opens"),
            recorder,
            tasks,
            _dir: dir,
        }
    }

    async fn flush(&self) {
        self.traces.flush().await.expect("the store writes");
    }
}

/// All rows of `traces`.
pub fn rows(executor: &Runtime) -> Vec<Row> {
    let mut rows = executor.block_on(ingest());
    rows.extend(executor.block_on(large()));
    rows.push(executor.block_on(backlinks()));
    rows.push(executor.block_on(live()));
    rows
}

async fn ingest() -> Vec<Row> {
    let house = House::open().await;
    let mut cpu = 0.0;
    let began = Instant::now();
    let mut made = Duration::ZERO;
    for from in (0..INGESTED).step_by(usize::try_from(FLUSH_EVERY).expect("it is small")) {
        let making = Instant::now();
        let traces =
            (from / TRACE_SPANS..(from + FLUSH_EVERY) / TRACE_SPANS).map(|id| spans::request(id.into()));
        let traces: Vec<Vec<Span>> = traces.collect();
        made += making.elapsed();
        let before = cpu_seconds();
        for (at, spans) in traces.into_iter().enumerate() {
            // As two nodes: half of the traces in another node's batches.
            if at % 2 == 0 {
                house.traces.ingest(spans);
            } else {
                spans.into_iter().for_each(|span| house.recorder.record(span));
            }
        }
        house.flush().await;
        cpu += cpu_seconds() - before;
    }
    let wall = began.elapsed().saturating_sub(made).as_secs_f64();
    let counts = house.traces.counts();
    let per_cpu_second = counts.recorded as f64 / cpu;
    let bytes = counts.stored_bytes as f64 / counts.stored_spans as f64;
    vec![
        Row {
            name: "ingest_spans_per_cpu_s",
            value: per_cpu_second,
            must: Bound::AtLeast(50_000.0),
            aim: 200_000.0,
            detail: format!(
                "{} ns of CPU a span, {} spans/s of wall time, {} bytes a span",
                rounded(1e9 / per_cpu_second),
                rounded(counts.recorded as f64 / wall),
                rounded(bytes)
            ),
        },
        Row {
            name: "ingest_dropped",
            value: counts.dropped as f64,
            must: Bound::AtMost(0.0),
            aim: 0.0,
            detail: format!("of {INGESTED} spans"),
        },
    ]
}

async fn large() -> Vec<Row> {
    let house = House::open().await;
    let mut batch = Vec::new();
    for request in 0..LARGE_SPANS / 50 {
        batch.extend(spans::part(LARGE, request));
        if batch.len() >= 20_000 {
            house.traces.ingest(std::mem::take(&mut batch));
            house.flush().await;
        }
    }
    house.traces.ingest(batch);
    house.flush().await;
    let began = Instant::now();
    let skeleton = house.traces.skeleton(TraceId(LARGE)).await.expect("it reads");
    let heads_ms = ms(began);
    assert!(skeleton.is_some(), "the large trace is there");
    let mut rows = vec![told(
        "open_heads_1m_ms",
        heads_ms,
        (600.0, 300.0),
        "the columns of all spans, from SQLite",
    )];
    for (name, query, what) in [
        (
            "find_name_1m_ms",
            "{ name =~ charge && duration > 2ms }",
            "by name and duration",
        ),
        (
            "find_text_1m_ms",
            "{ log =~ \"payment was refused\" }",
            "by text in logs",
        ),
        (
            "find_attribute_1m_ms",
            "{ .cleave.args.bytes > 900 }",
            "by an attribute",
        ),
        (
            "find_below_1m_ms",
            "{ handler = checkout } >> { status = error }",
            "below another span",
        ),
    ] {
        let query = FindQuery {
            q: query.to_owned(),
            ..FindQuery::default()
        };
        let mut taken = Vec::new();
        let mut total = 0;
        for _ in 0..5 {
            let began = Instant::now();
            let found = house
                .traces
                .find_spans(TraceId(LARGE), &query)
                .await
                .expect("it finds");
            taken.push(ms(began));
            total = found.map_or(0, |found| found.total);
        }
        let what = format!("{what}: {total} found");
        rows.push(told(name, quantile(&taken, 0.5), (600.0, 300.0), &what));
    }
    rows
}

async fn backlinks() -> Row {
    let house = House::open().await;
    for id in 0..40_000 {
        house.traces.ingest(spans::request(id));
        house.traces.ingest(spans::attempt(id));
        // 26 spans each, and the channel takes no more than `FLUSH_EVERY`.
        if id % 500 == 0 {
            house.flush().await;
        }
    }
    house.flush().await;
    let mut taken = Vec::new();
    for at in 0..LINKS_ASKED {
        let id = at * 7_919 % 40_000;
        let span = spans::sender(id);
        let began = Instant::now();
        let linked = house
            .traces
            .linked(TraceId(id + 1), Some(span))
            .await
            .expect("it reads");
        taken.push(ms(began));
        let linked = linked.map(|linked| linked.len());
        assert_eq!(linked, Some(1), "trace {id} is there, with its attempt");
    }
    told(
        "backlinks_p99_ms",
        quantile(&taken, 0.99),
        (20.0, 5.0),
        &format!(
            "of one span among 40,000 traces; p50 {} ms",
            rounded(quantile(&taken, 0.5))
        ),
    )
}

async fn live() -> Row {
    let house = House::open().await;
    let mut follower = house.traces.follow();
    let clock = house.recorder.clock().clone();
    let recorder = Arc::clone(&house.recorder);
    let (done, mut fed) = tokio::sync::oneshot::channel();
    house.tasks.spawn("feeder", async move {
        let began = Instant::now();
        let mut id = 1_000_000u128;
        while began.elapsed() < LIVE_FOR {
            let due = began.elapsed().as_secs_f64() * LIVE_SPANS_PER_S as f64;
            while ((id - 1_000_000) as f64) * (TRACE_SPANS as f64) < due {
                let now_ns = recorder.clock().unix_ns();
                // It ends as it is recorded.
                for mut span in spans::request(id) {
                    span.start_unix_ns = now_ns.saturating_sub(span.duration_ns);
                    recorder.record(span);
                }
                id += 1;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        // Who follows looks at it until then.
        let _ = done.send(());
    });
    let mut waits = Vec::new();
    while fed.try_recv() == Err(tokio::sync::oneshot::error::TryRecvError::Empty) {
        let Ok(Ok(batch)) = tokio::time::timeout(Duration::from_millis(500), follower.recv()).await else {
            continue;
        };
        let now_ns = clock.unix_ns();
        waits.extend(batch.iter().map(|trace| {
            let ended = trace.start_unix_ns + trace.duration_ns;
            now_ns.saturating_sub(ended) as f64 / 1e6
        }));
    }
    let dropped = house.traces.counts().dropped;
    told(
        "live_p95_ms",
        quantile(&waits, 0.95),
        (500.0, 250.0),
        &format!(
            "span end to whoever follows, {LIVE_SPANS_PER_S} spans/s, {} traces told, {dropped} spans dropped; the event \
             stream adds up to 100 ms",
            waits.len()
        ),
    )
}

fn ms(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e3
}

fn told(name: &'static str, value: f64, (must, aim): (f64, f64), what: &str) -> Row {
    Row {
        name,
        value,
        must: Bound::AtMost(must),
        aim,
        detail: format!("{what}, ms"),
    }
}
