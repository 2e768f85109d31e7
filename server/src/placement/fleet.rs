//! `Fleet`: what the reconciler needs of the nodes, so that it can be tested without processes.

use std::future::Future;
use std::sync::Arc;

use protocol::control::{NodeRoute, Routes};
use protocol::{HandlerName, NodeName};

use super::plan::NodeSpec;

/// The nodes, as the reconciler commands them. Each future may be dropped; the reconciler sets the time limits.
pub trait Fleet: Send + Sync + 'static {
    /// Starts a child node's process and waits until it can be talked to. Dropping the future undoes it.
    fn start(&self, spec: NodeSpec) -> impl Future<Output = Result<NodeRoute, String>> + Send;

    /// Makes a node load what `routes` assign to it, beside what it serves already, and waits until it has. No other
    /// node sees these routes yet, and home does not route by them. Answers the handlers that could not be loaded.
    fn prepare(
        &self,
        node: NodeRoute,
        routes: Arc<Routes>,
    ) -> impl Future<Output = Result<Vec<(HandlerName, String)>, String>> + Send;

    /// Gives every node these routes, those that are about to leave too, and waits until each routes by them or was
    /// given up. A node that serves a handler whose artifact changed loads the new one before it routes by these; it
    /// unloads what is no longer assigned to it, once its accepted calls are done.
    fn publish(&self, routes: Arc<Routes>) -> impl Future<Output = ()> + Send;

    /// Lets a child finish what it accepted, and ends it.
    fn drain(&self, node: NodeName) -> impl Future<Output = ()> + Send;
}

/// What happens to a child's process without a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeEvent {
    /// It can be talked to again, as a new incarnation that has loaded nothing yet.
    Up(NodeRoute),
    /// It ended.
    Down {
        /// The node.
        node: NodeName,
        /// The incarnation that ended.
        incarnation: u64,
        /// Why.
        reason: String,
    },
}
