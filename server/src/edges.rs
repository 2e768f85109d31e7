//! What every call along an edge (caller handler → callee interface) came to, sampled or not: counts, bytes, latency.
//!
//! Recording is on the path of every call: it takes no lock, allocates nothing and reads no clock once the caller
//! holds its [`EdgeCell`]. Counters only grow. A child ships [`Edges::figures`], whole since its start; home merges
//! them, and what a node counted stays when it restarts or ends. Rates are those of the last ten seconds.
//!
//! `history` keeps the last hour, `bill` says what calls are made of. Queues on edges are not here: who shows an edge adds
//! them.

pub mod bill;
mod cell;
mod histogram;
mod history;
mod merged;
mod rate;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use protocol::api::edges::Edge;
use protocol::api::history::{History as PastHour, Placed};
use protocol::api::nodes::Node;
use protocol::api::placement::PlacementStatus;
use protocol::control::EdgeFigures;
use protocol::{HandlerName, InterfaceName, NodeName, Transport, edge_name};
use rustc_hash::FxHashMap;

use crate::clock::Clock;
use crate::shutdown::Tasks;

pub use cell::EdgeCell;
use history::History;
use merged::Merged;

/// The most edges that are counted: fifty handlers that each call eighty interfaces. Calls along further ones go
/// uncounted, and a warning says so once.
pub const EDGES_MAX: usize = 4_096;

/// How often the rates take a look at the counters.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// Which edge.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EdgeKey {
    /// Who calls.
    pub caller: HandlerName,
    /// Who serves.
    pub callee: HandlerName,
    /// The interface that is called.
    pub interface: InterfaceName,
}

impl EdgeKey {
    /// As spans name it: `checkout -> shop:email/email`.
    pub fn name(&self) -> String {
        edge_name(&self.caller, &self.interface)
    }
}

/// How a call ended, as the edge counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With a value.
    Ok,
    /// With the callee's own `err`.
    Err,
    /// It failed.
    Failed,
}

/// Latencies in ns with their counts, ascending; each stands for those that are at most 1.6 % off.
pub type Latencies = Vec<(u64, u64)>;

/// One call that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The way it went.
    pub transport: Transport,
    /// How it ended.
    pub outcome: Outcome,
    /// As the caller saw it.
    pub latency_ns: u64,
    /// Arguments, in bytes.
    pub bytes_in: u64,
    /// The result, in bytes.
    pub bytes_out: u64,
}

/// The counters of a node's edges, and at home of every node's.
#[derive(Debug)]
pub struct Edges {
    clock: Clock,
    cells: RwLock<FxHashMap<EdgeKey, Arc<EdgeCell>>>,
    merged: Mutex<Merged>,
    history: Mutex<History>,
    is_full: AtomicBool,
}

impl Edges {
    /// Nothing counted yet.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            cells: RwLock::default(),
            merged: Mutex::default(),
            history: Mutex::default(),
            is_full: AtomicBool::new(false),
        }
    }

    /// Keeps the rates up to date. Only who asks for [`Edges::snapshot`] needs it: home.
    pub fn start(self: &Arc<Self>, tasks: &Tasks) {
        let edges = Arc::clone(self);
        let token = tasks.token();
        tasks.spawn("edges", async move {
            let mut ticks = tokio::time::interval(SAMPLE_EVERY);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    biased;
                    () = token.cancelled() => break,
                    _ = ticks.tick() => edges.sample(),
                }
            }
        });
    }

    /// The edge's counters, to hold on to. Beyond [`EDGES_MAX`] edges they are counters that nobody reads.
    pub fn cell(&self, key: &EdgeKey) -> Arc<EdgeCell> {
        if let Some(cell) = self.cells.read().unwrap_or_else(PoisonError::into_inner).get(key) {
            return Arc::clone(cell);
        }
        let mut cells = self.cells.write().unwrap_or_else(PoisonError::into_inner);
        if cells.len() >= EDGES_MAX && !cells.contains_key(key) {
            if !self.is_full.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    edges.max = EDGES_MAX,
                    "too many edges: calls along further ones go uncounted"
                );
            }
            return Arc::new(EdgeCell::new());
        }
        Arc::clone(
            cells
                .entry(key.clone())
                .or_insert_with(|| Arc::new(EdgeCell::new())),
        )
    }

    /// Counts a call. Who calls along one edge often holds its [`EdgeCell`] instead.
    pub fn record(&self, key: &EdgeKey, ended: Ended) {
        self.cell(key).record(ended);
    }

    /// This node's own counters, whole since its start, for home.
    pub fn figures(&self) -> Vec<EdgeFigures> {
        let mut figures: Vec<EdgeFigures> = self
            .own_cells()
            .into_iter()
            .map(|(key, cell)| {
                let counts = cell.counts();
                EdgeFigures {
                    caller: key.caller,
                    callee: key.callee,
                    interface: key.interface,
                    transport: cell.transport(),
                    calls: counts.calls(),
                    errors: counts.errors,
                    errs: counts.errs,
                    bytes_in: counts.bytes_in,
                    bytes_out: counts.bytes_out,
                    latency_ns: counts.latency.non_empty(),
                }
            })
            .filter(|figures| figures.calls > 0)
            .collect();
        figures
            .sort_by(|a, b| (&a.caller, &a.callee, &a.interface).cmp(&(&b.caller, &b.callee, &b.interface)));
        figures
    }

    /// Takes what another node counted since its start. A later incarnation adds to what the earlier ones counted;
    /// figures of an earlier one that come late are left out.
    pub fn merge(&self, node: &NodeName, incarnation: u64, figures: Vec<EdgeFigures>) {
        let mut merged = self.merged.lock().unwrap_or_else(PoisonError::into_inner);
        merged.take(node, incarnation, figures);
    }

    /// Every edge that was called since start, of this node and of those merged into it, by caller, callee, interface.
    pub fn snapshot(&self) -> Vec<Edge> {
        let cells = self.own_cells();
        let mut merged = self.merged.lock().unwrap_or_else(PoisonError::into_inner);
        merged.snapshot(&cells, self.clock.unix_ns())
    }

    /// Every edge's latencies, of this node and of those merged into it.
    pub fn latencies(&self) -> Vec<(EdgeKey, Latencies)> {
        let cells = self.own_cells();
        let mut merged = self.merged.lock().unwrap_or_else(PoisonError::into_inner);
        merged.latencies(&cells, self.clock.unix_ns())
    }

    fn sample(&self) {
        let cells = self.own_cells();
        let mut merged = self.merged.lock().unwrap_or_else(PoisonError::into_inner);
        merged.sample(&cells, self.clock.unix_ns());
        let now = self.unix_ms();
        let mut history = self.history();
        if history.is_due(now) {
            history.close(now, merged.counted(&cells));
        }
    }

    /// Notes what has become of nodes and of the placement, for the history. Who shows it looks about once a second.
    pub fn note(&self, nodes: &[Node], status: &PlacementStatus) {
        self.history().note(self.unix_ms(), nodes, status);
    }

    /// The last minutes, at most sixty.
    pub fn past(&self, minutes: u32) -> PastHour {
        self.history().answer(minutes.into())
    }

    /// Who was where at a moment of the last hour.
    pub fn places_at(&self, unix_ms: u64) -> Option<Placed> {
        self.history().places_at(unix_ms)
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unix_ms(&self) -> u64 {
        self.clock.unix_ns() / 1_000_000
    }

    fn own_cells(&self) -> BTreeMap<EdgeKey, Arc<EdgeCell>> {
        let cells = self.cells.read().unwrap_or_else(PoisonError::into_inner);
        cells
            .iter()
            .map(|(key, cell)| (key.clone(), Arc::clone(cell)))
            .collect()
    }
}
