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
mod limits;
mod pool;
pub mod wit_type;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use protocol::control::{InstanceFigures, Limits};
use protocol::span::{Stages, Value};
use protocol::{CallError, ErrorCode, HandlerName, SpanKind, SpanStatus, exchange};
use wasmtime::component::{Component, Linker};

use crate::clock::Clock;
use crate::dispatch::{Call, Dispatch, Dispatcher, Reply, ReplyFuture, check_result};
use crate::shutdown::Tasks;
use crate::telemetry::{OpenSpan, Recorder, fields};

use artifact::{Artifact, ExportedFunction};
use cache::CodeCache;
use deployed::Deployed;
use engine::Executor;
use guest::{CallInProgress, Guest};
use instance::{Finished, Instance};

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
            .map_err(|source| Error::Link {
                handler: name.clone(),
                source,
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

    async fn serve(&self, mut call: Call) -> Result<Reply, CallError> {
        let arrived = Instant::now();
        let deployed = self.resolve(&call)?;
        let mut span = self.open_span(&deployed, &call);
        if let Some(span) = &span {
            call.trace = span.context();
        }
        let sampled = call.trace.sampled;
        match self.run(&deployed, call, arrived, span.as_mut()).await {
            Ok(ran) => {
                let is_err = ran.is_err();
                if let Some(span) = &mut span {
                    ran.close(span);
                    add_logs(span, ran.finished.guest);
                }
                Ok(Reply {
                    is_err,
                    stages: sampled.then_some(ran.finished.stages),
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
        mut span: Option<&mut OpenSpan>,
    ) -> Result<Ran, CallError> {
        let work = Work::of(deployed, call, span.as_deref_mut())?;
        let parsed = arrived.elapsed();
        let (call, deadline) = (&work.call, work.call.deadline);
        let progress = CallInProgress::new(deadline, call.trace, call.hop);
        let (_permit, warm) = deployed.pool.check_out(deadline).await?;
        let cold = warm.is_none();
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
        let returns_result = work.returns_result();
        let path = Arc::clone(&work.call.function);
        let outcome = match work.kind {
            Kind::Function(function) => {
                instance
                    .call(&self.executor, deployed, function, work.call, since)
                    .await
            }
            Kind::Exchange(request) => {
                instance
                    .exchange(&self.executor, deployed, request, deadline, since)
                    .await
            }
        };
        let outcome = match outcome {
            Ok(finished) => match check_result(&path, &finished.value) {
                Ok(()) => Ok(finished),
                Err(error) => Err((error, finished.guest)),
            },
            Err(error) => Err((error, instance.take_call())),
        };
        match outcome {
            Ok(mut finished) => {
                let stages = &mut finished.stages;
                stages.wait = (since - arrived - parsed).as_nanos() as u64;
                stages.decode += parsed.as_nanos() as u64;
                stages.total = arrived.elapsed().as_nanos() as u64;
                // What passed since the result was lifted is carrying it out: a part of step 7.
                let before = stages.decode + stages.wait + stages.run + stages.outgoing;
                stages.encode = stages.encode.max(stages.total.saturating_sub(before));
                deployed.pool.check_in(instance);
                Ok(Ran {
                    finished,
                    returns_result,
                    cold,
                })
            }
            Err((error, guest)) => {
                if let Some(span) = span {
                    add_logs(span, guest);
                }
                Err(error)
            }
        }
    }
}

/// What a call asks of an instance, checked before one is taken.
struct Work<'d> {
    call: Call,
    kind: Kind<'d>,
}

enum Kind<'d> {
    Function(&'d ExportedFunction),
    Exchange(exchange::Request),
}

impl<'d> Work<'d> {
    fn of(deployed: &'d Deployed, call: Call, span: Option<&mut OpenSpan>) -> Result<Self, CallError> {
        if call.function.interface.as_str() == exchange::INTERFACE {
            let request = exchange::Request::decode(&call.args).map_err(|error| {
                CallError::new(
                    ErrorCode::Invalid,
                    format!("the arguments are no HTTP request: {error}"),
                )
            })?;
            if let Some(span) = span {
                name_request(span, &request);
            }
            let kind = Kind::Exchange(request);
            return Ok(Self { call, kind });
        }
        let function = deployed
            .function(&call.function)
            .ok_or_else(|| missing(deployed, &call))?;
        if call.type_hash.is_some_and(|hash| hash != function.hash) {
            return Err(other_type(deployed, &call));
        }
        if let Some(obstacle) = function.obstacle {
            return Err(local_only(deployed, &call, obstacle));
        }
        let kind = Kind::Function(function);
        Ok(Self { call, kind })
    }

    fn returns_result(&self) -> bool {
        matches!(self.kind, Kind::Function(function) if function.ty.returns_result())
    }
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
        record.stages = Some(Stages::Callee(self.finished.stages));
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

/// A request is what a person looks for: the span gets its name and attributes from it.
fn name_request(span: &mut OpenSpan, request: &exchange::Request) {
    let text = |text: &str| Value::Text(text.into());
    let record = span.span_mut();
    record.name = format!("{} {}", request.method, request.route()).into();
    record.attributes.extend([
        (fields::HTTP_REQUEST_METHOD.into(), text(&request.method)),
        (fields::URL_PATH.into(), text(request.route())),
    ]);
}

fn add_logs(span: &mut OpenSpan, guest: CallInProgress) {
    let record = span.span_mut();
    record.logs = guest.logs;
    if guest.logs_dropped > 0 {
        let dropped = Value::Int(guest.logs_dropped as i64);
        record.attributes.push((fields::LOGS_DROPPED.into(), dropped));
    }
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

fn local_only(deployed: &Deployed, call: &Call, obstacle: &str) -> CallError {
    CallError::new(
        ErrorCode::Invalid,
        format!(
            "`{}` of `{}` has {obstacle} in its type, which cannot leave its instance; use plain values",
            call.function, deployed.name
        ),
    )
}

impl Dispatch for Runtime {
    fn dispatch(&self, call: Call) -> ReplyFuture<'_> {
        Box::pin(self.serve(call))
    }
}

#[cfg(test)]
mod tests;
