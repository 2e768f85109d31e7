//! Learn: a tour in nine steps, each of which does the real thing to the running system and shows what came of it.
//!
//! The step is in the address, what was done is kept by the browser; so is the placement from before the first step that
//! changed it, until it is put back.

mod acts;
mod peak;
mod proof;
mod shop;

use leptos::prelude::*;
use leptos::task::spawn_local;

use self::proof::Proof;
use crate::app::live::{Live, live};
use crate::app::parts::{faces, tags};
use crate::app::shell;
use crate::learn::{self, STEPS, STEPS_MAX, Step};
use crate::route::Route;

const DONE_KEY: &str = "cleave.learn.done";

/// What one step has come to.
#[derive(Clone)]
enum Outcome {
    Nothing,
    /// What it does right now.
    Doing(String),
    Done(Proof),
    Failed(String),
}

#[derive(Clone, Copy)]
struct Lesson {
    number: u8,
    done: RwSignal<Vec<u8>>,
    outcome: RwSignal<Outcome>,
    /// Whether there is a placement to put back.
    moved: RwSignal<bool>,
}

/// The page of a step; without a number, of the first that was not done.
pub fn page(number: Option<u8>) -> AnyView {
    let done = learn::read_done(&stored(DONE_KEY));
    let number = number.unwrap_or_else(|| learn::next_open(&done));
    let Some(step) = learn::step(number) else {
        return super::missing(&Route::Learn(Some(number)).path());
    };
    shell::title(step.title);
    let lesson = Lesson {
        number,
        done: RwSignal::new(done),
        outcome: RwSignal::new(Outcome::Nothing),
        moved: RwSignal::new(acts::was_moved()),
    };
    let about = move || match lesson.done.with(Vec::len) {
        0 => "A tour in nine short steps. Each does the real thing to this very system.".to_owned(),
        9 => "All nine steps done. Any of them can be done again.".to_owned(),
        count => format!("{count} of {STEPS_MAX} steps done."),
    };
    view! {
        {tags::head(format!("{number}. {}", step.title), about, undo(lesson))}
        <div class="lesson">
            {list(lesson)}
            <section class="card lesson-card" data-step=number.to_string() aria-label=step.title>
                {step.words.iter().map(|words| view! { <p class="lesson-words">{*words}</p> }).collect_view()}
                {move || doing(lesson, step)}
                <div class="proof" aria-live="polite">{move || shown(lesson, step)}</div>
                {ways(number)}
            </section>
        </div>
    }
    .into_any()
}

/// All steps, with what was done.
fn list(lesson: Lesson) -> AnyView {
    let item = |(index, step): (usize, &'static Step)| {
        let number = index as u8 + 1;
        let is_done = move || lesson.done.with(|done| done.contains(&number));
        let current = (number == lesson.number).then_some("step");
        let mark = move || {
            if is_done() {
                "✓".to_owned()
            } else {
                number.to_string()
            }
        };
        view! {
            <li>
                <a href=Route::Learn(Some(number)).path() aria-current=current  data-row="" class:done=is_done>
                    <span class="lesson-number" aria-hidden="true">{mark}</span>
                    <span>{step.title}{move || is_done().then(|| view! { <span class="unseen">", done"</span> })}</span>
                </a>
            </li>
        }
    };
    let items: Vec<_> = STEPS.iter().enumerate().map(item).collect();
    view! { <nav class="card lesson-list" aria-label="Steps"><ol>{items}</ol></nav> }.into_any()
}

/// The button, or what has to be there first.
fn doing(lesson: Lesson, step: &'static Step) -> AnyView {
    let live = live();
    if live.handlers.with(|list| list.ready().is_none()) {
        return faces::skeleton();
    }
    let missing = learn::missing(step, |name| serves(live, name));
    if !missing.is_empty() {
        return view! {
            <div class="face" data-face="empty">
                <h2>"This step needs the shop"</h2>
                <p class="soft">{format!("{} must serve. The tour goes through the example shop, which comes with Cleave:", crate::format::list(&missing))}</p>
                <pre class="command"><code>"cargo xtask up"</code></pre>
            </div>
        }
        .into_any();
    }
    let busy = lesson
        .outcome
        .with(|outcome| matches!(outcome, Outcome::Doing(_)));
    view! {
        <p class="buttons">
            <button class="btn go" data-action="do" disabled=busy on:click=move |_| start(lesson)>{step.action}</button>
        </p>
    }
    .into_any()
}

fn serves(live: Live, name: &str) -> bool {
    live.handlers.with(|list| {
        let handlers = list.ready().map(Vec::as_slice).unwrap_or_default();
        handlers
            .iter()
            .any(|handler| handler.name.as_str() == name && !handler.nodes.is_empty())
    })
}

fn start(lesson: Lesson) {
    lesson.outcome.set(Outcome::Doing("It begins …".to_owned()));
    spawn_local(async move {
        // The page may be gone while this goes on.
        let say = move |words: String| {
            let _ = lesson.outcome.try_set(Outcome::Doing(words));
        };
        let outcome = match acts::act(lesson.number, &say).await {
            Ok(proof) => {
                let _ = lesson.done.try_update(|done| {
                    done.push(lesson.number);
                    done.sort_unstable();
                    done.dedup();
                    store(DONE_KEY, &learn::write_done(done));
                });
                Outcome::Done(proof)
            }
            Err(words) => Outcome::Failed(words),
        };
        let _ = lesson.moved.try_set(acts::was_moved());
        let _ = lesson.outcome.try_set(outcome);
    });
}

fn shown(lesson: Lesson, step: &'static Step) -> AnyView {
    match lesson.outcome.get() {
        Outcome::Nothing => ().into_any(),
        Outcome::Doing(words) => {
            view! { <p class="soft" data-proof="doing"><span class="pulse" aria-hidden="true"></span>" "{words}</p> }.into_any()
        }
        Outcome::Failed(words) => {
            view! { <p class="bad" role="alert" data-proof="failed">{words}</p> }.into_any()
        }
        Outcome::Done(proof) => {
            view! { <div data-proof="done">{proof.view()}<p class="lesson-look"><b>"Look: "</b>{step.look}</p></div> }
                .into_any()
        }
    }
}

/// Puts the placement back that was in force before the tour changed it.
fn undo(lesson: Lesson) -> AnyView {
    let press = move |_| {
        spawn_local(async move {
            if let Err(words) = acts::undo().await {
                let _ = lesson.outcome.try_set(Outcome::Failed(words));
            }
            let _ = lesson.moved.try_set(acts::was_moved());
        });
    };
    (move || {
        lesson.moved.get().then(|| {
            view! { <button class="btn" data-action="undo" title="Put the placement back that was in force before" on:click=press>"Undo the changes"</button> }
        })
    })
    .into_any()
}

fn ways(number: u8) -> AnyView {
    let way = |to: u8, action: &'static str, word: &'static str| {
        learn::step(to).map(|step| {
            view! { <a class="btn small" data-action=action href=Route::Learn(Some(to)).path() title=step.title>{word}</a> }
        })
    };
    view! {
        <p class="buttons lesson-ways">
            {way(number - 1, "previous", "← Step before")}
            {way(number + 1, "next", "Next step →")}
        </p>
    }
    .into_any()
}

fn stored(key: &str) -> String {
    let store = window().local_storage().ok().flatten();
    store
        .and_then(|store| store.get_item(key).ok().flatten())
        .unwrap_or_default()
}

/// A browser that stores nothing still shows the tour.
fn store(key: &str, text: &str) {
    if let Some(store) = window().local_storage().ok().flatten() {
        let _ = match text.is_empty() {
            true => store.remove_item(key),
            false => store.set_item(key, text),
        };
    }
}
