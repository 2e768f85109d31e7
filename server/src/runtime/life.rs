//! How the lives of a handler's instances end: each in one of these ways, counted over all versions of the handler.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use protocol::api::handlers::InstanceEnds;
use protocol::control::InstanceFigures;
use protocol::{CallError, ErrorCode};

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
    /// A call of its own failed, and it had no case to take that.
    Callee,
    /// Its call's arguments were not of the function's type.
    Misfit,
    /// Its result was longer than any may be, or no response.
    Result,
    /// Its call did not end by the deadline.
    Deadline,
    /// Its caller went away.
    Cancelled,
    /// Its version is served no longer.
    Withdrawn,
}

impl End {
    /// How a failed call ends an instance's life where nothing else is known of it.
    pub(super) fn of(error: &CallError) -> Self {
        match error.code {
            ErrorCode::Deadline => Self::Deadline,
            _ => Self::Trap,
        }
    }
}

/// Every way, in the order of its counters.
const WAYS: usize = End::Withdrawn as usize + 1;

/// Half octaves of nanoseconds, up to beyond a minute: as precise as a median of making instances need be.
const START_BUCKETS: usize = 80;

/// Instances made and ended.
#[derive(Debug)]
pub(super) struct Lives {
    made: AtomicU64,
    cold: AtomicU64,
    /// How long making them took.
    starts: [AtomicU64; START_BUCKETS],
    ended: [AtomicU64; WAYS],
    /// Linear memory of the instances that there are.
    memory_bytes: AtomicU64,
    /// Time in guest code of sampled calls, and those calls.
    run_ns: AtomicU64,
    run_calls: AtomicU64,
}

impl Default for Lives {
    fn default() -> Self {
        Self {
            made: AtomicU64::default(),
            cold: AtomicU64::default(),
            starts: std::array::from_fn(|_| AtomicU64::default()),
            ended: std::array::from_fn(|_| AtomicU64::default()),
            memory_bytes: AtomicU64::default(),
            run_ns: AtomicU64::default(),
            run_calls: AtomicU64::default(),
        }
    }
}

impl Lives {
    /// Counts an instance that is about to be made, and whether a call waits for it.
    pub(super) fn count_made(&self, is_cold: bool) {
        self.made.fetch_add(1, Ordering::Relaxed);
        self.cold.fetch_add(u64::from(is_cold), Ordering::Relaxed);
    }

    /// Says how long making one took.
    pub(super) fn started_in(&self, took: Duration) {
        self.starts[bucket(took.as_nanos() as u64)].fetch_add(1, Ordering::Relaxed);
    }

    fn start_p50_us(&self) -> u64 {
        let counts = self.starts.each_ref().map(|count| count.load(Ordering::Relaxed));
        let half = counts.iter().sum::<u64>().div_ceil(2);
        let mut before = 0;
        let median = counts.iter().position(|count| {
            before += count;
            half > 0 && before >= half
        });
        median.map_or(0, |bucket| middle_ns(bucket).div_ceil(1_000))
    }

    pub(super) fn count(&self, end: End, instances: u64) {
        self.ended[end as usize].fetch_add(instances, Ordering::Relaxed);
    }

    /// Counts memory that an instance took.
    pub(super) fn grew(&self, bytes: usize) {
        self.memory_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts memory that an instance gave back with its end.
    pub(super) fn shrank(&self, bytes: usize) {
        self.memory_bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
    }

    /// Counts the time in guest code of a sampled call.
    pub(super) fn ran(&self, ns: u64) {
        self.run_ns.fetch_add(ns, Ordering::Relaxed);
        self.run_calls.fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted, beside the instances of now.
    pub(super) fn figures(&self) -> InstanceFigures {
        InstanceFigures {
            made: self.made.load(Ordering::Relaxed),
            cold: self.cold.load(Ordering::Relaxed),
            start_p50_us: self.start_p50_us(),
            ended: self.ended(),
            memory_bytes: self.memory_bytes.load(Ordering::Relaxed),
            run_ns: self.run_ns.load(Ordering::Relaxed),
            run_calls: self.run_calls.load(Ordering::Relaxed),
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
            callee: of(End::Callee),
            misfit: of(End::Misfit),
            result: of(End::Result),
            deadline: of(End::Deadline),
            cancelled: of(End::Cancelled),
            withdrawn: of(End::Withdrawn),
        }
    }
}

/// The bucket of a duration: two for each power of two.
fn bucket(ns: u64) -> usize {
    let ns = ns.max(2);
    let octave = ns.ilog2();
    let upper_half = (ns >> (octave - 1)) & 1;
    (2 * octave as usize + upper_half as usize).min(START_BUCKETS - 1)
}

fn middle_ns(bucket: usize) -> u64 {
    let octave = 1_u64 << (bucket / 2);
    octave + octave / 4 + (bucket as u64 % 2) * (octave / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_near_what_it_was() {
        let lives = Lives::default();
        assert_eq!(lives.start_p50_us(), 0);
        for us in [10, 20, 30, 400, 50_000] {
            lives.started_in(Duration::from_micros(us));
        }
        assert!(
            (24..=36).contains(&lives.start_p50_us()),
            "{}",
            lives.start_p50_us()
        );
        for ns in [0, 1, 2, 3, 1_000, u64::MAX] {
            assert!(bucket(ns) < START_BUCKETS);
        }
    }
}
