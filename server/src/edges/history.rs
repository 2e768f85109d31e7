//! `History`: the last hour of each edge in buckets of ten seconds, what became of nodes, and who was where.
//!
//! In memory and gone with the process. Bounded whatever comes: so many edges, each with at most 360 buckets, and so
//! many events; beyond that edges are left out and counted, and the oldest events go. A bucket's percentiles are of the
//! calls that ended in it; children's calls count in the bucket in which home heard of them, some seconds later at most.

use std::collections::{BTreeMap, VecDeque};

use protocol::api::history::{EdgeHistory, History as Answer, NodeChange, NodeEvent, Placed};
use protocol::api::nodes::{Node, NodeState};
use protocol::api::placement::{Mode, PlacementStatus};
use protocol::{HandlerName, NodeName, Transport};

use super::EdgeKey;
use super::cell::Counts;
use super::histogram::{Histogram, middle};

/// The length of a bucket.
const BUCKET_MS: u64 = 10_000;
/// An hour of them.
const BUCKETS_MAX: u64 = 360;
/// Edges that are followed; each takes some 25 KB, so 13 MB in all.
const EDGES_MAX: usize = 512;
/// Events that are kept: a node that dies every few seconds fills an hour.
const EVENTS_MAX: usize = 1_000;
/// Changes of placement that are kept.
const PLACES_MAX: usize = 200;
/// Entries of one answer's lists; with more, its buckets are longer.
const ANSWER_ENTRIES_MAX: u64 = 40_000;

/// What is kept.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The number of the bucket that is open, since the Unix epoch; 0 before the first look.
    open: u64,
    /// The first bucket that was watched as a whole.
    first: u64,
    edges: BTreeMap<EdgeKey, Track>,
    left_out: u32,
    nodes: BTreeMap<NodeName, (u64, NodeState)>,
    events: VecDeque<NodeEvent>,
    places: VecDeque<Placed>,
}

/// One edge.
#[derive(Debug, Default)]
struct Track {
    /// What was counted when the open bucket began.
    before: Histogram,
    errors_before: u64,
    points: VecDeque<Point>,
}

/// One bucket in which an edge was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Point {
    bucket: u64,
    calls: u32,
    errors: u32,
    p50_ns: u64,
    p99_ns: u64,
    transport: Transport,
}

impl History {
    /// Whether a bucket has ended since the last look, so that the counters are worth summing.
    pub(super) fn is_due(&self, unix_ms: u64) -> bool {
        unix_ms / BUCKET_MS > self.open
    }

    /// Closes the open bucket with what the counters say now.
    pub(super) fn close(&mut self, unix_ms: u64, counted: Vec<(EdgeKey, Counts, Transport)>) {
        let is_first = self.open == 0;
        let bucket = self.open;
        self.open = unix_ms / BUCKET_MS;
        if is_first {
            self.first = self.open;
        }
        self.left_out = 0;
        for (key, counts, transport) in counted {
            if self.edges.len() >= EDGES_MAX && !self.edges.contains_key(&key) {
                self.left_out += 1;
                continue;
            }
            let track = self.edges.entry(key).or_default();
            // What was counted before anybody looked belongs to no bucket.
            let point = track.advance(bucket, counts, transport);
            track.points.extend(point.filter(|_| !is_first));
            let oldest = self.open.saturating_sub(BUCKETS_MAX);
            while track.points.front().is_some_and(|point| point.bucket < oldest) {
                track.points.pop_front();
            }
        }
    }

    /// Notes what has become of nodes and of the placement since the last look.
    pub(super) fn note(&mut self, unix_ms: u64, nodes: &[Node], status: &PlacementStatus) {
        for node in nodes {
            let seen = (node.incarnation, node.state);
            let before = self.nodes.insert(node.name.clone(), seen);
            if before == Some(seen) {
                continue;
            }
            // It died and came back between two looks.
            let unseen = before.is_some_and(|(incarnation, state)| {
                incarnation < node.incarnation && state != NodeState::Down && node.state != NodeState::Down
            });
            if unseen {
                self.push(unix_ms, node, NodeChange::Down);
            }
            self.push(unix_ms, node, change(node.state));
        }
        let gone: Vec<NodeName> = self
            .nodes
            .keys()
            .filter(|name| !nodes.iter().any(|node| node.name == **name))
            .cloned()
            .collect();
        for name in gone {
            let incarnation = self.nodes.remove(&name).map_or(0, |(incarnation, _)| incarnation);
            self.remember(NodeEvent {
                unix_ms,
                node: name,
                incarnation,
                change: NodeChange::Gone,
                reason: None,
            });
        }
        let handlers: BTreeMap<HandlerName, NodeName> = status
            .handlers
            .iter()
            .filter_map(|(name, place)| Some((name.clone(), place.node.clone()?)))
            .collect();
        if self.places.back().is_none_or(|last| last.handlers != handlers) {
            self.places.push_back(Placed {
                unix_ms,
                placement: word(status.actual.mode).to_owned(),
                handlers,
            });
            let excess = self.places.len().saturating_sub(PLACES_MAX);
            self.places.drain(..excess);
        }
    }

    fn push(&mut self, unix_ms: u64, node: &Node, change: NodeChange) {
        let reason = node.last_error.clone().filter(|_| change == NodeChange::Down);
        self.remember(NodeEvent {
            unix_ms,
            node: node.name.clone(),
            incarnation: node.incarnation,
            change,
            reason,
        });
    }

    fn remember(&mut self, event: NodeEvent) {
        self.events.push_back(event);
        let excess = self.events.len().saturating_sub(EVENTS_MAX);
        self.events.drain(..excess);
    }

    /// Who was where at a moment, if that is still known.
    pub(super) fn places_at(&self, unix_ms: u64) -> Option<Placed> {
        let before = self.places.iter().rev().find(|placed| placed.unix_ms <= unix_ms);
        before.or_else(|| self.places.front()).cloned()
    }

    /// The last minutes.
    pub(super) fn answer(&self, minutes: u64) -> Answer {
        let wanted = (minutes * 60_000 / BUCKET_MS).min(BUCKETS_MAX);
        let first = self.open.saturating_sub(wanted).max(self.first);
        let count = self.open.saturating_sub(first);
        let edges: Vec<(&EdgeKey, &Track)> = self
            .edges
            .iter()
            .filter(|(_, track)| track.points.iter().any(|point| point.bucket >= first))
            .collect();
        // As many buckets in one as it takes to keep the answer short.
        let factor = (edges.len() as u64 * count).div_ceil(ANSWER_ENTRIES_MAX).max(1);
        let buckets = count.div_ceil(factor);
        let first_unix_ms = first * BUCKET_MS;
        Answer {
            bucket_ms: BUCKET_MS * factor,
            first_unix_ms,
            buckets: u32::try_from(buckets).unwrap_or(u32::MAX),
            edges: edges
                .into_iter()
                .map(|(key, track)| track.show(key, first, (buckets, factor)))
                .collect(),
            left_out: self.left_out,
            events: self
                .events
                .iter()
                .filter(|event| event.unix_ms >= first_unix_ms)
                .cloned()
                .collect(),
            places: self.places.iter().cloned().collect(),
        }
    }
}

impl Track {
    /// The bucket that ends now, if anything was called in it.
    fn advance(&mut self, bucket: u64, counts: Counts, transport: Transport) -> Option<Point> {
        let errors = counts.errors.saturating_sub(self.errors_before);
        self.errors_before = counts.errors;
        let mut since = counts.latency.clone();
        for (now, then) in since.buckets.iter_mut().zip(&self.before.buckets) {
            *now = now.saturating_sub(*then);
        }
        self.before = counts.latency;
        let calls = since.total();
        let at = |permille| since.bucket_at(permille).map_or(0, middle);
        (calls > 0).then(|| Point {
            bucket,
            calls: u32::try_from(calls).unwrap_or(u32::MAX),
            errors: u32::try_from(errors).unwrap_or(u32::MAX),
            p50_ns: at(500),
            p99_ns: at(990),
            transport,
        })
    }

    fn show(&self, key: &EdgeKey, first: u64, (buckets, factor): (u64, u64)) -> EdgeHistory {
        let length = usize::try_from(buckets).unwrap_or_default();
        let last = self
            .points
            .back()
            .map_or(Transport::Direct, |point| point.transport);
        let mut shown = EdgeHistory {
            caller: key.caller.clone(),
            callee: key.callee.clone(),
            interface: key.interface.clone(),
            transports: vec![last; length],
            transport: last,
            calls: vec![0; length],
            errors: vec![0; length],
            p50_ns: vec![0; length],
            p99_ns: vec![0; length],
        };
        for point in self.points.iter().filter(|point| point.bucket >= first) {
            let Ok(at) = usize::try_from((point.bucket - first) / factor) else {
                continue;
            };
            if at >= length {
                continue;
            }
            // Of several buckets in one, the median of the busiest and the worst 99th percentile.
            if point.calls >= shown.calls[at] {
                shown.p50_ns[at] = point.p50_ns;
            }
            shown.p99_ns[at] = shown.p99_ns[at].max(point.p99_ns);
            shown.calls[at] = shown.calls[at].saturating_add(point.calls);
            shown.errors[at] = shown.errors[at].saturating_add(point.errors);
            shown.transports[at] = point.transport;
        }
        if shown.errors.iter().all(|errors| *errors == 0) {
            shown.errors.clear();
        }
        if shown.transports.iter().all(|transport| *transport == last) {
            shown.transports.clear();
        }
        shown
    }
}

fn change(state: NodeState) -> NodeChange {
    match state {
        NodeState::Starting => NodeChange::Starting,
        NodeState::Ready => NodeChange::Ready,
        NodeState::Draining => NodeChange::Draining,
        NodeState::Down => NodeChange::Down,
    }
}

fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::Together => "together",
        Mode::Apart => "apart",
        Mode::Groups => "groups",
    }
}

#[cfg(test)]
mod tests;
