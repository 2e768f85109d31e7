//! What a handler wrote during its newest sampled calls: the lines of its spans, the newest first.
//!
//! Bounded by traces that are looked at, so that a handler which logs nothing costs no more than one that logs much.

use protocol::HandlerName;
use protocol::api::logs::{LINES_MAX, LogLine};
use protocol::api::traces::{SPANS_MAX, TraceQuery};

use super::{Error, Traces};

/// Lines where nothing else is said.
const LINES_DEFAULT: u32 = 100;
/// The newest traces of the handler that are looked at.
const TRACES_MAX: u32 = 60;

impl Traces {
    /// The newest lines of a handler.
    pub async fn logs(&self, handler: &HandlerName, limit: Option<u32>) -> Result<Vec<LogLine>, Error> {
        let limit = limit.unwrap_or(LINES_DEFAULT);
        if !(1..=LINES_MAX).contains(&limit) {
            return Err(Error::Query {
                field: "limit",
                value: limit.to_string(),
                expected: "number from 1 to 500",
            });
        }
        let query = TraceQuery {
            handler: Some(handler.clone()),
            limit: Some(TRACES_MAX),
            ..TraceQuery::default()
        };
        let mut lines = Vec::new();
        for summary in self.list(&query).await?.items {
            if summary.spans as usize > SPANS_MAX {
                continue;
            }
            let Some(trace) = self.get(summary.trace_id).await? else {
                continue;
            };
            let own = trace.spans.into_iter().map(|row| row.span);
            for span in own.filter(|span| span.handler == *handler) {
                let of_span = span.logs.into_iter().map(|log| LogLine {
                    unix_ns: log.unix_ns,
                    level: log.level,
                    message: log.message,
                    function: span.name.clone(),
                    node: span.node.clone(),
                    trace_id: span.trace_id,
                    span_id: span.span_id,
                });
                lines.extend(of_span);
            }
            if lines.len() >= limit as usize {
                break;
            }
        }
        lines.sort_by_key(|line| std::cmp::Reverse(line.unix_ns));
        lines.truncate(limit as usize);
        Ok(lines)
    }
}
