//! The bill of edges in words and bars: what stands out, what sorts by what, what cutting or joining would change.
//!
//! Promises: a predicted number always says what it is based on; a list keeps its order among equals. Not here: how the
//! numbers come about, which is the server's.

use std::cmp::Ordering;

use protocol::api::bill::{Basis, Bill, BilledEdge, RungPrice};
use protocol::{CallerStages, HandlerName, Rung, Transport};

use crate::format;
use crate::steps::{Colour, steps};

/// What the list can be sorted by; each begins with the greatest, names with the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sort {
    /// By name.
    Edge,
    /// Calls per second.
    Rate,
    /// Calls since start.
    Calls,
    /// Bytes of a call and its reply.
    Bytes,
    /// Whole calls, the median.
    P50,
    /// Whole calls, the 99th percentile.
    P99,
    /// Carrying one call.
    Carried,
    /// The part of requests' time.
    #[default]
    Share,
    /// What the change that is offered would do to a request.
    Change,
}

impl Sort {
    /// All of them, with their names in addresses.
    pub const ALL: [(Self, &'static str); 9] = [
        (Self::Edge, "edge"),
        (Self::Rate, "rate"),
        (Self::Calls, "calls"),
        (Self::Bytes, "bytes"),
        (Self::P50, "p50"),
        (Self::P99, "p99"),
        (Self::Carried, "carried"),
        (Self::Share, "share"),
        (Self::Change, "change"),
    ];

    /// Its name in addresses.
    pub fn word(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(sort, _)| *sort == self)
            .map_or("share", |(_, word)| word)
    }

    /// The one of a name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, known)| *known == word)
            .map(|(sort, _)| *sort)
    }
}

/// The edges in an order.
pub fn sorted(bill: &Bill, sort: Sort) -> Vec<&BilledEdge> {
    let mut edges: Vec<&BilledEdge> = bill.edges.iter().collect();
    let key = |edge: &BilledEdge| -> f64 {
        let sample = edge.sample.as_ref();
        match sort {
            Sort::Edge => 0.0,
            Sort::Rate => edge.rate_per_s,
            Sort::Calls => edge.calls as f64,
            Sort::Bytes => (edge.call_bytes + edge.reply_bytes) as f64,
            Sort::P50 => edge.p50_ns as f64,
            Sort::P99 => edge.p99_ns as f64,
            Sort::Carried => sample.map_or(-1.0, |sample| sample.carried_p50_ns as f64),
            Sort::Share => sample.map_or(-1.0, |sample| sample.carried_share),
            Sort::Change => change(edge).map_or(-1.0, |change| change.price.request_ns.unsigned_abs() as f64),
        }
    };
    edges.sort_by(|a, b| key(b).partial_cmp(&key(a)).unwrap_or(Ordering::Equal));
    edges
}

/// The finding: which edge costs requests most.
pub fn headline(bill: &Bill) -> String {
    let dearest = bill
        .edges
        .iter()
        .filter_map(|edge| Some((edge, edge.sample.as_ref()?)))
        .max_by(|a, b| a.1.carried_share.total_cmp(&b.1.carried_share));
    let edges = format::plural(bill.edges.len() as u64, "edge", "edges");
    match dearest {
        Some((edge, sample)) if sample.carried_share >= 0.000_5 => format!(
            "Carrying calls {} → {} costs their requests {}",
            edge.caller,
            edge.callee,
            format::percent(sample.carried_share, 1.0)
        ),
        Some(_) => format!("{edges}, and carrying their calls costs next to nothing"),
        None => format!("{edges}, none with a stored call yet"),
    }
}

/// A part of a stacked bar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// Its hue.
    pub colour: Colour,
    /// What it is, in words.
    pub word: &'static str,
    /// How long.
    pub ns: u64,
}

/// The nine steps gathered by hue, in the order of the legend; empty parts are left out.
pub fn stack(stages: &CallerStages) -> Vec<Part> {
    const WORDS: [(Colour, &str); 6] = [
        (Colour::Lower, "into and out of memory"),
        (Colour::Codec, "packing and unpacking"),
        (Colour::Travel, "on its way"),
        (Colour::Wait, "waiting for an instance"),
        (Colour::Run, "running"),
        (Colour::Outgoing, "its own calls"),
    ];
    let steps = steps(stages, "");
    WORDS
        .into_iter()
        .map(|(colour, word)| Part {
            colour,
            word,
            ns: steps
                .iter()
                .filter(|step| step.colour == colour)
                .map(|step| step.ns)
                .sum(),
        })
        .filter(|part| part.ns > 0)
        .collect()
}

/// What can be done about an edge.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Whether both ends would share a node afterwards.
    pub joins: bool,
    /// Who would move.
    pub mover: HandlerName,
    /// Who it would move to; alone without.
    pub to: Option<HandlerName>,
    /// What carrying a call would cost then.
    pub price: RungPrice,
}

/// The change that an edge offers: joining where it crosses nodes, cutting where it does not; none for queues and where
/// neither end can move.
pub fn change(edge: &BilledEdge) -> Option<Change> {
    let joins = match edge.transport {
        Transport::Queue => return None,
        transport => transport.is_between_nodes(),
    };
    let (mover, other) = match (edge.caller.is_reserved(), edge.callee.is_reserved()) {
        (true, true) => return None,
        (_, false) => (&edge.callee, &edge.caller),
        (false, true) => (&edge.caller, &edge.callee),
    };
    let wanted = edge.asked.and_then(|asked| asked.transport);
    let rung = match wanted {
        Some(rung) if rung.is_between_nodes() != joins => rung,
        _ if joins => Rung::Direct,
        _ => Rung::Quic,
    };
    let price = edge.rungs.iter().find(|price| price.rung == rung)?;
    Some(Change {
        joins,
        mover: mover.clone(),
        to: joins.then(|| other.clone()),
        price: price.clone(),
    })
}

/// What a price is based on.
pub fn basis(price: &RungPrice) -> String {
    match price.basis {
        Basis::Edge => format!(
            "measured: {} of this edge",
            format::plural(price.calls.into(), "call", "calls")
        ),
        Basis::Edges => format!(
            "from {} of other edges",
            format::plural(price.calls.into(), "call", "calls")
        ),
        Basis::Ladder => "from the ladder's bench".to_owned(),
    }
}

/// A difference with its sign: `+152 µs`, `−4.1 ms`, `±0`.
pub fn signed(ns: i64) -> String {
    match ns {
        0 => "±0".to_owned(),
        1.. => format!("+{}", format::duration(ns.unsigned_abs())),
        _ => format!("−{}", format::duration(ns.unsigned_abs())),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use protocol::InterfaceName;
    use protocol::api::bill::BillSample;
    use protocol::span::CalleeStages;

    use super::*;

    pub(crate) fn edge(caller: &str, callee: &str, transport: Transport, carried: u64) -> BilledEdge {
        let rung = |rung, carried_ns, basis, calls| RungPrice {
            rung,
            carried_ns,
            request_ns: carried_ns as i64 - carried as i64,
            basis,
            calls,
        };
        BilledEdge {
            caller: HandlerName::parse(caller).unwrap(),
            callee: HandlerName::parse(callee).unwrap(),
            interface: InterfaceName::parse("shop:cart/cart@0.1.0").unwrap(),
            transport,
            asked: None,
            calls: 100,
            errors: 0,
            rate_per_s: carried as f64,
            call_bytes: 10,
            reply_bytes: 20,
            p50_ns: 1_000,
            p99_ns: 2_000,
            queue: None,
            sample: Some(BillSample {
                calls: 100,
                requests: 50,
                calls_per_request: 2.0,
                p50: CallerStages::default(),
                p99: CallerStages::default(),
                carried_p50_ns: carried,
                carried_p99_ns: carried * 2,
                share: 0.5,
                carried_share: carried as f64 / 1e6,
            }),
            rungs: vec![
                rung(Rung::Direct, 2_000, Basis::Edge, 9),
                rung(Rung::Uds, 60_000, Basis::Ladder, 0),
                rung(Rung::Quic, 150_000, Basis::Edges, 412),
            ],
        }
    }

    fn bill(edges: Vec<BilledEdge>) -> Bill {
        Bill {
            requests: 50,
            calls: 200,
            edges,
        }
    }

    #[test]
    fn the_dearest_edge_is_the_headline() {
        let bill_of = bill(vec![
            edge("frontend", "cart", Transport::Direct, 2_000),
            edge("frontend", "currency", Transport::Quic, 310_000),
        ]);
        assert_eq!(
            headline(&bill_of),
            "Carrying calls frontend → currency costs their requests 31 %"
        );
        let cheap = bill(vec![edge("frontend", "cart", Transport::Direct, 100)]);
        assert_eq!(
            headline(&cheap),
            "1 edge, and carrying their calls costs next to nothing"
        );
        assert_eq!(
            headline(&bill(Vec::new())),
            "0 edges, none with a stored call yet"
        );
    }

    #[test]
    fn every_order_begins_with_the_greatest_and_unknown_edges_come_last() {
        let mut quiet = edge("checkout", "email", Transport::Queue, 0);
        quiet.sample = None;
        let bill = bill(vec![
            quiet,
            edge("a", "b", Transport::Direct, 5),
            edge("a", "c", Transport::Quic, 50_000),
        ]);
        for (sort, word) in Sort::ALL {
            assert_eq!(Sort::parse(word), Some(sort));
        }
        let order = |sort| {
            sorted(&bill, sort)
                .iter()
                .map(|edge| edge.callee.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(order(Sort::Edge), ["email", "b", "c"]);
        for sort in [Sort::Share, Sort::Carried, Sort::Rate] {
            assert_eq!(order(sort), ["c", "b", "email"], "{sort:?}");
        }
        assert_eq!(order(Sort::Change), ["b", "c", "email"]);
        assert_eq!(Sort::parse("colour"), None);
    }

    #[test]
    fn what_shares_a_node_can_be_cut_and_what_does_not_be_joined() {
        let cut = change(&edge("frontend", "cart", Transport::Direct, 2_000)).unwrap();
        assert_eq!((cut.joins, cut.mover.as_str(), cut.to), (false, "cart", None));
        assert_eq!(
            (cut.price.rung, basis(&cut.price).as_str()),
            (Rung::Quic, "from 412 calls of other edges")
        );
        let join = change(&edge("frontend", "cart", Transport::Quic, 150_000)).unwrap();
        assert!(join.joins && join.to.unwrap().as_str() == "frontend");
        assert_eq!(basis(&join.price), "measured: 9 calls of this edge");
        assert_eq!(signed(join.price.request_ns), "−148 µs");
        // The platform stays where it is; its caller moves.
        let state = change(&edge("cart", "state", Transport::Direct, 2_000)).unwrap();
        assert_eq!(state.mover.as_str(), "cart");
        assert_eq!(change(&edge("checkout", "email", Transport::Queue, 0)), None);
        let mut asked = edge("frontend", "cart", Transport::Direct, 2_000);
        asked.asked = Some(protocol::Way {
            transport: Some(Rung::Uds),
            ..protocol::Way::default()
        });
        assert_eq!(change(&asked).unwrap().price.rung, Rung::Uds);
    }

    #[test]
    fn a_stack_has_each_hue_once_and_loses_nothing() {
        let stages = CallerStages {
            lift: 1,
            send: 2,
            travel: 9,
            lower: 3,
            callee: CalleeStages {
                total: 30,
                decode: 4,
                wait: 0,
                run: 20,
                outgoing: 0,
                encode: 5,
            },
        };
        let parts = stack(&stages);
        let told: Vec<_> = parts.iter().map(|part| (part.colour, part.ns)).collect();
        assert_eq!(
            told,
            [
                (Colour::Lower, 4),
                (Colour::Codec, 12),
                (Colour::Travel, 9),
                (Colour::Run, 20)
            ]
        );
        assert_eq!(parts.iter().map(|part| part.ns).sum::<u64>(), 1 + 2 + 9 + 3 + 30);
    }
}
