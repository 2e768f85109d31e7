//! `Windows`: the rows that are here, in blocks, of a trace that may have a million.
//!
//! Promises: at most [`BLOCKS_MAX`] blocks; what is asked for is asked once; answers to an older question (before a row
//! was folded) are told apart by their age.

use std::collections::BTreeMap;

use protocol::SpanId;
use protocol::api::rows::{Rows, Stretch, TraceRow};

/// Rows of a block.
pub const BLOCK: u64 = 100;
/// Blocks that are kept: what is seen lies in two.
const BLOCKS_MAX: usize = 12;

/// A row with its words.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// The row.
    pub row: &'a TraceRow,
    /// The answer that it came with.
    answer: &'a Rows,
}

impl<'a> Told<'a> {
    fn word(self, at: u32) -> &'a str {
        self.answer.words.get(at as usize).map_or("", String::as_str)
    }

    /// The callee.
    pub fn handler(self) -> &'a str {
        self.word(self.row.handler)
    }

    /// Where the work was done.
    pub fn node(self) -> &'a str {
        self.word(self.row.node)
    }

    /// What it does.
    pub fn label(self) -> &'a str {
        self.word(self.row.label)
    }

    /// The length of the whole, in ns.
    pub fn duration(self) -> u64 {
        self.row.outer.1.saturating_sub(self.row.outer.0)
    }

    /// Whether a span is this row, on either side of the call.
    pub fn is(self, span: SpanId) -> bool {
        !self.row.key.repeats && (self.row.key.span == span || self.row.server == Some(span))
    }

    /// Its figures and what is to be known of it, in words.
    pub fn words(self) -> String {
        use crate::format::{count, duration, plural};
        let row = self.row;
        let mut parts = Vec::new();
        match &row.repeats {
            Some(repeats) => {
                parts.push(format!("{} calls in a row", count(repeats.count)));
                parts.push(format!("{} in all", duration(repeats.total_ns)));
                if repeats.failed > 0 {
                    parts.push(format!("{} failed", count(repeats.failed)));
                }
            }
            None => {
                parts.push(duration(self.duration()));
                if let Some((start, end)) = row.inner {
                    let within = end.saturating_sub(start);
                    let travel = self.duration().saturating_sub(within);
                    if travel > 0 {
                        parts.push(format!("{} of it on the way", duration(travel)));
                    }
                }
                if row.failed {
                    parts.push("failed".to_owned());
                }
            }
        }
        parts.push(format!("begins at {}", duration(row.outer.0)));
        if let Some(later) = row.later {
            parts.push(format!("handled {} later", duration(later.wait_ns)));
        }
        if row.orphan {
            parts.push("its caller was not recorded".to_owned());
        }
        if row.below > 0 {
            parts.push(plural(u64::from(row.below), "row below", "rows below"));
        }
        parts.join(" · ")
    }
}

/// The blocks.
#[derive(Debug, Default)]
pub struct Windows {
    blocks: BTreeMap<u64, Rows>,
    /// Blocks that were asked for, with the age of the question.
    asked: BTreeMap<u64, u32>,
    /// Rows that are shown.
    pub total: u64,
    /// The critical path, by time.
    pub path: Vec<Stretch>,
    /// Counts what makes answers old.
    pub age: u32,
    /// Whether the blocks are of an older question: still shown, until the first new one is here.
    is_old: bool,
}

impl Windows {
    /// A row that is here.
    pub fn get(&self, place: u64) -> Option<Told<'_>> {
        let (at, answer) = self.blocks.range(..=place).next_back()?;
        let row = answer.rows.get(usize::try_from(place - at).ok()?)?;
        Some(Told { row, answer })
    }

    /// The place of a span's row, if it is here.
    pub fn find(&self, span: SpanId) -> Option<u64> {
        self.all().find(|(_, told)| told.is(span)).map(|(place, _)| place)
    }

    /// All rows that are here.
    pub fn all(&self) -> impl Iterator<Item = (u64, Told<'_>)> {
        self.blocks.iter().flat_map(|(at, answer)| {
            (*at..)
                .zip(&answer.rows)
                .map(move |(place, row)| (place, Told { row, answer }))
        })
    }

    /// What to ask for, of the places seen: where to begin, and how many rows. What was asked for is not asked again.
    pub fn missing(&mut self, first: u64, end: u64) -> Option<(u64, u64)> {
        let end = if self.is_old { end } else { end.min(self.total) };
        let mut place = first;
        while place < end {
            let block = place / BLOCK * BLOCK;
            if self.is_old || self.get(place).is_none() {
                // An answer may have fewer rows than were asked for: what it left begins within a block.
                let is_begun = !self.is_old && self.get(block).is_some();
                let at = if is_begun { place } else { block };
                if self.asked.insert(at, self.age) != Some(self.age) {
                    return Some((at, block + BLOCK - at));
                }
                place = block + BLOCK;
            } else {
                place += 1;
            }
        }
        None
    }

    /// Makes what is here old: something was folded, another part of the time is seen.
    pub fn forget(&mut self) {
        self.age = self.age.wrapping_add(1);
        self.is_old = true;
        self.asked.clear();
    }

    /// Takes an answer; one to an older question is let go.
    pub fn put(&mut self, age: u32, answer: Rows) -> bool {
        if age != self.age {
            return false;
        }
        if std::mem::take(&mut self.is_old) {
            self.blocks.clear();
        }
        self.total = answer.total;
        self.path.clone_from(&answer.path);
        let at = answer.at;
        self.asked.remove(&at);
        self.blocks.insert(at, answer);
        while self.blocks.len() > BLOCKS_MAX {
            let first = self.blocks.first_key_value().map_or(0, |(key, _)| *key);
            let last = self.blocks.last_key_value().map_or(0, |(key, _)| *key);
            let far = if at - first > last - at { first } else { last };
            self.blocks.remove(&far);
        }
        true
    }

    /// Lets rows be asked for again, which could not be had.
    pub fn missed(&mut self, at: u64) {
        self.asked.remove(&at);
    }
}

#[cfg(test)]
mod tests {
    use protocol::api::rows::{RowBar, RowKey};

    use super::*;

    fn answer(at: u64, count: u64, total: u64) -> Rows {
        let row = |id: u64| TraceRow {
            key: RowKey {
                span: SpanId(id + 1),
                repeats: false,
            },
            server: None,
            handler: 0,
            node: 0,
            label: 9,
            depth: 0,
            below: 0,
            folded: false,
            outer: (id, id + 10),
            inner: None,
            bar: RowBar::Solid,
            failed: false,
            orphan: false,
            repeats: None,
            later: None,
        };
        Rows {
            total,
            at,
            words: vec!["cart".to_owned()],
            rows: (at..at + count).map(row).collect(),
            path: Vec::new(),
            revealed: None,
            head: None,
        }
    }

    #[test]
    fn what_is_seen_is_asked_for_once_and_found() {
        let mut windows = Windows::default();
        windows.put(0, answer(0, 100, 950));
        assert_eq!(windows.missing(0, 30), None);
        assert_eq!(windows.missing(90, 130), Some((100, 100)));
        assert_eq!(windows.missing(90, 130), None, "it was asked for");
        windows.missed(100);
        assert_eq!(windows.missing(90, 130), Some((100, 100)));
        windows.put(0, answer(100, 100, 950));
        let told = windows.get(120).unwrap();
        assert_eq!(
            (told.handler(), told.label(), told.row.key.span),
            ("cart", "", SpanId(121))
        );
        assert_eq!(windows.find(SpanId(151)), Some(150));
        assert!(windows.get(200).is_none());
        assert_eq!(windows.missing(940, 990), Some((900, 100)));
    }

    #[test]
    fn old_rows_are_shown_until_new_ones_are_here_and_old_answers_are_let_go() {
        let mut windows = Windows::default();
        windows.put(0, answer(0, 100, 950));
        windows.forget();
        assert!(windows.get(5).is_some());
        assert_eq!(windows.missing(0, 30), Some((0, 100)));
        assert!(!windows.put(0, answer(100, 100, 950)), "an answer from before");
        assert!(windows.put(1, answer(0, 100, 120)));
        assert_eq!((windows.total, windows.get(119).is_none()), (120, true));
    }

    #[test]
    fn a_short_answer_leaves_its_rest_to_be_asked_for() {
        let mut windows = Windows::default();
        windows.put(0, answer(0, 40, 950));
        assert_eq!(windows.missing(30, 60), Some((40, 60)));
    }

    #[test]
    fn few_blocks_are_kept_those_near_to_the_last() {
        let mut windows = Windows::default();
        for block in 0..40 {
            windows.put(0, answer(block * BLOCK, 100, 10_000));
        }
        assert_eq!(windows.blocks.len(), BLOCKS_MAX);
        assert!(windows.get(3_950).is_some() && windows.get(0).is_none());
    }
}
