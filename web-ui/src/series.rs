//! A short series of live values and the line that it makes: the newest at the right, a fixed number of them. Pure.

/// Values that are kept: two minutes of one a second.
pub const LENGTH_MAX: usize = 120;

/// The newest values, the oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series(Vec<f64>);

impl Series {
    /// Adds a value; the oldest goes where there are too many.
    pub fn push(&mut self, value: f64) {
        if self.0.len() == LENGTH_MAX {
            self.0.remove(0);
        }
        self.0.push(if value.is_finite() { value.max(0.0) } else { 0.0 });
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The largest value, at least `least`.
    pub fn top(&self, least: f64) -> f64 {
        self.0.iter().copied().fold(least, f64::max)
    }

    /// The points of an SVG polyline in a box of this size, where `top` is at its upper edge.
    pub fn points(&self, (width, height): (f64, f64), top: f64) -> String {
        let step = width / (LENGTH_MAX - 1) as f64;
        let first = width - step * self.0.len().saturating_sub(1) as f64;
        let point = |(index, value): (usize, &f64)| {
            let (x, share) = (
                first + step * index as f64,
                (value / top.max(f64::MIN_POSITIVE)).min(1.0),
            );
            format!("{x:.1},{:.1}", height - share * height)
        };
        let points: Vec<String> = self.0.iter().enumerate().map(point).collect();
        points.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_stand_at_the_right_and_the_oldest_go() {
        let mut series = Series::default();
        assert_eq!(series.points((119.0, 10.0), 1.0), "");
        series.push(0.0);
        series.push(0.5);
        series.push(9.0);
        assert_eq!(
            series.points((119.0, 10.0), 1.0),
            "117.0,10.0 118.0,5.0 119.0,0.0"
        );
        for value in 0..500 {
            series.push(f64::from(value));
        }
        assert_eq!(series.len(), LENGTH_MAX);
        assert_eq!(series.top(0.0), 499.0);
        assert!(series.points((119.0, 10.0), 499.0).starts_with("0.0,"));
    }

    #[test]
    fn what_is_no_number_is_nothing() {
        let mut series = Series::default();
        series.push(f64::NAN);
        series.push(-1.0);
        assert_eq!(series.top(2.0), 2.0);
        assert_eq!(series.points((119.0, 10.0), 0.0), "118.0,10.0 119.0,10.0");
        assert!(!series.is_empty());
    }
}
