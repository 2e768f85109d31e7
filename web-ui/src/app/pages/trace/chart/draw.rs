//! What the waterfall draws: axis, grid, bars with their travel, figures, and the seam of the critical path.

use protocol::SpanId;
use protocol::api::rows::RowBar;

use super::colours::Colours;
use super::pen::{CHAR, Face, Pen};
use super::{Chart, ROW};
use crate::format;
use crate::palette::letters_on;
use crate::waterfall::Zoom;
use crate::waterfall::ticks::{mark, ticks};
use crate::waterfall::windows::Told;

/// Px between two marks of the axis, at least.
const MARK_ROOM: f64 = 105.0;
/// A bar is never thinner.
const BAR_MIN: f64 = 3.0;
/// The opacity of calls that share a row.
const GATHERED: f64 = 0.36;

/// Marks of the axis that fit a width.
fn marks(zoom: Zoom, width: f64) -> Vec<f64> {
    ticks(zoom.from, zoom.to, (width / MARK_ROOM) as usize + 1)
}

/// The axis above the rows.
pub fn axis(pen: &Pen, zoom: Zoom, colours: &Colours) {
    let marks = marks(zoom, pen.width);
    let between = marks
        .windows(2)
        .next()
        .map_or_else(|| zoom.span(), |two| two[1] - two[0]);
    pen.fill(&colours.soft);
    for ns in &marks {
        let text = mark(*ns, zoom.to, between);
        let x = (ns - zoom.from) / zoom.span() * pen.width;
        let half = text.chars().count() as f64 * CHAR / 2.0;
        let left = (x - half).clamp(0.0, (pen.width - half * 2.0).max(0.0));
        pen.text(&text, left, pen.height / 2.0, Face::Small);
    }
}

/// The rows from the first that is seen to the last.
pub fn rows(chart: &mut Chart, pen: &Pen) {
    let (zoom, offset) = (chart.zoom, chart.offset);
    pen.fill(&chart.colours.hair);
    for ns in marks(zoom, pen.width) {
        let x = (ns - zoom.from) / zoom.span() * pen.width;
        pen.rect(x.round(), 0.0, 1.0, pen.height);
    }
    let first = (offset / ROW).floor().max(0.0) as u64;
    let last = first + (pen.height / ROW).ceil() as u64 + 1;
    let mut colours = std::mem::take(&mut chart.colours);
    // Below the bars and their figures, which it would run through.
    seam(chart, pen, &colours);
    for place in first..last {
        let Some(told) = chart.windows.get(place) else {
            continue;
        };
        let y = place as f64 * ROW - offset;
        let row = Drawn {
            pen,
            zoom,
            y,
            hue: colours.of(told.handler()).to_owned(),
        };
        row.draw(told, &colours);
        let span = told.row.key.span;
        if chart.is_match(span) && !told.row.key.repeats {
            let (x, width) = row.place(told.row.outer);
            pen.ring(x, y + 9.0, width, 15.0, &colours.focus);
        }
    }
    chart.colours = colours;
}

/// The critical path: below the bars that it runs through, and between their rows.
fn seam(chart: &Chart, pen: &Pen, colours: &Colours) {
    let below = |row: u64| row as f64 * ROW - chart.offset + ROW - 5.0;
    let x = |ns: u64| (chart.zoom.place(ns) * pen.width).clamp(-9.0, pen.width + 9.0);
    let mut points: Vec<(f64, f64)> = Vec::with_capacity(chart.windows.path.len() * 2);
    for part in &chart.windows.path {
        // Far above or below the screen a line is as good as at its edge.
        let y = below(part.row).clamp(-40.0, pen.height + 40.0).round() + 0.5;
        points.push((x(part.start), y));
        points.push((x(part.end), y));
    }
    pen.dashed(&points, &colours.seam, 1.3);
}

/// A row being drawn.
struct Drawn<'a> {
    pen: &'a Pen,
    zoom: Zoom,
    y: f64,
    hue: String,
}

impl Drawn<'_> {
    /// Left and width of a stretch.
    fn place(&self, (start, end): (u64, u64)) -> (f64, f64) {
        let left = self.zoom.place(start) * self.pen.width;
        let right = self.zoom.place(end) * self.pen.width;
        (left, (right - left).max(BAR_MIN))
    }

    fn draw(&self, told: Told<'_>, colours: &Colours) {
        let (pen, row) = (self.pen, told.row);
        let outer = self.place(row.outer);
        if outer.0 > pen.width + 4.0 || outer.0 + outer.1 < -4.0 {
            self.elsewhere(outer.0 > 0.0, colours);
            return;
        }
        if row.bar == RowBar::Queued {
            self.message(told, outer.0, colours);
            return;
        }
        if row.repeats.is_some() {
            self.repeats(told, outer, colours);
            return;
        }
        if row.bar == RowBar::Remote {
            pen.alpha(0.58);
            pen.fill(&colours.travel);
            pen.bar(outer.0, self.y + 13.0, outer.1.max(5.0), 7.0, 3.5);
            pen.alpha(1.0);
        }
        let inner = row.inner.map_or(outer, |inner| self.place(inner));
        let fill = if row.failed { &colours.bad } else { &self.hue };
        pen.fill(fill);
        pen.bar(inner.0, self.y + 9.0, inner.1, 15.0, 4.0);
        if row.failed && inner.1 > 8.0 {
            pen.alpha(0.45);
            pen.hatch(inner.0, self.y + 9.0, inner.1, 15.0, &colours.surface);
            pen.alpha(1.0);
        }
        let text = format::duration(told.duration());
        self.figure(text, (outer, inner), (colours, fill, 1.0));
    }

    fn repeats(&self, told: Told<'_>, outer: (f64, f64), colours: &Colours) {
        let Some(repeats) = &told.row.repeats else { return };
        let pen = self.pen;
        pen.fill(&self.hue);
        pen.alpha(GATHERED);
        let is_dense = repeats.bars.is_empty();
        let (top, height) = if is_dense { (9.0, 15.0) } else { (15.0, 3.0) };
        pen.bar(outer.0, self.y + top, outer.1, height, 2.0);
        pen.alpha(1.0);
        for one in &repeats.bars {
            let (x, width) = self.place(*one);
            pen.bar(x, self.y + 9.0, width.max(2.0), 15.0, 2.0);
        }
        let failed = match repeats.failed {
            0 => String::new(),
            failed => format!(", {} failed", format::count(failed)),
        };
        let text = format!("{} in all{failed}", format::duration(repeats.total_ns));
        self.figure(text, (outer, outer), (colours, &self.hue, GATHERED));
    }

    /// A message: a dot, and when it was handled.
    fn message(&self, told: Told<'_>, x: f64, colours: &Colours) {
        let y = self.y + ROW / 2.0;
        self.pen.fill(if told.row.failed {
            &colours.bad
        } else {
            &colours.queue
        });
        self.pen.dot(x.max(5.0), y, 5.0);
        let Some(later) = told.row.later else { return };
        let text = format!("→ {} later", format::duration(later.wait_ns));
        let width = text.chars().count() as f64 * CHAR;
        let fits = x + 14.0 + width < self.pen.width;
        let left = if fits {
            x + 11.0
        } else {
            (x - 11.0 - width).max(0.0)
        };
        self.pen.text(&text, left, y, Face::Plain);
    }

    /// The figure stands where there is room: right of the bar, else left of it, else on it.
    fn figure(
        &self,
        text: String,
        (outer, inner): ((f64, f64), (f64, f64)),
        (colours, fill, opacity): (&Colours, &str, f64),
    ) {
        let (pen, y) = (self.pen, self.y + ROW / 2.0);
        let width = text.chars().count() as f64 * CHAR;
        let right = outer.0 + outer.1;
        let x = if right + 8.0 + width < pen.width {
            right + 7.0
        } else if outer.0 - width > 8.0 {
            outer.0 - width - 7.0
        } else {
            let left = inner.0.max(0.0) + 7.0;
            if inner.1.min(pen.width - inner.0.max(0.0)) > width + 14.0 {
                pen.fill(letters_on(fill, opacity, &colours.surface));
                pen.text(&text, left, y, Face::Bold);
            } else {
                self.boxed(&text, (left, width), colours);
            }
            return;
        };
        self.boxed(&text, (x, width), colours);
    }

    /// A figure on a ground of its own, which lines do not run through.
    fn boxed(&self, text: &str, (x, width): (f64, f64), colours: &Colours) {
        let (pen, y) = (self.pen, self.y + ROW / 2.0);
        pen.fill(&colours.surface);
        pen.alpha(0.72);
        pen.rect(x - 3.0, y - 8.0, width + 6.0, 16.0);
        pen.alpha(1.0);
        pen.fill(&colours.soft);
        pen.text(text, x, y, Face::Plain);
    }

    /// A bar that is not in the part of the time that is seen: an arrow to where it is.
    fn elsewhere(&self, is_right: bool, colours: &Colours) {
        let (text, x) = if is_right {
            ("›", self.pen.width - 9.0)
        } else {
            ("‹", 2.0)
        };
        self.pen.fill(&colours.soft);
        self.pen.text(text, x, self.y + ROW / 2.0, Face::Plain);
    }
}

impl Chart {
    fn is_match(&self, span: SpanId) -> bool {
        self.matches.contains(&span)
    }
}
