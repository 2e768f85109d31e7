//! `StateDispatch`: serves `cleave:state/store`, as plain calls. The space is that of the call's caller.

use std::sync::Arc;

use bytes::Bytes;
use protocol::builtin::state::{Fault, Function, Request, encode_reply};
use protocol::{CallError, ErrorCode, HandlerName, SpanKind};

use super::{Error, StateStore};
use crate::dispatch::{Call, Dispatch, ReplyFuture, Serving};
use crate::telemetry::{Recorder, new_span_id};

/// Serves the handlers' state.
#[derive(Debug)]
pub struct StateDispatch {
    store: StateStore,
    recorder: Arc<Recorder>,
}

impl StateDispatch {
    /// Serves this store.
    pub fn new(store: StateStore, recorder: Arc<Recorder>) -> Self {
        Self { store, recorder }
    }

    async fn serve(&self, call: &Call) -> Result<(Bytes, bool), CallError> {
        let Some(function) = Function::parse(&call.function.function) else {
            let message = format!("there is no function `{}`", call.function);
            return Err(CallError::new(ErrorCode::NotFound, message));
        };
        let request = Request::decode(function, &call.args).map_err(|error| {
            CallError::new(
                ErrorCode::Invalid,
                format!("arguments of `{}`: {error}", call.function),
            )
        })?;
        let reply = self
            .store
            .carry_out(&call.caller, request)
            .await
            .map_err(|error| fault(&call.caller, error));
        Ok((encode_reply(&reply), reply.is_err()))
    }
}

/// What a guest is told; our own faults stay in the log, under an id.
fn fault(caller: &HandlerName, error: Error) -> Fault {
    match error {
        Error::Invalid(reason) => Fault::Invalid(reason),
        Error::NotANumber { .. } => Fault::NotANumber(error.to_string()),
        Error::Db(source) => {
            let id = new_span_id();
            tracing::error!(handler.name = %caller, error.id = %id, error = %source, "state of `{caller}` failed");
            Fault::Storage(format!(
                "the state could not be read or written; see the log for {id}"
            ))
        }
    }
}

impl Dispatch for StateDispatch {
    fn dispatch(&self, call: Call) -> ReplyFuture<'_> {
        Box::pin(async move {
            let name: Arc<str> = call.function.to_string().into();
            let callee = HandlerName::state();
            let serving = Serving::begin(&self.recorder, &call, SpanKind::Server, &callee, &name);
            let outcome = match tokio::time::timeout_at(call.deadline.into(), self.serve(&call)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(call.deadline_error()),
            };
            serving.end(outcome)
        })
    }
}
