//! Spans from outside that wait for a place, and a trace with all its spans at once.

use std::sync::atomic::Ordering;

use protocol::api::traces::TraceSummary;
use protocol::{Span, TraceId};

use super::store::read;
use super::{Error, Traces};
use crate::telemetry::SPANS_WAITING_MAX;

/// The most spans of a trace that is read at once.
pub const WHOLE_SPANS_MAX: usize = 50_000;

/// A trace with all its spans.
#[derive(Debug, Clone, PartialEq)]
pub struct Whole {
    /// As in the list.
    pub summary: TraceSummary,
    /// In the order of their arrival.
    pub spans: Vec<Span>,
}

impl Traces {
    /// Takes spans if there is room for all of them, else gives them back: who sent them can send them again.
    pub fn offer(&self, spans: Vec<Span>) -> Result<(), Vec<Span>> {
        let tally = &self.0.tally;
        let count = spans.len();
        let waiting = tally.waiting.fetch_add(count, Ordering::Relaxed);
        let refused = if waiting + count > SPANS_WAITING_MAX {
            spans
        } else {
            match self.0.batches.try_send(spans) {
                Ok(()) => return Ok(()),
                Err(error) => error.into_inner(),
            }
        };
        tally.waiting.fetch_sub(count, Ordering::Relaxed);
        Err(refused)
    }

    /// A trace with all its spans; one with more than [`WHOLE_SPANS_MAX`] is an error.
    pub async fn whole(&self, trace_id: TraceId) -> Result<Option<Whole>, Error> {
        let inner = &self.0;
        let fault = |error| inner.db.error(error);
        let mut connection = inner.db.readers().acquire().await.map_err(fault)?;
        let stored = read::trace(&mut connection, &inner.words, trace_id).await;
        let Some(stored) = stored.map_err(fault)? else {
            return Ok(None);
        };
        drop(connection);
        let Some(skeleton) = self.skeleton(trace_id).await? else {
            return Ok(None);
        };
        let all: Vec<usize> = (0..skeleton.len()).collect();
        if all.len() > WHOLE_SPANS_MAX {
            return Err(Error::TooLarge {
                trace_id,
                spans: stored.summary.spans,
            });
        }
        let spans = self.spans_at(&skeleton, &all).await?;
        Ok(Some(Whole {
            summary: stored.summary,
            spans,
        }))
    }
}
