//! `QueueEdge`: home's side of a queued edge. The caller gets `ok` once its message is durable.
//!
//! Which edges are queued, and how, is a table that is replaced whole when the placement changes. An edge that is not
//! in it is not found; a message that cannot be stored fails the call: nobody is told `ok` for nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use protocol::span::Value;
use protocol::{CallError, ErrorCode, HandlerName, InterfaceName, QueueName, SpanKind, Transport};

use super::message::NewMessage;
use super::{Error, Queues, Refusal};
use crate::dispatch::{Call, Dispatch, ReplyFuture, Serving};
use crate::telemetry::{Recorder, fields, new_span_id};

/// What the caller of a queued function gets once its message is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The function has no result.
    Nothing,
    /// The function's result is `result<_, E>`: its `ok`.
    Ok,
}

/// One queued edge.
#[derive(Debug, Clone, PartialEq)]
pub struct EdgeSettings {
    /// Who calls.
    pub caller: HandlerName,
    /// The interface, with or without its version.
    pub interface: InterfaceName,
    /// The queue: `<caller>.<callee>`.
    pub queue: QueueName,
    /// Who serves it in the end.
    pub callee: HandlerName,
    /// Attempts before a message is dead.
    pub tries: u32,
    /// The wait after the first failed attempt.
    pub backoff: Duration,
    /// The time of one attempt.
    pub timeout: Duration,
    /// The interface's functions.
    pub answers: HashMap<Arc<str>, Answer>,
}

type Table = HashMap<(HandlerName, String), Arc<EdgeSettings>>;

/// Takes the calls of queued edges.
#[derive(Debug)]
pub struct QueueEdge {
    queues: Queues,
    recorder: Arc<Recorder>,
    table: ArcSwap<Table>,
}

impl QueueEdge {
    /// No edge is queued yet.
    pub fn new(queues: Queues, recorder: Arc<Recorder>) -> Self {
        Self {
            queues,
            recorder,
            table: ArcSwap::default(),
        }
    }

    /// Replaces all edges.
    pub fn set_edges(&self, edges: Vec<EdgeSettings>) {
        let table: Table = edges
            .into_iter()
            .map(|edge| {
                (
                    (edge.caller.clone(), edge.interface.unversioned().to_owned()),
                    Arc::new(edge),
                )
            })
            .collect();
        self.table.store(Arc::new(table));
    }

    /// The settings of an edge, where it is queued.
    pub fn edge(&self, caller: &HandlerName, interface: &InterfaceName) -> Option<Arc<EdgeSettings>> {
        let key = (caller.clone(), interface.unversioned().to_owned());
        self.table.load().get(&key).cloned()
    }

    async fn enqueue(&self, call: &Call, serving: &mut Serving) -> Result<(Bytes, bool), CallError> {
        let (edge, answer) = self
            .edge(&call.caller, &call.function.interface)
            .and_then(|edge| {
                let answer = *edge.answers.get(&call.function.function)?;
                Some((edge, answer))
            })
            .ok_or_else(|| not_queued(call))?;
        if call.remaining().is_zero() {
            return Err(call.deadline_error());
        }
        let message = NewMessage {
            handler: Some(edge.callee.clone()),
            function: Some((*call.function).clone()),
            type_hash: call.type_hash,
            tries: edge.tries,
            backoff: edge.backoff,
            timeout: edge.timeout,
            trace: Some(serving.context(call)),
            ..NewMessage::plain(edge.queue.clone(), call.caller.clone(), call.args.clone())
        };
        let enqueued = tokio::time::timeout_at(call.deadline.into(), self.queues.enqueue(message)).await;
        let id = enqueued.map_err(|_| call.deadline_error())?.map_err(call_error)?;
        if let Some(span) = serving.span_mut() {
            let span = span.span_mut();
            span.transport = Some(Transport::Queue);
            let queue = Value::Text(edge.queue.as_str().into());
            let id = Value::Text(id.to_string().into());
            span.attributes
                .push((fields::MESSAGING_DESTINATION_NAME.into(), queue));
            span.attributes.push((fields::MESSAGING_MESSAGE_ID.into(), id));
        }
        let value = match answer {
            Answer::Nothing => Bytes::new(),
            Answer::Ok => Bytes::from_static(&[0]),
        };
        Ok((value, false))
    }
}

impl Dispatch for QueueEdge {
    fn dispatch(&self, call: Call) -> ReplyFuture<'_> {
        Box::pin(async move {
            let queue = self
                .edge(&call.caller, &call.function.interface)
                .map_or_else(|| call.function.to_string(), |edge| edge.queue.to_string());
            let name: Arc<str> = format!("send {queue}").into();
            let callee = HandlerName::queue();
            let mut serving = Serving::begin(&self.recorder, &call, SpanKind::Producer, &callee, &name);
            let outcome = self.enqueue(&call, &mut serving).await;
            serving.end(outcome)
        })
    }
}

fn not_queued(call: &Call) -> CallError {
    let message = format!(
        "`{}` of `{}` does not go through a queue",
        call.function, call.caller
    );
    CallError::new(ErrorCode::NotFound, message)
}

/// What a caller is told; our own faults stay in the log, under an id.
pub(super) fn call_error(error: Error) -> CallError {
    match error {
        Error::Refused {
            refusal: Refusal::Full | Refusal::TooManyQueues,
            ..
        } => CallError::new(ErrorCode::Overloaded, error.to_string()),
        Error::Invalid { .. } | Error::TooLarge { .. } | Error::Refused { .. } => {
            CallError::new(ErrorCode::Invalid, error.to_string())
        }
        Error::Db(source) => {
            let id = new_span_id();
            tracing::error!(error.id = %id, error = %source, "enqueueing failed");
            let message = format!("the message could not be stored; see the log for {id}");
            CallError::new(ErrorCode::Internal, message)
        }
    }
}

#[cfg(test)]
mod tests;
