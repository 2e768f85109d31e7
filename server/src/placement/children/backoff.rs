//! `Backoff`: the pauses between a child's restarts. Pure.

use std::time::Duration;

use super::Pace;

/// Doubles from the first pause to the longest.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    steady_after: Duration,
    next: Duration,
}

impl Backoff {
    /// Begins with the first pause.
    pub(super) fn new(pace: &Pace) -> Self {
        Self {
            first: pace.first_pause,
            longest: pace.longest_pause,
            steady_after: pace.steady_after,
            next: pace.first_pause,
        }
    }

    /// The pause after a run that lasted `ran`.
    pub(super) fn next(&mut self, ran: Duration) -> Duration {
        if ran >= self.steady_after {
            self.next = self.first;
        }
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_the_longest_and_begin_anew_after_a_steady_run() {
        let mut backoff = Backoff::new(&Pace::default());
        let short = Duration::from_secs(29);
        let pauses: Vec<u128> = (0..9).map(|_| backoff.next(short).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
        assert_eq!(backoff.next(Duration::from_secs(30)).as_millis(), 100);
        assert_eq!(backoff.next(short).as_millis(), 200);
    }
}
