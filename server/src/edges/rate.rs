//! `Rate`: how many per second over the last ten seconds, from a counter that only grows.
//!
//! The counter is looked at about once a second and the looks of the last ten seconds are kept, so that counting a
//! call costs nothing extra and reads no clock.

use std::collections::VecDeque;

/// The window.
const WINDOW_NS: u64 = 10_000_000_000;
/// Looks closer together than this are one: a ticker's jitter must not cost a look.
const APART_NS: u64 = 900_000_000;

/// The looks at one edge's counters.
#[derive(Debug, Default)]
pub(super) struct Rate {
    looks: VecDeque<Look>,
}

#[derive(Debug, Clone, Copy)]
struct Look {
    unix_ns: u64,
    calls: u64,
    errors: u64,
}

impl Rate {
    /// Notes where the counters stand.
    pub(super) fn look(&mut self, unix_ns: u64, calls: u64, errors: u64) {
        let is_early = self
            .looks
            .back()
            .is_some_and(|last| unix_ns < last.unix_ns.saturating_add(APART_NS));
        if !is_early {
            self.looks.push_back(Look {
                unix_ns,
                calls,
                errors,
            });
        }
        // The base is the newest look that is as old as the window; older ones are of no more use.
        while self.looks.get(1).is_some_and(|look| is_base(look, unix_ns)) {
            self.looks.pop_front();
        }
    }

    /// Calls and failed calls per second.
    pub(super) fn per_second(&self, unix_ns: u64, calls: u64, errors: u64) -> (f64, f64) {
        let base = self
            .looks
            .front()
            .copied()
            .filter(|look| is_base(look, unix_ns))
            .unwrap_or_else(|| Look {
                unix_ns: unix_ns.saturating_sub(WINDOW_NS),
                calls: 0,
                errors: 0,
            });
        let seconds = unix_ns.saturating_sub(base.unix_ns).max(WINDOW_NS) as f64 / 1e9;
        (
            calls.saturating_sub(base.calls) as f64 / seconds,
            errors.saturating_sub(base.errors) as f64 / seconds,
        )
    }
}

fn is_base(look: &Look, unix_ns: u64) -> bool {
    look.unix_ns.saturating_add(WINDOW_NS) <= unix_ns
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_steady_rate_is_found_and_fades_when_calls_end() {
        let mut rate = Rate::default();
        for second in 0..=30 {
            rate.look(second * S, second * 50, second);
        }
        assert_eq!(rate.per_second(30 * S, 1_500, 30), (50.0, 1.0));
        for second in 31..=35 {
            rate.look(second * S, 1_500, 30);
        }
        assert_eq!(rate.per_second(35 * S, 1_500, 30), (25.0, 0.5));
        for second in 36..=41 {
            rate.look(second * S, 1_500, 30);
        }
        assert_eq!(rate.per_second(41 * S, 1_500, 30), (0.0, 0.0));
    }

    #[test]
    fn the_first_calls_count_over_the_whole_window() {
        let mut rate = Rate::default();
        rate.look(100 * S, 20, 0);
        assert_eq!(rate.per_second(101 * S, 20, 0), (2.0, 0.0));
    }

    #[test]
    fn looks_are_bounded_however_often_one_looks() {
        let mut rate = Rate::default();
        for step in 0..100_000u64 {
            rate.look(step * S / 100, step, 0);
        }
        assert!(rate.looks.len() <= 13, "{}", rate.looks.len());
    }
}
