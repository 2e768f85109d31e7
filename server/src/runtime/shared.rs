//! Handlers with async functions (WASI 0.3): instances on the concurrent engine, each of which serves many calls at a
//! time.
//!
//! One task drives one store (`driver`); a call is placed in an instance that has room and travels to its task. The
//! price of sharing: wasmtime can neither cancel nor kill one call in a store. A call whose caller went away keeps its
//! place until its guest is done; one that waits past its deadline takes the instance out of service, which then ends
//! with its other calls; one that traps, or runs past its deadline without waiting, ends the store with all calls under
//! way there, each with an error that names it. A call that had not begun is placed anew. Policies `pooled` and `fresh`
//! place one call at a time here, so that nobody pays that price.

mod call;
pub(super) mod calls;
mod driver;
mod host;
mod imports;
mod keyvalue;
#[cfg(test)]
mod tests;
pub(super) mod values;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use protocol::control::{InstanceFigures, InstancePolicy};
use protocol::{CallError, ErrorCode, FunctionPath, HandlerName};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use wasmtime::component::{ComponentExportIndex, InstancePre};

use super::deployed::Tenant;
use super::engine::Executor;
use super::grants::Terms;
use super::guest::{CallInProgress, Guest};
use super::host::Denials;
use super::instance::Finished;
use super::life::{End, Lives};
use super::pool::{IDLE_FOR_MAX, USES_MAX, Waiting};
use super::warming::Warming;
use crate::clock::Clock;
use crate::dispatch::Dispatcher;
use crate::shutdown::Tasks;

pub(super) use call::call;
pub(super) use host::linker;
pub(super) use imports::define;

/// How long an instance may take to start that no call waits for.
pub(super) const START_MAX: Duration = Duration::from_secs(10);

/// What the instances of one version are made of.
pub(super) struct Blueprint {
    pub(super) handler: HandlerName,
    pub(super) terms: Arc<Terms>,
    pub(super) denials: Arc<Denials>,
    pub(super) lives: Arc<Lives>,
    pub(super) pre: InstancePre<Guest>,
    pub(super) executor: Arc<Executor>,
    pub(super) router: Dispatcher,
    pub(super) clock: Clock,
    pub(super) tasks: Tasks,
    pub(super) refill: Arc<Notify>,
}

/// A call on its way to an instance.
pub(super) struct Job {
    pub(super) function: Arc<FunctionPath>,
    pub(super) index: ComponentExportIndex,
    /// The slots of its result.
    pub(super) results: usize,
    pub(super) args: Bytes,
    pub(super) call: CallInProgress,
    pub(super) answer: oneshot::Sender<Answer>,
    /// Cancelled once nobody waits for the answer.
    pub(super) gone: CancellationToken,
}

/// What comes back.
pub(super) enum Answer {
    /// The call ended; whether its instance was made for it.
    Ended(Box<Ended>),
    /// Its instance ended before it began: nothing ran.
    NotBegun,
}

/// How a call ended.
pub(super) struct Ended {
    pub(super) outcome: Result<Finished, CallError>,
    /// What it leaves, where it failed and is sampled.
    pub(super) left: Option<CallInProgress>,
    /// When its guest began, where it is sampled.
    pub(super) since: Option<Instant>,
    pub(super) cold: bool,
}

impl Blueprint {
    pub(super) fn tenant(&self) -> Tenant<'_> {
        Tenant {
            handler: &self.handler,
            terms: &self.terms,
            denials: &self.denials,
            lives: &self.lives,
        }
    }
}

/// A job in an instance's channel, with its place there.
struct Placed {
    job: Job,
    place: Place,
    cold: bool,
}

/// The instances of one version of a handler.
pub(super) struct SharedPool {
    inner: Arc<Inner>,
}

/// What the pool and its instances' tasks know.
struct Inner {
    blueprint: Blueprint,
    /// Calls that one instance has at a time, and serves in its life.
    concurrency: usize,
    /// Instances at a time, and calls that wait for room in one.
    instances_max: usize,
    waiting_max: usize,
    uses_max: u32,
    seats: Mutex<Seats>,
    /// Tells whoever waits that there may be room.
    room: Notify,
    waiting: AtomicUsize,
    /// Instances since the last look that a call had to wait for.
    cold: AtomicU32,
    lives: Arc<Lives>,
    warming: Warming,
}

#[derive(Default)]
struct Seats {
    /// Those that take calls.
    serving: Vec<Seat>,
    /// How many finish their calls and take no more.
    leaving: usize,
    next: u64,
}

/// An instance that takes calls, seen from the pool.
struct Seat {
    id: u64,
    jobs: mpsc::Sender<Placed>,
    state: Arc<State>,
    /// When a look first saw it without a call.
    idle_since: Option<Instant>,
}

/// What the pool and one instance's task share.
#[derive(Default)]
struct State {
    /// Calls that have a place, begun or not.
    load: AtomicUsize,
    uses: AtomicU32,
    is_ready: AtomicBool,
}

/// A call's place in an instance, until its guest is done with it.
struct Place {
    state: Arc<State>,
    pool: Arc<Inner>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.state.load.fetch_sub(1, Ordering::AcqRel);
        self.pool.room.notify_one();
    }
}

impl SharedPool {
    /// A pool; the lives of its instances are counted in `lives`.
    pub(super) fn new(blueprint: Blueprint, lives: Arc<Lives>) -> Self {
        let limits = blueprint.terms.limits;
        let policy = limits.policy.unwrap_or(InstancePolicy::Shared);
        let warming = Warming::new(limits, Arc::clone(&blueprint.refill));
        let concurrency = match policy {
            InstancePolicy::Shared => limits.instance_calls_max.min(limits.calls_max),
            InstancePolicy::Pooled | InstancePolicy::Fresh => 1,
        };
        let instances_max = limits.instances_max.min((limits.calls_max / concurrency).max(1));
        let inner = Inner {
            concurrency: concurrency as usize,
            instances_max: instances_max as usize,
            waiting_max: limits.calls_max.saturating_sub(instances_max * concurrency) as usize,
            uses_max: match policy {
                InstancePolicy::Fresh => 1,
                InstancePolicy::Shared | InstancePolicy::Pooled => USES_MAX,
            },
            blueprint,
            seats: Mutex::default(),
            room: Notify::new(),
            waiting: AtomicUsize::new(0),
            cold: AtomicU32::new(0),
            lives,
            warming,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The counters of its instances' lives, for the handler's next version.
    pub(super) fn lives(&self) -> &Arc<Lives> {
        &self.inner.lives
    }

    /// Gives a job to an instance that has room, waiting for one up to the deadline.
    pub(super) async fn place(&self, job: Job) -> Result<(), CallError> {
        let deadline = job.call.deadline;
        let mut job = match self.inner.try_place(job) {
            Ok(()) => return Ok(()),
            Err(job) => job,
        };
        let inner = &self.inner;
        let handler = &inner.blueprint.handler;
        let _waiting = Waiting::begin(&inner.waiting, inner.waiting_max).ok_or_else(|| inner.crowded())?;
        loop {
            let room = inner.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            job = match inner.try_place(job) {
                Ok(()) => return Ok(()),
                Err(job) => job,
            };
            if tokio::time::timeout_at(deadline.into(), room).await.is_err() {
                return Err(CallError::new(
                    ErrorCode::Deadline,
                    format!("no instance of `{handler}` had room before the deadline"),
                ));
            }
        }
    }

    /// Makes an instance that no call waits for, while fewer are free than are wanted; whether it does.
    pub(super) fn warm_one(&self) -> bool {
        let inner = &self.inner;
        let mut seats = inner.seats();
        if !inner.warming.wants(seats.free()) || !inner.may_open(&seats) {
            return false;
        }
        inner.open(&mut seats, Instant::now() + START_MAX, false);
        true
    }

    /// Begins another look at how many instances calls had to wait for.
    pub(super) fn look(&self) {
        let inner = &self.inner;
        inner.warming.look(inner.cold.swap(0, Ordering::Relaxed));
    }

    /// Takes the instances out of service that have been without a call for [`IDLE_FOR_MAX`], but for those that are
    /// kept warm.
    pub(super) fn drop_idle(&self, now: Instant) {
        let mut seats = self.inner.seats();
        let mut spare = seats.free().saturating_sub(self.inner.warming.floor());
        let Seats { serving, leaving, .. } = &mut *seats;
        serving.retain_mut(|seat| {
            if seat.load() > 0 {
                seat.idle_since = None;
                return true;
            }
            let since = *seat.idle_since.get_or_insert(now);
            if spare == 0 || now.saturating_duration_since(since) < IDLE_FOR_MAX {
                return true;
            }
            spare -= 1;
            *leaving += 1;
            self.inner.lives.count(End::Idle, 1);
            false
        });
    }

    pub(super) fn figures(&self) -> InstanceFigures {
        let seats = self.inner.seats();
        let idle = seats.free();
        InstanceFigures {
            idle: idle as u64,
            busy: (seats.serving.len() - idle + seats.leaving) as u64,
            ..self.inner.lives.figures()
        }
    }
}

impl Drop for SharedPool {
    fn drop(&mut self) {
        // Without senders the tasks finish their calls and end.
        let mut seats = self.inner.seats();
        let withdrawn = seats.serving.len();
        seats.leaving += withdrawn;
        seats.serving.clear();
        self.inner.lives.count(End::Withdrawn, withdrawn as u64);
    }
}

impl Seat {
    fn load(&self) -> usize {
        self.state.load.load(Ordering::Acquire)
    }
}

impl Seats {
    /// Those without a call.
    fn free(&self) -> usize {
        self.serving.iter().filter(|seat| seat.load() == 0).count()
    }
}

impl Inner {
    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The instance for another call: the calmest that has calls already, else a free one, else one that is made. An
    /// instance runs on one thread at a time, so that a quarter of what it takes is enough to want another one.
    fn choose(self: &Arc<Self>, seats: &mut Seats, deadline: Instant) -> Option<usize> {
        let of = |seats: &Seats, loads: std::ops::Range<usize>| {
            let loaded = seats.serving.iter().enumerate();
            let loaded = loaded.map(|(at, seat)| (seat.load(), at));
            let chosen = loaded.filter(|(load, _)| loads.contains(load)).min();
            chosen.map(|(_, at)| at)
        };
        let calm = of(seats, 1..self.concurrency.div_ceil(4)).or_else(|| of(seats, 0..1));
        if calm.is_some() {
            return calm;
        }
        if self.may_open(seats) {
            self.cold.fetch_add(1, Ordering::Relaxed);
            self.open(seats, deadline, true);
            return seats.serving.len().checked_sub(1);
        }
        of(seats, 0..self.concurrency)
    }

    /// Places a job in an instance that has room.
    fn try_place(self: &Arc<Self>, job: Job) -> Result<(), Job> {
        let mut seats = self.seats();
        let Some(at) = self.choose(&mut seats, job.call.deadline) else {
            return Err(job);
        };
        let seat = &mut seats.serving[at];
        if seat.idle_since.take().is_some() || seat.load() == 0 {
            self.warming.refill();
        }
        seat.state.load.fetch_add(1, Ordering::AcqRel);
        let uses = seat.state.uses.fetch_add(1, Ordering::Relaxed) + 1;
        let placed = Placed {
            job,
            cold: !seat.state.is_ready.load(Ordering::Acquire),
            place: Place {
                state: Arc::clone(&seat.state),
                pool: Arc::clone(self),
            },
        };
        let id = seat.id;
        // Never full: it has as many places as the instance has.
        let refused = seat.jobs.try_send(placed).err().map(|error| match error {
            mpsc::error::TrySendError::Full(placed) | mpsc::error::TrySendError::Closed(placed) => placed,
        });
        if uses >= self.uses_max {
            let end = if self.uses_max == 1 { End::Fresh } else { End::Uses };
            self.take_out(&mut seats, id, end);
        }
        drop(seats);
        match refused {
            None => Ok(()),
            Some(Placed { job, .. }) => Err(job),
        }
    }

    /// Whether another instance may be made: as many that finish their calls may stand beside those that serve.
    fn may_open(&self, seats: &Seats) -> bool {
        let most = self.instances_max;
        seats.serving.len() < most && seats.serving.len() + seats.leaving < 2 * most
    }

    /// Starts the task of another instance.
    fn open(self: &Arc<Self>, seats: &mut Seats, deadline: Instant, is_cold: bool) {
        let (sender, jobs) = mpsc::channel(self.concurrency);
        let id = seats.next;
        seats.next += 1;
        let state = Arc::new(State::default());
        seats.serving.push(Seat {
            id,
            jobs: sender,
            state: Arc::clone(&state),
            idle_since: None,
        });
        self.lives.count_made(is_cold);
        let driver = driver::Driver::new(Arc::clone(self), id, state, jobs);
        self.blueprint.tasks.spawn("instance", driver.run(deadline));
    }

    /// Takes an instance out of service; it finishes its calls. Whether it was in service.
    fn take_out(&self, seats: &mut Seats, id: u64, end: End) -> bool {
        let Some(at) = seats.serving.iter().position(|seat| seat.id == id) else {
            return false;
        };
        seats.serving.swap_remove(at);
        seats.leaving += 1;
        self.lives.count(end, 1);
        true
    }

    /// Takes an instance out of service.
    fn retire(&self, id: u64, end: End) {
        if self.take_out(&mut self.seats(), id, end) {
            self.room.notify_waiters();
        }
    }

    /// Says that an instance is gone.
    fn gone(&self, id: u64, end: End) {
        let mut seats = self.seats();
        self.take_out(&mut seats, id, end);
        seats.leaving = seats.leaving.saturating_sub(1);
        drop(seats);
        self.warming.refill();
        self.room.notify_waiters();
    }

    fn crowded(&self) -> CallError {
        let handler = &self.blueprint.handler;
        CallError::new(
            ErrorCode::Overloaded,
            format!(
                "`{handler}` has {} calls waiting for its {} instances of {} calls each; raise `concurrency`, \
                 `instance_calls` or `instances` in [handler.{handler}], or send less",
                self.waiting_max, self.instances_max, self.concurrency
            ),
        )
    }
}
