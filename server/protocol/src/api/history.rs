//! `edges/history`: the last hour, edge by edge, with what became of nodes and who was where.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::{HandlerName, InterfaceName, NodeName};
use crate::span::Transport;

/// What `edges/history` asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryQuery {
    /// How far back, 1 to 60; 60 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<u32>,
}

/// The past, in buckets of equal length.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The length of a bucket: 10,000, or more where there are many edges.
    pub bucket_ms: u64,
    /// When the first begins.
    pub first_unix_ms: u64,
    /// How many there are; the last has ended.
    pub buckets: u32,
    /// The edges that were called meanwhile, by caller, callee, interface.
    pub edges: Vec<EdgeHistory>,
    /// Edges beyond the most that are followed.
    pub left_out: u32,
    /// What became of nodes, oldest first.
    pub events: Vec<NodeEvent>,
    /// Who was where, whenever it changed, oldest first; the first may be older than the first bucket.
    pub places: Vec<Placed>,
}

/// One edge; each list has an entry for each bucket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EdgeHistory {
    /// Who calls.
    pub caller: HandlerName,
    /// Who serves.
    pub callee: HandlerName,
    /// The interface that is called.
    pub interface: InterfaceName,
    /// The way the last call of each bucket went; empty where it was the same in all.
    pub transports: Vec<Transport>,
    /// The way the last call of the last bucket with calls went.
    pub transport: Transport,
    /// Calls that ended.
    pub calls: Vec<u32>,
    /// Failed calls; empty where none failed.
    pub errors: Vec<u32>,
    /// Median latency; 0 where nothing was called.
    pub p50_ns: Vec<u64>,
    /// 99th percentile.
    pub p99_ns: Vec<u64>,
}

/// What became of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeEvent {
    /// When it was seen.
    pub unix_ms: u64,
    /// The node.
    pub node: NodeName,
    /// Which start of its process.
    pub incarnation: u64,
    /// What.
    pub change: NodeChange,
    /// Why, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What can become of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeChange {
    /// Its process is being started.
    Starting,
    /// It serves.
    Ready,
    /// It finishes what it accepted.
    Draining,
    /// Its process ended unasked; it starts again after a pause.
    Down,
    /// The placement needs it no longer.
    Gone,
}

/// Who was where from then on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// From when.
    pub unix_ms: u64,
    /// `together`, `apart` or `groups`.
    pub placement: String,
    /// Each handler's node, the first of its replicas.
    pub handlers: BTreeMap<HandlerName, NodeName>,
}
