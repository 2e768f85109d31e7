//! `Instance`: one store with one instance of a handler, and one call at a time in it.
//!
//! The deadline is held twice: epochs interrupt a guest that runs, an alarm ends one that waits in the host; a call that
//! never waits sets none. Whoever calls must drop the instance after any error: a trap poisons the whole store. What ended a call is told by
//! `failure.rs`.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use protocol::exchange::Request;
use protocol::{CallError, CalleeStages, ErrorCode, exchange};
use wasmtime::component::TypedFunc;
use wasmtime::{Store, UpdateDeadline};

use super::artifact::ExportedFunction;
use super::codec::{EXPORT_PARAMS, EXPORT_RESULTS, Lifted, Lowered, Stopwatch, watch};
use super::deployed::Deployed;
use super::engine::{Executor, Running};
use super::failure;
use super::guest::{CallInProgress, Guest};
use super::incoming;
use super::life::End;
use super::slices::{self, FIRST_TICKS, Turn};
use crate::clock::Clock;
use crate::dispatch::Dispatcher;

/// One store with an instance in it.
pub(super) struct Instance {
    store: Store<Guest>,
    instance: wasmtime::component::Instance,
    /// After the store, so that a turn lasts until that is torn down.
    turn: Arc<Turn>,
    uses: u32,
}

/// What a call came to, with the moments between its stages.
pub(super) struct Finished {
    pub(super) value: Bytes,
    /// Where the call is sampled.
    pub(super) stages: Option<CalleeStages>,
    /// What the call leaves, where it is sampled.
    pub(super) left: Option<CallInProgress>,
    /// The status of an HTTP exchange.
    pub(super) http_status: Option<u16>,
}

impl Finished {
    /// Completes the stages, where the call is measured, by when it arrived, what reading it took, and since when it had its
    /// instance.
    pub(super) fn measure(
        &mut self,
        arrived: Option<Instant>,
        parsed: Option<Duration>,
        since: Option<Instant>,
    ) {
        if let Some(stages) = &mut self.stages
            && let (Some(arrived), Some(since), Some(parsed)) = (arrived, since, parsed)
        {
            stages.wait = since.saturating_duration_since(arrived + parsed).as_nanos() as u64;
            stages.decode += parsed.as_nanos() as u64;
            stages.total = arrived.elapsed().as_nanos() as u64;
            // What passed since the result was lifted is carrying it out: a part of step 7.
            let before = stages.decode + stages.wait + stages.run + stages.outgoing;
            stages.encode = stages.encode.max(stages.total.saturating_sub(before));
        }
    }
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
        let guest = Guest::new(deployed.tenant(), Arc::clone(router), clock.clone(), call);
        let (turn, turns) = (Arc::clone(&guest.turn), Arc::clone(&executor.turns));
        let habit = Arc::clone(&deployed.habit);
        let mut store = Store::new(executor.engine(), guest);
        store.limiter(|guest| &mut guest.limiter);
        store.set_hostcall_fuel(deployed.terms.limits.host_call_bytes_max as usize);
        store.set_epoch_deadline(FIRST_TICKS);
        store.epoch_deadline_callback(move |store| {
            if Instant::now() >= store.data().call.deadline {
                Ok(UpdateDeadline::Interrupt)
            } else {
                Ok(UpdateDeadline::YieldCustom(
                    1,
                    slices::next(&turn, &turns, &habit),
                ))
            }
        });
        let running = executor.running();
        let turn = Arc::clone(&store.data().turn);
        let made = {
            let made = pin!(deployed.pre.instantiate_async(&mut store));
            by_deadline(&running, deadline, false, &turn, made).await
        };
        match made {
            Some(Ok(instance)) => {
                turn.end();
                store.data_mut().limiter.started();
                Ok(Self {
                    store,
                    instance,
                    turn,
                    uses: 0,
                })
            }
            Some(Err(error)) => Err(failure::of_start(deployed.tenant(), store.data_mut(), &error)),
            None => Err(failure::late(&deployed.name, "its start")),
        }
    }

    /// The calls that it has served.
    pub(super) fn uses(&self) -> u32 {
        self.uses
    }

    /// The memory that it took since it was made, in bytes.
    pub(super) fn grown_bytes(&self) -> usize {
        self.store.data().limiter.grown_bytes()
    }

    /// Begins another call in a warm instance.
    pub(super) fn begin(&mut self, call: CallInProgress) {
        self.store.data_mut().begin(call);
        self.store.set_epoch_deadline(FIRST_TICKS);
    }

    /// Calls an exported function. `since` is the moment at which the call had this instance, where it is measured.
    pub(super) async fn call(
        &mut self,
        executor: &Executor,
        deployed: &Deployed,
        function: &ExportedFunction,
        args: Bytes,
        since: Option<Instant>,
    ) -> Result<Finished, CallError> {
        self.uses += 1;
        let name = &deployed.name;
        let Some(export) = self.instance.get_func(&mut self.store, function.index) else {
            return Err(CallError::new(
                ErrorCode::Internal,
                format!("`{name}` has no function `{}`", function.path),
            ));
        };
        #[expect(
            unsafe_code,
            reason = "the codec checks values against the function's own type"
        )]
        // SAFETY: `Lowered` and `Lifted` walk the component's own types, and their slots cover every export.
        let export: TypedFunc<Lowered<EXPORT_PARAMS>, Lifted<EXPORT_RESULTS>> =
            unsafe { TypedFunc::new_unchecked(export) };
        let deadline = self.store.data().call.deadline;
        let stopwatch = since.map(|_| Arc::new(Stopwatch::default()));
        let args = Lowered::arguments(args, stopwatch.clone());
        let running = executor.running();
        let outcome = {
            // Pinned here, so that it is not copied into another future: it is large.
            let called = pin!(export.call_async(&mut self.store, args));
            by_deadline(&running, deadline, since.is_some(), &self.turn, called).await
        };
        drop(running);
        deployed.habit.note(&self.turn);
        let end = since.map(|_| Instant::now());
        self.store.data_mut().collect_stdio();
        match outcome {
            Some(Ok(lifted)) => {
                self.turn.end();
                let left = since.map(|_| self.take_call());
                let stages = since.zip(end).zip(left.as_ref()).map(|((since, end), left)| {
                    let lowered = stopwatch.and_then(|watch| watch.lowered_at()).unwrap_or(since);
                    stages(since, lowered, lifted.began.unwrap_or(end), end, left.outgoing)
                });
                Ok(Finished {
                    value: lifted.bytes,
                    stages,
                    left,
                    http_status: None,
                })
            }
            Some(Err(error)) => {
                let what = function.path.to_string();
                let guest = self.store.data_mut();
                Err(failure::of_call(deployed.tenant(), &what, guest, &error))
            }
            None => Err(failure::late(name, &function.path.to_string())),
        }
    }

    /// Carries an HTTP exchange out.
    pub(super) async fn exchange(
        &mut self,
        executor: &Executor,
        deployed: &Deployed,
        request: Request,
        since: Option<Instant>,
    ) -> Result<Finished, CallError> {
        self.uses += 1;
        let name = &deployed.name;
        let proxy = deployed.proxy.as_ref().ok_or_else(|| failure::no_http(name))?;
        let what = format!("{} {}", request.method, request.route());
        let deadline = self.store.data().call.deadline;
        let running = executor.running();
        let outcome = {
            let handled = pin!(incoming::handle(&mut self.store, &self.instance, proxy, request));
            by_deadline(&running, deadline, since.is_some(), &self.turn, handled).await
        };
        drop(running);
        deployed.habit.note(&self.turn);
        let ran = since.map(|_| Instant::now());
        self.store.data_mut().collect_stdio();
        match outcome {
            Some(Ok(handled)) => {
                self.turn.end();
                if handled.response.headers.len() > exchange::HEADERS_MAX {
                    self.store.data_mut().call.end = Some(End::Result);
                    return Err(failure::too_many_headers(name, &what));
                }
                let value = handled.response.encode();
                let left = since.map(|_| self.take_call());
                let stages = since.zip(ran).zip(left.as_ref()).map(|((since, ran), left)| {
                    stages(since, handled.lowered, ran, Instant::now(), left.outgoing)
                });
                Ok(Finished {
                    value,
                    stages,
                    left,
                    http_status: Some(handled.response.status),
                })
            }
            Some(Err(error)) => Err(failure::of_call(
                deployed.tenant(),
                &what,
                self.store.data_mut(),
                &error,
            )),
            None => Err(failure::late(name, &what)),
        }
    }

    /// Waits for a turn before a call that is likely to be long; whether it came by the deadline.
    pub(super) async fn has_turn(&mut self, executor: &Executor) -> bool {
        let deadline = self.store.data().call.deadline;
        let came = slices::has_first(&self.turn, executor, deadline).await;
        // The wait is no part of its run.
        self.store.set_epoch_deadline(FIRST_TICKS);
        came
    }

    /// Takes what belongs to the call that ended: its log lines for its span.
    pub(super) fn take_call(&mut self) -> CallInProgress {
        let call = &mut self.store.data_mut().call;
        let next = CallInProgress::new(call.deadline, call.trace, call.hop);
        std::mem::replace(call, next)
    }
}

/// Polls a guest's future up to its deadline; `None` where that comes first. The alarm is set when the future first waits.
/// Whatever the guest waits for, it holds no turn meanwhile. What has failed keeps its turn until its instance is torn
/// down, which may take as long as running it did.
async fn by_deadline<F: Future>(
    running: &Running<'_>,
    deadline: Instant,
    watched: bool,
    turn: &Turn,
    mut future: Pin<&mut F>,
) -> Option<F::Output> {
    let mut alarm = running.alarm(deadline);
    std::future::poll_fn(|context| {
        let polled = watch::within(watched, || future.as_mut().poll(context));
        if let Poll::Ready(output) = polled {
            return Poll::Ready(Some(output));
        }
        turn.end();
        alarm.poll(context).map(|()| None)
    })
    .await
}

/// The stages between consecutive moments, so that they add up to the whole.
pub(super) fn stages(
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
