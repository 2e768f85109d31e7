//! A trace, or a part of it, in a screen: per level and column who takes most of the time. Pure.
//!
//! Promises: at most `CELLS_MAX` cells whatever the trace; a call that is a column wide stands for itself; of calls
//! that lie in one column, or at the same time, the one that takes most of it is told, and all are counted. One pass
//! over the rows, bounded also where each of a million is as long as the whole.

use protocol::SpanId;
use protocol::api::rows::{CELLS_MAX, COLUMNS_MAX, Overview, OverviewQuery, Run};

use super::Error;
use super::rows::{Glossary, Laid};
use super::skeleton::NONE;

const COLUMNS_DEFAULT: u32 = 256;
const COLUMNS_MIN: u32 = 16;
/// Levels that a screen has room for.
const LEVELS_MAX: u32 = 64;
/// Runs with names, at most: some 100 bytes each.
const NAMED_MAX: usize = 2_048;
/// Runs at most: an answer stays below 64 KB.
const RUNS_MAX: usize = 1_200;
/// Cells that are painted for the rows between two moments; beyond, long rows are painted by their ends and middle.
const PAINT_MAX: u64 = 24_000_000;

#[derive(Debug, Clone, Copy)]
struct Cell {
    /// The row that takes most of it.
    row: u32,
    ns: u64,
    calls: u32,
    failed: u32,
}

const FREE: Cell = Cell {
    row: NONE,
    ns: 0,
    calls: 0,
    failed: 0,
};

/// What was asked for, with its bounds.
#[derive(Debug, Clone, Copy)]
struct Frame {
    from: u64,
    to: u64,
    columns: u32,
    levels: u32,
}

impl Frame {
    /// The columns that a stretch of time touches.
    fn columns(self, (start, end): (u64, u64)) -> (u32, u32) {
        let whole = u128::from(self.to - self.from);
        let column = |ns: u64| {
            let ns = u128::from(ns.clamp(self.from, self.to) - self.from);
            let column = ns * u128::from(self.columns) / whole;
            u32::try_from(column).unwrap_or(0).min(self.columns - 1)
        };
        (column(start), column(end.max(start + 1) - 1))
    }

    /// Where a column begins.
    fn start(self, column: u32) -> u64 {
        let whole = u128::from(self.to - self.from);
        let ns = whole * u128::from(column) / u128::from(self.columns);
        self.from + u64::try_from(ns).unwrap_or(0)
    }
}

/// Draws it.
pub(super) fn overview(laid: &Laid, query: &OverviewQuery) -> Result<Overview, Error> {
    let columns = query.columns.unwrap_or(COLUMNS_DEFAULT);
    if !(COLUMNS_MIN..=COLUMNS_MAX).contains(&columns) {
        return Err(Error::Query {
            field: "columns",
            value: columns.to_string(),
            expected: "number from 16 to 1024",
        });
    }
    let focus = query.focus.and_then(|span| laid.row(span.0));
    let (rows, base) = match focus {
        Some(row) => (
            row..row + 1 + laid.table.below[row as usize],
            laid.table.depth[row as usize],
        ),
        None => (0..laid.table.len() as u32, 0),
    };
    let depths = rows.clone().map(|row| laid.table.depth[row as usize] - base);
    let depth = depths.max().map_or(0, |depth| depth + 1);
    let from = query.from.unwrap_or(0);
    let frame = Frame {
        from,
        to: query
            .to
            .unwrap_or_else(|| laid.duration_ns())
            .max(from.saturating_add(1)),
        columns,
        levels: depth.min(CELLS_MAX / columns).clamp(1, LEVELS_MAX),
    };
    let cells = paint(laid, frame, rows, base);
    Ok(tell(laid, frame, &cells, depth, query.names.unwrap_or(false)))
}

fn paint(laid: &Laid, frame: Frame, rows: std::ops::Range<u32>, base: u32) -> Vec<Cell> {
    let Laid {
        skeleton,
        tree,
        table,
        ..
    } = laid;
    let seen = || {
        rows.clone().filter_map(|row| {
            let level = table.depth[row as usize] - base;
            let outer = table.outer(tree, row);
            let is_in = outer.1 >= frame.from && outer.0 <= frame.to && level < frame.levels;
            // A row that stands for others has them below it; painted, it would hide the gaps between them.
            is_in.then_some((row, level, outer))
        })
    };
    let work: u64 = seen()
        .map(|(_, _, outer)| {
            let (first, last) = frame.columns(outer);
            u64::from(last - first + 1)
        })
        .sum();
    let is_coarse = work > PAINT_MAX;
    let mut cells = vec![FREE; (frame.columns * frame.levels) as usize];
    for (row, level, outer) in seen() {
        let (first, last) = frame.columns(outer);
        let failed = u32::from(table.has_failed(skeleton, row));
        let step = if is_coarse { ((last - first) / 2).max(1) } else { 1 };
        for column in (first..=last).step_by(step as usize) {
            let (start, end) = (frame.start(column), frame.start(column + 1));
            let ns = outer.1.min(end).saturating_sub(outer.0.max(start)).max(1);
            let cell = &mut cells[(level * frame.columns + column) as usize];
            cell.calls += 1;
            cell.failed += failed;
            if ns > cell.ns {
                (cell.row, cell.ns) = (row, ns);
            }
        }
    }
    cells
}

fn tell(laid: &Laid, frame: Frame, cells: &[Cell], depth: u32, has_names: bool) -> Overview {
    let Laid {
        skeleton,
        tree,
        table,
        ..
    } = laid;
    let mut glossary = Glossary::default();
    let mut levels: Vec<Vec<Run>> = Vec::with_capacity(frame.levels as usize);
    let max = if has_names { NAMED_MAX } else { RUNS_MAX };
    let mut runs = 0;
    for row_of_cells in cells.chunks(frame.columns as usize) {
        let mut level: Vec<(Run, u32, u64)> = Vec::new();
        for (column, cell) in (0..).zip(row_of_cells) {
            if cell.row == NONE {
                continue;
            }
            let handler = glossary.place(laid, table.handler(skeleton, cell.row), false);
            if let Some((run, row, ns)) = level.last_mut()
                && run.at + run.len == column
                && (*row == cell.row || !has_names && run.handler == handler)
            {
                run.len += 1;
                run.calls = run.calls.max(cell.calls);
                run.failed = run.failed.max(cell.failed);
                if cell.ns > *ns {
                    (*row, *ns) = (cell.row, cell.ns);
                }
                continue;
            }
            let run = Run {
                at: column,
                len: 1,
                handler,
                calls: cell.calls,
                failed: cell.failed,
                label: None,
                span: None,
                outer: None,
            };
            level.push((run, cell.row, cell.ns));
        }
        runs += level.len();
        if runs > max {
            break;
        }
        let told = level.into_iter().map(|(mut run, row, _)| {
            if has_names {
                let span = table.span[row as usize] as usize;
                run.label = Some(glossary.place(laid, skeleton.name[span], true));
                run.span = Some(SpanId(skeleton.id[span]));
                run.outer = Some(table.outer(tree, row));
            }
            run
        });
        levels.push(told.collect());
    }
    Overview {
        from: frame.from,
        to: frame.to,
        columns: frame.columns,
        depth,
        words: glossary.words,
        levels,
    }
}
