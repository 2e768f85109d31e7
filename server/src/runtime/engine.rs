//! The one `Engine`: its settings, and the ticker that lets deadlines interrupt a guest.
//!
//! A *sync* engine: host functions may still wait, on a fiber. With concurrency support an empty call cost 1,109 ns
//! instead of 295 ns where it was measured. The ticker is an OS thread, because it must tick when every async worker is stuck in a guest;
//! it parks while no guest is in a call, so that an idle node costs nothing.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

/// How often a running guest looks at its deadline.
pub const TICK: Duration = Duration::from_millis(1);
/// Component instances that the pooling allocator holds at most; beyond it a call is `Overloaded`.
pub const INSTANCES_MAX: u32 = 1_000;
/// The largest memory that a handler's limit may allow.
pub const MEMORY_BYTES_MAX: u64 = 512 << 20;
/// Address space that the pool reserves when it is tried: what a container without it refuses.
const RESERVATION_PROBE_BYTES: usize = 1 << 42;

/// The engine with its ticker.
#[derive(Debug)]
pub struct Executor {
    engine: Engine,
    ticker: Arc<Ticker>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Ticker {
    /// Guests in a call.
    running: AtomicUsize,
    stop: AtomicBool,
}

impl Executor {
    /// Builds the engine: with the pooling allocator where address space allows it, else on demand.
    pub fn new() -> wasmtime::Result<Self> {
        let engine = if address_space_is_ample() {
            Engine::new(&config(true)).or_else(|_| Engine::new(&config(false)))?
        } else {
            Engine::new(&config(false))?
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
            engine,
            ticker,
            thread: Some(thread),
        })
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Says that a guest is in a call, until the guard is dropped.
    pub fn running(&self) -> Running {
        if self.ticker.running.fetch_add(1, Ordering::AcqRel) == 0
            && let Some(thread) = &self.thread
        {
            thread.thread().unpark();
        }
        Running {
            ticker: Arc::clone(&self.ticker),
        }
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.ticker.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// A guest in a call.
#[derive(Debug)]
pub struct Running {
    ticker: Arc<Ticker>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ticker.running.fetch_sub(1, Ordering::AcqRel);
    }
}

fn tick(engine: &Engine, ticker: &Ticker) {
    while !ticker.stop.load(Ordering::Acquire) {
        if ticker.running.load(Ordering::Acquire) == 0 {
            std::thread::park();
        } else {
            std::thread::park_timeout(TICK);
            engine.increment_epoch();
        }
    }
}

fn config(pooling: bool) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(NonZeroUsize::new(16))
        .max_wasm_stack(512 << 10)
        .async_stack_size(2 << 20);
    if pooling {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(INSTANCES_MAX)
            .total_core_instances(4 * INSTANCES_MAX)
            .total_memories(2 * INSTANCES_MAX)
            .total_tables(2 * INSTANCES_MAX)
            .total_stacks(INSTANCES_MAX)
            .max_memory_size(MEMORY_BYTES_MAX as usize)
            .table_elements(100_000)
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

    #[test]
    fn the_ticker_parks_while_nothing_runs_and_ticks_while_something_does() {
        let executor = Executor::new().unwrap();
        let mut store = wasmtime::Store::new(executor.engine(), ());
        store.set_epoch_deadline(1);
        let running = executor.running();
        let wasm = wat::parse_str("(module (func (export \"f\") (loop br 0)))").unwrap();
        let module = wasmtime::Module::new(executor.engine(), wasm).unwrap();
        let instance = wasmtime::Instance::new(&mut store, &module, &[]).unwrap();
        let spin = instance.get_typed_func::<(), ()>(&mut store, "f").unwrap();
        let trap = spin.call(&mut store, ()).unwrap_err();
        assert_eq!(
            trap.downcast_ref::<wasmtime::Trap>(),
            Some(&wasmtime::Trap::Interrupt)
        );
        drop(running);
        assert_eq!(executor.ticker.running.load(Ordering::Acquire), 0);
    }
}
