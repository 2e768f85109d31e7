//! Schedule: when each operation arrives and which one it is. Pure: a seed gives the same arrivals on every machine.
//!
//! Arrivals do not wait for answers (open loop), so a slow server cannot slow its own load and hide its latency.
//! Poisson arrivals come as independent users do; constant ones at equal distances. It never ends; readers stop.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// How arrivals are spaced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Arrivals {
    /// Exponential gaps: independent users.
    #[default]
    Poisson,
    /// Equal gaps.
    Constant,
}

impl Arrivals {
    /// The name in reports and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Poisson => "poisson",
            Self::Constant => "constant",
        }
    }
}

/// One operation's arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Its place in the schedule, from 0.
    pub index: u64,
    /// When it is due, in ns from the start.
    pub at_ns: u64,
    /// Which operation.
    pub operation: usize,
    /// Decides the values of its variables.
    pub draw: u64,
}

/// An endless, seeded stream of arrivals.
#[derive(Debug, Clone)]
pub struct Schedule {
    rng: ChaCha8Rng,
    arrivals: Arrivals,
    gap_ns: f64,
    cursor_ns: f64,
    index: u64,
    cumulative: Vec<u64>,
}

impl Schedule {
    /// A schedule of `rate_per_s` operations a second, chosen by `weights` (none of them 0).
    pub fn new(seed: u64, arrivals: Arrivals, rate_per_s: f64, weights: &[u32]) -> Self {
        assert!(
            rate_per_s > 0.0 && rate_per_s.is_finite(),
            "the rate is checked where it enters"
        );
        assert!(!weights.is_empty(), "a scenario has at least one operation");
        let mut sum = 0;
        let cumulative = weights
            .iter()
            .map(|weight| {
                sum += u64::from(*weight);
                sum
            })
            .collect();
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Self {
            rng,
            arrivals,
            gap_ns: 1e9 / rate_per_s,
            cursor_ns: 0.0,
            index: 0,
            cumulative,
        }
    }

    /// Uniform in [0, 1) with 53 bits; written out so that no library version changes a schedule.
    fn unit(&mut self) -> f64 {
        (self.rng.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    fn pick(&mut self) -> usize {
        let total = *self
            .cumulative
            .last()
            .expect("a schedule has at least one weight");
        let point = (self.unit() * total as f64) as u64;
        self.cumulative
            .partition_point(|upper| *upper <= point)
            .min(self.cumulative.len() - 1)
    }
}

impl Iterator for Schedule {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let gap = match self.arrivals {
            Arrivals::Poisson => -(1.0 - self.unit()).ln() * self.gap_ns,
            Arrivals::Constant => self.gap_ns,
        };
        self.cursor_ns += gap;
        let operation = self.pick();
        let draw = self.rng.next_u64();
        let index = self.index;
        self.index += 1;
        Some(Arrival {
            index,
            at_ns: self.cursor_ns as u64,
            operation,
            draw,
        })
    }
}

/// A well-mixed number from two: SplitMix64's finalizer. Derives seeds and picks values.
pub fn mix(seed: u64, salt: u64) -> u64 {
    let mut z = seed ^ salt.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEIGHTS: [u32; 3] = [1, 2, 7];

    fn first_seconds(seed: u64, arrivals: Arrivals, rate: f64, seconds: u64) -> Vec<Arrival> {
        Schedule::new(seed, arrivals, rate, &WEIGHTS)
            .take_while(|a| a.at_ns < seconds * 1_000_000_000)
            .collect()
    }

    #[test]
    fn a_seed_decides_the_schedule() {
        let one = first_seconds(7, Arrivals::Poisson, 500.0, 10);
        assert_eq!(one, first_seconds(7, Arrivals::Poisson, 500.0, 10));
        assert_ne!(one, first_seconds(8, Arrivals::Poisson, 500.0, 10));
        assert!(one.windows(2).all(|pair| pair[0].at_ns <= pair[1].at_ns));
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_the_spread() {
        let arrivals = first_seconds(3, Arrivals::Poisson, 1000.0, 100);
        // 100,000 expected, standard deviation 316: five of them.
        assert!(arrivals.len().abs_diff(100_000) < 1_600, "{}", arrivals.len());
        let gaps: Vec<f64> = arrivals
            .windows(2)
            .map(|pair| (pair[1].at_ns - pair[0].at_ns) as f64)
            .collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        let spread = variance.sqrt() / mean;
        assert!(
            (spread - 1.0).abs() < 0.05,
            "an exponential distribution's spread is 1, not {spread}"
        );
    }

    #[test]
    fn constant_arrivals_are_equally_spaced() {
        let arrivals = first_seconds(3, Arrivals::Constant, 1000.0, 2);
        assert_eq!(arrivals.len(), 1999);
        assert!(
            arrivals
                .windows(2)
                .all(|pair| pair[1].at_ns - pair[0].at_ns == 1_000_000)
        );
    }

    #[test]
    fn operations_come_by_weight() {
        let arrivals = first_seconds(11, Arrivals::Poisson, 1000.0, 100);
        for (operation, weight) in WEIGHTS.iter().enumerate() {
            let found =
                arrivals.iter().filter(|a| a.operation == operation).count() as f64 / arrivals.len() as f64;
            let wanted = f64::from(*weight) / 10.0;
            assert!(
                (found - wanted).abs() < 0.01,
                "operation {operation}: {found} instead of {wanted}"
            );
        }
    }
}
