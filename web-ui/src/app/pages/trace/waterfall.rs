//! The waterfall on the screen: its frame, its axis, and which rows exist.
//!
//! Promises: only rows near the visible part exist, so that ten thousand scroll; the head and the names stay while
//! the rest scrolls; a span that the address names is unfolded and in sight. Not here: a row, which is
//! `waterfall/row.rs`, its bars and the seam of the critical path.

mod bars;
mod row;
mod seam;

use std::collections::HashSet;
use std::sync::Arc;

use leptos::html;
use leptos::prelude::*;
use protocol::SpanId;

use super::Opened;
use crate::waterfall::ticks::{mark, ticks};
use crate::waterfall::{ancestors, folded_at_first, neighbour, visible};

/// The height of a row, in px; `--row` in the stylesheet.
const ROW: f64 = 33.0;
/// Rows that are shown without scrolling within the waterfall.
const ROWS_MAX: usize = 22;
/// Rows beyond the visible ones that exist.
const OVERSCAN: usize = 12;

/// What is selected, and how to select.
#[derive(Clone, Copy)]
pub struct Selection {
    /// What the address names.
    pub named: Memo<Option<SpanId>>,
    /// What is shown: what the address names, else what the page begins with.
    pub chosen: Memo<Option<SpanId>>,
    /// Writes the address.
    pub select: Callback<SpanId>,
}

/// What rows, bars and seam share.
#[derive(Clone)]
struct Chart {
    opened: Arc<Opened>,
    duration: u64,
    selection: Selection,
    /// Rows that hide what is below them, by index.
    folded: RwSignal<HashSet<usize>>,
    /// Rows that are shown, by index.
    shown: Memo<Vec<usize>>,
}

/// The waterfall of a trace.
pub fn waterfall(opened: Arc<Opened>, selection: Selection) -> AnyView {
    let folded = RwSignal::new(folded_at_first(&opened.rows).collect::<HashSet<usize>>());
    let rows = opened.clone();
    let chart = Chart {
        duration: opened.detail.summary.duration_ns.max(1),
        opened,
        selection,
        folded,
        shown: Memo::new(move |_| {
            folded.with(|folded| visible(&rows.rows, &|index| folded.contains(&index)))
        }),
    };
    let frame = NodeRef::<html::Div>::new();
    reveal(&chart, frame);
    view! {
        <div class="wf">
            {axis(&chart)}
            {scroller(chart, frame)}
        </div>
    }
    .into_any()
}

/// The part that scrolls, with the rows near to what is seen.
fn scroller(chart: Chart, frame: NodeRef<html::Div>) -> AnyView {
    let scroll = RwSignal::new(0.0);
    let shown = chart.shown;
    let keys = Memo::new(move |_| {
        let first = ((scroll.get() / ROW) as usize).saturating_sub(OVERSCAN);
        shown.with(|shown| {
            let places = shown.iter().copied().enumerate();
            places
                .skip(first)
                .take(ROWS_MAX + 2 * OVERSCAN)
                .collect::<Vec<_>>()
        })
    });
    let px = |rows: usize, more: f64| format!("{:.0}px", rows as f64 * ROW + more);
    let height = move || px(shown.with(Vec::len), 0.0);
    let frame_height = move || px(shown.with(Vec::len).min(ROWS_MAX), 2.0);
    let (grid, seam) = (grid(chart.duration), seam::seam(&chart));
    let row = move |(place, index): (usize, usize)| row::row(&chart, place, index);
    view! {
        <div
            class="wf-scroll"
            node_ref=frame
            style:height=frame_height
            on:scroll=move |_| {
                if let Some(frame) = frame.get_untracked() {
                    scroll.set(f64::from(frame.scroll_top()));
                }
            }
        >
            <div class="wf-rows" role="tree" aria-label="Spans" style:height=height>
                {grid}
                {seam}
                <For each=move || keys.get() key=|key| *key children=row />
            </div>
        </div>
    }
    .into_any()
}

/// Unfolds what hides the span that the address names, and scrolls it into view.
fn reveal(chart: &Chart, frame: NodeRef<html::Div>) {
    let chart = chart.clone();
    Effect::new(move |_| {
        let (Some(frame), Some(span)) = (frame.get(), chart.selection.named.get()) else {
            return;
        };
        let rows = &chart.opened.rows;
        let Some(index) = rows.iter().position(|row| row.is(span)) else {
            return;
        };
        let hiding: Vec<usize> = chart.folded.with_untracked(|folded| {
            ancestors(rows, index)
                .filter(|above| folded.contains(above))
                .collect()
        });
        if !hiding.is_empty() {
            chart
                .folded
                .update(|folded| folded.retain(|index| !hiding.contains(index)));
        }
        let place = chart.shown.with_untracked(|shown| shown.binary_search(&index));
        let Ok(place) = place else { return };
        let (top, height) = (place as f64 * ROW, f64::from(frame.client_height()));
        let above = f64::from(frame.scroll_top());
        if top < above || top + ROW > above + height {
            frame.set_scroll_top((top - height / 2.0).max(0.0) as i32);
        }
    });
}

fn part(ns: u64, duration: u64) -> f64 {
    ns as f64 / duration as f64 * 100.0
}

fn percent(ns: u64, duration: u64) -> String {
    format!("{:.3}%", part(ns, duration).min(100.0))
}

fn axis(chart: &Chart) -> AnyView {
    let duration = chart.duration;
    let marks: Vec<_> = ticks(duration, 7)
        .into_iter()
        .map(|ns| {
            let left = percent(ns, duration);
            let first = ns == 0;
            view! { <span class="wf-mark" class:first=first style:left=move || left.clone()>{mark(ns, duration)}</span> }
        })
        .collect();
    view! {
        <div class="wf-axis">
            <span class="wf-name">"span" {step(chart, false)} {step(chart, true)}</span>
            <span class="wf-node" aria-hidden="true">"node"</span>
            <span class="wf-lane" aria-hidden="true">{marks}</span>
        </div>
    }
    .into_any()
}

/// The button to the next span, or the one before; the keys `]` and `[` press it.
fn step(chart: &Chart, forward: bool) -> AnyView {
    let chart = chart.clone();
    let (action, word, glyph) = match forward {
        true => ("next-span", "Next span: ]", "↓"),
        false => ("previous-span", "Previous span: [", "↑"),
    };
    let press = move |_| {
        let Selection { chosen, select, .. } = chart.selection;
        let next = chart
            .shown
            .with_untracked(|shown| neighbour(&chart.opened.rows, shown, chosen.get_untracked(), forward));
        if let Some(next) = next {
            select.run(next);
        }
    };
    view! { <button class="wf-step" data-action=action aria-label=word title=word on:click=press>{glyph}</button> }.into_any()
}

fn grid(duration: u64) -> AnyView {
    let lines: Vec<_> = ticks(duration, 7)
        .into_iter()
        .map(|ns| {
            let left = percent(ns, duration);
            view! { <i style:left=move || left.clone()></i> }
        })
        .collect();
    view! { <div class="wf-grid" aria-hidden="true"><span class="wf-lane">{lines}</span></div> }.into_any()
}
