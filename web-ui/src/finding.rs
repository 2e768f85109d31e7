//! Findings: the sentence that a page says before it shows anything.

use protocol::api::edges::Edge;
use protocol::api::handlers::{Handler, HandlerState};
use protocol::api::nodes::{Node, NodeState};
use protocol::api::placement::{Mode, Placement, PlacementStatus};
use protocol::api::rows::TraceHead;
use protocol::api::traces::TraceSummary;
use protocol::{HandlerName, Rung, Transport, Way};

use crate::format;

/// A trace's title: `POST /cart/checkout, 9.42 ms`, or that it failed.
pub fn trace_title(summary: &TraceSummary) -> String {
    let duration = format::duration(summary.duration_ns);
    match (&summary.error, summary.errors) {
        (Some(_), _) => format!("{} failed after {duration}", summary.name),
        (None, 0) => format!("{}, {duration}", summary.name),
        (None, errors) => format!(
            "{}, {duration}, although {} failed",
            summary.name,
            format::plural(u64::from(errors), "step", "steps")
        ),
    }
}

/// What the critical path is made of: the largest share, what it waited for, and how much of it was travel.
pub fn critical_path(head: &TraceHead) -> Option<String> {
    let whole = head.shares.iter().map(|share| share.ns).sum::<u64>() + head.travel_ns;
    let top = head.shares.first()?;
    // The queue's part of a caller's path is not waiting in the queue: it is the message on its way to the disk.
    let top_words = match top.handler.as_str() {
        "queue" => "writing a message to disk",
        "state" => "reading and writing state",
        name => name,
    };
    let mut text = format!(
        "{} of it is {top_words}",
        format::percent(top.ns as f64, whole as f64)
    );
    if top.wait_ns * 20 > top.ns {
        text.push_str(&format!(
            ", of which {} waited for an instance",
            format::duration(top.wait_ns)
        ));
    }
    if head.travel_ns > 0 {
        text.push_str(&format!(
            "; {} is calls on their way between nodes",
            format::percent(head.travel_ns as f64, whole as f64)
        ));
    }
    text.push('.');
    Some(text)
}

/// What is searched for within a trace: a query as it is, or the spans that have a word in a name.
pub fn find_query(text: &str) -> String {
    if text.contains('{') {
        return text.to_owned();
    }
    if text.contains(['=', '<', '>', '~']) {
        return format!("{{ {text} }}");
    }
    let word = text.replace(['"', '\\'], "*");
    format!("{{ handler =~ \"{word}\" || name =~ \"{word}\" }}")
}

/// Something that is wrong, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ailment {
    /// The handler that is sick.
    pub handler: HandlerName,
    /// `payment is failing`.
    pub title: String,
    /// In one or two words, for its box on the map.
    pub brief: String,
    /// What happens, why, what to do.
    pub sentence: String,
    /// Whether calls fail; else it deserves a look.
    pub bad: bool,
}

/// What is wrong with whom, the worst first; one per handler.
pub fn ailments(handlers: &[Handler], nodes: &[Node], edges: &[Edge]) -> Vec<Ailment> {
    let mut found: Vec<Ailment> = handlers
        .iter()
        .filter_map(|handler| ailment(handler, nodes, edges))
        .collect();
    found.sort_by_key(|ailment| !ailment.bad);
    found
}

fn ailment(handler: &Handler, nodes: &[Node], edges: &[Edge]) -> Option<Ailment> {
    let name = &handler.name;
    let make = |title: String, brief: &str, sentence: String, bad| {
        Some(Ailment {
            handler: name.clone(),
            title,
            brief: brief.to_owned(),
            sentence,
            bad,
        })
    };
    let rates = edges
        .iter()
        .filter(|edge| edge.callee == *name)
        .fold((0.0, 0.0), |sum, edge| {
            (sum.0 + edge.rate_per_s, sum.1 + edge.error_rate_per_s)
        });
    let failing = (rates.1 > 0.0).then(|| {
        format!(
            "{} of its {} fail.",
            format::percent(rates.1, rates.0.max(rates.1)),
            format::rate(rates.0.max(rates.1)).replace("/s", " calls/s")
        )
    });
    let and_failing = failing
        .clone()
        .map_or_else(String::new, |failing| format!(" {failing}"));
    match &handler.state {
        HandlerState::Down { reason } => {
            return make(
                format!("{name} is down"),
                "down",
                format!("{}.{and_failing}", sentence_case(reason)),
                true,
            );
        }
        HandlerState::Rejected { reason, remedy } => {
            let text = format!("{}. {}.", sentence_case(reason), sentence_case(remedy));
            return make(format!("{name} was rejected"), "rejected", text, false);
        }
        HandlerState::Waiting { on } => {
            let on: Vec<&str> = on.iter().map(|interface| interface.as_str()).collect();
            let text = format!(
                "Nobody serves {}. Drop a component that exports it into the handlers folder and {name} starts by itself.",
                format::list(&on)
            );
            return make(format!("{name} is waiting"), "waiting", text, false);
        }
        HandlerState::Serving | HandlerState::Loading => {}
    }
    let down = nodes
        .iter()
        .find(|node| node.state == NodeState::Down && node.handlers.contains(name));
    if let Some(node) = down {
        let why = node.last_error.as_deref().map_or_else(
            || "It starts again by itself.".to_owned(),
            |error| format!("{}. It starts again by itself.", sentence_case(error)),
        );
        return make(
            format!("{name} is down"),
            "node down",
            format!("{why}{and_failing}"),
            true,
        );
    }
    failing.and_then(|failing| make(format!("{name} is failing"), "failing", failing, true))
}

/// What the placement does: `10 handlers on 11 nodes`, `moving apart: 7 of 10 handlers are there`.
pub fn placement(status: &PlacementStatus, nodes: &[Node]) -> String {
    if status.settled {
        let mut used: Vec<_> = status
            .handlers
            .values()
            .flat_map(|place| place.node.iter().chain(&place.nodes))
            .collect();
        used.sort();
        used.dedup();
        return format!(
            "{} on {}",
            format::plural(status.handlers.len() as u64, "handler", "handlers"),
            format::plural(used.len() as u64, "node", "nodes")
        );
    }
    let there = status.handlers.values().filter(|place| place.is_there()).count();
    let starting = nodes
        .iter()
        .filter(|node| node.state == NodeState::Starting)
        .count();
    let mut text = format!(
        "Moving {}: {there} of {} are in place",
        mode(status.desired.mode),
        format::plural(status.handlers.len() as u64, "handler", "handlers")
    );
    if starting > 0 {
        text.push_str(&format!(
            ", {} starting",
            format::plural(starting as u64, "node", "nodes")
        ));
    }
    text
}

/// The map's title where nothing is wrong.
pub fn map_title(status: &PlacementStatus) -> String {
    let count = format::plural(status.handlers.len() as u64, "handler", "handlers");
    if status.settled && status.actual.mode == Mode::Groups {
        format!("{count} in groups")
    } else if status.settled {
        format!("{count} {}", mode(status.actual.mode))
    } else {
        format!("{count} on their way: {}", mode(status.desired.mode))
    }
}

/// A placement's name.
pub fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Together => "together",
        Mode::Apart => "apart",
        Mode::Groups => "groups",
    }
}

/// A placement in a few words: its name, how calls go where not as usual, and how many nodes serve a handler where not one.
pub fn wish(placement: &Placement) -> String {
    let mut words = mode(placement.mode).to_owned();
    if !placement.way().is_silent() {
        words.push_str(&format!(" by {}", placement.way()));
    }
    for (handler, replicas) in &placement.replicas {
        words.push_str(&format!(", {handler} ×{replicas}"));
    }
    for (edge, way) in &placement.edges {
        words.push_str(&format!(", {edge} by {way}"));
    }
    words
}

/// What is done to an edge's way beside its transport: `+2ms`; or what is asked for and has no effect.
pub fn way_words(edge: &Edge) -> Option<String> {
    let asked = edge.asked?;
    let course = asked.course();
    if edge.transport == Transport::Queue {
        return None;
    }
    if edge.transport.is_between_nodes() {
        let shaping = Way {
            transport: None,
            ..asked
        };
        return (!shaping.is_silent()).then(|| format!("+{shaping}"));
    }
    let is_idle = asked.transport.is_some_and(Rung::is_between_nodes) || !course.shaping.is_none();
    is_idle.then(|| format!("({asked} is idle)"))
}

/// Makes a fragment the beginning of a sentence; its own full stop is dropped.
pub fn sentence_case(text: &str) -> String {
    let text = text.trim_end_matches('.');
    // A file's or an interface's name stays as it is.
    let first = text.split(' ').next().unwrap_or_default();
    if first.contains(|c: char| !c.is_alphabetic() && c != ',') {
        return text.to_owned();
    }
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_searched_for_in_names_and_a_condition_is_a_query() {
        assert_eq!(find_query("cart"), "{ handler =~ \"cart\" || name =~ \"cart\" }");
        assert_eq!(find_query("status = error"), "{ status = error }");
        assert_eq!(find_query("{ duration > 5ms }"), "{ duration > 5ms }");
    }

    use protocol::api::handlers::Figures;
    use protocol::{InterfaceName, TraceId};

    fn handler(name: &str, state: HandlerState) -> Handler {
        Handler {
            name: HandlerName::parse(name).unwrap(),
            file: None,
            state,
            version: String::new(),
            size_bytes: 0,
            compile_ms: 0,
            refused: None,
            since_unix_ms: None,
            http: false,
            policy: None,
            engine: None,
            exports: Vec::new(),
            imports: Vec::new(),
            limits: Default::default(),
            grants: Default::default(),
            nodes: Vec::new(),
            figures: Figures::default(),
            warnings: Vec::new(),
        }
    }

    fn edge(callee: &str, rate: f64, errors: f64) -> Edge {
        Edge {
            caller: HandlerName::parse("checkout").unwrap(),
            callee: HandlerName::parse(callee).unwrap(),
            interface: InterfaceName::parse("shop:payment/payment").unwrap(),
            transport: Transport::Quic,
            asked: None,
            calls: 1,
            errors: 0,
            errs: 0,
            rate_per_s: rate,
            error_rate_per_s: errors,
            bytes_in: 0,
            bytes_out: 0,
            latency_ns: protocol::api::edges::Latency::default(),
            queue: None,
        }
    }

    fn summary(errors: u32, error: Option<&str>) -> TraceSummary {
        TraceSummary {
            trace_id: TraceId(1),
            name: "POST /cart/checkout".to_owned(),
            handler: HandlerName::parse("frontend").unwrap(),
            start_unix_ns: 0,
            duration_ns: 9_420_000,
            spans: 10,
            errors,
            nodes: 8,
            handlers: Vec::new(),
            placement: "apart".to_owned(),
            error: error.map(str::to_owned),
            missing: 0,
        }
    }

    #[test]
    fn a_title_says_how_it_ended() {
        assert_eq!(trace_title(&summary(0, None)), "POST /cart/checkout, 9.42 ms");
        assert_eq!(
            trace_title(&summary(2, None)),
            "POST /cart/checkout, 9.42 ms, although 2 steps failed"
        );
        assert_eq!(
            trace_title(&summary(1, Some("x"))),
            "POST /cart/checkout failed after 9.42 ms"
        );
    }

    #[test]
    fn the_sick_are_named_worst_first() {
        let waiting = HandlerState::Waiting {
            on: vec![InterfaceName::parse("shop:tax/tax").unwrap()],
        };
        let handlers = [
            handler("cart", HandlerState::Serving),
            handler("tax", waiting),
            handler("payment", HandlerState::Serving),
        ];
        let found = ailments(
            &handlers,
            &[],
            &[edge("payment", 21.0, 9.0), edge("cart", 100.0, 0.0)],
        );
        let titles: Vec<&str> = found.iter().map(|ailment| ailment.title.as_str()).collect();
        assert_eq!(titles, ["payment is failing", "tax is waiting"]);
        assert_eq!(found[0].sentence, "43 % of its 21 calls/s fail.");
        assert!(found[1].sentence.starts_with("Nobody serves shop:tax/tax."));
    }

    #[test]
    fn a_sentence_leaves_names_as_they_are() {
        assert_eq!(sentence_case("node payment is down."), "Node payment is down");
        assert_eq!(
            sentence_case("notes.wasm is no component"),
            "notes.wasm is no component"
        );
        assert_eq!(sentence_case(""), "");
    }

    #[test]
    fn a_dead_handler_says_why() {
        let down = handler(
            "payment",
            HandlerState::Down {
                reason: "node payment was killed by signal 9".to_owned(),
            },
        );
        let found = ailments(&[down], &[], &[]);
        assert_eq!(found[0].sentence, "Node payment was killed by signal 9.");
        assert!(found[0].bad);
    }
}
