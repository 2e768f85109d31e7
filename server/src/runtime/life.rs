//! How the lives of a handler's instances end: each in one of these ways, counted over all versions of the handler.

use std::sync::atomic::{AtomicU64, Ordering};

use protocol::api::handlers::InstanceEnds;
use protocol::control::InstanceFigures;

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
    /// Its call did not end by the deadline.
    Deadline,
    /// Its caller went away.
    Cancelled,
    /// Its version is served no longer.
    Withdrawn,
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

    /// What was counted, beside the instances of now.
    pub(super) fn figures(&self) -> InstanceFigures {
        InstanceFigures {
            made: self.made.load(Ordering::Relaxed),
            ended: self.ended(),
            ..InstanceFigures::default()
        }
    }

    fn ended(&self) -> InstanceEnds {
        let of = |end: End| self.ended[end as usize].load(Ordering::Relaxed);
        InstanceEnds {
            start: of(End::Start),
            uses: of(End::Uses),
            fresh: of(End::Fresh),
            idle: of(End::Idle),
            surplus: of(End::Surplus),
            memory: of(End::Memory),
            trap: of(End::Trap),
            deadline: of(End::Deadline),
            cancelled: of(End::Cancelled),
            withdrawn: of(End::Withdrawn),
        }
    }
}
