//! What a call between two nodes costs: against bare quinn, which carries the same bytes, and against gRPC with TLS.
//!
//! Both ends of all three are in this process, on one runtime, so that its CPU time is that of both sides. Each carries
//! 200 bytes there and back over one connection of TLS 1.3 with certificates on both sides, and one task a call at the
//! callee. Ours and gRPC carry a deadline that both sides keep, names of what is called, and lengths; bare quinn carries
//! the bytes alone, with quinn's own settings, and has no deadline. gRPC goes over TCP, the other two over UDP.

mod bare;
mod grpc;
pub mod ours;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use server::shutdown::Tasks;

use crate::table::{Bound, Row, paired, quantile};

/// Turns of each pair.
const TURNS: usize = 9;
/// Bytes of the arguments and of the result.
const BODY_BYTES: usize = 200;
/// Calls at the same time.
const IN_FLIGHT: usize = 64;
/// Calls of a turn with [`IN_FLIGHT`] at the same time.
const CALLS: usize = 64_000;
/// Calls of a turn with one at a time.
const CALLS_ALONE: usize = 8_000;
/// Far beyond what a call takes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// One way to carry bytes to another node and back.
pub trait Wire: Send + Sync + 'static {
    fn echo(&self, body: Bytes) -> impl Future<Output = Bytes> + Send;
}

/// All rows of `wire`.
pub fn rows(executor: &tokio::runtime::Runtime) -> Vec<Row> {
    let ours = Arc::new(executor.block_on(ours::Ours::start()));
    let tasks = Tasks::new();
    let bare = Arc::new(executor.block_on(bare::Bare::start()));
    let grpc = Arc::new(executor.block_on(grpc::Grpc::start(&tasks)));
    let against_grpc = paired(
        TURNS,
        || calls_per_cpu_second(executor, &ours),
        || calls_per_cpu_second(executor, &grpc),
    );
    let against_bare = paired(
        TURNS,
        || calls_per_cpu_second(executor, &ours),
        || calls_per_cpu_second(executor, &bare),
    );
    let alone = paired(
        TURNS,
        || round_trip_us(executor, &ours, CALLS_ALONE),
        || round_trip_us(executor, &grpc, CALLS_ALONE),
    );
    vec![
        against_grpc.row(
            "wire_cpu_vs_tonic",
            Bound::AtLeast(1.7),
            2.5,
            ("Cleave", "tonic", "calls/CPU-s"),
        ),
        against_bare.row(
            "wire_cpu_vs_quinn",
            Bound::AtLeast(0.7),
            0.9,
            ("Cleave", "quinn", "calls/CPU-s"),
        ),
        alone.row(
            "wire_p50_vs_tonic",
            Bound::AtMost(0.8),
            0.6,
            ("Cleave", "tonic", "µs"),
        ),
    ]
}

/// Calls per second of CPU, of both sides, with [`IN_FLIGHT`] at the same time.
pub fn calls_per_cpu_second<W: Wire>(executor: &tokio::runtime::Runtime, wire: &Arc<W>) -> f64 {
    let body = Bytes::from(vec![7; BODY_BYTES]);
    let before = cpu_seconds();
    let callers = (0..IN_FLIGHT).map(|_| {
        let (wire, body) = (Arc::clone(wire), body.clone());
        executor.spawn(async move {
            for _ in 0..CALLS / IN_FLIGHT {
                assert_eq!(
                    wire.echo(body.clone()).await.len(),
                    BODY_BYTES,
                    "an echo has its length"
                );
            }
        })
    });
    let ended = executor.block_on(join_all(callers));
    assert!(ended.iter().all(Result::is_ok), "every call is answered");
    CALLS as f64 / (cpu_seconds() - before)
}

/// The median round trip of calls one after the other, in µs.
pub fn round_trip_us<W: Wire>(executor: &tokio::runtime::Runtime, wire: &Arc<W>, calls: usize) -> f64 {
    let body = Bytes::from(vec![7; BODY_BYTES]);
    let wire = Arc::clone(wire);
    let caller = executor.spawn(async move {
        let mut taken = Vec::with_capacity(calls);
        for _ in 0..calls {
            let began = Instant::now();
            wire.echo(body.clone()).await;
            taken.push(began.elapsed().as_nanos() as f64 / 1e3);
        }
        quantile(&taken, 0.5)
    });
    executor.block_on(caller).expect("every call is answered")
}

/// The CPU time of this process so far, all threads.
pub fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
