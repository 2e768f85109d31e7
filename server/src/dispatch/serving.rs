//! `Serving`: the callee's side of a call that the platform itself serves: its span and its stages.
//!
//! What a handler's calls leave is the runtime's business; this is for queued edges and built-in interfaces, which run
//! without an instance, so that their whole time is step 6.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use protocol::span::Stages;
use protocol::{CallError, CalleeStages, HandlerName, SpanKind, SpanStatus, TraceContext};

use super::{Call, Reply};
use crate::telemetry::{OpenSpan, Recorder};

/// A call being served.
#[derive(Debug)]
pub struct Serving {
    began: Instant,
    sampled: bool,
    span: Option<OpenSpan>,
}

impl Serving {
    /// Begins the span, where the call's trace is sampled.
    pub fn begin(
        recorder: &Arc<Recorder>,
        call: &Call,
        kind: SpanKind,
        callee: &HandlerName,
        name: &Arc<str>,
    ) -> Self {
        let began = Instant::now();
        let mut span = OpenSpan::begin(recorder, &call.trace, kind, callee, name);
        if let Some(span) = &mut span {
            span.span_mut().peer = Some(call.caller.clone());
        }
        Self {
            began,
            sampled: call.trace.sampled,
            span,
        }
    }

    /// The span, where there is one.
    pub fn span_mut(&mut self) -> Option<&mut OpenSpan> {
        self.span.as_mut()
    }

    /// The context for what happens within the call.
    pub fn context(&self, call: &Call) -> TraceContext {
        self.span.as_ref().map_or(call.trace, OpenSpan::context)
    }

    /// Ends the span and makes the reply: the value, and whether it is an `err`.
    pub fn end(mut self, outcome: Result<(Bytes, bool), CallError>) -> Result<Reply, CallError> {
        let total = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let stages = self.sampled.then(|| CalleeStages {
            total,
            run: total,
            ..CalleeStages::default()
        });
        if let Some(span) = &mut self.span {
            let span = span.span_mut();
            span.stages = stages.map(Stages::Callee);
            span.status = match &outcome {
                Ok((_, false)) => SpanStatus::Ok,
                Ok((_, true)) => SpanStatus::Err,
                Err(error) => SpanStatus::Failed {
                    code: error.code,
                    message: error.message.clone(),
                },
            };
        }
        outcome.map(|(value, is_err)| Reply {
            is_err,
            stages,
            ..Reply::new(value)
        })
    }
}
