//! The seam: the critical path as a dashed line below the bars that it runs through, and between their rows.

use leptos::prelude::*;

use super::{Chart, ROW, part, percent};
use crate::waterfall::path::{Stretch, critical_path, outline};

/// A stretch shorter than one of so many parts of the trace is left out: drawn, it would be a hatching.
const PARTS: u64 = 66;

/// The line.
pub fn seam(chart: &Chart) -> AnyView {
    let (opened, shown, duration) = (chart.opened.clone(), chart.shown, chart.duration);
    let lines = move || {
        let path = shown.with(|shown| critical_path(&opened.rows, shown));
        let line = outline(path, duration / PARTS);
        let falls = line.windows(2).map(|pair| fall(pair[0], pair[1], duration));
        let levels = line.iter().map(|stretch| level(*stretch, duration));
        levels.chain(falls).collect::<Vec<_>>()
    };
    view! { <div class="wf-seam" aria-hidden="true"><span class="wf-lane">{lines}</span></div> }.into_any()
}

fn below(place: usize) -> f64 {
    place as f64 * ROW + ROW - 5.0
}

fn level(stretch: Stretch, duration: u64) -> AnyView {
    let left = percent(stretch.start, duration);
    let width = format!("{:.3}%", part(stretch.end - stretch.start, duration));
    let top = format!("{:.0}px", below(stretch.place));
    view! { <i class="seam-level" style:left=move || left.clone() style:width=move || width.clone() style:top=move || top.clone()></i> }
        .into_any()
}

/// From a row down to the next one, or up.
fn fall(from: Stretch, to: Stretch, duration: u64) -> AnyView {
    let (high, low) = (below(from.place.min(to.place)), below(from.place.max(to.place)));
    let left = percent(to.start, duration);
    let (top, height) = (format!("{high:.0}px"), format!("{:.0}px", low - high));
    view! { <i class="seam-fall" style:left=move || left.clone() style:top=move || top.clone() style:height=move || height.clone()></i> }
        .into_any()
}
