//! The WASM runtime: a `Dispatch` whose calls run in instances of this node's handlers.
//!
//! Promises: exactly one answer per call, by its deadline; a trap, an endless loop or a greedy guest ends that call with
//! its reason and touches no other store. Deploying swaps a version in whole; calls in flight finish on the old one.
//! Not here: who serves what (`router`), which files are handlers (`catalog` within, driven by `node`).

pub mod accepted;
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
mod slices;
pub mod wit_type;
mod work;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use protocol::HandlerName;
use protocol::control::InstanceFigures;
use rustc_hash::FxHashMap;
use wasmtime::component::{Component, Linker};

use crate::clock::Clock;
use crate::dispatch::Dispatcher;
use crate::shutdown::Tasks;
use crate::telemetry::Recorder;

use artifact::Artifact;
use cache::CodeCache;
use deployed::Deployed;
use engine::Executor;
pub use grants::Terms;
use guest::Guest;
use life::Lives;

/// How often warm instances are looked at, whether anyone still calls them.
const IDLE_LOOK: Duration = Duration::from_secs(5);

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
    router: Dispatcher,
    recorder: Arc<Recorder>,
    clock: Clock,
    deployed: ArcSwap<Table>,
}

impl Runtime {
    /// A runtime without handlers, whose guests call out through `router`.
    pub fn new(cache: &std::path::Path, router: Dispatcher, recorder: Arc<Recorder>) -> Result<Self, Error> {
        let executor = Arc::new(Executor::new().map_err(Error::Engine)?);
        let cache = CodeCache::open(cache, executor.engine())?;
        let base = host::linker(executor.engine()).map_err(Error::Engine)?;
        let clock = recorder.clock().clone();
        Ok(Self {
            executor,
            cache,
            base,
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
        let engine = self.executor.engine();
        let component = Component::from_binary(engine, wasm).map_err(Error::Compile)?;
        if let Err(error) = self.cache.store(&hash, &component) {
            tracing::warn!(%error, "compiled code could not be kept; it is compiled again at the next start");
        }
        // Mapped from the cache where possible: pages are shared between home and its children.
        let component = self.cache.load(engine, &hash).unwrap_or(component);
        Ok((Arc::new(Artifact::reflect(engine, component, hash)), true))
    }

    /// The artifact of a content hash, where it is compiled already.
    pub fn cached(&self, hash: &str) -> Option<Arc<Artifact>> {
        let component = self.cache.load(self.executor.engine(), hash)?;
        Some(Arc::new(Artifact::reflect(
            self.executor.engine(),
            component,
            hash.to_owned(),
        )))
    }

    /// Links a version and swaps it in, on these terms; calls in flight finish on the old one.
    pub fn deploy(
        &self,
        name: &HandlerName,
        artifact: &Arc<Artifact>,
        terms: impl Into<Terms>,
    ) -> Result<(), Error> {
        let before = self.deployed.load().get(name).cloned();
        let lives = before.map(|before| Arc::clone(before.pool.lives()));
        let deployed = Arc::new(self.link(name, artifact, terms.into(), lives.unwrap_or_default())?);
        let replaced = self.deployed.rcu(|table| {
            let mut table = Table::clone(table);
            table.insert(name.clone(), Arc::clone(&deployed));
            table
        });
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
        let ground = (&self.base, &self.router, &self.executor);
        Deployed::link(ground, name.clone(), Arc::clone(artifact), terms, lives).map_err(|source| {
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
            .map(|deployed| (deployed.name.clone(), deployed.pool.figures()))
            .collect()
    }

    /// Drops warm instances that nobody called for a while, one look at all of them every few seconds.
    pub fn start(self: &Arc<Self>, tasks: &Tasks) {
        let runtime = Arc::clone(self);
        let token = tasks.token();
        tasks.spawn("idle-instances", async move {
            let mut looks = tokio::time::interval(IDLE_LOOK);
            looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    biased;
                    () = token.cancelled() => break,
                    _ = looks.tick() => runtime.drop_idle(Instant::now()),
                }
            }
        });
    }

    fn drop_idle(&self, now: Instant) {
        for deployed in self.deployed.load().values() {
            deployed.pool.drop_idle(now);
        }
    }
}

#[cfg(test)]
mod tests;
