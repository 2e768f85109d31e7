//! Progress: what is told while a run goes on, and the one-second window that it is told from.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::format;
use crate::recorder::{Sample, histogram, is_timed, nanos};

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A new phase, in words.
    Phase(String),
    /// The last second.
    Second(Second),
}

/// The requests of the last second.
#[derive(Debug, Clone, PartialEq)]
pub struct Second {
    /// What is running, as "apart, round 2 of 6".
    pub label: String,
    /// Since the start of the run or block, warm-up included.
    pub elapsed: Duration,
    /// Whether it is still the warm-up.
    pub is_warmup: bool,
    /// Requests that ended.
    pub requests: u64,
    /// Those that failed.
    pub errors: u64,
    /// Median response time, in ns.
    pub p50_ns: u64,
    /// 99th percentile, in ns.
    pub p99_ns: u64,
}

impl fmt::Display for Event {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Phase(text) => out.write_str(text),
            Self::Second(second) => {
                let warmup = if second.is_warmup { " (warm-up)" } else { "" };
                write!(
                    out,
                    "  {:>4} s  {:>8}/s  p50 {:>9}  p99 {:>9}  errors {:>4}  {}{warmup}",
                    second.elapsed.as_secs(),
                    format::count(second.requests),
                    format::nanos(second.p50_ns),
                    format::nanos(second.p99_ns),
                    format::count(second.errors),
                    second.label,
                )
            }
        }
    }
}

/// Takes events; called from one task at a time and expected to return at once.
pub type Sink = Arc<dyn Fn(&Event) + Send + Sync>;

/// The window that lanes write and the reporter empties each second.
#[derive(Debug, Clone)]
pub struct Window(Arc<Mutex<Interval>>);

#[derive(Debug)]
struct Interval {
    requests: u64,
    errors: u64,
    response: Histogram<u64>,
}

impl Default for Window {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Interval {
            requests: 0,
            errors: 0,
            response: histogram(),
        })))
    }
}

impl Window {
    /// Adds one request.
    pub fn record(&self, sample: &Sample) {
        let mut interval = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        interval.requests += 1;
        interval.errors += u64::from(sample.outcome.is_err());
        if is_timed(sample.outcome) {
            interval
                .response
                .saturating_record(nanos(sample.end.saturating_duration_since(sample.intended)));
        }
    }

    /// Empties the window.
    pub fn take(&self, label: &str, elapsed: Duration, is_warmup: bool) -> Second {
        let mut interval = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let second = Second {
            label: label.to_owned(),
            elapsed,
            is_warmup,
            requests: interval.requests,
            errors: interval.errors,
            p50_ns: interval.response.value_at_quantile(0.5),
            p99_ns: interval.response.value_at_quantile(0.99),
        };
        interval.requests = 0;
        interval.errors = 0;
        interval.response.reset();
        second
    }
}
