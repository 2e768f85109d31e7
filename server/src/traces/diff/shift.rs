//! How much one sample lies above another, and whether that can be told. Pure.
//!
//! The estimate is Hodges and Lehmann's: the median of all differences between a value of one and a value of the other.
//! Its interval is that of Mann and Whitney's rank sum test in the normal approximation (Hollander, Wolfe and Chicken,
//! "Nonparametric Statistical Methods", section 4.3). Neither asks for a distribution, and an outlier moves neither far.

use protocol::api::diff::{Shift, Verdict};

/// Values of one side that are compared; of more, every so many-th by size, which keeps the distribution.
const SAMPLES_MAX: usize = 160;
/// The normal distribution's 97.5 % point.
const Z: f64 = 1.959_964;
/// A difference of less does not matter, as a share of the base's median.
const MARGIN: f64 = 0.05;

/// How much longer `b` is than `a`; neither is empty.
pub(in crate::traces) fn shift(a: &mut Vec<u64>, b: &mut Vec<u64>) -> Shift {
    let samples = (count(a.len()), count(b.len()));
    let base = median(a);
    thin(a);
    thin(b);
    let mut differences: Vec<i64> = Vec::with_capacity(a.len() * b.len());
    for from in a.iter() {
        let from = signed(*from);
        differences.extend(b.iter().map(|to| signed(*to) - from));
    }
    let by_ns = middle(&mut differences);
    let interval_ns = rank(a.len(), b.len()).map(|rank| {
        let last = differences.len() - rank;
        let low = *differences.select_nth_unstable(rank - 1).1;
        let high = *differences.select_nth_unstable(last).1;
        (low, high)
    });
    let margin = (base as f64 * MARGIN) as i64;
    let verdict = match interval_ns {
        Some((low, high)) if low >= -margin && high <= margin => Verdict::Equivalent,
        Some((low, _)) if low > 0 => Verdict::ABetter,
        Some((_, high)) if high < 0 => Verdict::BBetter,
        _ => Verdict::Inconclusive,
    };
    Shift {
        by_ns,
        interval_ns,
        samples,
        verdict,
    }
}

/// The rank of the interval's lower end among the differences; none where there are too few samples for 95 %.
fn rank(a: usize, b: usize) -> Option<usize> {
    let (m, n) = (a as f64, b as f64);
    let rank = (m * n / 2.0 - Z * (m * n * (m + n + 1.0) / 12.0).sqrt()).floor();
    (rank >= 1.0).then_some(rank as usize)
}

/// Sorts, and leaves out all but every so many-th.
fn thin(values: &mut Vec<u64>) {
    values.sort_unstable();
    let count = values.len();
    if count > SAMPLES_MAX {
        // The middles of as many parts of the same size.
        let kept = (0..SAMPLES_MAX).map(|part| values[(2 * part + 1) * count / (2 * SAMPLES_MAX)]);
        *values = kept.collect();
    }
}

/// The value in the middle; of two, the lower. 0 of none.
pub(in crate::traces) fn median(values: &mut [u64]) -> u64 {
    if values.is_empty() {
        return 0;
    }
    let middle = (values.len() - 1) / 2;
    *values.select_nth_unstable(middle).1
}

/// Of two, what lies between them: so that the sides exchanged give the same difference the other way round.
fn middle(values: &mut [i64]) -> i64 {
    if values.is_empty() {
        return 0;
    }
    let is_even = values.len().is_multiple_of(2);
    let (below, upper, _) = values.select_nth_unstable(values.len() / 2);
    let lower = below.iter().max().filter(|_| is_even).unwrap_or(upper);
    lower.midpoint(*upper)
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(a: &[u64], b: &[u64]) -> Shift {
        shift(&mut a.to_vec(), &mut b.to_vec())
    }

    /// Values around a middle, evenly spread.
    fn around(middle: u64, spread: u64, count: u64) -> Vec<u64> {
        (0..count)
            .map(|at| middle - spread + at * 2 * spread / (count - 1))
            .collect()
    }

    #[test]
    fn a_shift_is_found_with_an_interval_around_it() {
        let found = of(&around(1_000, 50, 21), &around(1_400, 50, 21));
        let (low, high) = found.interval_ns.unwrap();
        assert_eq!(found.by_ns, 400);
        assert!(
            low > 350 && high < 450 && low <= 400 && high >= 400,
            "{low} {high}"
        );
        assert_eq!(found.verdict, Verdict::ABetter);
        assert_eq!(
            of(&around(1_400, 50, 21), &around(1_000, 50, 21)).verdict,
            Verdict::BBetter
        );
    }

    #[test]
    fn what_does_not_matter_and_what_cannot_be_told_are_not_the_same() {
        assert_eq!(
            of(&around(1_000, 10, 30), &around(1_005, 10, 30)).verdict,
            Verdict::Equivalent
        );
        assert_eq!(
            of(&around(1_000, 900, 8), &around(1_100, 900, 8)).verdict,
            Verdict::Inconclusive
        );
        let few = of(&[1, 2], &[900, 901]);
        assert_eq!((few.interval_ns, few.verdict), (None, Verdict::Inconclusive));
        assert_eq!(few.samples, (2, 2));
    }

    #[test]
    fn sides_exchanged_differ_the_other_way_round() {
        assert_eq!(of(&[40], &[30, 50]).by_ns, 0);
        assert_eq!((of(&[40], &[30, 60]).by_ns, of(&[30, 60], &[40]).by_ns), (5, -5));
        assert_eq!(of(&[10, 20, 30], &[25]).by_ns, -of(&[25], &[10, 20, 30]).by_ns);
    }

    #[test]
    fn an_outlier_moves_little_and_many_samples_are_thinned() {
        let mut b = around(1_000, 50, 21);
        b[20] = 1_000_000_000;
        assert!(of(&around(1_000, 50, 21), &b).by_ns.abs() < 10);
        let many = of(&around(10_000, 5_000, 50_000), &around(12_000, 5_000, 50_000));
        assert_eq!(many.samples, (50_000, 50_000));
        assert!((many.by_ns - 2_000).abs() < 60, "{}", many.by_ns);
    }

    #[test]
    fn the_interval_s_rank_is_that_of_the_tables() {
        // Mann and Whitney's critical values for 5 % on both sides: 8 and 8 samples 13, 20 and 20 samples 127.
        for (samples, critical) in [(8, 13), (20, 127)] {
            let rank = rank(samples, samples).unwrap();
            assert!(rank.abs_diff(critical + 1) <= 1, "{samples}: {rank}");
        }
        assert_eq!(rank(3, 3), None);
    }
}
