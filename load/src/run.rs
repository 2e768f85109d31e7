//! Run: one open-loop run against one target. If a Cleave answers at the API's address, its CPU and bytes are told too.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use crate::api::Api;
use crate::client::Target;
use crate::generator::Generator;
use crate::lane;
use crate::machine::Machine;
use crate::meter::Meter;
use crate::open_loop::{self, Plan};
use crate::progress::{Event, Sink};
use crate::report::{Placement, Report, SCHEMA};
use crate::scenario::Scenario;
use crate::schedule::Arrivals;
use crate::stop::Stop;
use crate::tally::Tally;
use crate::threshold::Threshold;
use crate::values::Values;
use crate::worker::Work;

/// What every kind of run needs to know.
#[derive(Debug, Clone)]
pub struct Options {
    /// The target's URL.
    pub target: String,
    /// The URL of Cleave's API.
    pub server: String,
    /// What is sent.
    pub scenario: Scenario,
    /// How arrivals are spaced.
    pub arrivals: Arrivals,
    /// Virtual users, and so connections and requests in flight, at most.
    pub users: usize,
    /// Decides schedule, order and resampling.
    pub seed: u64,
    /// What must hold.
    pub thresholds: Vec<Threshold>,
}

/// The default of [`Options::users`].
pub const USERS: usize = 64;

/// What remains unknown when the target is not served by a Cleave that answers.
pub(crate) const UNKNOWN: &str = "unknown";

/// Runs for `warmup`, then `duration`, at `rate_per_s`; ends early at `stop`, with a report of what ran.
pub async fn run(
    options: &Options,
    rate_per_s: f64,
    warmup: Duration,
    duration: Duration,
    stop: &Stop,
    sink: &Sink,
) -> anyhow::Result<Report> {
    let prepared = prepare(options).await?;
    let mut notes = Vec::new();
    let mut meter = match Api::resolve(&options.server).await {
        Ok(api) => Meter::new(api),
        Err(_) => Meter::blind(),
    };
    let (name, sampling) = match about(&mut meter).await {
        Some(about) => about,
        None => {
            notes.push(format!(
                "no Cleave answers at {}: CPU and bytes are unknown",
                options.server
            ));
            meter = Meter::blind();
            ("target".to_owned(), UNKNOWN.to_owned())
        }
    };
    let text = format!(
        "{} · {rate_per_s:.0} requests/s for {}",
        name,
        humantime::format_duration(duration)
    );
    sink(&Event::Phase(text));
    let lanes = lane::count();
    let plan = Plan {
        work: Arc::clone(&prepared.work),
        seed: options.seed,
        arrivals: options.arrivals,
        rate_per_s,
        warmup,
        duration,
        users_max: options.users,
        lanes,
        label: name.clone(),
    };
    let outcome = open_loop::run(&plan, &mut meter, stop, sink).await?;
    let mut tally = Tally::new(&name, options.scenario.operations.len());
    tally.add_block(&outcome, 0);
    let placement = Placement::new(&tally, &prepared.operations);
    let achieved = placement.answered_per_s;
    if !outcome.interrupted && achieved < rate_per_s * 0.9 && placement.requests > placement.errors {
        notes.push(format!(
            "{achieved:.0} of {rate_per_s:.0} requests/s were answered: above the target's capacity"
        ));
    }
    let mut report = Report {
        schema: SCHEMA,
        scenario: options.scenario.name.clone(),
        target: options.target.clone(),
        rate_per_s,
        arrivals: options.arrivals.as_str(),
        seed: options.seed,
        rounds: 0,
        block_seconds: outcome.seconds,
        placements: vec![placement],
        comparisons: Vec::new(),
        generator: Generator::assess(std::slice::from_ref(&tally), lanes, options.users),
        sampling,
        machine: prepared.machine,
        thresholds: Vec::new(),
        interrupted: outcome.interrupted,
        notes,
    };
    check(&mut report, &options.thresholds);
    Ok(report)
}

/// What is ready before the first request is timed.
pub(crate) struct Prepared {
    pub(crate) work: Arc<Work>,
    pub(crate) operations: Vec<String>,
    pub(crate) machine: Machine,
}

/// Looks at the machine before anything loads it, resolves the target and reads its pages for variables.
pub(crate) async fn prepare(options: &Options) -> anyhow::Result<Prepared> {
    let target = Target::resolve(&options.target)
        .await
        .context("find the target")?;
    let machine = Machine::look(target.is_loopback());
    let values = Values::load(&options.scenario, &target).await?;
    let operations = options
        .scenario
        .operations
        .iter()
        .map(|operation| operation.name.clone())
        .collect();
    let scenario = Arc::new(options.scenario.clone());
    Ok(Prepared {
        work: Arc::new(Work {
            target,
            scenario,
            values: Arc::new(values),
        }),
        operations,
        machine,
    })
}

/// The placement in force and the sampling mode; none if no Cleave answers.
async fn about(meter: &mut Meter) -> Option<(String, String)> {
    let api = meter.api()?;
    let status = api.status().await.ok()?;
    let placement = api.placement().await.ok()?;
    Some((
        crate::compare::mode_name(placement.actual.mode).to_owned(),
        status.sampling,
    ))
}

/// Checks the thresholds. One that names a placement that did not run does not hold.
pub(crate) fn check(report: &mut Report, thresholds: &[Threshold]) {
    for threshold in thresholds {
        let checked = threshold.check(&report.placements);
        if checked.is_empty() {
            report.thresholds.push(threshold.unmet());
        }
        report.thresholds.extend(checked);
    }
}

#[cfg(test)]
mod tests;
