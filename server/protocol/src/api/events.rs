//! `events`: the server-sent event stream. Each event's name is the variant in kebab case, its data is the variant's
//! content; a reader that falls behind gets `lagged` and reads the lists again.

use serde::{Deserialize, Serialize};

use super::Status;
use super::edges::Edge;
use super::handlers::Handler;
use super::nodes::Node;
use super::placement::PlacementStatus;
use super::queues::Queue;
use super::traces::TraceSummary;

/// One event; snapshots are whole, so that the last one is enough. Sent when something changed, at most once a second
/// and kind (`placement` and `handlers`: at once; `traces`: ten times a second).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", content = "data", rename_all = "kebab-case")]
pub enum Event {
    /// All handlers.
    Handlers(Vec<Handler>),
    /// All nodes.
    Nodes(Vec<Node>),
    /// All edges.
    Edges(Vec<Edge>),
    /// All queues.
    Queues(Vec<Queue>),
    /// The placement.
    Placement(Box<PlacementStatus>),
    /// Traces whose root ended since the last event, newest last, at most 100.
    Traces(Vec<TraceSummary>),
    /// Counters of the node.
    Status(Status),
    /// The reader fell behind; events were left out.
    Lagged,
}

impl Event {
    /// The event's name on the stream.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Handlers(_) => "handlers",
            Self::Nodes(_) => "nodes",
            Self::Edges(_) => "edges",
            Self::Queues(_) => "queues",
            Self::Placement(_) => "placement",
            Self::Traces(_) => "traces",
            Self::Status(_) => "status",
            Self::Lagged => "lagged",
        }
    }
}
