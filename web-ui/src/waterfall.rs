//! The waterfall: spans as rows and bars, one row per call.
//!
//! Promises: a client span and its only server span are one row, the callee's, whose bar wears the travel as thin
//! ends; rows keep the tree's order; positions are parts of the trace's duration, from 0 to 1. Works in one pass over
//! the spans, so that ten thousand open at once. Not here: which rows are on the screen, which is the page's.

pub mod ticks;

use std::collections::HashMap;

use protocol::api::traces::{LinkedTrace, SpanRow, TraceDetail};
use protocol::{HandlerName, NodeName, SpanId, SpanKind, SpanStatus, Transport};

/// What a row's bar looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bar {
    /// Work within one process.
    Solid,
    /// A call to another node: thin ends for the travel.
    Remote,
    /// An enqueue: a dot, and what came of it later.
    Queued,
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The span that the row is known by: the client's of a call, else its own.
    pub id: SpanId,
    /// The server's span of a call, where it was recorded.
    pub server_id: Option<SpanId>,
    /// Whose hue it wears: the callee's.
    pub handler: HandlerName,
    /// What it does: `place-order`, `GET /cart`.
    pub label: String,
    /// Where the work was done.
    pub node: NodeName,
    /// Levels below the root, in rows.
    pub depth: u32,
    /// The row above that it belongs to.
    pub parent: Option<usize>,
    /// Rows below that belong to it, at any depth.
    pub below: usize,
    /// Start and end of the whole, in ns from the trace's start.
    pub outer: (u64, u64),
    /// Start and end of the work within.
    pub inner: (u64, u64),
    /// What its bar looks like.
    pub bar: Bar,
    /// Its parts of the critical path.
    pub critical: Vec<(u64, u64)>,
    /// Whether it failed.
    pub failed: bool,
    /// Whether an instance had to be made.
    pub cold: bool,
    /// The trace that continues it through a queue, by its place in `linked`.
    pub continues: Option<usize>,
}

impl Row {
    /// The length of the whole, in ns.
    pub fn duration(&self) -> u64 {
        self.outer.1.saturating_sub(self.outer.0)
    }
}

/// Makes the rows of a trace.
pub fn rows(detail: &TraceDetail) -> Vec<Row> {
    let spans = &detail.spans;
    let merged = calls(spans);
    let mut row_of: HashMap<SpanId, usize> = HashMap::with_capacity(spans.len());
    let mut rows: Vec<Row> = Vec::with_capacity(spans.len());
    for (index, span) in spans.iter().enumerate() {
        if let Some(client) = merged.client_of.get(&index)
            && let Some(&row) = row_of.get(&spans[*client].span.span_id)
        {
            absorb(&mut rows[row], span);
            row_of.insert(span.span.span_id, row);
            continue;
        }
        let parent = span.span.parent_id.and_then(|id| row_of.get(&id).copied());
        let depth = parent
            .and_then(|parent| rows.get(parent))
            .map_or(0, |parent| parent.depth + 1);
        row_of.insert(span.span.span_id, rows.len());
        rows.push(row(span, parent, depth, &detail.linked));
    }
    for index in (0..rows.len()).rev() {
        let below = rows[index].below + 1;
        if let Some(parent) = rows[index].parent {
            rows[parent].below += below;
        }
    }
    rows
}

/// The rows to be shown where the rows in `collapsed` hide what is below them.
pub fn visible(rows: &[Row], collapsed: &dyn Fn(SpanId) -> bool) -> Vec<usize> {
    let mut shown = Vec::with_capacity(rows.len());
    let mut index = 0;
    while let Some(row) = rows.get(index) {
        shown.push(index);
        index += 1 + if collapsed(row.id) { row.below } else { 0 };
    }
    shown
}

/// A stretch of the critical path in a row, by the row's place in the list that is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stretch {
    /// The place of its row.
    pub place: usize,
    /// Start, in ns.
    pub start: u64,
    /// End, in ns.
    pub end: u64,
}

/// The critical path through the rows that are shown, by start; a hidden row's stretches lie on the row that hides it.
pub fn critical_path(rows: &[Row], shown: &[usize]) -> Vec<Stretch> {
    let mut place_of: Vec<usize> = Vec::with_capacity(rows.len());
    let mut place = 0;
    for index in 0..rows.len() {
        if shown.get(place + 1) == Some(&index) {
            place += 1;
        }
        place_of.push(place);
    }
    let mut path: Vec<Stretch> = rows
        .iter()
        .zip(&place_of)
        .flat_map(|(row, &place)| {
            row.critical
                .iter()
                .map(move |&(start, end)| Stretch { place, start, end })
        })
        .collect();
    path.sort_by_key(|stretch| (stretch.start, stretch.end));
    let mut joined: Vec<Stretch> = Vec::with_capacity(path.len());
    for stretch in path {
        match joined.last_mut() {
            Some(last) if last.place == stretch.place && stretch.start <= last.end => {
                last.end = last.end.max(stretch.end)
            }
            _ => joined.push(stretch),
        }
    }
    joined
}

/// Which server spans share a row with which client spans, by index.
struct Calls {
    client_of: HashMap<usize, usize>,
}

fn calls(spans: &[SpanRow]) -> Calls {
    let clients: HashMap<SpanId, usize> = spans
        .iter()
        .enumerate()
        .filter(|(_, row)| row.span.kind == SpanKind::Client)
        .map(|(index, row)| (row.span.span_id, index))
        .collect();
    let mut children: HashMap<usize, Vec<usize>> = HashMap::new();
    for (index, row) in spans.iter().enumerate() {
        if let Some(client) = row.span.parent_id.and_then(|parent| clients.get(&parent)) {
            children.entry(*client).or_default().push(index);
        }
    }
    let client_of = children
        .into_iter()
        .filter_map(|(client, children)| match children.as_slice() {
            &[only] if spans[only].span.kind == SpanKind::Server => Some((only, client)),
            _ => None,
        })
        .collect();
    Calls { client_of }
}

fn row(row: &SpanRow, parent: Option<usize>, depth: u32, linked: &[LinkedTrace]) -> Row {
    let span = &row.span;
    let whole = (row.offset_ns, row.offset_ns.saturating_add(span.duration_ns));
    let callee = matches!(span.kind, SpanKind::Client | SpanKind::Producer)
        .then(|| span.peer.clone())
        .flatten();
    Row {
        id: span.span_id,
        server_id: None,
        handler: callee.unwrap_or_else(|| span.handler.clone()),
        label: short_name(&span.name),
        node: span.node.clone(),
        depth,
        parent,
        below: 0,
        outer: whole,
        inner: whole,
        bar: match (span.kind, span.transport) {
            (SpanKind::Producer, _) | (SpanKind::Client, Some(Transport::Queue)) => Bar::Queued,
            (SpanKind::Client, Some(Transport::Quic)) => Bar::Remote,
            _ => Bar::Solid,
        },
        critical: row.critical.clone(),
        failed: matches!(span.status, SpanStatus::Failed { .. }),
        cold: span.cold == Some(true),
        continues: linked
            .iter()
            .position(|link| link.follows && link.here == span.span_id),
    }
}

/// Adds the server's side to the row of its client.
fn absorb(row: &mut Row, server: &SpanRow) {
    let span = &server.span;
    let end = server.offset_ns.saturating_add(span.duration_ns);
    row.server_id = Some(span.span_id);
    row.handler = span.handler.clone();
    row.node = span.node.clone();
    row.inner = (
        server.offset_ns.clamp(row.outer.0, row.outer.1),
        end.clamp(row.outer.0, row.outer.1),
    );
    row.critical.extend_from_slice(&server.critical);
    row.failed |= matches!(span.status, SpanStatus::Failed { .. });
    row.cold |= span.cold == Some(true);
}

/// `shop:cart/cart.get-cart` → `get-cart`; other names as they are.
pub fn short_name(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((interface, function)) if interface.contains(':') && !interface.contains(' ') => {
            function.to_owned()
        }
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests;
