//! `Figures`: what a queue did since the start, and its rates over the last ten seconds. Pure.

/// Seconds that a rate looks back.
const WINDOW_SECONDS: usize = 10;

/// One queue's counters.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures {
    pub done: u64,
    pub failed_attempts: u64,
    pub enqueued: Rate,
    pub worked_off: Rate,
}

/// Events per second over the last whole seconds.
#[derive(Debug, Clone, Default)]
pub(super) struct Rate {
    counts: [u64; WINDOW_SECONDS],
    /// The second of the newest count.
    second: i64,
}

impl Rate {
    /// Counts events at a time.
    pub(super) fn add(&mut self, now_ms: i64, events: u64) {
        self.turn(now_ms / 1_000);
        self.counts[slot(self.second)] += events;
    }

    /// Events per second over the window that ends now.
    pub(super) fn per_second(&self, now_ms: i64) -> f64 {
        let mut rate = self.clone();
        rate.turn(now_ms / 1_000);
        rate.counts.iter().sum::<u64>() as f64 / WINDOW_SECONDS as f64
    }

    /// Forgets what has left the window; time that goes back counts as the newest second.
    fn turn(&mut self, second: i64) {
        let steps = (second - self.second).clamp(0, WINDOW_SECONDS as i64);
        for step in 1..=steps {
            self.counts[slot(second - steps + step)] = 0;
        }
        self.second = self.second.max(second);
    }
}

fn slot(second: i64) -> usize {
    second.rem_euclid(WINDOW_SECONDS as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_forgets_what_is_older_than_its_window() {
        let mut rate = Rate::default();
        rate.add(1_000_000_000_000, 30);
        rate.add(1_000_000_004_000, 20);
        assert_eq!(rate.per_second(1_000_000_004_999), 5.0);
        assert_eq!(rate.per_second(1_000_000_009_999), 5.0);
        assert_eq!(rate.per_second(1_000_000_010_000), 2.0);
        assert_eq!(rate.per_second(1_000_000_014_000), 0.0);
        assert_eq!(rate.per_second(1_000_000_900_000), 0.0);
    }
}
