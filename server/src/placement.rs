//! Placement: which handlers share a node, changed while calls run.
//!
//! [`Desired`] is the front: it takes a placement, refuses what cannot be, and numbers what it accepts. The
//! [`Reconciler`] brings the nodes to it: new nodes are started and made ready, then routes are swapped everywhere,
//! then old nodes drain, so that no call fails. `plan` and `routes` decide, purely; `children` runs processes and
//! `child` is their side of the start. How nodes talk to each other is not here but behind [`Fleet`].

pub mod child;
pub mod children;
pub mod fleet;
pub mod idle;
pub mod plan;
pub mod reconciler;
pub mod routes;
pub mod summary;
pub mod usage;

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::api::placement::{Accepted, Placement, PlacementStatus};
use protocol::{HandlerName, NodeName, nearest};
use tokio::sync::watch;

pub use children::{Child, ChildEvent, Children};
pub use fleet::{Fleet, NodeEvent};
pub use plan::{NodeSpec, Plan, Refusal};
pub use reconciler::Reconciler;
pub use routes::{Deployed, Inventory};

/// Why a placement was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be; every reason.
    #[error("{}", refusals.iter().map(Refusal::to_string).collect::<Vec<_>>().join("; "))]
    Refused {
        /// What speaks against it.
        refusals: Vec<Refusal>,
    },
    /// Home cannot be drained.
    #[error("home cannot start anew while it serves; end it with Ctrl-C and start it again")]
    HomeStays,
    /// There is no such node.
    #[error("no node is called `{name}`{}", nearest.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    UnknownNode {
        /// The name.
        name: NodeName,
        /// The nearest one that there is.
        nearest: Option<String>,
    },
}

/// What shall be: the newest accepted placement and the handlers that there are.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Want {
    generation: u64,
    placement: Placement,
    inventory: Arc<Inventory>,
    /// Nodes that shall start anew, by the generation that asked for it.
    renewals: BTreeMap<NodeName, u64>,
}

/// What of the placement before stays when another one is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// How many nodes serve a handler.
    pub replicas: bool,
    /// How the calls of some edges go.
    pub edges: bool,
}

/// The front of placement; clones share it.
#[derive(Debug, Clone)]
pub struct Desired {
    want: Arc<watch::Sender<Want>>,
    status: watch::Receiver<PlacementStatus>,
}

/// The reconciler's end of [`Desired`].
#[derive(Debug)]
pub struct Intake {
    want: watch::Receiver<Want>,
    status: watch::Sender<PlacementStatus>,
}

impl Desired {
    /// A front that wants `start` first, which is generation 1, and reports what `file` says beside it.
    pub fn channel(file: Placement, start: Placement, inventory: Inventory) -> (Self, Intake) {
        let status = PlacementStatus {
            generation: 1,
            actual_generation: 0,
            desired: start.clone(),
            actual: Placement::default(),
            settled: false,
            file,
            handlers: Default::default(),
            notes: Vec::new(),
            error: None,
        };
        let (want, want_out) = watch::channel(Want {
            generation: 1,
            placement: start,
            inventory: Arc::new(inventory),
            renewals: BTreeMap::new(),
        });
        let (status, status_out) = watch::channel(status);
        let desired = Self {
            want: Arc::new(want),
            status: status_out,
        };
        let intake = Intake {
            want: want_out,
            status,
        };
        (desired, intake)
    }

    /// Accepts a placement, which supersedes one that is still on its way; or refuses it, and nothing changes.
    pub fn put(&self, placement: Placement) -> Result<Accepted, Error> {
        self.put_beside(placement, Kept::default())
    }

    /// The same for a placement that says nothing of some things: they stay as they are.
    pub fn put_beside(&self, mut placement: Placement, kept: Kept) -> Result<Accepted, Error> {
        self.accept(|want| {
            if kept.replicas {
                placement.replicas = want.placement.replicas.clone();
            }
            if kept.edges {
                placement.edges = want.placement.edges.clone();
            }
            plan::plan(&placement, &want.inventory.members(true))?;
            want.placement = placement;
            Ok(())
        })
    }

    /// Lets these handlers have so many replicas, all else as it is.
    pub fn scale(&self, replicas: &BTreeMap<HandlerName, u32>) -> Result<Accepted, Error> {
        self.accept(|want| {
            let mut placement = want.placement.clone();
            placement
                .replicas
                .extend(replicas.iter().map(|(name, wanted)| (name.clone(), *wanted)));
            plan::scaled(&placement, replicas, &want.inventory.members(true))?;
            want.placement = placement;
            Ok(())
        })
    }

    /// Lets a child finish what it accepted and start anew, while others serve its handlers.
    pub fn drain(&self, node: &NodeName) -> Result<Accepted, Error> {
        if *node == NodeName::home() {
            return Err(Error::HomeStays);
        }
        let status = self.status.borrow().clone();
        let nodes: Vec<&str> = status
            .handlers
            .values()
            .flat_map(|place| &place.nodes)
            .map(NodeName::as_str)
            .collect();
        if !nodes.contains(&node.as_str()) {
            return Err(Error::UnknownNode {
                name: node.clone(),
                nearest: nearest(node.as_str(), nodes).map(str::to_owned),
            });
        }
        self.accept(|want| {
            // Those that are gone meanwhile have nothing left to do.
            want.renewals.retain(|name, _| nodes.contains(&name.as_str()));
            want.renewals.insert(node.clone(), want.generation + 1);
            Ok(())
        })
    }

    /// Changes the wish, which then has the next generation; or not, for the reasons given.
    fn accept(&self, change: impl FnOnce(&mut Want) -> Result<(), Vec<Refusal>>) -> Result<Accepted, Error> {
        let mut outcome = Ok(());
        let mut generation = 0;
        self.want.send_if_modified(|want| {
            outcome = change(want);
            if outcome.is_ok() {
                want.generation += 1;
                // One is what a handler has anyway, and a rule may say nothing: equal placements shall be equal.
                want.placement.replicas.retain(|_, wanted| *wanted > 1);
                want.placement.edges.retain(|_, way| !way.is_silent());
                generation = want.generation;
            }
            outcome.is_ok()
        });
        match outcome {
            Ok(()) => Ok(Accepted { generation }),
            Err(refusals) => Err(Error::Refused { refusals }),
        }
    }

    /// Says which handlers there are now. What is the same is not touched; a handler's new version is announced with
    /// the next routes.
    pub fn set_inventory(&self, inventory: Inventory) {
        self.want.send_if_modified(|want| {
            if *want.inventory == inventory {
                return false;
            }
            want.inventory = Arc::new(inventory);
            true
        });
    }

    /// Desired against actual.
    pub fn status(&self) -> PlacementStatus {
        let mut status = self.status.borrow().clone();
        let want = self.want.borrow();
        if status.generation != want.generation {
            // Accepted, and not yet seen by the reconciler.
            status.generation = want.generation;
            status.desired = want.placement.clone();
            status.settled = false;
            status.error = None;
        }
        let is_seen = |name| status.handlers.contains_key(name);
        if !want
            .inventory
            .handlers
            .iter()
            .all(|handler| is_seen(&handler.name))
        {
            // Handlers that came just now: nothing of them is anywhere yet.
            status.settled = false;
        }
        status
    }

    /// Wakes at each change of the status; read it by [`Desired::status`].
    pub fn changes(&self) -> watch::Receiver<PlacementStatus> {
        self.status.clone()
    }
}
