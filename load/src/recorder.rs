//! Recorder: what became of the requests, in histograms of fixed size: a run of days needs no more memory than one of
//! seconds.
//!
//! *response* = end − intended (what a user feels), *service* = end − sent, *lag* = sent − intended. Latencies are of
//! requests that were answered as expected, and of timeouts at the time they were given up (leaving those out would
//! flatter a server that hangs). Other failures are counted, not timed: an error page that comes fast is no speed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::client::Failure;

/// One hour; longer is recorded as that.
const NANOS_MAX: u64 = 3_600_000_000_000;
const DIGITS: u8 = 3;

/// An empty histogram of nanoseconds: 1 ns to 1 h, 3 significant digits, 270 KB.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, NANOS_MAX, DIGITS).expect("the bounds are constants that HDR accepts")
}

/// One request, done.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// The operation that it belongs to.
    pub operation: usize,
    /// Whether it is the operation's first: later ones are intended for when the one before ended, and cannot be late.
    pub first: bool,
    /// When it was to be sent.
    pub intended: Instant,
    /// When it was sent.
    pub sent: Instant,
    /// When its answer was there.
    pub end: Instant,
    /// What became of it.
    pub outcome: Result<(), Failure>,
}

/// Requests of one operation.
#[derive(Debug, Clone)]
pub struct OperationRecord {
    /// All of them.
    pub requests: u64,
    /// Those that failed.
    pub errors: u64,
    /// Their response times.
    pub response: Histogram<u64>,
}

/// Everything recorded of a run, or of one thread's part in it.
#[derive(Debug, Clone)]
pub struct Recorder {
    /// Requests that ended, failed ones included.
    pub requests: u64,
    /// Requests that failed.
    pub errors: u64,
    /// The failures by what they were; at most one entry per status.
    pub failures: BTreeMap<Failure, u64>,
    /// Operations that waited for a free user because the cap was reached.
    pub queued: u64,
    /// End − intended.
    pub response: Histogram<u64>,
    /// End − sent.
    pub service: Histogram<u64>,
    /// Sent − intended, of first requests.
    pub lag: Histogram<u64>,
    /// How late the generator itself was for each operation, time spent at the cap excluded.
    pub schedule_error: Histogram<u64>,
    /// By operation.
    pub operations: Vec<OperationRecord>,
}

impl Recorder {
    /// Empty, for so many operations.
    pub fn new(operations: usize) -> Self {
        let operation = OperationRecord {
            requests: 0,
            errors: 0,
            response: histogram(),
        };
        Self {
            requests: 0,
            errors: 0,
            failures: BTreeMap::new(),
            queued: 0,
            response: histogram(),
            service: histogram(),
            lag: histogram(),
            schedule_error: histogram(),
            operations: vec![operation; operations],
        }
    }

    /// Records one request.
    pub fn record(&mut self, sample: &Sample) {
        let response = nanos(sample.end.saturating_duration_since(sample.intended));
        let operation = &mut self.operations[sample.operation];
        self.requests += 1;
        operation.requests += 1;
        if sample.first {
            self.lag
                .saturating_record(nanos(sample.sent.saturating_duration_since(sample.intended)));
        }
        if let Err(failure) = sample.outcome {
            self.errors += 1;
            operation.errors += 1;
            *self.failures.entry(failure).or_default() += 1;
        }
        if is_timed(sample.outcome) {
            self.response.saturating_record(response);
            self.service
                .saturating_record(nanos(sample.end.saturating_duration_since(sample.sent)));
            operation.response.saturating_record(response);
        }
    }

    /// Records how late an operation was noticed.
    pub fn record_schedule_error(&mut self, late: Duration) {
        self.schedule_error.saturating_record(nanos(late));
    }

    /// Adds what another one recorded, of the same scenario.
    pub fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.queued += other.queued;
        for (failure, count) in &other.failures {
            *self.failures.entry(*failure).or_default() += count;
        }
        add(&mut self.response, &other.response);
        add(&mut self.service, &other.service);
        add(&mut self.lag, &other.lag);
        add(&mut self.schedule_error, &other.schedule_error);
        for (mine, theirs) in self.operations.iter_mut().zip(&other.operations) {
            mine.requests += theirs.requests;
            mine.errors += theirs.errors;
            add(&mut mine.response, &theirs.response);
        }
    }
}

/// Whether a request's latency counts.
pub fn is_timed(outcome: Result<(), Failure>) -> bool {
    matches!(outcome, Ok(()) | Err(Failure::Timeout))
}

/// A duration in whole nanoseconds.
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn add(mine: &mut Histogram<u64>, theirs: &Histogram<u64>) {
    mine.add(theirs).expect("all histograms have the same bounds");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(base: Instant, sent_ms: u64, end_ms: u64, outcome: Result<(), Failure>) -> Sample {
        let at = |ms| base + Duration::from_millis(ms);
        Sample {
            operation: 0,
            first: true,
            intended: base,
            sent: at(sent_ms),
            end: at(end_ms),
            outcome,
        }
    }

    fn close(histogram: &Histogram<u64>, quantile: f64, ms: u64) {
        let found = histogram.value_at_quantile(quantile);
        assert!(
            histogram.equivalent(found, ms * 1_000_000),
            "{found} ns is not {ms} ms"
        );
    }

    #[test]
    fn response_counts_from_the_intended_time_and_service_from_the_sent() {
        let mut recorder = Recorder::new(1);
        recorder.record(&sample(Instant::now(), 30, 40, Ok(())));
        close(&recorder.response, 1.0, 40);
        close(&recorder.service, 1.0, 10);
        close(&recorder.lag, 1.0, 30);
    }

    #[test]
    fn timeouts_are_timed_and_other_failures_are_not() {
        let mut recorder = Recorder::new(1);
        let base = Instant::now();
        recorder.record(&sample(base, 0, 1, Err(Failure::Status(500))));
        recorder.record(&sample(base, 0, 1, Err(Failure::Connect)));
        recorder.record(&sample(base, 0, 500, Err(Failure::Timeout)));
        assert_eq!(
            (recorder.requests, recorder.errors, recorder.response.len()),
            (3, 3, 1)
        );
        close(&recorder.response, 0.0, 500);
        assert_eq!(recorder.failures[&Failure::Status(500)], 1);
    }

    #[test]
    fn merging_is_the_same_as_recording_in_one() {
        let base = Instant::now();
        let (mut all, mut left, mut right) = (Recorder::new(1), Recorder::new(1), Recorder::new(1));
        for ms in 1..100 {
            let outcome = if ms % 10 == 0 { Err(Failure::Body) } else { Ok(()) };
            let sample = sample(base, ms / 2, ms, outcome);
            all.record(&sample);
            if ms % 2 == 0 {
                left.record(&sample)
            } else {
                right.record(&sample)
            }
        }
        left.merge(&right);
        assert_eq!(
            (left.requests, left.errors, &left.failures),
            (all.requests, all.errors, &all.failures)
        );
        assert_eq!(left.response, all.response);
        assert_eq!(left.service, all.service);
        assert_eq!(left.lag, all.lag);
    }

    #[test]
    fn memory_does_not_grow_with_the_run() {
        let mut histogram = histogram();
        let before = histogram.distinct_values();
        for value in 0..200_000u64 {
            histogram.saturating_record(mix_up(value));
        }
        assert_eq!(histogram.distinct_values(), before);
    }

    fn mix_up(value: u64) -> u64 {
        crate::schedule::mix(value, 1) >> 20
    }
}
