//! The waterfall: spans as rows and bars, one row per call.
//!
//! Promises: a client span and its only server span are one row, the callee's, whose bar wears the travel as thin
//! ends; calls of one function that follow each other stand below one row (`repeats`); rows keep the tree's order.
//! Works in one pass over the spans, so that ten thousand open at once. Not here: which rows are on the screen, which
//! is the page's.

pub mod path;
mod repeats;
pub mod ticks;

use std::collections::HashMap;

use protocol::api::traces::{LinkedTrace, SpanRow, TraceDetail};
use protocol::{HandlerName, NodeName, SpanId, SpanKind, SpanStatus, Transport};

pub use self::repeats::Repeats;

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
    /// The calls that it stands for, where it is no span itself.
    pub repeats: Option<Repeats>,
}

impl Row {
    /// The length of the whole, in ns.
    pub fn duration(&self) -> u64 {
        self.outer.1.saturating_sub(self.outer.0)
    }

    /// Whether the span is this row, on either side of the call.
    pub fn is(&self, span: SpanId) -> bool {
        self.repeats.is_none() && (self.id == span || self.server_id == Some(span))
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
    let mut rows = repeats::gather(rows);
    for index in (0..rows.len()).rev() {
        let below = rows[index].below + 1;
        if let Some(parent) = rows[index].parent {
            rows[parent].below += below;
        }
    }
    rows
}

/// The rows to be shown where those that are `folded` hide what is below them; all by index.
pub fn visible(rows: &[Row], folded: &dyn Fn(usize) -> bool) -> Vec<usize> {
    let mut shown = Vec::with_capacity(rows.len());
    let mut index = 0;
    while let Some(row) = rows.get(index) {
        shown.push(index);
        index += 1 + if folded(index) { row.below } else { 0 };
    }
    shown
}

/// The rows that are folded at first: those that stand for others.
pub fn folded_at_first(rows: &[Row]) -> impl Iterator<Item = usize> {
    let repeating = rows.iter().enumerate().filter(|(_, row)| row.repeats.is_some());
    repeating.map(|(index, _)| index)
}

/// The rows that a row is below.
pub fn ancestors(rows: &[Row], index: usize) -> impl Iterator<Item = usize> {
    let parent = |index: &usize| rows.get(*index).and_then(|row| row.parent);
    std::iter::successors(parent(&index), move |index| parent(index))
}

/// The span of the next row that is shown, or of the one before.
pub fn neighbour(rows: &[Row], shown: &[usize], from: Option<SpanId>, forward: bool) -> Option<SpanId> {
    let at = from.and_then(|span| rows.iter().position(|row| row.is(span)));
    // A row that is hidden stands where the one is that hides it.
    let place = at.map(|at| shown.partition_point(|index| *index <= at).saturating_sub(1));
    let is_span = |index: &&usize| rows.get(**index).is_some_and(|row| row.repeats.is_none());
    let found = match (place, forward) {
        (None, _) => shown.iter().find(is_span),
        (Some(place), true) => shown.iter().skip(place + 1).find(is_span),
        (Some(place), false) => shown.iter().take(place).rfind(is_span),
    };
    found.and_then(|index| rows.get(*index)).map(|row| row.id)
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
            (SpanKind::Client, Some(transport)) if transport.is_between_nodes() => Bar::Remote,
            _ => Bar::Solid,
        },
        critical: row.critical.clone(),
        failed: matches!(span.status, SpanStatus::Failed { .. }),
        cold: span.cold == Some(true),
        continues: linked
            .iter()
            .position(|link| link.follows && link.here == span.span_id),
        repeats: None,
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
