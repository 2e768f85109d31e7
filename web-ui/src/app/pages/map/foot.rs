//! Below the map: the newest traces, what is wrong, and what happened.

use leptos::prelude::*;
use protocol::api::Page;
use protocol::api::traces::{TraceQuery, TraceSummary};

use super::View;
use crate::app::live::{Live, Remote, keep};
use crate::app::pages::traces::summary_row;
use crate::app::parts::faces;
use crate::app::{api, shell};
use crate::finding::Ailment;
use crate::map::past;
use crate::route::Route;

/// The traces that the map shows below itself.
const RECENT: usize = 6;
/// The events that it shows.
const EVENTS: usize = 6;

/// What happened to nodes and placement, the newest first.
pub fn events(view: View) -> AnyView {
    let list = move || {
        let until = view.at.get().unwrap_or(u64::MAX);
        view.history.with(|history| {
            let Some(history) = history.ready() else {
                return Vec::new();
            };
            let nodes = history.events.iter().map(|event| {
                (
                    event.unix_ms,
                    past::event_words(event),
                    event.change == protocol::api::history::NodeChange::Down,
                )
            });
            let placed = history
                .places
                .iter()
                .map(|placed| (placed.unix_ms, format!("placement: {}", placed.placement), false));
            let mut all: Vec<_> = nodes.chain(placed).filter(|(at, ..)| *at <= until).collect();
            all.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
            all.truncate(EVENTS);
            all
        })
    };
    let rows = move || {
        list()
            .into_iter()
            .map(|(at, words, bad)| {
                view! { <li class:bad=bad><span class="num faint">{shell::time_of_day(at)}</span><span>{words}</span></li> }
            })
            .collect_view()
    };
    view! {
        <section class="card happened">
            <h2>"What happened"</h2>
            <ol class="event-list small" aria-live="polite">{rows}</ol>
        </section>
    }
    .into_any()
}

/// What is wrong, in sentences; or that nothing is.
pub fn trouble(live: Live, ailments: Memo<Vec<Ailment>>) -> AnyView {
    let cards = move || {
        let all = ailments.get();
        if all.is_empty() {
            return quiet(live);
        }
        all.into_iter()
            .map(|ailment| {
                let failed = Route::Traces(TraceQuery {
                    handler: Some(ailment.handler.clone()),
                    status: Some("error".to_owned()),
                    ..TraceQuery::default()
                });
                let name = ailment.handler.clone();
                let traces = ailment.bad.then(|| view! { <a class="btn small" href=failed.path()>"Failed traces"</a> });
                view! {
                    <div class="ailment" data-ailment=name.to_string()>
                        <h2 class=if ailment.bad { "bad" } else { "warn" }>{ailment.title}</h2>
                        <p class="small soft">{ailment.sentence}</p>
                        <p class="buttons">{traces}<a class="btn small" href=Route::Handler(name.clone()).path()>"Handler"</a></p>
                    </div>
                }
            })
            .collect_view()
            .into_any()
    };
    view! { <section class="card" aria-live="polite">{cards}</section> }.into_any()
}

/// Well only where something was looked at.
fn quiet(live: Live) -> AnyView {
    let handlers = live.handlers.with(|list| list.ready().map(Vec::len));
    let (title, words) = match handlers {
        None => ("Looking", "Handlers, nodes and calls are being read."),
        Some(0) => (
            "Nothing to watch yet",
            "What is wrong with a handler is said here, in a sentence.",
        ),
        Some(_) => (
            "All is well",
            "Every handler serves, no node is down, no call failed in the last 10 s.",
        ),
    };
    view! { <h2>{title}</h2><p class="small soft">{words}</p> }.into_any()
}

pub fn recent(live: Live) -> AnyView {
    let list: RwSignal<Remote<Vec<TraceSummary>>> = RwSignal::new(Remote::Loading);
    let read = move || {
        leptos::task::spawn_local(async move {
            let page = api::get::<Page<TraceSummary>>("traces?limit=6").await;
            keep(list, page.map(|page| page.items));
        });
    };
    Effect::new(move |_| {
        live.recoveries.track();
        read();
    });
    Effect::new(move |_| {
        let fresh = live.fresh.get();
        list.update(|list| {
            let Remote::Ready(list) = list else { return };
            for trace in fresh {
                if !list.iter().any(|known| known.trace_id == trace.trace_id) {
                    list.insert(0, trace);
                }
            }
            list.truncate(RECENT);
        });
    });
    let longest = Memo::new(move |_| {
        list.with(|list| {
            list.ready()
                .and_then(|list| list.iter().map(|trace| trace.duration_ns).max())
                .unwrap_or(1)
        })
    });
    let empty = || {
        faces::empty(
            "No trace yet",
            "Open a page of the shop: each request becomes a trace.",
            "",
        )
    };
    let rows = move || {
        let keys = move || {
            list.with(|list| {
                list.ready()
                    .map(|list| list.iter().map(|trace| trace.trace_id).collect::<Vec<_>>())
                    .unwrap_or_default()
            })
        };
        let row = move |id| {
            let trace = list.with_untracked(|list| {
                list.ready()
                    .and_then(|list| list.iter().find(|trace| trace.trace_id == id))
                    .cloned()
            });
            trace.map_or_else(|| ().into_any(), |trace| summary_row(&trace, longest))
        };
        view! { <table class="rows compact"><tbody><For each=keys key=|id| *id children=row /></tbody></table> }.into_any()
    };
    view! {
        <section class="card recent">
            <div class="card-head"><h2>"Newest traces"</h2><a class="small" href="/traces">"all"</a></div>
            {faces::list(list, read, empty, rows)}
        </section>
    }
    .into_any()
}
