//! `Skeleton`: what a view needs of every span of a trace, column by column, some 60 bytes a span.
//!
//! Promises: the same index is the same span in every column, and stays so in what is laid out from it. Whole spans,
//! with their stages, attributes and logs, are read for the few that are looked at.

use std::collections::HashMap;
use std::sync::Arc;

use protocol::{Span, SpanKind, TraceId, Transport};

use super::store::read;
use super::{Error, Traces};

/// No word.
pub(crate) const NONE: u32 = u32::MAX;

/// The columns.
#[derive(Debug)]
pub(crate) struct Skeleton {
    pub(crate) trace_id: TraceId,
    /// What the columns of `u32` point to; [`NONE`] is no word.
    pub(crate) words: Vec<Arc<str>>,
    pub(crate) id: Vec<u64>,
    /// 0: none.
    pub(crate) parent: Vec<u64>,
    /// Since the Unix epoch.
    pub(crate) start_ns: Vec<u64>,
    pub(crate) duration_ns: Vec<u64>,
    pub(crate) handler: Vec<u32>,
    pub(crate) node: Vec<u32>,
    pub(crate) name: Vec<u32>,
    pub(crate) peer: Vec<u32>,
    pub(crate) edge: Vec<u32>,
    pub(crate) kind: Vec<SpanKind>,
    pub(crate) transport: Vec<Option<Transport>>,
    /// 0 ok, 1 the callee's own err, 2 failed.
    pub(crate) status: Vec<u8>,
    /// Block and index in it, to read the rest of a span.
    pub(crate) place: Vec<(u32, u32)>,
}

impl Skeleton {
    /// One without spans.
    pub(crate) fn new(trace_id: TraceId) -> Self {
        Self {
            trace_id,
            words: Vec::new(),
            id: Vec::new(),
            parent: Vec::new(),
            start_ns: Vec::new(),
            duration_ns: Vec::new(),
            handler: Vec::new(),
            node: Vec::new(),
            name: Vec::new(),
            peer: Vec::new(),
            edge: Vec::new(),
            kind: Vec::new(),
            transport: Vec::new(),
            status: Vec::new(),
            place: Vec::new(),
        }
    }

    /// How many spans.
    pub(crate) fn len(&self) -> usize {
        self.id.len()
    }

    /// A word; nothing for [`NONE`].
    pub(crate) fn word(&self, at: u32) -> &str {
        self.words.get(at as usize).map_or("", AsRef::as_ref)
    }
}

/// Columns from spans: for tests, and for stores that keep a span a row.
pub(crate) struct Columns {
    skeleton: Skeleton,
    known: HashMap<Arc<str>, u32>,
}

impl Columns {
    pub(crate) fn new(trace_id: TraceId) -> Self {
        Self {
            skeleton: Skeleton::new(trace_id),
            known: HashMap::new(),
        }
    }

    /// Adds a span.
    pub(crate) fn add(&mut self, span: &Span, edge: Option<&str>) {
        let handler = self.word(span.handler.as_str());
        let node = self.word(span.node.as_str());
        let name = self.word(&span.name);
        let peer = span.peer.as_ref().map_or(NONE, |peer| self.word(peer.as_str()));
        let edge = edge.map_or(NONE, |edge| self.word(edge));
        let columns = &mut self.skeleton;
        columns
            .place
            .push((0, u32::try_from(columns.id.len()).unwrap_or(NONE)));
        columns.id.push(span.span_id.0);
        columns.parent.push(span.parent_id.map_or(0, |parent| parent.0));
        columns.start_ns.push(span.start_unix_ns);
        columns.duration_ns.push(span.duration_ns);
        columns.handler.push(handler);
        columns.node.push(node);
        columns.name.push(name);
        columns.peer.push(peer);
        columns.edge.push(edge);
        columns.kind.push(span.kind);
        columns.transport.push(span.transport);
        columns.status.push(match &span.status {
            protocol::SpanStatus::Ok => 0,
            protocol::SpanStatus::Err => 1,
            protocol::SpanStatus::Failed { .. } => 2,
        });
    }

    pub(crate) fn done(self) -> Skeleton {
        self.skeleton
    }

    fn word(&mut self, text: &str) -> u32 {
        if let Some(at) = self.known.get(text) {
            return *at;
        }
        let at = u32::try_from(self.skeleton.words.len()).unwrap_or(NONE);
        let text: Arc<str> = text.into();
        self.skeleton.words.push(Arc::clone(&text));
        self.known.insert(text, at);
        at
    }
}

impl Traces {
    /// The columns of a trace.
    pub(crate) async fn skeleton(&self, trace_id: TraceId) -> Result<Option<Arc<Skeleton>>, Error> {
        let inner = &self.0;
        let fault = |error| inner.db.error(error);
        let mut connection = inner.db.readers().acquire().await.map_err(fault)?;
        let Some(stored) = read::trace(&mut connection, &inner.words, trace_id)
            .await
            .map_err(fault)?
        else {
            return Ok(None);
        };
        let spans = read::spans(&mut connection, &inner.words, (stored.id, trace_id), None)
            .await
            .map_err(fault)?;
        let mut columns = Columns::new(trace_id);
        for span in &spans {
            let edge = super::summary::text_of(span, crate::telemetry::fields::EDGE);
            columns.add(span, edge.map(AsRef::as_ref));
        }
        Ok(Some(Arc::new(columns.done())))
    }

    /// Whole spans, by their indices.
    pub(crate) async fn spans_at(&self, skeleton: &Skeleton, at: &[usize]) -> Result<Vec<Span>, Error> {
        let inner = &self.0;
        let fault = |error| inner.db.error(error);
        let mut connection = inner.db.readers().acquire().await.map_err(fault)?;
        let trace_id = skeleton.trace_id;
        let Some(stored) = read::trace(&mut connection, &inner.words, trace_id)
            .await
            .map_err(fault)?
        else {
            return Ok(Vec::new());
        };
        let ids: Vec<_> = at
            .iter()
            .filter_map(|at| skeleton.id.get(*at))
            .map(|id| protocol::SpanId(*id))
            .collect();
        let spans = read::spans(
            &mut connection,
            &inner.words,
            (stored.id, trace_id),
            Some(ids.as_slice()),
        );
        spans.await.map_err(|error| fault(error).into())
    }
}
