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
mod shared;
mod warming;
pub mod wit_type;
mod work;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use protocol::control::{InstanceFigures, InstancePolicy, Limits};
use protocol::span::{Stages, Value};
use protocol::{CallError, ErrorCode, HandlerName, SpanKind, SpanStatus};
use rustc_hash::FxHashMap;
use tokio::sync::Notify;
use wasmtime::component::{Component, Linker};

use crate::clock::Clock;
use crate::dispatch::{Call, Dispatch, Dispatcher, Reply, ReplyFuture, check_result};
use crate::shutdown::Tasks;
use crate::telemetry::{OpenSpan, Recorder, fields};

use artifact::Artifact;
use cache::CodeCache;
use deployed::{Deployed, Ground};
use engine::{EngineKind, Executor};
use guest::{CallInProgress, Guest};
use instance::{Finished, Instance};
use life::{End, Lives};
use pool::Checkout;
use warming::WARMED_MAX;
use work::Work;

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

    /// Links a version and swaps it in; calls in flight finish on the old one.
    pub fn deploy(&self, name: &HandlerName, artifact: &Arc<Artifact>, limits: Limits) -> Result<(), Error> {
        let before = self.deployed.load().get(name).cloned();
        let lives = before.map(|before| Arc::clone(before.lives()));
        let deployed = Arc::new(self.link(name, artifact, limits, lives.unwrap_or_default())?);
        self.deployed.rcu(|table| {
            let mut table = Table::clone(table);
            table.insert(name.clone(), Arc::clone(&deployed));
            table
        });
        self.refill.notify_one();
        Ok(())
    }

    /// Links a version without serving it: whether it could be.
    pub fn check(&self, name: &HandlerName, artifact: &Arc<Artifact>, limits: Limits) -> Result<(), Error> {
        self.link(name, artifact, limits, Arc::default()).map(|_| ())
    }

    fn link(
        &self,
        name: &HandlerName,
        artifact: &Arc<Artifact>,
        limits: Limits,
        lives: Arc<Lives>,
    ) -> Result<Deployed, Error> {
        let (base, executor) = match artifact.engine {
            EngineKind::Sync if limits.policy == Some(InstancePolicy::Shared) => {
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
        Deployed::link(&ground, name.clone(), Arc::clone(artifact), limits, lives).map_err(|source| {
            Error::Link {
                handler: name.clone(),
                source,
            }
        })
    }

    /// Serves a handler no longer; calls in flight finish.
    pub fn withdraw(&self, name: &HandlerName) {
        self.deployed.rcu(|table| {
            let mut table = Table::clone(table);
            table.remove(name);
            table
        });
    }

    /// The handlers that are served here, with the hash of their version.
    pub fn deployed(&self) -> Vec<(HandlerName, Arc<Artifact>, Limits)> {
        let table = self.deployed.load();
        table
            .values()
            .map(|d| (d.name.clone(), Arc::clone(&d.artifact), d.limits))
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

    /// Drops warm instances that nobody called for a while, one look at all of them every few seconds.
    pub fn start(self: &Arc<Self>, tasks: &Tasks) {
        // Tasks of instances start among these; nothing was deployed yet.
        let _ = self.tasks.set(tasks.clone());
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
        let runtime = Arc::clone(self);
        let token = tasks.token();
        tasks.spawn("warm-instances", async move {
            loop {
                tokio::select! {
                    biased;
                    () = token.cancelled() => break,
                    () = runtime.refill.notified() => runtime.warm().await,
                }
            }
        });
    }

    fn drop_idle(&self, now: Instant) {
        for deployed in self.deployed.load().values() {
            deployed.look(now);
        }
        self.refill.notify_one();
    }

    /// Makes the instances that are wanted before a call asks for them, one after the other.
    async fn warm(&self) {
        let table = Arc::clone(&self.deployed.load());
        let mut free: u64 = table.values().map(|deployed| deployed.figures().idle).sum();
        for deployed in table.values() {
            while free < WARMED_MAX && self.warm_one(deployed).await {
                free += 1;
            }
        }
    }

    /// Whether another instance of a handler was made.
    async fn warm_one(&self, deployed: &Deployed) -> bool {
        if let Some(shared) = &deployed.shared {
            return shared.warm_one();
        }
        let Some(warm) = deployed.pool.warm() else {
            return false;
        };
        let began = Instant::now();
        let nobody = CallInProgress::nobody(began + shared::START_MAX);
        warm.begin();
        let made = Instance::make(&self.executor, deployed, &self.router, &self.clock, nobody);
        match Box::pin(made).await {
            Ok(instance) => {
                deployed.lives().started_in(began.elapsed());
                warm.leave(instance);
                true
            }
            Err(error) => {
                tracing::debug!(handler = %deployed.name, %error, "an instance could not be made beforehand");
                warm.give_up();
                false
            }
        }
    }

    async fn serve(&self, mut call: Call) -> Result<Reply, CallError> {
        let arrived = call.trace.sampled.then(Instant::now);
        let deployed = self.resolve(&call)?;
        let mut span = self.open_span(&deployed, &call);
        if let Some(span) = &span {
            call.trace = span.context();
        }
        match self.run(&deployed, call, arrived, span.as_mut()).await {
            Ok(ran) => {
                let is_err = ran.is_err();
                if let Some(span) = &mut span {
                    ran.close(span);
                    if let Some(left) = ran.finished.left {
                        add_logs(span, left);
                    }
                }
                Ok(Reply {
                    is_err,
                    stages: ran.finished.stages,
                    ..Reply::new(ran.finished.value)
                })
            }
            Err(error) => {
                if let Some(span) = &mut span {
                    span.span_mut().status = SpanStatus::Failed {
                        code: error.code,
                        message: error.message.clone(),
                    };
                }
                Err(error)
            }
        }
    }

    fn resolve(&self, call: &Call) -> Result<Arc<Deployed>, CallError> {
        let name = call.handler.as_ref().ok_or_else(|| {
            CallError::new(
                ErrorCode::Internal,
                format!("`{}` reached a runtime without a handler", call.function),
            )
        })?;
        self.deployed.load().get(name).cloned().ok_or_else(|| {
            CallError::new(
                ErrorCode::NotFound,
                format!("`{name}` is not served by this node"),
            )
        })
    }

    fn open_span(&self, deployed: &Deployed, call: &Call) -> Option<OpenSpan> {
        if !call.trace.sampled {
            return None;
        }
        let name = deployed.span_name(&call.function);
        let mut span = OpenSpan::begin(
            &self.recorder,
            &call.trace,
            SpanKind::Server,
            &deployed.name,
            &name,
        )?;
        span.span_mut().peer = Some(call.caller.clone());
        Some(span)
    }

    /// Gets an instance and runs the call in it; the instance goes back only if the call ended well.
    async fn run(
        &self,
        deployed: &Deployed,
        call: Call,
        arrived: Option<Instant>,
        mut span: Option<&mut OpenSpan>,
    ) -> Result<Ran, CallError> {
        if let Some(pool) = &deployed.shared {
            return Box::pin(shared::call(pool, deployed, call, arrived, span)).await;
        }
        let work = Work::of(deployed, &call, span.as_deref_mut())?;
        let returns_result = work.returns_result();
        let parsed = arrived.map(|arrived| arrived.elapsed());
        let progress = CallInProgress::new(call.deadline, call.trace, call.hop);
        let mut checkout = deployed.pool.check_out(call.deadline).await?;
        let cold = self.begin(deployed, &mut checkout, progress).await?;
        let Some(instance) = checkout.instance() else {
            return Err(CallError::new(
                ErrorCode::Internal,
                "an instance was made and is gone",
            ));
        };
        let since = arrived.map(|_| Instant::now());
        let outcome = match work {
            Work::Function(function) => {
                let executor = &self.executor;
                instance
                    .call(executor, deployed, function, call.args, since)
                    .await
            }
            // Boxed here and below: what few calls do would else make the future of every call larger, which is copied.
            Work::Exchange(request) => {
                Box::pin(instance.exchange(&self.executor, deployed, request, since)).await
            }
        };
        let outcome = outcome.and_then(|finished| {
            let fits = check_result(&call.function, &finished.value);
            fits.map(|()| finished)
        });
        match outcome {
            Ok(mut finished) => {
                if let Some(stages) = &mut finished.stages
                    && let (Some(arrived), Some(since), Some(parsed)) = (arrived, since, parsed)
                {
                    stages.wait = (since - arrived - parsed).as_nanos() as u64;
                    stages.decode += parsed.as_nanos() as u64;
                    stages.total = arrived.elapsed().as_nanos() as u64;
                    // What passed since the result was lifted is carrying it out: a part of step 7.
                    let before = stages.decode + stages.wait + stages.run + stages.outgoing;
                    stages.encode = stages.encode.max(stages.total.saturating_sub(before));
                }
                checkout.check_in();
                Ok(Ran {
                    finished,
                    returns_result,
                    cold,
                })
            }
            Err(error) => {
                if let Some(span) = span {
                    add_logs(span, instance.take_call());
                }
                checkout.end(match error.code {
                    ErrorCode::Deadline => End::Deadline,
                    _ => End::Trap,
                });
                Err(error)
            }
        }
    }

    /// Begins a call in the warm instance that was checked out, or in one that is made for it: whether it was made.
    async fn begin(
        &self,
        deployed: &Deployed,
        checkout: &mut Checkout<'_>,
        progress: CallInProgress,
    ) -> Result<bool, CallError> {
        if let Some(instance) = checkout.instance() {
            instance.begin(progress);
            return Ok(false);
        }
        checkout.begin();
        let began = Instant::now();
        let made = Instance::make(&self.executor, deployed, &self.router, &self.clock, progress);
        match Box::pin(made).await {
            Ok(instance) => {
                deployed.lives().started_in(began.elapsed());
                checkout.put(instance);
                Ok(true)
            }
            Err(error) => {
                checkout.end(End::Start);
                Err(error)
            }
        }
    }
}

/// The engine of handlers with async functions, and what they are linked with.
struct Concurrent {
    executor: Arc<Executor>,
    base: Linker<Guest>,
}

/// A call that ended well.
struct Ran {
    finished: Finished,
    returns_result: bool,
    cold: bool,
}

impl Ran {
    /// Whether the result is the guest's own `err`.
    fn is_err(&self) -> bool {
        self.returns_result && self.finished.value.first() == Some(&1)
    }

    fn close(&self, span: &mut OpenSpan) {
        let record = span.span_mut();
        record.stages = self.finished.stages.map(Stages::Callee);
        record.cold = Some(self.cold);
        if self.is_err() {
            record.status = SpanStatus::Err;
        }
        if let Some(status) = self.finished.http_status {
            let status = Value::Int(status.into());
            record
                .attributes
                .push((fields::HTTP_RESPONSE_STATUS_CODE.into(), status));
        }
    }
}

fn add_logs(span: &mut OpenSpan, guest: CallInProgress) {
    let record = span.span_mut();
    record.logs = guest.logs;
    if guest.logs_dropped > 0 {
        let dropped = Value::Int(guest.logs_dropped as i64);
        record.attributes.push((fields::LOGS_DROPPED.into(), dropped));
    }
}

impl Dispatch for Runtime {
    fn dispatch(&self, call: Call) -> ReplyFuture<'_> {
        Box::pin(self.serve(call))
    }
}

#[cfg(test)]
mod tests;
