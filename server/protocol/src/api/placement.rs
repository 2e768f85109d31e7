//! `placement`: desired and actual, and what each handler and node does on the way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::{HandlerName, NodeName};

/// Which handlers share a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// All in home's process.
    #[default]
    Together,
    /// One child node per handler.
    Apart,
    /// One child node per group; the rest in home.
    Groups,
}

/// A placement: `PUT placement`, and `[placement]` of `cleave.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// Together, apart or groups.
    pub mode: Mode,
    /// The groups, with `mode = "groups"`; handlers named in none stay in home.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Vec<HandlerName>>,
}

/// `PUT placement` → 202.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Wait until `GET placement` reports this generation as actual.
    pub generation: u64,
}

/// `GET placement`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlacementStatus {
    /// The number of the desired placement; each accepted change adds one.
    pub generation: u64,
    /// The newest generation that is in force.
    pub actual_generation: u64,
    /// What was asked for.
    pub desired: Placement,
    /// What is in force.
    pub actual: Placement,
    /// Whether actual is desired and every handler serves.
    pub settled: bool,
    /// What `cleave.toml` says; it wins at the next start.
    pub file: Placement,
    /// Where each handler is.
    pub handlers: BTreeMap<HandlerName, HandlerPlace>,
    /// Why the last change did not come about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Where a handler is, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandlerPlace {
    /// The node that serves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeName>,
    /// The node that shall serve it.
    pub desired_node: NodeName,
    /// `serving`, `starting`, `moving`, `waiting`, `down`.
    pub state: String,
}
