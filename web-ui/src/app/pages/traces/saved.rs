//! Saved searches: kept in this browser, applied, compared with what is searched for, and deleted.
//!
//! Promises: each is an entry of its own, so that a tab that saves leaves alone what another one saved; what another tab
//! changes is shown here too; a name that is taken, also meanwhile and elsewhere, is asked about before it is replaced.

use leptos::ev;
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Node, Storage};

use super::Traces;
use crate::filters::{Part, with};
use crate::route::Route;
use crate::searches::{FIRST, NAME_MAX, SEARCHES_MAX, Search, name_of, text_of};

/// What the part holds.
#[derive(Clone, Copy)]
struct Saved {
    traces: Traces,
    searches: RwSignal<Vec<Search>>,
    is_open: RwSignal<bool>,
    name: RwSignal<String>,
    /// Why the last one was not saved.
    said: RwSignal<&'static str>,
}

fn store() -> Option<Storage> {
    window().local_storage().ok().flatten()
}

fn stored() -> Vec<Search> {
    let Some(store) = store() else { return Vec::new() };
    let keys = (0..store.length().unwrap_or(0)).filter_map(|at| store.key(at).ok().flatten());
    let mut searches: Vec<Search> = keys
        .filter_map(|key| Search::read(&key, &store.get_item(&key).ok().flatten()?))
        .collect();
    searches.sort_by(|a, b| a.name.cmp(&b.name));
    searches
}

/// The button and what it opens.
pub fn view(traces: Traces) -> AnyView {
    let saved = Saved {
        traces,
        searches: RwSignal::new(stored()),
        is_open: RwSignal::new(false),
        name: RwSignal::new(String::new()),
        said: RwSignal::new(""),
    };
    let root = NodeRef::<html::Div>::new();
    let elsewhere = window_event_listener_untyped("storage", move |_| saved.searches.set(stored()));
    let outside = window_event_listener(ev::pointerdown, move |event| {
        let target = event.target().and_then(|target| target.dyn_into::<Node>().ok());
        let is_inside = root
            .get_untracked()
            .is_some_and(|root| root.contains(target.as_ref()));
        if saved.is_open.get_untracked() && !is_inside {
            saved.is_open.set(false);
        }
    });
    on_cleanup(move || {
        elsewhere.remove();
        outside.remove();
    });
    let escape = move |event: ev::KeyboardEvent| {
        if event.key() == "Escape" && saved.is_open.get_untracked() {
            saved.is_open.set(false);
            event.prevent_default();
        }
    };
    let count = move || match saved.searches.with(Vec::len) {
        0 => String::new(),
        count => count.to_string(),
    };
    view! {
        <div class="saved" node_ref=root on:keydown=escape>
            <button
                class="btn"
                data-action="saved"
                aria-expanded=move || saved.is_open.get().to_string()
                aria-controls="saved"
                on:click=move |_| saved.is_open.update(|is_open| *is_open = !*is_open)
            >
                "Saved searches"<span class="num faint">{count}</span>
            </button>
            <div class="card compare-list saved-list" id="saved" role="group" aria-label="Saved searches" hidden=move || !saved.is_open.get()>
                {saved.form()}
                {move || saved.is_open.get().then(|| saved.list())}
            </div>
        </div>
    }
    .into_any()
}

impl Saved {
    fn form(self) -> AnyView {
        let is_taken = move || {
            let name = self.name.with(|name| name_of(name));
            name.is_some_and(|name| {
                self.searches
                    .with(|searches| searches.iter().any(|search| search.name == name))
            })
        };
        let save = move |event: ev::SubmitEvent| {
            event.prevent_default();
            self.save(is_taken());
        };
        view! {
            <form class="saved-form" on:submit=save>
                <input
                    placeholder="Name what is searched for now"
                    aria-label="Name of the search"
                    maxlength=NAME_MAX.to_string()
                    prop:value=move || self.name.get()
                    on:input=move |event| {
                        self.said.set("");
                        self.name.set(event_target_value(&event));
                    }
                />
                <button class="btn small" data-action="save-search" disabled=move || self.name.with(|name| name_of(name).is_none())>
                    {move || if is_taken() { "Replace" } else { "Save" }}
                </button>
                <p class="small trouble" role="status">{move || self.said.get()}</p>
            </form>
        }
        .into_any()
    }

    /// Saves what is searched for; `replaces` is what the button said.
    fn save(self, replaces: bool) {
        let Some(name) = self.name.with_untracked(|name| name_of(name)) else {
            return;
        };
        let text = self.traces.query.with_untracked(text_of);
        let search = Search { name, text };
        let now = stored();
        let is_taken = now.iter().any(|one| one.name == search.name);
        self.searches.set(now);
        let Some(store) = store() else {
            return self.said.set("This browser does not let pages store anything.");
        };
        if is_taken && !replaces {
            return self
                .said
                .set("Another tab has saved one of that name meanwhile. Replace it?");
        }
        if !is_taken && self.searches.with_untracked(Vec::len) >= SEARCHES_MAX {
            return self.said.set("There are fifty saved searches: delete one first.");
        }
        if store.set_item(&search.key(), &search.text).is_err() {
            return self.said.set("This browser has no room left for it.");
        }
        self.name.set(String::new());
        self.said.set("");
        self.searches.set(stored());
    }

    fn delete(self, search: &Search) {
        if let Some(store) = store() {
            // What is gone already is as it should be.
            let _ = store.remove_item(&search.key());
        }
        self.searches.set(stored());
    }

    fn list(self) -> AnyView {
        let now = Memo::new(move |_| self.traces.query.with(text_of));
        let rows = move || {
            let searches = self.searches.get();
            searches
                .into_iter()
                .map(|search| self.row(search, now))
                .collect_view()
        };
        let first = FIRST
            .into_iter()
            .map(|(name, text)| view! { <li class="saved-row"><a class="saved-name" href=format!("/traces?{text}") on:click=move |_| self.is_open.set(false)>{name}</a></li> })
            .collect_view();
        view! {
            <ul class="saved-rows">{rows}</ul>
            {move || self.placements()}
            <p class="small faint saved-first">"To begin with"</p>
            <ul class="saved-rows">{first}</ul>
        }
        .into_any()
    }

    fn row(self, search: Search, now: Memo<String>) -> AnyView {
        let href = if search.text.is_empty() {
            "/traces".to_owned()
        } else {
            format!("/traces?{}", search.text)
        };
        let text = search.text.clone();
        let against = search.text.clone();
        let name = search.name.clone();
        let compare = move || {
            let is_other = now.with(|now| *now != against);
            is_other.then(|| {
                let href = Route::Compare(now.get(), against.clone()).path();
                let label = format!("Compare what is searched for now with {name}");
                view! { <a class="btn tiny" data-action="compare-search" aria-label=label href=href>"compare"</a> }
            })
        };
        let is_now = move || now.with(|now| *now == text).then_some("true");
        let label = format!("Delete {}", search.name);
        let name = search.name.clone();
        let delete = move |_| self.delete(&search);
        view! {
            <li class="saved-row">
                <a class="saved-name" data-search-name=name.clone() aria-current=is_now href=href on:click=move |_| self.is_open.set(false)>{name.clone()}</a>
                {compare}
                <button class="btn tiny" data-action="delete-search" aria-label=label on:click=delete>"×"</button>
            </li>
        }
        .into_any()
    }

    /// What is searched for as it was in two placements, where it was in both.
    fn placements(self) -> Option<AnyView> {
        let query = self.traces.query.get();
        let words: Vec<String> = self.traces.facets.with(|facets| {
            let values = facets.iter().flat_map(|facets| &facets.placements.values);
            values.map(|value| value.value.clone()).collect()
        });
        let [a, b, ..] = words.as_slice() else { return None };
        // Together is what others are held against.
        let (a, b) = if b == "together" { (b, a) } else { (a, b) };
        let side = |word: &str| text_of(&with(&query, Part::Placement, Some(word)));
        let href = Route::Compare(side(a), side(b)).path();
        let words = format!("Compare these {a} with these {b}");
        Some(view! { <p class="saved-row"><a class="saved-name" data-action="compare-placements" href=href>{words}</a></p> }.into_any())
    }
}
