//! Verdict: what an interval says. Pure. Four answers, and never a bare percentage.

use std::fmt;

use crate::bootstrap::{self, Interval, PAIRS_MIN};

/// Differences within this share of the base's value matter to nobody.
pub const MARGIN: f64 = 0.05;
/// More rounds than this are not advised: then the difference is too small to matter.
const ROUNDS_ADVISED_MAX: usize = 1000;

/// One of four answers to "which side is better?", where less is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The base is.
    Base,
    /// The other is.
    Other,
    /// The whole interval lies within the margin.
    Equivalent,
    /// The interval holds both a difference that matters and none.
    Inconclusive {
        /// How many rounds in all would likely settle it; none, if there were too few to guess.
        rounds: Option<usize>,
    },
}

/// How the other side differs from the base in one quantity.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The base's mean over the rounds.
    pub base: f64,
    /// The other's.
    pub other: f64,
    /// Other − base; none with too few rounds.
    pub interval: Option<Interval>,
    /// The answer.
    pub answer: Answer,
}

impl Difference {
    /// Judges pairs of (base, other), one for each round.
    pub fn judge(pairs: &[(f64, f64)], seed: u64) -> Self {
        let count = pairs.len().max(1) as f64;
        let base = pairs.iter().map(|pair| pair.0).sum::<f64>() / count;
        let other = pairs.iter().map(|pair| pair.1).sum::<f64>() / count;
        let differences: Vec<f64> = pairs.iter().map(|(base, other)| other - base).collect();
        let interval = bootstrap::mean(&differences, seed);
        let answer = match &interval {
            Some(interval) => answer(interval, base, pairs.len()),
            None => Answer::Inconclusive { rounds: None },
        };
        Self {
            base,
            other,
            interval,
            answer,
        }
    }

    /// Other over base with its interval, as (ratio, low, high); none where the base is 0.
    pub fn ratio(&self) -> Option<(f64, f64, f64)> {
        let interval = self.interval?;
        let of = |difference: f64| ((self.base + difference) / self.base).max(0.0);
        (self.base > 0.0).then(|| (of(interval.estimate), of(interval.low), of(interval.high)))
    }
}

fn answer(interval: &Interval, base: f64, rounds: usize) -> Answer {
    let margin = base.abs() * MARGIN;
    if interval.low >= -margin && interval.high <= margin {
        Answer::Equivalent
    } else if interval.low > 0.0 {
        Answer::Base
    } else if interval.high < 0.0 {
        Answer::Other
    } else {
        Answer::Inconclusive {
            rounds: advised(interval, margin, rounds),
        }
    }
}

/// An interval shrinks with the root of the rounds. Either it must come clear of 0, or fit into the margin.
fn advised(interval: &Interval, margin: f64, rounds: usize) -> Option<usize> {
    let half = (interval.high - interval.low) / 2.0;
    let wanted = interval.estimate.abs().max(margin - interval.estimate.abs());
    if wanted <= 0.0 {
        return None;
    }
    let more = (rounds as f64 * (half / wanted).powi(2) * 1.2).ceil();
    let more = (more as usize).max(rounds + 1).max(PAIRS_MIN);
    (more <= ROUNDS_ADVISED_MAX).then_some(more)
}

impl Answer {
    /// The answer in words, as `apart better`.
    pub fn words(self, base: &str, other: &str) -> String {
        match self {
            Self::Base => format!("{base} better"),
            Self::Other => format!("{other} better"),
            Self::Equivalent => "equivalent".to_owned(),
            Self::Inconclusive { .. } => "inconclusive".to_owned(),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.words("A", "B"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(low: f64, high: f64) -> Answer {
        answer(
            &Interval {
                estimate: (low + high) / 2.0,
                low,
                high,
            },
            100.0,
            6,
        )
    }

    #[test]
    fn an_interval_has_one_of_four_answers() {
        assert_eq!(judged(8.0, 12.0), Answer::Base);
        assert_eq!(judged(-12.0, -8.0), Answer::Other);
        assert_eq!(judged(-3.0, 3.0), Answer::Equivalent);
        assert!(matches!(judged(-3.0, 9.0), Answer::Inconclusive { .. }));
    }

    #[test]
    fn a_sure_difference_that_does_not_matter_is_equivalent() {
        assert_eq!(judged(1.0, 3.0), Answer::Equivalent);
        assert_eq!(judged(3.0, 7.0), Answer::Base);
    }

    #[test]
    fn an_inconclusive_answer_says_how_many_rounds_would_do() {
        let Answer::Inconclusive { rounds: Some(rounds) } = judged(-3.0, 9.0) else {
            panic!("must be inconclusive")
        };
        assert!((7..=100).contains(&rounds), "{rounds}");
        assert_eq!(
            Difference::judge(&[(1.0, 2.0)], 1).answer,
            Answer::Inconclusive { rounds: None }
        );
    }

    #[test]
    fn a_difference_has_its_ratio_with_an_interval() {
        let pairs = [
            (10.0, 20.0),
            (10.0, 21.0),
            (10.0, 19.0),
            (10.0, 20.5),
            (10.0, 19.5),
            (10.0, 20.0),
        ];
        let difference = Difference::judge(&pairs, 3);
        assert_eq!(difference.answer, Answer::Base);
        let (ratio, low, high) = difference.ratio().unwrap();
        assert!((ratio - 2.0).abs() < 1e-9 && low > 1.8 && high < 2.2);
        assert_eq!(Difference::judge(&[(0.0, 5.0); 5], 3).ratio(), None);
    }
}
