//! Moving a handler: the forecast while it is dragged or proposed, the change itself, and what was measured after it.

use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::HandlerName;
use protocol::api::placement::{Accepted, Mode, Placement};

use super::View;
use crate::app::api;
use crate::finding::sentence_case;
use crate::format;
use crate::map::{self, Effect, Move};
use crate::route::{MapAddress, Route};

/// A handler that is being dragged.
#[derive(Debug, Clone, PartialEq)]
pub struct Drag {
    pub handler: HandlerName,
    /// Where the pointer went down, in the window.
    pub from: (f64, f64),
    /// How far it has come.
    pub by: (f64, f64),
    /// What letting go here would do.
    pub change: Option<Move>,
    /// Whether it has come far enough to be no click.
    pub moved: bool,
}

/// A change that was asked for.
#[derive(Debug, Clone, PartialEq)]
struct Asked {
    change: Move,
    effects: Vec<Effect>,
    before: Placement,
    generation: u64,
}

/// What is being planned.
#[derive(Clone, Copy)]
pub struct Plan {
    pub drag: RwSignal<Option<Drag>>,
    /// Whose menu is open.
    pub menu: RwSignal<Option<HandlerName>>,
    asked: RwSignal<Option<Asked>>,
    error: RwSignal<Option<String>>,
}

impl Plan {
    /// Nothing is.
    pub fn new() -> Self {
        Self {
            drag: RwSignal::new(None),
            menu: RwSignal::new(None),
            asked: RwSignal::new(None),
            error: RwSignal::new(None),
        }
    }
}

/// What a move does to the edges.
pub fn effects(view: View, change: &Move) -> Vec<Effect> {
    view.live.placement.with(|placement| {
        let Some(status) = placement.ready() else {
            return Vec::new();
        };
        let before = map::places(status);
        let Some(after) = map::after(&before, change) else {
            return Vec::new();
        };
        view.bill.with(|bill| {
            bill.ready()
                .map(|bill| map::effects(bill, &before, &after, status.desired.transport))
                .unwrap_or_default()
        })
    })
}

/// The forecast in a sentence, or that it cannot be made yet.
pub fn forecast(view: View, change: &Move) -> String {
    if view.bill.with(|bill| bill.ready().is_none()) {
        return "What it costs is being worked out.".to_owned();
    }
    map::forecast(&effects(view, change))
}

/// Does it.
pub fn go(view: View, change: Move) {
    let wanted = view.live.placement.with_untracked(|placement| {
        let status = placement.ready()?;
        let after = map::after(&map::places(status), &change)?;
        Some((map::placement(&after, &status.desired), status.desired.clone()))
    });
    let Some((wanted, before)) = wanted else {
        let words = format!("{} is not there", map::move_words(&change));
        view.plan.error.set(Some(words));
        return;
    };
    let effects = untrack(|| effects(view, &change));
    view.navigation.replace(&Route::Map(MapAddress::default()));
    put(view, wanted, move |generation| Asked {
        change,
        effects,
        before,
        generation,
    });
}

fn put(view: View, wanted: Placement, then: impl FnOnce(u64) -> Asked + 'static) {
    view.plan.error.set(None);
    spawn_local(async move {
        match api::send::<Accepted>("PUT", "placement", &wanted).await {
            Ok(accepted) => {
                view.plan.asked.set(Some(then(accepted.generation)));
                view.live.read_placement();
            }
            Err(problem) => view
                .plan
                .error
                .set(Some(format!("{}: {}", problem.title, problem.detail))),
        }
    });
}

/// The panel below the map, which stays in sight at the bottom of the window while the map is taller than that.
pub fn panel(view: View) -> AnyView {
    let plan = view.plan;
    let body = move || {
        if let Some(error) = plan.error.get() {
            return Some(failed(plan, &error));
        }
        let dragged = plan.drag.with(|drag| {
            let drag = drag.as_ref().filter(|drag| drag.moved)?;
            Some((drag.handler.clone(), drag.change.clone()))
        });
        if let Some((handler, change)) = dragged {
            return Some(dragging(view, &handler, change));
        }
        if let Some(asked) = plan.asked.get() {
            return Some(outcome(view, &asked));
        }
        let proposed = view.address.with(|address| address.change.clone());
        proposed.map(|change| proposal(view, change))
    };
    let shown = Memo::new(move |_| {
        let dragged = plan
            .drag
            .with(|drag| drag.as_ref().is_some_and(|drag| drag.moved));
        dragged
            || plan.error.with(Option::is_some)
            || plan.asked.with(Option::is_some)
            || view.address.with(|address| address.change.is_some())
    });
    view! { <aside class="map-plan" role="status" aria-label="Change of placement" hidden=move || !shown.get()>{body}</aside> }.into_any()
}

fn failed(plan: Plan, error: &str) -> AnyView {
    let words = sentence_case(error);
    view! {
        <h2 class="bad">"It stays as it was"</h2>
        <p class="small soft" role="alert" data-plan="error">{words} "."</p>
        <p class="buttons"><button class="btn small" on:click=move |_| plan.error.set(None)>"Close"</button></p>
    }
    .into_any()
}

fn dragging(view: View, handler: &HandlerName, change: Option<Move>) -> AnyView {
    match change {
        None => view! {
            <h2>{handler.to_string()}</h2>
            <p class="small soft">"Outside the boxes it runs alone, in another box it joins."</p>
        }
        .into_any(),
        Some(change) => view! {
            <h2 data-plan="drag">{sentence_case(&map::move_words(&change))}</h2>
            <p class="small soft">{forecast(view, &change)}</p>
        }
        .into_any(),
    }
}

fn proposal(view: View, change: Move) -> AnyView {
    let words = map::move_words(&change);
    let told = change.clone();
    let close = move |_| view.navigation.replace(&Route::Map(MapAddress::default()));
    view! {
        <h2 data-plan="proposed">"Proposed: " {words}</h2>
        <p class="small soft">{move || forecast(view, &told)}</p>
        <p class="buttons">
            <button class="btn small go" data-action="do-it" on:click=move |_| go(view, change.clone())>"Do it"</button>
            <button class="btn small" data-action="not-now" on:click=close>"Not now"</button>
        </p>
    }
    .into_any()
}

fn outcome(view: View, asked: &Asked) -> AnyView {
    let settled = view.live.placement.with(|placement| {
        let generation = asked.generation;
        placement
            .ready()
            .is_some_and(|placement| placement.settled && placement.actual_generation >= generation)
    });
    let (word, rows) = match settled {
        false => ("under way", foretold(asked)),
        true => ("done", compared(view, asked)),
    };
    let plan = view.plan;
    let before = asked.before.clone();
    let undo = move |_| {
        let wanted = before.clone();
        plan.asked.set(None);
        plan.error.set(None);
        spawn_local(async move {
            match api::send::<Accepted>("PUT", "placement", &wanted).await {
                Ok(_) => {}
                Err(problem) => plan
                    .error
                    .set(Some(format!("{}: {}", problem.title, problem.detail))),
            }
        });
    };
    let back = match asked.before.mode {
        Mode::Together => "Undo: together",
        Mode::Apart => "Undo: apart",
        Mode::Groups => "Undo",
    };
    view! {
        <h2 data-plan=word.replace(' ', "-")>{sentence_case(&map::move_words(&asked.change))} ", " {word}</h2>
        {rows}
        <p class="buttons">
            <button class="btn small" data-action="undo" disabled=!settled on:click=undo>{back}</button>
            <button class="btn small" data-action="close-plan" on:click=move |_| plan.asked.set(None)>"Close"</button>
        </p>
    }
    .into_any()
}

fn foretold(asked: &Asked) -> AnyView {
    view! { <p class="small soft">{map::forecast(&asked.effects)}</p> }.into_any()
}

/// What was foretold beside what was measured, edge by edge.
fn compared(view: View, asked: &Asked) -> AnyView {
    if asked.effects.is_empty() {
        return foretold(asked);
    }
    let measured = view.bill.with(|bill| {
        bill.ready()
            .map(|bill| map::measured(bill, &asked.effects))
            .unwrap_or_default()
    });
    let rows = asked
        .effects
        .iter()
        .enumerate()
        .take(5)
        .map(|(at, effect)| {
            let found = measured.iter().find(|(known, ..)| *known == at);
            let before = effect.now_ns.map_or_else(|| "–".to_owned(), format::duration);
            let after = found.map_or_else(|| "no call yet".to_owned(), |(_, ns, _)| format::duration(*ns));
            let calls = found.map_or_else(String::new, |(.., calls)| {
                format!("n = {}", format::count((*calls).into()))
            });
            view! {
                <tr data-measured=found.is_some().to_string()>
                    <td>{effect.caller.to_string()} " → " {effect.callee.to_string()}</td>
                    <td class="num">{before}</td>
                    <td class="num">{format::duration(effect.then.carried_ns)}</td>
                    <td class="num strong">{after}</td>
                    <td class="num faint">{calls}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <table class="compared small">
            <thead><tr><th>"carrying a call"</th><th class="num">"before"</th><th class="num">"foretold"</th><th class="num">"measured"</th><th></th></tr></thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}
