//! The waterfall on the screen: rows that fold, bars, the seam of the critical path.
//!
//! Promises: only rows near the visible part exist, so that ten thousand scroll; the head and the names stay while
//! the rest scrolls.

use std::collections::HashSet;
use std::sync::Arc;

use leptos::ev;
use leptos::html;
use leptos::prelude::*;
use protocol::SpanId;

use super::Opened;
use crate::app::live::live;
use crate::format;
use crate::route::Route;
use crate::waterfall::ticks::{mark, ticks};
use crate::waterfall::{Bar, Row, critical_path, visible};

/// The height of a row, in px; `--row` in the stylesheet.
const ROW: f64 = 33.0;
/// Rows that are shown without scrolling within the waterfall.
const ROWS_MAX: usize = 22;
/// Rows beyond the visible ones that exist.
const OVERSCAN: usize = 12;

/// The waterfall of a trace.
pub fn waterfall(
    opened: Arc<Opened>,
    chosen: Memo<Option<SpanId>>,
    select: impl Fn(SpanId) + Copy + Send + Sync + 'static,
) -> AnyView {
    let folded: RwSignal<HashSet<SpanId>> = RwSignal::new(HashSet::new());
    let scroll = RwSignal::new(0.0);
    let frame = NodeRef::<html::Div>::new();
    let duration = opened.detail.summary.duration_ns.max(1);
    let for_shown = opened.clone();
    let shown =
        Memo::new(move |_| folded.with(|folded| visible(&for_shown.rows, &|id| folded.contains(&id))));
    let window = Memo::new(move |_| {
        let count = shown.with(Vec::len);
        let first = ((scroll.get() / ROW) as usize).saturating_sub(OVERSCAN);
        (first, (first + ROWS_MAX + 2 * OVERSCAN).min(count))
    });
    let keys = move || {
        let (first, last) = window.get();
        shown.with(|shown| {
            (first..last.min(shown.len()))
                .map(|place| (place, shown[place]))
                .collect::<Vec<_>>()
        })
    };
    reveal(&opened, chosen, shown, frame);
    let height = move || format!("{:.0}px", shown.with(Vec::len) as f64 * ROW);
    let frame_height = move || {
        format!(
            "{:.0}px",
            shown.with(|shown| shown.len().min(ROWS_MAX)) as f64 * ROW + 2.0
        )
    };
    let for_rows = opened.clone();
    let row =
        move |(place, index): (usize, usize)| row(&for_rows, place, index, duration, folded, chosen, select);
    view! {
        <div class="wf">
            {axis(duration)}
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
                    {grid(duration)}
                    {seam(opened, shown, duration)}
                    <For each=keys key=|key| *key children=row />
                </div>
            </div>
        </div>
    }
    .into_any()
}

/// Scrolls a selection that came with the address into view.
fn reveal(
    opened: &Arc<Opened>,
    chosen: Memo<Option<SpanId>>,
    shown: Memo<Vec<usize>>,
    frame: NodeRef<html::Div>,
) {
    let opened = opened.clone();
    Effect::new(move |_| {
        let (Some(frame), Some(id)) = (frame.get(), chosen.get()) else {
            return;
        };
        let place =
            shown.with_untracked(|shown| shown.iter().position(|index| is_row(&opened.rows[*index], id)));
        let Some(place) = place else { return };
        let (top, height) = (place as f64 * ROW, f64::from(frame.client_height()));
        let above = f64::from(frame.scroll_top());
        if top < above || top + ROW > above + height {
            frame.set_scroll_top((top - height / 2.0).max(0.0) as i32);
        }
    });
}

fn is_row(row: &Row, id: SpanId) -> bool {
    row.id == id || row.server_id == Some(id)
}

fn part(ns: u64, duration: u64) -> f64 {
    ns as f64 / duration as f64 * 100.0
}

fn percent(ns: u64, duration: u64) -> String {
    format!("{:.3}%", part(ns, duration).min(100.0))
}

fn axis(duration: u64) -> AnyView {
    let marks: Vec<_> = ticks(duration, 7)
        .into_iter()
        .map(|ns| {
            let left = percent(ns, duration);
            let first = ns == 0;
            view! { <span class="wf-mark" class:first=first style:left=move || left.clone()>{mark(ns, duration)}</span> }
        })
        .collect();
    view! {
        <div class="wf-axis" aria-hidden="true">
            <span class="wf-name">"span"</span><span class="wf-node">"node"</span><span class="wf-lane">{marks}</span>
        </div>
    }
    .into_any()
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

fn row(
    opened: &Arc<Opened>,
    place: usize,
    index: usize,
    duration: u64,
    folded: RwSignal<HashSet<SpanId>>,
    chosen: Memo<Option<SpanId>>,
    select: impl Fn(SpanId) + Copy + Send + Sync + 'static,
) -> AnyView {
    let row = opened.rows[index].clone();
    let id = row.id;
    let server = row.server_id;
    let hue = live().hue(row.handler.clone());
    let is_chosen = move || {
        chosen
            .get()
            .is_some_and(|chosen| chosen == id || Some(chosen) == server)
    };
    let foldable = row.below > 0;
    let is_folded = move || folded.with(|folded| folded.contains(&id));
    let fold = move |fold: bool| {
        folded.update(|folded| {
            if fold {
                folded.insert(id);
            } else {
                folded.remove(&id);
            }
        });
    };
    let keys = move |event: ev::KeyboardEvent| match event.key().as_str() {
        "ArrowLeft" if foldable => fold(true),
        "ArrowRight" if foldable => fold(false),
        " " => {
            event.prevent_default();
            select(id);
        }
        _ => {}
    };
    let top = format!("translateY({:.0}px)", place as f64 * ROW);
    let indent = format!("{}px", 8 + row.depth.min(12) * 14);
    let twist = foldable.then(|| {
        let below = row.below;
        view! {
            <button
                class="twist"
                tabindex="-1"
                aria-label=move || if is_folded() { "Unfold" } else { "Fold" }
                on:click=move |event| {
                    event.stop_propagation();
                    fold(!is_folded());
                }
            >
                {move || if is_folded() { format!("+{below}") } else { "−".to_owned() }}
            </button>
        }
    });
    view! {
        <div
            class=move || format!("wf-row {}", hue())
            class:chosen=is_chosen
            class:failing=row.failed
            role="treeitem"
            tabindex="0"
            data-row=""
            data-span=id.to_string()
            data-handler=row.handler.to_string()
            data-node=row.node.to_string()
            attr:aria-level=(row.depth + 1).to_string()
            aria-selected=move || is_chosen().to_string()
            aria-expanded=foldable.then_some(move || (!is_folded()).to_string())
            style:transform=move || top.clone()
            on:click=move |_| select(id)
            on:keydown=keys
        >
            <span class="wf-name">
                <span class="wf-indent" style:width=move || indent.clone()></span>
                <i class="dot" aria-hidden="true"></i>
                <b>{row.handler.to_string()}</b>
                <span class="soft wf-label" title=row.label.clone()>{row.label.clone()}</span>
                {twist}
            </span>
            <span class="wf-node num faint">{row.node.to_string()}</span>
            <span class="wf-lane">{bars(opened, &row, duration)}</span>
        </div>
    }
    .into_any()
}

fn bars(opened: &Opened, row: &Row, duration: u64) -> AnyView {
    let span = |(start, end): (u64, u64)| {
        (
            percent(start, duration),
            format!("{:.3}%", part(end.saturating_sub(start), duration)),
        )
    };
    let (outer_left, outer_width) = span(row.outer);
    let (inner_left, inner_width) = span(row.inner);
    // The figure stands where there is room: right of the bar, else left of it, else on it.
    let (from, to) = (part(row.outer.0, duration), part(row.outer.1, duration));
    let narrow = window()
        .inner_width()
        .ok()
        .and_then(|width| width.as_f64())
        .is_some_and(|width| width < 720.0);
    let room = if narrow { 32.0 } else { 15.0 };
    let (side, at) = if to < 100.0 - room {
        ("after", format!("{to:.3}%"))
    } else if from > room {
        ("before", format!("{:.3}%", 100.0 - from))
    } else {
        ("within", percent(row.inner.0, duration))
    };
    if row.bar == Bar::Queued {
        let words = row.continues.and_then(|link| opened.detail.linked.get(link)).map(|link| {
            let href = Route::Trace(link.trace_id, None).path();
            view! { <a class="later" href=href data-linked=link.trace_id.to_string()>{format!("→ {} later", format::duration(link.wait_ns))}</a> }
        });
        let near_end = from > 80.0;
        let left = percent(row.outer.0, duration);
        return view! {
            <span class="wf-queue" class:near-end=near_end style:left=move || left.clone()>
                <i class="queue-dot" aria-hidden="true"></i>
                {words}
            </span>
        }
        .into_any();
    }
    let travel = (row.bar == Bar::Remote).then(|| {
        view! { <i class="bar-travel" style:left=move || outer_left.clone() style:width=move || outer_width.clone()></i> }
    });
    let cold = (row.cold && !narrow).then_some(" · cold");
    let text = format!("{}{}", format::duration(row.duration()), cold.unwrap_or_default());
    let figure = match side {
        "after" => {
            view! { <span class="figure-after" style:left=move || at.clone()>{text}</span> }.into_any()
        }
        "before" => {
            view! { <span class="figure-before" style:right=move || at.clone()>{text}</span> }.into_any()
        }
        _ => view! { <span class="figure-within" style:left=move || at.clone()>{text}</span> }.into_any(),
    };
    view! {
        {travel}
        <i class="bar" style:left=move || inner_left.clone() style:width=move || inner_width.clone()></i>
        {figure}
    }
    .into_any()
}

/// The critical path: a dashed line below the bars that it runs through, and between their rows.
fn seam(opened: Arc<Opened>, shown: Memo<Vec<usize>>, duration: u64) -> AnyView {
    /// Beyond this many stretches the line would be a hatching.
    const STRETCHES_MAX: usize = 600;
    let lines = move || {
        let path = shown.with(|shown| critical_path(&opened.rows, shown));
        if path.len() > STRETCHES_MAX {
            return Vec::new();
        }
        let below = |place: usize| place as f64 * ROW + ROW - 5.0;
        let mut lines = Vec::with_capacity(path.len() * 2);
        for (index, stretch) in path.iter().enumerate() {
            let left = percent(stretch.start, duration);
            let width = format!("{:.3}%", part(stretch.end - stretch.start, duration));
            let top = format!("{:.0}px", below(stretch.place));
            lines.push(
                view! { <i class="seam-level" style:left=move || left.clone() style:width=move || width.clone() style:top=move || top.clone()></i> }
                    .into_any(),
            );
            let Some(next) = path.get(index + 1).filter(|next| next.place != stretch.place) else {
                continue;
            };
            let (a, b) = (
                below(stretch.place.min(next.place)),
                below(stretch.place.max(next.place)),
            );
            let left = percent(next.start, duration);
            let (top, height) = (format!("{a:.0}px"), format!("{:.0}px", b - a));
            lines.push(
                view! { <i class="seam-fall" style:left=move || left.clone() style:top=move || top.clone() style:height=move || height.clone()></i> }
                    .into_any(),
            );
        }
        lines
    };
    view! { <div class="wf-seam" aria-hidden="true"><span class="wf-lane">{lines}</span></div> }.into_any()
}
