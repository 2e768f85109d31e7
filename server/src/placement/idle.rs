//! What a placement asks of the way of calls and does not get, in words: a transport between nodes for calls that do not
//! leave theirs, and the other way round. Pure.

use protocol::api::placement::Placement;
use protocol::{EdgeName, HandlerName, InterfaceName, NodeName, Rung, Way, builtin};

use super::plan::Plan;
use super::routes::Inventory;

/// One note for each wish that has no effect.
pub fn idle(placement: &Placement, plan: &Plan, inventory: &Inventory) -> Vec<String> {
    let all = of_all(placement.way(), plan);
    let edges = placement.edges.iter();
    let of_edges = edges.filter_map(|(edge, way)| {
        let reason = of_edge(edge, *way, plan, inventory)?;
        Some(format!("the way `{way}` of the edge `{edge}` is idle: {reason}"))
    });
    all.into_iter().chain(of_edges).collect()
}

fn of_all(way: Way, plan: &Plan) -> Option<String> {
    let is_alone = plan.children().is_empty();
    if is_alone && is_for_between(way) {
        return Some(format!(
            "`{way}` is idle: no call between handlers leaves its node"
        ));
    }
    let shares = plan.nodes.iter().any(|node| node.handlers.len() > 1);
    let is_codec = way.transport == Some(Rung::Codec);
    (is_codec && !shares).then(|| "`codec` is idle: no two handlers share a node".to_owned())
}

/// Whether a wish says something of calls between nodes.
fn is_for_between(way: Way) -> bool {
    way.transport.is_some_and(Rung::is_between_nodes) || !way.course().shaping.is_none()
}

fn of_edge(edge: &EdgeName, way: Way, plan: &Plan, inventory: &Inventory) -> Option<String> {
    let queued = inventory
        .queued
        .iter()
        .any(|queued| edge.is_of(&queued.caller, &queued.interface));
    if queued {
        return Some("its calls go through a queue".to_owned());
    }
    let callers: Vec<NodeName> = plan.nodes_of(&edge.caller).cloned().collect();
    if callers.is_empty() {
        return Some(format!("`{}` is not served", edge.caller));
    }
    let Some(callees) = callees(edge, plan, inventory) else {
        return Some(format!("nobody serves `{}`", edge.interface));
    };
    let stays = callers == callees;
    if stays && is_for_between(way) {
        let node = callers.first().map_or("home", NodeName::as_str);
        return Some(format!("its calls stay on node `{node}`"));
    }
    let is_for_inside = way.transport.is_some_and(|rung| !rung.is_between_nodes());
    let leaves = !callers.iter().any(|node| callees.contains(node));
    (leaves && is_for_inside && way.course().shaping.is_none())
        .then(|| "its calls go from node to node".to_owned())
}

/// The nodes that serve what an edge calls.
fn callees(edge: &EdgeName, plan: &Plan, inventory: &Inventory) -> Option<Vec<NodeName>> {
    if built_in(&edge.interface).is_some() {
        return Some(vec![NodeName::home()]);
    }
    let mut providers = inventory.interfaces.iter();
    let served = providers.find(|served| edge.interface.stands_for(&served.interface))?;
    let callee = served.providers.iter().find(|name| **name != edge.caller)?;
    Some(plan.nodes_of(callee).cloned().collect())
}

/// The built-in interface that a rule means, and who serves it.
pub(super) fn built_in(interface: &InterfaceName) -> Option<(InterfaceName, HandlerName)> {
    let built_ins = [
        (builtin::state::INTERFACE, HandlerName::state()),
        (builtin::queue::INTERFACE, HandlerName::queue()),
    ];
    let named = built_ins.into_iter().map(|(name, handler)| {
        let name = InterfaceName::parse(name).expect("the constant is an interface name");
        (name, handler)
    });
    named.into_iter().find(|(name, _)| interface.stands_for(name))
}

#[cfg(test)]
mod tests {
    use protocol::api::placement::Mode;
    use protocol::control::{InterfaceRoute, Limits, QueuedEdge};
    use protocol::{Grants, QueueName};

    use super::*;
    use crate::placement::plan::plan;
    use crate::placement::routes::Deployed;

    fn handler(name: &str) -> HandlerName {
        HandlerName::parse(name).unwrap()
    }

    fn interface(text: &str) -> InterfaceName {
        InterfaceName::parse(text).unwrap()
    }

    fn inventory() -> Inventory {
        let deployed = |name: &str| Deployed {
            name: handler(name),
            artifact: String::new(),
            http: false,
            limits: Limits::default(),
            grants: Grants::default(),
            calls: Vec::new(),
            bound_to: Vec::new(),
            waiting: false,
        };
        Inventory {
            handlers: ["cart", "checkout", "email"].map(deployed).into(),
            interfaces: ["cart", "email"]
                .map(|name| InterfaceRoute {
                    interface: interface(&format!("shop:{name}/{name}@0.1.0")),
                    providers: vec![handler(name)],
                })
                .into(),
            queued: vec![QueuedEdge {
                caller: handler("checkout"),
                interface: interface("shop:email/email@0.1.0"),
                queue: QueueName::parse("checkout.email").unwrap(),
            }],
            ..Inventory::default()
        }
    }

    fn notes(mode: Mode, all: &str, edges: &[(&str, &str)]) -> Vec<String> {
        let way = |suffix: &str| {
            let words = suffix.split('+').filter(|word| !word.is_empty());
            words.into_iter().try_fold(Way::default(), Way::with).unwrap()
        };
        let edges = edges
            .iter()
            .map(|(edge, rule)| (edge.parse().unwrap(), way(rule)));
        let placement = Placement {
            mode,
            edges: edges.collect(),
            ..Placement::default()
        };
        let placement = placement.by(way(all));
        let inventory = inventory();
        let plan = plan(&placement, &inventory.members(true)).unwrap();
        idle(&placement, &plan, &inventory)
    }

    #[test]
    fn what_fits_has_no_note() {
        assert_eq!(notes(Mode::Together, "codec", &[]), [""; 0]);
        let edges = [
            ("checkout -> shop:cart/cart", "tcp"),
            ("cart -> cleave:state/store", "uds"),
        ];
        assert_eq!(notes(Mode::Apart, "uds+2ms", &edges), [""; 0]);
        assert_eq!(
            notes(Mode::Together, "", &[("checkout -> shop:cart/cart", "codec")]),
            [""; 0]
        );
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_reason() {
        assert_eq!(
            notes(
                Mode::Together,
                "uds+2ms",
                &[("checkout -> shop:cart/cart@0.1.0", "tcp")]
            ),
            [
                "`uds+2ms` is idle: no call between handlers leaves its node",
                "the way `tcp` of the edge `checkout -> shop:cart/cart@0.1.0` is idle: its calls stay on node `home`"
            ]
        );
        let edges = [
            ("checkout -> shop:cart/cart", "codec"),
            ("checkout -> shop:email/email", "tcp"),
            ("checkout -> shop:ship/ship", "tcp"),
        ];
        let of = |edge: &str, way: &str, reason: &str| {
            format!("the way `{way}` of the edge `{edge}` is idle: {reason}")
        };
        assert_eq!(
            notes(Mode::Apart, "codec", &edges),
            [
                "`codec` is idle: no two handlers share a node".to_owned(),
                of(edges[0].0, "codec", "its calls go from node to node"),
                of(edges[1].0, "tcp", "its calls go through a queue"),
                of(edges[2].0, "tcp", "nobody serves `shop:ship/ship`"),
            ]
        );
    }
}
