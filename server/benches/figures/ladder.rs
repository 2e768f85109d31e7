//! The ladder: what one and the same call costs by each rung, all in one run and in turns.
//!
//! An echo of 200 bytes: handed over within the process, through the bytes of the wire, over a Unix socket, over TCP with
//! TLS, over QUIC, and over QUIC with a way that takes 1 ms. Both ends are in this process, so that its CPU time is that of
//! both. A row is a rung's ratio to plain QUIC. No bound is set: the rungs are there to be compared.

use std::sync::Arc;

use protocol::{Rung, Way};

use crate::table::{Bound, Row, quantile, rounded};
use crate::wire::ours::Ours;
use crate::wire::{calls_per_cpu_second, round_trip_us};

/// Turns of each rung.
const TURNS: usize = 5;
/// Calls of a turn with one at a time.
const CALLS_ALONE: usize = 1_000;
/// What the others are compared with.
const QUIC: usize = 4;

/// A rung with the names of its rows.
struct Step {
    ours: Arc<Ours>,
    words: &'static str,
    p50: &'static str,
    cpu: &'static str,
    p50_us: Vec<f64>,
    cpu_us: Vec<f64>,
}

/// All rows of `ladder`.
pub fn rows(executor: &tokio::runtime::Runtime) -> Vec<Row> {
    let shaped = Way::default().with("1ms").expect("a delay");
    let nodes = executor.block_on(Ours::start());
    let step = |rung: Rung, way: Way, (words, p50, cpu)| {
        let way = Way {
            transport: Some(rung),
            ..way
        };
        Step {
            ours: Arc::new(executor.block_on(nodes.by(way))),
            words,
            p50,
            cpu,
            p50_us: Vec::new(),
            cpu_us: Vec::new(),
        }
    };
    let plain = Way::default();
    let mut steps = [
        step(
            Rung::Direct,
            plain,
            ("direct", "ladder_direct_p50", "ladder_direct_cpu"),
        ),
        step(
            Rung::Codec,
            plain,
            ("codec", "ladder_codec_p50", "ladder_codec_cpu"),
        ),
        step(Rung::Uds, plain, ("uds", "ladder_uds_p50", "ladder_uds_cpu")),
        step(Rung::Tcp, plain, ("tcp", "ladder_tcp_p50", "ladder_tcp_cpu")),
        step(Rung::Quic, plain, ("quic", "ladder_quic_p50", "ladder_quic_cpu")),
        step(
            Rung::Quic,
            shaped,
            ("quic+1ms", "ladder_quic_1ms_p50", "ladder_quic_1ms_cpu"),
        ),
    ];
    for turn in 0..=TURNS {
        for step in &mut steps {
            let p50_us = round_trip_us(executor, &step.ours, CALLS_ALONE);
            let cpu_us = 1e6 / calls_per_cpu_second(executor, &step.ours);
            // The first turn warms up.
            if turn > 0 {
                step.p50_us.push(p50_us);
                step.cpu_us.push(cpu_us);
            }
        }
    }
    rows_of(&steps)
}

/// Each rung against plain QUIC.
fn rows_of(steps: &[Step]) -> Vec<Row> {
    let base = (
        quantile(&steps[QUIC].p50_us, 0.5),
        quantile(&steps[QUIC].cpu_us, 0.5),
    );
    let rows = steps.iter().flat_map(|step| {
        let row = |name, values: &[f64], base: f64, what: &str| {
            let value = quantile(values, 0.5);
            Row {
                name,
                value: value / base,
                must: Bound::Told,
                aim: f64::NAN,
                detail: format!(
                    "{}: {} µs {what}; quic {} µs",
                    step.words,
                    rounded(value),
                    rounded(base)
                ),
            }
        };
        [
            row(step.p50, &step.p50_us, base.0, "round trip, one in flight"),
            row(step.cpu, &step.cpu_us, base.1, "of CPU a call, 64 in flight"),
        ]
    });
    rows.collect()
}
