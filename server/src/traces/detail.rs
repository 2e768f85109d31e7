//! A trace as the API shows it, in whole or in windows; each from the trace as it is laid out.
//!
//! Promises: laying out and telling run on threads that may block, one large trace at a time; what is read is of one
//! trace, though it may grow between two windows. Not here: what is laid out, which is pure (`tree`, `rows`).

use std::collections::HashMap;
use std::sync::Arc;

use protocol::api::rows::{CallDetail, Overview, OverviewQuery, PathShare, Rows, RowsQuery, TraceHead};
use protocol::api::traces::{SPANS_MAX, SpanRow, TraceDetail};
use protocol::span::Stages;
use protocol::{Span, SpanId, SpanKind, SpanStatus, TraceId};

use super::overview::overview;
use super::rows::{Laid, View, short_name, window};
use super::skeleton::NONE;
use super::store::read::{self, Stored};
use super::{Error, Traces};

/// Rows above a span that are told.
const ABOVE_MAX: usize = 64;
/// Parts of the critical path that one row tells: one that calls a hundred thousand others has as many.
const PARTS_MAX: usize = 500;

impl Traces {
    /// A trace with its spans, its critical path and the traces linked with it.
    pub async fn get(&self, trace_id: TraceId) -> Result<Option<TraceDetail>, Error> {
        let Some((stored, laid)) = self.laid(trace_id).await? else {
            return Ok(None);
        };
        let linked = self
            .linked(stored.summary.trace_id, None)
            .await?
            .unwrap_or_default();
        let shown = laid.tree.first(SPANS_MAX);
        let at: Vec<usize> = shown.iter().map(|at| *at as usize).collect();
        let spans = self.spans_at(&laid.skeleton, &at).await?;
        let truncated = laid.skeleton.len() - shown.len();
        Ok(Some(TraceDetail {
            summary: stored.summary,
            spans: placed(&laid, spans, &shown),
            truncated: u32::try_from(truncated).unwrap_or(u32::MAX),
            orphans: laid.tree.orphans,
            linked,
        }))
    }

    /// A window of a trace's rows.
    pub async fn rows(&self, trace_id: TraceId, query: &RowsQuery) -> Result<Option<Rows>, Error> {
        let view = View::of(query)?;
        let Some((stored, laid)) = self.laid(trace_id).await? else {
            return Ok(None);
        };
        let linked = self
            .linked(stored.summary.trace_id, None)
            .await?
            .unwrap_or_default();
        let has_head = view.has_head;
        let (for_window, links) = (Arc::clone(&laid), linked.clone());
        let mut rows = blocking(move || window(&for_window, &view, &links)).await?;
        if has_head {
            let mut head = self.head(stored, &laid).await?;
            head.linked = linked;
            rows.head = Some(head);
        }
        Ok(Some(rows))
    }

    /// A trace in a screen.
    pub async fn overview(
        &self,
        trace_id: TraceId,
        query: &OverviewQuery,
    ) -> Result<Option<Overview>, Error> {
        let Some((_, laid)) = self.laid(trace_id).await? else {
            return Ok(None);
        };
        let query = query.clone();
        blocking(move || overview(&laid, &query)).await?.map(Some)
    }

    /// One row with all that was recorded of it.
    pub async fn call(&self, trace_id: TraceId, span: SpanId) -> Result<Option<CallDetail>, Error> {
        let Some((stored, laid)) = self.laid(trace_id).await? else {
            return Ok(None);
        };
        let Some(row) = laid.row(span.0) else {
            return Ok(None);
        };
        let own = laid.table.span[row as usize];
        let both: Vec<u32> = std::iter::once(own).chain(laid.table.server(row)).collect();
        let at: Vec<usize> = both.iter().map(|at| *at as usize).collect();
        let spans = self.spans_at(&laid.skeleton, &at).await?;
        let mut told = placed(&laid, spans, &both).into_iter();
        let Some(own) = told.next() else {
            return Ok(None);
        };
        let server = told.next();
        let mut linked = self
            .linked(stored.summary.trace_id, None)
            .await?
            .unwrap_or_default();
        let is_own = |id: SpanId| {
            id == own.span.span_id || server.as_ref().is_some_and(|server| id == server.span.span_id)
        };
        linked.retain(|link| is_own(link.here));
        Ok(Some(CallDetail {
            key: laid.table.key(&laid.skeleton, row),
            above: above(&laid, row),
            own,
            server,
            linked,
            // Who knows the functions' types adds them.
            arguments: None,
        }))
    }

    /// The trace as it is now, laid out.
    pub(super) async fn laid(&self, trace_id: TraceId) -> Result<Option<(Stored, Arc<Laid>)>, Error> {
        let inner = &self.0;
        let stored = async {
            let mut connection = inner.db.readers().acquire().await?;
            read::trace(&mut connection, &inner.words, trace_id).await
        };
        let Some(stored) = stored.await.map_err(|error| inner.db.error(error))? else {
            return Ok(None);
        };
        let (shelf, spans) = (&inner.shelf, stored.summary.spans);
        if let Some(laid) = shelf.get(trace_id, spans) {
            return Ok(Some((stored, laid)));
        }
        let _turn = shelf.turn.lock().await;
        if let Some(laid) = shelf.get(trace_id, spans) {
            return Ok(Some((stored, laid)));
        }
        let Some(skeleton) = self.skeleton(trace_id).await? else {
            return Ok(None);
        };
        let root = stored.root.0;
        let laid = Arc::new(blocking(move || Laid::out(skeleton, root)).await?);
        shelf.put(trace_id, spans, &laid);
        Ok(Some((stored, laid)))
    }

    /// The span that stands for a trace; 0 where there is none.
    pub(super) async fn root(&self, trace_id: TraceId) -> Result<u64, Error> {
        let inner = &self.0;
        let stored = async {
            let mut connection = inner.db.readers().acquire().await?;
            read::trace(&mut connection, &inner.words, trace_id).await
        };
        let stored = stored.await.map_err(|error| inner.db.error(error))?;
        Ok(stored.map_or(0, |stored| stored.root.0))
    }

    async fn head(&self, stored: Stored, laid: &Arc<Laid>) -> Result<TraceHead, Error> {
        let for_shares = Arc::clone(laid);
        let (shares, failure, telling, levels) = blocking(move || {
            let laid = for_shares;
            (laid.shares(), laid.failure(), laid.telling(), laid.levels())
        })
        .await?;
        let longest: HashMap<u64, u64> = shares
            .longest
            .iter()
            .map(|(at, ns)| (laid.skeleton.id[*at], *ns))
            .collect();
        let mut at: Vec<usize> = shares.longest.iter().map(|(at, _)| *at).collect();
        at.extend(failure);
        let spans = self.spans_at(&laid.skeleton, &at).await?;
        let waits = spans.iter().filter_map(|span| match span.stages {
            Some(Stages::Callee(stages)) => longest.get(&span.span_id.0).map(|part| stages.wait.min(*part)),
            _ => None,
        });
        let wait_ns = waits.sum();
        let failed = failure.map(|at| laid.skeleton.id[at]);
        let failure = spans
            .iter()
            .find(|span| Some(span.span_id.0) == failed)
            .and_then(failure_words);
        Ok(TraceHead {
            failure: stored
                .summary
                .error
                .as_ref()
                .map(|error| failure.unwrap_or_else(|| error.clone())),
            rows: laid.table.len() as u64,
            levels,
            orphans: laid.tree.orphans,
            linked: Vec::new(),
            shares: shares
                .handlers
                .iter()
                .enumerate()
                .map(|(place, (handler, ns))| PathShare {
                    handler: laid.skeleton.text(*handler).to_owned(),
                    ns: *ns,
                    wait_ns: if place == 0 { wait_ns } else { 0 },
                })
                .collect(),
            travel_ns: shares.travel_ns,
            telling: telling.map(|row| SpanId(laid.skeleton.id[laid.table.span[row as usize] as usize])),
            summary: stored.summary,
        })
    }
}

/// Runs what takes a while away from the threads that serve calls.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::Work(error.to_string()))
}

/// Who failed, how, and why.
fn failure_words(span: &Span) -> Option<String> {
    let SpanStatus::Failed { code, message } = &span.status else {
        return None;
    };
    let callee = span.peer.as_ref().filter(|_| span.kind == SpanKind::Client);
    Some(format!("{}: {code}: {message}", callee.unwrap_or(&span.handler)))
}

/// The rows above one.
fn above(laid: &Laid, row: u32) -> Vec<(SpanId, String)> {
    let table = &laid.table;
    let mut above = Vec::new();
    let mut at = table.parent[row as usize];
    while at != NONE && above.len() < ABOVE_MAX {
        let span = table.span[at as usize] as usize;
        if table.repeats(at).is_none() {
            let handler = laid.skeleton.text(table.handler(&laid.skeleton, at));
            let name = short_name(laid.skeleton.text(laid.skeleton.name[span]));
            above.push((SpanId(laid.skeleton.id[span]), format!("{handler} {name}")));
        }
        at = table.parent[at as usize];
    }
    above
}

/// Spans in this order, each with its place.
fn placed(laid: &Laid, spans: Vec<Span>, order: &[u32]) -> Vec<SpanRow> {
    let mut critical: HashMap<u32, Vec<(u64, u64)>> = HashMap::new();
    let is_few = order.len() < 8;
    for part in &laid.path {
        if is_few && !order.contains(&part.span) {
            continue;
        }
        let parts = critical.entry(part.span).or_default();
        if !is_few || parts.len() < PARTS_MAX {
            parts.push((part.start, part.end));
        }
    }
    let mut by_id: HashMap<u64, Span> = spans.into_iter().map(|span| (span.span_id.0, span)).collect();
    let placed = order.iter().filter_map(|at| {
        let index = *at as usize;
        Some(SpanRow {
            span: by_id.remove(&laid.skeleton.id[index])?,
            depth: laid.tree.depth[index],
            offset_ns: laid.tree.offset_ns[index],
            self_ns: laid.tree.self_ns[index],
            critical: critical.remove(at).unwrap_or_default(),
        })
    });
    placed.collect()
}
