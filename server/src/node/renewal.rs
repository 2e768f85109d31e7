//! Renewal of papers: home gives every node new ones, itself included, at a third of their life.
//!
//! Time is the wall's, read anew at each look: a machine that slept for weeks renews as soon as it wakes. A node that
//! cannot be told has two more rounds before its papers end; one that starts meanwhile gets fresh ones anyway.

use std::sync::Arc;
use std::time::Duration;

use super::fleet::Nodes;
use crate::clock::Clock;
use crate::quic::RENEWED_EVERY;

/// How often the time is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Renews until it is dropped.
pub(super) async fn keep_renewed(nodes: Arc<Nodes>, clock: Clock) {
    let mut rounds = Rounds::new(&clock, RENEWED_EVERY);
    nodes.set_renewal(rounds.next_ms as u64);
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        look.tick().await;
        if rounds.is_due(&clock) {
            nodes.renew_papers().await;
            nodes.set_renewal(rounds.next_ms as u64);
        }
    }
}

/// When the next round is due.
struct Rounds {
    every: Duration,
    next_ms: i64,
}

impl Rounds {
    fn new(clock: &Clock, every: Duration) -> Self {
        Self {
            every,
            next_ms: after(clock, every),
        }
    }

    /// Whether a round is due; the next one counts from now.
    fn is_due(&mut self, clock: &Clock) -> bool {
        let due = clock.anew().unix_ms() >= self.next_ms;
        if due {
            self.next_ms = after(clock, self.every);
        }
        due
    }
}

fn after(clock: &Clock, every: Duration) -> i64 {
    clock.anew().unix_ms() + every.as_millis() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_due_once_in_its_time_and_once_after_a_long_sleep() {
        let clock = Clock::test(1_000);
        let mut rounds = Rounds::new(&clock, Duration::from_secs(10));
        let mut due_after = |seconds| {
            clock.advance(Duration::from_secs(seconds));
            rounds.is_due(&clock)
        };
        assert!(!due_after(0));
        assert!(!due_after(9));
        assert!(due_after(1));
        assert!(!due_after(9));
        assert!(due_after(1));
        assert!(due_after(1_000));
        assert!(!due_after(9));
    }
}
