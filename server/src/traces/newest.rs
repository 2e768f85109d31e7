//! The newest traces that filters and a query find, one after the other: what maps and counts of them are made from.
//!
//! Promises: at most so many, and not for longer than [`TIME`] and the last page takes; where there would have been
//! more, it is told how far it got.

use std::time::{Duration, Instant};

use protocol::api::traces::{TraceQuery, TraceSummary};

use super::{Error, Traces};

/// Who waits for a picture should see it before the next one is due.
const TIME: Duration = Duration::from_millis(400);
/// Traces of a page.
const PAGE: u32 = 500;

impl Traces {
    /// Shows the newest traces, at most so many; the start of the last one if there are more.
    pub(super) async fn newest(
        &self,
        query: &TraceQuery,
        most: usize,
        mut show: impl FnMut(TraceSummary),
    ) -> Result<Option<u64>, Error> {
        refuse_pages(query)?;
        let began = Instant::now();
        let mut asked = query.clone();
        let mut left = most;
        loop {
            asked.limit = Some(PAGE.min(u32::try_from(left).unwrap_or(PAGE)));
            let page = self.list(&asked).await?;
            left = left.saturating_sub(page.items.len());
            let last = page.items.last().map(|trace| trace.start_unix_ns);
            page.items.into_iter().for_each(&mut show);
            let Some(next) = page.next else { return Ok(None) };
            if left == 0 || began.elapsed() > TIME {
                return Ok(page.searched_to_unix_ns.or(last));
            }
            asked.before = Some(next);
        }
    }
}

/// A picture of traces has no pages; to read `limit` as something else would be a guess.
fn refuse_pages(query: &TraceQuery) -> Result<(), Error> {
    let limit = query.limit.map(|limit| ("limit", limit.to_string()));
    let before = query.before.clone().map(|before| ("before", before));
    match limit.or(before) {
        None => Ok(()),
        Some((field, value)) => Err(Error::Query {
            field,
            value,
            expected: "filter: this answer has no pages, leave it out",
        }),
    }
}
