//! What a hop is compared with: wasmtime alone, by typed calls, and by dynamic values on both sides.

use std::sync::Arc;
use std::time::Instant;

use server::runtime::engine::{EngineKind, Executor};
use tokio::sync::Mutex;
use wasmtime::component::{Component, Func, Instance, Linker, TypedFunc, Val};
use wasmtime::{Store, StoreContextMut};

use super::guests;

/// Never reached: nothing ticks.
const EPOCHS: u64 = 1_000_000_000;

fn store(executor: &Executor) -> Store<()> {
    let mut store = Store::new(executor.engine(), ());
    store.set_epoch_deadline(EPOCHS);
    store
}

fn function(store: &mut Store<()>, instance: &Instance, interface: &str, name: &str) -> Func {
    let interface = instance
        .get_export_index(&mut *store, None, interface)
        .expect("the interface is exported");
    let function = instance
        .get_export_index(&mut *store, Some(&interface), name)
        .expect("the function is exported");
    instance
        .get_func(&mut *store, function)
        .expect("it is a function")
}

/// The cheapest way to call a guest from async code.
pub struct Floor {
    store: Store<()>,
    add: TypedFunc<(u32, u32), (u32,)>,
    _executor: Executor,
}

impl Floor {
    pub fn new(math: &[u8]) -> Self {
        let executor = Executor::new(EngineKind::Sync).expect("an engine");
        let component = Component::from_binary(executor.engine(), math).expect("it compiles");
        let mut store = store(&executor);
        let instance = futures_util::future::FutureExt::now_or_never(
            Linker::new(executor.engine()).instantiate_async(&mut store, &component),
        )
        .expect("nothing to wait for")
        .expect("it links");
        let add = function(&mut store, &instance, guests::MATH, "add");
        let add = add.typed(&store).expect("two numbers in, one out");
        Self {
            store,
            add,
            _executor: executor,
        }
    }

    pub async fn add_ns(&mut self, calls: u32) -> f64 {
        let began = Instant::now();
        let mut sum = 0;
        for _ in 0..calls {
            (sum,) = self
                .add
                .call_async(&mut self.store, (sum, 1))
                .await
                .expect("it adds");
        }
        assert_eq!(sum, calls, "every call was made");
        began.elapsed().as_nanos() as f64 / f64::from(calls)
    }
}

/// A caller whose import is a host function over `Val`, which calls the callee over `Val`.
pub struct Hop {
    store: Store<()>,
    run: TypedFunc<(u32,), (u32,)>,
    _executor: Executor,
}

impl Hop {
    pub fn new(callee: &[u8], caller: &[u8], interface: &str, name: &str) -> Self {
        let executor = Executor::new(EngineKind::Sync).expect("an engine");
        let engine = executor.engine();
        let mut callee_store = store(&executor);
        let component = Component::from_binary(engine, callee).expect("it compiles");
        let instance = futures_util::future::FutureExt::now_or_never(
            Linker::new(engine).instantiate_async(&mut callee_store, &component),
        )
        .expect("nothing to wait for")
        .expect("it links");
        let callee = function(&mut callee_store, &instance, interface, name);
        let callee = Arc::new((Mutex::new(callee_store), callee));
        let mut linker = Linker::new(engine);
        linker
            .instance(interface)
            .and_then(|mut linked| {
                linked.func_new_async(
                    name,
                    move |_: StoreContextMut<'_, ()>, _, args, results: &mut [Val]| {
                        let callee = Arc::clone(&callee);
                        Box::new(async move {
                            let (store, function) = &*callee;
                            function.call_async(&mut *store.lock().await, args, results).await
                        })
                    },
                )
            })
            .expect("the import is defined");
        let component = Component::from_binary(engine, caller).expect("it compiles");
        let mut caller_store = store(&executor);
        let instance = futures_util::future::FutureExt::now_or_never(
            linker.instantiate_async(&mut caller_store, &component),
        )
        .expect("nothing to wait for")
        .expect("it links");
        let run = function(&mut caller_store, &instance, guests::RUN, "run");
        let run = run.typed(&caller_store).expect("a number in, a number out");
        Self {
            store: caller_store,
            run,
            _executor: executor,
        }
    }

    pub async fn hop_ns(&mut self, hops: u32) -> f64 {
        let began = Instant::now();
        self.run
            .call_async(&mut self.store, (hops,))
            .await
            .expect("it runs");
        began.elapsed().as_nanos() as f64 / f64::from(hops)
    }
}
