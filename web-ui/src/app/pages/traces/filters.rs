//! The filters of the list of traces; the address holds them.

use leptos::prelude::*;
use protocol::HandlerName;
use protocol::api::traces::{TraceQuery, TraceSummary};

use crate::app::live::{Live, live};
use crate::app::navigation::{Navigation, navigation};
use crate::route::Route;

/// The bar above the list.
pub fn bar(query: Memo<TraceQuery>) -> AnyView {
    let filters = Filters {
        query,
        navigation: navigation(),
    };
    let edge = move || {
        query.with(|query| query.edge.clone()).map(|edge| view! {
            <button class="chip closable" title="Show all edges" on:click=move |_| filters.change(&|query| query.edge = None)>
                {edge} <span aria-hidden="true">" ×"</span>
            </button>
        })
    };
    view! {
        <div class="filters" role="search" aria-label="Filter traces">
            {filters.handler(live())}
            {filters.least()}
            <div class="seg quiet" role="group" aria-label="status">
                {filters.status(None, "All")}
                {filters.status(Some("ok"), "Ok")}
                {filters.status(Some("error"), "Failed")}
            </div>
            {edge}
        </div>
    }
    .into_any()
}

/// What the address says, and how it is changed.
#[derive(Clone, Copy)]
struct Filters {
    query: Memo<TraceQuery>,
    navigation: Navigation,
}

impl Filters {
    fn change(self, edit: &dyn Fn(&mut TraceQuery)) {
        let mut query = self.query.get_untracked();
        edit(&mut query);
        self.navigation.replace(&Route::Traces(query));
    }

    fn handler(self, live: Live) -> AnyView {
        let chosen = move || {
            self.query.with(|query| {
                query
                    .handler
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default()
            })
        };
        let options = move || {
            let chosen = chosen();
            let names = live.handlers.with(|list| {
                let handlers = list.ready().map_or(&[][..], Vec::as_slice);
                handlers
                    .iter()
                    .map(|handler| handler.name.to_string())
                    .collect::<Vec<_>>()
            });
            names
                .into_iter()
                .map(|name| view! { <option value=name.clone() selected=name == chosen>{name.clone()}</option> })
                .collect_view()
        };
        view! {
            <label>
                <span class="soft small">"handler"</span>
                <select
                    data-search=""
                    data-filter="handler"
                    on:change:target=move |event| {
                        let name = HandlerName::parse(&event.target().value()).ok();
                        self.change(&|query| query.handler.clone_from(&name));
                    }
                >
                    <option value="" selected=move || chosen().is_empty()>"any"</option>
                    {options}
                </select>
            </label>
        }
        .into_any()
    }

    fn least(self) -> AnyView {
        let value = move || {
            self.query
                .with(|query| query.min_ms.map(|ms| ms.to_string()).unwrap_or_default())
        };
        view! {
            <label>
                <span class="soft small">"at least"</span>
                <input
                    type="number"
                    min="0"
                    step="1"
                    inputmode="numeric"
                    placeholder="0"
                    data-filter="min_ms"
                    prop:value=value
                    on:change:target=move |event| {
                        let ms = event.target().value().parse().ok().filter(|ms| *ms > 0);
                        self.change(&|query| query.min_ms = ms);
                    }
                />
                <span class="soft small">"ms"</span>
            </label>
        }
        .into_any()
    }

    fn status(self, value: Option<&'static str>, word: &'static str) -> AnyView {
        let pressed = move || {
            self.query
                .with(|query| query.status.as_deref() == value)
                .to_string()
        };
        let press = move |_| self.change(&|query| query.status = value.map(str::to_owned));
        view! { <button aria-pressed=pressed on:click=press>{word}</button> }.into_any()
    }
}

/// Whether a trace fits, as far as its summary tells.
pub fn fits(query: &TraceQuery, trace: &TraceSummary) -> bool {
    let failed = trace.error.is_some() || trace.errors > 0;
    query
        .handler
        .as_ref()
        .is_none_or(|name| trace.handlers.contains(name))
        && query.min_ms.is_none_or(|ms| trace.duration_ns >= ms * 1_000_000)
        && match query.status.as_deref() {
            Some("ok") => !failed,
            Some("error") => failed,
            _ => true,
        }
}
