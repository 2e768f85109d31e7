//! `View`: which rows of a trace are shown, given what is folded, left out and looked at. Pure.

use std::collections::BTreeSet;

use protocol::api::rows::{ROWS_DEFAULT, ROWS_MAX, RowKey, RowsQuery, TURNED_MAX};

use super::{STANDS, Table};
use crate::traces::Error;
use crate::traces::skeleton::{NONE, Skeleton};
use crate::traces::tree::Tree;

/// What is folded; two queries that are equal show the same rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::traces) struct Folds {
    /// Rows that are not as they begin.
    pub(in crate::traces) turned: BTreeSet<RowKey>,
    /// Rows this deep begin folded.
    pub(in crate::traces) level: Option<u32>,
    pub(in crate::traces) min_ns: u64,
    pub(in crate::traces) focus: Option<u64>,
}

/// A query that was read.
#[derive(Debug, Clone)]
pub(in crate::traces) struct View {
    pub(in crate::traces) folds: Folds,
    pub(in crate::traces) at: Option<u64>,
    pub(in crate::traces) count: usize,
    pub(in crate::traces) reveal: Option<u64>,
    pub(in crate::traces) from: u64,
    pub(in crate::traces) to: u64,
    pub(in crate::traces) has_head: bool,
}

impl View {
    /// Reads a query.
    pub(in crate::traces) fn of(query: &RowsQuery) -> Result<Self, Error> {
        let count = query.count.unwrap_or(ROWS_DEFAULT);
        if !(1..=ROWS_MAX).contains(&count) {
            return Err(Error::Query {
                field: "count",
                value: count.to_string(),
                expected: "number from 1 to 500",
            });
        }
        let text = query.collapsed.as_deref().unwrap_or_default();
        let keys: Result<BTreeSet<RowKey>, _> = text
            .split(',')
            .filter(|key| !key.is_empty())
            .map(str::parse)
            .collect();
        let turned = keys.ok().filter(|keys| keys.len() <= TURNED_MAX);
        let Some(turned) = turned else {
            return Err(Error::Query {
                field: "collapsed",
                value: text.chars().take(80).collect(),
                expected: "list of at most 500 spans with commas between them",
            });
        };
        Ok(Self {
            folds: Folds {
                turned,
                level: query.level,
                min_ns: query.min_ns.unwrap_or(0),
                focus: query.focus.map(|span| span.0),
            },
            at: query.at,
            count: count as usize,
            reveal: query.reveal.map(|span| span.0),
            from: query.from.unwrap_or(0),
            to: query.to.unwrap_or(u64::MAX),
            has_head: query.head.unwrap_or(false),
        })
    }
}

impl Table {
    /// Whether a row begins folded: because it stands for others, or lies deep enough.
    fn begins_folded(&self, row: usize, level: Option<u32>) -> bool {
        self.server[row] == STANDS
            || self.below[row] > 0 && level.is_some_and(|level| self.depth[row] >= level)
    }

    /// Whether a row hides what is below it.
    pub(in crate::traces) fn is_folded(&self, row: usize, folds: &Folds, turned: &[u32]) -> bool {
        self.begins_folded(row, folds.level) != turned.binary_search(&(row as u32)).is_ok()
    }

    /// The rows that are not as they begin, sorted.
    pub(in crate::traces) fn turned(&self, folds: &Folds, find: impl Fn(u64) -> u32) -> Vec<u32> {
        let mut rows: Vec<u32> = folds
            .turned
            .iter()
            .filter_map(|key| self.row_of_key(find(key.span.0), key.repeats))
            .collect();
        rows.sort_unstable();
        rows
    }

    fn row_of_key(&self, span: u32, repeats: bool) -> Option<u32> {
        let row = *self.row_of.get(span as usize)?;
        if !repeats {
            return Some(row);
        }
        let stands = row.checked_sub(1)?;
        (self.server[stands as usize] == STANDS).then_some(stands)
    }

    /// The rows that are shown, ascending.
    pub(in crate::traces) fn shown(
        &self,
        tree: &Tree,
        folds: &Folds,
        focus: Option<u32>,
        turned: &[u32],
    ) -> Vec<u32> {
        let (mut row, end) = match focus {
            Some(row) => (row as usize, row as usize + 1 + self.below[row as usize] as usize),
            None => (0, self.len()),
        };
        let mut shown = Vec::with_capacity(if folds.level.is_none() { end - row } else { 0 });
        while row < end {
            let below = self.below[row] as usize;
            let is_short = folds.min_ns > 0 && {
                let (start, end) = self.outer(tree, row as u32);
                end - start < folds.min_ns && Some(row as u32) != focus
            };
            if is_short {
                row += 1 + below;
                continue;
            }
            shown.push(row as u32);
            let is_hiding = below > 0 && self.is_folded(row, folds, turned);
            row += 1 + if is_hiding { below } else { 0 };
        }
        shown
    }

    /// What hides a row: the folded rows above it, up to the one that is looked at.
    pub(in crate::traces) fn hiding(
        &self,
        skeleton: &Skeleton,
        row: u32,
        folds: &Folds,
        turned: &[u32],
    ) -> Vec<RowKey> {
        let mut hiding = Vec::new();
        let mut above = self.parent[row as usize];
        while above != NONE && hiding.len() < TURNED_MAX {
            if self.is_folded(above as usize, folds, turned) {
                hiding.push(self.key(skeleton, above));
            }
            above = self.parent[above as usize];
        }
        hiding
    }

    /// By row, its place among those shown, or that of the nearest one above it that is.
    pub(in crate::traces) fn places(&self, shown: &[u32]) -> Vec<u32> {
        let mut places = vec![NONE; self.len()];
        for (place, row) in shown.iter().enumerate() {
            places[*row as usize] = place as u32;
        }
        for row in 0..places.len() {
            let parent = self.parent[row];
            if places[row] == NONE && parent != NONE {
                places[row] = places[parent as usize];
            }
        }
        places
    }
}
