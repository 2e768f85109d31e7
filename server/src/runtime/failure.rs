//! Why a call in an instance failed, in words that name the handler, the reason and the remedy.
//!
//! What wasmtime reports is turned into a `CallError` here and nowhere else. A trap is explained by the nearest cause that
//! is known of this very call: a refused piece of memory, the guest's last words, else the trap's own name. The detail
//! is the guest's backtrace; nothing of the host is in it.

use std::time::Instant;

use protocol::exchange::{HEADERS_MAX, RESPONSE_BYTES_MAX};
use protocol::{CallError, ErrorCode, HandlerName};
use wasmtime::{PoolConcurrencyLimitError, Trap};

use super::codec::Misfit;
use super::deployed::Deployed;
use super::engine::STACK_BYTES;
use super::guest::Guest;
use super::imports::FailedCall;
use super::life::End;
use super::limits::Refused;

/// What wasmtime says when one host call would carry more than its fuel; the error's type has no public name.
const FUEL_EXHAUSTED: &str = "fuel allocated for hostcalls has been exhausted";

/// Why a call failed. `what` is the function, or the request.
pub(super) fn of_call(
    deployed: &Deployed,
    what: &str,
    guest: &mut Guest,
    error: &wasmtime::Error,
) -> CallError {
    let handler = &deployed.name;
    if let Some(misfit) = error.downcast_ref::<Misfit>() {
        guest.call.end = Some(End::Misfit);
        return CallError::new(ErrorCode::Invalid, format!("`{what}`: {misfit}"));
    }
    let is_late = Instant::now() >= guest.call.deadline;
    if let Some(failed) = error.downcast_ref::<FailedCall>() {
        return if is_late {
            late_within(handler, what, failed)
        } else {
            guest.call.end = Some(End::Callee);
            CallError::new(
                ErrorCode::Trapped,
                // The root of a chain of failed calls stands last, where it survives a cut.
                format!(
                    "`{handler}` could not go on in `{what}` (no case `call-failed` to take it): {failed}"
                ),
            )
        };
    }
    let trap = error.downcast_ref::<Trap>();
    if trap == Some(&Trap::Interrupt) {
        return late(handler, what);
    }
    let cause = match trap {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    };
    let reason = if let Some(excess) = excess(deployed, guest, error) {
        format!("{excess} ({cause})")
    } else if trap == Some(&Trap::UnreachableCodeReached)
        && let Some(line) = &guest.call.last_error
    {
        // Guests end themselves with `unreachable`, after they said why.
        line.clone()
    } else {
        cause
    };
    // `{:#}` and not `{:?}`: the latter has the host's own backtrace where RUST_BACKTRACE is set.
    CallError::new(
        ErrorCode::Trapped,
        format!("`{handler}` trapped in `{what}`: {reason}"),
    )
    .with_detail(format!("{error:#}"))
}

/// The limit that a guest met, with the key that raises it.
fn excess(deployed: &Deployed, guest: &mut Guest, error: &wasmtime::Error) -> Option<String> {
    let (handler, limits) = (&deployed.name, &deployed.terms.limits);
    match guest.limiter.take_refused() {
        Some(Refused::Memory(bytes)) => {
            return Some(format!(
                "it wanted {bytes} bytes of memory and may have {}; raise `memory` in [handler.{handler}]",
                limits.memory_bytes_max
            ));
        }
        Some(Refused::Tables(elements)) => {
            return Some(format!(
                "it wanted {elements} elements in its tables and may have {}; raise `tables` in [handler.{handler}]",
                limits.table_elements_max
            ));
        }
        None => {}
    }
    if error.downcast_ref::<Trap>() == Some(&Trap::StackOverflow) {
        return Some(format!(
            "it used up its stack of {} KiB, which is the same for every handler; recurse less deeply",
            STACK_BYTES >> 10
        ));
    }
    let is_fuel = error
        .chain()
        .any(|cause| cause.to_string().contains(FUEL_EXHAUSTED));
    is_fuel.then(|| {
        format!(
            "it passed more than {} bytes to the host at once; raise `host_call_bytes` in [handler.{handler}]",
            limits.host_call_bytes_max
        )
    })
}

/// Why an instance could not be made.
pub(super) fn of_start(deployed: &Deployed, guest: &mut Guest, error: &wasmtime::Error) -> CallError {
    let handler = &deployed.name;
    if error.downcast_ref::<Trap>() == Some(&Trap::Interrupt) {
        return late(handler, "its start");
    }
    if let Some(excess) = excess(deployed, guest, error) {
        return CallError::new(
            ErrorCode::Trapped,
            format!("`{handler}` could not start: {excess}"),
        );
    }
    if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
        return CallError::new(
            ErrorCode::Overloaded,
            format!(
                "this node has no room for another instance of `{handler}`: {error}; send less, or place it apart"
            ),
        );
    }
    CallError::new(
        ErrorCode::Trapped,
        format!("`{handler}` could not start: {}", error.root_cause()),
    )
    .with_detail(format!("{error:#}"))
}

/// The deadline passed meanwhile.
pub(super) fn late(handler: &HandlerName, what: &str) -> CallError {
    CallError::new(
        ErrorCode::Deadline,
        format!("`{handler}` did not end `{what}` by its deadline"),
    )
}

fn late_within(handler: &HandlerName, what: &str, failed: &FailedCall) -> CallError {
    CallError::new(
        ErrorCode::Deadline,
        format!("`{handler}` did not end `{what}` by its deadline: {failed}"),
    )
}

/// The handler answers no HTTP.
pub(super) fn no_http(handler: &HandlerName) -> CallError {
    CallError::new(
        ErrorCode::NotFound,
        format!("`{handler}` does not answer HTTP: it exports no `wasi:http/incoming-handler`"),
    )
}

/// The handler's response has too many headers.
pub(super) fn too_many_headers(handler: &HandlerName, what: &str) -> CallError {
    CallError::new(
        ErrorCode::Trapped,
        format!("`{handler}` answered `{what}` with more than {HEADERS_MAX} headers; set fewer"),
    )
}

/// The reason of a response whose body could not be read to its end.
pub(super) fn body(error: &(dyn std::error::Error + 'static)) -> String {
    if error.is::<http_body_util::LengthLimitError>() {
        format!(
            "its response is larger than {} MiB; answer with less",
            RESPONSE_BYTES_MAX >> 20
        )
    } else {
        format!("its response's body broke off: {error}")
    }
}
