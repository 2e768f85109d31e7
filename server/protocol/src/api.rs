//! The JSON of `/api/v1`: what scripts, the CLI and the web UI read and write. Additive changes only.
//!
//! Lists page by cursor ([`Page`]). Times are integers with their unit in the name; `*_unix_ns` exceeds 2^53, so a
//! reader in JavaScript parses it as a big integer.

pub mod bill;
pub mod calls;
pub mod chronicle;
pub mod diff;
pub mod edges;
pub mod events;
pub mod facets;
pub mod handlers;
pub mod heat;
pub mod history;
pub mod logs;
pub mod map;
pub mod nodes;
pub mod path;
pub mod placement;
pub mod problem;
pub mod queues;
pub mod rows;
pub mod traces;
pub mod wit;

use serde::{Deserialize, Serialize};

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// The cursor of the next page (`?before=`), absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// `GET /api/v1/status`: the node in one look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Cleave's version.
    pub version: String,
    /// The data directory.
    pub data: String,
    /// Where the UI and this API listen, as `127.0.0.1:7070`.
    pub ui: String,
    /// Where the ingress listens.
    pub ingress: String,
    /// The sampling mode: `100/s`, `all` or `off`.
    pub sampling: String,
    /// When home started.
    pub started_unix_ms: u64,
    /// Spans recorded and dropped since then.
    pub spans: SpanCounts,
    /// OTLP, where it is switched on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otlp: Option<Box<Otlp>>,
}

/// OTLP in and out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Otlp {
    /// Where it is taken over HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// Where it is taken over gRPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc: Option<String>,
    /// Spans taken from outside.
    pub received: u64,
    /// Spans from outside that were refused.
    pub refused: u64,
    /// What goes out, where something does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<OtlpExport>,
}

/// OTLP out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtlpExport {
    /// Where spans go.
    pub to: String,
    /// Spans that were taken there.
    pub sent: u64,
    /// Spans that wait.
    pub waiting: u64,
    /// Spans that were given up: too many waited, or they were refused.
    pub dropped: u64,
    /// Why the newest attempt failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What became of the spans.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpanCounts {
    /// Spans that nodes finished since home's start.
    pub finished: u64,
    /// Spans stored since home's start, also those that retention has deleted again.
    pub recorded: u64,
    /// Spans dropped since home's start, because a buffer or a limit was full.
    pub dropped: u64,
    /// The size of the trace store, in bytes.
    pub stored_bytes: u64,
    /// Traces and spans in the store.
    #[serde(default)]
    pub stored_traces: u64,
    /// As above.
    #[serde(default)]
    pub stored_spans: u64,
    /// When the oldest trace of the store began; 0 while there is none.
    #[serde(default)]
    pub oldest_unix_ns: u64,
    /// The size beyond which the oldest traces go.
    #[serde(default)]
    pub retention_bytes: u64,
    /// The age beyond which traces go, in s.
    #[serde(default)]
    pub retention_age_s: u64,
    /// Spans and traces that were recorded and then not kept, because `[traces] keep` wants only some.
    #[serde(default)]
    pub let_go: u64,
    /// As above.
    #[serde(default)]
    pub let_go_traces: u64,
}
