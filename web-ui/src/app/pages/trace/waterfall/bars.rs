//! What a row draws in its lane: a bar with its travel, the bars of repeated calls, or a message's dot; and its figure.

use leptos::prelude::*;

use super::{Chart, part, percent};
use crate::format;
use crate::route::Route;
use crate::waterfall::{Bar, Repeats, Row};

/// Below this width of the window, figures need more of the lane.
const NARROW: f64 = 720.0;
/// Repeated calls beyond this many are drawn as one bar: single ones could not be told apart.
const BARS_MAX: usize = 120;

/// The lane of a row.
pub fn bars(chart: &Chart, row: &Row) -> AnyView {
    let duration = chart.duration;
    if row.bar == Bar::Queued {
        return message(chart, row);
    }
    if let Some(repeats) = &row.repeats {
        return repeated(row, repeats, duration);
    }
    let travel = (row.bar == Bar::Remote).then(|| bar("bar-travel", row.outer, duration));
    let cold = if row.cold && !is_narrow() { " · cold" } else { "" };
    view! {
        {travel}
        {bar("bar", row.inner, duration)}
        {figure(row, format!("{}{cold}", format::duration(row.duration())), duration)}
    }
    .into_any()
}

fn is_narrow() -> bool {
    let width = window().inner_width().ok().and_then(|width| width.as_f64());
    width.is_some_and(|width| width < NARROW)
}

fn bar(class: &'static str, (start, end): (u64, u64), duration: u64) -> AnyView {
    let left = percent(start, duration);
    let width = format!("{:.3}%", part(end.saturating_sub(start), duration));
    view! { <i class=class style:left=move || left.clone() style:width=move || width.clone()></i> }.into_any()
}

/// Where the calls lie, each in its place, on the stretch from the first to the last.
fn repeated(row: &Row, repeats: &Repeats, duration: u64) -> AnyView {
    let single = (repeats.bars.len() <= BARS_MAX).then(|| {
        repeats
            .bars
            .iter()
            .map(|one| bar("bar one", *one, duration))
            .collect_view()
    });
    let failed = match repeats.failed {
        0 => String::new(),
        failed => format!(", {failed} failed"),
    };
    let text = format!("{} in all{failed}", format::duration(repeats.total_ns));
    view! {
        {bar("bar-hull", row.outer, duration)}
        {single}
        {figure(row, text, duration)}
    }
    .into_any()
}

/// The figure stands where there is room: right of the bar, else left of it, else on it.
fn figure(row: &Row, text: String, duration: u64) -> AnyView {
    let (from, to) = (part(row.outer.0, duration), part(row.outer.1, duration));
    let room = match (is_narrow(), row.repeats.is_some()) {
        (false, false) => 15.0,
        (false, true) => 22.0,
        (true, false) => 32.0,
        (true, true) => 52.0,
    };
    if to < 100.0 - room {
        let at = format!("{to:.3}%");
        return view! { <span class="figure-after" style:left=move || at.clone()>{text}</span> }.into_any();
    }
    if from > room {
        let at = format!("{:.3}%", 100.0 - from);
        return view! { <span class="figure-before" style:right=move || at.clone()>{text}</span> }.into_any();
    }
    let at = percent(row.inner.0, duration);
    view! { <span class="figure-within" style:left=move || at.clone()>{text}</span> }.into_any()
}

/// A message that was enqueued: a dot, and where it goes on.
fn message(chart: &Chart, row: &Row) -> AnyView {
    let link = row
        .continues
        .and_then(|link| chart.opened.detail.linked.get(link));
    let words = link.map(|link| {
        let href = Route::Trace(link.trace_id, None).path();
        view! { <a class="later" href=href data-linked=link.trace_id.to_string()>{format!("→ {} later", format::duration(link.wait_ns))}</a> }
    });
    let near_end = part(row.outer.0, chart.duration) > 80.0;
    let left = percent(row.outer.0, chart.duration);
    view! {
        <span class="wf-queue" class:near-end=near_end style:left=move || left.clone()>
            <i class="queue-dot" aria-hidden="true"></i>
            {words}
        </span>
    }
    .into_any()
}
