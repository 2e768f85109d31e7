//! `edges`: caller handler → callee interface, counted over every call, sampled or not.

use serde::{Deserialize, Serialize};

use crate::ladder::Way;
use crate::name::{HandlerName, InterfaceName};
use crate::span::Transport;

/// Latency, in ns, from every call since start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Median.
    pub p50: u64,
    /// 90th percentile.
    pub p90: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile.
    pub p99_9: u64,
    /// The slowest.
    pub max: u64,
}

/// Calls along one edge by one transport.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Edge {
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
    /// Failed calls.
    pub errors: u64,
    /// Calls that ended with the callee's own `err`.
    pub errs: u64,
    /// Calls per second over the last ten seconds.
    pub rate_per_s: f64,
    /// Failed calls per second over the last ten seconds.
    pub error_rate_per_s: f64,
    /// Arguments, in bytes, since start.
    pub bytes_in: u64,
    /// Results, in bytes, since start.
    pub bytes_out: u64,
    /// Latency as the caller saw it.
    pub latency_ns: Latency,
    /// The queue of a queued edge, with what waits in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<EdgeQueue>,
}

/// The queue on an edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeQueue {
    /// Its name.
    pub name: String,
    /// Messages that wait or are leased.
    pub depth: u64,
}
