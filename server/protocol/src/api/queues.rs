//! `queues` and `queues/{name}/messages`.

use serde::{Deserialize, Serialize};

use crate::name::QueueName;
use crate::span::Link;

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessageState {
    /// Can be leased when its time has come.
    Ready,
    /// Being worked on.
    Leased,
    /// Worked off; kept for a while to be looked at.
    Done,
    /// Given up after its tries.
    Dead,
}

/// A queue, in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    /// Its name: `checkout.email`.
    pub name: QueueName,
    /// Messages that can be leased now.
    pub ready: u64,
    /// Messages that wait for their time: a delay or a backoff.
    pub delayed: u64,
    /// Messages being worked on.
    pub leased: u64,
    /// Messages given up.
    pub dead: u64,
    /// Messages worked off since start.
    pub done: u64,
    /// Failed attempts since start.
    pub failed_attempts: u64,
    /// The age of the oldest message that can be leased, in ms.
    pub oldest_ready_ms: u64,
    /// Messages enqueued per second over the last ten seconds.
    pub enqueue_rate_per_s: f64,
    /// Messages worked off per second over the last ten seconds.
    pub done_rate_per_s: f64,
    /// Attempts before a message is dead.
    pub tries: u32,
    /// Whether leasing is paused.
    pub paused: bool,
}

/// A message, without its body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Its id.
    pub id: i64,
    /// The queue.
    pub queue: QueueName,
    /// Where it stands.
    pub state: MessageState,
    /// The function that its attempts call: `shop:email/email.send-confirmation`.
    pub function: String,
    /// Attempts so far.
    pub attempt: u32,
    /// Attempts before it is dead.
    pub tries: u32,
    /// When it was enqueued.
    pub enqueued_unix_ms: i64,
    /// When it can be leased (ready), or its lease ends (leased), or it ended (done, dead).
    pub due_unix_ms: i64,
    /// The body's size.
    pub body_bytes: u64,
    /// The arguments as JSON, where the function's types are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<serde_json::Value>,
    /// The last failed attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
    /// The span that enqueued it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Link>,
    /// The trace of its last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_trace: Option<Link>,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// A [`crate::ErrorCode`] in words, `err` for the callee's own error, `lease-expired`.
    pub code: String,
    /// In words.
    pub message: String,
}

/// `POST queues/{name}/retry`: dead messages become ready again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryRequest {
    /// Only these; all dead messages of the queue when empty.
    #[serde(default)]
    pub ids: Vec<i64>,
}

/// What a retry did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryResult {
    /// Messages that are ready again.
    pub retried: u64,
}
