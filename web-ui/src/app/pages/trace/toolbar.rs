//! How the trace is looked at: the view, the zoom, the levels, the part, the search; and what it is compared with.

use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::api::Page;
use protocol::api::traces::TraceSummary;

use super::chart::Chart;
use super::find::{self, Search};
use super::stage::Stage;
use crate::app::live::Remote;
use crate::app::parts::tags;
use crate::app::{api, shell};
use crate::format;
use crate::route::{Look, Route, with_query};

/// Levels that can be folded by a button.
const LEVELS: [(&str, Option<u32>); 4] = [
    ("All levels", None),
    ("1 level", Some(0)),
    ("2 levels", Some(1)),
    ("3 levels", Some(2)),
];
/// Traces that are offered for a comparison.
const OFFERED: usize = 12;

/// Beside the title: the id, and what it can be compared with.
pub fn right(stage: Stage) -> AnyView {
    let id = stage.id.to_string();
    view! {
        <div class="trace-right">
            <p class="trace-id">
                <code class="num" data-trace-id=id.clone()>{id.clone()}</code>
                {tags::copy(id, "Copy the trace id")}
            </p>
            {compare(stage)}
        </div>
    }
    .into_any()
}

/// Above the rows.
pub fn toolbar(stage: Stage) -> AnyView {
    let search = Search::new(stage);
    let look = move |look: Look| {
        view! {
            <button
                data-look=look.word()
                aria-pressed=move || stage.view.with(|view| view.look == look).to_string()
                on:click=move |_| stage.edit(|view| view.look = look)
            >
                {look.title()}
            </button>
        }
    };
    let zoom = |action: &'static str, glyph: &'static str, words: &'static str, act: fn(&mut Chart)| {
        view! {
            <button class="wf-step" data-action=action title=words aria-label=words on:click=move |_| { stage.with_chart(act); }>{glyph}</button>
        }
    };
    view! {
        <div class="wf-bar">
            <div class="seg quiet" role="group" aria-label="View">{Look::ALL.map(look)}</div>
            <span class="wf-steps">{step(stage, search, false)} {step(stage, search, true)}</span>
            <span class="wf-steps">
                {zoom("zoom-in", "+", "Nearer: w", |chart| chart.zoom_by(0.5))}
                {zoom("zoom-out", "−", "Further: s", |chart| chart.zoom_by(2.0))}
                {zoom("zoom-all", "0", "All of it: 0", Chart::whole)}
            </span>
            {level(stage)}
            {focus(stage)}
            {find::view(search)}
            <span class="wf-hint faint small wide">"Ctrl and wheel zoom, drag moves"</span>
        </div>
    }
    .into_any()
}

/// Which levels are unfolded.
fn level(stage: Stage) -> AnyView {
    let choose = move |event: leptos::ev::Event| {
        let chosen = event_target_value(&event).parse().ok();
        stage.edit(|view| {
            view.level = chosen;
            view.turned.clear();
        });
        stage.with_chart(Chart::follow);
    };
    let options = LEVELS.map(|(word, level)| {
        let value = level.map_or_else(String::new, |level| level.to_string());
        let selected = move || stage.view.with(|view| view.level == level);
        view! { <option value=value selected=selected>{word}</option> }
    });
    view! { <select class="wf-level" aria-label="Levels" on:change=choose>{options}</select> }.into_any()
}

/// From the whole trace to the selected call and what is below it, and back.
fn focus(stage: Stage) -> AnyView {
    let button = move || {
        let focus = stage.view.with(|view| view.focus);
        let chosen = stage.chosen.get();
        let act = move |_| {
            stage.edit(|view| view.focus = if focus.is_some() { None } else { chosen });
            stage.with_chart(Chart::follow);
        };
        let words = if focus.is_some() {
            "Whole trace"
        } else {
            "Only this call"
        };
        (focus.is_some() || chosen.is_some())
            .then(|| view! { <button class="btn tiny" data-action="focus" aria-pressed=focus.is_some().to_string() on:click=act>{words}</button> })
    };
    button.into_any()
}

/// To the next find, or the next span; or to the one before.
fn step(stage: Stage, search: Search, forward: bool) -> AnyView {
    let (action, words, glyph) = match forward {
        true => ("next-span", "Next span: ]", "↓"),
        false => ("previous-span", "Previous span: [", "↑"),
    };
    let act = move |_| {
        if search.step(forward) {
            return;
        }
        let next = stage.with_chart(|chart| chart.neighbour(forward)).flatten();
        if let Some(span) = next {
            stage.select(span);
            stage.with_chart(|chart| chart.reveal(span));
        }
    };
    view! { <button class="wf-step" data-action=action aria-label=words title=words on:click=act>{glyph}</button> }
        .into_any()
}

/// Other traces of the same request.
fn compare(stage: Stage) -> AnyView {
    let others: RwSignal<Remote<Vec<TraceSummary>>> = RwSignal::new(Remote::Loading);
    let is_open = RwSignal::new(false);
    let open = move |_| {
        is_open.update(|open| *open = !*open);
        let asked = stage.head.with_untracked(|head| {
            let summary = &head.ready()?.summary;
            let own = summary.handlers.iter().find(|handler| !handler.is_reserved());
            let handler = own.unwrap_or(&summary.handler);
            Some((handler.to_string(), summary.name.clone()))
        });
        let Some((handler, name)) = asked.filter(|_| is_open.get_untracked()) else {
            return;
        };
        spawn_local(async move {
            let path = with_query("traces", &[("handler", handler), ("limit", "200".to_owned())]);
            let page = api::get::<Page<TraceSummary>>(&path).await.map(|page| page.items);
            let answer = match page {
                Ok(mut items) => {
                    items.retain(|trace| trace.name == name && trace.trace_id != stage.id);
                    items.truncate(OFFERED);
                    Remote::Ready(items)
                }
                Err(problem) => Remote::Failed(problem),
            };
            others.try_set(answer);
        });
    };
    let list = move || {
        others.with(|others| match others {
            Remote::Loading => view! { <p class="small soft">"Looking for others …"</p> }.into_any(),
            Remote::Failed(problem) => {
                view! { <p class="small trouble">{problem.title.clone()}</p> }.into_any()
            }
            Remote::Ready(items) if items.is_empty() => {
                view! { <p class="small soft">"There is no other trace of this request yet."</p> }.into_any()
            }
            Remote::Ready(items) => items
                .iter()
                .map(|other| offer(stage, other))
                .collect_view()
                .into_any(),
        })
    };
    view! {
        <div class="compare">
            <button class="btn small" data-action="compare" aria-expanded=move || is_open.get().to_string() on:click=open>"Compare …"</button>
            {move || is_open.get().then(|| view! { <div class="compare-list card">{list}</div> })}
        </div>
    }
    .into_any()
}

fn offer(stage: Stage, other: &TraceSummary) -> AnyView {
    let href = Route::Compare(stage.id.to_string(), other.trace_id.to_string()).path();
    let class = format!("placement placement-{}", other.placement);
    view! {
        <a class="compare-one" href=href data-compare=other.trace_id.to_string()>
            <span class="num">{shell::time_of_day(other.start_unix_ns / 1_000_000)}</span>
            <span class=class>{other.placement.clone()}</span>
            <span class="num">{format::duration(other.duration_ns)}</span>
        </a>
    }
    .into_any()
}
