//! `application/problem+json` (RFC 9457), with a stable `code`.

use serde::{Deserialize, Serialize};

/// The body of every failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What went wrong, in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// Stable, for scripts: `not-found`, `invalid`, `host-not-allowed`, …
    pub code: String,
    /// The thing, the reason, the remedy.
    pub detail: String,
    /// Where in the request's JSON: a JSON pointer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The trace of the call that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<crate::trace::TraceId>,
}
