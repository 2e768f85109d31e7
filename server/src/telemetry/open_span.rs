//! `OpenSpan`: a span that has begun and is recorded when it is dropped, so that no path can forget it.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use protocol::span::Stages;
use protocol::{HandlerName, Span, SpanKind, SpanStatus, TraceContext};

use super::{Recorder, new_span_id};

/// A span between its begin and its end.
pub struct OpenSpan {
    span: Option<Box<Span>>,
    began: Instant,
    recorder: Arc<Recorder>,
}

impl OpenSpan {
    /// Begins a span below `parent`; `None` where the trace is not sampled.
    pub fn begin(
        recorder: &Arc<Recorder>,
        parent: &TraceContext,
        kind: SpanKind,
        handler: &HandlerName,
        name: &Arc<str>,
    ) -> Option<Self> {
        parent
            .sampled
            .then(|| Self::begin_always(recorder, parent, kind, handler, name))
    }

    /// Begins a span below `parent`, sampled or not: what fails or is slow leaves one all the same.
    pub fn begin_always(
        recorder: &Arc<Recorder>,
        parent: &TraceContext,
        kind: SpanKind,
        handler: &HandlerName,
        name: &Arc<str>,
    ) -> Self {
        Self::begin_at(recorder, parent, (kind, handler, name), Instant::now())
    }

    /// Begins a span at an earlier moment, sampled or not.
    pub fn begin_at(
        recorder: &Arc<Recorder>,
        parent: &TraceContext,
        (kind, handler, name): (SpanKind, &HandlerName, &Arc<str>),
        began: Instant,
    ) -> Self {
        let span = Span {
            trace_id: parent.trace_id,
            span_id: new_span_id(),
            parent_id: Some(parent.span_id),
            kind,
            handler: handler.clone(),
            node: recorder.node().clone(),
            name: Arc::clone(name),
            start_unix_ns: recorder.clock().unix_ns_at(began),
            duration_ns: 0,
            status: SpanStatus::Ok,
            peer: None,
            transport: None,
            cold: None,
            stages: None,
            link: None,
            attributes: Vec::new(),
            logs: Vec::new(),
        };
        Self {
            span: Some(Box::new(span)),
            began,
            recorder: Arc::clone(recorder),
        }
    }

    /// Begins a trace's root, which has no parent; the context's span id becomes its own.
    pub fn begin_root(
        recorder: &Arc<Recorder>,
        context: &TraceContext,
        kind: SpanKind,
        handler: &HandlerName,
        name: &Arc<str>,
    ) -> Option<Self> {
        let mut open = Self::begin(recorder, context, kind, handler, name)?;
        let span = open.span_mut();
        span.span_id = context.span_id;
        span.parent_id = None;
        Some(open)
    }

    /// The span's fields, to be filled while it is open.
    pub fn span_mut(&mut self) -> &mut Span {
        self.span
            .as_mut()
            .expect("the span is taken only when it is dropped")
    }

    /// The context for what happens within it.
    pub fn context(&self) -> TraceContext {
        let span = self
            .span
            .as_ref()
            .expect("the span is taken only when it is dropped");
        TraceContext {
            trace_id: span.trace_id,
            span_id: span.span_id,
            sampled: true,
        }
    }

    /// Adds step 9, which ends after everything else of a call has; the span ends with it.
    pub fn lowered(&mut self, lower_ns: u64) {
        if let Some(Stages::Caller(stages)) = &mut self.span_mut().stages {
            stages.lower += lower_ns;
        }
    }

    /// Leaves no span behind.
    pub fn discard(mut self) {
        self.span = None;
    }
}

impl Drop for OpenSpan {
    fn drop(&mut self) {
        if let Some(mut span) = self.span.take() {
            span.duration_ns = self.began.elapsed().as_nanos() as u64;
            self.recorder.record(*span);
        }
    }
}

impl fmt::Debug for OpenSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenSpan")
            .field("span", &self.span)
            .finish_non_exhaustive()
    }
}
