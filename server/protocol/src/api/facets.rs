//! `facets`: what the newest traces that filters and a query find are, counted by what they have in common.

use serde::{Deserialize, Serialize};

/// Traces that are counted, at most: the newest.
pub const TRACES_MAX: u32 = 2_000;
/// Traces whose spans are looked into for nodes and edges, at most: the newest of those.
pub const OPENED_MAX: u32 = 500;
/// Values that a facet tells, those of the most traces.
pub const VALUES_MAX: usize = 50;

/// `facets`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facets {
    /// Traces that were counted.
    pub traces: u32,
    /// Whether older ones fit too.
    pub is_cut: bool,
    /// Those among them whose spans were looked into, for `nodes` and `edges`.
    pub opened: u32,
    /// `ok` and `error`.
    pub status: Facet,
    /// By the placement in force.
    pub placements: Facet,
    /// By the handlers that took part.
    pub handlers: Facet,
    /// By the root's name.
    pub names: Facet,
    /// By the nodes that took part.
    pub nodes: Facet,
    /// By the edges that were called along: `checkout -> shop:email/email`.
    pub edges: Facet,
}

/// Values, those of the most traces first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facet {
    /// The values.
    pub values: Vec<FacetValue>,
    /// Further ones.
    pub left_out: u32,
}

/// A value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FacetValue {
    /// As a filter or a query has it.
    pub value: String,
    /// Traces that have it.
    pub count: u32,
}
