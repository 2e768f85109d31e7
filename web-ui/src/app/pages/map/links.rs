//! What the map says in its boxes and on its lines.

use leptos::prelude::*;
use protocol::api::edges::Edge;
use protocol::api::handlers::Handler;
use protocol::{HandlerName, Transport};

use crate::app::live::Live;
use crate::finding::Ailment;
use crate::format;

/// What a handler's box says below its name.
pub fn brief(handler: &Handler, waiting: Option<&Ailment>, then: Option<f64>) -> String {
    if let Some(ailment) = waiting {
        return ailment.brief.clone();
    }
    let rate = format::rate(then.unwrap_or(handler.figures.rate_per_s));
    if handler.http {
        format!("{rate} · http")
    } else {
        rate
    }
}

/// Several edges between the same two handlers, as one line.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    pub from: HandlerName,
    pub to: HandlerName,
    pub transport: Transport,
    pub rate: f64,
    pub p50: u64,
    pub p99: u64,
    pub failing: bool,
    pub depth: Option<u64>,
}

impl Link {
    /// The same in words, for who points at it or hears it.
    pub fn title(&self) -> String {
        let Self {
            from,
            to,
            transport,
            rate,
            p50,
            p99,
            ..
        } = self;
        let failing = if self.failing { ", some fail" } else { "" };
        let waiting = self
            .depth
            .map_or_else(String::new, |depth| format!(", {} wait", format::count(depth)));
        format!(
            "{from} → {to} by {}: {}, p50 {}, p99 {}{failing}{waiting}",
            transport.word(),
            format::rate(*rate),
            format::duration(*p50),
            format::duration(*p99),
        )
    }

    pub fn label(&self) -> String {
        match self.depth {
            Some(0) => "queue · empty".to_owned(),
            Some(depth) => format!("queue · {} wait", format::count(depth)),
            None if self.rate <= 0.0 && self.p99 == 0 => String::new(),
            // The usual way within a node goes without saying.
            None => {
                let way = match self.transport {
                    Transport::Direct | Transport::Queue => "",
                    other => other.word(),
                };
                let words = format!("{way} {} · {}", format::rate(self.rate), brief_duration(self.p99));
                words.trim_start().to_owned()
            }
        }
    }
}

/// Two digits are enough on a line.
fn brief_duration(ns: u64) -> String {
    let text = format::duration(ns);
    match text.split_once(' ') {
        Some((number, unit)) if number.len() > 3 && number.contains('.') => {
            let cut = number
                .get(..number.len() - 1)
                .unwrap_or(number)
                .trim_end_matches('.');
            format!("{cut} {unit}")
        }
        _ => text,
    }
}

/// The lines of the map: calls between handlers that are on it.
pub fn links(live: Live, edges: &[Edge]) -> Vec<Link> {
    let known = |name: &HandlerName| {
        live.handlers.with(|list| {
            list.ready()
                .is_some_and(|list| list.iter().any(|handler| handler.name == *name))
        })
    };
    let mut links: Vec<Link> = Vec::new();
    {
        for edge in edges {
            if edge.caller == edge.callee || !known(&edge.caller) || !known(&edge.callee) {
                continue;
            }
            let depth = edge.queue.as_ref().map(|queue| queue.depth);
            let same = links
                .iter_mut()
                .find(|link| link.from == edge.caller && link.to == edge.callee);
            let failing = edge.error_rate_per_s > 0.0;
            match same {
                Some(link) => {
                    link.rate += edge.rate_per_s;
                    link.p50 = link.p50.max(edge.latency_ns.p50);
                    link.p99 = link.p99.max(edge.latency_ns.p99);
                    link.failing |= failing;
                }
                None => links.push(Link {
                    from: edge.caller.clone(),
                    to: edge.callee.clone(),
                    transport: edge.transport,
                    rate: edge.rate_per_s,
                    p50: edge.latency_ns.p50,
                    p99: edge.latency_ns.p99,
                    failing,
                    depth,
                }),
            }
        }
    }
    links.sort_by(|a, b| (&a.from, &a.to).cmp(&(&b.from, &b.to)));
    links
}
