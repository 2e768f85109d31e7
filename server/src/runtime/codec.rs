//! The direct codec: canonical ABI ⇄ value encoding, without `Val`.
//!
//! [`Lowered`] writes wire bytes into a guest's memory, [`Lifted`] reads them out of it, both walking the component's own
//! types. It leans on documented-hidden API of wasmtime 48 (`ComponentType`, `Lower`, `Lift`), so that the version is
//! pinned; `codec/agreement.rs` holds it equal to the `Val` path on generated types and values. Only plain types are
//! routed, and only components whose strings are UTF-8 are accepted.
//!
//! The times of steps 1, 4, 7 and 9 lie inside these two types, which is why the stopwatch is here. For calls that are not
//! sampled no clock is read.

#[cfg(any(fuzzing, test))]
mod agreement;
mod lift;
mod lower;
mod plan;
mod scratch;
#[cfg(test)]
mod tests;
pub(super) mod watch;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use protocol::value::ValueError;
use wasmtime::component::__internal::{CanonicalAbiInfo, InstanceType, InterfaceType};
use wasmtime::component::{ComponentNamedList, ComponentType};
use wasmtime::{Result, ValRaw, format_err};

#[cfg(fuzzing)]
pub use agreement::agree_on;

use crate::telemetry::OpenSpan;

/// The slots that cover the parameters of every export.
pub(super) const EXPORT_PARAMS: usize = 16;
/// The slots that cover the result of every sync-lifted export.
pub(super) const EXPORT_RESULTS: usize = 1;

/// Arguments that are no values of the function's type: the caller's fault, not the guest's.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the arguments do not fit the function's type: {0}")]
pub(super) struct Misfit(pub ValueError);

/// What bytes are to the guest that they are written into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A call's arguments.
    Arguments,
    /// The result of a call that the guest made.
    Reply,
}

/// When the arguments were in the callee's memory, told by the codec to whoever measures the call.
#[derive(Debug, Default)]
pub(super) struct Stopwatch(Mutex<Option<Instant>>);

impl Stopwatch {
    /// When lowering ended.
    pub(super) fn lowered_at(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

/// What hears of the end of a lowering.
#[derive(Debug)]
enum AfterLower {
    /// Arguments of a call: the callee's stopwatch.
    Arguments(Arc<Stopwatch>),
    /// A result: the caller's span ends, with step 9 since this moment.
    Reply(OpenSpan, Instant),
}

/// Wire bytes on their way into a guest, in `N` flat slots or through its memory.
pub(super) struct Lowered<const N: usize> {
    bytes: Bytes,
    role: Role,
    /// Whether there is anything in `after`: most calls are not sampled, and take no lock to learn that.
    is_awaited: bool,
    after: Mutex<Option<AfterLower>>,
}

impl<const N: usize> Lowered<N> {
    /// A call's arguments; the stopwatch, where there is one, learns when they have arrived.
    pub(super) fn arguments(bytes: Bytes, stopwatch: Option<Arc<Stopwatch>>) -> Self {
        Self {
            bytes,
            role: Role::Arguments,
            is_awaited: stopwatch.is_some(),
            after: Mutex::new(stopwatch.map(AfterLower::Arguments)),
        }
    }

    /// A reply; the caller's span, where there is one, ends when it has arrived, with step 9 since the moment beside it.
    pub(super) fn reply(bytes: Bytes, span: Option<(OpenSpan, Instant)>) -> Self {
        Self {
            bytes,
            role: Role::Reply,
            is_awaited: span.is_some(),
            after: Mutex::new(span.map(|(span, back)| AfterLower::Reply(span, back))),
        }
    }

    /// Lowering ended, with all of the bytes or not. A reply that does not fit is not what this guest was called with.
    fn finish(&self, outcome: Result<()>) -> Result<()> {
        match outcome {
            Ok(()) => self.arrived(),
            Err(error) if self.role == Role::Reply => {
                return Err(match error.downcast_ref::<Misfit>() {
                    Some(Misfit(reason)) => format_err!("a reply does not fit the function's type: {reason}"),
                    None => error,
                });
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn arrived(&self) {
        if !self.is_awaited {
            return;
        }
        match self.after.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(AfterLower::Arguments(stopwatch)) => stopwatch.stop(),
            Some(AfterLower::Reply(mut span, since)) => span.lowered(since.elapsed().as_nanos() as u64),
            None => {}
        }
    }
}

/// Wire bytes out of a guest, from `N` flat slots or its memory.
pub(super) struct Lifted<const N: usize> {
    pub(super) bytes: Bytes,
    /// When lifting began, where the call is measured.
    pub(super) began: Option<Instant>,
}

macro_rules! component_type {
    ($type:ident) => {
        #[expect(
            unsafe_code,
            reason = "the codec's contract with wasmtime: N slots of `ValRaw`, types checked at link time"
        )]
        // SAFETY: `Lower` is exactly `N` `ValRaw`. The type check is ours: `imports` and `instance` build these only for
        // functions whose flat counts they computed from the component's own reflection.
        unsafe impl<const N: usize> ComponentType for $type<N> {
            type Lower = [ValRaw; N];

            // Size 0 makes wasmtime hand over an empty slice, whose address is the offset of parameters in memory.
            const ABI: CanonicalAbiInfo = CanonicalAbiInfo {
                size32: 0,
                align32: 1,
                size64: 0,
                align64: 1,
                flat_count: None,
            };

            fn typecheck(_: &InterfaceType, _: &InstanceType<'_>) -> Result<()> {
                Ok(())
            }
        }

        #[expect(
            unsafe_code,
            reason = "parameters and results are lists of named values"
        )]
        // SAFETY: as above; the list is walked by the component's own tuple type.
        unsafe impl<const N: usize> ComponentNamedList for $type<N> {}
    };
}

component_type!(Lowered);
component_type!(Lifted);
