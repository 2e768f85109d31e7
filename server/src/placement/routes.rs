//! Routes: from the nodes that serve to the snapshot that every node gets. Pure.

use std::collections::{BTreeMap, BTreeSet};

use protocol::api::placement::{Mode, Placement};
use protocol::control::{
    Affinity, EdgeCourse, EdgeTimeout, HandlerRoute, InterfaceRoute, Limits, NodeRoute, Permission,
    QueuedEdge, Routes,
};
use protocol::{FunctionPath, Grants, HandlerName, NodeName};

use super::idle::built_in;
use super::plan::{LocalEdge, Member, NodeSpec};

/// The handlers that there are, and how they hang together, wherever they are served.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The handlers.
    pub handlers: Vec<Deployed>,
    /// Providers by interface.
    pub interfaces: Vec<InterfaceRoute>,
    /// Edges that go through a queue.
    pub queued: Vec<QueuedEdge>,
    /// Edges whose calls may take less time than their caller has left.
    pub edge_timeouts: Vec<EdgeTimeout>,
    /// Functions whose calls find their replica by a parameter.
    pub affinities: Vec<Affinity>,
}

/// Who serves what: of each handler its nodes.
pub type Places = BTreeMap<HandlerName, Vec<NodeName>>;

/// The places that nodes give their handlers.
pub fn places<'a>(nodes: impl IntoIterator<Item = &'a NodeSpec>) -> Places {
    let mut places = Places::new();
    for node in nodes {
        for handler in &node.handlers {
            places.entry(handler.clone()).or_default().push(node.name.clone());
        }
    }
    places
}

/// A handler that can be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    /// Its name.
    pub name: HandlerName,
    /// BLAKE3 of its component.
    pub artifact: String,
    /// Whether it answers HTTP.
    pub http: bool,
    /// Its limits.
    pub limits: Limits,
    /// What it may reach.
    pub grants: Grants,
    /// The functions that it may call, wherever they are served.
    pub calls: Vec<FunctionPath>,
    /// Whom it calls by functions that cannot leave the process ([`super::plan::members`]).
    pub bound_to: Vec<LocalEdge>,
    /// Whether an import of it has no provider: it has a place, and is not served yet.
    pub waiting: bool,
}

impl Inventory {
    /// The handlers as planning sees them: those that can be served, or the waiting ones too.
    pub fn members(&self, with_waiting: bool) -> Vec<Member> {
        let handlers = self
            .handlers
            .iter()
            .filter(|handler| with_waiting || !handler.waiting);
        handlers
            .map(|handler| Member {
                name: handler.name.clone(),
                bound_to: handler.bound_to.clone(),
            })
            .collect()
    }
}

/// The snapshot: each handler on its nodes, as far as those are known. A node that is down keeps its handlers, so
/// that a call to them ends with `Unreachable` and not with `NotFound`; `nodes` has its last address.
pub fn routes(
    generation: u64,
    placement: &Placement,
    nodes: Vec<NodeRoute>,
    places: &Places,
    inventory: &Inventory,
) -> Routes {
    let known: BTreeSet<&NodeName> = nodes.iter().map(|node| &node.name).collect();
    let mut handlers = Vec::new();
    for handler in &inventory.handlers {
        let nodes = places.get(&handler.name).into_iter().flatten();
        for node in nodes.filter(|node| known.contains(*node)) {
            handlers.push(HandlerRoute {
                name: handler.name.clone(),
                node: node.clone(),
                artifact: handler.artifact.clone(),
                http: handler.http,
                limits: handler.limits,
                grants: handler.grants.clone(),
            });
        }
    }
    let served: BTreeSet<&HandlerName> = handlers.iter().map(|handler| &handler.name).collect();
    let mut interfaces = inventory.interfaces.clone();
    for interface in &mut interfaces {
        interface.providers.retain(|provider| served.contains(provider));
    }
    interfaces.retain(|interface| !interface.providers.is_empty());
    Routes {
        generation,
        placement: mode_word(placement.mode).to_owned(),
        nodes,
        handlers,
        interfaces,
        queued: inventory.queued.clone(),
        edge_timeouts: inventory.edge_timeouts.clone(),
        affinities: inventory.affinities.clone(),
        course: placement.way().course(),
        edge_courses: edge_courses(placement, inventory),
        permissions: permissions(inventory),
    }
}

/// The rules of edges, for each interface that one of them means.
fn edge_courses(placement: &Placement, inventory: &Inventory) -> Vec<EdgeCourse> {
    let mut courses = Vec::new();
    for (edge, way) in &placement.edges {
        let exported = inventory.interfaces.iter().map(|served| &served.interface);
        let meant = exported.filter(|exported| edge.interface.stands_for(exported));
        let built_in = built_in(&edge.interface).map(|(interface, _)| interface);
        for interface in meant.cloned().chain(built_in) {
            courses.push(EdgeCourse {
                caller: edge.caller.clone(),
                interface,
                course: way.or(placement.way()).course(),
            });
        }
    }
    courses
}

/// What each handler may call, those included that are served nowhere now: the last call of one that leaves may still run.
fn permissions(inventory: &Inventory) -> Vec<Permission> {
    let calling = inventory
        .handlers
        .iter()
        .filter(|handler| !handler.calls.is_empty());
    let permissions = calling.map(|handler| Permission {
        caller: handler.name.clone(),
        functions: handler.calls.clone(),
    });
    permissions.collect()
}

/// The mode in a word, as in JSON and in spans.
pub fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Together => "together",
        Mode::Apart => "apart",
        Mode::Groups => "groups",
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use protocol::{InterfaceName, Rung, Way};

    use super::*;

    fn handler(name: &str) -> HandlerName {
        HandlerName::parse(name).unwrap()
    }

    fn deployed(name: &str) -> Deployed {
        Deployed {
            name: handler(name),
            artifact: format!("hash-of-{name}"),
            http: name == "frontend",
            limits: Limits::default(),
            grants: Grants::default(),
            calls: Vec::new(),
            bound_to: Vec::new(),
            waiting: false,
        }
    }

    #[test]
    fn handlers_without_a_known_node_are_not_routed_nor_asked_for_their_interfaces() {
        let inventory = Inventory {
            handlers: vec![deployed("frontend"), deployed("cart"), deployed("email")],
            interfaces: vec![
                InterfaceRoute {
                    interface: InterfaceName::parse("shop:cart/cart@0.1.0").unwrap(),
                    providers: vec![handler("email"), handler("cart")],
                },
                InterfaceRoute {
                    interface: InterfaceName::parse("shop:email/email@0.1.0").unwrap(),
                    providers: vec![handler("email")],
                },
            ],
            ..Inventory::default()
        };
        let nodes = ["home", "cart", "cart-2"].map(|name| NodeRoute {
            name: NodeName::parse(name).unwrap(),
            address: SocketAddr::from(([127, 0, 0, 1], 4_000)),
            incarnation: 1,
        });
        let places = [
            ("frontend", vec!["home"]),
            ("cart", vec!["cart", "cart-2"]),
            ("email", vec!["email"]),
        ];
        let node = |name: &str| NodeName::parse(name).unwrap();
        let places = places.map(|(name, nodes)| (handler(name), nodes.into_iter().map(node).collect()));
        let placement = Placement {
            mode: Mode::Apart,
            ..Placement::default()
        };
        let routes = routes(7, &placement, nodes.to_vec(), &places.into(), &inventory);
        assert_eq!((routes.generation, routes.placement.as_str()), (7, "apart"));
        let served: Vec<_> = routes
            .handlers
            .iter()
            .map(|h| (h.name.as_str(), h.node.as_str(), h.http))
            .collect();
        assert_eq!(
            served,
            [
                ("frontend", "home", true),
                ("cart", "cart", false),
                ("cart", "cart-2", false)
            ]
        );
        assert_eq!(routes.interfaces.len(), 1);
        assert_eq!(routes.interfaces[0].providers, [handler("cart")]);
    }

    #[test]
    fn rules_of_edges_hold_for_the_interfaces_that_they_mean() {
        let inventory = Inventory {
            interfaces: vec![InterfaceRoute {
                interface: InterfaceName::parse("shop:cart/cart@0.1.0").unwrap(),
                providers: vec![handler("cart")],
            }],
            ..Inventory::default()
        };
        let edges = [
            ("frontend -> shop:cart/cart", "tcp"),
            ("email -> cleave:state/store", "2ms"),
            ("frontend -> shop:ad/ad", "uds"),
        ];
        let edges = edges.map(|(edge, way)| (edge.parse().unwrap(), Way::default().with(way).unwrap()));
        let placement = Placement {
            mode: Mode::Apart,
            transport: Some(Rung::Uds),
            edges: edges.into(),
            ..Placement::default()
        };
        let routes = routes(7, &placement, Vec::new(), &Places::new(), &inventory);
        assert_eq!(routes.course.between, Rung::Uds);
        let courses: Vec<_> = routes
            .edge_courses
            .iter()
            .map(|edge| {
                (
                    edge.interface.as_str(),
                    edge.course.between,
                    edge.course.shaping.delay.micros(),
                )
            })
            .collect();
        assert_eq!(
            courses,
            [
                ("cleave:state/store@0.1.0", Rung::Uds, 2_000),
                ("shop:cart/cart@0.1.0", Rung::Tcp, 0)
            ]
        );
    }
}
