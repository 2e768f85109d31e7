//! The filters of the list of traces; the address holds them.

use leptos::prelude::*;
use protocol::HandlerName;
use protocol::api::traces::{TraceQuery, TraceSummary};

use crate::app::live::live;
use crate::app::navigation::navigation;
use crate::route::Route;

/// The bar above the list.
pub fn bar(query: Memo<TraceQuery>) -> AnyView {
    let live = live();
    let navigation = navigation();
    let change = move |edit: &dyn Fn(&mut TraceQuery)| {
        let mut query = query.get_untracked();
        edit(&mut query);
        navigation.replace(&Route::Traces(query));
    };
    let names = move || {
        live.handlers.with(|list| {
            list.ready()
                .map(|list| {
                    list.iter()
                        .map(|handler| handler.name.to_string())
                        .collect::<Vec<_>>()
                })
                .unwrap_or_default()
        })
    };
    let chosen = move || {
        query.with(|query| {
            query
                .handler
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default()
        })
    };
    let options = move || {
        let chosen = chosen();
        names()
            .into_iter()
            .map(|name| view! { <option value=name.clone() selected=name == chosen>{name.clone()}</option> })
            .collect_view()
    };
    let status = |value: Option<&'static str>, word: &'static str| {
        let pressed = move || query.with(|query| query.status.as_deref() == value).to_string();
        view! {
            <button aria-pressed=pressed on:click=move |_| change(&|query| query.status = value.map(str::to_owned))>{word}</button>
        }
    };
    view! {
        <div class="filters" role="search" aria-label="Filter traces">
            <label>
                <span class="soft small">"handler"</span>
                <select
                    data-search=""
                    data-filter="handler"
                    on:change:target=move |event| {
                        let name = HandlerName::parse(&event.target().value()).ok();
                        change(&|query| query.handler.clone_from(&name));
                    }
                >
                    <option value="" selected=move || chosen().is_empty()>"any"</option>
                    {options}
                </select>
            </label>
            <label>
                <span class="soft small">"at least"</span>
                <input
                    type="number"
                    min="0"
                    step="1"
                    inputmode="numeric"
                    placeholder="0"
                    data-filter="min_ms"
                    prop:value=move || query.with(|query| query.min_ms.map(|ms| ms.to_string()).unwrap_or_default())
                    on:change:target=move |event| {
                        let ms = event.target().value().parse().ok().filter(|ms| *ms > 0);
                        change(&|query| query.min_ms = ms);
                    }
                />
                <span class="soft small">"ms"</span>
            </label>
            <div class="seg quiet" role="group" aria-label="status">
                {status(None, "All")}
                {status(Some("ok"), "Ok")}
                {status(Some("error"), "Failed")}
            </div>
            {move || query.with(|query| query.edge.clone()).map(|edge| view! {
                <button class="chip closable" title="Show all edges" on:click=move |_| change(&|query| query.edge = None)>
                    {edge} <span aria-hidden="true">" ×"</span>
                </button>
            })}
        </div>
    }
    .into_any()
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
