//! `Executor`: an `Engine` with its settings, and the ticker that lets deadlines interrupt a guest.
//!
//! There are two kinds. The *sync* engine runs what has no async functions: host functions may still wait, on a fiber.
//! The *concurrent* one runs components with async functions (WASI 0.3), and is made when the first of them comes: with
//! concurrency support an empty call cost 1,109 ns instead of 295 ns where it was measured. The ticker is an OS thread, because it must tick when every async worker is
//! stuck in a guest. It parks once no guest was in a call for a few ticks, so that an idle node costs nothing, and a
//! call that follows another one wakes nobody.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use protocol::api::handlers::Engine as EngineKind;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

use super::alarms::{Alarm, Alarms};
use super::slices::Turns;

/// How often a running guest looks at its deadline.
pub const TICK: Duration = Duration::from_millis(1);
/// Ticks without a guest in a call after which the ticker parks: waking it costs more than a short call does, and a node
/// that is called more often than this has its ticker running anyway.
const IDLE_TICKS_MAX: u32 = 4;
/// Component instances that the pooling allocator holds at most; beyond it a call is `Overloaded`.
pub const INSTANCES_MAX: u32 = 1_000;
/// The same of the concurrent engine, whose instances serve many calls at a time.
pub const CONCURRENT_INSTANCES_MAX: u32 = 250;
/// Fibers of the concurrent engine: each call that waits in a sync-lowered import holds one.
const CONCURRENT_STACKS_MAX: u32 = 4 * CONCURRENT_INSTANCES_MAX;
/// The largest memory that a handler's limit may allow.
pub const MEMORY_BYTES_MAX: u64 = 512 << 20;
/// Elements that one table, and by a handler's limit all tables of an instance, may have at most.
pub const TABLE_ELEMENTS_MAX: u32 = 400_000;
/// The stack of a guest: the engine has one size for all of them.
pub const STACK_BYTES: usize = 512 << 10;
/// Address space that the pool reserves when it is tried: what a container without it refuses.
const RESERVATION_PROBE_BYTES: usize = 1 << 42;

/// The engine with its ticker.
#[derive(Debug)]
pub struct Executor {
    kind: EngineKind,
    engine: Engine,
    pub(super) turns: Arc<Turns>,
    ticker: Arc<Ticker>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Ticker {
    /// Guests in a call.
    running: AtomicUsize,
    /// Whether the thread waits to be woken by the next call.
    parked: AtomicBool,
    stop: AtomicBool,
    alarms: Alarms,
}

impl Executor {
    /// Builds an engine: with the pooling allocator where address space allows it, else on demand.
    pub fn new(kind: EngineKind) -> wasmtime::Result<Self> {
        let engine = if address_space_is_ample() {
            Engine::new(&config(kind, true)).or_else(|_| Engine::new(&config(kind, false)))?
        } else {
            Engine::new(&config(kind, false))?
        };
        let ticker = Arc::new(Ticker::default());
        let thread = std::thread::Builder::new()
            .name("epoch-ticker".into())
            .spawn({
                let (engine, ticker) = (engine.clone(), Arc::clone(&ticker));
                move || tick(&engine, &ticker)
            })
            .map_err(wasmtime::Error::new)?;
        Ok(Self {
            kind,
            engine,
            turns: Arc::default(),
            ticker,
            thread: Some(thread),
        })
    }

    /// What it runs.
    pub fn kind(&self) -> EngineKind {
        self.kind
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Says that a guest is in a call, until the guard is dropped.
    pub fn running(&self) -> Running<'_> {
        let ticker = &*self.ticker;
        // In one total order with `Ticker::park`: either it sees this call, or this call sees that it is parked.
        ticker.running.fetch_add(1, Ordering::SeqCst);
        if ticker.parked.load(Ordering::SeqCst)
            && ticker.parked.swap(false, Ordering::SeqCst)
            && let Some(thread) = &self.thread
        {
            thread.thread().unpark();
        }
        Running { ticker }
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.ticker.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// A guest in a call.
#[derive(Debug)]
pub struct Running<'e> {
    ticker: &'e Ticker,
}

impl<'e> Running<'e> {
    /// An alarm for the call: the ticker comes by while it lasts.
    pub(super) fn alarm(&self, moment: Instant) -> Alarm<'e> {
        self.ticker.alarms.at(moment)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.ticker.running.fetch_sub(1, Ordering::SeqCst);
    }
}

fn tick(engine: &Engine, ticker: &Ticker) {
    let mut idle_ticks = 0;
    let mut due = Instant::now();
    while !ticker.stop.load(Ordering::SeqCst) {
        if ticker.running.load(Ordering::SeqCst) > 0 {
            idle_ticks = 0;
        } else if idle_ticks >= IDLE_TICKS_MAX {
            ticker.park();
            idle_ticks = 0;
            due = Instant::now();
            continue;
        } else {
            idle_ticks += 1;
        }
        // By the moment before, not by now, so that ticks are no longer than one; but none is made up for.
        due = Instant::now().max(due + TICK);
        std::thread::park_timeout(due.saturating_duration_since(Instant::now()));
        engine.increment_epoch();
        ticker.alarms.ring(Instant::now());
    }
}

impl Ticker {
    /// Waits for the next call, unless there is one already.
    fn park(&self) {
        self.parked.store(true, Ordering::SeqCst);
        if self.running.load(Ordering::SeqCst) == 0 && !self.stop.load(Ordering::SeqCst) {
            std::thread::park();
        }
        self.parked.store(false, Ordering::SeqCst);
    }
}

fn config(kind: EngineKind, pooling: bool) -> Config {
    let mut config = Config::new();
    let concurrent = kind == EngineKind::Concurrent;
    config
        .concurrency_support(concurrent)
        .wasm_component_model_async(concurrent)
        .epoch_interruption(true)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(NonZeroUsize::new(16))
        .max_wasm_stack(STACK_BYTES)
        .async_stack_size(2 << 20);
    if pooling {
        let mut pool = PoolingAllocationConfig::new();
        let (instances, stacks) = match kind {
            EngineKind::Sync => (INSTANCES_MAX, INSTANCES_MAX),
            EngineKind::Concurrent => (CONCURRENT_INSTANCES_MAX, CONCURRENT_STACKS_MAX),
        };
        pool.total_component_instances(instances)
            .total_core_instances(4 * instances)
            .total_memories(2 * instances)
            .total_tables(2 * instances)
            .total_stacks(stacks)
            .max_memory_size(MEMORY_BYTES_MAX as usize)
            .table_elements(TABLE_ELEMENTS_MAX as usize)
            .max_core_instances_per_component(200)
            .max_memories_per_component(32)
            .max_tables_per_component(64)
            .max_tables_per_module(4)
            .max_memories_per_module(2)
            .max_component_instance_size(10 << 20)
            .max_core_instance_size(10 << 20)
            .linear_memory_keep_resident(1 << 20)
            .table_keep_resident(64 << 10)
            .async_stack_keep_resident(64 << 10)
            .max_unused_warm_slots(64)
            .pagemap_scan(wasmtime::Enabled::Auto);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}

/// Whether the pool's reservation of address space would succeed here (`ulimit -v`, small containers).
#[expect(unsafe_code, reason = "a trial reservation, released at once")]
fn address_space_is_ample() -> bool {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a fresh anonymous mapping without access rights, which nothing else refers to.
    unsafe {
        let at = libc::mmap(
            std::ptr::null_mut(),
            RESERVATION_PROBE_BYTES,
            libc::PROT_NONE,
            flags,
            -1,
            0,
        );
        at != libc::MAP_FAILED && libc::munmap(at, RESERVATION_PROBE_BYTES) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Far beyond the few ticks that it takes.
    const WATCHDOG: Duration = Duration::from_secs(60);

    fn wait_until_parked(ticker: &Ticker) {
        let began = Instant::now();
        while !ticker.parked.load(Ordering::SeqCst) {
            assert!(began.elapsed() < WATCHDOG, "the ticker parks when nothing runs");
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_ticker_parks_while_nothing_runs_and_ticks_while_something_does() {
        let executor = Executor::new(EngineKind::Sync).unwrap();
        let wasm = wat::parse_str("(module (func (export \"f\") (loop br 0)))").unwrap();
        let module = wasmtime::Module::new(executor.engine(), wasm).unwrap();
        // Each time from where it is parked: a wake-up that is lost would leave the loop running for ever.
        for _ in 0..20 {
            wait_until_parked(&executor.ticker);
            let running = executor.running();
            let mut store = wasmtime::Store::new(executor.engine(), ());
            store.set_epoch_deadline(1);
            let instance = wasmtime::Instance::new(&mut store, &module, &[]).unwrap();
            let spin = instance.get_typed_func::<(), ()>(&mut store, "f").unwrap();
            let trap = spin.call(&mut store, ()).unwrap_err();
            assert_eq!(
                trap.downcast_ref::<wasmtime::Trap>(),
                Some(&wasmtime::Trap::Interrupt)
            );
            assert!(!executor.ticker.parked.load(Ordering::SeqCst));
            drop(running);
        }
        assert_eq!(executor.ticker.running.load(Ordering::SeqCst), 0);
    }
}
