//! Steps: what the reconciler waits for while it goes on answering: starts, loads and drains, each with its limit.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use protocol::control::{NodeRoute, Routes};
use protocol::{HandlerName, NodeName};
use tokio_util::sync::CancellationToken;

use super::{Arrival, DRAIN_LIMIT, Health, PREPARE_LIMIT, Phase, Reconciler, START_LIMIT};
use crate::placement::fleet::Fleet;
use crate::placement::plan::NodeSpec;
use crate::placement::routes;

/// What runs meanwhile.
pub(super) type Running = FuturesUnordered<Pin<Box<dyn Future<Output = Step> + Send>>>;

/// The handlers that could not be loaded, or why none could.
pub(super) type Loaded = Result<Vec<(HandlerName, String)>, String>;

/// What came of it.
pub(super) enum Step {
    /// It was cancelled.
    Void,
    /// A new node's process runs, or does not.
    Started {
        name: NodeName,
        outcome: Result<NodeRoute, String>,
    },
    /// A node of a move has loaded its handlers, or has not.
    Prepared { name: NodeName, outcome: Loaded },
    /// A node that died has loaded its handlers again, or has not.
    Restored { name: NodeName, outcome: Loaded },
    /// An old node is gone.
    Drained(NodeName),
}

impl<F: Fleet> Reconciler<F> {
    /// Starts a node's process, once an older one of the name is gone.
    pub(super) fn launch_start(&mut self, spec: NodeSpec) {
        let name = spec.name.clone();
        let cancel = CancellationToken::new();
        let mut phase = Phase::Held;
        if !self.draining.contains(&name) {
            phase = Phase::Starting;
            let (fleet, spec, cancel, name) = (
                Arc::clone(&self.fleet),
                spec.clone(),
                cancel.clone(),
                name.clone(),
            );
            self.running.push(Box::pin(async move {
                match limited(&cancel, "start", START_LIMIT, fleet.start(spec)).await {
                    Some(outcome) => Step::Started { name, outcome },
                    None => Step::Void,
                }
            }));
        }
        let arrival = Arrival {
            spec,
            phase,
            serves: false,
            died: None,
            cancel,
        };
        self.arrivals.insert(name, arrival);
    }

    /// Has every node of the move that is there load its handlers.
    pub(super) fn launch_prepares(&mut self) {
        let Some(moving) = &self.moving else {
            return;
        };
        let arrived = self.arrivals.values().filter_map(|arrival| match &arrival.phase {
            Phase::Started(route) | Phase::Preparing(route) | Phase::Ready(route) => Some(route.clone()),
            _ => None,
        });
        let others = self
            .serving
            .iter()
            .filter(|(name, _)| !self.arrivals.contains_key(*name));
        let nodes = arrived
            .chain(others.map(|(_, node)| node.route.clone()))
            .collect();
        let places = routes::places(&moving.plan.nodes);
        self.routes_generation += 1;
        let placement = &moving.placement;
        let inventory = &moving.want.inventory;
        let routes = Arc::new(routes::routes(
            self.routes_generation,
            placement,
            nodes,
            &places,
            inventory,
        ));
        for (name, arrival) in &mut self.arrivals {
            if let Phase::Started(route) = &arrival.phase {
                let route = route.clone();
                arrival.phase = Phase::Preparing(route.clone());
                let work = prepare(&self.fleet, route, Arc::clone(&routes), arrival.cancel.clone());
                let name = name.clone();
                self.running.push(Box::pin(async move {
                    match work.await {
                        Some(outcome) => Step::Prepared { name, outcome },
                        None => Step::Void,
                    }
                }));
            }
        }
    }

    /// Has a node whose process is back load its handlers.
    pub(super) fn launch_restore(&mut self, route: NodeRoute) {
        let (Some(node), Some(actual)) = (self.serving.get_mut(&route.name), &self.actual) else {
            return;
        };
        if let Health::Restoring(_, cancel) = &node.health {
            cancel.cancel();
        }
        let cancel = CancellationToken::new();
        node.health = Health::Restoring(route.clone(), cancel.clone());
        let others = self.serving.values().filter(|node| node.route.name != route.name);
        let others = others.map(|node| node.route.clone());
        let nodes = [self.home.clone(), route.clone()]
            .into_iter()
            .chain(others)
            .collect();
        self.routes_generation += 1;
        let placement = &actual.placement;
        let routes = routes::routes(
            self.routes_generation,
            placement,
            nodes,
            &actual.places,
            &actual.inventory,
        );
        let name = route.name.clone();
        let work = prepare(&self.fleet, route, Arc::new(routes), cancel);
        self.running.push(Box::pin(async move {
            match work.await {
                Some(outcome) => Step::Restored { name, outcome },
                None => Step::Void,
            }
        }));
    }

    /// Lets a node go.
    pub(super) fn launch_drain(&mut self, name: NodeName) {
        self.draining.insert(name.clone());
        let fleet = Arc::clone(&self.fleet);
        self.running.push(Box::pin(async move {
            if tokio::time::timeout(DRAIN_LIMIT, fleet.drain(name.clone()))
                .await
                .is_err()
            {
                tracing::warn!(node.name = %name, "node `{name}` has not drained in time");
            }
            Step::Drained(name)
        }));
    }
}

fn prepare<F: Fleet>(
    fleet: &Arc<F>,
    route: NodeRoute,
    routes: Arc<Routes>,
    cancel: CancellationToken,
) -> impl Future<Output = Option<Loaded>> + Send + use<F> {
    let fleet = Arc::clone(fleet);
    async move {
        limited(
            &cancel,
            "load its handlers",
            PREPARE_LIMIT,
            fleet.prepare(route, routes),
        )
        .await
    }
}

/// Carries work out within a limit; nothing when it was cancelled before, in which case its outcome never counts.
async fn limited<T>(
    cancel: &CancellationToken,
    what: &str,
    limit: Duration,
    work: impl Future<Output = Result<T, String>>,
) -> Option<Result<T, String>> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => None,
        outcome = tokio::time::timeout(limit, work) => Some(outcome.unwrap_or_else(|_| {
            Err(format!("did not {what} within {}", humantime::format_duration(limit)))
        })),
    }
}

/// Handlers that could not be loaded, in words.
pub(super) fn listed(broken: &[(HandlerName, String)]) -> String {
    let broken = broken
        .iter()
        .map(|(handler, reason)| format!("handler `{handler}`: {reason}"));
    broken.collect::<Vec<_>>().join("; ")
}
