//! `CallError`: the one error that crosses a boundary, with stable codes.
//!
//! A guest's own `err(E)` is not here: it is a normal reply. `is_retryable` is the one place that decides whether
//! another attempt could help.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest message that travels, in bytes; longer ones are cut.
pub const MESSAGE_BYTES_MAX: usize = 1024;

/// What went wrong, as a stable number: these cross the wire and the `call-error` record of WIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u16)]
pub enum ErrorCode {
    /// Nobody serves this function here; nothing ran.
    NotFound = 1,
    /// The arguments do not fit the function's type.
    Invalid = 2,
    /// Refused before it ran: the caller may not call this, or admission said no.
    Rejected = 3,
    /// The callee trapped: its instance is gone.
    Trapped = 4,
    /// The deadline passed.
    Deadline = 5,
    /// The caller gave up.
    Cancelled = 6,
    /// A limit of the callee is reached; nothing ran.
    Overloaded = 7,
    /// The node that serves it cannot be reached, or died during the call.
    Unreachable = 8,
    /// A fault of the platform itself; the message carries an id of the log entry.
    Internal = 9,
}

impl ErrorCode {
    /// Every code, in the order of its number.
    pub const ALL: [Self; 9] = [
        Self::NotFound,
        Self::Invalid,
        Self::Rejected,
        Self::Trapped,
        Self::Deadline,
        Self::Cancelled,
        Self::Overloaded,
        Self::Unreachable,
        Self::Internal,
    ];

    /// The code of a number from the wire; a number from a later version reads as `Internal`.
    pub fn from_number(number: u16) -> Self {
        Self::ALL
            .into_iter()
            .find(|code| *code as u16 == number)
            .unwrap_or(Self::Internal)
    }

    /// The code in words, as in JSON: `not-found`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::Invalid => "invalid",
            Self::Rejected => "rejected",
            Self::Trapped => "trapped",
            Self::Deadline => "deadline",
            Self::Cancelled => "cancelled",
            Self::Overloaded => "overloaded",
            Self::Unreachable => "unreachable",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A call that failed: the code decides what to do, the message says it to a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct CallError {
    /// What went wrong.
    pub code: ErrorCode,
    /// The thing, the reason and, where there is one, the remedy.
    pub message: String,
    /// More for a person who looks closer, as a trap's backtrace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The call never left this process. It does not travel: for who is told, the call was another one.
    #[serde(skip)]
    pub unsent: bool,
}

impl CallError {
    /// An error with a message of at most [`MESSAGE_BYTES_MAX`]. What is too long loses its middle: a chain of failed calls
    /// begins with who was called and ends with the reason.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: cut(message.into()),
            detail: None,
            unsent: false,
        }
    }

    /// Adds the detail, cut to four times [`MESSAGE_BYTES_MAX`].
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        truncate(&mut detail, 4 * MESSAGE_BYTES_MAX);
        self.detail = Some(detail);
        self
    }

    /// Says that the call never left this process, so that even an unreachable callee did not run.
    #[must_use]
    pub fn unsent(mut self) -> Self {
        self.unsent = true;
        self
    }

    /// Whether another attempt of the same call could succeed. `Unreachable` counts although the callee may have run:
    /// who retries must know that the call is safe to repeat.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.code,
            ErrorCode::Overloaded | ErrorCode::Unreachable | ErrorCode::NotFound
        )
    }

    /// Whether the callee certainly did not run.
    pub fn nothing_ran(&self) -> bool {
        self.unsent
            || matches!(
                self.code,
                ErrorCode::NotFound | ErrorCode::Invalid | ErrorCode::Rejected | ErrorCode::Overloaded
            )
    }
}

fn cut(message: String) -> String {
    const GAP: &str = " … ";
    if message.len() <= MESSAGE_BYTES_MAX {
        return message;
    }
    let kept = MESSAGE_BYTES_MAX - GAP.len();
    let head = message.floor_char_boundary(kept / 2);
    let tail = message.ceil_char_boundary(message.len() - (kept - head));
    [&message[..head], GAP, &message[tail..]].concat()
}

fn truncate(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        let end = (0..=bytes_max)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0);
        text.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_stable() {
        let numbers: Vec<(u16, &str)> = ErrorCode::ALL
            .iter()
            .map(|code| (*code as u16, code.as_str()))
            .collect();
        assert_eq!(
            numbers,
            [
                (1, "not-found"),
                (2, "invalid"),
                (3, "rejected"),
                (4, "trapped"),
                (5, "deadline"),
                (6, "cancelled"),
                (7, "overloaded"),
                (8, "unreachable"),
                (9, "internal")
            ]
        );
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_number(code as u16), code);
        }
        assert_eq!(ErrorCode::from_number(999), ErrorCode::Internal);
    }

    #[test]
    fn long_messages_are_cut_at_a_character() {
        let error = CallError::new(ErrorCode::Trapped, format!("a{}z", "é".repeat(2000)));
        assert!(error.message.len() <= MESSAGE_BYTES_MAX && error.message.len() > MESSAGE_BYTES_MAX - 4);
        assert!(error.message.starts_with("aéé") && error.message.ends_with("ééz"));
        assert_eq!(error.message.matches(" … ").count(), 1);
        let short = CallError::new(ErrorCode::Trapped, "é".repeat(MESSAGE_BYTES_MAX / 2));
        assert_eq!(short.message.len(), MESSAGE_BYTES_MAX);
    }
}
