//! A log-linear histogram of latencies in ns: fixed buckets, so that recording is one addition.
//!
//! Values below 64 ns are exact; above, each octave has 32 buckets, so that a bucket's middle is at most 1/64 = 1.6 %
//! from any value in it. Values beyond 73 minutes count as 73 minutes. The maximum is kept exactly.

use protocol::api::edges::Latency;

/// Buckets of an octave, as a power of two.
const OCTAVE_BITS: u32 = 5;
/// The longest latency told apart, 2^42 - 1 ns: beyond every deadline.
const NS_MAX: u64 = (1 << 42) - 1;
/// How many buckets there are.
pub(super) const BUCKETS: usize = bucket(NS_MAX) + 1;

/// The bucket of a value.
pub(super) const fn bucket(ns: u64) -> usize {
    let ns = if ns > NS_MAX { NS_MAX } else { ns };
    if ns < 2 << OCTAVE_BITS {
        return ns as usize;
    }
    let shift = u64::BITS - 1 - ns.leading_zeros() - OCTAVE_BITS;
    ((shift as usize) << OCTAVE_BITS) + (ns >> shift) as usize
}

/// The least and the greatest value of a bucket.
const fn bounds(bucket: usize) -> (u64, u64) {
    if bucket < 2 << OCTAVE_BITS {
        return (bucket as u64, bucket as u64);
    }
    let shift = (bucket >> OCTAVE_BITS) - 1;
    let low = ((bucket - (shift << OCTAVE_BITS)) as u64) << shift;
    (low, low + (1 << shift) - 1)
}

/// The value that stands for a bucket: its middle.
pub(super) fn middle(bucket: usize) -> u64 {
    let (low, high) = bounds(bucket);
    low + (high - low) / 2
}

/// The greatest value that falls into a bucket.
pub(super) fn upper(bucket: usize) -> u64 {
    bounds(bucket).1
}

/// Counts by bucket.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    pub(super) buckets: Vec<u64>,
    pub(super) max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: vec![0; BUCKETS],
            max: 0,
        }
    }
}

impl Histogram {
    /// Adds `count` values that are all as long.
    pub(super) fn add(&mut self, ns: u64, count: u64) {
        self.buckets[bucket(ns)] += count;
        if count > 0 {
            self.max = self.max.max(ns);
        }
    }

    /// Adds another histogram.
    pub(super) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.max = self.max.max(other.max);
    }

    /// How many values there are.
    pub(super) fn total(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// (value, count) of the buckets that are not empty, ascending. The last value is the maximum itself, which falls
    /// into the same bucket as that bucket's middle: who adds these up elsewhere loses neither.
    pub(super) fn non_empty(&self) -> Vec<(u64, u64)> {
        let mut pairs: Vec<(u64, u64)> = self
            .buckets
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
            .map(|(at, count)| (middle(at), *count))
            .collect();
        if let Some((value, _)) = pairs.last_mut()
            && bucket(*value) == bucket(self.max)
        {
            *value = self.max;
        }
        pairs
    }

    /// The bucket in which the value of this rank lies: the least whose count, with those below, reaches
    /// `permille` thousandths of all. `None` where there is no value.
    pub(super) fn bucket_at(&self, permille: u64) -> Option<usize> {
        let total = self.total();
        let rank = (u128::from(total) * u128::from(permille)).div_ceil(1_000).max(1) as u64;
        let mut below = 0;
        self.buckets.iter().position(|count| {
            below += count;
            below >= rank
        })
    }

    /// What the API shows.
    pub(super) fn latency(&self) -> Latency {
        let at = |permille| {
            self.bucket_at(permille)
                .map_or(0, |bucket| middle(bucket).min(self.max))
        };
        Latency {
            p50: at(500),
            p90: at(900),
            p99: at(990),
            p99_9: at(999),
            max: self.max,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_cover_every_value_without_gap_or_overlap() {
        let mut next = 0;
        for at in 0..BUCKETS {
            let (low, high) = bounds(at);
            assert_eq!(low, next, "bucket {at}");
            assert_eq!((bucket(low), bucket(high), bucket(middle(at))), (at, at, at));
            next = high + 1;
        }
        assert_eq!(next, NS_MAX + 1);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    fn values() -> impl Strategy<Value = Vec<u64>> {
        // Spread over the octaves, not over the numbers.
        let value =
            (0u32..42, any::<u64>()).prop_map(|(bits, noise)| (1 << bits) | (noise & ((1 << bits) - 1)));
        prop::collection::vec(value, 1..400)
    }

    proptest! {
        #[test]
        fn percentiles_are_within_the_error_bound(mut values in values()) {
            let mut histogram = Histogram::default();
            for value in &values {
                histogram.add(*value, 1);
            }
            values.sort_unstable();
            let latency = histogram.latency();
            for (permille, got) in [
                (500, latency.p50), (900, latency.p90), (990, latency.p99), (999, latency.p99_9),
            ] {
                let rank = (values.len() * permille).div_ceil(1_000).max(1);
                let exact = values[rank - 1];
                prop_assert!(got.abs_diff(exact) as f64 <= exact as f64 / 64.0, "{permille}: {got} for {exact}");
            }
            prop_assert_eq!(latency.max, *values.last().unwrap());
        }

        #[test]
        fn shipping_the_non_empty_buckets_loses_nothing(values in values()) {
            let mut here = Histogram::default();
            for value in &values {
                here.add(*value, 1);
            }
            let mut there = Histogram::default();
            for (value, count) in here.non_empty() {
                there.add(value, count);
            }
            prop_assert_eq!(&here.buckets, &there.buckets);
            prop_assert_eq!(here.max, there.max);
        }
    }

    #[test]
    fn an_empty_histogram_has_no_percentiles() {
        assert_eq!(Histogram::default().latency(), Latency::default());
        assert_eq!(Histogram::default().bucket_at(990), None);
    }
}
