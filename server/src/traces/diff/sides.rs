//! Reads the two sides of a comparison: each a trace, or the newest traces of a query.

use std::sync::Arc;

use protocol::TraceId;
use protocol::api::diff::{Diff, DiffQuery, SPANS_MAX, TRACES_MAX};
use protocol::api::traces::{TraceQuery, TraceSummary};

use super::{Member, Side, diff};
use crate::traces::rows::Laid;
use crate::traces::{Error, Traces, blocking};

impl Traces {
    /// Two traces, or two sets of them, aligned call by call; the field's name where a side is empty.
    pub async fn diff(&self, query: &DiffQuery, read: fn(&str) -> Option<TraceQuery>) -> Result<Diff, Error> {
        let a = self.side("a", &query.a, read).await?;
        let b = self.side("b", &query.b, read).await?;
        blocking(move || diff(&a, &b)).await
    }

    async fn side(
        &self,
        field: &'static str,
        text: &str,
        read: fn(&str) -> Option<TraceQuery>,
    ) -> Result<Side, Error> {
        let fault = |expected| Error::Query {
            field,
            value: text.chars().take(120).collect(),
            expected,
        };
        let mut side = Side::default();
        if let Ok(id) = text.parse::<TraceId>() {
            let found = self.laid(id).await?;
            let (stored, laid) = found.ok_or_else(|| fault("trace that is in the store"))?;
            side.members.push(member(&stored.summary, laid));
            return Ok(side);
        }
        let query = read(text).ok_or_else(|| fault("trace id, and no query of traces like `min_ms=5`"))?;
        let page = self
            .list(&TraceQuery {
                limit: Some(TRACES_MAX),
                ..query
            })
            .await?;
        side.is_cut = page.next.is_some();
        let mut spans = 0;
        for summary in &page.items {
            spans += summary.spans as usize;
            if spans > SPANS_MAX {
                side.is_cut = true;
                break;
            }
            if let Some(skeleton) = self.skeleton(summary.trace_id).await? {
                let root = self.root(summary.trace_id).await?;
                let laid = blocking(move || Laid::out(skeleton, root)).await?;
                side.members.push(member(summary, Arc::new(laid)));
            }
        }
        if side.members.is_empty() {
            return Err(fault("query that finds a trace"));
        }
        Ok(side)
    }
}

fn member(summary: &TraceSummary, laid: Arc<Laid>) -> Member {
    Member {
        laid,
        name: summary.name.clone(),
        placement: summary.placement.clone(),
        duration_ns: summary.duration_ns,
        has_failed: summary.errors > 0,
    }
}
