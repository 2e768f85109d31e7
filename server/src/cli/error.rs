//! Why a command failed: the thing, the reason, the remedy, and the exit code.

use protocol::api::problem::Problem;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Nobody answers there.
    #[error(
        "no node answers at {server} ({reason}); start one with `cleave up`, or name another with `--server URL`"
    )]
    NotRunning {
        /// Where it was looked for.
        server: String,
        /// What the system says.
        reason: String,
    },
    /// The node says no.
    #[error("{}", told(.0))]
    Refused(Box<Problem>),
    /// What answers is not a node, or broke off.
    #[error("{server} answered {what}; is it a node of this version?")]
    Strange {
        /// Where.
        server: String,
        /// What came.
        what: String,
    },
    /// The arguments make no sense.
    #[error("{0}")]
    Usage(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
    /// It failed, and all is said already.
    #[error("")]
    Said,
}

impl Error {
    /// 2 for usage, else 1.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            _ => 1,
        }
    }
}

fn told(problem: &Problem) -> String {
    let mut text = problem.detail.clone();
    if let Some(pointer) = problem.pointer.as_deref().filter(|pointer| !pointer.is_empty()) {
        text.push_str(&format!(" (at `{pointer}`)"));
    }
    text.push_str(&format!(" [{}]", problem.code));
    if let Some(trace) = problem.trace_id {
        text.push_str(&format!("\n  see `cleave trace {trace}`"));
    }
    text
}
