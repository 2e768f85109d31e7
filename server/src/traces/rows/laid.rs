//! `Laid`: a trace with its tree, its rows and its critical path, and the shelf that keeps the last few.
//!
//! Promises: at most [`BYTES_MAX`] bytes are kept, each for a minute after it was last asked for; a trace that has
//! grown is laid out again; two who ask for one trace lay it out once.

use std::sync::{Arc, Mutex, PoisonError};

use protocol::TraceId;
use tokio::time::{Duration, Instant};

use super::{Folds, Table};
use crate::traces::critical::{self, Stretch};
use crate::traces::skeleton::Skeleton;
use crate::traces::tree::{Bars, Ids, Tree};

/// A million spans are some 120 MB laid out, with the skeleton.
const BYTES_MAX: usize = 256 << 20;
/// Traces that are kept, at most.
const TRACES_MAX: usize = 32;
/// How long one is kept that nobody asks for.
pub(in crate::traces) const IDLE: Duration = Duration::from_secs(60);
/// Lists of what is shown that one trace keeps: a page and its neighbours fold differently, hardly more.
const VIEWS_MAX: usize = 4;

/// A laid-out trace.
#[derive(Debug)]
pub(in crate::traces) struct Laid {
    pub(in crate::traces) skeleton: Arc<Skeleton>,
    pub(in crate::traces) tree: Tree,
    pub(in crate::traces) table: Table,
    /// By time.
    pub(in crate::traces) path: Vec<Stretch>,
    ids: Ids,
    views: Mutex<Vec<(Folds, Arc<Shown>)>>,
}

/// What is shown of a trace.
#[derive(Debug)]
pub(in crate::traces) struct Shown {
    /// Rows, ascending.
    pub(in crate::traces) rows: Vec<u32>,
    /// Rows that are not as they begin, ascending.
    pub(in crate::traces) turned: Vec<u32>,
    /// By row, its place among those shown, or that of the one that hides it; `NONE` where neither is.
    pub(in crate::traces) places: Vec<u32>,
}

impl Laid {
    /// Lays a trace out; a million spans take a fraction of a second of one core.
    pub(in crate::traces) fn out(skeleton: Arc<Skeleton>, root: u64) -> Self {
        let tree = Tree::lay_out(Bars::from(&*skeleton), Some(root));
        let table = Table::of(&skeleton, &tree);
        let path = critical::path(&tree);
        Self {
            ids: Ids::of(&skeleton.id),
            skeleton,
            tree,
            table,
            path,
            views: Mutex::default(),
        }
    }

    /// The index of a span.
    pub(in crate::traces) fn find(&self, span: u64) -> Option<usize> {
        let at = self.ids.find(&self.skeleton.id, span) as usize;
        (at < self.skeleton.len()).then_some(at)
    }

    /// The row of a span.
    pub(in crate::traces) fn row(&self, span: u64) -> Option<u32> {
        self.find(span).map(|at| self.table.row_of[at])
    }

    /// The whole time, in ns.
    pub(in crate::traces) fn duration_ns(&self) -> u64 {
        let ends = (0..self.skeleton.len()).map(|at| self.tree.end_ns(at));
        ends.max().unwrap_or(0)
    }

    /// What is shown where these are folded.
    pub(in crate::traces) fn shown(&self, folds: &Folds) -> Arc<Shown> {
        let views = || self.views.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, shown)) = views().iter().find(|(known, _)| known == folds) {
            return Arc::clone(shown);
        }
        let find = |span| self.ids.find(&self.skeleton.id, span);
        let turned = self.table.turned(folds, find);
        let focus = folds.focus.and_then(|span| self.row(span));
        let rows = self.table.shown(&self.tree, folds, focus, &turned);
        let places = self.table.places(&rows);
        let shown = Arc::new(Shown { rows, turned, places });
        let mut views = views();
        if views.len() >= VIEWS_MAX {
            views.remove(0);
        }
        views.push((folds.clone(), Arc::clone(&shown)));
        shown
    }

    /// What it takes, about: the skeleton's columns, the tree's, the rows', and lists of what is shown.
    fn bytes(&self) -> usize {
        self.skeleton.len() * (76 + 40 + 12) + self.table.len() * (24 + 8 * VIEWS_MAX) + self.path.len() * 24
    }
}

/// The traces that were looked at last.
#[derive(Debug, Default)]
pub(in crate::traces) struct Shelf {
    kept: Mutex<Vec<Kept>>,
    /// One lays out at a time: two large ones at once would take every core from calls.
    pub(in crate::traces) turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Kept {
    trace_id: TraceId,
    /// Spans that the trace had.
    spans: u32,
    asked: Instant,
    laid: Arc<Laid>,
}

impl Shelf {
    /// A trace, if it is here as it is now.
    pub(in crate::traces) fn get(&self, trace_id: TraceId, spans: u32) -> Option<Arc<Laid>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept
            .iter_mut()
            .find(|kept| kept.trace_id == trace_id && kept.spans == spans)?;
        found.asked = Instant::now();
        Some(Arc::clone(&found.laid))
    }

    /// Keeps a trace, and lets go of what was asked for longest ago.
    pub(in crate::traces) fn put(&self, trace_id: TraceId, spans: u32, laid: &Arc<Laid>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| kept.trace_id != trace_id);
        kept.push(Kept {
            trace_id,
            spans,
            asked: Instant::now(),
            laid: Arc::clone(laid),
        });
        kept.sort_by_key(|kept| std::cmp::Reverse(kept.asked));
        let mut bytes = 0;
        let mut count = 0;
        kept.retain(|kept| {
            bytes += kept.laid.bytes();
            count += 1;
            // The one that is looked at now stays, whatever it takes.
            count == 1 || (bytes <= BYTES_MAX && count <= TRACES_MAX)
        });
    }

    /// Lets go of what nobody has asked for in a while.
    pub(in crate::traces) fn sweep(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| kept.asked.elapsed() < IDLE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traces::skeleton::Columns;
    use crate::traces::testing::span;

    fn laid(trace: u128, spans: u64) -> Arc<Laid> {
        let mut columns = Columns::new(TraceId(trace));
        for id in 1..=spans {
            columns.add(&span(trace, id, (id > 1).then_some(1)), None);
        }
        Arc::new(Laid::out(Arc::new(columns.done()), 1))
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_few_are_kept_for_a_minute_and_one_that_grew_is_not() {
        let shelf = Shelf::default();
        shelf.put(TraceId(1), 3, &laid(1, 3));
        assert!(shelf.get(TraceId(1), 3).is_some());
        assert!(shelf.get(TraceId(1), 4).is_none(), "it has grown");
        shelf.put(TraceId(1), 4, &laid(1, 4));
        assert_eq!(shelf.kept.lock().unwrap().len(), 1);
        for trace in 2..60 {
            tokio::time::advance(Duration::from_millis(1)).await;
            shelf.put(TraceId(trace), 3, &laid(trace, 3));
        }
        assert_eq!(shelf.kept.lock().unwrap().len(), TRACES_MAX);
        assert!(shelf.get(TraceId(1), 4).is_none() && shelf.get(TraceId(59), 3).is_some());
        tokio::time::advance(IDLE).await;
        shelf.sweep();
        assert!(shelf.get(TraceId(59), 3).is_none());
    }

    #[test]
    fn what_is_shown_is_kept_for_the_last_few_folds() {
        let laid = laid(1, 3);
        let one = laid.shown(&Folds::default());
        assert!(Arc::ptr_eq(&one, &laid.shown(&Folds::default())));
        for level in 0..VIEWS_MAX as u32 {
            let folds = Folds {
                level: Some(level),
                ..Folds::default()
            };
            laid.shown(&folds);
        }
        assert!(!Arc::ptr_eq(&one, &laid.shown(&Folds::default())));
    }
}
