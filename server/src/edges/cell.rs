//! `EdgeCell`: the counters of one edge, which many threads add to at once.
//!
//! Each thread adds to a stripe of its own (as far as there are stripes), so that two cores do not pass one cache line
//! back and forth. Nothing is lost; a reader who reads meanwhile sees a moment that lies between.

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use protocol::Transport;

use super::histogram::{BUCKETS, Histogram, bucket, upper};
use super::{Ended, Outcome};

/// Stripes of a cell. Each is made when its first thread comes, 10 KiB a stripe.
const STRIPES: usize = 4;

/// Calls between two looks at what is slow, and the fewest that such a look needs. So the threshold follows a change
/// of placement within a thousand calls.
const SLOW_AFTER: u64 = 1_000;

/// The counters of one edge.
pub struct EdgeCell {
    stripes: [OnceLock<Box<Stripe>>; STRIPES],
    transport: AtomicU8,
    /// The p99 of the calls before the last look; `u64::MAX` before the first.
    slow_ns: AtomicU64,
    /// The buckets at the last look.
    looked: Mutex<Vec<u64>>,
}

#[repr(align(128))]
struct Stripe {
    calls: AtomicU64,
    errors: AtomicU64,
    errs: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    max_ns: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
}

/// A cell's counters, summed.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    pub(super) errors: u64,
    pub(super) errs: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) latency: Histogram,
}

impl Counts {
    /// Every call has a latency, so that these two always agree.
    pub(super) fn calls(&self) -> u64 {
        self.latency.total()
    }
}

impl EdgeCell {
    pub(super) fn new() -> Self {
        Self {
            stripes: [const { OnceLock::new() }; STRIPES],
            transport: AtomicU8::new(Transport::Direct as u8),
            slow_ns: AtomicU64::new(u64::MAX),
            looked: Mutex::new(Vec::new()),
        }
    }

    /// Counts a call that has ended.
    pub fn record(&self, ended: Ended) {
        // A store that changes nothing would still take the cache line from the other core.
        if self.transport.load(Ordering::Relaxed) != ended.transport as u8 {
            self.transport.store(ended.transport as u8, Ordering::Relaxed);
        }
        let stripe = self.stripe();
        stripe.buckets[bucket(ended.latency_ns)].fetch_add(1, Ordering::Relaxed);
        stripe.bytes_in.fetch_add(ended.bytes_in, Ordering::Relaxed);
        stripe.bytes_out.fetch_add(ended.bytes_out, Ordering::Relaxed);
        match ended.outcome {
            Outcome::Ok => {}
            Outcome::Err => drop(stripe.errs.fetch_add(1, Ordering::Relaxed)),
            Outcome::Failed => drop(stripe.errors.fetch_add(1, Ordering::Relaxed)),
        }
        if stripe.max_ns.load(Ordering::Relaxed) < ended.latency_ns {
            stripe.max_ns.fetch_max(ended.latency_ns, Ordering::Relaxed);
        }
        let calls = stripe.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if calls.is_multiple_of(SLOW_AFTER) {
            self.look();
        }
    }

    /// Whether a call took longer than 99 % of those shortly before it. `false` until a thousand calls were counted.
    pub fn is_slow(&self, latency_ns: u64) -> bool {
        latency_ns > self.slow_ns.load(Ordering::Relaxed)
    }

    /// The way the last call went.
    pub fn transport(&self) -> Transport {
        let number = self.transport.load(Ordering::Relaxed);
        Transport::from_number(number.into()).unwrap_or(Transport::Direct)
    }

    /// Calls and failed calls, without the cost of the histogram.
    pub(super) fn calls_and_errors(&self) -> (u64, u64) {
        self.made_stripes().fold((0, 0), |(calls, errors), stripe| {
            (
                calls + stripe.calls.load(Ordering::Relaxed),
                errors + stripe.errors.load(Ordering::Relaxed),
            )
        })
    }

    /// Everything, summed over the stripes.
    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for stripe in self.made_stripes() {
            counts.errors += stripe.errors.load(Ordering::Relaxed);
            counts.errs += stripe.errs.load(Ordering::Relaxed);
            counts.bytes_in += stripe.bytes_in.load(Ordering::Relaxed);
            counts.bytes_out += stripe.bytes_out.load(Ordering::Relaxed);
            for (sum, bucket) in counts.latency.buckets.iter_mut().zip(&stripe.buckets) {
                *sum += bucket.load(Ordering::Relaxed);
            }
            counts.latency.max = counts.latency.max.max(stripe.max_ns.load(Ordering::Relaxed));
        }
        counts
    }

    fn made_stripes(&self) -> impl Iterator<Item = &Stripe> {
        self.stripes.iter().filter_map(OnceLock::get).map(Box::as_ref)
    }

    fn stripe(&self) -> &Stripe {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static MINE: usize = THREADS.fetch_add(1, Ordering::Relaxed) % STRIPES;
        }
        let mine = MINE.with(|mine| *mine);
        self.stripes[mine].get_or_init(|| Box::new(Stripe::new()))
    }

    /// Takes the p99 of the calls since the last look. Whoever comes while another looks goes on.
    fn look(&self) {
        let Ok(mut looked) = self.looked.try_lock() else {
            return;
        };
        let counted = self.counts().latency;
        let mut since = counted.clone();
        for (now, then) in since.buckets.iter_mut().zip(looked.iter()) {
            *now -= then;
        }
        if since.total() < SLOW_AFTER {
            return;
        }
        if let Some(bucket) = since.bucket_at(990) {
            self.slow_ns.store(upper(bucket), Ordering::Relaxed);
        }
        *looked = counted.buckets;
    }
}

impl Stripe {
    fn new() -> Self {
        Self {
            calls: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            errs: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            max_ns: AtomicU64::new(0),
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
        }
    }
}

impl fmt::Debug for EdgeCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("EdgeCell")
            .field("calls", &self.calls_and_errors().0)
            .field("looked", &looked.iter().sum::<u64>())
            .finish_non_exhaustive()
    }
}
