//! `Instance`: one store with one instance of a handler, and one call at a time in it.
//!
//! The deadline is held twice: epochs interrupt a guest that runs, an outer timeout covers one that waits in the host.
//! Whoever calls must drop the instance after any error: a trap poisons the whole store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use protocol::exchange::Response;
use protocol::{CallError, CalleeStages, ErrorCode, exchange};
use wasmtime::component::TypedFunc;
use wasmtime::{Store, UpdateDeadline};

use super::artifact::ExportedFunction;
use super::codec::{AfterLower, EXPORT_PARAMS, EXPORT_RESULTS, Lifted, Lowered, Misfit, Stopwatch};
use super::deployed::Deployed;
use super::engine::Executor;
use super::guest::{CallInProgress, Guest};
use super::imports::FailedCall;
use super::incoming;
use crate::clock::Clock;
use crate::dispatch::{Call, Dispatcher};

/// How much longer than the deadline a call in the host may take to notice it.
const GRACE: Duration = Duration::from_millis(5);
/// Host-call fuel: bytes that one host call may lift out of a guest.
const HOSTCALL_BYTES_MAX: usize = 64 << 20;

/// One store with an instance in it.
pub(super) struct Instance {
    store: Store<Guest>,
    instance: wasmtime::component::Instance,
    uses: u32,
}

/// What a call came to, with the moments between its stages.
pub(super) struct Finished {
    pub(super) value: Bytes,
    pub(super) stages: CalleeStages,
    pub(super) guest: CallInProgress,
}

impl Instance {
    /// Makes an instance for a call that is about to begin.
    pub(super) async fn make(
        executor: &Executor,
        deployed: &Deployed,
        router: &Dispatcher,
        clock: &Clock,
        call: CallInProgress,
    ) -> Result<Self, CallError> {
        let deadline = call.deadline;
        let guest = Guest::new(
            deployed.name.clone(),
            Arc::clone(router),
            clock.clone(),
            deployed.limits.memory_bytes_max,
            call,
        );
        let mut store = Store::new(executor.engine(), guest);
        store.limiter(|guest| &mut guest.limiter);
        store.set_hostcall_fuel(HOSTCALL_BYTES_MAX);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|store| {
            if Instant::now() >= store.data().call.deadline {
                Ok(UpdateDeadline::Interrupt)
            } else {
                Ok(UpdateDeadline::Yield(1))
            }
        });
        let _running = executor.running();
        let made = deployed.pre.instantiate_async(&mut store);
        match tokio::time::timeout_at((deadline + GRACE).into(), made).await {
            Ok(Ok(instance)) => Ok(Self {
                store,
                instance,
                uses: 0,
            }),
            Ok(Err(error)) => Err(instantiation_error(deployed, &mut store, &error)),
            Err(_) => Err(late(deployed, "start")),
        }
    }

    /// The calls that it has served.
    pub(super) fn uses(&self) -> u32 {
        self.uses
    }

    /// Begins another call in a warm instance.
    pub(super) fn begin(&mut self, call: CallInProgress) {
        self.store.data_mut().begin(call);
        self.store.set_epoch_deadline(1);
    }

    /// Calls an exported function. `since` is the moment at which the call had this instance.
    pub(super) async fn call(
        &mut self,
        executor: &Executor,
        deployed: &Deployed,
        function: &ExportedFunction,
        call: Call,
        since: Instant,
    ) -> Result<Finished, CallError> {
        self.uses += 1;
        let Some(export) = self.instance.get_func(&mut self.store, function.index) else {
            return Err(CallError::new(
                ErrorCode::Internal,
                format!("`{}` has no function `{}`", deployed.name, function.path),
            ));
        };
        #[expect(
            unsafe_code,
            reason = "the codec checks values against the function's own type"
        )]
        // SAFETY: `Lowered` and `Lifted` walk the component's own types, and their slots cover every export.
        let export: TypedFunc<Lowered<EXPORT_PARAMS>, Lifted<EXPORT_RESULTS>> =
            unsafe { TypedFunc::new_unchecked(export) };
        let deadline = call.deadline;
        let stopwatch = Arc::new(Stopwatch::default());
        let args = Lowered::new(call.args, Some(AfterLower::Arguments(Arc::clone(&stopwatch))));
        let _running = executor.running();
        let called = export.call_async(&mut self.store, args);
        let outcome = tokio::time::timeout_at((deadline + GRACE).into(), called).await;
        let end = Instant::now();
        self.store.data_mut().collect_stdio();
        match outcome {
            Ok(Ok(lifted)) => {
                let guest = self.take_call();
                let lowered = stopwatch.lowered_at().unwrap_or(since);
                let stages = stages(since, lowered, lifted.began, end, guest.outgoing);
                Ok(Finished {
                    value: lifted.bytes.into(),
                    stages,
                    guest,
                })
            }
            Ok(Err(error)) => Err(self.failure(deployed, &function.path.to_string(), &error)),
            Err(_) => Err(late(deployed, &function.path.to_string())),
        }
    }

    /// Carries an HTTP exchange out.
    pub(super) async fn exchange(
        &mut self,
        executor: &Executor,
        deployed: &Deployed,
        call: Call,
        since: Instant,
    ) -> Result<Finished, CallError> {
        self.uses += 1;
        let request = exchange::Request::decode(&call.args).map_err(|error| {
            CallError::new(
                ErrorCode::Invalid,
                format!("the arguments are no HTTP request: {error}"),
            )
        })?;
        let Some(proxy) = &deployed.proxy else {
            return Err(CallError::new(
                ErrorCode::NotFound,
                format!(
                    "`{}` does not answer HTTP: it exports no `wasi:http/incoming-handler`",
                    deployed.name
                ),
            ));
        };
        let what = format!("{} {}", request.method, request.path);
        let _running = executor.running();
        let handled = incoming::handle(&mut self.store, &self.instance, proxy, request);
        let outcome = tokio::time::timeout_at((call.deadline + GRACE).into(), handled).await;
        let end = Instant::now();
        self.store.data_mut().collect_stdio();
        match outcome {
            Ok(Ok(handled)) => {
                let value = encode_response(deployed, handled.response)?;
                let guest = self.take_call();
                let stages = stages(
                    since,
                    handled.lowered,
                    end,
                    Instant::now().max(end),
                    guest.outgoing,
                );
                Ok(Finished { value, stages, guest })
            }
            Ok(Err(error)) => Err(self.failure(deployed, &what, &error)),
            Err(_) => Err(late(deployed, &what)),
        }
    }

    /// Takes what belongs to the call that ended: its log lines for its span.
    pub(super) fn take_call(&mut self) -> CallInProgress {
        let call = &mut self.store.data_mut().call;
        let next = CallInProgress::new(call.deadline, call.trace, call.hop);
        std::mem::replace(call, next)
    }

    fn failure(&mut self, deployed: &Deployed, what: &str, error: &wasmtime::Error) -> CallError {
        if let Some(misfit) = error.downcast_ref::<Misfit>() {
            return CallError::new(ErrorCode::Invalid, format!("`{what}`: {misfit}"));
        }
        if let Some(failed) = error.downcast_ref::<FailedCall>() {
            return CallError::new(
                ErrorCode::Trapped,
                format!(
                    "`{}` could not go on in `{what}`, as {failed}; its error has no case `call-failed`",
                    deployed.name
                ),
            );
        }
        if error.downcast_ref::<wasmtime::Trap>() == Some(&wasmtime::Trap::Interrupt) {
            return late(deployed, what);
        }
        let guest = self.store.data_mut();
        let limiter = &mut guest.limiter;
        let reason = if let Some(bytes) = limiter.take_refused() {
            format!(
                "it wanted {bytes} bytes of memory and may have {}; raise `memory` in [handler.{}]",
                limiter.bytes_max(),
                deployed.name
            )
        } else if let Some(line) = &guest.call.last_error {
            line.clone()
        } else {
            root_cause(error)
        };
        CallError::new(
            ErrorCode::Trapped,
            format!("`{}` trapped in `{what}`: {reason}", deployed.name),
        )
        .with_detail(format!("{error:?}"))
    }
}

fn root_cause(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<wasmtime::Trap>() {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    }
}

fn late(deployed: &Deployed, what: &str) -> CallError {
    CallError::new(
        ErrorCode::Deadline,
        format!("`{}` did not end `{what}` by its deadline", deployed.name),
    )
}

fn instantiation_error(deployed: &Deployed, store: &mut Store<Guest>, error: &wasmtime::Error) -> CallError {
    let name = &deployed.name;
    if let Some(bytes) = store.data_mut().limiter.take_refused() {
        return CallError::new(
            ErrorCode::Trapped,
            format!("`{name}` needs {bytes} bytes of memory to start; raise `memory` in [handler.{name}]"),
        );
    }
    let text = format!("{error:#}");
    let code = if text.contains("maximum concurrent") {
        ErrorCode::Overloaded
    } else {
        ErrorCode::Trapped
    };
    CallError::new(code, format!("`{name}` could not start: {text}"))
}

fn encode_response(deployed: &Deployed, response: Response) -> Result<Bytes, CallError> {
    if response.body.len() > exchange::RESPONSE_BYTES_MAX || response.headers.len() > exchange::HEADERS_MAX {
        return Err(CallError::new(
            ErrorCode::Rejected,
            format!(
                "the response of `{}` is larger than 8 MiB or has more than 128 headers",
                deployed.name
            ),
        ));
    }
    Ok(response.encode())
}

/// The stages between consecutive moments, so that they add up to the whole.
fn stages(
    since: Instant,
    lowered: Instant,
    lift_began: Instant,
    end: Instant,
    outgoing: Duration,
) -> CalleeStages {
    let ns = |duration: Duration| duration.as_nanos() as u64;
    let inside = lift_began.saturating_duration_since(lowered);
    CalleeStages {
        total: 0,
        decode: ns(lowered.saturating_duration_since(since)),
        wait: 0,
        run: ns(inside.saturating_sub(outgoing)),
        outgoing: ns(outgoing.min(inside)),
        encode: ns(end.saturating_duration_since(lift_began)),
    }
}
