//! Calls of one function that follow each other, gathered below a row that stands for them.
//!
//! Promises: a run of at least [`REPEATS_MIN`] siblings of the same handler and name gets one row before it, one level
//! above it; the run and all below it stay as they are, one level deeper; rows keep their order. Enqueues are left
//! alone: each leads to a trace of its own.

use super::{Bar, Row};

/// A run shorter than this is read as quickly as its sum.
const REPEATS_MIN: usize = 5;

/// What a row stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeats {
    /// Calls.
    pub count: usize,
    /// What they took, together.
    pub total_ns: u64,
    /// Calls that failed.
    pub failed: usize,
    /// Where each of them was, start and end.
    pub bars: Vec<(u64, u64)>,
}

/// Gathers the runs. Counts of rows below are not kept: they are to be made afterwards.
pub(super) fn gather(rows: Vec<Row>) -> Vec<Row> {
    let runs = runs(&rows);
    if runs.iter().all(|run| *run == Run::None) {
        return rows;
    }
    let mut out: Vec<Row> = Vec::with_capacity(rows.len() + rows.len() / REPEATS_MIN);
    // Where a row went, and how many levels it went down.
    let mut moved: Vec<(usize, u32)> = Vec::with_capacity(rows.len());
    // Where the row is that stands for the run which begins at a row.
    let mut standing: Vec<Option<usize>> = vec![None; rows.len()];
    for (index, mut row) in rows.iter().cloned().enumerate() {
        let (parent, deeper) = match row.parent.and_then(|parent| moved.get(parent)) {
            Some(&(parent, deeper)) => (Some(parent), deeper),
            None => (None, 0),
        };
        row.parent = parent;
        row.depth += deeper;
        let first = match &runs[index] {
            Run::None => None,
            Run::First(members) => {
                standing[index] = Some(out.len());
                out.push(stand_in(&row, members, &rows));
                Some(index)
            }
            Run::Later(first) => Some(*first),
        };
        let stands = first.and_then(|first| standing[first]);
        if stands.is_some() {
            row.parent = stands;
            row.depth += 1;
        }
        moved.push((out.len(), deeper + u32::from(stands.is_some())));
        out.push(row);
    }
    out
}

/// What a row is to its run.
#[derive(Debug, Clone, PartialEq)]
enum Run {
    None,
    /// The first, with all of them.
    First(Vec<usize>),
    /// One of those that follow this first one.
    Later(usize),
}

fn runs(rows: &[Row]) -> Vec<Run> {
    let mut runs = vec![Run::None; rows.len()];
    // The run that is open below each row, and below none.
    let mut open: Vec<Vec<usize>> = vec![Vec::new(); rows.len() + 1];
    for (index, row) in rows.iter().enumerate() {
        let below = row.parent.map_or(0, |parent| parent + 1);
        let run = &mut open[below];
        let same = run.last().is_some_and(|last| is_same(&rows[*last], row));
        if !same {
            close(std::mem::take(run), &mut runs);
        }
        open[below].push(index);
    }
    for run in open {
        close(run, &mut runs);
    }
    runs
}

fn is_same(one: &Row, other: &Row) -> bool {
    one.bar != Bar::Queued && one.bar == other.bar && one.handler == other.handler && one.label == other.label
}

fn close(run: Vec<usize>, runs: &mut [Run]) {
    if run.len() < REPEATS_MIN {
        return;
    }
    for later in &run[1..] {
        runs[*later] = Run::Later(run[0]);
    }
    let first = run[0];
    runs[first] = Run::First(run);
}

fn stand_in(first: &Row, members: &[usize], rows: &[Row]) -> Row {
    let members: Vec<&Row> = members.iter().map(|index| &rows[*index]).collect();
    let end = members
        .iter()
        .map(|row| row.outer.1)
        .max()
        .unwrap_or(first.outer.1);
    let whole = (first.outer.0, end);
    let failed = members.iter().filter(|row| row.failed).count();
    Row {
        server_id: None,
        outer: whole,
        inner: whole,
        critical: Vec::new(),
        failed: failed > 0,
        cold: false,
        continues: None,
        repeats: Some(Repeats {
            count: members.len(),
            total_ns: members.iter().map(|row| row.duration()).sum(),
            failed,
            bars: members.iter().map(|row| row.outer).collect(),
        }),
        ..first.clone()
    }
}
