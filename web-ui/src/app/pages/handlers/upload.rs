//! A component becomes a handler: dropped on the page or chosen, sent with its progress, and what became of it in words.
//!
//! The name is the file's stem, or the one that the page is about. Nothing that serves is replaced unasked.

use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::HandlerName;
use protocol::api::handlers::{Handler, HandlerState};
use web_sys::{DragEvent, File};

use crate::app::api;
use crate::app::live::live;
use crate::{finding, format};

/// What stands in the zone.
#[derive(Clone)]
enum Said {
    Nothing,
    /// A file that would replace what serves: asked first.
    Asks(HandlerName),
    Sending(String, f64),
    Done(String, Option<HandlerName>),
    Failed(String),
}

/// The zone with its button. With a name, whatever file becomes that handler.
#[derive(Clone, Copy)]
struct Zone {
    name: StoredValue<Option<HandlerName>>,
    said: RwSignal<Said>,
    is_over: RwSignal<bool>,
    file: StoredValue<Option<File>, LocalStorage>,
}

/// Where files are dropped.
pub fn zone(name: Option<HandlerName>) -> AnyView {
    let words = match &name {
        Some(name) => format!("Drop a newer {name}.wasm here, or"),
        None => "Drop a component (.wasm) anywhere on this card, or".to_owned(),
    };
    let zone = Zone {
        name: StoredValue::new(name),
        said: RwSignal::new(Said::Nothing),
        is_over: RwSignal::new(false),
        file: StoredValue::new_local(None),
    };
    let input = NodeRef::<html::Input>::new();
    let over = move |event: DragEvent| {
        event.prevent_default();
        zone.is_over.set(true);
    };
    let dropped = move |event: DragEvent| {
        event.prevent_default();
        zone.is_over.set(false);
        let files = event.data_transfer().and_then(|data| data.files());
        if let Some(file) = files.and_then(|files| files.get(0)) {
            zone.take(file);
        }
    };
    let chosen = move |_| {
        let Some(input) = input.get_untracked() else {
            return;
        };
        if let Some(file) = input.files().and_then(|files| files.get(0)) {
            zone.take(file);
        }
        // So that the same file can be chosen again.
        input.set_value("");
    };
    view! {
        <section
            class="card drop"
            class:over=move || zone.is_over.get()
            data-drop=""
            aria-label="Upload"
            on:dragover=over
            on:dragleave=move |_| zone.is_over.set(false)
            on:drop=dropped
        >
            <p class="drop-words">
                <span class="soft">{words}</span>
                <label class="btn small" tabindex="-1">
                    "Choose a file"
                    <input class="unseen" type="file" accept=".wasm,application/wasm" node_ref=input on:change=chosen />
                </label>
            </p>
            <div role="status" class="drop-said" data-said=move || zone.word()>{move || zone.show()}</div>
        </section>
    }
    .into_any()
}

impl Zone {
    fn word(self) -> &'static str {
        self.said.with(|said| match said {
            Said::Nothing => "",
            Said::Asks(_) => "asks",
            Said::Sending(..) => "sending",
            Said::Done(..) => "done",
            Said::Failed(_) => "failed",
        })
    }

    fn show(self) -> AnyView {
        match self.said.get() {
            Said::Nothing => ().into_any(),
            Said::Asks(name) => {
                let words = format!(
                    "{name} serves already. Shall this file take over? Calls under way finish in the version before it."
                );
                let go = name.clone();
                view! {
                    <p>{words}</p>
                    <p class="buttons">
                        <button class="btn go small" data-action="replace" on:click=move |_| self.send(go.clone())>"Replace it"</button>
                        <button class="btn small" on:click=move |_| self.said.set(Said::Nothing)>"Leave it"</button>
                    </p>
                }
                .into_any()
            }
            Said::Sending(words, share) => view! {
                <p class="soft">{words}</p>
                <progress max="1" prop:value=share aria-label="Sent"></progress>
            }
            .into_any(),
            Said::Done(words, name) => {
                let link = name.map(
                    |name| view! { " "<a href=format!("/handlers/{name}")>{format!("Open {name}")}</a> },
                );
                view! { <p class="ok">{words}{link}</p> }.into_any()
            }
            Said::Failed(words) => view! { <p class="bad" role="alert">{words}</p> }.into_any(),
        }
    }

    fn take(self, file: File) {
        let named = self.name.get_value();
        let name = match named {
            Some(name) => Ok(name),
            None => {
                let whole = file.name();
                let stem = whole.strip_suffix(".wasm").unwrap_or(&whole);
                HandlerName::parse(stem)
                    .map_err(|error| format!("{whole} cannot name a handler: {error}. Rename the file."))
            }
        };
        self.file.set_value(Some(file));
        match name {
            Ok(name) => {
                let serves = live().handlers.with_untracked(|list| {
                    list.ready().is_some_and(|list| {
                        list.iter()
                            .any(|handler| handler.name == name && !handler.version.is_empty())
                    })
                });
                match serves {
                    true => self.said.set(Said::Asks(name)),
                    false => self.send(name),
                }
            }
            Err(words) => self.said.set(Said::Failed(words)),
        }
    }

    fn send(self, name: HandlerName) {
        let Some(file) = self.file.get_value() else { return };
        let size = format::bytes(file.size() as u64);
        self.said
            .set(Said::Sending(format!("Sending {size} as {name} …"), 0.0));
        spawn_local(async move {
            let path = format!("handlers/{name}");
            let told = name.clone();
            let progress = move |share: f64| {
                let words = match share < 1.0 {
                    true => format!("Sending {size} as {told} …"),
                    false => format!("{told} is read, compiled and placed …"),
                };
                // The page may be gone meanwhile.
                let _ = self.said.try_set(Said::Sending(words, share));
            };
            let said = match api::upload::<Handler>(&path, &file, progress).await {
                Ok(handler) => Said::Done(outcome(&handler), self.name.get_value().is_none().then_some(name)),
                Err(problem) => Said::Failed(format!(
                    "{}: {}.",
                    problem.title,
                    finding::sentence_case(problem.detail.trim_end_matches('.'))
                )),
            };
            let _ = self.said.try_set(said);
        });
    }
}

fn outcome(handler: &Handler) -> String {
    let compiled = match handler.compile_ms {
        0 => "its code came from the cache".to_owned(),
        ms => format!("compiled in {}", format::duration(ms * 1_000_000)),
    };
    let version = &handler.version;
    match &handler.state {
        HandlerState::Waiting { on } => {
            let on: Vec<&str> = on.iter().map(|interface| interface.as_str()).collect();
            format!(
                "Version {version} is there ({compiled}), and waits for {}.",
                format::list(&on)
            )
        }
        _ => {
            let nodes: Vec<&str> = handler.nodes.iter().map(|node| node.as_str()).collect();
            format!(
                "Version {version} serves on {} ({compiled}).",
                format::list(&nodes)
            )
        }
    }
}
