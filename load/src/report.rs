//! Report: everything that a run found, ready to be written as JSON (schema 1), text or one HTML file.
//!
//! The JSON is a promise: fields are added, never renamed. What was not measured is `null`, never 0.

pub mod html;
pub mod text;

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::format;
use crate::generator::Generator;
use crate::machine::Machine;
use crate::tally::{BlockFigures, Tally, pairs};
use crate::threshold::Checked;
use crate::verdict::{Answer, Difference};

/// The version of the JSON.
pub const SCHEMA: u32 = 1;

/// The report of one run or comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The version of this JSON.
    pub schema: u32,
    /// What was sent.
    pub scenario: String,
    /// Where to.
    pub target: String,
    /// Requests a second that the schedule asked for.
    pub rate_per_s: f64,
    /// How they were spaced.
    pub arrivals: &'static str,
    /// Decides schedule, order and resampling.
    pub seed: u64,
    /// Rounds of a comparison that ran; 0 for a plain run.
    pub rounds: usize,
    /// Recorded seconds of each block.
    pub block_seconds: f64,
    /// The placements, the base first.
    #[serde(serialize_with = "as_map")]
    pub placements: Vec<Placement>,
    /// Each other placement against the base.
    pub comparisons: Vec<Comparison>,
    /// The generator itself.
    pub generator: Generator,
    /// The server's sampling of traces, or `unknown`.
    pub sampling: String,
    /// Where all this ran.
    pub machine: Machine,
    /// The thresholds, and whether they held.
    pub thresholds: Vec<Checked>,
    /// Whether it was ended early.
    pub interrupted: bool,
    /// What a reader should know before trusting the numbers.
    pub notes: Vec<String>,
}

/// One placement's figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Placement {
    /// Its name: the key in the JSON.
    #[serde(skip)]
    pub name: String,
    /// Requests that ended, failed ones included.
    pub requests: u64,
    /// Requests that failed.
    pub errors: u64,
    /// The failures: `status 500`, `timeout`, `connect`, `broken`, `body`.
    pub errors_by_kind: BTreeMap<String, u64>,
    /// Requests answered as expected, a second, in the open loop.
    pub answered_per_s: f64,
    /// The most that a closed loop got through.
    pub capacity_per_s: Option<f64>,
    /// From the intended send time; errors left out, timeouts not.
    pub latency_ns: Latency,
    /// From the actual send time.
    pub service_ns: Latency,
    /// From the intended to the actual send time, waiting for a free user included.
    pub lag_ns: Latency,
    /// CPU time of home and its children, the generator excluded.
    pub cpu_seconds_per_request: Option<f64>,
    /// UDP payload over QUIC, both ways.
    pub bytes_per_request: Option<f64>,
    /// Instances that a request had to wait for.
    pub cold_starts: Option<u64>,
    /// What making one took, of the slowest handler's median, in ns.
    pub start_p50_ns: Option<u64>,
    /// Memory of home and its children.
    pub memory_bytes: Option<u64>,
    /// Home and its children.
    pub processes: Option<usize>,
    /// By operation.
    pub operations: Vec<OperationFigures>,
    /// Pairs of quantile and response time, in ns, for a percentile chart.
    pub curve: Vec<(f64, u64)>,
    /// The blocks of a comparison.
    pub blocks: Vec<Block>,
}

/// Percentiles, in ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Latency {
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p99_9: u64,
    pub max: u64,
}

/// One operation's figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OperationFigures {
    /// Its name.
    pub name: String,
    /// Requests of its steps.
    pub requests: u64,
    /// Those that failed.
    pub errors: u64,
    /// From the intended send time.
    pub latency_ns: Latency,
}

/// One block.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Block {
    /// Its round, from 0.
    pub round: usize,
    /// Its requests.
    pub requests: u64,
    /// Those that failed.
    pub errors: u64,
    /// Median response time.
    pub p50_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
    /// CPU time for each request.
    pub cpu_seconds_per_request: Option<f64>,
}

/// One placement against the base.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The base: A.
    pub base: String,
    /// The other: B.
    pub other: String,
    /// The quantities that were judged.
    pub differences: Vec<Judged>,
}

/// One quantity, judged over the rounds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// `p50`, `p90`, `p99` (ns) or `cpu_per_request` (seconds).
    pub quantity: &'static str,
    /// The base's mean over the rounds.
    pub base: f64,
    /// The other's.
    pub other: f64,
    /// Other − base.
    pub difference: Option<f64>,
    /// Its 95 % confidence interval.
    pub interval: Option<(f64, f64)>,
    /// Other over base, with its interval.
    pub ratio: Option<(f64, f64, f64)>,
    /// `<base> better`, `<other> better`, `equivalent` or `inconclusive`.
    pub answer: String,
    /// With `inconclusive`: rounds that would likely settle it.
    pub rounds_needed: Option<usize>,
}

impl Placement {
    /// The figures of a tally; `operations` are the names of the scenario's.
    pub fn new(tally: &Tally, operations: &[String]) -> Self {
        let recorder = &tally.recorder;
        let requests = recorder.requests as f64;
        let each = |sum: Option<f64>| sum.filter(|_| recorder.requests > 0).map(|sum| sum / requests);
        let mut errors_by_kind = BTreeMap::new();
        for (failure, count) in &recorder.failures {
            let kind = match failure {
                crate::client::Failure::Status(status) => format!("status {status}"),
                other => other.kind().to_owned(),
            };
            errors_by_kind.insert(kind, *count);
        }
        let answered = (recorder.requests - recorder.errors) as f64;
        Self {
            name: tally.name.clone(),
            requests: recorder.requests,
            errors: recorder.errors,
            errors_by_kind,
            answered_per_s: if tally.seconds > 0.0 {
                answered / tally.seconds
            } else {
                0.0
            },
            capacity_per_s: tally.capacity.map(|capacity| capacity.per_s),
            latency_ns: Latency::of(&recorder.response),
            service_ns: Latency::of(&recorder.service),
            lag_ns: Latency::of(&recorder.lag),
            cpu_seconds_per_request: each(tally.cpu_seconds),
            bytes_per_request: each(tally.bytes.map(|bytes| bytes as f64)),
            cold_starts: tally.cold_starts,
            start_p50_ns: tally.start_p50_us.map(|us| us.saturating_mul(1_000)),
            memory_bytes: tally.memory_bytes,
            processes: tally.processes,
            operations: operations
                .iter()
                .zip(&recorder.operations)
                .map(OperationFigures::of)
                .collect(),
            curve: curve(&recorder.response),
            blocks: tally.blocks.iter().map(Block::of).collect(),
        }
    }
}

impl Latency {
    /// The percentiles of a histogram; all 0 where it is empty.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile);
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: histogram.max(),
        }
    }
}

impl OperationFigures {
    fn of((name, record): (&String, &crate::recorder::OperationRecord)) -> Self {
        let latency_ns = Latency::of(&record.response);
        Self {
            name: name.clone(),
            requests: record.requests,
            errors: record.errors,
            latency_ns,
        }
    }
}

impl Block {
    fn of(figures: &BlockFigures) -> Self {
        Self {
            round: figures.round,
            requests: figures.requests,
            errors: figures.errors,
            p50_ns: figures.p50_ns,
            p99_ns: figures.p99_ns,
            cpu_seconds_per_request: figures.cpu_seconds_per_request,
        }
    }
}

impl Comparison {
    /// Judges the other against the base, over the rounds that both ran.
    pub fn judge(base: &Tally, other: &Tally, seed: u64) -> Self {
        type Figure = fn(&BlockFigures) -> Option<f64>;
        let figures: [(&'static str, Figure); 4] = [
            ("p50", |block| Some(block.p50_ns as f64)),
            ("p90", |block| Some(block.p90_ns as f64)),
            ("p99", |block| Some(block.p99_ns as f64)),
            ("cpu_per_request", |block| block.cpu_seconds_per_request),
        ];
        let judged = figures.iter().filter_map(|(quantity, figure)| {
            let pairs = pairs(base, other, figure);
            if pairs.is_empty() {
                return None;
            }
            let difference = Difference::judge(&pairs, seed);
            let rounds_needed = match difference.answer {
                Answer::Inconclusive { rounds } => rounds,
                _ => None,
            };
            Some(Judged {
                quantity,
                base: difference.base,
                other: difference.other,
                difference: difference.interval.map(|interval| interval.estimate),
                interval: difference.interval.map(|interval| (interval.low, interval.high)),
                ratio: difference.ratio(),
                answer: difference.answer.words(&base.name, &other.name),
                rounds_needed,
            })
        });
        Self {
            base: base.name.clone(),
            other: other.name.clone(),
            differences: judged.collect(),
        }
    }

    /// The judgement of one quantity.
    pub fn of(&self, quantity: &str) -> Option<&Judged> {
        self.differences.iter().find(|judged| judged.quantity == quantity)
    }

    /// The whole comparison in one sentence.
    pub fn headline(&self) -> String {
        let cpu = self.of("cpu_per_request").map(|cpu| match cpu.ratio {
            Some((ratio, ..)) if cpu.answer == self.base_better() => {
                format!("costs {} × the CPU", format::significant(ratio))
            }
            Some((ratio, ..)) if cpu.answer == self.other_better() => {
                format!("saves {} of the CPU", format::percent(1.0 - ratio))
            }
            _ if cpu.answer == "equivalent" => "costs the same CPU".to_owned(),
            _ => "leaves the CPU undecided".to_owned(),
        });
        let p99 = self.of("p99").map(|p99| match p99.difference {
            Some(more) if p99.answer == self.base_better() => {
                format!("adds {} at p99", format::nanos_f64(more))
            }
            Some(less) if p99.answer == self.other_better() => {
                format!("takes {} off p99", format::nanos_f64(-less))
            }
            _ if p99.answer == "equivalent" => "has the same p99".to_owned(),
            _ => "leaves p99 undecided".to_owned(),
        });
        let parts: Vec<String> = cpu.into_iter().chain(p99).collect();
        if parts.is_empty() {
            return format!("{} against {}: too little ran to compare", self.other, self.base);
        }
        format!("{} {}", self.other, parts.join(" and "))
    }

    fn base_better(&self) -> String {
        Answer::Base.words(&self.base, &self.other)
    }

    fn other_better(&self) -> String {
        Answer::Other.words(&self.base, &self.other)
    }
}

impl Report {
    /// Pretty JSON with a newline at its end.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a report is plain data");
        text.push('\n');
        text
    }

    /// 0 ok · 1 failed · 3 threshold · 4 generator-limited. Nothing that a limited generator measured can be held
    /// against a threshold, so 4 goes before 3.
    pub fn exit_code(&self) -> u8 {
        let is_dead = self
            .placements
            .iter()
            .any(|placement| placement.requests == placement.errors);
        if is_dead && !self.interrupted {
            1
        } else if self.generator.limited {
            4
        } else if self.thresholds.iter().any(|threshold| !threshold.held) {
            3
        } else {
            0
        }
    }
}

/// 120 points from the median outwards, as far as there are requests to speak of.
fn curve(histogram: &Histogram<u64>) -> Vec<(f64, u64)> {
    const POINTS: u32 = 120;
    if histogram.is_empty() {
        return Vec::new();
    }
    let median = 2f64.log10();
    let last = (histogram.len() as f64).log10().clamp(median, 4.0);
    (0..=POINTS)
        .map(|point| {
            let nines = median + (last - median) * f64::from(point) / f64::from(POINTS);
            let quantile = 1.0 - 10f64.powf(-nines);
            (
                (quantile * 1e6).round() / 1e6,
                histogram.value_at_quantile(quantile),
            )
        })
        .collect()
}

fn as_map<S: Serializer>(placements: &[Placement], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(placements.len()))?;
    for placement in placements {
        map.serialize_entry(&placement.name, placement)?;
    }
    map.end()
}

#[cfg(test)]
pub(crate) mod tests;
