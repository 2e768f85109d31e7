//! `placement`: desired and actual, and what each handler and node does on the way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::edge::EdgeName;
use crate::ladder::{Bandwidth, Delay, Loss, Rung, Way};
use crate::name::{HandlerName, InterfaceName, NodeName};

/// The most nodes that serve one handler.
pub const REPLICAS_MAX: u32 = 16;

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

/// A placement: `PUT placement`, and `[placement]` of `cleave.toml` with the `replicas` of its handlers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// Together, apart or groups.
    pub mode: Mode,
    /// The groups, with `mode = "groups"`; handlers named in none stay in home.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Vec<HandlerName>>,
    /// How many nodes serve a handler, where it is alone on them; those that are not named here have one. `PUT
    /// placement` without it leaves them as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub replicas: BTreeMap<HandlerName, u32>,
    /// The rung by which calls go: `direct` and `codec` are for those that stay on their node, `uds`, `tcp` and `quic` for
    /// the others. Without it `direct` and `quic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Rung>,
    /// What every packet between nodes takes longer, in each direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Delay>,
    /// The most that it takes longer beside that, by chance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Delay>,
    /// The share of packets between nodes that is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
    /// What the way between nodes carries, for each edge and in each direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Bandwidth>,
    /// Edges whose calls go otherwise; what one does not say is as above. `PUT placement` without it leaves them as they
    /// are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub edges: BTreeMap<EdgeName, Way>,
}

impl Placement {
    /// How calls go, unless their edge says otherwise.
    pub fn way(&self) -> Way {
        Way {
            transport: self.transport,
            delay: self.delay,
            jitter: self.jitter,
            loss: self.loss,
            bandwidth: self.bandwidth,
        }
    }

    /// The same with another way.
    #[must_use]
    pub fn by(self, way: Way) -> Self {
        Self {
            transport: way.transport,
            delay: way.delay,
            jitter: way.jitter,
            loss: way.loss,
            bandwidth: way.bandwidth,
            ..self
        }
    }

    /// How the calls along an edge go: by its rule, and what that leaves open as all calls.
    pub fn way_of(&self, caller: &HandlerName, interface: &InterfaceName) -> Way {
        let rules = self.edges.iter();
        let mut of_edge = rules.filter(|(edge, _)| edge.is_of(caller, interface));
        let rule = of_edge.next().map(|(_, way)| *way).unwrap_or_default();
        rule.or(self.way())
    }
}

/// `PATCH placement`: how many nodes shall serve these handlers. All else stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// 1 to [`REPLICAS_MAX`] each.
    pub replicas: BTreeMap<HandlerName, u32>,
}

/// `PUT placement`, `PATCH placement`, `POST nodes/{name}/drain` → 202.
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
    /// What of the desired placement has no effect, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Why the last change did not come about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Where a handler is, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandlerPlace {
    /// The node that serves it; the first of its replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeName>,
    /// The node that shall serve it; the first of its replicas.
    pub desired_node: NodeName,
    /// Every node that serves it.
    #[serde(default)]
    pub nodes: Vec<NodeName>,
    /// Every node that shall serve it.
    #[serde(default)]
    pub desired_nodes: Vec<NodeName>,
    /// `serving`, `starting`, `moving`, `waiting`, `down`, `degraded` (some of its replicas are down).
    pub state: String,
}

impl HandlerPlace {
    /// Whether it serves where it shall, and nowhere else.
    pub fn is_there(&self) -> bool {
        self.state == "serving"
            && self.node.as_ref() == Some(&self.desired_node)
            && self.nodes == self.desired_nodes
    }
}
