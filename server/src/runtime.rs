//! The WASM runtime: a `Dispatch` whose calls run in instances of this node's handlers.
//!
//! Promises: exactly one answer per call, by its deadline; a trap, an endless loop or a greedy guest ends that call with
//! its reason and touches no other store. Deploying swaps a version in whole; calls in flight finish on the old one.
//! Not here: who serves what (`router`), which files are handlers (`catalog` within, driven by `node`).

pub mod artifact;
pub mod cache;
pub mod catalog;
mod codec;
mod deployed;
pub mod engine;
pub mod folder;
mod guest;
mod host;
mod imports;
mod incoming;
pub mod inspect;
mod instance;
pub mod json;
mod limits;
mod pool;
pub mod wit_type;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use protocol::control::{InstanceFigures, Limits};
use protocol::span::{Stages, Value};
use protocol::{CallError, ErrorCode, HandlerName, SpanKind, SpanStatus, exchange};
use wasmtime::component::{Component, Linker};

use crate::clock::Clock;
use crate::dispatch::{Call, Dispatch, Dispatcher, Reply, ReplyFuture};
use crate::telemetry::{OpenSpan, Recorder, fields};

use artifact::Artifact;
use cache::CodeCache;
use deployed::Deployed;
use engine::Executor;
use guest::{CallInProgress, Guest};
use instance::{Finished, Instance};

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
type Table = HashMap<HandlerName, Arc<Deployed>>;

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

    /// Links a version and swaps it in; calls in flight finish on the old one.
    pub fn deploy(&self, name: &HandlerName, artifact: &Arc<Artifact>, limits: Limits) -> Result<(), Error> {
        let deployed =
            Deployed::link(&self.base, name.clone(), Arc::clone(artifact), limits).map_err(|source| {
                Error::Link {
                    handler: name.clone(),
                    source,
                }
            })?;
        let deployed = Arc::new(deployed);
        self.deployed.rcu(|table| {
            let mut table = Table::clone(table);
            table.insert(name.clone(), Arc::clone(&deployed));
            table
        });
        Ok(())
    }

    /// Links a version without serving it: whether it could be.
    pub fn check(&self, name: &HandlerName, artifact: &Arc<Artifact>, limits: Limits) -> Result<(), Error> {
        Deployed::link(&self.base, name.clone(), Arc::clone(artifact), limits)
            .map(|_| ())
            .map_err(|source| Error::Link { handler: name.clone(), source })
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
            .map(|deployed| (deployed.name.clone(), deployed.pool.figures()))
            .collect()
    }

    async fn serve(&self, mut call: Call) -> Result<Reply, CallError> {
        let arrived = Instant::now();
        let deployed = self.resolve(&call)?;
        let mut span = self.open_span(&deployed, &call);
        if let Some(span) = &span {
            call.trace = span.context();
        }
        let trace = call.trace;
        let outcome = self.run(&deployed, call, arrived, &mut span).await;
        match outcome {
            Ok((finished, cold)) => {
                let is_err = self.is_err(&deployed, &finished);
                if let Some(span) = &mut span {
                    close_span(span, &finished, cold, is_err);
                }
                let stages = trace.sampled.then_some(finished.finished.stages);
                drop(span);
                Ok(Reply {
                    value: finished.finished.value,
                    is_err,
                    stages,
                    sent_ns: 0,
                    span: None,
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
        let name = match deployed.names.get(&call.function) {
            Some(name) => Arc::clone(name),
            None => Arc::from(call.function.to_string()),
        };
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
        arrived: Instant,
        span: &mut Option<OpenSpan>,
    ) -> Result<(Ran, bool), CallError> {
        let function = if call.function.interface.as_str() == exchange::INTERFACE {
            None
        } else {
            let function = deployed
                .function(&call.function)
                .ok_or_else(|| missing(deployed, &call))?;
            if call.type_hash.is_some_and(|hash| hash != function.hash) {
                return Err(other_type(deployed, &call));
            }
            Some(function)
        };
        let (_permit, warm) = deployed.pool.check_out(call.deadline).await?;
        let cold = warm.is_none();
        let progress = CallInProgress::new(call.deadline, call.trace, call.hop);
        let mut instance = match warm {
            Some(mut instance) => {
                instance.begin(progress);
                instance
            }
            None => {
                deployed.pool.count_made();
                Instance::make(&self.executor, deployed, &self.router, &self.clock, progress).await?
            }
        };
        let since = Instant::now();
        let outcome = match function {
            Some(function) => {
                instance
                    .call(&self.executor, deployed, function, call, since)
                    .await
            }
            None => instance.exchange(&self.executor, deployed, call, since).await,
        };
        match outcome {
            Ok(mut finished) => {
                deployed.pool.check_in(instance);
                finished.stages.wait = (since - arrived).as_nanos() as u64;
                finished.stages.total = arrived.elapsed().as_nanos() as u64;
                let returns_result = function.is_some_and(|function| function.ty.returns_result());
                Ok((
                    Ran {
                        finished,
                        returns_result,
                    },
                    cold,
                ))
            }
            Err(error) => {
                if let Some(span) = span {
                    add_logs(span, instance.take_call());
                }
                Err(error)
            }
        }
    }

    fn is_err(&self, _deployed: &Deployed, ran: &Ran) -> bool {
        ran.returns_result && ran.finished.value.first() == Some(&1)
    }
}

/// A call that ended well.
struct Ran {
    finished: Finished,
    returns_result: bool,
}

impl std::ops::Deref for Ran {
    type Target = Finished;
    fn deref(&self) -> &Finished {
        &self.finished
    }
}

fn close_span(span: &mut OpenSpan, ran: &Ran, cold: bool, is_err: bool) {
    let stages = ran.finished.stages;
    let record = span.span_mut();
    record.stages = Some(Stages::Callee(stages));
    record.cold = Some(cold);
    if is_err {
        record.status = SpanStatus::Err;
    }
    let guest = &ran.finished.guest;
    record.logs.clone_from(&guest.logs);
    if guest.logs_dropped > 0 {
        let dropped = Value::Int(guest.logs_dropped as i64);
        record.attributes.push((fields::LOGS_DROPPED.into(), dropped));
    }
}

fn add_logs(span: &mut OpenSpan, guest: CallInProgress) {
    span.span_mut().logs = guest.logs;
}

fn missing(deployed: &Deployed, call: &Call) -> CallError {
    CallError::new(
        ErrorCode::NotFound,
        format!(
            "`{}` does not export `{}`; see `cleave check` for what it exports",
            deployed.name, call.function
        ),
    )
}

fn other_type(deployed: &Deployed, call: &Call) -> CallError {
    CallError::new(
        ErrorCode::NotFound,
        format!(
            "`{}` was built against another type of `{}` than `{}` exports; build both against the same WIT",
            call.caller, call.function, deployed.name
        ),
    )
}

impl Dispatch for Runtime {
    fn dispatch(&self, call: Call) -> ReplyFuture<'_> {
        Box::pin(self.serve(call))
    }
}
