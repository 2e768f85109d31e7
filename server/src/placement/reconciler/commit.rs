//! How a move takes effect: everyone gets the routes, then the old nodes go. What could not be made ready is left out,
//! unless something older can serve for it.

use std::sync::Arc;

use protocol::{HandlerName, NodeName};
use tokio::time::Instant;

use super::{Actual, Arrival, Broken, Health, Move, PUBLISH_LIMIT, Phase, RETRY_PAUSE, Reconciler, Serving};
use crate::placement::fleet::Fleet;
use crate::placement::plan::NodeSpec;
use crate::placement::routes::{self, Inventory, Places};

impl<F: Fleet> Reconciler<F> {
    /// All is ready: routes first, then the old nodes go.
    pub(super) async fn commit(&mut self, failed: Vec<String>) {
        let Some(mut moving) = self.moving.take() else {
            return;
        };
        self.keep_versions(&mut moving);
        let mut leaving = self.take_arrivals();
        let stays = |name: &NodeName, node: &Serving| {
            moving
                .plan
                .nodes
                .iter()
                .any(|spec| spec.name == *name && *spec == node.spec)
        };
        leaving.extend(
            self.serving
                .extract_if(.., |name, node| !stays(name, node))
                .map(|(name, _)| name),
        );
        let served =
            |spec: &&NodeSpec| spec.name == NodeName::home() || self.serving.contains_key(&spec.name);
        let mut places = routes::places(moving.plan.nodes.iter().filter(served));
        self.keep_places(&moving, &mut places);
        let mut broken = self.still_broken(&places);
        broken.extend(moving.broken);
        self.note_left_out(moving.left_out, failed, &broken);
        let is_halfway = !moving.away.is_empty();
        if moving.placement == moving.want.placement && self.left_out.is_none() && !is_halfway {
            self.given_up = None;
        }
        let generation = match &self.actual {
            Some(actual) if is_halfway || self.gave_up(moving.want.generation) => actual.generation,
            _ => moving.want.generation,
        };
        let nodes = self.serving.len() + 1;
        self.actual = Some(Actual {
            generation,
            placement: moving.placement,
            inventory: moving.want.inventory,
            places,
            broken,
        });
        self.publish().await;
        tracing::info!(
            generation,
            nodes,
            "placement {generation} is in force; nodes: {nodes}"
        );
        leaving.into_iter().for_each(|name| self.launch_drain(name));
        if is_halfway {
            self.vacated.extend(moving.away);
            // The same wish again, now with these nodes: each starts once its former process is gone.
            Box::pin(self.begin()).await;
        }
    }

    /// Handlers whose node failed stay with home where it serves them: it did so while their node was away.
    fn keep_places(&self, moving: &Move, places: &mut Places) {
        let Some(actual) = &self.actual else { return };
        let home = NodeName::home();
        let unplaced = moving.want.inventory.handlers.iter().map(|handler| &handler.name);
        for name in unplaced {
            let was_home = actual.places.get(name).is_some_and(|nodes| nodes.contains(&home));
            if was_home && !places.contains_key(name) && moving.plan.node_of(name).is_some() {
                places.insert(name.clone(), vec![home.clone()]);
            }
        }
    }

    /// Where a newer version could not be loaded the one before it stays, everywhere; it is tried again.
    fn keep_versions(&mut self, moving: &mut Move) {
        let Some(actual) = self.actual.as_ref().filter(|_| !moving.stale.is_empty()) else {
            return;
        };
        let mut inventory = Inventory::clone(&moving.want.inventory);
        for handler in &mut inventory.handlers {
            let before = actual
                .inventory
                .handlers
                .iter()
                .find(|before| before.name == handler.name);
            let reason = moving.stale.get(&handler.name);
            if let (Some(before), Some(reason)) = (before.filter(|before| *before != handler), reason) {
                let name = &handler.name;
                moving.left_out.push(format!(
                    "the newer version of `{name}` cannot be loaded, the one before it serves: {reason}"
                ));
                *handler = before.clone();
                self.retry_at = Some(Instant::now() + RETRY_PAUSE);
            }
        }
        moving.want.inventory = Arc::new(inventory);
    }

    /// The handlers that a child could not load before and was not asked to load again.
    fn still_broken(&self, places: &Places) -> Broken {
        let Some(before) = &self.actual else {
            return Broken::new();
        };
        let serves = |places: &Places, (handler, node): &(HandlerName, NodeName)| {
            places.get(handler).is_some_and(|nodes| nodes.contains(node))
        };
        let mut broken = before.broken.clone();
        broken.retain(|at, _| at.1 != NodeName::home() && serves(places, at) && serves(&before.places, at));
        broken
    }

    /// Keeps what could not be served, for the status; what may go better another time is tried again.
    fn note_left_out(&mut self, refused: Vec<String>, failed: Vec<String>, broken: &Broken) {
        let broken = broken
            .iter()
            .map(|((handler, _), reason)| format!("handler `{handler}`: {reason}"));
        let failed: Vec<String> = failed.into_iter().chain(broken).collect();
        if !failed.is_empty() {
            self.retry_at = Some(Instant::now() + RETRY_PAUSE);
        }
        let left_out: Vec<String> = refused.into_iter().chain(failed).collect();
        self.left_out = (!left_out.is_empty()).then(|| left_out.join("; "));
        if let Some(left_out) = &self.left_out {
            tracing::warn!("placement leaves something out: {left_out}");
        }
    }

    /// Those that are ready serve from now on; answers those that failed after their process had started.
    fn take_arrivals(&mut self) -> Vec<NodeName> {
        let mut failed = Vec::new();
        for (name, arrival) in std::mem::take(&mut self.arrivals) {
            let Arrival {
                spec, phase, serves, ..
            } = arrival;
            match phase {
                _ if serves => {}
                Phase::Ready(route) => {
                    let health = Health::Up;
                    self.serving.insert(name, Serving { spec, route, health });
                }
                Phase::Failed { started: true, .. } => failed.push(name),
                _ => {}
            }
        }
        failed
    }

    /// Everyone gets the routes in force.
    pub(super) async fn publish(&mut self) {
        let Some(actual) = &self.actual else {
            return;
        };
        let mut places = actual.places.clone();
        for (handler, nodes) in &mut places {
            nodes.retain(|node| !actual.broken.contains_key(&(handler.clone(), node.clone())));
        }
        let nodes = self.serving.values().map(|node| node.route.clone());
        let nodes = std::iter::once(self.home.clone()).chain(nodes).collect();
        self.routes_generation += 1;
        let routes = routes::routes(
            self.routes_generation,
            &actual.placement,
            nodes,
            &places,
            &actual.inventory,
        );
        let publish = self.fleet.publish(Arc::new(routes));
        if tokio::time::timeout(PUBLISH_LIMIT, publish).await.is_err() {
            tracing::warn!(
                "some nodes have not taken routes {} in time",
                self.routes_generation
            );
        }
    }
}
