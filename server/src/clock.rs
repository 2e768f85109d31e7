//! `Clock`: the only reader of wall time.
//!
//! Wall time is read once and carried forward on the monotonic clock, so that times of one node never go back. Tests
//! move a clock by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A source of wall time; a cheap clone of one source.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System { start: Instant, start_unix_ns: u64 },
    Test(Arc<AtomicU64>),
}

impl Clock {
    /// The machine's time.
    #[expect(clippy::disallowed_methods, reason = "the one reader of wall time")]
    pub fn system() -> Self {
        let start_unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(Source::System {
            start: Instant::now(),
            start_unix_ns: start_unix.as_nanos() as u64,
        })
    }

    /// The same time read anew: after a suspend, or when somebody set the machine's clock, it is not the one that was
    /// carried forward. A test clock is itself.
    #[must_use]
    pub fn anew(&self) -> Self {
        match self.0 {
            Source::System { .. } => Self::system(),
            Source::Test(_) => self.clone(),
        }
    }

    /// A clock that stands still until [`Clock::advance`].
    pub fn test(unix_ms: u64) -> Self {
        Self(Source::Test(Arc::new(AtomicU64::new(unix_ms * 1_000_000))))
    }

    /// Moves a test clock; nothing happens to the machine's.
    pub fn advance(&self, by: Duration) {
        if let Source::Test(ns) = &self.0 {
            ns.fetch_add(by.as_nanos() as u64, Ordering::SeqCst);
        }
    }

    /// Nanoseconds since the Unix epoch.
    pub fn unix_ns(&self) -> u64 {
        self.unix_ns_at(Instant::now())
    }

    /// A moment as nanoseconds since the Unix epoch, without another look at the clock. A test clock has but one moment.
    pub fn unix_ns_at(&self, at: Instant) -> u64 {
        match &self.0 {
            Source::System { start, start_unix_ns } => match at.checked_duration_since(*start) {
                Some(since) => start_unix_ns + since.as_nanos() as u64,
                None => start_unix_ns.saturating_sub((*start - at).as_nanos() as u64),
            },
            Source::Test(ns) => ns.load(Ordering::SeqCst),
        }
    }

    /// Milliseconds since the Unix epoch.
    pub fn unix_ms(&self) -> i64 {
        (self.unix_ns() / 1_000_000) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_s_time_never_goes_back() {
        let clock = Clock::system();
        let first = clock.unix_ns();
        assert!(clock.unix_ns() >= first);
        assert!(first > 1_700_000_000_000_000_000);
        let now = Instant::now();
        let earlier = now - Duration::from_millis(1);
        assert_eq!(clock.unix_ns_at(now) - clock.unix_ns_at(earlier), 1_000_000);
    }

    #[test]
    fn a_test_clock_moves_only_by_hand() {
        let clock = Clock::test(1_000);
        let twin = clock.clone();
        assert_eq!(clock.unix_ms(), 1_000);
        clock.advance(Duration::from_millis(250));
        assert_eq!(twin.unix_ms(), 1_250);
    }
}
