//! Stored requests as samples of what calls along edges are made of, for the bill.
//!
//! The newest requests of each edge, so that a rare one has its calls too, and the newest of each placement, so that the
//! other way of going stays known after a change. Every step has a bound: the answer is of at most some hundred
//! requests, and an edge that nobody used costs one look at an index.

use std::collections::BTreeSet;

use protocol::{Span, SpanKind};

use super::store::read::{self, Filter};
use super::{Error, Traces};

/// Requests of each edge, the newest.
const OF_EDGE_MAX: u32 = 10;
/// Requests of each placement, the newest.
const OF_PLACEMENT_MAX: u32 = 60;
/// The placements that requests may have.
const PLACEMENTS: [&str; 3] = ["together", "apart", "groups"];
/// Requests in all.
const REQUESTS_MAX: usize = 300;
/// Spans in all: some hundred milliseconds of reading, five megabytes while they are looked at.
const SPANS_MAX: usize = 20_000;

/// A stored request with those of its spans that are calls with their stages.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// From its earliest start to its latest end.
    pub duration_ns: u64,
    /// The callers' sides of its calls.
    pub calls: Vec<Span>,
}

impl Traces {
    /// Some newest requests that used these edges, `checkout -> shop:email/email`.
    pub async fn requests(&self, edges: &[String]) -> Result<Vec<Request>, Error> {
        let inner = &self.0;
        let fault = |error| inner.db.error(error);
        let mut filters: Vec<Filter> = Vec::new();
        for edge in edges {
            filters.push(Filter {
                edge: Some(edge.clone()),
                limit: OF_EDGE_MAX,
                ..Filter::default()
            });
        }
        for placement in PLACEMENTS {
            filters.push(Filter {
                placement: Some(placement.to_owned()),
                limit: OF_PLACEMENT_MAX,
                ..Filter::default()
            });
        }
        let mut seen = BTreeSet::new();
        let mut requests = Vec::new();
        let mut spans_read = 0;
        for mut filter in filters {
            filter.before = i64::MAX;
            let found = {
                let mut connection = inner.db.readers().acquire().await.map_err(fault)?;
                let rows = read::list(&mut connection, &inner.words, &filter).await;
                rows.map_err(fault)?
            };
            for stored in found {
                let spans = stored.summary.spans as usize;
                let is_full = requests.len() >= REQUESTS_MAX || spans_read + spans > SPANS_MAX;
                if is_full || !seen.insert(stored.id) {
                    continue;
                }
                spans_read += spans;
                // Deleted meanwhile, as one of the oldest.
                let Some(detail) = self.get(stored.summary.trace_id).await? else {
                    continue;
                };
                let is_call = |span: &Span| span.kind == SpanKind::Client && span.stages.is_some();
                let spans = detail.spans.into_iter().map(|row| row.span);
                requests.push(Request {
                    duration_ns: stored.summary.duration_ns,
                    calls: spans.filter(is_call).collect(),
                });
            }
        }
        Ok(requests)
    }
}
