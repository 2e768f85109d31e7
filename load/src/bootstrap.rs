//! Bootstrap: a 95 % confidence interval for the mean of paired differences. Pure and seeded.
//!
//! Pairs are resampled whole, so what both sides of a round shared cancels out. A plain percentile bootstrap of six
//! pairs covers some 86 % where it promises 95. So its ends are taken further out, as Hesterberg's "expanded
//! percentile" (2015) does, and no interval is narrower than Student's: simulated, equals are then told apart in 3 to
//! 5 % of all comparisons, for normal and for skewed noise.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Fewer pairs have no interval: of five, all lie on one side of 0 by chance in 6 % of all comparisons of equals, and
/// no resampling can know.
pub const PAIRS_MIN: usize = 6;
const RESAMPLES: usize = 10_000;

/// An estimate and its 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The mean difference.
    pub estimate: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The mean of `differences` with its interval; none below [`PAIRS_MIN`] pairs.
pub fn mean(differences: &[f64], seed: u64) -> Option<Interval> {
    mean_of(differences, seed, RESAMPLES)
}

fn mean_of(differences: &[f64], seed: u64, resamples: usize) -> Option<Interval> {
    let pairs = differences.len();
    if pairs < PAIRS_MIN {
        return None;
    }
    let estimate = differences.iter().sum::<f64>() / pairs as f64;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut means: Vec<f64> = (0..resamples)
        .map(|_| {
            (0..pairs)
                .map(|_| differences[below(&mut rng, pairs)])
                .sum::<f64>()
                / pairs as f64
        })
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    let (tail, student) = (tail(pairs), student(differences, estimate));
    let low = at(&means, tail).min(estimate - student);
    let high = at(&means, 1.0 - tail).max(estimate + student);
    Some(Interval { estimate, low, high })
}

fn below(rng: &mut ChaCha8Rng, bound: usize) -> usize {
    ((u64::from(rng.next_u32()) * bound as u64) >> 32) as usize
}

/// The value at a quantile of sorted values, between neighbours by distance.
fn at(sorted: &[f64], quantile: f64) -> f64 {
    let position = quantile * (sorted.len() - 1) as f64;
    let (low, share) = (position.floor() as usize, position.fract());
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + (sorted[high] - sorted[low]) * share
}

/// Half the width of Student's interval.
fn student(differences: &[f64], mean: f64) -> f64 {
    let pairs = differences.len() as f64;
    let variance = differences.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / (pairs - 1.0);
    student_975(differences.len() - 1) * (variance / pairs).sqrt()
}

/// How far out each end is taken, as a share of the resamples.
fn tail(pairs: usize) -> f64 {
    let factor = (pairs as f64 / (pairs - 1) as f64).sqrt();
    normal_below(-factor * student_975(pairs - 1))
}

/// The 97.5 % quantile of Student's t.
fn student_975(freedom: usize) -> f64 {
    const TABLE: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145,
        2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048,
        2.045, 2.042,
    ];
    // Beyond the table the normal quantile with the first term of its expansion is right to three digits.
    TABLE
        .get(freedom - 1)
        .copied()
        .unwrap_or_else(|| 1.95996 + 2.3723 / freedom as f64)
}

/// The normal distribution below `z`, by the continued fraction of its tail (right to 6 digits for z < −1.5).
fn normal_below(z: f64) -> f64 {
    let x = -z;
    let fraction = (1..=40).rev().fold(x, |below, k| x + f64::from(k) / below);
    (-x * x / 2.0).exp() / (fraction * (2.0 * std::f64::consts::PI).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Normal noise by Box and Muller.
    fn noise(rng: &mut ChaCha8Rng) -> f64 {
        let unit = |rng: &mut ChaCha8Rng| (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let (u, v) = (1.0 - unit(rng), unit(rng));
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    /// Latencies are skewed: a log-normal difference of two equal sides.
    fn skewed(rng: &mut ChaCha8Rng) -> f64 {
        (0.8 * noise(rng)).exp() - (0.8 * noise(rng)).exp()
    }

    /// In how many of 1000 comparisons the interval leaves 0 out.
    fn found(pairs: usize, shift: f64, draw: fn(&mut ChaCha8Rng) -> f64) -> usize {
        let mut rng = ChaCha8Rng::seed_from_u64(42);
        (0..1000)
            .filter(|experiment| {
                let differences: Vec<f64> = (0..pairs).map(|_| shift + draw(&mut rng)).collect();
                let interval = mean_of(&differences, *experiment, 1000).unwrap();
                interval.low > 0.0 || interval.high < 0.0
            })
            .count()
    }

    #[test]
    fn equal_sides_are_rarely_told_apart() {
        for pairs in [6, 8, 12] {
            for draw in [noise, skewed] {
                let false_positives = found(pairs, 0.0, draw);
                assert!(
                    false_positives <= 70,
                    "{false_positives} of 1000 with {pairs} pairs"
                );
            }
        }
    }

    #[test]
    fn a_planted_shift_is_found() {
        assert!(found(6, 3.0, noise) > 950);
        assert!(found(12, 1.5, noise) > 950);
        let interval = mean(&[10.0, 11.0, 9.0, 10.5, 9.5, 10.0], 1).unwrap();
        assert!(
            interval.low > 8.5 && interval.high < 11.5 && (interval.estimate - 10.0).abs() < 1e-9,
            "{interval:?}"
        );
    }

    #[test]
    fn too_few_pairs_have_no_interval_and_a_seed_decides_it() {
        assert_eq!(mean(&[1.0, 2.0, 3.0, 4.0, 5.0], 1), None);
        let values = [1.0, 5.0, 2.0, 8.0, 3.0, 4.0];
        assert_eq!(mean(&values, 9), mean(&values, 9));
    }

    #[test]
    fn the_tail_is_further_out_for_fewer_pairs() {
        assert!((normal_below(-1.95996) - 0.025).abs() < 1e-5);
        assert!((normal_below(-3.0) - 0.001_349_9).abs() < 1e-6);
        assert!(tail(6) < tail(8) && tail(8) < tail(12) && tail(12) < 0.025);
        assert!((student_975(40) - 2.021).abs() < 0.003);
    }
}
