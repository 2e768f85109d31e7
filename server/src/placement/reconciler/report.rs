//! The status that the reconciler shows: desired against actual, and where each handler is on the way.

use std::collections::BTreeMap;

use protocol::NodeName;
use protocol::api::placement::{HandlerPlace, PlacementStatus};

use super::{Health, Reconciler};
use crate::placement::fleet::Fleet;
use crate::placement::idle::idle;
use crate::placement::plan::{self, NodeSpec};
use crate::placement::routes::Deployed;

impl<F: Fleet> Reconciler<F> {
    /// Shows the status, if it changed.
    pub(super) fn show(&self) {
        let want = self.want.borrow().clone();
        let running: Vec<NodeSpec> = self.serving.values().map(|node| node.spec.clone()).collect();
        let (plan, _) = plan::arrange(&want.placement, &want.inventory.members(true));
        let plan = plan.beside(&running);
        let mut handlers = BTreeMap::new();
        for handler in &want.inventory.handlers {
            let mut desired_nodes: Vec<NodeName> = plan.nodes_of(&handler.name).cloned().collect();
            if desired_nodes.is_empty() {
                desired_nodes.push(NodeName::home());
            }
            let (nodes, state) = self.place(handler, &desired_nodes);
            let place = HandlerPlace {
                node: nodes.first().cloned(),
                desired_node: desired_nodes[0].clone(),
                nodes,
                desired_nodes,
                state: state.to_owned(),
            };
            handlers.insert(handler.name.clone(), place);
        }
        let mut notes = plan::notes(&want.placement, &plan);
        notes.extend(idle(&want.placement, &plan, &want.inventory));
        let actual_generation = self.actual.as_ref().map_or(0, |actual| actual.generation);
        // A handler that waits for an import is no unfinished business of placement.
        let all_serve = handlers
            .values()
            .all(|place| matches!(place.state.as_str(), "serving" | "waiting"));
        let settled = self.moving.is_none() && actual_generation == want.generation && all_serve;
        let given_up = self
            .given_up
            .as_ref()
            .filter(|(generation, _)| *generation == want.generation);
        let reasons: Vec<&str> = given_up
            .map(|(_, reason)| reason)
            .into_iter()
            .chain(&self.left_out)
            .map(String::as_str)
            .collect();
        let error = (!reasons.is_empty()).then(|| reasons.join("; "));
        self.status.send_if_modified(|status| {
            let next = PlacementStatus {
                generation: want.generation,
                actual_generation,
                desired: want.placement,
                actual: self
                    .actual
                    .as_ref()
                    .map(|actual| actual.placement.clone())
                    .unwrap_or_default(),
                settled,
                file: status.file.clone(),
                handlers,
                notes,
                error,
            };
            let changed = *status != next;
            *status = next;
            changed
        });
    }

    fn place(&self, handler: &Deployed, desired: &[NodeName]) -> (Vec<NodeName>, &'static str) {
        let actual = self.actual.as_ref();
        let nodes = actual.and_then(|actual| actual.places.get(&handler.name));
        let nodes = nodes.cloned().unwrap_or_default();
        let serves = |node: &&NodeName| {
            let at = (handler.name.clone(), (*node).clone());
            let is_broken = actual.is_some_and(|actual| actual.broken.contains_key(&at));
            let serving = self.serving.get(*node);
            let is_up = **node == NodeName::home()
                || serving.is_some_and(|serving| matches!(serving.health, Health::Up));
            is_up && !is_broken
        };
        let serving = nodes.iter().filter(serves).count();
        let is_moving = self.moving.is_some();
        let state = match serving {
            _ if handler.waiting => "waiting",
            0 if nodes.is_empty() && is_moving => "starting",
            0 => "down",
            _ if serving < nodes.len() => "degraded",
            _ if is_moving && nodes != desired => "moving",
            _ => "serving",
        };
        (nodes, state)
    }
}
