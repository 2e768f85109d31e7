//! When to try again: the schedule of a message's attempts and of a queue whose handler is absent. Pure.
//!
//! Randomness and time are parameters, so that every schedule can be tested.

use std::time::Duration;

/// No message waits longer than this between two attempts.
pub const BACKOFF_MAX: Duration = Duration::from_secs(15 * 60);
/// The part of a delay that is random, so that messages that failed together do not come back together.
const JITTER: f64 = 0.2;
/// The first pause of a queue whose handler is absent or full.
const ABSENT_FIRST: Duration = Duration::from_millis(100);
/// The longest pause: a handler that comes back is noticed by then even if nobody says so.
const ABSENT_MAX: Duration = Duration::from_secs(5);

/// What becomes of a message after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is ready again at this time.
    Retry {
        /// In ms since the Unix epoch.
        due_ms: i64,
    },
    /// It has used its tries.
    Dead,
}

/// Decides after the failed attempt number `attempt` (from 1) of `tries`; `random` is in 0..1.
pub fn after_failure(now_ms: i64, attempt: u32, tries: u32, backoff: Duration, random: f64) -> Verdict {
    if attempt >= tries {
        return Verdict::Dead;
    }
    let delay = delay(attempt, backoff, random);
    Verdict::Retry {
        due_ms: now_ms.saturating_add(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX)),
    }
}

/// The delay after failed attempt number `attempt`: the backoff, doubled with each attempt up to [`BACKOFF_MAX`] and
/// made at most a fifth longer by chance; never shorter than the stored backoff, but for the cap.
pub fn delay(attempt: u32, backoff: Duration, random: f64) -> Duration {
    let doublings = attempt.saturating_sub(1).min(31);
    let delay = backoff.saturating_mul(1 << doublings).min(BACKOFF_MAX);
    delay
        .mul_f64(1.0 + JITTER * random.clamp(0.0, 1.0))
        .min(BACKOFF_MAX)
}

/// The pauses of a queue whose handler is absent or full: they double, and end with the first attempt that ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Absence {
    pauses: u32,
}

impl Absence {
    /// The next pause.
    pub fn next_pause(&mut self) -> Duration {
        let pause = ABSENT_FIRST
            .saturating_mul(1 << self.pauses.min(16))
            .min(ABSENT_MAX);
        self.pauses = self.pauses.saturating_add(1);
        pause
    }

    /// The handler is there.
    pub fn end(&mut self) {
        self.pauses = 0;
    }

    /// Whether the handler was absent at the last attempt.
    pub fn is_absent(&self) -> bool {
        self.pauses > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Duration = Duration::from_secs(10);

    #[test]
    fn delays_double_up_to_the_cap() {
        let seconds: Vec<u64> = (1..=9)
            .map(|attempt| delay(attempt, TEN, 0.0).as_secs())
            .collect();
        assert_eq!(seconds, [10, 20, 40, 80, 160, 320, 640, 900, 900]);
        assert_eq!(delay(u32::MAX, TEN, 1.0), BACKOFF_MAX);
        assert_eq!(delay(3, Duration::ZERO, 1.0), Duration::ZERO);
    }

    #[test]
    fn jitter_only_lengthens_and_at_most_by_a_fifth() {
        for random in [0.0, 0.3, 0.999, 1.0] {
            let delay = delay(1, TEN, random);
            assert!((TEN..=TEN.mul_f64(1.2)).contains(&delay), "{random}: {delay:?}");
        }
    }

    #[test]
    fn the_last_try_is_the_last() {
        assert_eq!(
            after_failure(0, 1, 3, TEN, 0.0),
            Verdict::Retry { due_ms: 10_000 }
        );
        assert_eq!(
            after_failure(0, 2, 3, TEN, 0.0),
            Verdict::Retry { due_ms: 20_000 }
        );
        assert_eq!(after_failure(0, 3, 3, TEN, 0.0), Verdict::Dead);
        assert_eq!(after_failure(0, 1, 1, TEN, 0.0), Verdict::Dead);
        assert_eq!(after_failure(0, 4, 3, TEN, 0.0), Verdict::Dead);
    }

    #[test]
    fn absence_pauses_grow_to_five_seconds_and_start_anew() {
        let mut absence = Absence::default();
        let pauses: Vec<u128> = (0..8).map(|_| absence.next_pause().as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert!(absence.is_absent());
        absence.end();
        assert!(!absence.is_absent());
        assert_eq!(absence.next_pause(), ABSENT_FIRST);
    }
}
