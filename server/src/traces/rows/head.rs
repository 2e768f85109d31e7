//! What a trace's page says before it shows a row: shares of the critical path, what failed, what to explain. Pure.

use std::collections::HashMap;

use super::laid::Laid;
use crate::traces::skeleton::NONE;
use protocol::{SpanKind, Transport};

/// Handlers that are told.
const SHARES_MAX: usize = 12;
/// Calls of which is read how long they waited.
const CALLS_MAX: usize = 64;

/// Shares of the critical path.
#[derive(Debug, Default)]
pub(in crate::traces) struct Shares {
    /// Handlers (words) with their time, the largest first.
    pub(in crate::traces) handlers: Vec<(u32, u64)>,
    /// Calls on their way between nodes.
    pub(in crate::traces) travel_ns: u64,
    /// The longest calls of the first handler, with their part of the path.
    pub(in crate::traces) longest: Vec<(usize, u64)>,
}

impl Laid {
    /// What the critical path is made of.
    pub(in crate::traces) fn shares(&self) -> Shares {
        let skeleton = &self.skeleton;
        let mut by_handler: HashMap<u32, u64> = HashMap::new();
        let mut travel_ns = 0;
        for part in &self.path {
            let (at, ns) = (part.span as usize, part.end - part.start);
            let is_between = skeleton.transport[at].is_some_and(Transport::is_between_nodes);
            if skeleton.kind[at] == SpanKind::Client && is_between {
                travel_ns += ns;
            } else {
                *by_handler.entry(skeleton.handler[at]).or_default() += ns;
            }
        }
        let mut handlers: Vec<(u32, u64)> = by_handler.into_iter().collect();
        handlers.sort_by_key(|(word, ns)| (std::cmp::Reverse(*ns), *word));
        handlers.truncate(SHARES_MAX);
        let mut calls: HashMap<u32, u64> = HashMap::new();
        for part in &self.path {
            let at = part.span as usize;
            let is_call = skeleton.kind[at] == SpanKind::Server;
            if is_call
                && handlers
                    .first()
                    .is_some_and(|(top, _)| skeleton.handler[at] == *top)
            {
                *calls.entry(part.span).or_default() += part.end - part.start;
            }
        }
        let mut longest: Vec<(usize, u64)> =
            calls.into_iter().map(|(span, ns)| (span as usize, ns)).collect();
        longest.sort_by_key(|(at, ns)| (std::cmp::Reverse(*ns), *at));
        longest.truncate(CALLS_MAX);
        Shares {
            handlers,
            travel_ns,
            longest,
        }
    }

    /// The deepest span that failed.
    pub(in crate::traces) fn failure(&self) -> Option<usize> {
        let failed = (0..self.skeleton.len()).filter(|at| self.skeleton.status[*at] == 2);
        failed.max_by_key(|at| self.tree.depth[*at])
    }

    /// The row to explain first: a failed call, else the call with the longest part of the critical path.
    pub(in crate::traces) fn telling(&self) -> Option<u32> {
        let table = &self.table;
        let rows = || 0..table.len() as u32;
        let failed = rows()
            .filter(|row| {
                table.parent[*row as usize] != NONE
                    && table.repeats(*row).is_none()
                    && table.has_failed(&self.skeleton, *row)
            })
            .max_by_key(|row| table.depth[*row as usize]);
        if failed.is_some() {
            return failed;
        }
        let mut parts = vec![0u64; table.len()];
        for part in &self.path {
            let row = table.row_of[part.span as usize] as usize;
            if table.server(row as u32).is_some() {
                parts[row] += part.end - part.start;
            }
        }
        let longest = rows().max_by_key(|row| (parts[*row as usize], std::cmp::Reverse(*row)));
        longest
            .filter(|row| parts[*row as usize] > 0)
            .or_else(|| rows().next())
    }

    /// Levels of rows.
    pub(in crate::traces) fn levels(&self) -> u32 {
        self.table.depth.iter().max().map_or(0, |depth| depth + 1)
    }
}
