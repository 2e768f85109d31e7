//! The query: typed with what may come next offered, refused where it is wrong, applied by Enter.
//!
//! Promises: nothing is searched while it is typed; what facets add to the query is not in the way of what is typed; the
//! address holds it. Keys: arrows choose an offer, Enter or Tab takes it, Escape puts the list away, Ctrl and the space
//! bar bring it. Not here: what may come next (`completion.rs`), whether it is a query (the server).

use leptos::html;
use leptos::prelude::*;
use web_sys::{HtmlInputElement, KeyboardEvent};

use super::Traces;
use crate::app::live::{Live, Remote, live};
use crate::completion::{self, Completion, Names, accept, byte_of, complete, units_of};
use crate::filters::Said;

/// The box.
#[derive(Clone, Copy)]
struct Typing {
    traces: Traces,
    live: Live,
    input: NodeRef<html::Input>,
    text: RwSignal<String>,
    /// What may come next, while it is shown.
    offers: RwSignal<Option<Completion>>,
    at: RwSignal<Option<usize>>,
    /// How far the text is scrolled, in px.
    scroll: RwSignal<i32>,
}

/// Where the query in force is wrong, as a byte of what was typed, and how.
pub fn fault(traces: Traces) -> Option<(usize, String)> {
    let query = traces.query.with(|query| query.q.clone())?;
    traces.list.with(|list| match list {
        Remote::Failed(problem) => {
            let (at, words) = completion::fault(&problem.detail, &query)?;
            let typed = Said::of(Some(&query)).typed;
            // What was typed may stand in braces, which facets put around it.
            let before = query.find(&typed).unwrap_or_default();
            Some((at.saturating_sub(before).min(typed.len()), words.to_owned()))
        }
        _ => None,
    })
}

/// The field, and apart from it what is said of the query: the line of filters has room for that.
pub fn view(traces: Traces) -> (AnyView, AnyView) {
    let typing = Typing {
        traces,
        live: live(),
        input: NodeRef::new(),
        text: RwSignal::new(String::new()),
        offers: RwSignal::new(None),
        at: RwSignal::new(None),
        scroll: RwSignal::new(0),
    };
    Effect::new(move |_| {
        let said = traces.query.with(|query| Said::of(query.q.as_deref()));
        typing.text.set(said.typed);
        typing.close();
    });
    let wrong = Memo::new(move |_| fault(traces).filter(|_| typing.is_applied()));
    let is_wrong = move || wrong.with(Option::is_some);
    let words = move || {
        wrong
            .with(|wrong| wrong.as_ref().map(|(_, words)| words.clone()))
            .or_else(|| {
                let is_other = !typing.is_applied() && !typing.text.with(|text| text.trim().is_empty());
                is_other.then(|| "Enter searches for this.".to_owned())
            })
    };
    let field = view! {
        <div class="query" class:wrong=is_wrong>
            <input
                node_ref=typing.input
                class="query-text"
                data-search=""
                data-query=""
                type="text"
                spellcheck="false"
                autocomplete="off"
                autocapitalize="off"
                placeholder="{ handler = checkout && duration > 5ms }"
                role="combobox"
                aria-label="Query"
                aria-autocomplete="list"
                aria-controls="offers"
                aria-describedby="query-words"
                aria-expanded=move || typing.offers.with(Option::is_some).to_string()
                aria-activedescendant=move || typing.at.get().map(|at| format!("offer-{at}"))
                aria-invalid=move || is_wrong().to_string()
                prop:value=move || typing.text.get()
                on:input=move |event| {
                    typing.text.set(event_target_value(&event));
                    typing.offer();
                }
                on:keydown=move |event| typing.key(&event)
                on:blur=move |_| typing.close()
                on:scroll=move |_| typing.scroll.set(typing.input.get_untracked().map_or(0, |input| input.scroll_left()))
            />
            {move || wrong.get().map(|(at, _)| typing.underline(at))}
            <div class="offers" id="offers" role="listbox" aria-label="What may come next" hidden=move || typing.offers.with(Option::is_none)>
                {move || typing.listed()}
            </div>
        </div>
        <button class="btn" data-action="search" on:click=move |_| typing.apply()>"Search"</button>
    }
    .into_any();
    let said = view! { <p class="query-words small" class:wrong=is_wrong id="query-words" role="status">{words}</p> };
    (field, said.into_any())
}

impl Typing {
    fn names(self) -> Names {
        let live = self.live;
        let mut names = Names {
            handlers: live.handlers.with_untracked(|list| {
                list.ready()
                    .into_iter()
                    .flatten()
                    .map(|handler| handler.name.to_string())
                    .collect()
            }),
            nodes: live.nodes.with_untracked(|list| {
                list.ready()
                    .into_iter()
                    .flatten()
                    .map(|node| node.name.to_string())
                    .collect()
            }),
            ..Names::default()
        };
        self.traces.facets.with_untracked(|facets| {
            let Some(facets) = facets else { return };
            for (to, facet) in [
                (&mut names.handlers, &facets.handlers),
                (&mut names.nodes, &facets.nodes),
                (&mut names.edges, &facets.edges),
                (&mut names.requests, &facets.names),
            ] {
                for value in &facet.values {
                    if !to.contains(&value.value) {
                        to.push(value.value.clone());
                    }
                }
            }
        });
        names
    }

    /// Whether what stands in the field is what is searched for.
    fn is_applied(self) -> bool {
        let said = self.traces.query.with(|query| Said::of(query.q.as_deref()));
        self.text.with(|text| text.trim() == said.typed)
    }

    fn caret(self, input: &HtmlInputElement) -> usize {
        let units = input.selection_start().ok().flatten().unwrap_or(u32::MAX);
        self.text.with_untracked(|text| byte_of(text, units as usize))
    }

    /// Shows what may come next.
    fn offer(self) {
        let Some(input) = self.input.get_untracked() else {
            return;
        };
        let caret = self.caret(&input);
        let completion = self
            .text
            .with_untracked(|text| complete(text, caret, &self.names()));
        self.at.set(None);
        self.offers
            .set((!completion.offers.is_empty()).then_some(completion));
    }

    fn close(self) {
        self.at.set(None);
        self.offers.set(None);
    }

    fn apply(self) {
        self.close();
        let mut query = self.traces.query.get_untracked();
        let mut said = Said::of(query.q.as_deref());
        self.text
            .with_untracked(|text| text.trim().clone_into(&mut said.typed));
        query.q = said.query();
        self.traces.search(query);
    }

    /// Writes an offer into the text.
    fn take(self, which: usize) {
        let (Some(completion), Some(input)) = (self.offers.get_untracked(), self.input.get_untracked())
        else {
            return;
        };
        let Some(offer) = completion.offers.get(which) else {
            return;
        };
        let (text, caret) = self.text.with_untracked(|text| accept(text, &completion, offer));
        let units = units_of(&text, caret) as u32;
        input.set_value(&text);
        self.text.set(text);
        // Fails only for fields without a caret.
        let _ = input.set_selection_range(units, units);
        self.offer();
    }

    fn key(self, event: &KeyboardEvent) {
        let count = self
            .offers
            .with_untracked(|offers| offers.as_ref().map_or(0, |offers| offers.offers.len()));
        let at = self.at.get_untracked();
        match (event.key().as_str(), at) {
            (" ", _) if event.ctrl_key() => self.offer(),
            ("ArrowDown", _) if count == 0 => self.offer(),
            ("ArrowDown", None) => self.at.set(Some(0)),
            ("ArrowDown", Some(at)) => self.at.set(Some((at + 1) % count)),
            ("ArrowUp", _) if count == 0 => return,
            ("ArrowUp", at) => self.at.set(Some((at.unwrap_or(0) + count - 1) % count)),
            ("Enter" | "Tab", Some(at)) => self.take(at),
            ("Enter", None) => self.apply(),
            ("Escape", _) if count > 0 => self.close(),
            _ => return,
        }
        event.prevent_default();
    }

    /// The offers as entries of a list; the field keeps the focus.
    fn listed(self) -> AnyView {
        let offers = self.offers.get().map(|offers| offers.offers).unwrap_or_default();
        let entry = |(which, offer): (usize, completion::Offer)| {
            view! {
                <div
                    class="offer"
                    id=format!("offer-{which}")
                    role="option"
                    data-offer=offer.text.trim().to_owned()
                    aria-selected=move || (self.at.get() == Some(which)).to_string()
                    on:pointerdown=move |event| {
                        event.prevent_default();
                        self.take(which);
                    }
                >
                    <code>{offer.text.trim().to_owned()}</code>
                    <span class="small soft">{offer.about}</span>
                </div>
            }
        };
        offers
            .into_iter()
            .enumerate()
            .map(entry)
            .collect_view()
            .into_any()
    }

    /// Marks the place of a fault, under the text of the field.
    fn underline(self, at: usize) -> AnyView {
        let (before, marked) = self.text.with_untracked(|text| {
            let (before, rest) = text.split_at_checked(at).unwrap_or((text, ""));
            let word: String = rest.chars().take_while(|char| !char.is_whitespace()).collect();
            (
                before.to_owned(),
                if word.is_empty() {
                    "\u{a0}\u{a0}".to_owned()
                } else {
                    word
                },
            )
        });
        let shift = move || format!("translateX({}px)", -self.scroll.get());
        view! {
            <div class="query-mirror" aria-hidden="true">
                <span class="query-shift" style:transform=shift><span class="query-before">{before}</span><u>{marked}</u></span>
            </div>
        }
        .into_any()
    }
}
