//! `InstancePool`: instances of one handler, checked out by one call at a time.
//!
//! A call waits for a free instance up to its deadline. Of the calls that a handler may have under way, those beyond its
//! instances wait, and the next one is `Overloaded`: so that the limit costs a call that need not wait nothing.
//! An instance comes back only after a call that ended well: a trap, a timeout or a cancelled call drops its store.
//! Reuse is capped in calls and in memory that a call left grown, so that what leaks in a guest stays bounded, and an
//! instance that nobody called for [`IDLE_FOR_MAX`] is dropped, so that a rush does not keep its memory. A `fresh`
//! handler's instances never come back. The pool has no timer: `Runtime` looks at all pools.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use protocol::control::{InstanceFigures, InstancePolicy, Limits};
use protocol::{CallError, ErrorCode, HandlerName};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use super::deployed::Deployed;
use super::instance::Instance;
use super::life::{End, Lives};
use super::warming::Warming;

/// Calls that one instance serves before it is replaced.
pub const USES_MAX: u32 = 1_024;
/// Bytes by which an instance's memory may have grown since its start if it is to be kept. A guest's memory never
/// shrinks, so that one call with a large value would be paid for as long as the instance lives.
pub const GROWTH_BYTES_MAX: usize = 16 << 20;
/// Instances kept warm: enough for two busy cores and a chain of calls through the same handler.
const IDLE_MAX: usize = 32;
/// How long an instance is kept warm for the next call, from the look that first sees it idle.
pub const IDLE_FOR_MAX: Duration = Duration::from_secs(30);

/// The instances of one version of a handler.
pub(super) struct InstancePool {
    handler: HandlerName,
    policy: InstancePolicy,
    permits: Semaphore,
    /// Calls that run at the same time.
    limit: u32,
    /// Calls that may wait beside them.
    waiting_max: usize,
    /// Taken from the end, so that those at the front are the longest idle.
    idle: Mutex<Vec<Idle>>,
    waiting: AtomicUsize,
    /// Calls since the last look that had to wait for an instance to be made.
    cold: AtomicU32,
    lives: Arc<Lives>,
    warming: Warming,
}

struct Idle {
    instance: Instance,
    /// When a look first saw it idle: a call that gives it back reads no clock.
    seen: Option<Instant>,
}

impl InstancePool {
    /// A pool; the lives of its instances are counted in `lives`.
    pub(super) fn new(handler: HandlerName, limits: Limits, lives: Arc<Lives>, refill: Arc<Notify>) -> Self {
        let limit = limits.instances_max.min(limits.calls_max);
        Self {
            cold: AtomicU32::new(0),
            warming: Warming::new(limits, refill),
            handler,
            policy: limits.policy.unwrap_or_default(),
            permits: Semaphore::new(limit as usize),
            limit,
            waiting_max: (limits.calls_max - limit) as usize,
            idle: Mutex::new(Vec::new()),
            waiting: AtomicUsize::new(0),
            lives,
        }
    }

    /// The counters of its instances' lives, for the handler's next version.
    pub(super) fn lives(&self) -> &Arc<Lives> {
        &self.lives
    }

    /// The right to an instance, where one is free now, with a warm instance where there is one.
    pub(super) fn try_check_out(deployed: &Arc<Deployed>) -> Option<Checkout> {
        let pool = &deployed.pool;
        // Counted by hand: `Checkout` gives it back.
        pool.permits.try_acquire().ok()?.forget();
        Some(pool.checked_out(deployed))
    }

    /// Waits for the right to an instance, and takes a warm one where there is one.
    pub(super) async fn check_out(
        deployed: &Arc<Deployed>,
        deadline: Instant,
    ) -> Result<Checkout, CallError> {
        if let Some(checkout) = Self::try_check_out(deployed) {
            return Ok(checkout);
        }
        Box::pin(deployed.pool.wait(deadline)).await?;
        Ok(deployed.pool.checked_out(deployed))
    }

    fn checked_out(&self, deployed: &Arc<Deployed>) -> Checkout {
        let warm = self.idle().pop();
        Checkout {
            deployed: Arc::clone(deployed),
            held: warm.map_or(Held::Nothing, |idle| Held::Instance(idle.instance)),
        }
    }

    async fn wait(&self, deadline: Instant) -> Result<(), CallError> {
        let _waiting = Waiting::begin(&self.waiting, self.waiting_max).ok_or_else(|| self.overloaded())?;
        match tokio::time::timeout_at(deadline.into(), self.permits.acquire()).await {
            Ok(Ok(permit)) => {
                permit.forget();
                Ok(())
            }
            _ => Err(CallError::new(
                ErrorCode::Deadline,
                format!(
                    "no instance of `{}` became free before the deadline; a call that comes back to a handler needs \
                     another instance of it: raise `instances` in [handler.{}], {} are allowed",
                    self.handler, self.handler, self.limit
                ),
            )),
        }
    }

    fn overloaded(&self) -> CallError {
        let Self { handler, limit, .. } = self;
        let calls = self.waiting_max as u64 + u64::from(*limit);
        CallError::new(
            ErrorCode::Overloaded,
            format!(
                "`{handler}` has {calls} calls under way here, {limit} of them in instances, and may have no more; raise \
                 `concurrency` or `instances` in [handler.{handler}], or send less"
            ),
        )
    }

    /// Takes an instance back, or says why it cannot be used again.
    fn take_back(&self, instance: Instance) -> Option<End> {
        if self.policy == InstancePolicy::Fresh {
            return Some(End::Fresh);
        }
        if instance.uses() >= USES_MAX {
            return Some(End::Uses);
        }
        if instance.grown_bytes() > GROWTH_BYTES_MAX {
            return Some(End::Memory);
        }
        let mut idle = self.idle();
        if idle.len() >= IDLE_MAX {
            return Some(End::Surplus);
        }
        idle.push(Idle { instance, seen: None });
        None
    }

    /// The right to make an instance that no call waits for, while fewer are free than are wanted.
    pub(super) fn warm(&self) -> Option<Warm<'_>> {
        let permit = self.permits.try_acquire().ok()?;
        let free = self.idle().len();
        let taken = self.limit as usize - self.permits.available_permits();
        let has_room = free + taken <= self.limit as usize && free < IDLE_MAX;
        (has_room && self.warming.wants(free)).then_some(Warm {
            pool: self,
            _permit: permit,
        })
    }

    /// Begins another look at how many instances calls had to wait for.
    pub(super) fn look(&self) {
        self.warming.look(self.cold.swap(0, Ordering::Relaxed));
    }

    /// Drops the instances that have been idle for [`IDLE_FOR_MAX`], but for those that are kept warm.
    pub(super) fn drop_idle(&self, now: Instant) {
        let mut idle = self.idle();
        let spare = idle.len().saturating_sub(self.warming.floor());
        let is_old = |seen: Option<Instant>| {
            seen.is_some_and(|seen| now.saturating_duration_since(seen) >= IDLE_FOR_MAX)
        };
        let keep_from = idle.partition_point(|idle| is_old(idle.seen)).min(spare);
        let dropped: Vec<_> = idle.drain(..keep_from).collect();
        for idle in idle.iter_mut().filter(|idle| idle.seen.is_none()) {
            idle.seen = Some(now);
        }
        // Unmapping memory takes a while: not under the lock.
        drop(idle);
        self.lives.count(End::Idle, dropped.len() as u64);
        drop(dropped);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn figures(&self) -> InstanceFigures {
        let idle = self.idle().len() as u64;
        let busy = u64::from(self.limit).saturating_sub(self.permits.available_permits() as u64);
        InstanceFigures {
            idle,
            busy,
            ..self.lives.figures()
        }
    }
}

impl Drop for InstancePool {
    fn drop(&mut self) {
        let idle = self.idle().len() as u64;
        self.lives.count(End::Withdrawn, idle);
    }
}

/// The right to one instance, with the instance. An instance that is neither given back nor ended was cancelled.
pub(super) struct Checkout {
    deployed: Arc<Deployed>,
    held: Held,
}

enum Held {
    Nothing,
    /// One that is being made.
    Beginning,
    Instance(Instance),
}

impl Checkout {
    /// The version that it is of, and the instance, where there is one.
    pub(super) fn parts(&mut self) -> (&Arc<Deployed>, Option<&mut Instance>) {
        let instance = match &mut self.held {
            Held::Instance(instance) => Some(instance),
            Held::Nothing | Held::Beginning => None,
        };
        (&self.deployed, instance)
    }

    /// Says that an instance is being made.
    pub(super) fn begin(&mut self) {
        let pool = &self.deployed.pool;
        pool.lives.count_made(true);
        pool.cold.fetch_add(1, Ordering::Relaxed);
        self.held = Held::Beginning;
    }

    /// Puts the instance in that was made.
    pub(super) fn put(&mut self, instance: Instance) {
        self.held = Held::Instance(instance);
    }

    /// Gives the instance back after a call that ended well.
    pub(super) fn check_in(mut self) {
        if let Held::Instance(instance) = std::mem::replace(&mut self.held, Held::Nothing)
            && let Some(end) = self.deployed.pool.take_back(instance)
        {
            self.deployed.pool.lives.count(end, 1);
            self.deployed.pool.warming.refill();
        }
    }

    /// Ends the instance's life.
    pub(super) fn end(&mut self, end: End) {
        self.deployed.pool.lives.count(end, 1);
        self.held = Held::Nothing;
        self.deployed.pool.warming.refill();
    }
}

/// The right to make an instance that no call waits for.
pub(super) struct Warm<'p> {
    pool: &'p InstancePool,
    _permit: SemaphorePermit<'p>,
}

impl Warm<'_> {
    /// Says that it is being made.
    pub(super) fn begin(&self) {
        self.pool.lives.count_made(false);
    }

    /// Leaves it for the next call.
    pub(super) fn leave(self, instance: Instance) {
        self.pool.idle().push(Idle { instance, seen: None });
    }

    /// Says that it did not start: no other one is tried before the next look.
    pub(super) fn give_up(self) {
        self.pool.lives.count(End::Start, 1);
        self.pool.warming.give_up();
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        if !matches!(self.held, Held::Nothing) {
            self.deployed.pool.lives.count(End::Cancelled, 1);
            self.held = Held::Nothing;
        }
        // Last, so that an instance is gone before another call may make one.
        self.deployed.pool.permits.add_permits(1);
    }
}

/// One call that waits, counted until it is dropped.
pub(super) struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    pub(super) fn begin(count: &'a AtomicUsize, most: usize) -> Option<Self> {
        let before = count.fetch_add(1, Ordering::AcqRel);
        let waiting = Self(count);
        (before < most).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
