//! What nodes tell each other beside calls: routes from home, readiness, spans and figures from children.
//!
//! One control stream a direction and connection carries these, in order. Snapshots are whole and numbered, so that a
//! lost one is healed by the next.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use crate::api::handlers::InstancePolicy;

use crate::api::handlers::InstanceEnds;
use crate::grants::Grants;
use crate::ladder::Course;
use crate::name::{FunctionPath, HandlerName, InterfaceName, NodeName, QueueName};
use crate::shape::Shape;
use crate::span::{Span, Transport};

/// The longest control message, in bytes: a batch of spans stays far below it.
pub const CONTROL_BYTES_MAX: usize = 16 << 20;

/// One control message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Control {
    /// Home → child: who serves what, and what the receiver shall load.
    Routes(Box<Routes>),
    /// Child → home: calls are routed by this generation of routes.
    Ready {
        /// The generation of the routes.
        generation: u64,
        /// Handlers that could not be loaded, with the reason.
        failed: Vec<(HandlerName, String)>,
    },
    /// Home → everyone: this process is gone; calls to it end now.
    PeerDown {
        /// The node.
        node: NodeName,
        /// Its incarnation that died.
        incarnation: u64,
    },
    /// Child → home: finished spans.
    Spans(Vec<Span>),
    /// Child → home: counters, once a second.
    Figures(Box<Figures>),
    /// Home → child: finish what you accepted, then exit.
    Drain,
    /// Home → child: load what these routes assign to you, beside what you serve already; do not route by them yet.
    Prepare(Box<Routes>),
    /// Child → home: what this generation of routes assigns is loaded.
    Prepared {
        /// The generation of the routes.
        generation: u64,
        /// Handlers that could not be loaded, with the reason.
        failed: Vec<(HandlerName, String)>,
    },
    /// Home → child: show these from now on, because the former ones end.
    Papers(Box<Papers>),
}

/// What a node proves its name with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Papers {
    /// The authority's certificate, PEM.
    pub authority_pem: String,
    /// The node's own certificate, PEM.
    pub certificate_pem: String,
    /// The node's own private key, PEM.
    pub key_pem: String,
}

impl std::fmt::Debug for Papers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Papers").finish_non_exhaustive()
    }
}

/// Who serves what. The first provider of an interface that is not the caller itself is called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routes {
    /// Grows with every snapshot.
    pub generation: u64,
    /// The mode in force, for spans: `together`, `apart`, `groups`.
    pub placement: String,
    /// The nodes.
    pub nodes: Vec<NodeRoute>,
    /// The handlers; one that has replicas stands here once for each.
    pub handlers: Vec<HandlerRoute>,
    /// Providers by interface.
    pub interfaces: Vec<InterfaceRoute>,
    /// Edges that go through a queue.
    pub queued: Vec<QueuedEdge>,
    /// Edges whose calls may take less time than their caller has left.
    #[serde(default)]
    pub edge_timeouts: Vec<EdgeTimeout>,
    /// Functions whose calls find their replica by a parameter.
    #[serde(default)]
    pub affinities: Vec<Affinity>,
    /// How calls go.
    #[serde(default)]
    pub course: Course,
    /// Edges whose calls go otherwise.
    #[serde(default)]
    pub edge_courses: Vec<EdgeCourse>,
    /// What handlers may call on other nodes; who stands not here may call nothing there.
    #[serde(default)]
    pub permissions: Vec<Permission>,
}

/// What a handler may call, wherever it is served: what it imports, as far as that is granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permission {
    /// Who calls.
    pub caller: HandlerName,
    /// The functions, as they are imported.
    pub functions: Vec<FunctionPath>,
}

/// A node and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRoute {
    /// Its name.
    pub name: NodeName,
    /// Where it listens.
    pub address: SocketAddr,
    /// Which start of its process this is.
    pub incarnation: u64,
}

/// A handler and where it is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandlerRoute {
    /// Its name.
    pub name: HandlerName,
    /// The node that serves it.
    pub node: NodeName,
    /// BLAKE3 of its component: the key of its compiled code in the cache.
    pub artifact: String,
    /// Whether it answers HTTP.
    pub http: bool,
    /// Its limits.
    pub limits: Limits,
    /// What it may reach.
    #[serde(default)]
    pub grants: Grants,
}

/// A handler's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Linear memory of one instance, summed over its memories, in bytes.
    pub memory_bytes_max: u64,
    /// Elements of one instance's tables, summed.
    pub table_elements_max: u32,
    /// What one call from an instance to the host, or one result of it, may carry out of its memory, in bytes.
    pub host_call_bytes_max: u64,
    /// Instances at the same time.
    pub instances_max: u32,
    /// Calls under way on one node at the same time, those that wait for an instance included.
    pub calls_max: u32,
    /// The time that one call to it may take, in ms. It shortens a caller's deadline and never lengthens it.
    pub timeout_ms: Option<u64>,
    /// How long an instance lives and what it serves; by default as its component is: `shared` where that has async
    /// functions, else `pooled`.
    #[serde(default)]
    pub policy: Option<InstancePolicy>,
    /// Calls that a shared instance serves at a time.
    pub instance_calls_max: u32,
    /// Instances that are kept ready without a call.
    pub warm: u32,
}

impl Default for Limits {
    fn default() -> Self {
        // 64 MiB holds a Rust or JavaScript guest; 64 instances cover the depth and width of two busy cores.
        Self {
            memory_bytes_max: 64 << 20,
            // The tables of an interpreter as a component have some 10,000.
            table_elements_max: 100_000,
            // Four times what arguments may have on the wire: texts are counted with room to grow.
            host_call_bytes_max: 64 << 20,
            instances_max: 64,
            // A rush that is served within a second or two; beyond it waiting helps nobody.
            calls_max: 4_096,
            // The deadline that a call comes with is enough, unless somebody says otherwise.
            timeout_ms: None,
            policy: None,
            // Calls that wait cost little; those that compute take turns however many they are.
            instance_calls_max: 64,
            // So that the first call after a deploy, a move or a quiet time is as quick as the next.
            warm: 1,
        }
    }
}

/// Who serves an interface, in order of preference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceRoute {
    /// The interface as its provider exports it.
    pub interface: InterfaceName,
    /// The handlers that export it; the first one that is not the caller is called.
    pub providers: Vec<HandlerName>,
}

/// An edge that goes through a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedEdge {
    /// Who calls.
    pub caller: HandlerName,
    /// The interface that is called.
    pub interface: InterfaceName,
    /// The queue: `<caller>.<callee>`.
    pub queue: QueueName,
}

/// The time that one call along an edge may take. It shortens a deadline and never lengthens it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeTimeout {
    /// Who calls.
    pub caller: HandlerName,
    /// The interface that is called.
    pub interface: InterfaceName,
    /// The time, in ms.
    pub timeout_ms: u64,
}

/// How the calls along an edge go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeCourse {
    /// Who calls.
    pub caller: HandlerName,
    /// The interface that is called.
    pub interface: InterfaceName,
    /// How.
    pub course: Course,
}

/// A function of which calls with an equal parameter go to the same replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affinity {
    /// Who serves it.
    pub handler: HandlerName,
    /// The function.
    pub function: FunctionPath,
    /// The parameters before that one.
    pub before: Vec<Shape>,
    /// The parameter.
    pub parameter: Shape,
}

/// A child's counters, whole since its start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Spans that it finished, the dropped ones included.
    pub spans_finished: u64,
    /// Spans that it dropped.
    pub spans_dropped: u64,
    /// Bytes sent to other nodes: UDP payload over QUIC, else of the connection.
    pub quic_bytes_sent: u64,
    /// Bytes received from them.
    pub quic_bytes_received: u64,
    /// Calls that its handlers made.
    pub edges: Vec<EdgeFigures>,
    /// Instances of its handlers.
    pub instances: Vec<(HandlerName, InstanceFigures)>,
}

/// One edge's counters, whole since the node's start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EdgeFigures {
    /// Who calls.
    pub caller: HandlerName,
    /// Who serves.
    pub callee: HandlerName,
    /// What is called.
    pub interface: InterfaceName,
    /// The way the last call went.
    pub transport: Transport,
    /// Calls.
    pub calls: u64,
    /// Failed calls.
    pub errors: u64,
    /// Calls that ended with the callee's own `err`.
    pub errs: u64,
    /// Arguments, in bytes.
    pub bytes_in: u64,
    /// Results, in bytes.
    pub bytes_out: u64,
    /// Latency: (value in ns, count) of the histogram's non-empty buckets.
    pub latency_ns: Vec<(u64, u64)>,
}

/// A handler's instances on one node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceFigures {
    /// Waiting for a call.
    pub idle: u64,
    /// In a call.
    pub busy: u64,
    /// Made since the node's start.
    pub made: u64,
    /// Those of them that a call waited for.
    pub cold: u64,
    /// The median of making one, in µs; 0 where none was made.
    pub start_p50_us: u64,
    /// How those ended that are no more.
    pub ended: InstanceEnds,
    /// Their linear memory, in bytes.
    #[serde(default)]
    pub memory_bytes: u64,
    /// Time in guest code of sampled calls, in ns.
    #[serde(default)]
    pub run_ns: u64,
    /// Those calls, counted.
    #[serde(default)]
    pub run_calls: u64,
}

/// What a child gets on stdin, as length-prefixed JSON; nothing secret is in its arguments or environment.
#[derive(Clone, Serialize, Deserialize)]
pub struct Birth {
    /// Its name.
    pub node: NodeName,
    /// Which start of its process this is.
    pub incarnation: u64,
    /// Home's QUIC address.
    pub home: SocketAddr,
    /// The authority's certificate, PEM.
    pub authority_pem: String,
    /// Its own certificate, PEM.
    pub certificate_pem: String,
    /// Its own private key, PEM.
    pub key_pem: String,
    /// Where compiled code lies.
    pub cache: PathBuf,
    /// Where nodes put their Unix sockets.
    pub sockets: PathBuf,
    /// The sampling mode: `100/s`, `all` or `off`.
    pub sampling: String,
    /// Whether sampled calls keep their arguments.
    pub arguments: bool,
}

impl std::fmt::Debug for Birth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Birth")
            .field("node", &self.node)
            .field("home", &self.home)
            .finish_non_exhaustive()
    }
}
