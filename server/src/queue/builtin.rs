//! `QueueDispatch`: serves `cleave:queue/queue` to guests, as plain calls.
//!
//! A queue comes to be with its first message. A handler puts messages into the queues that it was granted, and learns
//! nothing of the others. Queues of edges are not open to guests. There are no topics: publishing
//! to one answers `no-such-queue`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::builtin::queue::{Fault, Function, Request, encode_reply};
use protocol::{CallError, ErrorCode, Grants, HandlerName, QueueName, SpanKind};

use super::edge::call_error;
use super::message::{BODY_BYTES_MAX, NewMessage};
use super::{Error, Queues, Refusal};
use crate::dispatch::{Call, Dispatch, ReplyFuture, Serving};
use crate::telemetry::Recorder;

/// Serves the queues to guests.
#[derive(Debug)]
pub struct QueueDispatch {
    queues: Queues,
    recorder: Arc<Recorder>,
    granted: BTreeMap<HandlerName, Grants>,
}

impl QueueDispatch {
    /// Serves these queues to those who were granted them.
    pub fn new(queues: Queues, recorder: Arc<Recorder>, granted: BTreeMap<HandlerName, Grants>) -> Self {
        Self {
            queues,
            recorder,
            granted,
        }
    }

    /// Whether a caller may put messages into a queue. A person at the command line may.
    fn is_granted(&self, caller: &HandlerName, queue: &str) -> bool {
        let grants = self.granted.get(caller);
        *caller == HandlerName::cli() || grants.is_some_and(|grants| grants.allows_queue(queue))
    }

    async fn serve(&self, call: &Call, serving: &Serving) -> Result<(Bytes, bool), CallError> {
        let Some(function) = Function::parse(&call.function.function) else {
            let message = format!("there is no function `{}`", call.function);
            return Err(CallError::new(ErrorCode::NotFound, message));
        };
        let request = Request::decode(&call.args).map_err(|error| {
            CallError::new(
                ErrorCode::Invalid,
                format!("arguments of `{}`: {error}", call.function),
            )
        })?;
        let reply = match function {
            Function::Enqueue if !self.is_granted(&call.caller, &request.destination) => {
                tracing::debug!(
                    handler = %call.caller,
                    "`{}` was not granted the queue `{}`; `queues` in its section of cleave.toml would",
                    call.caller, request.destination
                );
                Err(Fault::NoSuchQueue(request.destination))
            }
            Function::Publish => Err(Fault::NoSuchQueue(request.destination)),
            Function::Enqueue => match message(call, serving, request) {
                Ok(message) => self.enqueue(message).await?,
                Err(fault) => Err(fault),
            },
        };
        Ok((encode_reply(&reply), reply.is_err()))
    }

    async fn enqueue(&self, message: NewMessage) -> Result<Result<String, Fault>, CallError> {
        match self.queues.enqueue(message).await {
            Ok(id) => Ok(Ok(id.to_string())),
            Err(Error::TooLarge { .. }) => Ok(Err(Fault::TooLarge(BODY_BYTES_MAX as u64))),
            Err(Error::Refused {
                refusal: Refusal::Full,
                ..
            }) => Ok(Err(Fault::Full)),
            Err(error @ (Error::Invalid { .. } | Error::Refused { .. })) => {
                Ok(Err(Fault::Invalid(error.to_string())))
            }
            Err(error @ Error::Db(_)) => Err(call_error(error)),
        }
    }
}

fn message(call: &Call, serving: &Serving, request: Request) -> Result<NewMessage, Fault> {
    let queue = QueueName::parse(&request.destination).map_err(|error| Fault::Invalid(error.to_string()))?;
    let options = request.options;
    Ok(NewMessage {
        delay: Duration::from_millis(options.delay_ms.unwrap_or(0)),
        priority: options.priority.unwrap_or(0),
        dedupe_key: options.dedupe_key,
        order_key: options.order_key,
        trace: Some(serving.context(call)),
        ..NewMessage::plain(queue, call.caller.clone(), request.body)
    })
}

impl Dispatch for QueueDispatch {
    fn dispatch(&self, call: Call) -> ReplyFuture<'_> {
        Box::pin(async move {
            let name: Arc<str> = call.function.to_string().into();
            let callee = HandlerName::queue();
            let serving = Serving::begin(&self.recorder, &call, SpanKind::Server, &callee, &name);
            let outcome =
                match tokio::time::timeout_at(call.deadline.into(), self.serve(&call, &serving)).await {
                    Ok(outcome) => outcome,
                    Err(_) => Err(call.deadline_error()),
                };
            serving.end(outcome)
        })
    }
}
