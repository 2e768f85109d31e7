//! `Work`: what a call asks of an instance, checked before one is taken.
//!
//! A call of a function that is not there, has another type or cannot leave its instance costs no instance.

use protocol::span::Value;
use protocol::{CallError, ErrorCode, exchange};

use super::deployed::{Deployed, Place};
use crate::dispatch::Call;
use crate::telemetry::{OpenSpan, fields};

/// What a call asks of an instance.
pub(super) enum Work {
    Function(Place),
    Exchange(exchange::Request),
}

impl Work {
    pub(super) fn of(
        deployed: &Deployed,
        call: &Call,
        span: Option<&mut OpenSpan>,
    ) -> Result<Self, CallError> {
        if call.function.interface.as_str() == exchange::INTERFACE {
            let request = exchange::Request::decode(&call.args).map_err(|error| {
                CallError::new(
                    ErrorCode::Invalid,
                    format!("the arguments are no HTTP request: {error}"),
                )
            })?;
            if let Some(span) = span {
                name_request(span, &request);
            }
            return Ok(Self::Exchange(request));
        }
        let place = deployed.place(&call.function);
        let found = place.and_then(|place| Some((place, deployed.at(place)?)));
        let (place, function) = found.ok_or_else(|| missing(deployed, call))?;
        if call.type_hash.is_some_and(|hash| hash != function.hash) {
            return Err(other_type(deployed, call));
        }
        if let Some(obstacle) = function.obstacle {
            return Err(local_only(deployed, call, obstacle));
        }
        Ok(Self::Function(place))
    }
}

/// A request is what a person looks for: the span gets its name and attributes from it.
fn name_request(span: &mut OpenSpan, request: &exchange::Request) {
    let text = |text: &str| Value::Text(text.into());
    let record = span.span_mut();
    record.name = format!("{} {}", request.method, request.route()).into();
    record.attributes.extend([
        (fields::HTTP_REQUEST_METHOD.into(), text(&request.method)),
        (fields::URL_PATH.into(), text(request.route())),
    ]);
}

fn missing(deployed: &Deployed, call: &Call) -> CallError {
    CallError::new(
        ErrorCode::NotFound,
        format!(
            "`{}` does not export `{}`; see `cleave check` for what it exports",
            deployed.name, call.function
        ),
    )
}

fn other_type(deployed: &Deployed, call: &Call) -> CallError {
    CallError::new(
        ErrorCode::NotFound,
        format!(
            "`{}` was built against another type of `{}` than `{}` exports; build both against the same WIT",
            call.caller, call.function, deployed.name
        ),
    )
}

fn local_only(deployed: &Deployed, call: &Call, obstacle: &str) -> CallError {
    CallError::new(
        ErrorCode::Invalid,
        format!(
            "`{}` of `{}` has {obstacle} in its type, which cannot leave its instance; use plain values",
            call.function, deployed.name
        ),
    )
}
