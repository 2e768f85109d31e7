//! What can go wrong outside calls, in words that name the remedy. A call's own error is `CallError`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use protocol::NodeName;
use protocol::frame::FrameError;

/// What can go wrong outside calls.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The authority's files cannot be read or written.
    #[error("cannot use `{path}` for the authority")]
    Storage {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A private file or directory can be read by others: the authority's, so that its key may be known, or that of the Unix
    /// sockets.
    #[error(
        "`{path}` may be read by others (mode {found:o}): if nobody did, run `chmod {mode:o} {path}`, else delete it"
    )]
    Exposed {
        /// The file or directory.
        path: PathBuf,
        /// Its mode.
        found: u32,
        /// The mode that it needs.
        mode: u32,
    },
    /// The authority's file is not what was written.
    #[error("`{path}` is no authority: {reason}; delete it to found a new one")]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A certificate or key does not serve.
    #[error("the identity of node `{node}` cannot be used: {reason}")]
    Identity {
        /// Whose.
        node: NodeName,
        /// Why.
        reason: String,
    },
    /// The port cannot be had.
    #[error("cannot listen on {address} (UDP)")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No TCP port can be had.
    #[error("cannot listen on {address} (TCP)")]
    BindTcp {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The Unix socket cannot be had.
    #[error("cannot listen on the Unix socket `{path}`")]
    Socket {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Too many different functions were exported since the process started.
    #[error("more functions were exported than ids exist: restart node `{node}`")]
    TableFull {
        /// This node.
        node: NodeName,
    },
    /// A control message cannot travel.
    #[error("a control message for node `{node}` is not sent")]
    Message {
        /// For whom.
        node: NodeName,
        /// Why.
        #[source]
        source: FrameError,
    },
    /// A peer cannot be reached.
    #[error("node `{node}` is not reached: {reason}")]
    Unreachable {
        /// Whom.
        node: NodeName,
        /// Why.
        reason: String,
    },
    /// Calls were still under way when the time to drain was over.
    #[error("{calls} calls were still under way after {within:?}")]
    Undrained {
        /// How many.
        calls: usize,
        /// The time that they had.
        within: Duration,
    },
}
