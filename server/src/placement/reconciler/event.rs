//! What happens while the reconciler waits: processes that end and come back, and the outcomes of its steps.

use protocol::control::NodeRoute;
use protocol::{HandlerName, NodeName};
use tokio::time::Instant;

use super::step::{Loaded, Step, listed};
use super::{Arrival, Health, Phase, RETRY_PAUSE, Reconciler};
use crate::placement::fleet::{Fleet, NodeEvent};

impl<F: Fleet> Reconciler<F> {
    /// A child's process came back, or ended.
    pub(super) async fn handle_event(&mut self, event: NodeEvent) {
        match event {
            NodeEvent::Up(route) => {
                let node = self.serving.get(&route.name);
                if node.is_some_and(|node| node.incarnation() < route.incarnation) {
                    self.launch_restore(route);
                }
            }
            NodeEvent::Down {
                node,
                incarnation,
                reason,
            } => self.handle_down(&node, incarnation, reason).await,
        }
    }

    async fn handle_down(&mut self, name: &NodeName, incarnation: u64, reason: String) {
        let loads_versions = |arrival: &Arrival| arrival.serves && *name != NodeName::home();
        if self.arrivals.get(name).is_some_and(loads_versions) {
            // It loads what is in force then once it is back; the move goes on without it.
            if let Some(arrival) = self.arrivals.remove(name) {
                arrival.cancel.cancel();
            }
            self.note_death(name, incarnation);
            return self.advance().await;
        }
        if let Some(arrival) = self.arrivals.get_mut(name) {
            match &arrival.phase {
                Phase::Started(route) | Phase::Preparing(route) | Phase::Ready(route)
                    if route.incarnation == incarnation =>
                {
                    arrival.cancel.cancel();
                    arrival.phase = Phase::Failed {
                        reason,
                        started: true,
                    };
                    self.advance().await;
                }
                Phase::Starting => arrival.died = Some((incarnation, reason)),
                _ => {}
            }
        } else {
            self.note_death(name, incarnation);
        }
    }

    fn note_death(&mut self, name: &NodeName, incarnation: u64) {
        let node = self.serving.get_mut(name);
        if let Some(node) = node.filter(|node| node.incarnation() == incarnation) {
            if let Health::Restoring(_, cancel) = &node.health {
                cancel.cancel();
            }
            node.health = Health::Down(incarnation);
        }
    }

    /// Something that ran meanwhile has an outcome.
    pub(super) async fn handle_step(&mut self, step: Step) {
        match step {
            Step::Void => {}
            Step::Started { name, outcome } => {
                self.handle_started(&name, outcome);
                self.advance().await;
            }
            Step::Prepared { name, outcome } => {
                self.handle_prepared(&name, outcome);
                self.advance().await;
            }
            Step::Restored { name, outcome } => self.handle_restored(&name, outcome).await,
            Step::Drained(name) => {
                self.draining.remove(&name);
                let held = self
                    .arrivals
                    .get(&name)
                    .filter(|arrival| matches!(arrival.phase, Phase::Held));
                if let Some(spec) = held.map(|arrival| arrival.spec.clone()) {
                    self.launch_start(spec);
                }
            }
        }
    }

    fn handle_started(&mut self, name: &NodeName, outcome: Result<NodeRoute, String>) {
        let Some(arrival) = self.arrivals.get_mut(name) else {
            return;
        };
        arrival.phase = match (outcome, arrival.died.take()) {
            (Ok(route), Some((incarnation, reason))) if route.incarnation == incarnation => Phase::Failed {
                reason,
                started: true,
            },
            (Ok(route), _) => Phase::Started(route),
            (Err(reason), _) => Phase::Failed {
                reason,
                started: false,
            },
        };
    }

    fn handle_prepared(&mut self, name: &NodeName, outcome: Loaded) {
        let (Some(arrival), Some(moving)) = (self.arrivals.get_mut(name), &mut self.moving) else {
            return;
        };
        let Phase::Preparing(route) = &arrival.phase else {
            return;
        };
        let served = |handler: &HandlerName| {
            let actual = self.actual.as_ref().filter(|_| arrival.serves);
            actual.is_some_and(|actual| {
                let is_placed = actual
                    .places
                    .get(handler)
                    .is_some_and(|nodes| nodes.contains(name));
                is_placed && !actual.broken.contains_key(&(handler.clone(), name.clone()))
            })
        };
        let reason = match outcome {
            Ok(broken) if broken.is_empty() => None,
            Ok(broken) if moving.whole => Some(listed(&broken)),
            Ok(broken) if !arrival.serves && broken.len() >= arrival.spec.handlers.len() => {
                Some(listed(&broken))
            }
            Ok(broken) => {
                let (stale, broken): (Vec<_>, Vec<_>) =
                    broken.into_iter().partition(|(handler, _)| served(handler));
                moving.stale.extend(stale);
                let broken = broken
                    .into_iter()
                    .map(|(handler, reason)| ((handler, name.clone()), reason));
                moving.broken.extend(broken);
                None
            }
            Err(reason) => {
                if arrival.serves {
                    // What it serves already, it goes on serving.
                    for handler in arrival.spec.handlers.iter().cloned() {
                        if served(&handler) {
                            moving.stale.insert(handler, reason.clone());
                        } else {
                            moving.broken.insert((handler, name.clone()), reason.clone());
                        }
                    }
                }
                Some(reason)
            }
        };
        arrival.phase = match reason {
            None => Phase::Ready(route.clone()),
            Some(reason) => Phase::Failed {
                reason,
                started: true,
            },
        };
    }

    async fn handle_restored(&mut self, name: &NodeName, outcome: Loaded) {
        let (Some(node), Some(actual)) = (self.serving.get_mut(name), &mut self.actual) else {
            return;
        };
        let Health::Restoring(route, _) = &node.health else {
            return;
        };
        match outcome {
            Ok(broken) => {
                node.route = route.clone();
                node.health = Health::Up;
                actual.broken.retain(|(_, node), _| node != name);
                if !broken.is_empty() {
                    tracing::warn!(node.name = %name, "node `{name}` is back without {}", listed(&broken));
                    self.retry_at = Some(Instant::now() + RETRY_PAUSE);
                }
                let broken = broken
                    .into_iter()
                    .map(|(handler, reason)| ((handler, name.clone()), reason));
                actual.broken.extend(broken);
                self.publish().await;
            }
            Err(reason) => {
                tracing::warn!(node.name = %name, "node `{name}` is back and does not load its handlers: {reason}");
                node.health = Health::Failed(route.clone());
                self.retry_at = Some(Instant::now() + RETRY_PAUSE);
            }
        }
    }
}
