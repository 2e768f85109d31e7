//! What hostile handlers cost their neighbours: the neighbour's p99 beside them against its p99 alone, in blocks that
//! take turns; and how long a guest that never ends outlives its deadline.
//!
//! One node in this process: a router, a runtime, as many async threads as home has on this machine. The neighbour is
//! called at a constant rate by a thread of its own, whoever else is busy; a call counts from the moment at which the
//! node has it. The hostile ones are called all the time, each by several callers that give it a tenth of a second.

mod guests;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use protocol::value::put_leb;
use server::dispatch::{Call, Dispatch as _};
use server::router::Router;
use server::runtime::engine::TICK;

use crate::calls::{House, call};
use crate::table::{Bound, Row, quantile, rounded};

/// Blocks of each kind, of [`BLOCK`], after one of each that is not counted.
const BLOCKS: usize = 10;
const BLOCK: Duration = Duration::from_secs(2);
/// Calls of the neighbour a second: some hundredth of what a core answers.
const RATE: u32 = 250;
/// Steps of one call of the neighbour: about 0.1 ms, as short business functions are.
const STEPS: u64 = 100_000;
/// Callers of each hostile function: four times as many guests as a small machine has threads, with two functions that
/// do not end by themselves alone.
const CALLERS: usize = 4;
/// What a hostile call may take.
const PATIENCE: Duration = Duration::from_millis(100);
/// Far beyond what a call of the neighbour takes.
const WATCHDOG: Duration = Duration::from_secs(20);
/// Spinners whose end is looked at.
const SPINNERS: usize = 200;

/// All rows of `isolation`.
pub fn rows() -> Vec<Row> {
    // As `cleave up` has them.
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let executor = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads.max(2))
        .enable_all()
        .build()
        .expect("an async runtime");
    let mut house = House::new(&executor);
    house.deploy("neighbour", &guests::neighbour(), guests::NEIGHBOUR);
    for (number, function) in guests::HOSTILE.iter().enumerate() {
        house.deploy(
            &format!("hostile-{number}"),
            &guests::hostile(function),
            guests::EVIL,
        );
    }
    house.publish();
    let bench = Bench {
        router: Arc::clone(&house.router),
        executor: &executor,
    };
    let mut rows = bench.neighbour();
    rows.push(bench.spinners());
    rows
}

struct Bench<'e> {
    router: Arc<Router>,
    executor: &'e tokio::runtime::Runtime,
}

/// Latencies in ns of one kind of block, and the calls that failed.
#[derive(Default)]
struct Seen {
    latencies: Mutex<Vec<f64>>,
    failed: AtomicU64,
}

fn steps() -> Call {
    let mut args = Vec::new();
    put_leb(&mut args, STEPS);
    let call = call(Some("neighbour"), guests::NEIGHBOUR, "steps", args);
    Call {
        deadline: Instant::now() + WATCHDOG,
        ..call
    }
}

impl Bench<'_> {
    /// The neighbour alone and beside the others, in turns.
    fn neighbour(&self) -> Vec<Row> {
        let (alone, beside) = (Arc::new(Seen::default()), Arc::new(Seen::default()));
        for block in 0..=BLOCKS {
            let warm = Arc::new(Seen::default());
            let counted = |seen: &Arc<Seen>| Arc::clone(if block == 0 { &warm } else { seen });
            // Who goes first changes, so that neither always follows the other.
            for turn in [block % 2, (block + 1) % 2] {
                if turn == 0 {
                    self.block(&counted(&alone));
                } else {
                    self.hostile_block(&counted(&beside));
                }
            }
        }
        let p = |seen: &Seen, q: f64| {
            let latencies = seen.latencies.lock().expect("nobody panicked");
            quantile(&latencies, q) / 1e3
        };
        let failed = alone.failed.load(Ordering::Relaxed) + beside.failed.load(Ordering::Relaxed);
        let shown = |q: f64| format!("{} and {} µs", rounded(p(&beside, q)), rounded(p(&alone, q)));
        vec![
            Row {
                name: "neighbour_p99_ratio",
                value: p(&beside, 0.99) / p(&alone, 0.99),
                must: Bound::AtMost(3.0),
                aim: 1.5,
                detail: format!(
                    "p99 beside {} guests and alone {}; p50 {}; p99.9 {}",
                    CALLERS * guests::HOSTILE.len(),
                    shown(0.99),
                    shown(0.5),
                    shown(0.999),
                ),
            },
            Row {
                name: "neighbour_failed",
                value: failed as f64,
                must: Bound::AtMost(0.0),
                aim: 0.0,
                detail: format!("of {} calls of the neighbour", {
                    let count = |seen: &Seen| seen.latencies.lock().map_or(0, |seen| seen.len());
                    count(&alone) + count(&beside)
                }),
            },
        ]
    }

    /// Calls the neighbour at its rate for one block.
    fn block(&self, seen: &Arc<Seen>) {
        let began = Instant::now();
        let count = (BLOCK.as_secs_f64() * f64::from(RATE)) as u32;
        let calls: Vec<_> = (0..count)
            .map(|number| {
                let due = began + Duration::from_secs(1) * number / RATE;
                while let Some(left) = due
                    .checked_duration_since(Instant::now())
                    .filter(|d| !d.is_zero())
                {
                    std::thread::park_timeout(left);
                }
                let (router, seen) = (Arc::clone(&self.router), Arc::clone(seen));
                self.executor.spawn({
                    let since = Instant::now();
                    async move {
                        let outcome = router.dispatch(steps()).await;
                        let latency = since.elapsed().as_nanos() as f64;
                        seen.latencies.lock().expect("nobody panicked").push(latency);
                        if outcome.is_err() {
                            seen.failed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        let ended = self.executor.block_on(futures_util::future::join_all(calls));
        assert!(ended.iter().all(Result::is_ok), "no call panics");
    }

    /// The same while the hostile ones are called.
    fn hostile_block(&self, seen: &Arc<Seen>) {
        let over = Arc::new(AtomicBool::new(false));
        let callers: Vec<_> = (0..CALLERS * guests::HOSTILE.len())
            .map(|number| {
                let kind = number % guests::HOSTILE.len();
                let (router, over) = (Arc::clone(&self.router), Arc::clone(&over));
                self.executor.spawn(async move {
                    let handler = format!("hostile-{kind}");
                    while !over.load(Ordering::Relaxed) {
                        let call = call(Some(&handler), guests::EVIL, "run", Vec::new());
                        let ended = router.dispatch(Call {
                            deadline: Instant::now() + PATIENCE,
                            ..call
                        });
                        assert!(ended.await.is_err(), "`{handler}` never ends well");
                        // One that traps at once is a flood; the node's doors have a socket between two of its calls.
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        self.block(seen);
        over.store(true, Ordering::Relaxed);
        let ended = self.executor.block_on(futures_util::future::join_all(callers));
        assert!(ended.iter().all(Result::is_ok), "each hostile call fails");
    }

    /// How late spinners end, more of them at a time than there are threads.
    fn spinners(&self) -> Row {
        let mut late = Vec::new();
        while late.len() < SPINNERS {
            let spins = (0..2 * CALLERS).map(|_| {
                let router = Arc::clone(&self.router);
                self.executor.spawn(async move {
                    let deadline = Instant::now() + PATIENCE;
                    let call = call(Some("hostile-0"), guests::EVIL, "run", Vec::new());
                    let outcome = router.dispatch(Call { deadline, ..call }).await;
                    assert!(outcome.is_err(), "it never ends by itself");
                    Instant::now().saturating_duration_since(deadline).as_secs_f64() / TICK.as_secs_f64()
                })
            });
            let ended = self.executor.block_on(futures_util::future::join_all(spins));
            late.extend(ended.into_iter().map(|late| late.expect("no call panics")));
        }
        Row {
            name: "spinner_late_ticks",
            value: quantile(&late, 0.99),
            must: Bound::AtMost(2.0),
            aim: 1.0,
            detail: format!(
                "p99 of {} spinners, {} at a time, after their deadline, in ticks of 1 ms; p50 {}, max {}",
                late.len(),
                2 * CALLERS,
                rounded(quantile(&late, 0.5)),
                rounded(quantile(&late, 1.0)),
            ),
        }
    }
}
