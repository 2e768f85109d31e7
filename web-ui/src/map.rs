//! Changing who shares a node: what a handler dropped somewhere means, the placement that follows, and its price.
//!
//! Promises: a move changes nothing but the one handler's node; a forecast says for each edge that changes what carrying
//! a call costs now, what it would cost, and what that is based on. Not here: the picture, which the server lays out, and
//! the past (`map/past.rs`).

pub mod past;

use std::collections::BTreeMap;

use protocol::api::bill::{Bill, BilledEdge, RungPrice};
use protocol::api::map::Picture;
use protocol::api::placement::{Mode, Placement, PlacementStatus};
use protocol::{HandlerName, NodeName, Rung, Transport};

use crate::bill::{basis, signed};
use crate::format;

/// One handler's way to another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Who.
    pub handler: HandlerName,
    /// To the node of this handler, or to home by its name; to a node of its own without.
    pub with: Option<HandlerName>,
}

/// Where each handler shall be.
pub type Places = BTreeMap<HandlerName, NodeName>;

/// The places that a placement asks for.
pub fn places(status: &PlacementStatus) -> Places {
    let handlers = status.handlers.iter();
    handlers
        .map(|(name, place)| (name.clone(), place.desired_node.clone()))
        .collect()
}

/// What dropping a handler at a point of the picture means: nothing over its own box, or where it is alone already.
pub fn dropped(picture: &Picture, handler: &HandlerName, (x, y): (f64, f64)) -> Option<Move> {
    let own = &picture.handlers.iter().find(|known| known.name == *handler)?.node;
    let inside = |rect: &protocol::api::map::Rect| {
        x >= rect.x && x <= rect.x + rect.w && y >= rect.y && y <= rect.y + rect.h
    };
    let over = picture.nodes.iter().find(|node| inside(&node.rect));
    let with = match over {
        Some(node) if node.name == *own => return None,
        Some(node) => {
            let mut others = picture.handlers.iter().filter(|other| other.node == node.name);
            Some(others.next()?.name.clone())
        }
        None => {
            let is_alone = picture.handlers.iter().filter(|other| other.node == *own).count() == 1;
            if is_alone && *own != NodeName::home() {
                return None;
            }
            None
        }
    };
    Some(Move {
        handler: handler.clone(),
        with,
    })
}

/// The places after a move; nothing if it names somebody who is not there.
pub fn after(places: &Places, change: &Move) -> Option<Places> {
    let mut after = places.clone();
    let target = match &change.with {
        Some(other) if other.as_str() == NodeName::home().as_str() => NodeName::home(),
        // The platform itself is at home.
        Some(other) if other.is_reserved() => NodeName::home(),
        Some(other) => places.get(other)?.clone(),
        // A name that no other node has; the server gives the node its own.
        None => NodeName::parse(&format!("{}-alone", change.handler)).ok()?,
    };
    *after.get_mut(&change.handler)? = target;
    Some(after)
}

/// The placement that has these places; how calls go stays as it is.
pub fn placement(places: &Places, before: &Placement) -> Placement {
    let home = NodeName::home();
    let mut groups: BTreeMap<&NodeName, Vec<HandlerName>> = BTreeMap::new();
    let mut at_home = 0;
    for (handler, node) in places {
        if *node == home {
            at_home += 1;
        } else {
            groups.entry(node).or_default().push(handler.clone());
        }
    }
    let is_apart = at_home == 0 && groups.values().all(|group| group.len() == 1);
    let (mode, groups) = if groups.is_empty() {
        (Mode::Together, Vec::new())
    } else if is_apart {
        (Mode::Apart, Vec::new())
    } else {
        (Mode::Groups, groups.into_values().collect())
    };
    Placement {
        mode,
        groups,
        ..Placement::default()
    }
    .by(before.way())
}

/// What a move does to one edge.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// Who calls.
    pub caller: HandlerName,
    /// Who serves.
    pub callee: HandlerName,
    /// Calls per second.
    pub rate_per_s: f64,
    /// Carrying a call now; nothing where no call is stored.
    pub now_ns: Option<u64>,
    /// Carrying a call then.
    pub then: RungPrice,
}

impl Effect {
    /// What one call gains or loses.
    pub fn difference(&self) -> i64 {
        self.now_ns
            .map_or(0, |now| self.then.carried_ns as i64 - now as i64)
    }
}

/// What a move does to every edge that it changes, the busiest first.
pub fn effects(bill: &Bill, before: &Places, after: &Places, way: Option<Rung>) -> Vec<Effect> {
    let mut effects: Vec<Effect> = bill
        .edges
        .iter()
        .filter_map(|edge| effect(edge, before, after, way))
        .collect();
    effects.sort_by(|a, b| b.rate_per_s.total_cmp(&a.rate_per_s));
    effects
}

fn effect(edge: &BilledEdge, before: &Places, after: &Places, way: Option<Rung>) -> Option<Effect> {
    if edge.transport == Transport::Queue {
        return None;
    }
    let home = NodeName::home();
    let crosses = |places: &Places| {
        let node = |name: &HandlerName| places.get(name).unwrap_or(&home).clone();
        node(&edge.caller) != node(&edge.callee)
    };
    let (was, is) = (crosses(before), crosses(after));
    if was == is {
        return None;
    }
    let wanted = edge.asked.and_then(|asked| asked.transport).or(way);
    let rung = match wanted {
        Some(rung) if rung.is_between_nodes() == is => rung,
        _ if is => Rung::Quic,
        _ => Rung::Direct,
    };
    Some(Effect {
        caller: edge.caller.clone(),
        callee: edge.callee.clone(),
        rate_per_s: edge.rate_per_s,
        now_ns: edge.sample.as_ref().map(|sample| sample.carried_p50_ns),
        then: edge.rungs.iter().find(|price| price.rung == rung)?.clone(),
    })
}

/// A move in words: `currency alone`, `cart with frontend`.
pub fn move_words(change: &Move) -> String {
    match &change.with {
        Some(other) if other.is_reserved() => format!("{} at home", change.handler),
        Some(other) => format!("{} with {other}", change.handler),
        None => format!("{} alone", change.handler),
    }
}

/// The forecast in a sentence.
pub fn forecast(effects: &[Effect]) -> String {
    let Some(busiest) = effects.first() else {
        return "No edge that was called changes its way.".to_owned();
    };
    let more = match effects.len() - 1 {
        0 => String::new(),
        more => format!(", and {} more", format::plural(more as u64, "edge", "edges")),
    };
    let what = match busiest.now_ns {
        Some(_) => format!("{} a call", signed(busiest.difference())),
        None => format!("{} a call", format::duration(busiest.then.carried_ns)),
    };
    format!(
        "{} → {} by {}: {what}, {}{more} ({}).",
        busiest.caller,
        busiest.callee,
        busiest.then.rung.word(),
        format::rate(busiest.rate_per_s).replace("/s", " calls/s"),
        basis(&busiest.then)
    )
}

/// What was measured since: for each forecast edge that goes the foretold way and has stored calls, carrying one, and of
/// how many calls.
pub fn measured(bill: &Bill, effects: &[Effect]) -> Vec<(usize, u64, u32)> {
    effects
        .iter()
        .enumerate()
        .filter_map(|(at, effect)| {
            let same = |edge: &&BilledEdge| edge.caller == effect.caller && edge.callee == effect.callee;
            let mut edges = bill.edges.iter().filter(same);
            let edge = edges.find(|edge| edge.transport == effect.then.rung.transport())?;
            let sample = edge.sample.as_ref()?;
            Some((at, sample.carried_p50_ns, sample.calls))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use protocol::api::map::{HandlerBox, NodeBox, Rect};

    use super::*;
    use crate::bill::tests::edge;

    fn handler(name: &str) -> HandlerName {
        HandlerName::parse(name).unwrap()
    }

    fn node(name: &str) -> NodeName {
        NodeName::parse(name).unwrap()
    }

    fn at(places: &[(&str, &str)]) -> Places {
        places
            .iter()
            .map(|(name, place)| (handler(name), node(place)))
            .collect()
    }

    fn go(name: &str, with: Option<&str>) -> Move {
        Move {
            handler: handler(name),
            with: with.map(handler),
        }
    }

    #[test]
    fn a_move_changes_one_handler_and_gives_the_plainest_placement() {
        let together = at(&[("cart", "home"), ("catalog", "home"), ("frontend", "home")]);
        let split = after(&together, &go("cart", None)).unwrap();
        let placed = placement(&split, &Placement::default());
        assert_eq!(
            (placed.mode, placed.groups),
            (Mode::Groups, vec![vec![handler("cart")]])
        );
        let back = after(&split, &go("cart", Some("frontend"))).unwrap();
        assert_eq!(placement(&back, &Placement::default()).mode, Mode::Together);

        let apart = at(&[("cart", "cart"), ("catalog", "catalog"), ("frontend", "frontend")]);
        assert_eq!(placement(&apart, &Placement::default()).mode, Mode::Apart);
        let joined = after(&apart, &go("cart", Some("frontend"))).unwrap();
        let placed = placement(&joined, &Placement::default());
        assert_eq!(placed.mode, Mode::Groups);
        assert_eq!(
            placed.groups,
            [
                vec![handler("catalog")],
                vec![handler("cart"), handler("frontend")]
            ]
        );
        // The platform is at home, and so is who joins it.
        let home = after(&apart, &go("cart", Some("state"))).unwrap();
        assert_eq!(home[&handler("cart")], NodeName::home());
        assert_eq!(after(&apart, &go("nobody", None)), None);
        assert_eq!(after(&apart, &go("cart", Some("nobody"))), None);
        let by = Placement {
            transport: Some(Rung::Uds),
            ..Placement::default()
        };
        assert_eq!(placement(&joined, &by).transport, Some(Rung::Uds));
    }

    #[test]
    fn where_it_is_dropped_decides() {
        let rect = |x| Rect {
            x,
            y: 0.0,
            w: 100.0,
            h: 100.0,
        };
        let boxed = |name: &str, place: &str, x| HandlerBox {
            name: handler(name),
            node: node(place),
            rect: rect(x),
        };
        let picture = Picture {
            nodes: vec![
                NodeBox {
                    name: node("home"),
                    rect: rect(0.0),
                },
                NodeBox {
                    name: node("cart"),
                    rect: rect(200.0),
                },
            ],
            handlers: vec![
                boxed("frontend", "home", 10.0),
                boxed("ad", "home", 10.0),
                boxed("cart", "cart", 210.0),
            ],
            ..Picture::default()
        };
        let drop = |name: &str, x: f64| dropped(&picture, &handler(name), (x, 50.0));
        assert_eq!(drop("ad", 50.0), None, "its own box");
        assert_eq!(drop("ad", 250.0), Some(go("ad", Some("cart"))));
        assert_eq!(drop("ad", 500.0), Some(go("ad", None)));
        assert_eq!(drop("cart", 500.0), None, "it is alone already");
        assert_eq!(drop("cart", 50.0), Some(go("cart", Some("frontend"))));
    }

    #[test]
    fn only_edges_that_change_their_way_are_forecast() {
        let bill = Bill {
            requests: 1,
            calls: 1,
            edges: vec![
                edge("frontend", "cart", Transport::Direct, 2_000),
                edge("checkout", "cart", Transport::Direct, 3_000),
                edge("frontend", "catalog", Transport::Direct, 9_000),
            ],
        };
        let before = at(&[
            ("cart", "home"),
            ("catalog", "home"),
            ("checkout", "home"),
            ("frontend", "home"),
        ]);
        let split = after(&before, &go("cart", None)).unwrap();
        let found = effects(&bill, &before, &split, None);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].caller.as_str(), "checkout", "the busiest first");
        assert_eq!(found[0].difference(), 147_000);
        assert_eq!(
            forecast(&found),
            "checkout → cart by quic: +147 µs a call, 3,000 calls/s, and 1 edge more (from 412 calls of other edges)."
        );
        assert_eq!(
            effects(&bill, &before, &split, Some(Rung::Uds))[0].then.rung,
            Rung::Uds
        );
        assert_eq!(forecast(&[]), "No edge that was called changes its way.");
        assert_eq!(measured(&bill, &found), []);
        let then = Bill {
            edges: vec![edge("checkout", "cart", Transport::Quic, 151_000)],
            ..bill
        };
        assert_eq!(measured(&then, &found), [(0, 151_000, 100)]);
    }
}
