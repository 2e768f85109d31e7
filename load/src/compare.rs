//! Compare: the same load on several placements of the same modules, interleaved, with a verdict.
//!
//! Capacity of each (closed loop), then open-loop blocks in ABBA order at half the smaller capacity. A block starts
//! when the API says that the placement is in force, plus a warm-up. Whatever happens, the placement that was found at
//! the start is asked for again at the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use protocol::api::placement::{Mode, Placement};
use protocol::{EdgeName, Way};

use crate::api::Api;
use crate::blocks::{self, Block, Layout, Pace};
use crate::capacity;
use crate::generator::Generator;
use crate::lane;
use crate::meter::Meter;
use crate::open_loop;
use crate::progress::{Event, Sink};
use crate::report::{Comparison, Placement as Figures, Report, SCHEMA};
use crate::run::{Options, Prepared, check, prepare};
use crate::stop::{self, Stop};
use crate::tally::Tally;

/// What a change of placement may take.
const SWITCH_MAX: Duration = Duration::from_secs(60);
/// What the last change may take, when somebody waits for the prompt.
const RESTORE_MAX: Duration = Duration::from_secs(20);
/// Kept for the last answers, the restored placement and the report.
const RESERVE: Duration = Duration::from_secs(3);
/// Below this, half the capacity is no load.
const RATE_MIN: f64 = 1.0;

/// One placement to compare, under its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// `together`, `apart`, or what the user called it.
    pub name: String,
    /// What is asked for.
    pub placement: Placement,
}

/// A comparison.
#[derive(Debug, Clone)]
pub struct Compare {
    /// What every run needs.
    pub options: Options,
    /// The sides, the base first.
    pub sides: Vec<Side>,
    /// Requests a second; none given, half the smaller capacity.
    pub rate_per_s: Option<f64>,
    /// All the time that it may take.
    pub budget: Duration,
    /// How the time is spent.
    pub pace: Pace,
}

impl Side {
    /// A side from TOML: a `[placement]` section, as in `cleave.toml`, or its keys alone.
    pub fn parse(name: &str, toml: &str) -> Result<Self, String> {
        #[derive(serde::Deserialize)]
        struct File {
            placement: Placement,
            #[serde(default)]
            edge: BTreeMap<EdgeName, Way>,
        }
        let is_sectioned = toml
            .parse::<toml::Table>()
            .is_ok_and(|table| table.contains_key("placement"));
        let placement = if is_sectioned {
            toml::from_str::<File>(toml).map(|mut file| {
                file.placement.edges.extend(file.edge);
                file.placement
            })
        } else {
            toml::from_str::<Placement>(toml)
        };
        let placement =
            placement.map_err(|error| format!("`{name}` is not a placement: {}", error.message()))?;
        Ok(Self {
            name: name.to_owned(),
            placement,
        })
    }

    /// The same by a way that stands behind its name: `apart+uds+2ms`.
    pub fn by(self, suffix: &str) -> Result<Self, String> {
        let way = suffix.split('+').try_fold(Way::default(), Way::with)?;
        let way = way.or(self.placement.way());
        Ok(Self {
            name: format!("{}+{suffix}", self.name),
            placement: self.placement.by(way),
        })
    }
}

/// The name of a mode, as in `cleave.toml`.
pub fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Together => "together",
        Mode::Apart => "apart",
        Mode::Groups => "groups",
    }
}

/// What a side asks for: of replicas and edges that it does not name what was found, whichever side was before it.
fn asked(side: &Side, found: &Placement) -> Placement {
    let mut placement = side.placement.clone();
    if placement.replicas.is_empty() {
        placement.replicas = found.replicas.clone();
    }
    if placement.edges.is_empty() {
        placement.edges = found.edges.clone();
    }
    placement
}

/// Compares, restores the placement and reports.
pub async fn run(compare: &Compare, stop: &Stop, sink: &Sink) -> anyhow::Result<Report> {
    if compare.sides.len() < 2 {
        bail!("a comparison needs at least two placements");
    }
    let began = Instant::now();
    let mut api = Api::resolve(&compare.options.server)
        .await
        .context("find the API")?;
    let found = api.placement().await.context("read the placement")?.desired;
    let sampling = api.status().await.context("read the status")?.sampling;
    let operations = compare.options.scenario.operations.len();
    let mut run = Run {
        compare,
        prepared: prepare(&compare.options).await?,
        meter: Meter::new(api),
        asked: compare.sides.iter().map(|side| asked(side, &found)).collect(),
        stop,
        sink,
        lanes: lane::count(),
        in_force: None,
        switch: Duration::ZERO,
        tallies: compare
            .sides
            .iter()
            .map(|side| Tally::new(&side.name, operations))
            .collect(),
        notes: Vec::new(),
    };
    let measured = run.measure(began).await;
    let restored = run.restore(&found).await;
    let (rate_per_s, layout) = measured?;
    if let Err(error) = restored {
        run.notes.push(format!(
            "the placement found at the start could not be restored: {error:#}"
        ));
    }
    Ok(run.report(rate_per_s, layout, sampling))
}

/// A comparison under way.
struct Run<'c> {
    compare: &'c Compare,
    prepared: Prepared,
    meter: Meter,
    /// What each side asks for.
    asked: Vec<Placement>,
    stop: &'c Stop,
    sink: &'c Sink,
    lanes: usize,
    in_force: Option<usize>,
    /// The longest change of placement so far.
    switch: Duration,
    tallies: Vec<Tally>,
    notes: Vec<String>,
}

impl Run<'_> {
    async fn measure(&mut self, began: Instant) -> anyhow::Result<(f64, Layout)> {
        let sides = self.compare.sides.len();
        let rate_per_s = match self.compare.rate_per_s {
            Some(rate) => rate,
            None => self.capacities().await?,
        };
        let left = self
            .compare
            .budget
            .saturating_sub(began.elapsed() + self.switch + RESERVE);
        let layout = self.compare.pace.layout(left, self.switch, sides);
        if self.stop.is_stopped() {
            return Ok((rate_per_s, layout));
        }
        (self.sink)(&Event::Phase(format!(
            "{rate_per_s:.0} requests/s, {} rounds of {sides} blocks of {:.1} s",
            layout.rounds,
            layout.block.as_secs_f64()
        )));
        for block in blocks::order(layout.rounds, sides, self.compare.options.seed, self.in_force) {
            if !self.block(block, rate_per_s, layout).await? {
                break;
            }
        }
        Ok((rate_per_s, layout))
    }

    /// The closed loop of every side; gives half the smallest capacity.
    async fn capacities(&mut self) -> anyhow::Result<f64> {
        let pace = self.compare.pace;
        for side in 0..self.compare.sides.len() {
            if !self.place(side).await? {
                break;
            }
            let name = self.compare.sides[side].name.clone();
            let plan = capacity::Plan {
                work: Arc::clone(&self.prepared.work),
                seed: self.compare.options.seed,
                warmup: pace.capacity_warmup,
                duration: pace.capacity,
                users: self.compare.options.users,
                lanes: self.lanes,
                label: format!("{name}, closed loop"),
            };
            (self.sink)(&Event::Phase(format!(
                "{name}: capacity, closed loop of {} users",
                plan.users
            )));
            let outcome = capacity::run(&plan, &mut self.meter, self.stop, self.sink).await?;
            if self.stop.is_stopped() {
                break;
            }
            if outcome.per_s <= 0.0 {
                let failures: Vec<String> = outcome
                    .recorder
                    .failures
                    .keys()
                    .map(ToString::to_string)
                    .collect();
                bail!("`{name}` answered nothing as expected: {}", failures.join(", "));
            }
            self.tallies[side].add_capacity(&outcome, pace.capacity.as_secs_f64());
        }
        let capacities = self.tallies.iter().filter_map(|tally| tally.capacity);
        let smallest = capacities
            .map(|capacity| capacity.per_s)
            .fold(f64::INFINITY, f64::min);
        Ok(if smallest.is_finite() {
            (smallest / 2.0).max(RATE_MIN)
        } else {
            RATE_MIN
        })
    }

    /// Runs one block; false if the comparison is to end.
    async fn block(&mut self, block: Block, rate_per_s: f64, layout: Layout) -> anyhow::Result<bool> {
        let pace = self.compare.pace;
        let is_switch = self.in_force != Some(block.side);
        if !self.place(block.side).await? {
            return Ok(false);
        }
        let options = &self.compare.options;
        let plan = open_loop::Plan {
            work: Arc::clone(&self.prepared.work),
            seed: blocks::round_seed(options.seed, block.round),
            arrivals: options.arrivals,
            rate_per_s,
            warmup: if is_switch {
                pace.switch_warmup
            } else {
                pace.block_warmup
            },
            duration: layout.block,
            users_max: options.users,
            lanes: self.lanes,
            label: format!(
                "{}, round {} of {}",
                self.compare.sides[block.side].name,
                block.round + 1,
                layout.rounds
            ),
        };
        let outcome = open_loop::run(&plan, &mut self.meter, self.stop, self.sink).await?;
        self.tallies[block.side].add_block(&outcome, block.round);
        Ok(!self.stop.is_stopped())
    }

    /// Brings a side into force; false if `stop` came first.
    async fn place(&mut self, side: usize) -> anyhow::Result<bool> {
        if self.stop.is_stopped() {
            return Ok(false);
        }
        if self.in_force == Some(side) {
            return Ok(true);
        }
        let began = Instant::now();
        let (name, placement) = (&self.compare.sides[side].name, &self.asked[side]);
        let api = self.meter.api().expect("a comparison has an API");
        // Also while it is uncertain which placement is in force.
        self.in_force = None;
        let is_placed = api.place(placement, SWITCH_MAX, self.stop).await;
        if is_placed.with_context(|| format!("place the handlers `{name}`"))? {
            self.in_force = Some(side);
            self.switch = self.switch.max(began.elapsed());
        }
        Ok(self.in_force == Some(side))
    }

    async fn restore(&mut self, found: &Placement) -> anyhow::Result<()> {
        let is_in_force = self.in_force.is_some_and(|side| self.asked[side] == *found);
        if is_in_force {
            return Ok(());
        }
        (self.sink)(&Event::Phase(format!("restoring `{}`", mode_name(found.mode))));
        // The user's wish to end has ended the run; it must not end the restoring.
        let (_handle, never) = stop::channel();
        let api = self.meter.api().expect("a comparison has an API");
        api.place(found, RESTORE_MAX, &never).await.map(|_| ())
    }

    fn report(self, rate_per_s: f64, layout: Layout, sampling: String) -> Report {
        let options = &self.compare.options;
        let (base, others) = self
            .tallies
            .split_first()
            .expect("a comparison has at least two sides");
        let judge = |other: &Tally| Comparison::judge(base, other, options.seed);
        let comparisons: Vec<Comparison> = others.iter().map(judge).collect();
        let complete = self
            .tallies
            .iter()
            .map(|tally| tally.blocks.len())
            .min()
            .unwrap_or_default();
        let mut report = Report {
            schema: SCHEMA,
            scenario: options.scenario.name.clone(),
            target: options.target.clone(),
            rate_per_s,
            arrivals: options.arrivals.as_str(),
            seed: options.seed,
            rounds: complete,
            block_seconds: layout.block.as_secs_f64(),
            placements: self
                .tallies
                .iter()
                .map(|tally| Figures::new(tally, &self.prepared.operations))
                .collect(),
            comparisons,
            generator: Generator::assess(&self.tallies, self.lanes, options.users),
            sampling,
            machine: self.prepared.machine,
            thresholds: Vec::new(),
            interrupted: self.stop.is_stopped(),
            notes: self.notes,
        };
        report.notes.extend(doubts(&report));
        check(&mut report, &options.thresholds);
        report
    }
}

/// What makes a comparison less than it looks.
fn doubts(report: &Report) -> Vec<String> {
    let mut doubts = Vec::new();
    if report.rounds < crate::bootstrap::PAIRS_MIN {
        doubts.push(format!(
            "{} complete rounds are too few for an interval",
            report.rounds
        ));
    }
    let share = |placement: &Figures| placement.errors as f64 / (placement.requests.max(1)) as f64;
    for placement in &report.placements {
        if share(placement) > 0.01 {
            let percent = crate::format::percent(share(placement));
            doubts.push(format!(
                "{percent} of the requests to {} failed; their times are left out",
                placement.name
            ));
        }
        if placement.requests > 0 && placement.cpu_seconds_per_request.is_none() {
            doubts.push(format!(
                "CPU time of {} could not be read from /proc",
                placement.name
            ));
        }
    }
    doubts
}

#[cfg(test)]
mod tests;
