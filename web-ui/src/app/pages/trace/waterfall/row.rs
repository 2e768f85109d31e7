//! A row of the waterfall: who, what, where, and its lane. Rows fold; a row that stands for repeated calls opens.

use leptos::ev;
use leptos::prelude::*;

use super::bars::bars;
use super::{Chart, ROW};
use crate::app::live::live;
use crate::format;
use crate::waterfall::{Repeats, Row};

/// The row at a place of those that are shown.
pub fn row(chart: &Chart, place: usize, index: usize) -> AnyView {
    let row = chart.opened.rows[index].clone();
    let hue = live().hue(row.handler.clone());
    let fold = Fold::of(chart, index, &row);
    let is_chosen = is_chosen(chart, index, &row);
    let chosen = is_chosen.clone();
    let top = format!("translateY({:.0}px)", place as f64 * ROW);
    let (select, id, stands) = (chart.selection.select, row.id, row.repeats.is_some());
    let press = move || match stands {
        true => fold.turn(),
        false => select.run(id),
    };
    let keys = move |event: ev::KeyboardEvent| match event.key().as_str() {
        "ArrowLeft" => fold.set(true),
        "ArrowRight" => fold.set(false),
        " " => {
            event.prevent_default();
            press();
        }
        _ => {}
    };
    let expanded = fold.foldable.then_some(move || (!fold.is_folded()).to_string());
    view! {
        <div
            class=move || format!("wf-row {}", hue())
            class:chosen=is_chosen
            class:failing=row.failed
            class:repeats=stands
            role="treeitem"
            tabindex="0"
            data-row=""
            data-span=(!stands).then(|| id.to_string())
            data-repeats=row.repeats.as_ref().map(|repeats| repeats.count.to_string())
            data-handler=row.handler.to_string()
            data-node=row.node.to_string()
            attr:aria-level=(row.depth + 1).to_string()
            aria-selected=move || chosen().to_string()
            aria-expanded=expanded
            style:transform=move || top.clone()
            on:click=move |_| press()
            on:keydown=keys
        >
            {name(&row, fold)}
            <span class="wf-node num faint">{row.node.to_string()}</span>
            <span class="wf-lane">{bars(chart, &row)}</span>
        </div>
    }
    .into_any()
}

/// Whether the row is selected; one that stands for calls is while it hides the one that is.
fn is_chosen(chart: &Chart, index: usize, row: &Row) -> impl Fn() -> bool + Clone + Send + Sync + 'static {
    let (opened, chosen, folded) = (chart.opened.clone(), chart.selection.chosen, chart.folded);
    let (row, hidden) = (row.clone(), index + 1..index + 1 + row.below);
    move || {
        let Some(span) = chosen.get() else { return false };
        match row.repeats {
            None => row.is(span),
            Some(_) => {
                folded.with(|folded| folded.contains(&index))
                    && opened
                        .rows
                        .get(hidden.clone())
                        .is_some_and(|rows| rows.iter().any(|row| row.is(span)))
            }
        }
    }
}

/// Whether a row hides what is below it.
#[derive(Clone, Copy)]
struct Fold {
    foldable: bool,
    index: usize,
    folded: RwSignal<std::collections::HashSet<usize>>,
}

impl Fold {
    fn of(chart: &Chart, index: usize, row: &Row) -> Self {
        Self {
            foldable: row.below > 0,
            index,
            folded: chart.folded,
        }
    }

    fn is_folded(self) -> bool {
        self.folded.with(|folded| folded.contains(&self.index))
    }

    fn set(self, fold: bool) {
        if !self.foldable {
            return;
        }
        self.folded.update(|folded| {
            if fold {
                folded.insert(self.index);
            } else {
                folded.remove(&self.index);
            }
        });
    }

    fn turn(self) {
        self.set(!self.folded.with_untracked(|folded| folded.contains(&self.index)));
    }
}

fn name(row: &Row, fold: Fold) -> AnyView {
    let indent = format!("calc(8px + {} * var(--indent))", row.depth.min(12));
    let below = row.below;
    let twist = fold.foldable.then(|| {
        view! {
            <button
                class="twist"
                tabindex="-1"
                aria-label=move || if fold.is_folded() { "Unfold" } else { "Fold" }
                on:click=move |event| {
                    event.stop_propagation();
                    fold.turn();
                }
            >
                {move || if fold.is_folded() { format!("+{below}") } else { "−".to_owned() }}
            </button>
        }
    });
    let times = row.repeats.as_ref().map(|repeats| {
        view! { <span class="wf-times num" title=in_words(repeats)>{format!("× {}", format::count(repeats.count as u64))}</span> }
    });
    view! {
        <span class="wf-name">
            <span class="wf-indent" style:width=move || indent.clone()></span>
            <i class="dot" aria-hidden="true"></i>
            <span class="wf-words">
                <b>{row.handler.to_string()}</b>
                <span class="soft wf-label" title=row.label.clone()>{row.label.clone()}</span>
            </span>
            {times}
            {twist}
        </span>
    }
    .into_any()
}

fn in_words(repeats: &Repeats) -> String {
    format!(
        "{} calls in a row, {} in all{}",
        repeats.count,
        format::duration(repeats.total_ns),
        match repeats.failed {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        }
    )
}
