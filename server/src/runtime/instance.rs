//! `Instance`: one store with one instance of a handler, and one call at a time in it.
//!
//! The deadline is held twice: epochs interrupt a guest that runs, an outer timeout covers one that waits in the host.
//! Whoever calls must drop the instance after any error: a trap poisons the whole store. What ended a call is told by
//! `failure.rs`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use protocol::exchange::Request;
use protocol::{CallError, CalleeStages, ErrorCode, exchange};
use wasmtime::component::TypedFunc;
use wasmtime::{Store, UpdateDeadline};

use super::artifact::ExportedFunction;
use super::codec::{EXPORT_PARAMS, EXPORT_RESULTS, Lifted, Lowered, Stopwatch};
use super::deployed::Deployed;
use super::engine::Executor;
use super::failure;
use super::guest::{CallInProgress, Guest};
use super::incoming;
use crate::clock::Clock;
use crate::dispatch::{Call, Dispatcher};

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
    /// The status of an HTTP exchange.
    pub(super) http_status: Option<u16>,
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
        match tokio::time::timeout_at(deadline.into(), made).await {
            Ok(Ok(instance)) => Ok(Self {
                store,
                instance,
                uses: 0,
            }),
            Ok(Err(error)) => Err(failure::of_start(&deployed.name, store.data_mut(), &error)),
            Err(_) => Err(failure::late(&deployed.name, "its start")),
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
        let args = Lowered::arguments(call.args, Arc::clone(&stopwatch));
        let _running = executor.running();
        let called = export.call_async(&mut self.store, args);
        let outcome = tokio::time::timeout_at(deadline.into(), called).await;
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
                    http_status: None,
                })
            }
            Ok(Err(error)) => {
                let what = function.path.to_string();
                Err(failure::of_call(
                    &deployed.name,
                    &what,
                    self.store.data_mut(),
                    &error,
                ))
            }
            Err(_) => Err(failure::late(&deployed.name, &function.path.to_string())),
        }
    }

    /// Carries an HTTP exchange out by `deadline`.
    pub(super) async fn exchange(
        &mut self,
        executor: &Executor,
        deployed: &Deployed,
        request: Request,
        deadline: Instant,
        since: Instant,
    ) -> Result<Finished, CallError> {
        self.uses += 1;
        let name = &deployed.name;
        let proxy = deployed.proxy.as_ref().ok_or_else(|| failure::no_http(name))?;
        let what = format!("{} {}", request.method, request.route());
        let _running = executor.running();
        let handled = incoming::handle(&mut self.store, &self.instance, proxy, request);
        let outcome = tokio::time::timeout_at(deadline.into(), handled).await;
        let ran = Instant::now();
        self.store.data_mut().collect_stdio();
        match outcome {
            Ok(Ok(handled)) => {
                if handled.response.headers.len() > exchange::HEADERS_MAX {
                    return Err(failure::too_many_headers(name, &what));
                }
                let value = handled.response.encode();
                let guest = self.take_call();
                let stages = stages(since, handled.lowered, ran, Instant::now(), guest.outgoing);
                Ok(Finished {
                    value,
                    stages,
                    guest,
                    http_status: Some(handled.response.status),
                })
            }
            Ok(Err(error)) => Err(failure::of_call(name, &what, self.store.data_mut(), &error)),
            Err(_) => Err(failure::late(name, &what)),
        }
    }

    /// Takes what belongs to the call that ended: its log lines for its span.
    pub(super) fn take_call(&mut self) -> CallInProgress {
        let call = &mut self.store.data_mut().call;
        let next = CallInProgress::new(call.deadline, call.trace, call.hop);
        std::mem::replace(call, next)
    }
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
