//! The switch between together and apart: what is asked for, how far it is, what stopped it.

use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::api::placement::{Accepted, Mode, Placement, PlacementStatus};

use crate::app::api;
use crate::app::live::Live;
use crate::finding;

/// What was pressed, and what came of it.
#[derive(Clone, Copy)]
struct Switch {
    live: Live,
    /// What was pressed, until the server says the same.
    asked: RwSignal<Option<Mode>>,
    error: RwSignal<Option<String>>,
}

/// The switch with its progress.
pub fn bar(live: Live) -> AnyView {
    let switch = Switch {
        live,
        asked: RwSignal::new(None),
        error: RwSignal::new(None),
    };
    let Switch { asked, error, .. } = switch;
    Effect::new(move |_| {
        let desired = live
            .placement
            .with(|placement| placement.ready().map(|placement| placement.desired.mode));
        if desired == asked.get_untracked() {
            asked.set(None);
        }
    });
    let groups = move || {
        switch.says(&|placement| placement.desired.mode == Mode::Groups)
            .then(|| view! { <button data-action="groups" aria-pressed="true" title="Groups are written in cleave.toml, or set with cleave place FILE">"Groups"</button> })
    };
    let settled = move || switch.says(&|placement| placement.settled) && asked.get().is_none();
    view! {
        <div class="placement-bar" data-settled=move || settled().to_string()>
            <div class="seg" role="group" aria-label="Placement">
                {switch.button(Mode::Together, "Together")} {switch.button(Mode::Apart, "Apart")} {groups}
            </div>
            <div class="placement-words" role="status">{move || progress(live, settled(), asked.get())}</div>
            {move || error.get().or_else(|| failure(live)).map(|text| view! {
                <p class="trouble small" role="alert" data-placement-error="">{finding::sentence_case(&text)} "."</p>
            })}
        </div>
    }
    .into_any()
}

impl Switch {
    fn says(self, read: &dyn Fn(&PlacementStatus) -> bool) -> bool {
        self.live
            .placement
            .with(|placement| placement.ready().is_some_and(read))
    }

    fn button(self, mode: Mode, word: &'static str) -> AnyView {
        let pressed = move || {
            self.asked.get().map_or_else(
                || self.says(&|placement| placement.desired.mode == mode),
                |asked| asked == mode,
            )
        };
        let waiting = move || self.live.placement.with(|placement| placement.ready().is_none());
        view! {
            <button
                data-action=finding::mode(mode)
                aria-pressed=move || pressed().to_string()
                disabled=waiting
                on:click=move |_| {
                    if !self.says(&|placement| placement.desired.mode == mode && placement.settled) {
                        self.put(mode);
                    }
                }
            >
                {word}
            </button>
        }
        .into_any()
    }

    fn put(self, mode: Mode) {
        self.error.set(None);
        self.asked.set(Some(mode));
        spawn_local(async move {
            // How calls go stays as it is: the switch is about who shares a node.
            let way = self
                .live
                .placement
                .with_untracked(|placement| placement.ready().map(|now| now.desired.way()));
            let wanted = Placement {
                mode,
                ..Placement::default()
            };
            let wanted = wanted.by(way.unwrap_or_default());
            match api::send::<Accepted>("PUT", "placement", &wanted).await {
                Ok(_) => self.live.read_placement(),
                Err(problem) => {
                    self.asked.set(None);
                    self.error
                        .set(Some(format!("{}: {}", problem.title, problem.detail)));
                }
            }
        });
    }
}

fn failure(live: Live) -> Option<String> {
    live.placement
        .with(|placement| placement.ready().and_then(|placement| placement.error.clone()))
}

fn progress(live: Live, settled: bool, asked: Option<Mode>) -> AnyView {
    let words = live.placement.with(|placement| {
        let placement = placement.ready()?;
        let nodes = live
            .nodes
            .with(|nodes| nodes.ready().cloned().unwrap_or_default());
        if let (Some(mode), true) = (asked, placement.settled) {
            return Some((format!("Asking for {}", finding::mode(mode)), 0.0));
        }
        if settled {
            let notes = placement.notes.iter();
            let mut words: Vec<String> = notes
                .map(|note| format!("{}.", finding::sentence_case(note)))
                .collect();
            if placement.actual != placement.file {
                words.push(format!(
                    "cleave.toml says {}; that is what the next start will do.",
                    finding::wish(&placement.file)
                ));
            }
            return Some((words.join(" "), -1.0));
        }
        let all = placement.handlers.len().max(1) as f64;
        let there = placement
            .handlers
            .values()
            .filter(|place| place.is_there())
            .count() as f64;
        Some((finding::placement(placement, &nodes), there / all))
    });
    let Some((text, part)) = words else {
        return ().into_any();
    };
    let bar = (part >= 0.0).then(|| {
        let width = format!("{:.1}%", part * 100.0);
        view! { <span class="progress" aria-hidden="true"><i style:width=move || width.clone()></i></span> }
    });
    view! { {bar}<span class="small soft">{text}</span> }.into_any()
}
