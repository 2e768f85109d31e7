//! What crosses a process boundary: names, calls' errors, spans, wire frames and the JSON of the HTTP API.
//!
//! No I/O, no clock, no tokio; compiles for `wasm32` too, so that the web UI uses the very same types. A type derives
//! `Serialize` only here: serializable means that another process depends on it.

#![forbid(unsafe_code)]

pub mod api;
pub mod builtin;
pub mod control;
pub mod edge;
pub mod error;
pub mod exchange;
pub mod frame;
pub mod grants;
pub mod ladder;
pub mod limits;
pub mod name;
pub mod nearest;
pub mod shape;
pub mod span;
pub mod trace;
pub mod value;

pub use edge::EdgeName;
pub use error::{CallError, ErrorCode};
pub use grants::{Grants, HostGrant};
pub use ladder::{Rung, Shaping, Way};
pub use name::{FunctionPath, HandlerName, InterfaceName, NodeName, QueueName, TypeHash, edge_name};
pub use nearest::nearest;
pub use span::{CalleeStages, CallerStages, Span, SpanKind, SpanStatus, Transport};
pub use trace::{SpanId, TraceContext, TraceId};
