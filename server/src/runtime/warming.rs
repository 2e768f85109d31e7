//! `Warming`: how many instances of a handler are kept ready that no call has asked for yet.
//!
//! As many as `warm` says, and as many more as calls had to wait for since the look before, which is forgotten one look
//! later: what a growing load asked for is there before it asks again. Nothing is made on the path of a call; that path
//! only says that an instance is gone. Beyond [`WARMED_MAX`] instances of a node handlers start with their first call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use protocol::control::Limits;
use tokio::sync::Notify;

/// Free instances of a node, of all handlers together, up to which some are made before they are asked for: a thousand
/// handlers that nobody calls must not fill the pool.
pub(super) const WARMED_MAX: u64 = 64;
/// Instances that calls had to wait for, and that are made beforehand from then on, at most.
const DEMAND_MAX: usize = 16;

/// One pool's wish.
#[derive(Debug)]
pub(super) struct Warming {
    floor: usize,
    demand: AtomicUsize,
    /// Whether one did not start since the last look.
    failed: AtomicBool,
    refill: Arc<Notify>,
}

impl Warming {
    pub(super) fn new(limits: Limits, refill: Arc<Notify>) -> Self {
        Self {
            floor: limits.warm.min(limits.instances_max) as usize,
            demand: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            refill,
        }
    }

    /// Those that idleness does not end.
    pub(super) fn floor(&self) -> usize {
        self.floor
    }

    /// Those that are wanted.
    pub(super) fn wanted(&self) -> usize {
        if self.floor == 0 || self.failed.load(Ordering::Relaxed) {
            return 0;
        }
        self.floor + self.demand.load(Ordering::Relaxed)
    }

    /// Whether another one is wanted beside those that are free.
    pub(super) fn wants(&self, free: usize) -> bool {
        free < self.wanted()
    }

    /// Takes note of how many calls had to wait for an instance since the look before.
    pub(super) fn look(&self, cold: u32) {
        self.failed.store(false, Ordering::Relaxed);
        self.demand
            .store((cold as usize).min(DEMAND_MAX), Ordering::Relaxed);
    }

    /// Says that one did not start.
    pub(super) fn give_up(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// Says that an instance is gone.
    pub(super) fn refill(&self) {
        if self.floor > 0 {
            self.refill.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_waited_for_is_wanted_until_the_next_look() {
        let limits = Limits {
            warm: 2,
            ..Limits::default()
        };
        let warming = Warming::new(limits, Arc::default());
        assert!(warming.wants(1) && !warming.wants(2));
        warming.look(3);
        assert!(warming.wants(4) && !warming.wants(5));
        warming.look(1_000);
        assert!(!warming.wants(2 + DEMAND_MAX));
        warming.give_up();
        assert!(!warming.wants(0));
        warming.look(0);
        assert!(warming.wants(1) && !warming.wants(2));
        let none = Limits { warm: 0, ..limits };
        let warming = Warming::new(none, Arc::default());
        warming.look(9);
        assert!(!warming.wants(0));
    }
}
