//! Finding: pages of traces by filters and queries, and spans within one trace.
//!
//! What a query needs of a whole trace narrows by SQL; the others are read, the newest first, some dozens at a time. A
//! page that has read as much as it may ends early, says how far it got, and the next one goes on from there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::SpanId;
use protocol::TraceId;
use protocol::api::traces::{FindQuery, FoundSpan, FoundSpans, TracePage, TraceQuery};
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

use super::query::Query;
use super::search::{Search, Whole, needs, reads_rest};
use super::skeleton::{Builder, Skeleton};
use super::store::blocks::{self, Packed};
use super::store::read::{self, Filter, Stored};
use super::{Error, Inner, Traces};

/// Traces of a page where nothing else is said, and at most.
const PAGE_DEFAULT: u32 = 50;
const PAGE_MAX: u32 = 500;
/// Spans of a page of one trace, as before.
const FOUND_DEFAULT: u32 = 1_000;
const FOUND_MAX: u32 = 10_000;
/// What one page of a search may take: who waits for it should see that something happens.
const SEARCH_TIME: Duration = Duration::from_millis(500);
const SEARCH_SPANS: u64 = 2_000_000;
/// Traces that are read together.
const TRACES_AT_ONCE: u32 = 64;
/// Traces with more spans are read alone, and kept in memory for a while.
const SPANS_TOGETHER: u32 = 4_000;
/// From so many spans on they are gone through on a thread that serves no calls.
const SPANS_APART: usize = 50_000;

impl Traces {
    /// A page of traces, those that arrived last first. Pages neither repeat nor leave out a trace while new ones come.
    pub async fn list(&self, query: &TraceQuery) -> Result<TracePage, Error> {
        let mut filter = filter(query)?;
        let limit = filter.limit as usize;
        let inner = &self.0;
        let fault = |error| inner.db.error(error);
        let mut connection = inner.db.readers().acquire().await.map_err(fault)?;
        if let Some(text) = query.q.as_deref().filter(|text| !text.trim().is_empty()) {
            let query = Query::parse(text).map_err(|fault| Error::Search(fault.to_string()))?;
            narrow(&mut filter, &query);
            let hunt = Hunt {
                inner,
                query: Arc::new(query),
                filter,
                limit,
            };
            return Ok(hunt.run(&mut connection).await.map_err(fault)?);
        }
        // One more than is shown tells whether there is a next page.
        filter.limit += 1;
        let mut rows = read::list(&mut connection, &inner.words, &filter)
            .await
            .map_err(fault)?;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| has_more).map(|last| last.id.to_string());
        Ok(TracePage {
            items: rows.into_iter().map(|row| row.summary).collect(),
            next,
            searched_to_unix_ns: None,
        })
    }

    /// The spans of a trace that a query finds, by their indices in its skeleton, ascending; `None` if there is no such
    /// trace.
    pub(crate) async fn find(
        &self,
        trace_id: TraceId,
        query: &str,
    ) -> Result<Option<(Arc<Skeleton>, Vec<u32>)>, Error> {
        let query = Query::parse(query).map_err(|fault| Error::Search(fault.to_string()))?;
        let inner = &self.0;
        let found = inner.find(trace_id, Arc::new(query)).await;
        Ok(found.map_err(|error| inner.db.error(error))?)
    }

    /// A page of the spans of a trace that a query finds, by their start.
    pub async fn find_spans(
        &self,
        trace_id: TraceId,
        query: &FindQuery,
    ) -> Result<Option<FoundSpans>, Error> {
        let fault = |field, value: &str, expected| Error::Query {
            field,
            value: value.to_owned(),
            expected,
        };
        let limit = query.limit.unwrap_or(FOUND_DEFAULT);
        if !(1..=FOUND_MAX).contains(&limit) {
            return Err(fault("limit", &limit.to_string(), "number from 1 to 10000"));
        }
        let after = match &query.after {
            None => 0,
            Some(cursor) => cursor
                .parse::<usize>()
                .map_err(|_| fault("after", cursor, "cursor of a page of spans"))?,
        };
        let Some((skeleton, mut found)) = self.find(trace_id, &query.q).await? else {
            return Ok(None);
        };
        found.sort_by_key(|at| (skeleton.start_ns[*at as usize], skeleton.id[*at as usize]));
        let page = found.iter().skip(after).take(limit as usize);
        let spans: Vec<FoundSpan> = page
            .map(|at| FoundSpan {
                span_id: SpanId(skeleton.id[*at as usize]),
                start_unix_ns: skeleton.start_ns[*at as usize],
            })
            .collect();
        let end = after.saturating_add(spans.len());
        Ok(Some(FoundSpans {
            total: u32::try_from(found.len()).unwrap_or(u32::MAX),
            next: (end < found.len()).then(|| end.to_string()),
            spans,
        }))
    }
}

impl Inner {
    async fn find(
        &self,
        trace_id: TraceId,
        query: Arc<Query>,
    ) -> Result<Option<(Arc<Skeleton>, Vec<u32>)>, sqlx::Error> {
        let mut connection = self.db.readers().acquire().await?;
        let mut moment = connection.begin().await?;
        let Some(stored) = read::trace(&mut moment, &self.words, trace_id).await? else {
            return Ok(None);
        };
        self.find_in(&mut moment, query, &stored).await
    }

    /// In one trace, as it is at one moment.
    async fn find_in(
        &self,
        connection: &mut SqliteConnection,
        query: Arc<Query>,
        stored: &Stored,
    ) -> Result<Option<(Arc<Skeleton>, Vec<u32>)>, sqlx::Error> {
        let trace_id = stored.summary.trace_id;
        let Some(skeleton) = self
            .skeletons
            .get(&mut *connection, &self.words, trace_id)
            .await?
        else {
            return Ok(None);
        };
        let (columns, whole) = (Arc::clone(&skeleton), whole(stored));
        let mut search = if skeleton.len() < SPANS_APART {
            Search::begin(query, columns, &whole)
        } else {
            tokio::task::spawn_blocking(move || Search::begin(query, columns, &whole))
                .await
                .map_err(|error| sqlx::Error::Protocol(error.to_string()))?
        };
        let needs = search.needs();
        if !needs.is_empty() {
            blocks::whole(connection, (stored.id, &needs), |number, head, rest| {
                search.take(number, head, rest)?;
                Ok(true)
            })
            .await?;
        }
        Ok(Some((skeleton, search.finish())))
    }
}

/// A search for traces under way.
struct Hunt<'a> {
    inner: &'a Inner,
    query: Arc<Query>,
    filter: Filter,
    limit: usize,
}

impl Hunt<'_> {
    async fn run(mut self, connection: &mut SqliteConnection) -> Result<TracePage, sqlx::Error> {
        let mut page = TracePage {
            items: Vec::new(),
            next: None,
            searched_to_unix_ns: None,
        };
        let began = Instant::now();
        let mut spans_read = 0;
        let with_rest = reads_rest(&self.query);
        self.filter.limit = TRACES_AT_ONCE;
        loop {
            let rows = read::list(&mut *connection, &self.inner.words, &self.filter).await?;
            let is_last = rows.len() < TRACES_AT_ONCE as usize;
            let together = rows.iter().filter(|row| row.summary.spans <= SPANS_TOGETHER);
            let together: Vec<i64> = together.map(|row| row.id).collect();
            let packed = blocks::of_traces(&mut *connection, &together, with_rest).await?;
            for (at, row) in rows.iter().enumerate() {
                let has_any = match packed.get(&row.id) {
                    Some(blocks) => self.has_any(row, blocks)?,
                    None => {
                        let found = self
                            .inner
                            .find_in(&mut *connection, Arc::clone(&self.query), row)
                            .await?;
                        found.is_some_and(|(_, found)| !found.is_empty())
                    }
                };
                self.filter.before = row.id;
                spans_read += u64::from(row.summary.spans);
                if has_any {
                    page.items.push(row.summary.clone());
                }
                let is_end = is_last && at + 1 == rows.len();
                let is_full = page.items.len() >= self.limit;
                let is_spent = began.elapsed() > SEARCH_TIME || spans_read > SEARCH_SPANS;
                if is_end {
                    return Ok(page);
                }
                if is_full || is_spent {
                    page.next = Some(row.id.to_string());
                    page.searched_to_unix_ns = (!is_full).then_some(row.summary.start_unix_ns);
                    return Ok(page);
                }
            }
            if is_last {
                return Ok(page);
            }
        }
    }

    /// Whether the query finds anything in a trace of which all blocks are here.
    fn has_any(&self, row: &Stored, packed: &[Packed]) -> Result<bool, sqlx::Error> {
        let word = |number| self.inner.words.get(number);
        let mut builder = Builder::on(Skeleton::new(row.summary.trace_id), &word);
        let mut heads = Vec::with_capacity(packed.len());
        for block in packed {
            let head = block.head()?;
            builder.add(block.number(), &head, 0);
            heads.push((block, head));
        }
        let skeleton = Arc::new(builder.finish());
        let mut search = Search::begin(Arc::clone(&self.query), skeleton, &whole(row));
        let needs = search.needs();
        for (block, head) in &heads {
            if needs.contains(&block.number()) {
                let rest = block.rest(head.len())?;
                search
                    .take(block.number(), head, &rest)
                    .map_err(|damage| block.damaged(&damage))?;
            }
        }
        Ok(!search.finish().is_empty())
    }
}

fn whole(stored: &Stored) -> Whole {
    let summary = &stored.summary;
    Whole {
        root: stored.root.0,
        root_name: summary.name.clone(),
        root_handler: summary.handler.as_str().to_owned(),
        root_ns: stored.root_ns,
        duration_ns: summary.duration_ns,
        spans: summary.spans,
        errors: summary.errors,
        placement: summary.placement.clone(),
    }
}

/// Adds what the query needs of a trace to what was asked anyway.
fn narrow(filter: &mut Filter, query: &Query) {
    let needs = needs(query);
    for word in needs.words {
        if !filter.words.contains(&word) {
            filter.words.push(word);
        }
    }
    if needs.min_ns > 0 {
        let min_ns = i64::try_from(needs.min_ns).unwrap_or(i64::MAX);
        filter.min_ns = Some(filter.min_ns.unwrap_or(0).max(min_ns));
    }
    if needs.has_failed && filter.has_failed.is_none() {
        filter.has_failed = Some(true);
    }
    if filter.placement.is_none() {
        filter.placement = needs.placement.map(str::to_owned);
    }
}

fn filter(query: &TraceQuery) -> Result<Filter, Error> {
    let fault = |field, value: &str, expected| Error::Query {
        field,
        value: value.to_owned(),
        expected,
    };
    let limit = query.limit.unwrap_or(PAGE_DEFAULT);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(fault("limit", &limit.to_string(), "number from 1 to 500"));
    }
    let before = match &query.before {
        None => i64::MAX,
        Some(cursor) => cursor
            .parse()
            .map_err(|_| fault("before", cursor, "cursor of a page of traces"))?,
    };
    let has_failed = match query.status.as_deref() {
        None => None,
        Some("error") => Some(true),
        Some("ok") => Some(false),
        Some(other) => return Err(fault("status", other, "status: write `ok` or `error`")),
    };
    let ns = |ms: u64| i64::try_from(ms.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
    let fine = |us: u64| i64::try_from(us.saturating_mul(1_000)).unwrap_or(i64::MAX);
    let handler = query.handler.as_ref().map(|handler| handler.as_str().to_owned());
    Ok(Filter {
        // An edge is rarer than a handler, and the first word leads.
        words: query.edge.clone().into_iter().chain(handler).collect(),
        min_ns: query.min_ms.map(ns).max(query.min_us.map(fine)),
        max_ns: query
            .max_ms
            .map(ns)
            .into_iter()
            .chain(query.max_us.map(fine))
            .min(),
        has_failed,
        placement: query.placement.clone(),
        from_ns: query.from.map(ns),
        to_ns: query.to.map(ns),
        before,
        limit,
    })
}
