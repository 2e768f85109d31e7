//! Threshold: `p99<50ms`, `apart.errors<0.1%`, `together.capacity>500`: what a run must hold, for scripts and CI.
//!
//! Without a placement in front, every placement must hold it. A figure that was not measured does not hold.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::format;
use crate::report::Placement;

/// A parsed threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    text: String,
    placement: Option<String>,
    metric: Metric,
    comparison: Comparison,
    limit: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Metric {
    P50,
    P90,
    P99,
    P999,
    Max,
    Errors,
    ErrorShare,
    Capacity,
    Rate,
    Cpu,
    Bytes,
    Memory,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Below,
    AtMost,
    Above,
    AtLeast,
}

/// A threshold, and what became of it in one placement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checked {
    /// As it was given.
    pub threshold: String,
    /// Where.
    pub placement: String,
    /// What was found: ns, requests a second, seconds, bytes, a share or a count; none, if it was not measured.
    pub value: Option<f64>,
    /// Whether it held.
    pub held: bool,
    /// What was found, to be read.
    pub found: String,
}

const METRICS: &str = "p50, p90, p99, p99.9, max (as `50ms`), cpu (CPU time for each request, as `2ms`), \
                       errors (a count, or a share as `1%`), capacity, rate (requests a second), bytes, memory (bytes)";

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let at = text
            .find(['<', '>'])
            .ok_or_else(|| format!("`{text}` has no `<` or `>`; write as `p99<50ms`"))?;
        let (left, right) = text.split_at(at);
        let (comparison, right) = match (right.as_bytes()[0], right[1..].strip_prefix('=')) {
            (b'<', None) => (Comparison::Below, &right[1..]),
            (b'<', Some(rest)) => (Comparison::AtMost, rest),
            (_, None) => (Comparison::Above, &right[1..]),
            (_, Some(rest)) => (Comparison::AtLeast, rest),
        };
        let (left, right) = (left.trim(), right.trim());
        // `p99.9` has a dot of its own.
        let at = left.strip_suffix("p99.9").unwrap_or(left).rfind('.');
        let (placement, name) = match at {
            Some(at) => (Some(left[..at].to_owned()), &left[at + 1..]),
            None => (None, left),
        };
        let metric = match (name, right.ends_with('%')) {
            ("p50", _) => Metric::P50,
            ("p90", _) => Metric::P90,
            ("p99", _) => Metric::P99,
            ("p99.9", _) => Metric::P999,
            ("max", _) => Metric::Max,
            ("errors", false) => Metric::Errors,
            ("errors", true) => Metric::ErrorShare,
            ("capacity", _) => Metric::Capacity,
            ("rate", _) => Metric::Rate,
            ("cpu", _) => Metric::Cpu,
            ("bytes", _) => Metric::Bytes,
            ("memory", _) => Metric::Memory,
            _ => {
                return Err(format!(
                    "`{name}` in `{text}` cannot be held; known are {METRICS}"
                ));
            }
        };
        let limit = metric
            .limit(right)
            .ok_or_else(|| format!("`{right}` in `{text}` does not fit; known are {METRICS}"))?;
        Ok(Self {
            text: text.trim().to_owned(),
            placement,
            metric,
            comparison,
            limit,
        })
    }
}

impl Metric {
    fn limit(self, text: &str) -> Option<f64> {
        match self {
            Self::P50 | Self::P90 | Self::P99 | Self::P999 | Self::Max => humantime::parse_duration(text)
                .ok()
                .map(|duration| duration.as_nanos() as f64),
            Self::Cpu => humantime::parse_duration(text)
                .ok()
                .map(|duration| duration.as_secs_f64()),
            Self::ErrorShare => text
                .strip_suffix('%')?
                .trim()
                .parse::<f64>()
                .ok()
                .map(|percent| percent / 100.0),
            Self::Errors | Self::Capacity | Self::Rate | Self::Bytes | Self::Memory => text.parse().ok(),
        }
        .filter(|limit| limit.is_finite() && *limit >= 0.0)
    }

    fn value(self, of: &Placement) -> Option<f64> {
        match self {
            Self::P50 => Some(of.latency_ns.p50 as f64),
            Self::P90 => Some(of.latency_ns.p90 as f64),
            Self::P99 => Some(of.latency_ns.p99 as f64),
            Self::P999 => Some(of.latency_ns.p99_9 as f64),
            Self::Max => Some(of.latency_ns.max as f64),
            Self::Errors => Some(of.errors as f64),
            Self::ErrorShare => (of.requests > 0).then(|| of.errors as f64 / of.requests as f64),
            Self::Capacity => of.capacity_per_s,
            Self::Rate => Some(of.answered_per_s),
            Self::Cpu => of.cpu_seconds_per_request,
            Self::Bytes => of.bytes_per_request,
            Self::Memory => of.memory_bytes.map(|bytes| bytes as f64),
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Self::P50 | Self::P90 | Self::P99 | Self::P999 | Self::Max => format::nanos_f64(value),
            Self::Cpu => format::nanos_f64(value * 1e9),
            Self::ErrorShare => format::percent(value),
            Self::Errors => format::count(value as u64),
            Self::Capacity | Self::Rate => format!("{}/s", format::significant(value)),
            Self::Bytes | Self::Memory => format::bytes(value),
        }
    }

    /// Whether it says something even where no request was answered.
    fn counts_failures(self) -> bool {
        matches!(self, Self::Errors | Self::ErrorShare | Self::Rate)
    }
}

impl Threshold {
    /// The placement that it names, if it names one.
    pub fn placement(&self) -> Option<&str> {
        self.placement.as_deref()
    }

    /// Checks it against every placement that it is for.
    pub fn check(&self, placements: &[Placement]) -> Vec<Checked> {
        let is_meant = |of: &&Placement| self.placement.as_ref().is_none_or(|name| *name == of.name);
        placements
            .iter()
            .filter(is_meant)
            .map(|of| self.check_one(of))
            .collect()
    }

    /// What is said where the placement that it names did not run.
    pub fn unmet(&self) -> Checked {
        Checked {
            threshold: self.text.clone(),
            placement: self.placement.clone().unwrap_or_default(),
            value: None,
            held: false,
            found: "no such placement ran".to_owned(),
        }
    }

    fn check_one(&self, of: &Placement) -> Checked {
        // With no request answered, every percentile is 0 and would pass.
        let value = self
            .metric
            .value(of)
            .filter(|_| of.requests > of.errors || self.metric.counts_failures());
        let held = value.is_some_and(|value| match self.comparison {
            Comparison::Below => value < self.limit,
            Comparison::AtMost => value <= self.limit,
            Comparison::Above => value > self.limit,
            Comparison::AtLeast => value >= self.limit,
        });
        let found = value.map_or_else(|| "not measured".to_owned(), |value| self.metric.show(value));
        Checked {
            threshold: self.text.clone(),
            placement: of.name.clone(),
            value,
            held,
            found,
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::placement;

    fn held(text: &str) -> Vec<bool> {
        let placements = [placement("together"), placement("apart")];
        text.parse::<Threshold>()
            .unwrap()
            .check(&placements)
            .iter()
            .map(|checked| checked.held)
            .collect()
    }

    #[test]
    fn thresholds_hold_or_not() {
        // The placements have a p99 of 2 ms, 1 error in 1000, 1 ms of CPU and a capacity of 800/s.
        assert_eq!(held("p99<50ms"), [true, true]);
        assert_eq!(held("p99 < 1ms"), [false, false]);
        assert_eq!(held("apart.p99.9<=4ms"), [true]);
        assert_eq!(held("p99.9>4ms"), [false, false]);
        assert_eq!(held("errors<1%"), [true, true]);
        assert_eq!(held("together.errors<1"), [false]);
        assert_eq!(held("cpu<=1ms"), [true, true]);
        assert_eq!(held("capacity>=800"), [true, true]);
    }

    #[test]
    fn what_was_not_measured_does_not_hold() {
        let mut unmeasured = placement("together");
        unmeasured.cpu_seconds_per_request = None;
        unmeasured.errors = unmeasured.requests;
        for text in ["cpu<1s", "p99<1s"] {
            let checked = text
                .parse::<Threshold>()
                .unwrap()
                .check(std::slice::from_ref(&unmeasured));
            assert_eq!(
                (checked[0].held, checked[0].found.as_str()),
                (false, "not measured")
            );
        }
    }

    #[test]
    fn faults_name_what_is_known() {
        for text in ["p99", "p98<1ms", "p99<fast", "errors<-1", "capacity>1ms"] {
            let error = text.parse::<Threshold>().unwrap_err();
            assert!(error.contains('`') && error.contains("p99"), "{error}");
        }
    }
}
