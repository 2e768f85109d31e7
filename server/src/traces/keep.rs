//! `Keep`: which of the traces that were sampled at their head are kept once they have ended. Pure.
//!
//! Promises: what failed is kept, and what was slow, as far as that is asked; of the rest a share, chosen by the trace's
//! id alone, so that it does not depend on when or where. A message's attempt goes with the trace that sent it. What is
//! slow can be said as a time, or as the slowest hundredth of those that began alike.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use protocol::TraceId;

/// All of them.
pub const SHARE_ALL: u32 = 1_000_000;
/// Names of roots that are told apart; further ones count as one.
const NAMES_MAX: usize = 1_024;
/// Until so many have been seen, the slowest hundredth is not known, and all are kept.
const SEEN_MIN: u64 = 200;
/// After so many the oldest are forgotten, half of them at a time: what is slow now counts.
const SEEN_MAX: u64 = 20_000;

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Those in which something failed.
    pub errors: bool,
    /// Those that took longer.
    pub slower_than: Option<Slower>,
    /// Of all others so many of a million.
    pub share_ppm: u32,
}

/// What slow is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slower {
    /// A time.
    Than(Duration),
    /// The slowest hundredth of those with a root of the same name.
    ThanMost,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            errors: true,
            slower_than: None,
            share_ppm: SHARE_ALL,
        }
    }
}

impl Keep {
    /// Whether there is nothing to decide.
    pub(super) fn is_all(&self) -> bool {
        self.share_ppm >= SHARE_ALL
    }

    /// Whether a trace is of the share that is kept anyway.
    pub(super) fn has_share(&self, trace_id: TraceId) -> bool {
        let folded = (trace_id.0 >> 64) as u64 ^ trace_id.0 as u64;
        // Scattered, because ids that others give need not be random.
        let mut mixed = folded.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed ^= mixed >> 32;
        let of_million = (u128::from(mixed) * u128::from(SHARE_ALL)) >> 64;
        of_million < u128::from(self.share_ppm)
    }
}

/// How long traces of each name take.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    names: HashMap<Arc<str>, Window>,
}

/// The last some thousand of a name, in two halves.
#[derive(Debug)]
struct Window {
    now: Histogram<u32>,
    before: Option<Histogram<u32>>,
    /// The time that a hundredth is above; worked out anew now and then.
    p99_ns: Option<u64>,
    seen: u64,
}

impl Window {
    fn new() -> Self {
        Self {
            now: histogram(),
            before: None,
            p99_ns: None,
            seen: 0,
        }
    }

    /// Takes one; whether it is among the slowest, as far as that is known.
    fn is_slow(&mut self, ns: u64) -> bool {
        let is_slow = self.p99_ns.is_none_or(|p99_ns| ns > p99_ns);
        // It grows to whatever it is given, up to centuries.
        let _ = self.now.record(ns.clamp(1, u64::MAX >> 2));
        self.seen += 1;
        if self.now.len() >= SEEN_MAX / 2 {
            self.before = Some(std::mem::replace(&mut self.now, histogram()));
        }
        if self.seen >= SEEN_MIN && self.seen.is_multiple_of(SEEN_MIN / 2) {
            let mut all = self.now.clone();
            if let Some(before) = &self.before {
                let _ = all.add(before);
            }
            self.p99_ns = Some(all.value_at_quantile(0.99));
        }
        is_slow
    }
}

impl Latencies {
    /// Takes a trace; whether it is among the slowest of its name.
    pub(super) fn is_slow(&mut self, name: &Arc<str>, ns: u64) -> bool {
        let is_known = self.names.contains_key(name) || self.names.len() < NAMES_MAX;
        let name = if is_known { Arc::clone(name) } else { "".into() };
        self.names.entry(name).or_insert_with(Window::new).is_slow(ns)
    }
}

fn histogram() -> Histogram<u32> {
    Histogram::new(2).expect("two digits are within what a histogram can")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_that_share_whatever_the_ids() {
        let keep = Keep {
            share_ppm: 100_000,
            ..Keep::default()
        };
        for step in [1u128, 1 << 64, 0x1234_5678_9abc_def0_1234_5678_9abc_def1] {
            let kept = (1..=100_000u128)
                .filter(|at| keep.has_share(TraceId(at.wrapping_mul(step))))
                .count();
            assert!((9_500..10_500).contains(&kept), "{step}: {kept}");
        }
        assert!((1..1_000).all(|id| Keep::default().has_share(TraceId(id))));
        let none = Keep { share_ppm: 0, ..keep };
        assert!(!(1..1_000).any(|id| none.has_share(TraceId(id))));
    }

    #[test]
    fn the_slowest_hundredth_is_found_of_each_name_and_follows() {
        let mut latencies = Latencies::default();
        let (quick, slow): (Arc<str>, Arc<str>) = ("GET /".into(), "POST /".into());
        let mut kept = 0;
        for at in 0..50_000u64 {
            // 1 to 100 µs, evenly; the other name is always slow.
            kept += u64::from(latencies.is_slow(&quick, 1_000 * (1 + at * 37 % 100)));
            latencies.is_slow(&slow, 50_000_000);
        }
        assert!((200..1_500).contains(&kept), "{kept}");
        assert!(!latencies.is_slow(&slow, 50_000_000));
        assert!(latencies.is_slow(&quick, 50_000_000));
        for _ in 0..SEEN_MAX {
            latencies.is_slow(&quick, 50_000_000);
        }
        assert!(!latencies.is_slow(&quick, 50_000_000));
    }

    #[test]
    fn names_are_bounded() {
        let mut latencies = Latencies::default();
        for at in 0..3 * NAMES_MAX {
            latencies.is_slow(&format!("GET /{at}").into(), 5);
        }
        assert!(latencies.names.len() <= NAMES_MAX + 1);
    }
}
