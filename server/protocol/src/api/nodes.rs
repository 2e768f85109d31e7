//! `nodes`: the processes.

use serde::{Deserialize, Serialize};

use crate::name::{HandlerName, NodeName};

/// Where a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeState {
    /// Its process runs, it is not ready yet.
    Starting,
    /// It serves.
    Ready,
    /// It finishes what it accepted.
    Draining,
    /// Its process ended; it starts again after a pause.
    Down,
}

/// How long the certificate is good that a node proves its name with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaperDates {
    /// When it was issued.
    pub issued_unix_ms: u64,
    /// When it is replaced.
    pub renewal_unix_ms: u64,
    /// When it ends.
    pub end_unix_ms: u64,
}

/// One `cleave` process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// `home`, or the name of its handler or group.
    pub name: NodeName,
    /// Where it stands.
    pub state: NodeState,
    /// Its process id; 0 while it is down.
    pub pid: u32,
    /// Its QUIC address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Grows by one with each start of its process.
    pub incarnation: u64,
    /// The handlers that it serves.
    pub handlers: Vec<HandlerName>,
    /// When its process started.
    pub started_unix_ms: u64,
    /// CPU time that the process used, in seconds.
    pub cpu_seconds: f64,
    /// Its resident memory.
    pub resident_bytes: u64,
    /// Bytes that it sent to other nodes: UDP payload of QUIC, and what other transports carried.
    pub quic_bytes_sent: u64,
    /// Bytes that it received from them.
    pub quic_bytes_received: u64,
    /// Its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub papers: Option<PaperDates>,
    /// Why it was down last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}
