//! `Driver`: the task of one shared instance. It makes the store, runs its calls and answers each of them.
//!
//! All calls advance in one `run_concurrent`; its error is the end of the store. The ticker is asked for only while the
//! store is polled, so that an instance whose calls all wait costs nothing.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use protocol::{CallError, ErrorCode, FunctionPath};
use tokio::sync::{mpsc, oneshot};
use wasmtime::component::{Accessor, Func, GuestTaskId, TypedFunc};
use wasmtime::{AsContextMut as _, Store, UpdateDeadline};

use super::calls::{self, UnderWay};
use super::{Answer, Ended, Inner, Job, Placed, State};
use crate::runtime::codec::{EXPORT_PARAMS, Lifted, Lowered, Stopwatch, watch};
use crate::runtime::failure;
use crate::runtime::guest::{CallInProgress, Guest};
use crate::runtime::instance::{Finished, stages};
use crate::runtime::life::End;
use crate::runtime::pool::GROWTH_BYTES_MAX;

/// Ticks that a guest may go on running after its call ended: far more than it takes to return.
const STRAY_TICKS_MAX: u32 = 100;

/// One instance's task.
pub(super) struct Driver {
    pool: Arc<Inner>,
    id: u64,
    state: Arc<State>,
    jobs: mpsc::Receiver<Placed>,
}

/// A result in wire bytes, and when lifting it began.
type Lifting<'a> = Pin<Box<dyn Future<Output = wasmtime::Result<(Bytes, Option<Instant>)>> + Send + 'a>>;

/// A call that its guest has begun.
struct Begun<'a> {
    task: GuestTaskId,
    result: Lifting<'a>,
    stopwatch: Option<Arc<Stopwatch>>,
    failed: oneshot::Receiver<CallError>,
    since: Option<Instant>,
    cold: bool,
}

impl Driver {
    pub(super) fn new(pool: Arc<Inner>, id: u64, state: Arc<State>, jobs: mpsc::Receiver<Placed>) -> Self {
        Self {
            pool,
            id,
            state,
            jobs,
        }
    }

    /// Makes the instance and drives it until it is out of service and its calls have ended.
    pub(super) async fn run(mut self, deadline: Instant) {
        let pool = Arc::clone(&self.pool);
        let end = match self.make(deadline).await {
            Ok((mut store, instance)) => {
                self.state.is_ready.store(true, Ordering::Release);
                self.drive(&mut store, &instance).await
            }
            Err(error) => {
                self.refuse(&error);
                End::Start
            }
        };
        pool.gone(self.id, end);
        // What was placed before it was out of service, and did not begin.
        self.jobs.close();
        while let Ok(placed) = self.jobs.try_recv() {
            drop(placed.place);
            let _ = placed.job.answer.send(Answer::NotBegun);
        }
    }

    async fn make(
        &self,
        deadline: Instant,
    ) -> Result<(Store<Guest>, wasmtime::component::Instance), CallError> {
        let blueprint = &self.pool.blueprint;
        let began = Instant::now();
        let nobody = CallInProgress::nobody(deadline);
        let guest = Guest::new(
            blueprint.tenant(),
            Arc::clone(&blueprint.router),
            blueprint.clock.clone(),
            nobody,
        );
        let mut store = Store::new(blueprint.executor.engine(), guest);
        store.limiter(|guest| &mut guest.limiter);
        store.set_hostcall_fuel(blueprint.terms.limits.host_call_bytes_max as usize);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut store| {
            let task = store.async_call_stack()?.last();
            Ok(tick(store.data_mut(), task))
        });
        let making = blueprint.pre.instantiate_async(&mut store);
        let made = tokio::time::timeout_at(deadline.into(), ticking(&self.pool, making)).await;
        match made {
            Ok(Ok(instance)) => {
                store.data_mut().limiter.started();
                self.pool.lives.started_in(began.elapsed());
                Ok((store, instance))
            }
            Ok(Err(error)) => Err(failure::of_start(blueprint.tenant(), store.data_mut(), &error)),
            Err(_) => Err(failure::late(&blueprint.handler, "its start")),
        }
    }

    /// Fails what waits for an instance that did not start.
    fn refuse(&mut self, error: &CallError) {
        self.pool.retire(self.id, End::Start);
        self.jobs.close();
        while let Ok(Placed { job, place, .. }) = self.jobs.try_recv() {
            drop(place);
            answer(job.answer, Err(error.clone()), None, None, true);
        }
    }

    async fn drive(&mut self, store: &mut Store<Guest>, instance: &wasmtime::component::Instance) -> End {
        let (pool, id) = (Arc::clone(&self.pool), self.id);
        let jobs = &mut self.jobs;
        let stopping = pool.blueprint.tasks.token();
        let serving = store.run_concurrent(async |accessor| {
            let mut calls = FuturesUnordered::new();
            let mut is_open = true;
            let mut is_stopping = false;
            while is_open || !calls.is_empty() {
                tokio::select! {
                    biased;
                    () = stopping.cancelled(), if !is_stopping => {
                        is_stopping = true;
                        pool.retire(id, End::Withdrawn);
                    }
                    Some(after) = calls.next(), if !calls.is_empty() => {
                        if let Some(end) = after {
                            pool.retire(id, end);
                        }
                    }
                    placed = jobs.recv(), if is_open => match placed {
                        Some(placed) => calls.push(serve(accessor, instance, placed, &pool)),
                        None => is_open = false,
                    },
                }
            }
        });
        let outcome = ticking(&pool, serving).await;
        match outcome {
            Ok(()) => End::Withdrawn,
            Err(error) => end_all(&pool, id, store, &error),
        }
    }
}

/// What a tick says to a guest task that runs.
fn tick(guest: &mut Guest, task: Option<GuestTaskId>) -> UpdateDeadline {
    let now = Instant::now();
    let Some(task) = task else {
        // It starts.
        return if now >= guest.call.deadline {
            UpdateDeadline::Interrupt
        } else {
            UpdateDeadline::Yield(1)
        };
    };
    match guest.calls.deadline(task, &guest.call) {
        Some(deadline) if now < deadline => {
            guest.calls.stray_ticks = 0;
            UpdateDeadline::Yield(1)
        }
        Some(_) => {
            guest.calls.culprit = Some(task);
            UpdateDeadline::Interrupt
        }
        None if guest.calls.stray_ticks < STRAY_TICKS_MAX => {
            guest.calls.stray_ticks += 1;
            UpdateDeadline::Yield(1)
        }
        None => UpdateDeadline::Interrupt,
    }
}

/// Polls a store's future with the ticker running and the codec's clock read.
async fn ticking<F: Future>(pool: &Inner, future: F) -> F::Output {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        let _running = pool.blueprint.executor.running();
        watch::within(true, || future.as_mut().poll(context))
    })
    .await
}

/// Runs one call in the store; why the instance is to be taken out of service, where it is.
async fn serve(
    accessor: &Accessor<Guest>,
    instance: &wasmtime::component::Instance,
    placed: Placed,
    pool: &Inner,
) -> Option<End> {
    let Placed { job, place, cold } = placed;
    let (gone, deadline) = (job.gone.clone(), job.call.deadline);
    if gone.is_cancelled() {
        return None;
    }
    let handler = &pool.blueprint.handler;
    let function = Arc::clone(&job.function);
    let mut begun = begin(accessor, instance, job, cold, pool)?;
    let late = tokio::time::sleep_until(deadline.into());
    let mut late = pin!(late);
    let outcome = tokio::select! {
        biased;
        lifted = &mut begun.result => Some(lifted),
        Ok(error) = &mut begun.failed => {
            end(accessor, &begun, Err(error));
            None
        }
        () = &mut late => {
            end(accessor, &begun, Err(failure::late(handler, &function.to_string())));
            None
        }
        () = gone.cancelled() => {
            // Its guest may still come to an end by itself; until then it keeps its place.
            tokio::select! {
                biased;
                lifted = &mut begun.result => Some(lifted),
                _ = &mut begun.failed => None,
                () = &mut late => None,
            }
        }
    };
    let after = match outcome {
        Some(lifted) => finish(accessor, &begun, lifted, &function, pool),
        None => {
            accessor.with(|mut access| calls::take(access.data_mut(), begun.task));
            Some(if Instant::now() >= deadline {
                End::Deadline
            } else if gone.is_cancelled() {
                End::Cancelled
            } else {
                End::Trap
            })
        }
    };
    drop(place);
    after
}

/// Hands a call to its guest. `None` where that was not possible, and its caller knows.
fn begin<'a>(
    accessor: &'a Accessor<Guest>,
    instance: &wasmtime::component::Instance,
    job: Job,
    cold: bool,
    pool: &Inner,
) -> Option<Begun<'a>> {
    let since = job.call.trace.sampled.then(Instant::now);
    let stopwatch = since.map(|_| Arc::new(Stopwatch::default()));
    let args = Lowered::arguments(job.args, stopwatch.clone());
    let started = accessor.with(|mut access| {
        let export = instance.get_func(access.as_context_mut(), job.index);
        let export = export.ok_or_else(|| wasmtime::format_err!("it has no such function"))?;
        start(access.as_context_mut(), accessor, export, job.results, args)
    });
    match started {
        Ok((task, result)) => {
            let (fail, failed) = oneshot::channel();
            let under_way = UnderWay::new(job.function, job.call, job.answer, job.gone, fail);
            accessor.with(|mut access| access.data_mut().calls.begin(task, under_way));
            Some(Begun {
                task,
                result,
                stopwatch,
                failed,
                since,
                cold,
            })
        }
        Err(error) => {
            let handler = &pool.blueprint.handler;
            let message = format!(
                "`{handler}` could not begin `{}`: {}",
                job.function,
                error.root_cause()
            );
            let error = CallError::new(ErrorCode::Internal, message);
            answer(job.answer, Err(error), None, since, cold);
            None
        }
    }
}

/// Starts a call of a function whose result has this many slots.
fn start<'a>(
    store: wasmtime::StoreContextMut<'_, Guest>,
    accessor: &'a Accessor<Guest>,
    export: Func,
    results: usize,
    args: Lowered<EXPORT_PARAMS>,
) -> wasmtime::Result<(GuestTaskId, Lifting<'a>)> {
    fn of<'a, const N: usize>(
        store: wasmtime::StoreContextMut<'_, Guest>,
        accessor: &'a Accessor<Guest>,
        export: Func,
        args: Lowered<EXPORT_PARAMS>,
    ) -> wasmtime::Result<(GuestTaskId, Lifting<'a>)> {
        #[expect(
            unsafe_code,
            reason = "the codec checks values against the function's own type"
        )]
        // SAFETY: `Lowered` and `Lifted` walk the component's own types, and `N` covers the result's slots.
        let export: TypedFunc<Lowered<EXPORT_PARAMS>, Lifted<N>> =
            unsafe { TypedFunc::new_unchecked(export) };
        let call = export.start_call_concurrent(store, args)?;
        let task = call.task();
        let result = async move {
            let lifted = export.finish_call_concurrent(accessor, call).await?;
            Ok((lifted.bytes, lifted.began))
        };
        Ok((task, Box::pin(result)))
    }
    macro_rules! by_count {
        ($($count:literal)*) => {
            match results {
                $($count => of::<$count>(store, accessor, export, args),)*
                more => wasmtime::bail!("its result has {more} flat values, 16 are the most"),
            }
        };
    }
    by_count!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
}

/// Ends a call that its guest did not end.
fn end(accessor: &Accessor<Guest>, begun: &Begun<'_>, outcome: Result<Finished, CallError>) {
    let left = accessor.with(|mut access| calls::take(access.data_mut(), begun.task));
    if let Some(left) = left {
        settle(left, outcome, begun.since, begun.cold);
    }
}

/// Ends a call whose guest gave a result.
fn finish(
    accessor: &Accessor<Guest>,
    begun: &Begun<'_>,
    lifted: wasmtime::Result<(Bytes, Option<Instant>)>,
    function: &FunctionPath,
    pool: &Inner,
) -> Option<End> {
    let now = begun.since.map(|_| Instant::now());
    let (left, grown) = accessor.with(|mut access| {
        let guest = access.data_mut();
        calls::switch(guest, Some(begun.task));
        guest.collect_stdio();
        let grown = guest.limiter.grown_bytes();
        (calls::take(guest, begun.task), grown)
    });
    let mut left = left?;
    let outcome = match lifted {
        Ok((value, began)) => {
            let stages = begun.since.zip(now).map(|(since, now)| {
                let lowered = begun.stopwatch.as_ref().and_then(|watch| watch.lowered_at());
                let began = began.unwrap_or(now);
                stages(since, lowered.unwrap_or(since), began, now, left.call.outgoing)
            });
            let next = CallInProgress::new(left.call.deadline, left.call.trace, left.call.hop);
            Ok(Finished {
                value,
                stages,
                left: begun.since.map(|_| std::mem::replace(&mut left.call, next)),
                http_status: None,
            })
        }
        Err(error) => Err(CallError::new(
            ErrorCode::Internal,
            format!("`{}` lost `{function}`: {error:#}", pool.blueprint.handler),
        )),
    };
    settle(left, outcome, begun.since, begun.cold);
    (grown > GROWTH_BYTES_MAX).then_some(End::Memory)
}

/// Ends all calls of a store that ended.
fn end_all(pool: &Inner, id: u64, store: &mut Store<Guest>, error: &wasmtime::Error) -> End {
    let handler = &pool.blueprint.handler;
    let running = match store.as_context_mut().async_call_stack() {
        Ok(stack) => stack.last(),
        Err(_) => None,
    };
    let guest = store.data_mut();
    let culprit = guest.calls.culprit.or(running);
    calls::switch(guest, culprit);
    guest.collect_stdio();
    let named = culprit.and_then(|task| guest.calls.get_mut(task));
    let what = named.map_or_else(
        || "what it left running".to_owned(),
        |call| call.function.to_string(),
    );
    let own = failure::of_call(pool.blueprint.tenant(), &what, guest, error);
    let end = match own.code {
        ErrorCode::Deadline => End::Deadline,
        _ => End::Trap,
    };
    // Before anybody learns of it: whoever calls again finds another instance.
    pool.retire(id, end);
    let neighbours = CallError::new(
        ErrorCode::Trapped,
        format!(
            "`{handler}` ended with a call that shared its instance: {}; `policy = \"pooled\"` in [handler.{handler}] \
             gives each call its own",
            own.message
        ),
    );
    for (task, under_way) in calls::take_all(guest) {
        let error = if culprit == Some(task) { &own } else { &neighbours };
        settle(under_way, Err(error.clone()), None, false);
    }
    end
}

fn settle(mut under_way: UnderWay, outcome: Result<Finished, CallError>, since: Option<Instant>, cold: bool) {
    let Some(sender) = under_way.answer.take() else {
        return;
    };
    let left = (outcome.is_err() && under_way.call.trace.sampled).then_some(under_way.call);
    answer(sender, outcome, left, since, cold);
}

fn answer(
    sender: oneshot::Sender<Answer>,
    outcome: Result<Finished, CallError>,
    left: Option<CallInProgress>,
    since: Option<Instant>,
    cold: bool,
) {
    // Nobody may be there any more.
    let _ = sender.send(Answer::Ended(Box::new(Ended {
        outcome,
        left,
        since,
        cold,
    })));
}
