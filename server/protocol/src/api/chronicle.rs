//! `chronicle`: what happened to nodes, handlers and the placement since home's start, the newest first.
//!
//! Kept in memory and bounded; what is older than the bound is gone. What happened to calls is told by traces.

use serde::{Deserialize, Serialize};

use crate::name::{HandlerName, NodeName};

/// The most entries that are kept, and that one page has.
pub const ENTRIES_MAX: usize = 1_000;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Happening {
    /// A node's process started, for the first time or again.
    NodeStarted,
    /// A node serves.
    NodeReady,
    /// A node finishes what it accepted.
    NodeDraining,
    /// A node's process ended as it was told to.
    NodeStopped,
    /// A node's process died; it starts again.
    NodeDied,
    /// Nodes have new certificates.
    PapersRenewed,
    /// A handler has a first or another version.
    HandlerServes,
    /// A handler's file is refused.
    HandlerRefused,
    /// A handler's file is gone.
    HandlerGone,
    /// A placement is in force.
    Placed,
    /// A placement did not come about.
    NotPlaced,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Grows by one with each entry since home's start: the cursor.
    pub number: u64,
    /// When.
    pub unix_ms: u64,
    /// What.
    pub what: Happening,
    /// The node that it happened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeName>,
    /// The handler that it happened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler: Option<HandlerName>,
    /// In words, without a full stop.
    pub text: String,
}

/// What `chronicle` can be narrowed by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChronicleQuery {
    /// Entries of this node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeName>,
    /// Entries of this handler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler: Option<HandlerName>,
    /// Not before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// At most this many, 1 to [`ENTRIES_MAX`]; 100 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The cursor of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
}
