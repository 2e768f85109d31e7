//! `Span`: the compact record of one finished operation, and the stages of a call.
//!
//! Nodes ship these to home in batches; OpenTelemetry's names are given to them where they leave the system. Times
//! are integer nanoseconds: starts since the Unix epoch, durations on the recording node's monotonic clock.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::ErrorCode;
use crate::name::{HandlerName, NodeName};
use crate::trace::{SpanId, TraceId};

/// The most log lines one span keeps; more are counted in the attribute `cleave.logs.dropped`.
pub const LOGS_MAX: usize = 64;
/// The longest log line kept, in bytes.
pub const LOG_BYTES_MAX: usize = 1024;

/// OpenTelemetry's span kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum SpanKind {
    /// Work that is neither a call nor a message.
    Internal = 0,
    /// The callee's side of a call, or a request at the ingress.
    Server = 1,
    /// The caller's side of a call.
    Client = 2,
    /// An enqueue.
    Producer = 3,
    /// An attempt of a message.
    Consumer = 4,
}

/// The way a call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Transport {
    /// Within the process.
    Direct = 0,
    /// To another node over QUIC.
    Quic = 1,
    /// Through a queue.
    Queue = 2,
    /// Within the process, through the bytes of the wire.
    Codec = 3,
    /// To another node over a Unix socket.
    Uds = 4,
    /// To another node over TCP with TLS.
    Tcp = 5,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Direct,
        Self::Quic,
        Self::Queue,
        Self::Codec,
        Self::Uds,
        Self::Tcp,
    ];

    /// The one of a number, as it is stored.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|transport| *transport as i64 == number)
    }

    /// Its name, as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Quic => "quic",
            Self::Queue => "queue",
            Self::Codec => "codec",
            Self::Uds => "uds",
            Self::Tcp => "tcp",
        }
    }

    /// Whether the call left its process for another node.
    pub fn is_between_nodes(self) -> bool {
        matches!(self, Self::Quic | Self::Uds | Self::Tcp)
    }
}

/// How the operation ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpanStatus {
    /// As it should.
    Ok,
    /// With the callee's own `err(…)`: a normal reply, not a failed call.
    Err,
    /// The call failed.
    Failed {
        /// What went wrong.
        code: ErrorCode,
        /// In words.
        message: String,
    },
}

/// The callee's stages of a call, each in ns; they travel back with the reply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalleeStages {
    /// From the frame's arrival to the reply's departure.
    pub total: u64,
    /// Step 4: frame parsed, arguments lowered into the callee's memory.
    pub decode: u64,
    /// Step 5: waited for an instance.
    pub wait: u64,
    /// Step 6: ran, without its own outgoing calls.
    pub run: u64,
    /// Spent in the callee's own outgoing calls, between the start and the end of its run.
    pub outgoing: u64,
    /// Step 7: the result lifted from the callee's memory, framed.
    pub encode: u64,
}

/// The caller's stages of a call, each in ns, with the callee's inside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallerStages {
    /// Step 1: arguments lifted from the caller's memory to bytes.
    pub lift: u64,
    /// Step 2: routed, framed, written.
    pub send: u64,
    /// Steps 3 and 8, one measured number: the caller's round trip minus the callee's total.
    pub travel: u64,
    /// Step 9: the reply parsed and lowered into the caller's memory.
    pub lower: u64,
    /// Steps 4 to 7.
    pub callee: CalleeStages,
}

/// A span's stages, by the side that recorded it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stages {
    /// Of a client span.
    Caller(CallerStages),
    /// Of a server span.
    Callee(CalleeStages),
}

/// An attribute's value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Value {
    /// Text.
    Text(Arc<str>),
    /// A whole number.
    Int(i64),
    /// A fraction.
    Float(f64),
    /// Yes or no.
    Bool(bool),
}

/// An attribute's name and value. The names that this system gives are constants, which cost nothing to write down.
pub type Attribute = (Cow<'static, str>, Value);

/// A log line of a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// When, since the Unix epoch.
    pub unix_ns: u64,
    /// `trace debug info warn error critical`, or `stdout` and `stderr`.
    pub level: Arc<str>,
    /// What, cut to [`LOG_BYTES_MAX`].
    pub message: String,
}

/// A span of another trace that this one continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The other trace.
    pub trace_id: TraceId,
    /// The span in it.
    pub span_id: SpanId,
}

/// One finished operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// The trace that it belongs to.
    pub trace_id: TraceId,
    /// Its own id.
    pub span_id: SpanId,
    /// Its parent, `None` for a root.
    pub parent_id: Option<SpanId>,
    /// Whose side it is.
    pub kind: SpanKind,
    /// OpenTelemetry's `service.name`: the handler that did it, or a platform name such as `ingress`.
    pub handler: HandlerName,
    /// The node that recorded it.
    pub node: NodeName,
    /// `rpc.method`, or `GET /cart`, or `process checkout.email`.
    pub name: Arc<str>,
    /// Start, since the Unix epoch.
    pub start_unix_ns: u64,
    /// Length on the recording node's monotonic clock.
    pub duration_ns: u64,
    /// How it ended.
    pub status: SpanStatus,
    /// The other end of a call: the callee of a client span, the caller of a server span.
    pub peer: Option<HandlerName>,
    /// The way a call went; `None` where it is no call.
    pub transport: Option<Transport>,
    /// Whether an instance had to be made for it; `None` where it is no server span of a handler.
    pub cold: Option<bool>,
    /// Times of the nine steps; `None` where it is no call, or was recorded only because it failed or was slow.
    pub stages: Option<Stages>,
    /// The span that it continues from another trace (a message's attempt: the enqueue).
    pub link: Option<Link>,
    /// Further attributes, by OpenTelemetry's names.
    pub attributes: Vec<Attribute>,
    /// What the guest logged meanwhile, at most [`LOGS_MAX`].
    pub logs: Vec<Log>,
}
