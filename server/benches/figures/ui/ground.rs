//! The traces that the pages are looked at with: made up, and written into the store of a home that does not run yet.
//!
//! They end as they are written: a store deletes what is old.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use protocol::{NodeName, TraceId};
use server::clock::Clock;
use server::shutdown::Tasks;
use server::telemetry::Recorder;
use server::traces::{Retention, Traces};

use crate::traces::spans;

/// A trace of ten thousand spans, one of a million, and two of a hundred thousand.
pub const SMALL: TraceId = TraceId(1 << 100);
pub const LARGE: TraceId = TraceId(2 << 100);
pub const PAIR: [TraceId; 2] = [TraceId(3 << 100), TraceId(4 << 100)];
/// The spans of one of the requests that they are made of, and how long it takes.
const PART_SPANS: u64 = 50;
const PART_NS: u64 = 3_000_000;
/// What is handed over at once.
const BATCH_SPANS: usize = 20_000;
/// Far beyond what the last writes take.
const CLOSE_WITHIN: Duration = Duration::from_secs(60);

/// Fills the store of a data directory.
pub async fn fill(data: &Path) {
    std::fs::create_dir_all(data).expect("a folder for the store");
    let (recorder, ended) = Recorder::channel(NodeName::home(), Clock::system());
    let tasks = Tasks::new();
    let file = data.join("traces.db");
    let traces = Traces::open(&file, Retention::default(), Arc::clone(&recorder), ended, &tasks).await;
    let traces = traces.expect("a fresh store opens");
    let now_ns = recorder.clock().unix_ns();
    for (trace, count, percent) in [
        (SMALL, 10_000, 100),
        (LARGE, 1_000_000, 100),
        (PAIR[0], 100_000, 100),
        (PAIR[1], 100_000, 112),
    ] {
        write(&traces, trace, count, (now_ns, percent)).await;
    }
    drop(traces);
    tasks.cancel();
    let ended = tasks.drain(CLOSE_WITHIN).await;
    ended.unwrap_or_else(|left| panic!("{left:?} did not end"));
}

/// Writes a trace that ends now, whose spans take so many percent of what they usually do.
async fn write(traces: &Traces, trace: TraceId, count: u64, (now_ns, percent): (u64, u64)) {
    let parts = count / PART_SPANS;
    let begin_ns = spans::part(trace.0, 0)
        .first()
        .map_or(0, |root| root.start_unix_ns);
    let whole_ns = parts * PART_NS;
    let mut batch = Vec::new();
    for request in 0..parts {
        for mut span in spans::part(trace.0, request) {
            span.start_unix_ns = now_ns - whole_ns + (span.start_unix_ns - begin_ns);
            span.duration_ns = span.duration_ns * percent / 100;
            if span.parent_id.is_none() {
                span.duration_ns = whole_ns;
            }
            batch.push(span);
        }
        if batch.len() >= BATCH_SPANS {
            traces.ingest(std::mem::take(&mut batch));
            traces.flush().await.expect("the store writes");
        }
    }
    traces.ingest(batch);
    traces.flush().await.expect("the store writes");
}
