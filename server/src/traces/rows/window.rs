//! A window of a trace's rows, as the API tells it. Pure.
//!
//! Promises: never more than the rows that were asked for, and fewer where the answer would exceed
//! `WINDOW_BYTES_MAX`; the critical path is cut to what a screen can show, however many parts it has.

use std::collections::HashMap;

use protocol::SpanId;
use protocol::api::rows::{Later, Revealed, RowKey, RowRepeats, Rows, Stretch, TraceRow, WINDOW_BYTES_MAX};
use protocol::api::traces::LinkedTrace;

use super::laid::{Laid, Shown};
use super::{Folds, View, short_name};
use crate::traces::skeleton::NONE;

/// The critical path is told in stretches of at least one of so many parts of the time.
const PATH_PARTS: u64 = 100;
/// Repeated calls beyond this many are not told apart.
const BARS_MAX: usize = 120;
/// What a row takes in JSON at most, without its words and repeated calls.
const ROW_BYTES: usize = 330;
const BAR_BYTES: usize = 24;
/// What is kept free for the path, the head and links.
const REST_BYTES: usize = 64 << 10;
/// A longer word is cut.
const WORD_CHARS_MAX: usize = 200;

/// Texts of an answer, each told once.
#[derive(Debug, Default)]
pub(in crate::traces) struct Glossary {
    places: HashMap<(u32, bool), u32>,
    pub(in crate::traces) words: Vec<String>,
    pub(in crate::traces) bytes: usize,
}

impl Glossary {
    /// The place of a word of the skeleton; of a name's short form.
    pub(in crate::traces) fn place(&mut self, laid: &Laid, word: u32, is_short: bool) -> u32 {
        *self.places.entry((word, is_short)).or_insert_with(|| {
            let text = laid.skeleton.text(word);
            let text = if is_short { short_name(text) } else { text };
            let text: String = text.chars().take(WORD_CHARS_MAX).collect();
            self.bytes += text.len() + 4;
            self.words.push(text);
            u32::try_from(self.words.len() - 1).unwrap_or(NONE)
        })
    }
}

/// The rows that were asked for.
pub(in crate::traces) fn window(laid: &Laid, view: &View, linked: &[LinkedTrace]) -> Rows {
    let (shown, revealed) = reveal(laid, view);
    let at = view.at.unwrap_or_else(|| {
        let row = revealed.as_ref().map_or(0, |revealed| revealed.row);
        row.saturating_sub(view.count as u64 / 3)
    });
    let later: HashMap<SpanId, Later> = linked
        .iter()
        .filter(|link| link.follows)
        .map(|link| {
            let later = Later {
                trace_id: link.trace_id,
                wait_ns: link.wait_ns,
            };
            (link.here, later)
        })
        .collect();
    let mut teller = Teller {
        laid,
        view,
        shown: &shown,
        later,
        glossary: Glossary::default(),
        bytes: REST_BYTES,
    };
    let first = usize::try_from(at).unwrap_or(usize::MAX);
    let mut rows = Vec::with_capacity(view.count);
    for row in shown.rows.iter().skip(first).take(view.count) {
        rows.push(teller.row(*row));
        if teller.bytes + teller.glossary.bytes > WINDOW_BYTES_MAX {
            rows.pop();
            break;
        }
    }
    Rows {
        total: shown.rows.len() as u64,
        at,
        rows,
        words: teller.glossary.words,
        path: path(laid, &shown, (view.from, view.to)),
        revealed,
        head: None,
    }
}

/// What is shown, with what hides the span that is to be seen unfolded.
fn reveal(laid: &Laid, view: &View) -> (std::sync::Arc<Shown>, Option<Revealed>) {
    let shown = laid.shown(&view.folds);
    let Some(row) = view.reveal.and_then(|span| laid.row(span)) else {
        return (shown, None);
    };
    let hiding = laid.table.hiding(&laid.skeleton, row, &view.folds, &shown.turned);
    let shown = if hiding.is_empty() {
        shown
    } else {
        let mut folds: Folds = view.folds.clone();
        for key in &hiding {
            turn(&mut folds, *key);
        }
        laid.shown(&folds)
    };
    let revealed = place(&shown, row).map(|place| Revealed {
        row: place,
        turned: hiding,
    });
    (shown, revealed)
}

fn turn(folds: &mut Folds, key: RowKey) {
    if !folds.turned.remove(&key) {
        folds.turned.insert(key);
    }
}

/// The place of a row, or of the one that hides it.
fn place(shown: &Shown, row: u32) -> Option<u64> {
    let place = *shown.places.get(row as usize)?;
    (place != NONE).then_some(u64::from(place))
}

/// Tells rows one by one.
struct Teller<'a> {
    laid: &'a Laid,
    view: &'a View,
    shown: &'a Shown,
    later: HashMap<SpanId, Later>,
    glossary: Glossary,
    /// What the answer takes so far, at most, without its words.
    bytes: usize,
}

impl Teller<'_> {
    fn row(&mut self, row: u32) -> TraceRow {
        let Laid {
            skeleton,
            tree,
            table,
            ..
        } = self.laid;
        let span = table.span[row as usize];
        let at = span as usize;
        self.bytes += ROW_BYTES;
        TraceRow {
            key: table.key(skeleton, row),
            server: table
                .server(row)
                .map(|server| SpanId(skeleton.id[server as usize])),
            handler: self
                .glossary
                .place(self.laid, table.handler(skeleton, row), false),
            node: self.glossary.place(self.laid, table.node(skeleton, row), false),
            label: self.glossary.place(self.laid, skeleton.name[at], true),
            depth: table.depth[row as usize],
            below: table.below[row as usize],
            folded: table.below[row as usize] > 0
                && table.is_folded(row as usize, &self.view.folds, &self.shown.turned),
            outer: table.outer(tree, row),
            inner: table.inner(tree, row),
            bar: table.bar(skeleton, row),
            failed: table.has_failed(skeleton, row),
            orphan: skeleton.parent[at] != 0 && tree.parent[at] == NONE && tree.root != Some(at),
            repeats: self.repeats(row),
            later: self.later.get(&SpanId(skeleton.id[at])).copied(),
        }
    }

    fn repeats(&mut self, row: u32) -> Option<RowRepeats> {
        let Laid { tree, table, .. } = self.laid;
        let repeats = table.repeats(row)?;
        let mut bars = Vec::new();
        let end = row + table.below[row as usize];
        let mut one = row + 1;
        while one <= end && bars.len() <= BARS_MAX {
            let (start, stop) = table.outer(tree, one);
            if stop >= self.view.from && start <= self.view.to {
                bars.push((start, stop));
            }
            one += 1 + table.below[one as usize];
        }
        if bars.len() > BARS_MAX || self.bytes + bars.len() * BAR_BYTES > WINDOW_BYTES_MAX / 2 {
            bars.clear();
        }
        self.bytes += bars.len() * BAR_BYTES;
        Some(RowRepeats {
            count: repeats.count.into(),
            total_ns: repeats.total_ns,
            failed: repeats.failed.into(),
            bars,
        })
    }
}

/// The critical path between two moments: one line of the longer stretches, each drawn on to what follows.
fn path(laid: &Laid, shown: &Shown, (from, to): (u64, u64)) -> Vec<Stretch> {
    let first = laid.path.partition_point(|part| part.end <= from);
    let parts = laid.path.get(first..).unwrap_or_default();
    let parts = parts.iter().take_while(|part| part.start < to);
    let mut joined: Vec<Stretch> = Vec::new();
    let end = laid.path.last().map_or(0, |last| last.end).min(to);
    let least = end.saturating_sub(from) / PATH_PARTS;
    // A stretch that is too short is let go as soon as the next one begins, so that the list stays short.
    for part in parts {
        let row = laid.table.row_of[part.span as usize];
        let Some(row) = place(shown, row) else { continue };
        if let Some(last) = joined.last_mut()
            && last.row == row
            && part.start <= last.end
        {
            last.end = last.end.max(part.end);
            continue;
        }
        joined.pop_if(|last| last.end - last.start < least);
        joined.push(Stretch {
            row,
            start: part.start,
            end: part.end,
        });
    }
    joined.pop_if(|last| last.end - last.start < least);
    let mut line: Vec<Stretch> = Vec::with_capacity(joined.len());
    for stretch in joined {
        match line.last_mut() {
            Some(last) if last.row == stretch.row => last.end = stretch.end,
            last => {
                if let Some(last) = last {
                    last.end = stretch.start;
                }
                line.push(stretch);
            }
        }
    }
    line
}
