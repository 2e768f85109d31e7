//! Generator: what the generator did to the measurement, and whether it was itself the limit.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::format;
use crate::tally::Tally;

/// Lateness that is nothing: the grain of a busy kernel's scheduler.
const ERROR_NS_FREE: u64 = 50_000;
/// The median lateness may be this share of the median service time: what a verdict calls equivalent.
const SHARE_P50: f64 = crate::verdict::MARGIN;
/// The 99th percentile of lateness may be this share of the 99th percentile of response time.
const SHARE_P99: f64 = 0.25;
/// A closed loop in which a generator thread is this busy measured the generator.
const BUSY: f64 = 0.9;

/// The generator's own figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Generator {
    /// How late it was itself, beyond what it waited for a free user.
    pub schedule_error_ns: ScheduleError,
    /// Whether it was the limit.
    pub limited: bool,
    /// Why, if it was.
    pub reason: Option<String>,
    /// Cores that it used, on average over the blocks; not in the server's figures.
    pub cores: Option<f64>,
    /// Threads that sent.
    pub threads: usize,
    /// Users, and so connections and requests in flight, at most.
    pub users: usize,
    /// Operations sent late because all users waited for answers.
    pub queued: u64,
}

/// Percentiles of lateness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ScheduleError {
    /// Median.
    pub p50: u64,
    /// 99th percentile.
    pub p99: u64,
    /// The worst.
    pub max: u64,
}

impl Generator {
    /// The figures of all placements together; the limit is judged for each.
    pub fn assess(tallies: &[Tally], threads: usize, users: usize) -> Self {
        let mut error = crate::recorder::histogram();
        for tally in tallies {
            error
                .add(&tally.recorder.schedule_error)
                .expect("all histograms have the same bounds");
        }
        let reason = tallies.iter().find_map(|tally| limit(tally, threads));
        let seconds: f64 = tallies.iter().map(|tally| tally.seconds).sum();
        let cpu: Option<f64> = tallies.iter().map(|tally| tally.generator_cpu_seconds).sum();
        Self {
            schedule_error_ns: ScheduleError {
                p50: error.value_at_quantile(0.5),
                p99: error.value_at_quantile(0.99),
                max: error.max(),
            },
            limited: reason.is_some(),
            reason,
            cores: cpu.filter(|_| seconds > 0.0).map(|cpu| cpu / seconds),
            threads,
            users,
            queued: tallies.iter().map(|tally| tally.recorder.queued).sum(),
        }
    }
}

fn limit(tally: &Tally, threads: usize) -> Option<String> {
    let recorder = &tally.recorder;
    let late = lateness(&recorder.schedule_error, &recorder.service, &recorder.response);
    let busy = tally
        .capacity
        .and_then(|capacity| busy(capacity.generator_cores?, threads));
    late.or(busy).map(|reason| format!("{}: {reason}", tally.name))
}

/// Latency counts from the intended time, so the generator's own lateness is in every percentile. It must be small
/// against the one that it is in.
fn lateness(error: &Histogram<u64>, service: &Histogram<u64>, response: &Histogram<u64>) -> Option<String> {
    let checks = [
        ("p50", 0.5, SHARE_P50, service, "service time"),
        ("p99", 0.99, SHARE_P99, response, "response time"),
    ];
    checks.iter().find_map(|(name, quantile, share, of, what)| {
        let late = error.value_at_quantile(*quantile);
        let whole = of.value_at_quantile(*quantile);
        let allowed = ERROR_NS_FREE.max((whole as f64 * share) as u64);
        let text = || {
            let (late, whole) = (format::nanos(late), format::nanos(whole));
            format!("sends were late by {late} at {name}, where {what} is {whole}")
        };
        (late > allowed).then(text)
    })
}

fn busy(cores: f64, threads: usize) -> Option<String> {
    let share = cores / threads as f64;
    (share > BUSY).then(|| {
        format!(
            "the closed loop kept the generator {} busy",
            format::percent(share)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::histogram;

    fn of(values: &[(u64, u64)]) -> Histogram<u64> {
        let mut histogram = histogram();
        for (value, count) in values {
            histogram.saturating_record_n(*value, *count);
        }
        histogram
    }

    #[test]
    fn lateness_is_judged_against_the_percentile_that_it_is_in() {
        let service = of(&[(1_000_000, 97), (8_000_000, 3)]);
        assert_eq!(lateness(&of(&[(40_000, 100)]), &service, &service), None);
        assert_eq!(
            lateness(&of(&[(20_000, 97), (1_500_000, 3)]), &service, &service),
            None
        );
        let usual = lateness(&of(&[(60_000, 100)]), &service, &service).unwrap();
        assert!(usual.contains("p50"), "{usual}");
        let tail = lateness(&of(&[(20_000, 97), (3_000_000, 3)]), &service, &service).unwrap();
        assert!(tail.contains("p99"), "{tail}");
    }

    #[test]
    fn a_busy_generator_measures_itself() {
        assert!(busy(0.95, 1).is_some());
        assert_eq!(busy(0.95, 2), None);
    }
}
