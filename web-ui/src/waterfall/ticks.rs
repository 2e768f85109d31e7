//! Round marks on a time axis.

/// Marks from 0 to `duration_ns`, at steps of 1, 2 or 5 times a power of ten, at most `most` of them.
pub fn ticks(duration_ns: u64, most: usize) -> Vec<u64> {
    let most = most.max(2) as u64;
    let mut step = 1u64;
    let fits = |step: u64| duration_ns / step < most;
    while !fits(step) {
        step = match (fits(step.saturating_mul(2)), fits(step.saturating_mul(5))) {
            (true, _) => step.saturating_mul(2),
            (_, true) => step.saturating_mul(5),
            _ => step.saturating_mul(10),
        };
    }
    (0..=duration_ns / step).map(|mark| mark * step).collect()
}

/// A mark in the unit of the axis, so that all marks of one axis share it: `2 ms`, `0.5 ms`.
pub fn mark(ns: u64, duration_ns: u64) -> String {
    let (unit, name) = match duration_ns {
        0..2_000 => (1.0, "ns"),
        2_000..1_500_000 => (1e3, "µs"),
        1_500_000..2_000_000_000 => (1e6, "ms"),
        _ => (1e9, "s"),
    };
    let value = ns as f64 / unit;
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text} {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_few() {
        assert_eq!(
            ticks(9_420_000, 6),
            [0, 2_000_000, 4_000_000, 6_000_000, 8_000_000]
        );
        assert_eq!(ticks(0, 6), [0]);
        assert_eq!(ticks(3, 6), [0, 1, 2, 3]);
        for duration in [1, 7, 99, 1_000, 123_456, 9_999_999, u64::MAX / 20] {
            let marks = ticks(duration, 6);
            assert!(marks.len() <= 6 && marks.len() >= 2, "{duration}: {marks:?}");
            assert!(marks.iter().all(|mark| *mark <= duration));
        }
    }

    #[test]
    fn marks_of_an_axis_share_a_unit() {
        assert_eq!(mark(2_000_000, 9_420_000), "2 ms");
        assert_eq!(mark(500_000, 1_900_000), "0.5 ms");
        assert_eq!(mark(500_000, 1_400_000), "500 µs");
        assert_eq!(mark(0, 9_420_000), "0 ms");
    }
}
