//! Round marks on a time axis.

/// Marks from one moment to another, at steps of 1, 2 or 5 times a power of ten, at most `most` of them.
pub fn ticks(from: f64, to: f64, most: usize) -> Vec<f64> {
    let span = (to - from).max(0.0);
    let most = most.max(2) as f64;
    let step = step(span, most);
    let first = (from / step).ceil();
    let count = ((to / step).floor() - first).max(-1.0) as usize + 1;
    (0..count).map(|mark| (first + mark as f64) * step).collect()
}

/// The least of 1, 2, 5, 10 … of which at most `most` fit, also where the first mark stands at the start.
fn step(span: f64, most: f64) -> f64 {
    let mut step = 1.0;
    while span / step >= most {
        let fits = |times: f64| span / (step * times) < most;
        step *= match (fits(2.0), fits(5.0)) {
            (true, _) => 2.0,
            (_, true) => 5.0,
            _ => 10.0,
        };
    }
    step
}

/// A mark in the unit of the axis, so that all marks of one axis share it, with the digits that tell two marks apart:
/// `2 ms`, `0.5 ms`, `187.25 ms`.
pub fn mark(ns: f64, to: f64, between: f64) -> String {
    let (unit, name) = match to {
        to if to < 2_000.0 => (1.0, "ns"),
        to if to < 1_500_000.0 => (1e3, "µs"),
        to if to < 2e9 => (1e6, "ms"),
        _ => (1e9, "s"),
    };
    let digits = (unit / between.max(1.0)).log10().ceil().clamp(0.0, 9.0) as usize;
    format!("{:.digits$} {name}", ns / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_few() {
        assert_eq!(ticks(0.0, 9_420_000.0, 6), [0.0, 2e6, 4e6, 6e6, 8e6]);
        assert_eq!(ticks(0.0, 0.0, 6), [0.0]);
        assert_eq!(ticks(4_100.0, 4_900.0, 5), [4_200.0, 4_400.0, 4_600.0, 4_800.0]);
        for span in [1.0, 7.0, 99.0, 1_000.0, 123_456.0, 9_999_999.0, 1e18] {
            let marks = ticks(span, span * 2.0, 6);
            assert!(marks.len() <= 6 && !marks.is_empty(), "{span}: {marks:?}");
            assert!(marks.iter().all(|mark| *mark >= span && *mark <= span * 2.0));
        }
    }

    #[test]
    fn marks_of_an_axis_share_a_unit_and_differ() {
        assert_eq!(mark(2e6, 9_420_000.0, 2e6), "2 ms");
        assert_eq!(mark(5e5, 1_900_000.0, 5e5), "0.5 ms");
        assert_eq!(mark(5e5, 1_400_000.0, 5e5), "500 µs");
        assert_eq!(mark(187_250_000.0, 187_260_000.0, 2_000.0), "187.250 ms");
        assert_eq!(mark(0.0, 9_420_000.0, 2e6), "0 ms");
    }
}
