//! `Pipe`: one direction of a shaped way: when what enters it now comes out. Pure; chance is seeded.
//!
//! What enters waits until what entered before has been sent at the bandwidth, then travels for the delay and up to the
//! jitter longer. A datagram that is lost never comes. Bytes of a stream come in order, and a lost segment of theirs
//! (1,460 bytes) holds up all that follows until it was sent again: after two round trips as TCP's tail loss probe does,
//! 10 ms at least, and after twice the time whenever it is lost again.

use std::time::{Duration, Instant};

use protocol::Shaping;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What one TCP segment carries.
const SEGMENT_BYTES: usize = 1_460;
/// TCP does not take a segment for lost before.
const RESEND_MIN: Duration = Duration::from_millis(10);
/// A segment that is lost again and again arrives in the end.
const RESENDS_MAX: u32 = 6;

/// One direction of a shaped way.
#[derive(Debug)]
pub(in crate::quic) struct Pipe {
    shaping: Shaping,
    rng: StdRng,
    /// When all that entered is sent; when the last of it comes out.
    sent_at: Option<Instant>,
    out_at: Option<Instant>,
}

impl Pipe {
    pub(in crate::quic) fn new(shaping: Shaping, seed: u64) -> Self {
        Self {
            shaping,
            rng: StdRng::seed_from_u64(seed),
            sent_at: None,
            out_at: None,
        }
    }

    /// When a datagram comes out; never if it is lost.
    pub(in crate::quic) fn datagram(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        let sent_at = self.send(now, bytes);
        if self.is_lost() {
            return None;
        }
        Some(sent_at + self.travel())
    }

    /// When these bytes of a stream have come out, all of them.
    pub(in crate::quic) fn bytes(&mut self, now: Instant, bytes: usize) -> Instant {
        let mut out_at = self.send(now, bytes) + self.travel();
        for _ in 0..bytes.div_ceil(SEGMENT_BYTES) {
            out_at += self.resent();
        }
        // They come in order.
        let out_at = self.out_at.map_or(out_at, |before| before.max(out_at));
        self.out_at = Some(out_at);
        out_at
    }

    /// How long what enters now waits until it is sent.
    pub(in crate::quic) fn backlog(&self, now: Instant) -> Duration {
        self.sent_at
            .map_or(Duration::ZERO, |sent_at| sent_at.saturating_duration_since(now))
    }

    fn send(&mut self, now: Instant, bytes: usize) -> Instant {
        let Some(bandwidth) = self.shaping.bandwidth else {
            return now;
        };
        let begun_at = self.sent_at.map_or(now, |sent_at| sent_at.max(now));
        let bits = bytes as u64 * 8;
        let ns = u128::from(bits) * 1_000_000_000 / u128::from(bandwidth.bits_per_s());
        let sent_at = begun_at + Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX));
        self.sent_at = Some(sent_at);
        sent_at
    }

    fn travel(&mut self) -> Duration {
        let jitter = match self.shaping.jitter.micros() {
            0 => 0,
            most => self.rng.random_range(0..=most),
        };
        Duration::from_micros(self.shaping.delay.micros() + jitter)
    }

    fn is_lost(&mut self) -> bool {
        let share = self.shaping.loss.share();
        share > 0.0 && self.rng.random_bool(share)
    }

    /// What a segment of a stream takes longer because it is lost.
    fn resent(&mut self) -> Duration {
        let round_trip = Duration::from_micros(2 * self.shaping.delay.micros());
        let mut pause = (2 * round_trip).max(RESEND_MIN);
        let mut late = Duration::ZERO;
        for _ in 0..RESENDS_MAX {
            if !self.is_lost() {
                break;
            }
            late += pause;
            pause *= 2;
        }
        late
    }
}

#[cfg(test)]
mod tests {
    use protocol::Way;

    use super::*;

    fn pipe(suffix: &str) -> Pipe {
        let way = suffix.split('+').try_fold(Way::default(), Way::with).unwrap();
        Pipe::new(way.course().shaping, 7)
    }

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_delay_is_added_exactly_and_order_is_kept() {
        let start = Instant::now();
        let mut fine = pipe("300us");
        assert_eq!(fine.bytes(start, 100), start + Duration::from_micros(300));
        assert_eq!(
            fine.datagram(start, 100),
            Some(start + Duration::from_micros(300))
        );
        let mut jittery = pipe("2ms+~1ms");
        let mut last = start;
        let mut ways = Vec::new();
        for n in 0..1_000 {
            let now = start + n * MS / 10;
            let out = jittery.bytes(now, 100);
            assert!(out >= last && out >= now + 2 * MS);
            last = out;
            let out = jittery.datagram(now, 100).unwrap();
            assert!(out >= now + 2 * MS && out <= now + 3 * MS);
            ways.push(out - now);
        }
        let mean = ways.iter().sum::<Duration>() / 1_000;
        assert!(
            mean > 2 * MS + 450 * MS / 1_000 && mean < 2 * MS + 550 * MS / 1_000,
            "{mean:?}"
        );
    }

    #[test]
    fn a_bandwidth_sends_one_after_the_other() {
        let start = Instant::now();
        // 1,250 bytes are 10,000 bits: 1 ms each.
        let mut narrow = pipe("5ms+10Mbit/s");
        assert_eq!(narrow.datagram(start, 1_250), Some(start + 6 * MS));
        assert_eq!(narrow.datagram(start, 1_250), Some(start + 7 * MS));
        assert_eq!(narrow.backlog(start), 2 * MS);
        assert_eq!(narrow.bytes(start + 10 * MS, 2_500), start + 17 * MS);
        assert_eq!(narrow.backlog(start + 20 * MS), Duration::ZERO);
    }

    #[test]
    fn the_share_that_is_lost_is_the_one_asked_for_and_a_seed_repeats_it() {
        let start = Instant::now();
        let lost = |mut pipe: Pipe| {
            (0..100_000)
                .filter(|_| pipe.datagram(start, 100).is_none())
                .count()
        };
        let count = lost(pipe("5%"));
        assert!((4_500..5_500).contains(&count), "{count}");
        assert_eq!(count, lost(pipe("5%")));
        assert_eq!(lost(pipe("2ms")), 0);
    }

    #[test]
    fn a_lost_segment_holds_up_what_follows() {
        let start = Instant::now();
        let mut lossy = pipe("5ms+10%");
        let outs: Vec<Duration> = (0..200).map(|_| lossy.bytes(start, 1_460) - start).collect();
        assert!(outs.is_sorted());
        // Not one was late by less than two round trips.
        let late: Vec<_> = outs.iter().filter(|out| **out > 5 * MS).collect();
        assert!(!late.is_empty() && late.iter().all(|out| **out >= 25 * MS));
        // A piece of many segments is late by each that is lost.
        let long = pipe("5ms+10%").bytes(start, 1_460 * 500) - start;
        assert!(long > 500 * MS, "{long:?}");
    }
}
