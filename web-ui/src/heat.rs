//! The heat map's maths: where cells lie, what a drag selects, which filters that is, and what is said of it. Pure.
//!
//! Promises: what is selected is whole cells, and the filters that it becomes find what those cells count; a drag along
//! one axis leaves the other as it was; an end that touches the edge of a map stays open there.

#[cfg(test)]
mod tests;

use protocol::api::heat::{Heat, HeatCell};
use protocol::api::traces::TraceQuery;

use crate::filters::Here;
use crate::format;

/// A drag that is flatter or narrower than this selects along one axis alone, in px.
const FLAT: f64 = 7.0;
/// Shades of a cell.
pub const SHADES: u32 = 6;
/// Slices of time of the map's table.
const SLICES: u32 = 8;

/// Where the cells are drawn, in px.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plot {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
    pub columns: u32,
    pub rows: u32,
}

impl Plot {
    /// A cell's left, top, width and height.
    pub fn cell(&self, column: u32, row: u32) -> [f64; 4] {
        let (width, height) = (
            self.width / f64::from(self.columns.max(1)),
            self.height / f64::from(self.rows.max(1)),
        );
        let up = f64::from(self.rows.saturating_sub(row + 1));
        [
            self.left + width * f64::from(column),
            self.top + height * up,
            width,
            height,
        ]
    }

    /// The cell at a point, or the one nearest to it.
    pub fn nearest(&self, (x, y): (f64, f64)) -> (u32, u32) {
        let at = |share: f64, count: u32| {
            (share * f64::from(count)).clamp(0.0, f64::from(count.max(1) - 1)) as u32
        };
        let column = at((x - self.left) / self.width.max(1.0), self.columns);
        let row = at(1.0 - (y - self.top) / self.height.max(1.0), self.rows);
        (column, row)
    }

    /// Whether a point lies on the cells.
    pub fn has(&self, (x, y): (f64, f64)) -> bool {
        (self.left..=self.left + self.width).contains(&x) && (self.top..=self.top + self.height).contains(&y)
    }

    /// What a drag from one point to another selects.
    pub fn selection(&self, from: (f64, f64), to: (f64, f64)) -> Selection {
        let (a, b) = (self.nearest(from), self.nearest(to));
        let mut selection = Selection::between(a, b);
        let (wide, tall) = ((to.0 - from.0).abs() >= FLAT, (to.1 - from.1).abs() >= FLAT);
        if wide && !tall {
            selection.rows = (0, self.rows.saturating_sub(1));
        }
        if tall && !wide {
            selection.columns = (0, self.columns.saturating_sub(1));
        }
        selection
    }
}

/// Cells from one corner to another, both with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selection {
    pub columns: (u32, u32),
    pub rows: (u32, u32),
}

impl Selection {
    /// By two corners.
    pub fn between(a: (u32, u32), b: (u32, u32)) -> Self {
        Self {
            columns: (a.0.min(b.0), a.0.max(b.0)),
            rows: (a.1.min(b.1), a.1.max(b.1)),
        }
    }

    fn has(&self, cell: &HeatCell) -> bool {
        (self.columns.0..=self.columns.1).contains(&cell.column)
            && (self.rows.0..=self.rows.1).contains(&cell.row)
    }
}

/// Traces in a selection, and those that failed.
pub fn counted(heat: &Heat, selection: Selection) -> (u64, u64) {
    let cells = heat.cells.iter().filter(|cell| selection.has(cell));
    cells.fold((0, 0), |(count, failed), cell| {
        (count + u64::from(cell.count), failed + u64::from(cell.failed))
    })
}

/// The cell at a place, if it has traces.
pub fn cell_at(heat: &Heat, (column, row): (u32, u32)) -> Option<&HeatCell> {
    let at = heat
        .cells
        .binary_search_by_key(&(column, row), |cell| (cell.column, cell.row));
    at.ok().and_then(|at| heat.cells.get(at))
}

/// Where a cell lies in a map that is newer: in one with other columns or rows it is none.
pub fn carried(before: &Heat, now: &Heat, (column, row): (u32, u32)) -> Option<(u32, u32)> {
    if before.column_ms != now.column_ms || before.bounds_ns != now.bounds_ns || now.column_ms == 0 {
        return None;
    }
    let begins = begins(before, column).checked_sub(now.from_unix_ms)?;
    let column = u32::try_from(begins / now.column_ms).ok()?;
    (column < now.columns).then_some((column, row))
}

/// When a column begins, in ms since the epoch.
pub fn begins(heat: &Heat, column: u32) -> u64 {
    heat.from_unix_ms + u64::from(column) * heat.column_ms
}

fn bound(heat: &Heat, row: u32) -> u64 {
    heat.bounds_ns.get(row as usize).copied().unwrap_or_default()
}

/// Rows that a map has.
pub fn rows(heat: &Heat) -> u32 {
    heat.bounds_ns.len().saturating_sub(1) as u32
}

/// The filters with a selection; a side that lies at the map's edge is left as it was.
pub fn narrowed(query: &TraceQuery, heat: &Heat, selection: Selection) -> TraceQuery {
    let mut query = query.clone();
    if selection.columns.0 > 0 {
        query.from = Some(begins(heat, selection.columns.0));
    }
    if selection.columns.1 + 1 < heat.columns {
        query.to = Some(begins(heat, selection.columns.1 + 1));
    }
    if selection.rows.0 > 0 {
        query.min_ms = None;
        query.min_us = Some(bound(heat, selection.rows.0) / 1_000);
    }
    if selection.rows.1 + 1 < rows(heat) {
        query.max_ms = None;
        query.max_us = Some(bound(heat, selection.rows.1 + 1) / 1_000);
    }
    // In the unit that people write, where that says the same.
    for (us, ms) in [
        (&mut query.min_us, &mut query.min_ms),
        (&mut query.max_us, &mut query.max_ms),
    ] {
        if let Some(whole) = us.filter(|us| us % 1_000 == 0) {
            (*ms, *us) = (Some(whole / 1_000), None);
        }
    }
    query
}

/// How strongly a count is shown, from 1 to [`SHADES`]: a step is about one ratio.
pub fn shade(count: u32, most: u32) -> u32 {
    let share = f64::from(count).ln_1p() / f64::from(most.max(1)).ln_1p();
    ((share * f64::from(SHADES)).ceil() as u32).clamp(1, SHADES)
}

/// The most traces of one cell.
pub fn most(heat: &Heat) -> u32 {
    heat.cells.iter().map(|cell| cell.count).max().unwrap_or_default()
}

/// Where a duration lies among the rows, from 0 at the bottom to their number at the top.
pub fn place(heat: &Heat, ns: u64) -> f64 {
    let above = heat.bounds_ns.partition_point(|bound| *bound <= ns);
    let (Some(low), Some(high)) = (
        above.checked_sub(1).and_then(|at| heat.bounds_ns.get(at)),
        heat.bounds_ns.get(above),
    ) else {
        return if above == 0 { 0.0 } else { f64::from(rows(heat)) };
    };
    let log = |ns: u64| (ns.max(1) as f64).ln();
    (above - 1) as f64 + (log(ns) - log(*low)) / (log(*high) - log(*low))
}

/// Marks on the axis of durations: powers of ten, with 2 and 5 times those where they have room.
pub fn marks(heat: &Heat, height: f64) -> Vec<(u64, f64)> {
    let (Some(low), Some(high)) = (heat.bounds_ns.first(), heat.bounds_ns.last()) else {
        return Vec::new();
    };
    let decades = ((*high).max(1) as f64 / (*low).max(1) as f64).log10().max(0.1);
    let factors: &[u64] = match height / decades {
        room if room > 90.0 => &[1, 2, 5],
        room if room > 42.0 => &[1, 3],
        _ => &[1],
    };
    let powers = (3..13).map(|power| 10_u64.pow(power));
    powers
        .flat_map(|power| factors.iter().map(move |factor| power * factor))
        .filter(|ns| (*low..=*high).contains(ns))
        .map(|ns| (ns, place(heat, ns)))
        .collect()
}

/// Steps of marks on the axis of time, in ms.
const TIMES: [u64; 22] = [
    100,
    200,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    15_000,
    30_000,
    60_000,
    120_000,
    300_000,
    600_000,
    900_000,
    1_800_000,
    3_600_000,
    7_200_000,
    10_800_000,
    21_600_000,
    43_200_000,
    86_400_000,
    604_800_000,
];

/// Marks on the axis of time, at most so many: when, and the place among the columns.
pub fn times(heat: &Heat, most: usize, offset_min: i64) -> Vec<(u64, f64)> {
    let end = begins(heat, heat.columns);
    let span = end.saturating_sub(heat.from_unix_ms);
    let step = TIMES
        .into_iter()
        .find(|step| span / step < most.max(1) as u64)
        .unwrap_or_else(|| span.max(1));
    // Marks lie where the day's hours do, also where those are no whole hours of UTC.
    let shift = (offset_min * 60_000).rem_euclid(86_400_000) as u64 % step;
    let first = (heat.from_unix_ms + shift).div_ceil(step) * step - shift;
    let marks = (0..most as u64).map(|n| first + n * step);
    marks
        .take_while(|ms| *ms < end)
        .map(|ms| (ms, (ms - heat.from_unix_ms) as f64 / heat.column_ms.max(1) as f64))
        .collect()
}

/// The time of a mark: no finer than marks are apart.
pub fn time_mark(unix_ms: u64, heat: &Heat, here: Here) -> String {
    let text = format::moment(unix_ms, here.now_ms, here.offset_min);
    let span = begins(heat, heat.columns).saturating_sub(heat.from_unix_ms);
    // Seconds say nothing where marks are minutes apart.
    match (span > 1_200_000, text.strip_suffix(":00")) {
        (true, Some(short)) => short.to_owned(),
        _ => text,
    }
}

/// What the map shows, in a sentence.
pub fn sentence(heat: &Heat, here: Here) -> String {
    let moment = |ms| format::moment(ms, here.now_ms, here.offset_min);
    if heat.traces == 0 {
        return "No trace to draw: the map fills as they come.".to_owned();
    }
    let failed = match heat.failed {
        0 => "none failed".to_owned(),
        all if all == heat.traces => "all failed".to_owned(),
        some => format!("{} of them failed", format::count(some)),
    };
    let cut = heat.cut_unix_ms.map_or_else(String::new, |ms| {
        format!(" Only the newest are counted, back to {}.", moment(ms))
    });
    format!(
        "{} from {} to {}: half took up to {}, all but one in a hundred up to {}, the longest {}; {failed}.{cut}",
        format::plural(heat.traces, "trace", "traces"),
        moment(heat.from_unix_ms),
        moment(begins(heat, heat.columns)),
        format::duration(heat.p50_ns),
        format::duration(heat.p99_ns),
        format::duration(heat.max_ns),
    )
}

/// What a selection is, in words.
pub fn told(heat: &Heat, selection: Selection, here: Here) -> String {
    let moment = |ms| format::moment(ms, here.now_ms, here.offset_min);
    let (count, failed) = counted(heat, selection);
    let traces = match (count, failed) {
        (0, _) => "no trace".to_owned(),
        (count, 0) => format::plural(count, "trace", "traces"),
        (count, failed) => format!(
            "{}, {} failed",
            format::plural(count, "trace", "traces"),
            format::count(failed)
        ),
    };
    format!(
        "{} to {}, {} to {}: {traces}",
        moment(begins(heat, selection.columns.0)),
        moment(begins(heat, selection.columns.1 + 1)),
        format::duration(bound(heat, selection.rows.0)),
        format::duration(bound(heat, selection.rows.1 + 1)),
    )
}

/// A slice of the map's time, as its table tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    pub from_ms: u64,
    pub traces: u64,
    pub failed: u64,
    /// The row in which the middle trace is, by its bounds.
    pub middle_ns: (u64, u64),
}

/// The map as a table: few slices of time, each with its counts.
pub fn slices(heat: &Heat) -> Vec<Slice> {
    let step = heat.columns.div_ceil(SLICES).max(1);
    let slices = (0..heat.columns).step_by(step as usize).map(|first| {
        let within = Selection {
            columns: (first, first + step - 1),
            rows: (0, u32::MAX),
        };
        let (traces, failed) = counted(heat, within);
        let mut by_row: Vec<(u32, u64)> = heat
            .cells
            .iter()
            .filter(|cell| within.has(cell))
            .map(|cell| (cell.row, u64::from(cell.count)))
            .collect();
        by_row.sort_unstable();
        let mut seen = 0;
        let middle = by_row.iter().find(|(_, count)| {
            seen += count;
            seen * 2 >= traces
        });
        let row = middle.map_or(0, |(row, _)| *row);
        Slice {
            from_ms: begins(heat, first),
            traces,
            failed,
            middle_ns: (bound(heat, row), bound(heat, row + 1)),
        }
    });
    slices.collect()
}
