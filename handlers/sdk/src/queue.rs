//! Messages (`cleave:queue`): durable when the call returns, delivered at least once, to whoever consumes the queue.
//!
//! To call another handler through a queue nothing of this is needed: that is configuration of the edge.

use crate::bindings::cleave::queue::queue;
use crate::call::{CallError, Fault};

pub use queue::{Options as MessageOptions, QueueError};

/// Sends messages.
pub trait Queue {
    /// Puts a message into a queue and returns its id.
    fn enqueue(&self, queue: &str, body: &[u8], options: &MessageOptions) -> Result<String, QueueError>;

    /// Puts a message into a topic, for every group that listens to it, and returns its id.
    fn publish(&self, topic: &str, body: &[u8], options: &MessageOptions) -> Result<String, QueueError>;
}

#[expect(
    clippy::derivable_impls,
    reason = "the type is generated from WIT, which has no defaults"
)]
impl Default for MessageOptions {
    fn default() -> Self {
        Self {
            delay_ms: None,
            priority: None,
            dedupe_key: None,
            order_key: None,
        }
    }
}

impl From<CallError> for QueueError {
    fn from(error: CallError) -> Self {
        Self::CallFailed(error)
    }
}

impl Fault for QueueError {
    fn into_call_error(self) -> Result<CallError, Self> {
        match self {
            Self::CallFailed(error) => Ok(error),
            other => Err(other),
        }
    }
}

#[cfg(target_arch = "wasm32")]
impl<W: crate::grant::Queueing> Queue for W {
    fn enqueue(&self, queue: &str, body: &[u8], options: &MessageOptions) -> Result<String, QueueError> {
        queue::enqueue(queue, body, options)
    }

    fn publish(&self, topic: &str, body: &[u8], options: &MessageOptions) -> Result<String, QueueError> {
        queue::publish(topic, body, options)
    }
}
