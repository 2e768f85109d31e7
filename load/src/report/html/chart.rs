//! Chart: response time by percentile as SVG. Both axes are logarithmic: each step to the right is ten times rarer,
//! each step up ten times slower, so that a tail looks like one.

use std::fmt::Write;

use super::{Placement, escape};
use crate::format;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 930.0;
const TOP: f64 = 18.0;
const BOTTOM: f64 = 246.0;
const COLOURS: [&str; 4] = ["var(--ink)", "var(--seam)", "var(--st-codec)", "var(--st-run)"];
const TICKS: [(&str, f64); 5] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("p99.99", 0.9999),
];

/// Draws all placements' curves.
pub(super) fn render(placements: &[Placement], out: &mut String) {
    let points = || placements.iter().flat_map(|placement| &placement.curve);
    let Some(slowest) = points().map(|point| point.1).max() else {
        return;
    };
    let fastest = points().map(|point| point.1).min().unwrap_or(1);
    let last = points().map(|point| nines(point.0)).fold(1.0, f64::max);
    let low = (fastest.max(1) as f64).log10().floor();
    let high = (slowest.max(2) as f64).log10().ceil().max(low + 1.0);
    let scale = Scale { low, high, last };
    out.push_str("<section class=\"card\">\n<h2>Response time by percentile</h2>\n");
    out.push_str("<p class=\"faint\">from the intended send time</p>\n");
    let _ = writeln!(
        out,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"Response time by percentile\">"
    );
    scale.grid(out);
    for (index, placement) in placements.iter().enumerate() {
        scale.curve(placement, COLOURS[index % COLOURS.len()], out);
    }
    scale.labels(placements, out);
    out.push_str("</svg>\n</section>\n");
}

struct Scale {
    low: f64,
    high: f64,
    last: f64,
}

/// 0.9 → 1, 0.99 → 2.
fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile).max(1e-9).log10()
}

impl Scale {
    fn x(&self, quantile: f64) -> f64 {
        let first = nines(0.5);
        LEFT + (RIGHT - LEFT) * (nines(quantile) - first) / (self.last - first)
    }

    fn y(&self, ns: u64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * ((ns.max(1) as f64).log10() - self.low) / (self.high - self.low)
    }

    fn grid(&self, out: &mut String) {
        for decade in self.low as i32..=self.high as i32 {
            let ns = 10u64.pow(decade as u32);
            let y = self.y(ns);
            let _ = writeln!(
                out,
                "<line x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\" class=\"hair\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" class=\"tick\">{}</text>",
                LEFT - 8.0,
                y + 4.0,
                tick(ns)
            );
        }
        for (name, quantile) in TICKS {
            if nines(quantile) <= self.last + 1e-6 {
                let (x, y) = (self.x(quantile), BOTTOM + 20.0);
                let _ = writeln!(
                    out,
                    "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" class=\"tick\">{name}</text>"
                );
            }
        }
    }

    fn curve(&self, placement: &Placement, colour: &str, out: &mut String) {
        out.push_str("<polyline points=\"");
        for (quantile, ns) in &placement.curve {
            let _ = write!(out, "{:.1},{:.1} ", self.x(*quantile), self.y(*ns));
        }
        let _ = writeln!(
            out,
            "\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-linejoin=\"round\"/>"
        );
    }

    /// Names above the ends of the curves, pushed apart where those meet.
    fn labels(&self, placements: &[Placement], out: &mut String) {
        let mut names: Vec<(f64, &str, usize)> = placements
            .iter()
            .enumerate()
            .filter_map(|(index, placement)| {
                Some((
                    self.y(placement.curve.last()?.1) - 8.0,
                    placement.name.as_str(),
                    index,
                ))
            })
            .collect();
        names.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut above = f64::INFINITY;
        for (y, name, index) in names {
            let y = y.min(above - 15.0);
            above = y;
            let colour = COLOURS[index % COLOURS.len()];
            let x = RIGHT;
            let _ = writeln!(
                out,
                "<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\" class=\"name\" fill=\"{colour}\">{}</text>",
                escape(name)
            );
        }
    }
}

/// `1 ms`, not `1.00 ms`.
fn tick(ns: u64) -> String {
    format::nanos(ns).replace(".00", "").replace(".0 ", " ")
}
