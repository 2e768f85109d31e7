//! The WASM runtime: a `Dispatch` whose calls run in instances of this node's handlers.
//!
//! Promises: exactly one answer per call, by its deadline; a trap, an endless loop or a greedy guest ends that call with
//! its reason and touches no other store. Deploying swaps a version in whole; calls in flight finish on the old one.
//! Not here: who serves what (`router`), which files are handlers (`catalog` within, driven by `node`).

pub mod accepted;
mod alarms;
pub mod artifact;
pub mod cache;
pub mod catalog;
mod codec;
mod deployed;
pub mod describe;
pub mod engine;
mod failure;
pub mod folder;
pub mod grants;
mod guest;
mod host;
mod imports;
mod incoming;
pub mod inspect;
mod instance;
pub mod json;
mod life;
mod limits;
mod pool;
mod serve;
mod shared;
mod slices;
mod upkeep;
mod warming;
pub mod wit_type;
mod work;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use protocol::HandlerName;
use protocol::control::{InstanceFigures, InstancePolicy};
use rustc_hash::FxHashMap;
use tokio::sync::Notify;
use wasmtime::component::{Component, Linker};

use crate::clock::Clock;
use crate::dispatch::Dispatcher;
use crate::shutdown::Tasks;
use crate::telemetry::Recorder;

use artifact::Artifact;
use cache::CodeCache;
#[cfg(fuzzing)]
pub use codec::agree_on;
use deployed::{Deployed, Ground};
use engine::{EngineKind, Executor};
pub use grants::Terms;
use guest::Guest;
use life::Lives;

/// Why a handler cannot be served here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine cannot be made on this machine.
    #[error("start the WASM engine: {0}")]
    Engine(#[source] wasmtime::Error),
    /// The cache of compiled code cannot be used.
    #[error(transparent)]
    Cache(#[from] cache::CacheError),
    /// The component does not compile.
    #[error("compile the component: {0:#}")]
    Compile(wasmtime::Error),
    /// The handler's policy is not for what it is.
    #[error("`policy = \"shared\"` in [handler.{handler}], which has no async functions")]
    Policy {
        /// The handler.
        handler: HandlerName,
    },
    /// The component does not link: an import that nobody serves, or of another type.
    #[error("link `{handler}`: {source:#}")]
    Link {
        /// The handler.
        handler: HandlerName,
        /// What wasmtime says.
        source: wasmtime::Error,
    },
}

/// The handlers of this node, by name.
type Table = FxHashMap<HandlerName, Arc<Deployed>>;

/// The runtime of one node.
pub struct Runtime {
    executor: Arc<Executor>,
    cache: CodeCache,
    base: Linker<Guest>,
    /// Made with the first handler that has async functions.
    concurrent: OnceLock<Concurrent>,
    making_concurrent: Mutex<()>,
    /// Where tasks start; those of a runtime that was not started end with it.
    tasks: OnceLock<Tasks>,
    /// Says that a pool may want instances.
    refill: Arc<Notify>,
    router: Dispatcher,
    recorder: Arc<Recorder>,
    clock: Clock,
    deployed: ArcSwap<Table>,
}

impl Runtime {
    /// A runtime without handlers, whose guests call out through `router`.
    pub fn new(cache: &std::path::Path, router: Dispatcher, recorder: Arc<Recorder>) -> Result<Self, Error> {
        let executor = Arc::new(Executor::new(EngineKind::Sync).map_err(Error::Engine)?);
        let cache = CodeCache::open(cache, executor.engine())?;
        let base = host::linker(executor.engine()).map_err(Error::Engine)?;
        let clock = recorder.clock().clone();
        Ok(Self {
            executor,
            cache,
            base,
            concurrent: OnceLock::new(),
            making_concurrent: Mutex::default(),
            tasks: OnceLock::new(),
            refill: Arc::default(),
            router,
            recorder,
            clock,
            deployed: ArcSwap::default(),
        })
    }

    /// Compiles a component, or takes it from the cache; the flag says whether it was compiled. Blocks for as long as
    /// compiling takes: call it off the async threads.
    pub fn compile(&self, wasm: &[u8]) -> Result<(Arc<Artifact>, bool), Error> {
        let hash = blake3::hash(wasm).to_hex().to_string();
        if let Some(artifact) = self.cached(&hash) {
            return Ok((artifact, false));
        }
        let (executor, cache) = match inspect::engine_of(wasm) {
            EngineKind::Sync => (&self.executor, self.cache.clone()),
            EngineKind::Concurrent => (&self.concurrent()?.executor, self.cache.concurrent()),
        };
        let engine = executor.engine();
        let component = Component::from_binary(engine, wasm).map_err(Error::Compile)?;
        if let Err(error) = cache.store(&hash, &component) {
            tracing::warn!(%error, "compiled code could not be kept; it is compiled again at the next start");
        }
        // Mapped from the cache where possible: pages are shared between home and its children.
        let component = cache.load(engine, &hash).unwrap_or(component);
        Ok((
            Arc::new(Artifact::reflect(engine, executor.kind(), component, hash)),
            true,
        ))
    }

    /// The artifact of a content hash, where it is compiled already.
    pub fn cached(&self, hash: &str) -> Option<Arc<Artifact>> {
        let concurrent = self.cache.concurrent();
        let (executor, cache) = if concurrent.has(hash) {
            (&self.concurrent().ok()?.executor, &concurrent)
        } else {
            (&self.executor, &self.cache)
        };
        let component = cache.load(executor.engine(), hash)?;
        let (engine, kind) = (executor.engine(), executor.kind());
        Some(Arc::new(Artifact::reflect(
            engine,
            kind,
            component,
            hash.to_owned(),
        )))
    }

    /// The engine of handlers with async functions, made when it is first asked for.
    fn concurrent(&self) -> Result<&Concurrent, Error> {
        if let Some(concurrent) = self.concurrent.get() {
            return Ok(concurrent);
        }
        let _making = self
            .making_concurrent
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(concurrent) = self.concurrent.get() {
            return Ok(concurrent);
        }
        let executor = Arc::new(Executor::new(EngineKind::Concurrent).map_err(Error::Engine)?);
        let base = shared::linker(executor.engine()).map_err(Error::Engine)?;
        Ok(self.concurrent.get_or_init(|| Concurrent { executor, base }))
    }

    fn tasks(&self) -> &Tasks {
        self.tasks.get_or_init(Tasks::default)
    }

    /// Links a version and swaps it in, on these terms; calls in flight finish on the old one.
    pub fn deploy(
        &self,
        name: &HandlerName,
        artifact: &Arc<Artifact>,
        terms: impl Into<Terms>,
    ) -> Result<(), Error> {
        let before = self.deployed.load().get(name).cloned();
        let lives = before.map(|before| Arc::clone(before.lives()));
        let deployed = Arc::new(self.link(name, artifact, terms.into(), lives.unwrap_or_default())?);
        let replaced = self.deployed.rcu(|table| {
            let mut table = Table::clone(table);
            table.insert(name.clone(), Arc::clone(&deployed));
            table
        });
        self.refill.notify_one();
        if let Some(replaced) = replaced.get(name) {
            replaced.set_replaced();
        }
        Ok(())
    }

    /// Links a version without serving it: whether it could be.
    pub fn check(&self, name: &HandlerName, artifact: &Arc<Artifact>, terms: Terms) -> Result<(), Error> {
        self.link(name, artifact, terms, Arc::default()).map(|_| ())
    }

    fn link(
        &self,
        name: &HandlerName,
        artifact: &Arc<Artifact>,
        terms: Terms,
        lives: Arc<Lives>,
    ) -> Result<Deployed, Error> {
        let (base, executor) = match artifact.engine {
            EngineKind::Sync if terms.limits.policy == Some(InstancePolicy::Shared) => {
                return Err(Error::Policy {
                    handler: name.clone(),
                });
            }
            EngineKind::Sync => (&self.base, &self.executor),
            EngineKind::Concurrent => {
                let concurrent = self.concurrent()?;
                (&concurrent.base, &concurrent.executor)
            }
        };
        let ground = Ground {
            base,
            executor,
            router: &self.router,
            clock: &self.clock,
            tasks: self.tasks(),
            refill: &self.refill,
        };
        Deployed::link(&ground, name.clone(), Arc::clone(artifact), terms, lives).map_err(|source| {
            Error::Link {
                handler: name.clone(),
                source,
            }
        })
    }

    /// Serves a handler no longer; calls in flight finish.
    pub fn withdraw(&self, name: &HandlerName) {
        let replaced = self.deployed.rcu(|table| {
            let mut table = Table::clone(table);
            table.remove(name);
            table
        });
        if let Some(replaced) = replaced.get(name) {
            replaced.set_replaced();
        }
    }

    /// The handlers that are served here, with their version and their terms.
    pub fn deployed(&self) -> Vec<(HandlerName, Arc<Artifact>, Terms)> {
        let table = self.deployed.load();
        table
            .values()
            .map(|d| (d.name.clone(), Arc::clone(&d.artifact), Terms::clone(&d.terms)))
            .collect()
    }

    /// Instances by handler.
    pub fn figures(&self) -> Vec<(HandlerName, InstanceFigures)> {
        let table = self.deployed.load();
        table
            .values()
            .map(|deployed| (deployed.name.clone(), deployed.figures()))
            .collect()
    }
}

/// The engine of handlers with async functions, and what they are linked with.
struct Concurrent {
    executor: Arc<Executor>,
    base: Linker<Guest>,
}

#[cfg(test)]
mod tests;
