//! `edges/bill`: what each edge's calls are made of, how much of a request they take, and what another way would cost.

use serde::{Deserialize, Serialize};

use super::edges::EdgeQueue;
use crate::ladder::{Rung, Way};
use crate::name::{HandlerName, InterfaceName};
use crate::span::{CallerStages, Transport};

/// The bill of all edges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bill {
    /// Stored requests that were looked at.
    pub requests: u32,
    /// Stored calls with their stages in them.
    pub calls: u32,
    /// By caller, callee, interface.
    pub edges: Vec<BilledEdge>,
}

/// One edge with what it costs. Counts are of every call since start, the rest is of stored ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BilledEdge {
    /// Who calls.
    pub caller: HandlerName,
    /// Who serves.
    pub callee: HandlerName,
    /// The interface that is called.
    pub interface: InterfaceName,
    /// The way the last call went.
    pub transport: Transport,
    /// What the placement in force asks of the edge's calls, where that is not the usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Way>,
    /// Calls since start.
    pub calls: u64,
    /// Failed calls since start.
    pub errors: u64,
    /// Calls per second over the last ten seconds.
    pub rate_per_s: f64,
    /// Arguments of a call, in bytes, on average.
    pub call_bytes: u64,
    /// The result of a call, in bytes, on average.
    pub reply_bytes: u64,
    /// The median of whole calls, as the caller saw them.
    pub p50_ns: u64,
    /// The 99th percentile of whole calls.
    pub p99_ns: u64,
    /// The queue of a queued edge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<EdgeQueue>,
    /// What stored calls that went the present way say; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<BillSample>,
    /// What carrying a call costs on each rung, or would; empty for queued edges.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rungs: Vec<RungPrice>,
}

/// Stored calls of one edge that went the present way and did not fail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BillSample {
    /// How many.
    pub calls: u32,
    /// In how many requests.
    pub requests: u32,
    /// Calls of a request that has any, on average.
    pub calls_per_request: f64,
    /// The median of each stage.
    pub p50: CallerStages,
    /// The 99th percentile of each stage, by itself.
    pub p99: CallerStages,
    /// The median of what carrying a call took: all of it but the callee's run, its own calls and the wait for an instance.
    pub carried_p50_ns: u64,
    /// The 99th percentile of the same.
    pub carried_p99_ns: u64,
    /// The part of those requests' time during which a call along the edge was under way, 0 to 1.
    pub share: f64,
    /// The part of those requests' time that carrying them took, 0 to 1.
    pub carried_share: f64,
}

/// What carrying a call costs on one rung.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RungPrice {
    /// The rung.
    pub rung: Rung,
    /// Carrying one call, the median.
    pub carried_ns: u64,
    /// What a request gains (below 0) or loses by it, against the present way; 0 where requests are not known.
    pub request_ns: i64,
    /// Where the number is from.
    pub basis: Basis,
    /// The stored calls that it is from; 0 with [`Basis::Ladder`].
    pub calls: u32,
}

/// Where a price is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// Calls of this edge that went this way.
    Edge,
    /// Calls of other edges that went this way: the median of their medians.
    Edges,
    /// Nobody's stored calls went this way: the ladder's bench, as `docs/figures.md` has it.
    Ladder,
}
