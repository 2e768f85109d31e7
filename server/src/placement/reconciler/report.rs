//! The status that the reconciler shows: desired against actual, and where each handler is on the way.

use std::collections::BTreeMap;

use protocol::NodeName;
use protocol::api::placement::{HandlerPlace, PlacementStatus};

use super::{Health, Reconciler};
use crate::placement::fleet::Fleet;
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
            let desired_node = plan
                .node_of(&handler.name)
                .cloned()
                .unwrap_or_else(NodeName::home);
            let (node, state) = self.place(handler, &desired_node);
            let place = HandlerPlace {
                node,
                desired_node,
                state: state.to_owned(),
            };
            handlers.insert(handler.name.clone(), place);
        }
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
                error,
            };
            let changed = *status != next;
            *status = next;
            changed
        });
    }

    fn place(&self, handler: &Deployed, desired: &NodeName) -> (Option<NodeName>, &'static str) {
        let actual = self.actual.as_ref();
        let node = actual
            .and_then(|actual| actual.places.get(&handler.name))
            .cloned();
        let broken = actual.is_some_and(|actual| actual.broken.contains_key(&handler.name));
        let up = |node: &NodeName| {
            let serving = self.serving.get(node);
            *node == NodeName::home() || serving.is_some_and(|serving| matches!(serving.health, Health::Up))
        };
        let state = match &node {
            _ if handler.waiting => "waiting",
            None if self.moving.is_some() => "starting",
            None => "down",
            Some(node) if broken || !up(node) => "down",
            Some(node) if self.moving.is_some() && node != desired => "moving",
            Some(_) => "serving",
        };
        (node, state)
    }
}
