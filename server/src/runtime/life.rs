//! How the lives of a handler's instances end: each in one of these ways, counted over all versions of the handler.

use std::sync::atomic::{AtomicU64, Ordering};

use protocol::api::handlers::InstanceEnds;
use protocol::{CallError, ErrorCode};

/// Why there is an instance less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It did not start.
    Start,
    /// It served as many calls as one may.
    Uses,
    /// Its handler gets a new instance for each call.
    Fresh,
    /// Nobody called it for a while.
    Idle,
    /// More instances were free than are kept.
    Surplus,
    /// Its memory had grown too far to be kept.
    Memory,
    /// Its call trapped, or left it in an unknown state.
    Trap,
    /// A call of its own failed, and it had no case to take that.
    Callee,
    /// Its call's arguments were not of the function's type.
    Misfit,
    /// Its result was longer than any may be, or no response.
    Result,
    /// Its call did not end by the deadline.
    Deadline,
    /// Its caller went away.
    Cancelled,
    /// Its version is served no longer.
    Withdrawn,
}

impl End {
    /// How a failed call ends an instance's life where nothing else is known of it.
    pub(super) fn of(error: &CallError) -> Self {
        match error.code {
            ErrorCode::Deadline => Self::Deadline,
            _ => Self::Trap,
        }
    }
}

/// Every way, in the order of its counters.
const WAYS: usize = End::Withdrawn as usize + 1;

/// Instances made and ended.
#[derive(Debug, Default)]
pub(super) struct Lives {
    made: AtomicU64,
    ended: [AtomicU64; WAYS],
}

impl Lives {
    pub(super) fn count_made(&self) {
        self.made.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count(&self, end: End, instances: u64) {
        self.ended[end as usize].fetch_add(instances, Ordering::Relaxed);
    }

    pub(super) fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    pub(super) fn ended(&self) -> InstanceEnds {
        let of = |end: End| self.ended[end as usize].load(Ordering::Relaxed);
        InstanceEnds {
            start: of(End::Start),
            uses: of(End::Uses),
            fresh: of(End::Fresh),
            idle: of(End::Idle),
            surplus: of(End::Surplus),
            memory: of(End::Memory),
            trap: of(End::Trap),
            callee: of(End::Callee),
            misfit: of(End::Misfit),
            result: of(End::Result),
            deadline: of(End::Deadline),
            cancelled: of(End::Cancelled),
            withdrawn: of(End::Withdrawn),
        }
    }
}
