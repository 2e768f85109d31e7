//! `Merged`: what all nodes counted, at home.
//!
//! A node's figures are whole since its start, so the newest replace the ones before. When a node starts again, what
//! its earlier incarnation counted moves to the past and stays; a node that ends keeps its place, so that figures that
//! arrive late still count once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use protocol::api::edges::Edge;
use protocol::control::EdgeFigures;
use protocol::{NodeName, Transport};

use super::cell::{Counts, EdgeCell};
use super::rate::Rate;
use super::{EDGES_MAX, EdgeKey, Latencies};

/// Everything that home knows beside its own cells.
#[derive(Debug, Default)]
pub(super) struct Merged {
    nodes: HashMap<NodeName, NodeFigures>,
    edges: HashMap<EdgeKey, MergedEdge>,
}

#[derive(Debug, Default)]
struct NodeFigures {
    incarnation: u64,
    edges: HashMap<EdgeKey, EdgeFigures>,
}

/// What is kept of an edge that was seen anywhere.
#[derive(Debug, Default)]
struct MergedEdge {
    /// What ended incarnations counted.
    past: Option<Box<Counts>>,
    /// The way the last call went, where that was said.
    transport: Option<Transport>,
    /// Home's own calls when its transport was last looked at.
    own_calls: u64,
    rate: Rate,
}

impl Merged {
    pub(super) fn take(&mut self, node: &NodeName, incarnation: u64, figures: Vec<EdgeFigures>) {
        let known = self.nodes.entry(node.clone()).or_default();
        if incarnation < known.incarnation {
            return;
        }
        if incarnation > known.incarnation {
            let ended = std::mem::take(&mut known.edges);
            known.incarnation = incarnation;
            for (key, figures) in ended {
                let edge = self.edges.entry(key).or_default();
                add(edge.past.get_or_insert_default(), &figures);
            }
        }
        for figures in figures {
            let key = EdgeKey {
                caller: figures.caller.clone(),
                callee: figures.callee.clone(),
                interface: figures.interface.clone(),
            };
            let calls_before = known.edges.get(&key).map_or(0, |before| before.calls);
            let is_new = !self.edges.contains_key(&key);
            if figures.calls <= calls_before || (is_new && self.edges.len() >= EDGES_MAX) {
                continue;
            }
            self.edges.entry(key.clone()).or_default().transport = Some(figures.transport);
            known.edges.insert(key, figures);
        }
    }

    /// Looks at every counter, for the rates.
    pub(super) fn sample(&mut self, cells: &BTreeMap<EdgeKey, Arc<EdgeCell>>, unix_ns: u64) {
        for (key, cell) in cells {
            let (calls, _) = cell.calls_and_errors();
            let edge = self.edges.entry(key.clone()).or_default();
            if calls > edge.own_calls {
                edge.own_calls = calls;
                edge.transport = Some(cell.transport());
            }
        }
        let sums: Vec<(EdgeKey, (u64, u64))> = self
            .edges
            .keys()
            .map(|key| (key.clone(), self.calls_and_errors(cells, key)))
            .collect();
        for (key, (calls, errors)) in sums {
            if let Some(edge) = self.edges.get_mut(&key) {
                edge.rate.look(unix_ns, calls, errors);
            }
        }
    }

    pub(super) fn snapshot(&mut self, cells: &BTreeMap<EdgeKey, Arc<EdgeCell>>, unix_ns: u64) -> Vec<Edge> {
        self.sample(cells, unix_ns);
        let keys: BTreeSet<&EdgeKey> = self.edges.keys().collect();
        keys.into_iter()
            .map(|key| self.edge(cells, key, unix_ns))
            .filter(|edge| edge.calls > 0)
            .collect()
    }

    pub(super) fn latencies(
        &mut self,
        cells: &BTreeMap<EdgeKey, Arc<EdgeCell>>,
        unix_ns: u64,
    ) -> Vec<(EdgeKey, Latencies)> {
        self.sample(cells, unix_ns);
        let keys: BTreeSet<&EdgeKey> = self.edges.keys().collect();
        keys.into_iter()
            .map(|key| (key.clone(), self.counts(cells, key).latency.non_empty()))
            .filter(|(_, latencies)| !latencies.is_empty())
            .collect()
    }

    /// Everything counted along each edge so far, with the way its last call went.
    pub(super) fn counted(
        &self,
        cells: &BTreeMap<EdgeKey, Arc<EdgeCell>>,
    ) -> Vec<(EdgeKey, Counts, Transport)> {
        let keys: BTreeSet<&EdgeKey> = self.edges.keys().collect();
        keys.into_iter()
            .map(|key| (key.clone(), self.counts(cells, key), self.transport(key)))
            .collect()
    }

    fn transport(&self, key: &EdgeKey) -> Transport {
        let known = self.edges.get(key).and_then(|edge| edge.transport);
        known.unwrap_or(Transport::Direct)
    }

    /// What all nodes counted of an edge, now and before.
    fn counts(&self, cells: &BTreeMap<EdgeKey, Arc<EdgeCell>>, key: &EdgeKey) -> Counts {
        let mut counts = cells.get(key).map(|cell| cell.counts()).unwrap_or_default();
        if let Some(past) = self.edges.get(key).and_then(|edge| edge.past.as_deref()) {
            counts.errors += past.errors;
            counts.errs += past.errs;
            counts.bytes_in += past.bytes_in;
            counts.bytes_out += past.bytes_out;
            counts.latency.merge(&past.latency);
        }
        for node in self.nodes.values() {
            if let Some(figures) = node.edges.get(key) {
                add(&mut counts, figures);
            }
        }
        counts
    }

    fn edge(&self, cells: &BTreeMap<EdgeKey, Arc<EdgeCell>>, key: &EdgeKey, unix_ns: u64) -> Edge {
        let counts = self.counts(cells, key);
        let known = self.edges.get(key);
        let (calls, errors) = self.calls_and_errors(cells, key);
        let (rate_per_s, error_rate_per_s) =
            known.map_or((0.0, 0.0), |edge| edge.rate.per_second(unix_ns, calls, errors));
        Edge {
            caller: key.caller.clone(),
            callee: key.callee.clone(),
            interface: key.interface.clone(),
            transport: self.transport(key),
            calls: counts.calls(),
            errors: counts.errors,
            errs: counts.errs,
            rate_per_s,
            error_rate_per_s,
            bytes_in: counts.bytes_in,
            bytes_out: counts.bytes_out,
            latency_ns: counts.latency.latency(),
            queue: None,
            asked: None,
        }
    }

    fn calls_and_errors(&self, cells: &BTreeMap<EdgeKey, Arc<EdgeCell>>, key: &EdgeKey) -> (u64, u64) {
        let own = cells.get(key).map_or((0, 0), |cell| cell.calls_and_errors());
        let past = self
            .edges
            .get(key)
            .and_then(|edge| edge.past.as_deref())
            .map_or((0, 0), |past| (past.calls(), past.errors));
        let nodes = self
            .nodes
            .values()
            .filter_map(|node| node.edges.get(key))
            .fold((0, 0), |(calls, errors), figures| {
                (calls + figures.calls, errors + figures.errors)
            });
        (own.0 + past.0 + nodes.0, own.1 + past.1 + nodes.1)
    }
}

fn add(counts: &mut Counts, figures: &EdgeFigures) {
    counts.errors += figures.errors;
    counts.errs += figures.errs;
    counts.bytes_in += figures.bytes_in;
    counts.bytes_out += figures.bytes_out;
    for (ns, count) in &figures.latency_ns {
        counts.latency.add(*ns, *count);
    }
}
