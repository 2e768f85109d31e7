//! `InstancePool`: warm instances of one handler, checked out by one call at a time.
//!
//! A call waits for a free instance up to its deadline; at most [`WAITING_MAX`] calls wait, the next one is `Overloaded`.
//! An instance comes back only after a call that ended well: a trap, a timeout or a cancelled call drops its store.
//! Reuse is capped, so that what leaks in a guest stays bounded, and an instance that nobody called for [`IDLE_FOR_MAX`]
//! is dropped, so that a rush does not keep its memory. The pool has no timer: `Runtime` looks at all pools.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use protocol::control::InstanceFigures;
use protocol::{CallError, ErrorCode, HandlerName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::instance::Instance;

/// Calls of one handler that may wait for an instance.
pub const WAITING_MAX: usize = 4_096;
/// Calls that one instance serves before it is replaced.
pub const USES_MAX: u32 = 1_024;
/// Instances kept warm: enough for two busy cores and a chain of calls through the same handler.
const IDLE_MAX: usize = 32;
/// How long an instance is kept warm for the next call.
pub const IDLE_FOR_MAX: Duration = Duration::from_secs(30);

/// The instances of one version of a handler.
pub(super) struct InstancePool {
    handler: HandlerName,
    permits: Arc<Semaphore>,
    limit: u32,
    /// Taken from the end, so that those at the front are the longest idle.
    idle: Mutex<Vec<Idle>>,
    waiting: AtomicUsize,
    made: AtomicU64,
}

struct Idle {
    instance: Instance,
    since: Instant,
}

/// The right to one instance.
pub(super) struct Permit {
    _permit: OwnedSemaphorePermit,
}

impl InstancePool {
    pub(super) fn new(handler: HandlerName, limit: u32) -> Self {
        Self {
            handler,
            permits: Arc::new(Semaphore::new(limit as usize)),
            limit,
            idle: Mutex::new(Vec::new()),
            waiting: AtomicUsize::new(0),
            made: AtomicU64::new(0),
        }
    }

    /// Waits for the right to an instance, and takes a warm one where there is one.
    pub(super) async fn check_out(&self, deadline: Instant) -> Result<(Permit, Option<Instance>), CallError> {
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => self.wait(deadline).await?,
        };
        let idle = self.idle().pop();
        Ok((Permit { _permit: permit }, idle.map(|idle| idle.instance)))
    }

    async fn wait(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, CallError> {
        let _waiting = Waiting::begin(&self.waiting).ok_or_else(|| {
            CallError::new(
                ErrorCode::Overloaded,
                format!(
                    "`{}` has {WAITING_MAX} calls waiting for its {} instances; raise `instances` in \
                     [handler.{}] or send less",
                    self.handler, self.limit, self.handler
                ),
            )
        })?;
        let acquired = Arc::clone(&self.permits).acquire_owned();
        match tokio::time::timeout_at(deadline.into(), acquired).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(CallError::new(
                ErrorCode::Deadline,
                format!(
                    "no instance of `{}` became free before the deadline",
                    self.handler
                ),
            )),
        }
    }

    /// Takes an instance back after a call that ended well.
    pub(super) fn check_in(&self, instance: Instance) {
        if instance.uses() >= USES_MAX {
            return;
        }
        let since = Instant::now();
        let mut idle = self.idle();
        if idle.len() < IDLE_MAX {
            idle.push(Idle { instance, since });
        }
    }

    /// Drops the instances that have been idle for [`IDLE_FOR_MAX`].
    pub(super) fn drop_idle(&self, now: Instant) {
        let mut idle = self.idle();
        let keep_from =
            idle.partition_point(|idle| now.saturating_duration_since(idle.since) >= IDLE_FOR_MAX);
        let dropped: Vec<_> = idle.drain(..keep_from).collect();
        // Unmapping memory takes a while: not under the lock.
        drop(idle);
        drop(dropped);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count_made(&self) {
        self.made.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn figures(&self) -> InstanceFigures {
        let idle = self.idle().len() as u64;
        let busy = u64::from(self.limit).saturating_sub(self.permits.available_permits() as u64);
        InstanceFigures {
            idle,
            busy,
            made: self.made.load(Ordering::Relaxed),
        }
    }
}

/// One call that waits, counted until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Option<Self> {
        let before = count.fetch_add(1, Ordering::AcqRel);
        let waiting = Self(count);
        (before < WAITING_MAX).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
