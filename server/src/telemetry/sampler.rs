//! `Sampler`: decides at the head of a trace, by a rate limit. An inbound sampled flag counts against the same limit.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use protocol::TraceContext;

use super::{new_span_id, new_trace_id};

/// How many traces are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampling {
    /// Every trace.
    All,
    /// None.
    Off,
    /// At most this many a second.
    PerSecond(u32),
}

impl Default for Sampling {
    fn default() -> Self {
        Self::PerSecond(100)
    }
}

impl fmt::Display for Sampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Off => f.write_str("off"),
            Self::PerSecond(rate) => write!(f, "{rate}/s"),
        }
    }
}

impl FromStr for Sampling {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            "off" => Ok(Self::Off),
            rate => rate
                .strip_suffix("/s")
                .and_then(|rate| rate.parse().ok())
                .filter(|rate| *rate > 0)
                .map(Self::PerSecond)
                .ok_or_else(|| {
                    format!("`{text}` is no sampling mode: write `all`, `off` or a rate such as `100/s`")
                }),
        }
    }
}

/// Decides for each trace whether its spans are recorded.
#[derive(Debug)]
pub struct Sampler {
    mode: Sampling,
    start: Instant,
    /// The second since `start` in the upper half, the traces sampled in it in the lower one.
    window: AtomicU64,
}

impl Sampler {
    /// A sampler of a mode.
    pub fn new(mode: Sampling) -> Self {
        Self {
            mode,
            start: Instant::now(),
            window: AtomicU64::new(0),
        }
    }

    /// The mode.
    pub fn mode(&self) -> Sampling {
        self.mode
    }

    /// The context of a trace that begins here, or continues `inbound`. A new trace's span id is for its root span; an
    /// inbound one's stays, as the parent of the root here.
    pub fn head(&self, inbound: Option<TraceContext>) -> TraceContext {
        let wanted = inbound.is_none_or(|context| context.sampled);
        let sampled = wanted && self.admit();
        match inbound {
            Some(context) => TraceContext { sampled, ..context },
            None => TraceContext {
                trace_id: new_trace_id(),
                span_id: new_span_id(),
                sampled,
            },
        }
    }

    /// The context of a trace that a person asked for: recorded unless sampling is off.
    pub fn head_by_hand(&self) -> TraceContext {
        let sampled = self.mode != Sampling::Off;
        TraceContext {
            trace_id: new_trace_id(),
            span_id: new_span_id(),
            sampled,
        }
    }

    fn admit(&self) -> bool {
        match self.mode {
            Sampling::All => true,
            Sampling::Off => false,
            Sampling::PerSecond(rate) => self.admit_within(rate, self.start.elapsed().as_secs()),
        }
    }

    fn admit_within(&self, rate: u32, second: u64) -> bool {
        let admitted = self
            .window
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |window| {
                let taken = if window >> 32 == second {
                    window & 0xffff_ffff
                } else {
                    0
                };
                (taken < u64::from(rate)).then_some(second << 32 | (taken + 1))
            });
        admitted.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_and_written_alike() {
        for text in ["all", "off", "100/s", "1/s"] {
            assert_eq!(text.parse::<Sampling>().unwrap().to_string(), text);
        }
        for bad in ["", "some", "0/s", "-1/s", "100"] {
            assert!(bad.parse::<Sampling>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_rate_admits_no_more_in_a_second() {
        let sampler = Sampler::new(Sampling::PerSecond(3));
        let admitted = (0..10).filter(|_| sampler.admit_within(3, 5)).count();
        assert_eq!(admitted, 3);
        assert!(sampler.admit_within(3, 6));
    }

    #[test]
    fn an_inbound_flag_counts_against_the_limit_and_no_flag_is_respected() {
        let sampler = Sampler::new(Sampling::All);
        let inbound = sampler.head(None);
        assert!(inbound.sampled);
        assert!(sampler.head(Some(inbound)).sampled);
        assert!(
            !sampler
                .head(Some(TraceContext {
                    sampled: false,
                    ..inbound
                }))
                .sampled
        );
        assert!(!Sampler::new(Sampling::Off).head(Some(inbound)).sampled);
    }
}
