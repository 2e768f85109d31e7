//! Tally: what one placement's blocks add up to, and each block's own figures for the paired comparison.

use crate::capacity;
use crate::open_loop;
use crate::recorder::Recorder;

/// The sums of one placement.
#[derive(Debug, Clone)]
pub struct Tally {
    /// The placement's name.
    pub name: String,
    /// All recorded requests.
    pub recorder: Recorder,
    /// The closed loop, if it ran.
    pub capacity: Option<Capacity>,
    /// Seconds recorded.
    pub seconds: f64,
    /// CPU time of the server; none as soon as one block could not read it.
    pub cpu_seconds: Option<f64>,
    /// Bytes over QUIC; likewise.
    pub bytes: Option<u64>,
    /// Instances that a request had to wait for; likewise.
    pub cold_starts: Option<u64>,
    /// The longest median of making one, in µs.
    pub start_p50_us: Option<u64>,
    /// CPU time of the generator.
    pub generator_cpu_seconds: Option<f64>,
    /// The most memory at the end of a block.
    pub memory_bytes: Option<u64>,
    /// The most processes at the end of a block.
    pub processes: Option<usize>,
    /// The blocks, in the order in which they ran.
    pub blocks: Vec<BlockFigures>,
}

/// The closed loop's result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capacity {
    /// Requests a second.
    pub per_s: f64,
    /// Users that sent them.
    pub users: usize,
    /// Cores that the generator used meanwhile; near its threads, the capacity is the generator's.
    pub generator_cores: Option<f64>,
}

/// One block's figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BlockFigures {
    /// Its round.
    pub round: usize,
    /// Requests.
    pub requests: u64,
    /// Requests that failed.
    pub errors: u64,
    /// Median response time, in ns.
    pub p50_ns: u64,
    /// 90th percentile.
    pub p90_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
    /// CPU time of the server, for each request.
    pub cpu_seconds_per_request: Option<f64>,
}

impl Tally {
    /// Empty.
    pub fn new(name: &str, operations: usize) -> Self {
        Self {
            name: name.to_owned(),
            recorder: Recorder::new(operations),
            capacity: None,
            seconds: 0.0,
            cpu_seconds: Some(0.0),
            bytes: Some(0),
            cold_starts: Some(0),
            start_p50_us: None,
            generator_cpu_seconds: Some(0.0),
            memory_bytes: None,
            processes: None,
            blocks: Vec::new(),
        }
    }

    /// Notes the closed loop.
    pub fn add_capacity(&mut self, outcome: &capacity::Outcome, seconds: f64) {
        let generator = outcome.after.generator_cpu_seconds_since(&outcome.before);
        let generator_cores = generator.filter(|_| seconds > 0.0).map(|cpu| cpu / seconds);
        self.capacity = Some(Capacity {
            per_s: outcome.per_s,
            users: outcome.users,
            generator_cores,
        });
    }

    /// Adds an open-loop block. One that was ended early counts in the sums and not among the rounds.
    pub fn add_block(&mut self, outcome: &open_loop::Outcome, round: usize) {
        let recorder = &outcome.recorder;
        let cpu = outcome.after.cpu_seconds_since(&outcome.before);
        let bytes = outcome.after.bytes_since(&outcome.before);
        let generator = outcome.after.generator_cpu_seconds_since(&outcome.before);
        self.seconds += outcome.seconds;
        self.cpu_seconds = self.cpu_seconds.zip(cpu).map(|(sum, block)| sum + block);
        self.bytes = self.bytes.zip(bytes).map(|(sum, block)| sum + block);
        let cold = outcome.after.cold_since(&outcome.before);
        self.cold_starts = self.cold_starts.zip(cold).map(|(sum, block)| sum + block);
        self.start_p50_us = self.start_p50_us.max(outcome.after.cold.map(|(_, us)| us));
        self.generator_cpu_seconds = self
            .generator_cpu_seconds
            .zip(generator)
            .map(|(sum, block)| sum + block);
        if let Some(memory) = outcome.after.memory {
            self.memory_bytes = self.memory_bytes.max(Some(memory.bytes));
            self.processes = self.processes.max(Some(memory.processes));
        }
        self.recorder.merge(recorder);
        if !outcome.interrupted && !recorder.response.is_empty() {
            self.blocks.push(BlockFigures {
                round,
                requests: recorder.requests,
                errors: recorder.errors,
                p50_ns: recorder.response.value_at_quantile(0.5),
                p90_ns: recorder.response.value_at_quantile(0.9),
                p99_ns: recorder.response.value_at_quantile(0.99),
                cpu_seconds_per_request: cpu.map(|cpu| cpu / recorder.requests as f64),
            });
        }
    }
}

/// The rounds that both ran to their end, as pairs of one figure.
pub fn pairs(base: &Tally, other: &Tally, figure: impl Fn(&BlockFigures) -> Option<f64>) -> Vec<(f64, f64)> {
    let of_round = |tally: &Tally, round| {
        tally
            .blocks
            .iter()
            .find(|block| block.round == round)
            .and_then(&figure)
    };
    base.blocks
        .iter()
        .filter_map(|block| Some((figure(block)?, of_round(other, block.round)?)))
        .collect()
}
