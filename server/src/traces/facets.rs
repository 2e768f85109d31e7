//! Facets: the newest traces that a query finds, counted by what they have in common.
//!
//! Promises: what a trace's row tells is counted of all of them; nodes and edges, which only spans tell, of the newest,
//! and of how many is said. A trace counts once for each value, however often it has it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;

use protocol::TraceId;
use protocol::api::facets::{Facet, FacetValue, Facets, OPENED_MAX, TRACES_MAX, VALUES_MAX};
use protocol::api::traces::TraceQuery;

use super::store::blocks;
use super::{Error, Traces};

/// Spans that are looked into, at most; a trace with more is passed over.
const SPANS_MAX: u64 = 100_000;
/// Traces whose spans are read together.
const TRACES_AT_ONCE: usize = 64;

/// Counts by value, and what is shown for a value.
type Counts<T> = HashMap<T, u32>;

/// What rows of traces tell.
#[derive(Default)]
struct Rows {
    traces: u32,
    failed: u32,
    placements: Counts<String>,
    handlers: Counts<String>,
    names: Counts<String>,
    /// Those to look into.
    open: Vec<TraceId>,
    spans: u64,
}

impl Traces {
    /// The counts of the newest traces that a query finds.
    pub async fn facets(&self, query: &TraceQuery) -> Result<Facets, Error> {
        let mut rows = Rows::default();
        let cut = self.newest(query, TRACES_MAX as usize, |trace| {
            rows.traces += 1;
            rows.failed += u32::from(trace.errors > 0);
            let spans = u64::from(trace.spans);
            if rows.open.len() < OPENED_MAX as usize && rows.spans + spans <= SPANS_MAX {
                rows.spans += spans;
                rows.open.push(trace.trace_id);
            }
            count(&mut rows.names, trace.name);
            if !trace.placement.is_empty() {
                count(&mut rows.placements, trace.placement);
            }
            for handler in &trace.handlers {
                count(&mut rows.handlers, handler.as_str().to_owned());
            }
        });
        let is_cut = cut.await?.is_some();
        let (opened, nodes, edges) = self.look_into(&rows.open).await?;
        let status = [("ok", rows.traces - rows.failed), ("error", rows.failed)];
        let status = status.into_iter().filter(|(_, count)| *count > 0);
        Ok(Facets {
            traces: rows.traces,
            is_cut,
            opened,
            status: facet(status.map(|(word, count)| (word.to_owned(), count)).collect()),
            placements: facet(rows.placements),
            handlers: facet(rows.handlers),
            names: facet(rows.names),
            nodes: self.named(nodes),
            edges: self.named(edges),
        })
    }

    /// Nodes and edges of some traces, by the numbers of their words; how many of the traces were still there.
    async fn look_into(&self, traces: &[TraceId]) -> Result<(u32, Counts<u32>, Counts<u32>), Error> {
        let inner = &self.0;
        let fault = |error| inner.db.error(error);
        let (mut opened, mut nodes, mut edges) = (0, Counts::new(), Counts::new());
        if traces.is_empty() {
            return Ok((opened, nodes, edges));
        }
        let mut connection = inner.db.readers().acquire().await.map_err(fault)?;
        for some in traces.chunks(TRACES_AT_ONCE) {
            let mut ids = Vec::with_capacity(some.len());
            for trace_id in some {
                ids.extend(blocks::row_of(&mut connection, *trace_id).await.map_err(fault)?);
            }
            let packed = blocks::of_traces(&mut connection, &ids, false)
                .await
                .map_err(fault)?;
            for its in packed.values() {
                let (mut at, mut along) = (HashSet::new(), HashSet::new());
                for block in its {
                    let head = block.head().map_err(fault)?;
                    at.extend(head.node.iter().copied());
                    // A span that is no call along an edge has none.
                    along.extend(head.edge.iter().copied().filter(|edge| *edge != 0));
                }
                opened += 1;
                at.into_iter().for_each(|node| count(&mut nodes, node));
                along.into_iter().for_each(|edge| count(&mut edges, edge));
            }
        }
        Ok((opened, nodes, edges))
    }

    fn named(&self, counts: Counts<u32>) -> Facet {
        let named = counts.into_iter().filter_map(|(number, count)| {
            let text = self.0.words.get(number)?;
            Some((text.as_ref().to_owned(), count))
        });
        facet(named.collect())
    }
}

fn count<T: Eq + Hash>(counts: &mut Counts<T>, value: T) {
    *counts.entry(value).or_default() += 1;
}

/// Those of the most traces first, then by name.
fn facet(counts: Counts<String>) -> Facet {
    let sorted: BTreeMap<(std::cmp::Reverse<u32>, String), ()> = counts
        .into_iter()
        .map(|(value, count)| ((std::cmp::Reverse(count), value), ()))
        .collect();
    let left_out = sorted.len().saturating_sub(VALUES_MAX) as u32;
    let values = sorted.into_keys().take(VALUES_MAX);
    Facet {
        values: values
            .map(|(count, value)| FacetValue {
                value,
                count: count.0,
            })
            .collect(),
        left_out,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_most_traces_come_first_and_the_rest_is_counted() {
        let counts = (0..60).map(|n| (format!("name {n:02}"), 1 + n % 3)).collect();
        let facet = facet(counts);
        assert_eq!((facet.values.len(), facet.left_out), (VALUES_MAX, 10));
        let first: Vec<_> = facet
            .values
            .iter()
            .take(2)
            .map(|value| (value.value.as_str(), value.count))
            .collect();
        assert_eq!(first, [("name 02", 3), ("name 05", 3)]);
    }
}
