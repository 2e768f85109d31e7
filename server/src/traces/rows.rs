//! `Table`: the rows of a laid-out trace, one per call. Pure.
//!
//! Promises: a client span and its only server span are one row, the callee's; at least [`REPEATS_MIN`] calls of one
//! function that follow each other stand one level below a row that stands for them; rows keep the tree's order. The
//! same for a trace of ten spans and of a million. Not here: which rows are shown (`rows/shown.rs`), and how they are
//! told (`rows/window.rs`).

mod head;
mod laid;
mod shown;
mod window;

use protocol::api::rows::{RowBar, RowKey};
use protocol::{SpanId, SpanKind, Transport};

use super::skeleton::{NONE, Skeleton};
use super::tree::Tree;

pub(super) use self::laid::{IDLE, Laid, Shelf};
pub(super) use self::shown::{Folds, View};
pub(super) use self::window::{Glossary, window};

/// A run shorter than this is read as quickly as its sum.
const REPEATS_MIN: u32 = 5;
/// Instead of a server's span: the row stands for calls that follow each other.
const STANDS: u32 = NONE - 1;

/// The rows, column by column.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// The span that the row is known by: the client's of a call; the first call's where it stands for several.
    pub(super) span: Vec<u32>,
    /// The server's span, [`NONE`] or [`STANDS`].
    server: Vec<u32>,
    /// The row above that it belongs to.
    pub(super) parent: Vec<u32>,
    pub(super) depth: Vec<u32>,
    /// Rows below that belong to it, at any depth.
    pub(super) below: Vec<u32>,
    /// The row of each span.
    pub(super) row_of: Vec<u32>,
    /// What the rows that stand for others stand for, by row.
    stands: Vec<(u32, Repeated)>,
}

/// Calls that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Repeated {
    pub(super) count: u32,
    pub(super) total_ns: u64,
    pub(super) failed: u32,
    /// The latest end.
    pub(super) end: u64,
}

/// Rows before calls that follow each other are gathered.
#[derive(Default)]
struct Plain {
    span: Vec<u32>,
    server: Vec<u32>,
    parent: Vec<u32>,
    depth: Vec<u32>,
    /// The first row of the run that a row is in, and at a first one how long the run is.
    run: Vec<(u32, u32)>,
}

impl Table {
    /// Makes the rows of a tree.
    pub(super) fn of(skeleton: &Skeleton, tree: &Tree) -> Self {
        let mut row_of = vec![NONE; skeleton.len()];
        let plain = plain(skeleton, tree, &mut row_of);
        let mut table = Self {
            row_of,
            ..Self::default()
        };
        let moved = table.gather(&plain);
        table.sum(skeleton, tree, &plain, &moved);
        for row in &mut table.row_of {
            if *row != NONE {
                *row = moved[*row as usize].0;
            }
        }
        table.below = vec![0; table.span.len()];
        for row in (0..table.span.len()).rev() {
            let below = table.below[row] + 1;
            if let Some(above) = table.below.get_mut(table.parent[row] as usize) {
                *above += below;
            }
        }
        table
    }

    pub(super) fn len(&self) -> usize {
        self.span.len()
    }

    /// The server's span of a row.
    pub(super) fn server(&self, row: u32) -> Option<u32> {
        Some(self.server[row as usize]).filter(|server| *server < STANDS)
    }

    /// What a row stands for, where it is no span itself.
    pub(super) fn repeats(&self, row: u32) -> Option<Repeated> {
        if self.server[row as usize] != STANDS {
            return None;
        }
        let at = self.stands.binary_search_by_key(&row, |(row, _)| *row).ok()?;
        Some(self.stands[at].1)
    }

    pub(super) fn key(&self, skeleton: &Skeleton, row: u32) -> RowKey {
        RowKey {
            span: SpanId(skeleton.id[self.span[row as usize] as usize]),
            repeats: self.server[row as usize] == STANDS,
        }
    }

    /// The callee.
    pub(super) fn handler(&self, skeleton: &Skeleton, row: u32) -> u32 {
        callee(skeleton, self.span[row as usize], self.server(row))
    }

    /// Where the work was done.
    pub(super) fn node(&self, skeleton: &Skeleton, row: u32) -> u32 {
        let at = self.server(row).unwrap_or(self.span[row as usize]);
        skeleton.node[at as usize]
    }

    /// Start and end of the whole.
    pub(super) fn outer(&self, tree: &Tree, row: u32) -> (u64, u64) {
        let at = self.span[row as usize] as usize;
        let end = self
            .repeats(row)
            .map_or_else(|| tree.end_ns(at), |repeats| repeats.end);
        (tree.offset_ns[at], end)
    }

    /// Start and end of the work within.
    pub(super) fn inner(&self, tree: &Tree, row: u32) -> Option<(u64, u64)> {
        let server = self.server(row)? as usize;
        let (start, end) = self.outer(tree, row);
        Some((
            tree.offset_ns[server].clamp(start, end),
            tree.end_ns(server).clamp(start, end),
        ))
    }

    pub(super) fn bar(&self, skeleton: &Skeleton, row: u32) -> RowBar {
        bar(skeleton, self.span[row as usize])
    }

    pub(super) fn has_failed(&self, skeleton: &Skeleton, row: u32) -> bool {
        let failed = |span: u32| skeleton.status[span as usize] == 2;
        match self.repeats(row) {
            Some(repeats) => repeats.failed > 0,
            None => failed(self.span[row as usize]) || self.server(row).is_some_and(failed),
        }
    }

    /// Writes the rows in their places; gives where each plain one went, and how many levels it went down.
    fn gather(&mut self, plain: &Plain) -> Vec<(u32, u32)> {
        let mut moved: Vec<(u32, u32)> = Vec::with_capacity(plain.span.len());
        for (row, span) in plain.span.iter().enumerate() {
            let (mut parent, deeper) = match plain.parent[row] {
                NONE => (NONE, 0),
                parent => moved[parent as usize],
            };
            let first = plain.run[row].0 as usize;
            let is_run = plain.run[first].1 >= REPEATS_MIN;
            if is_run {
                if first == row {
                    self.push(*span, STANDS, parent, plain.depth[row] + deeper);
                }
                // The row that stands for the run is the one before its first.
                let stands = match first == row {
                    true => last(&self.span),
                    false => moved[first].0 - 1,
                };
                parent = stands;
            }
            let deeper = deeper + u32::from(is_run);
            self.push(*span, plain.server[row], parent, plain.depth[row] + deeper);
            moved.push((last(&self.span), deeper));
        }
        moved
    }

    fn push(&mut self, span: u32, server: u32, parent: u32, depth: u32) {
        self.span.push(span);
        self.server.push(server);
        self.parent.push(parent);
        self.depth.push(depth);
    }

    /// Adds up what the rows stand for that stand for others.
    fn sum(&mut self, skeleton: &Skeleton, tree: &Tree, plain: &Plain, moved: &[(u32, u32)]) {
        for (row, (span, (first, length))) in plain.span.iter().zip(&plain.run).enumerate() {
            let is_first = *first as usize == row;
            if is_first && *length >= REPEATS_MIN {
                let none = Repeated {
                    count: 0,
                    total_ns: 0,
                    failed: 0,
                    end: 0,
                };
                self.stands.push((moved[row].0 - 1, none));
            }
            if plain.run[*first as usize].1 < REPEATS_MIN {
                continue;
            }
            let stands = moved[*first as usize].0 - 1;
            let Ok(at) = self.stands.binary_search_by_key(&stands, |(row, _)| *row) else {
                continue;
            };
            let server = Some(plain.server[row]).filter(|server| *server < STANDS);
            let failed = |span: u32| skeleton.status[span as usize] == 2;
            let sum = &mut self.stands[at].1;
            sum.count += 1;
            sum.total_ns += tree.duration_ns[*span as usize];
            sum.failed += u32::from(failed(*span) || server.is_some_and(failed));
            sum.end = sum.end.max(tree.end_ns(*span as usize));
        }
    }
}

/// The place of the last of a list that is not empty.
fn last(list: &[u32]) -> u32 {
    u32::try_from(list.len() - 1).unwrap_or(NONE)
}

/// One row per call, in the tree's order, with the runs marked.
fn plain(skeleton: &Skeleton, tree: &Tree, row_of: &mut [u32]) -> Plain {
    let mut plain = Plain::default();
    // The last row below each row, and below none.
    let mut newest: Vec<u32> = vec![NONE];
    for span in &tree.order {
        let at = *span as usize;
        let above = tree.parent[at];
        let is_server = skeleton.kind[at] == SpanKind::Server;
        if is_server
            && above != NONE
            && skeleton.kind[above as usize] == SpanKind::Client
            && tree.children(above as usize).len() == 1
        {
            let row = row_of[above as usize];
            row_of[at] = row;
            plain.server[row as usize] = *span;
            continue;
        }
        let row = u32::try_from(plain.span.len()).unwrap_or(NONE);
        let parent = if above == NONE {
            NONE
        } else {
            row_of[above as usize]
        };
        row_of[at] = row;
        plain.span.push(*span);
        plain.server.push(NONE);
        plain.parent.push(parent);
        let depth = if parent == NONE {
            0
        } else {
            plain.depth[parent as usize] + 1
        };
        plain.depth.push(depth);
        plain.run.push((row, 1));
        newest.push(NONE);
    }
    for row in 0..plain.span.len() {
        let below = if plain.parent[row] == NONE {
            0
        } else {
            plain.parent[row] as usize + 1
        };
        let before = std::mem::replace(&mut newest[below], u32::try_from(row).unwrap_or(NONE));
        if before != NONE && is_same(skeleton, &plain, before as usize, row) {
            let first = plain.run[before as usize].0;
            plain.run[row] = (first, 0);
            plain.run[first as usize].1 += 1;
        }
    }
    plain
}

/// Whether two rows are calls of one function. Enqueues are told apart: each leads to a trace of its own.
fn is_same(skeleton: &Skeleton, plain: &Plain, one: usize, other: usize) -> bool {
    let server = |row: usize| Some(plain.server[row]).filter(|server| *server < STANDS);
    let (a, b) = (plain.span[one], plain.span[other]);
    skeleton.name[a as usize] == skeleton.name[b as usize]
        && bar(skeleton, a) != RowBar::Queued
        && bar(skeleton, a) == bar(skeleton, b)
        && callee(skeleton, a, server(one)) == callee(skeleton, b, server(other))
}

fn callee(skeleton: &Skeleton, span: u32, server: Option<u32>) -> u32 {
    let at = span as usize;
    match server {
        Some(server) => skeleton.handler[server as usize],
        None if is_caller(skeleton.kind[at]) && skeleton.peer[at] != NONE => skeleton.peer[at],
        None => skeleton.handler[at],
    }
}

fn is_caller(kind: SpanKind) -> bool {
    matches!(kind, SpanKind::Client | SpanKind::Producer)
}

fn bar(skeleton: &Skeleton, span: u32) -> RowBar {
    let at = span as usize;
    match (skeleton.kind[at], skeleton.transport[at]) {
        (SpanKind::Producer, _) | (SpanKind::Client, Some(Transport::Queue)) => RowBar::Queued,
        (SpanKind::Client, Some(transport)) if transport.is_between_nodes() => RowBar::Remote,
        _ => RowBar::Solid,
    }
}

/// `shop:cart/cart.get-cart` → `get-cart`; other names as they are.
pub(super) fn short_name(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((interface, function)) if interface.contains(':') && !interface.contains(' ') => function,
        _ => name,
    }
}

#[cfg(test)]
mod tests;
