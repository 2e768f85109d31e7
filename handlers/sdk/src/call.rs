//! Calls that fail: the one error that every remote call has, and how business code gets past it in one line.
//!
//! ```text
//! let cart = world.get_cart(id).required("cart")?;              // give up, keep the reason
//! let ads = world.get_ads(words).optional(&world, "ad");        // log it and go on without
//! ```
//! Numbers are those of `cleave:call/types`; retrying is the platform's business, not the handler's.

use std::fmt::Debug;

pub use crate::bindings::cleave::call::types::CallError;
use crate::log::Log;

/// The callee answered with a fault of its own, which its caller has no word for.
const REJECTED: u16 = 3;

impl CallError {
    /// Whose fault it is when a callee answers with an error that the caller did not expect.
    pub fn rejected(callee: &str, fault: &impl Debug) -> Self {
        Self {
            code: REJECTED,
            message: format!("{callee} answered with {fault:?}"),
            retryable: false,
        }
    }
}

/// An error type of a contract that has the case `call-failed`. The macros implement it.
pub trait Fault: Debug + Sized + From<CallError> {
    /// The failed call, or the fault itself if the callee did answer.
    fn into_call_error(self) -> Result<CallError, Self>;
}

/// What to do with the answer of a call, beyond its own faults.
pub trait Outcome<T> {
    /// The value, or the reason why there is none in a form that every contract's fault is made from by `?`.
    fn required(self, callee: &str) -> Result<T, CallError>;

    /// The value, or nothing and a line in the log.
    fn optional(self, log: &impl Log, callee: &str) -> Option<T>;
}

impl<T, F: Fault> Outcome<T> for Result<T, F> {
    fn required(self, callee: &str) -> Result<T, CallError> {
        self.map_err(|fault| match fault.into_call_error() {
            Ok(error) => CallError {
                message: format!("{callee}: {}", error.message),
                ..error
            },
            Err(fault) => CallError::rejected(callee, &fault),
        })
    }

    fn optional(self, log: &impl Log, callee: &str) -> Option<T> {
        match self.required(callee) {
            Ok(value) => Some(value),
            Err(error) => {
                log.warn(&format!("going on without {}", error.message));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;

    #[derive(Debug, PartialEq)]
    enum SomeFault {
        SoldOut,
        CallFailed(CallError),
    }

    impl From<CallError> for SomeFault {
        fn from(error: CallError) -> Self {
            Self::CallFailed(error)
        }
    }

    impl Fault for SomeFault {
        fn into_call_error(self) -> Result<CallError, Self> {
            match self {
                Self::CallFailed(error) => Ok(error),
                other => Err(other),
            }
        }
    }

    fn buy(stock: Result<u32, SomeFault>) -> Result<u32, SomeFault> {
        Ok(stock.required("catalog")? + 1)
    }

    #[test]
    fn failed_call_passes_through_and_names_the_callee() {
        let error = CallError {
            code: 8,
            message: "no node serves it".into(),
            retryable: true,
        };
        let Err(SomeFault::CallFailed(passed)) = buy(Err(SomeFault::CallFailed(error))) else {
            panic!("the call failed")
        };
        assert_eq!((passed.code, passed.retryable), (8, true));
        assert_eq!(passed.message, "catalog: no node serves it");
    }

    #[test]
    fn unexpected_fault_becomes_a_rejected_call() {
        let Err(SomeFault::CallFailed(error)) = buy(Err(SomeFault::SoldOut)) else {
            panic!("it was sold out")
        };
        assert_eq!(error, CallError::rejected("catalog", &SomeFault::SoldOut));
        assert_eq!(buy(Ok(1)), Ok(2));
    }

    #[test]
    fn optional_answer_is_logged_when_missing() {
        let log = fake::Lines::default();
        let missing: Result<u32, SomeFault> = Err(SomeFault::SoldOut);
        assert_eq!(missing.optional(&log, "ad"), None);
        assert_eq!(log.all(), ["warn going on without ad answered with SoldOut"]);
    }
}
