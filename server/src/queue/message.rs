//! `NewMessage` and `Lease`: a message as it enters a queue and as it is handed out, with its states and limits. Pure.
//!
//! Ready → leased → done, or back to ready through a backoff, or dead after its tries. A message with an order key is
//! blocked while an earlier one of its lane is under way.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::api::queues::{LastError, MessageState};
use protocol::{FunctionPath, HandlerName, QueueName, TraceContext, TypeHash};

/// A message's id: never used again, also not after it is forgotten.
pub type MessageId = i64;

/// The largest body: as much as one group of writes holds.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// The longest dedupe or order key.
pub const KEY_BYTES_MAX: usize = 512;
/// The longest delay: a year.
pub const DELAY_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
/// The most attempts.
pub const TRIES_MAX: u32 = 1_000;
/// The longest attempt.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// A message to be put into a queue.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMessage {
    /// The queue; it comes to be with its first message.
    pub queue: QueueName,
    /// The handler that its attempts call, where it is not the interface's provider.
    pub handler: Option<HandlerName>,
    /// What its attempts call; `None` for a message that is leased by hand.
    pub function: Option<FunctionPath>,
    /// The function's type as the caller knew it, so that a handler of another type never misreads the body.
    pub type_hash: Option<TypeHash>,
    /// Who sends it.
    pub caller: HandlerName,
    /// The arguments.
    pub body: Bytes,
    /// Attempts before it is dead, at least 1.
    pub tries: u32,
    /// The wait after its first failed attempt.
    pub backoff: Duration,
    /// The time of one attempt.
    pub timeout: Duration,
    /// The wait before its first attempt.
    pub delay: Duration,
    /// Higher is leased first.
    pub priority: i32,
    /// A second message with this key is dropped while the first is remembered.
    pub dedupe_key: Option<String>,
    /// Messages with this key are worked off one after the other.
    pub order_key: Option<String>,
    /// The span that enqueues it.
    pub trace: Option<TraceContext>,
}

impl NewMessage {
    /// A message that is leased by hand, with the usual settings.
    pub fn plain(queue: QueueName, caller: HandlerName, body: Bytes) -> Self {
        Self {
            queue,
            handler: None,
            function: None,
            type_hash: None,
            caller,
            body,
            tries: 3,
            backoff: Duration::from_secs(10),
            timeout: Duration::from_secs(60),
            delay: Duration::ZERO,
            priority: 0,
            dedupe_key: None,
            order_key: None,
            trace: None,
        }
    }

    /// What makes it unacceptable, in words.
    pub fn fault(&self) -> Option<String> {
        if !(1..=TRIES_MAX).contains(&self.tries) {
            return Some(format!("tries must be 1 to {TRIES_MAX}, not {}", self.tries));
        }
        if self.delay > DELAY_MAX {
            return Some(format!(
                "the delay must be at most {} days",
                DELAY_MAX.as_secs() / 86_400
            ));
        }
        if self.timeout.is_zero() || self.timeout > TIMEOUT_MAX {
            return Some(format!(
                "the timeout must be above 0 and at most {} s",
                TIMEOUT_MAX.as_secs()
            ));
        }
        for (what, key) in [("dedupe", &self.dedupe_key), ("order", &self.order_key)] {
            let length = key.as_ref().map(String::len);
            if length.is_some_and(|length| length == 0 || length > KEY_BYTES_MAX) {
                return Some(format!("the {what} key must be 1 to {KEY_BYTES_MAX} bytes long"));
            }
        }
        None
    }

    /// About how much it writes: its body and its row.
    pub(super) fn bytes(&self) -> usize {
        self.body.len() + 256
    }
}

/// A message in hand. Its fence, `id` and `lease`, settles it once; after the lease has ended it settles nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Lease {
    /// Its id.
    pub id: MessageId,
    /// How many times it has been handed out: with the id, the fence.
    pub lease: u32,
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// Attempts before it is dead.
    pub tries: u32,
    /// When the lease ends unless it is extended, in ms since the Unix epoch.
    pub until_ms: i64,
    /// The time of one attempt.
    pub timeout: Duration,
    /// When it was enqueued, in ms since the Unix epoch.
    pub enqueued_ms: i64,
    /// Who sent it.
    pub caller: HandlerName,
    /// The handler that it is for, where it names one.
    pub handler: Option<HandlerName>,
    /// What to call; `None` for a message that is leased by hand.
    pub function: Option<Arc<FunctionPath>>,
    /// The function's type as the sender knew it.
    pub type_hash: Option<TypeHash>,
    /// The span that enqueued it.
    pub trace: Option<TraceContext>,
    /// The arguments.
    pub body: Bytes,
}

impl Lease {
    /// What settles it.
    pub fn fence(&self) -> Fence {
        Fence {
            id: self.id,
            lease: self.lease,
            trace: None,
        }
    }
}

/// Names one handing-out of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence {
    /// The message.
    pub id: MessageId,
    /// Which of its leases.
    pub lease: u32,
    /// The attempt's span, to be kept with the message.
    pub trace: Option<TraceContext>,
}

/// What was done with a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is done.
    Done,
    /// It is tried again at this time, in ms since the Unix epoch.
    Retry {
        /// When.
        due_ms: i64,
    },
    /// It has used its tries.
    Dead,
    /// The lease had ended: nothing changed.
    Stale,
}

/// What a lease that nobody settled in time fails with.
pub fn lease_expired() -> LastError {
    LastError {
        code: "lease-expired".into(),
        message: "whoever worked on it neither answered nor extended the lease in time".into(),
    }
}

/// States that Rust names; the rest stand in the statements, as the migration lists them.
pub(super) mod state {
    pub(crate) const LEASED: i64 = 1;
    pub(crate) const DONE: i64 = 4;
    pub(crate) const DEAD: i64 = 5;
}

/// A stored state as the API names it: who waits for its time or its turn is ready, with a later due time.
pub(super) fn api_state(stored: i64) -> MessageState {
    match stored {
        state::LEASED => MessageState::Leased,
        state::DONE => MessageState::Done,
        state::DEAD => MessageState::Dead,
        _ => MessageState::Ready,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> NewMessage {
        NewMessage::plain(
            QueueName::parse("mail").unwrap(),
            HandlerName::parse("shop").unwrap(),
            Bytes::from_static(b"x"),
        )
    }

    #[test]
    fn limits_are_named() {
        assert_eq!(message().fault(), None);
        let faulty = [
            (
                NewMessage {
                    tries: 0,
                    ..message()
                },
                "tries",
            ),
            (
                NewMessage {
                    tries: TRIES_MAX + 1,
                    ..message()
                },
                "tries",
            ),
            (
                NewMessage {
                    delay: DELAY_MAX * 2,
                    ..message()
                },
                "delay",
            ),
            (
                NewMessage {
                    timeout: Duration::ZERO,
                    ..message()
                },
                "timeout",
            ),
            (
                NewMessage {
                    dedupe_key: Some(String::new()),
                    ..message()
                },
                "dedupe key",
            ),
            (
                NewMessage {
                    order_key: Some("x".repeat(KEY_BYTES_MAX + 1)),
                    ..message()
                },
                "order key",
            ),
        ];
        for (message, part) in faulty {
            assert!(message.fault().unwrap().contains(part), "{part}");
        }
    }
}
