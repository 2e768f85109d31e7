//! `Reconciler`: one task that brings the nodes to what [`super::Desired`] wants.
//!
//! A move starts the new nodes, has each load its handlers, publishes routes, then drains the old nodes: in this order,
//! so that no call fails. Until the routes are published a newer wish supersedes the move, and what it started is kept
//! where it still fits. A placement that was asked for comes whole or not at all; at the start, and when handlers come
//! and go, what cannot be served is left out, named, and tried again. A handler's newer version is loaded wherever it is
//! served before routes name it; where it cannot be, the version before it stays. A child that died is loaded again when
//! its process is back. A node that shall start anew is taken out of service first, by the same move: another replica or
//! home serves meanwhile. The pure parts are `plan` and `routes`; `step` is what runs meanwhile,
//! `event` what comes of it, `commit` how a move takes effect, `report` the status.

mod commit;
mod event;
mod report;
mod step;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use protocol::api::placement::{Placement, PlacementStatus};
use protocol::control::NodeRoute;
use protocol::{HandlerName, NodeName};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::step::Running;
use super::fleet::{Fleet, NodeEvent};
use super::plan::{self, NodeSpec, Plan};
use super::routes::{Inventory, Places};
use super::{Intake, Want};

/// A process that cannot be talked to by then will not be: ten of them start in two seconds on two busy cores.
pub const START_LIMIT: Duration = Duration::from_secs(20);
/// Loading compiled code takes milliseconds; a cache miss compiles.
pub const PREPARE_LIMIT: Duration = Duration::from_secs(20);
/// A node that does not take its routes by then is given up by the fleet.
pub const PUBLISH_LIMIT: Duration = Duration::from_secs(5);
/// The longest call that a node may have accepted ends before; then it is ended.
pub const DRAIN_LIMIT: Duration = Duration::from_secs(15);
/// The pause before what was left out is tried again.
pub const RETRY_PAUSE: Duration = Duration::from_secs(10);

/// The one task of placement.
pub struct Reconciler<F> {
    fleet: Arc<F>,
    home: NodeRoute,
    want: watch::Receiver<Want>,
    status: watch::Sender<PlacementStatus>,
    events: mpsc::Receiver<NodeEvent>,
    /// The child nodes that routes lead to.
    serving: BTreeMap<NodeName, Serving>,
    /// The nodes that a move makes ready; home is among them.
    arrivals: BTreeMap<NodeName, Arrival>,
    draining: BTreeSet<NodeName>,
    moving: Option<Move>,
    actual: Option<Actual>,
    /// The nodes that were taken out of service to start anew, by the generation that asked for it.
    vacated: BTreeMap<NodeName, u64>,
    /// The generation that did not come about, with the reason; the one before stays in force.
    given_up: Option<(u64, String)>,
    /// What the placement in force leaves out, with the reasons.
    left_out: Option<String>,
    routes_generation: u64,
    retry_at: Option<Instant>,
    running: Running,
}

/// A child node that routes lead to.
struct Serving {
    spec: NodeSpec,
    /// Where it is, or was.
    route: NodeRoute,
    health: Health,
}

enum Health {
    Up,
    /// The incarnation that ended.
    Down(u64),
    /// Its process is back and loads its handlers.
    Restoring(NodeRoute, CancellationToken),
    /// It could not load them.
    Failed(NodeRoute),
}

/// A node on its way.
struct Arrival {
    spec: NodeSpec,
    phase: Phase,
    /// Whether routes lead to it already, and it loads other handlers or newer versions: home, for one.
    serves: bool,
    /// The incarnation that ended before its start was reported.
    died: Option<(u64, String)>,
    cancel: CancellationToken,
}

enum Phase {
    /// An older process of the name is still draining.
    Held,
    Starting,
    Started(NodeRoute),
    Preparing(NodeRoute),
    Ready(NodeRoute),
    Failed {
        reason: String,
        started: bool,
    },
}

/// A change on its way.
struct Move {
    want: Want,
    /// The wanted placement, or the one in force where the wanted one was given up.
    placement: Placement,
    plan: Plan,
    /// Whether it comes whole or not at all.
    whole: bool,
    /// What is left out, with the reason.
    left_out: Vec<String>,
    broken: Broken,
    /// The nodes that this move takes out of service, so that they can start anew.
    away: BTreeMap<NodeName, u64>,
    /// Handlers whose newer version could not be loaded somewhere, with the reason.
    stale: BTreeMap<HandlerName, String>,
}

/// What is in force.
struct Actual {
    generation: u64,
    placement: Placement,
    inventory: Arc<Inventory>,
    places: Places,
    broken: Broken,
}

/// Handlers that nodes could not load, with the reasons.
type Broken = BTreeMap<(HandlerName, NodeName), String>;

impl<F: Fleet> Reconciler<F> {
    /// A reconciler with nothing in force yet. `events` are about children that [`Fleet::start`] has returned.
    pub fn new(fleet: Arc<F>, home: NodeRoute, intake: Intake, events: mpsc::Receiver<NodeEvent>) -> Self {
        Self {
            fleet,
            home,
            want: intake.want,
            status: intake.status,
            events,
            serving: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            draining: BTreeSet::new(),
            moving: None,
            actual: None,
            vacated: BTreeMap::new(),
            given_up: None,
            left_out: None,
            routes_generation: 0,
            retry_at: None,
            running: FuturesUnordered::new(),
        }
    }

    /// Runs until cancelled; the nodes are left as they are.
    pub async fn run(mut self, cancelled: CancellationToken) {
        self.begin().await;
        loop {
            self.show();
            let retry_at = self.retry_at;
            tokio::select! {
                biased;
                () = cancelled.cancelled() => return,
                changed = self.want.changed() => match changed {
                    Ok(()) => self.begin().await,
                    Err(_) => return,
                },
                Some(event) = self.events.recv() => self.handle_event(event).await,
                Some(step) = self.running.next() => self.handle_step(step).await,
                () = tokio::time::sleep_until(retry_at.unwrap_or_else(Instant::now)), if retry_at.is_some() => {
                    self.handle_retry().await;
                }
            }
        }
    }

    /// Begins the move to the newest wish; one on its way is superseded.
    async fn begin(&mut self) {
        let want = self.want.borrow_and_update().clone();
        let failed = |node: &Serving| matches!(node.health, Health::Failed(_));
        self.retry_at = self.retry_at.filter(|_| self.serving.values().any(failed));
        let given_up = self.gave_up(want.generation);
        let placement = match &self.actual {
            Some(actual) if given_up => actual.placement.clone(),
            _ => want.placement.clone(),
        };
        let whole = self
            .actual
            .as_ref()
            .is_some_and(|actual| actual.generation != want.generation)
            && !given_up;
        let (plan, refusals) = plan::arrange(&placement, &want.inventory.members(false));
        let running: Vec<NodeSpec> = self.serving.values().map(|node| node.spec.clone()).collect();
        let plan = plan.beside(&running);
        let away = self.note_away(&want, &plan);
        let plan = plan.without(&away.keys().cloned().collect());
        let new: Vec<NodeSpec> = plan
            .children()
            .iter()
            .filter(|spec| !running.contains(spec))
            .cloned()
            .collect();
        let left_out: Vec<String> = refusals.iter().map(ToString::to_string).collect();
        self.moving = Some(Move {
            want,
            placement,
            plan,
            whole,
            left_out,
            away,
            broken: BTreeMap::new(),
            stale: BTreeMap::new(),
        });
        self.keep_arrivals(&new);
        self.renew_versions();
        for spec in new {
            if !self.arrivals.contains_key(&spec.name) {
                self.launch_start(spec);
            }
        }
        self.advance().await;
    }

    /// The nodes that shall start anew and were not taken out of service for it yet. One that goes or is gone anyway needs
    /// nothing more.
    fn note_away(&mut self, want: &Want, plan: &Plan) -> BTreeMap<NodeName, u64> {
        let mut away = BTreeMap::new();
        self.vacated.retain(|name, _| want.renewals.contains_key(name));
        for (name, generation) in &want.renewals {
            if self
                .vacated
                .get(name)
                .is_some_and(|vacated| vacated >= generation)
            {
                continue;
            }
            let node = self.serving.get(name);
            if node.is_some_and(|node| plan.children().contains(&node.spec)) {
                away.insert(name.clone(), *generation);
            } else {
                self.vacated.insert(name.clone(), *generation);
            }
        }
        away
    }

    /// Keeps the arrivals that the new plan has too; the others are undone. Those that serve begin anew.
    fn keep_arrivals(&mut self, new: &[NodeSpec]) {
        for (name, arrival) in std::mem::take(&mut self.arrivals) {
            let goes_on = !arrival.serves && !matches!(arrival.phase, Phase::Failed { .. });
            if goes_on && new.contains(&arrival.spec) {
                self.arrivals.insert(name, arrival);
            } else {
                self.undo(arrival);
            }
        }
        let spec = self.moving.as_ref().map(|moving| moving.plan.home().clone());
        let spec = spec.expect("a move is on its way when arrivals are kept");
        let home = Arrival::serving(spec, self.home.clone());
        self.arrivals.insert(NodeName::home(), home);
    }

    /// Children that stay and whose handlers have newer versions or other limits load those as well.
    fn renew_versions(&mut self) {
        let (Some(moving), Some(actual)) = (&self.moving, &self.actual) else {
            return;
        };
        let version = |inventory: &Inventory, name: &HandlerName| {
            let handler = inventory.handlers.iter().find(|handler| handler.name == *name);
            handler.map(|handler| (handler.artifact.clone(), handler.limits))
        };
        let is_renewed =
            |name: &HandlerName| version(&moving.want.inventory, name) != version(&actual.inventory, name);
        for (name, node) in &self.serving {
            let stays = moving.plan.children().contains(&node.spec) && matches!(node.health, Health::Up);
            if stays && node.spec.handlers.iter().any(is_renewed) {
                let arrival = Arrival::serving(node.spec.clone(), node.route.clone());
                self.arrivals.insert(name.clone(), arrival);
            }
        }
    }

    fn undo(&mut self, arrival: Arrival) {
        arrival.cancel.cancel();
        let started = match arrival.phase {
            Phase::Held | Phase::Starting => false,
            Phase::Started(_) | Phase::Preparing(_) | Phase::Ready(_) => true,
            Phase::Failed { started, .. } => started,
        };
        if started && !arrival.serves {
            self.launch_drain(arrival.spec.name);
        }
    }

    /// Takes the move as far as it goes now.
    async fn advance(&mut self) {
        let Some(moving) = &self.moving else {
            return;
        };
        let failed = self.failures();
        if moving.whole && !(failed.is_empty() && moving.left_out.is_empty()) {
            return self.give_up(failed).await;
        }
        if self
            .arrivals
            .values()
            .any(|node| matches!(node.phase, Phase::Held | Phase::Starting))
        {
            return;
        }
        self.launch_prepares();
        if self
            .arrivals
            .values()
            .any(|node| matches!(node.phase, Phase::Preparing(_)))
        {
            return;
        }
        self.commit(failed).await;
    }

    fn failures(&self) -> Vec<String> {
        let failures = self.arrivals.iter().filter_map(|(name, node)| match &node.phase {
            Phase::Failed { reason, .. } => Some(format!("node `{name}`: {reason}")),
            _ => None,
        });
        failures.collect()
    }

    /// The wanted placement does not come about; the one in force stays.
    async fn give_up(&mut self, failed: Vec<String>) {
        let Some(moving) = self.moving.take() else {
            return;
        };
        for (_, arrival) in std::mem::take(&mut self.arrivals) {
            self.undo(arrival);
        }
        let generation = moving.want.generation;
        let reasons = moving
            .left_out
            .into_iter()
            .chain(failed)
            .collect::<Vec<_>>()
            .join("; ");
        tracing::warn!(generation, "placement {generation} did not come about: {reasons}");
        self.given_up = Some((generation, reasons));
        // Home may have loaded handlers for the move; the routes in force tell it to let them go.
        self.publish().await;
        let Some(actual) = &self.actual else { return };
        if actual.inventory != moving.want.inventory {
            // Handlers that came or went meanwhile are served by the placement in force.
            self.retry_at = Some(Instant::now());
        } else if actual.placement == moving.want.placement {
            // A node that shall start anew does not; home serves for it until it does.
            self.retry_at = Some(Instant::now() + RETRY_PAUSE);
        }
    }

    fn gave_up(&self, generation: u64) -> bool {
        self.given_up
            .as_ref()
            .is_some_and(|(given_up, _)| *given_up == generation)
    }

    /// Tries again what was left out.
    async fn handle_retry(&mut self) {
        self.retry_at = None;
        let broken = self.actual.iter().flat_map(|actual| actual.broken.keys());
        let broken: BTreeSet<NodeName> = broken.map(|(_, node)| node.clone()).collect();
        let again = self.serving.values().filter_map(|node| match &node.health {
            Health::Failed(route) => Some(route.clone()),
            Health::Up if broken.contains(&node.spec.name) => Some(node.route.clone()),
            _ => None,
        });
        let again: Vec<NodeRoute> = again.collect();
        again.into_iter().for_each(|route| self.launch_restore(route));
        if self.moving.is_none() {
            self.begin().await;
        }
    }
}

impl Arrival {
    /// A node to which routes lead already.
    fn serving(spec: NodeSpec, route: NodeRoute) -> Self {
        Self {
            spec,
            phase: Phase::Started(route),
            serves: true,
            died: None,
            cancel: CancellationToken::new(),
        }
    }
}

impl Serving {
    /// The newest incarnation that was seen.
    fn incarnation(&self) -> u64 {
        match &self.health {
            Health::Up => self.route.incarnation,
            Health::Down(incarnation) => *incarnation,
            Health::Restoring(route, _) | Health::Failed(route) => route.incarnation,
        }
    }
}

#[cfg(test)]
mod tests;
