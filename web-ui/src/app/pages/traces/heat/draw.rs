//! What of the map is drawn: cells in shades of ink, what failed in its own colour and hatched, axes, and how all of
//! them spread over the latencies.

use protocol::api::heat::Heat;

use super::super::here;
use crate::app::pages::trace::{CHAR, Colours, Face, Pen};
use crate::heat::{Plot, SHADES, Selection, marks, most, place, shade, time_mark, times};

/// Room for the marks, in px: left, top, right, bottom.
const MARGINS: [f64; 4] = [56.0, 6.0, 66.0, 20.0];
/// The same on a phone, which has no room for the spread.
const NARROW: [f64; 4] = [50.0, 6.0, 6.0, 20.0];
const NARROW_FROM: f64 = 480.0;
/// The spread's longest bar.
const SPREAD: f64 = 34.0;
/// A cell is told apart from its neighbours by so much, where it is wide enough.
const GAP: f64 = 1.0;
/// How much ink a shade has.
const INK: [f64; SHADES as usize] = [0.13, 0.26, 0.40, 0.56, 0.74, 0.94];

/// What is marked on the map.
pub struct Marked {
    pub selection: Option<Selection>,
    pub cursor: Option<(u32, u32)>,
}

/// Where the cells lie.
pub fn plot(width: f64, height: f64, columns: u32, rows: u32) -> Plot {
    let [left, top, right, bottom] = if width < NARROW_FROM { NARROW } else { MARGINS };
    Plot {
        left,
        top,
        width: (width - left - right).max(1.0),
        height: (height - top - bottom).max(1.0),
        columns,
        rows,
    }
}

/// The frame before there is anything in it.
pub fn nothing(pen: &Pen, colours: &Colours) {
    let plot = plot(pen.width, pen.height, 1, 1);
    pen.fill(&colours.hair);
    for line in 0..=4 {
        pen.rect(
            plot.left,
            plot.top + plot.height * f64::from(line) / 4.0,
            plot.width,
            1.0,
        );
    }
}

/// The map.
pub fn map(pen: &Pen, heat: &Heat, plot: Plot, marked: &Marked, colours: &Colours) {
    axes(pen, heat, plot, colours);
    cells(pen, heat, plot, colours);
    if pen.width >= NARROW_FROM {
        spread(pen, heat, plot, colours);
    }
    for (word, ns) in [("p50", heat.p50_ns), ("p99", heat.p99_ns)] {
        let y = height_of(heat, plot, ns);
        pen.dashed(&[(plot.left, y), (plot.left + plot.width, y)], &colours.soft, 1.0);
        if pen.width >= NARROW_FROM {
            pen.fill(&colours.soft);
            pen.text(word, pen.width - 3.0 * CHAR, y, Face::Small);
        }
    }
    if let Some(selection) = marked.selection {
        frame(pen, plot, selection, colours);
    } else if let Some((column, row)) = marked.cursor {
        let [x, y, width, height] = plot.cell(column, row);
        pen.ring(x + 1.0, y + 1.0, width - 2.0, height - 2.0, &colours.focus);
    }
}

fn height_of(heat: &Heat, plot: Plot, ns: u64) -> f64 {
    let share = place(heat, ns) / f64::from(plot.rows.max(1));
    (plot.top + plot.height * (1.0 - share)).round() + 0.5
}

fn axes(pen: &Pen, heat: &Heat, plot: Plot, colours: &Colours) {
    for (ns, _) in marks(heat, plot.height) {
        let y = height_of(heat, plot, ns);
        pen.fill(&colours.hair);
        pen.rect(plot.left, y, plot.width, 1.0);
        let (unit, name) = match ns {
            0..1_000_000 => (1_000, "µs"),
            1_000_000..1_000_000_000 => (1_000_000, "ms"),
            _ => (1_000_000_000, "s"),
        };
        let text = format!("{} {name}", ns / unit);
        pen.fill(&colours.soft);
        let left = plot.left - 8.0 - CHAR * text.chars().count() as f64;
        pen.text(
            &text,
            left,
            y.clamp(7.0, plot.top + plot.height - 3.0),
            Face::Plain,
        );
    }
    let here = here();
    let base = plot.top + plot.height;
    pen.fill(&colours.hair);
    pen.rect(plot.left, base, plot.width, 1.0);
    let most = (plot.width / 104.0).clamp(2.0, 12.0) as usize;
    for (ms, column) in times(heat, most, here.offset_min) {
        let x = plot.left + plot.width * column / f64::from(plot.columns.max(1));
        let text = time_mark(ms, heat, here);
        let width = CHAR * text.chars().count() as f64;
        pen.fill(&colours.hair);
        pen.rect(x, base, 1.0, 4.0);
        pen.fill(&colours.soft);
        if x + width < pen.width {
            pen.text(&text, x, base + 12.0, Face::Plain);
        }
    }
}

fn cells(pen: &Pen, heat: &Heat, plot: Plot, colours: &Colours) {
    let most = most(heat);
    for cell in &heat.cells {
        let [x, y, width, height] = plot.cell(cell.column, cell.row);
        let gap = if width > 5.0 { GAP } else { 0.0 };
        let (width, height) = ((width - gap).max(1.0), (height - GAP).max(1.0));
        let failed = width * f64::from(cell.failed) / f64::from(cell.count.max(1));
        // One of a thousand is seen too.
        let failed = if cell.failed > 0 {
            failed.max(3.0).min(width)
        } else {
            0.0
        };
        pen.fill(&colours.ink);
        pen.alpha(INK[(shade(cell.count, most) - 1) as usize]);
        pen.rect(x, y, width - failed, height);
        pen.alpha(1.0);
        if failed > 0.0 {
            pen.fill(&colours.bad);
            pen.rect(x + width - failed, y, failed, height);
            if failed > 6.0 {
                pen.hatch(x + width - failed, y, failed, height, &colours.surface);
            }
        }
    }
}

/// How the traces spread over the rows, at the right.
fn spread(pen: &Pen, heat: &Heat, plot: Plot, colours: &Colours) {
    let mut rows = vec![(0_u64, 0_u64); plot.rows as usize];
    for cell in &heat.cells {
        if let Some(row) = rows.get_mut(cell.row as usize) {
            row.0 += u64::from(cell.count);
            row.1 += u64::from(cell.failed);
        }
    }
    let longest = rows.iter().map(|row| row.0).max().unwrap_or(1).max(1) as f64;
    for ((count, failed), row) in rows.into_iter().zip(0..) {
        let [_, y, _, height] = plot.cell(0, row);
        let left = plot.left + plot.width + 6.0;
        let length = |count: u64| SPREAD * count as f64 / longest;
        pen.fill(&colours.ink);
        pen.alpha(0.3);
        pen.rect(left, y, length(count), (height - GAP).max(1.0));
        pen.alpha(1.0);
        pen.fill(&colours.bad);
        let bad = if failed > 0 { length(failed).max(1.5) } else { 0.0 };
        pen.rect(left, y, bad, (height - GAP).max(1.0));
    }
}

/// A selection: what is not in it steps back.
fn frame(pen: &Pen, plot: Plot, selection: Selection, colours: &Colours) {
    let [left, bottom, width, height] = plot.cell(selection.columns.0, selection.rows.0);
    let [right, top, ..] = plot.cell(selection.columns.1, selection.rows.1);
    let (right, bottom) = (right + width, bottom + height);
    pen.fill(&colours.surface);
    pen.alpha(0.66);
    pen.rect(plot.left, plot.top, left - plot.left, plot.height);
    pen.rect(right, plot.top, plot.left + plot.width - right, plot.height);
    pen.rect(left, plot.top, right - left, top - plot.top);
    pen.rect(left, bottom, right - left, plot.top + plot.height - bottom);
    pen.alpha(1.0);
    pen.ring(
        left + 1.0,
        top + 1.0,
        right - left - 2.0,
        bottom - top - 2.0,
        &colours.focus,
    );
}
