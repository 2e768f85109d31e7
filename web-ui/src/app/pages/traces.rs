//! Traces: the newest first, live, filtered by what the address says.
//!
//! Promises: the address holds the filters, so that a list can be shared; while paused nothing moves, and what came
//! meanwhile is counted.

mod filters;

use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::TraceId;
use protocol::api::Page;
use protocol::api::traces::{TraceQuery, TraceSummary};

use crate::app::live::{Live, Remote, keep, live};
use crate::app::navigation::navigation;
use crate::app::parts::{faces, tags};
use crate::app::{api, shell};
use crate::format;
use crate::route::{Route, trace_parameters, with_query};

/// Rows that a list keeps while it is live; older ones are a page away.
const KEPT: usize = 500;

/// What the page holds.
#[derive(Clone, Copy)]
struct Traces {
    query: Memo<TraceQuery>,
    list: RwSignal<Remote<Vec<TraceSummary>>>,
    next: RwSignal<Option<String>>,
    paused: RwSignal<bool>,
    missed: RwSignal<usize>,
}

/// The page.
pub fn page() -> AnyView {
    shell::title("Traces");
    let live = live();
    let navigation = navigation();
    let traces = Traces {
        query: Memo::new(move |_| match navigation.route.get() {
            Route::Traces(query) => query,
            _ => TraceQuery::default(),
        }),
        list: RwSignal::new(Remote::Loading),
        next: RwSignal::new(None),
        paused: RwSignal::new(false),
        missed: RwSignal::new(0),
    };
    Effect::new(move |before: Option<TraceQuery>| {
        let query = traces.query.get();
        live.recoveries.track();
        if before.is_some_and(|before| before != query) {
            traces.list.set(Remote::Loading);
        }
        traces.read();
        query
    });
    Effect::new(move |_| {
        let fresh = live.fresh.get();
        traces.take(fresh);
    });
    let longest = Memo::new(move |_| {
        traces.list.with(|list| {
            list.ready()
                .and_then(|list| list.iter().map(|trace| trace.duration_ns).max())
                .unwrap_or(1)
        })
    });
    let empty = move || {
        if traces.query.get_untracked() == TraceQuery::default() {
            faces::empty(
                "No trace yet",
                "Every request to the shop becomes a trace. Open a page of it, or call a function by hand.",
                "cleave call shop:catalog/catalog list-products",
            )
        } else {
            faces::empty(
                "No trace fits these filters",
                "Widen them, or wait: the list is live.",
                "",
            )
        }
    };
    view! {
        {tags::head(move || headline(traces), move || sampling(live), pause(traces))}
        {filters::bar(traces.query)}
        <section class="card flush">
            {faces::list(traces.list, move || traces.read(), empty, move || table(traces, longest))}
            {move || traces.next.get().map(|_| view! {
                <p class="more"><button class="btn" data-action="older" on:click=move |_| traces.older()>"Older traces"</button></p>
            })}
        </section>
    }
    .into_any()
}

fn headline(traces: Traces) -> String {
    let (all, failed) = traces.list.with(|list| {
        list.ready().map_or((0, 0), |list| {
            (
                list.len() as u64,
                list.iter().filter(|trace| trace.error.is_some()).count() as u64,
            )
        })
    });
    match (all, failed) {
        (0, _) => "Traces".to_owned(),
        (all, 0) => format!("{}, none failed", format::plural(all, "trace", "traces")),
        (all, failed) => format!("{failed} of {} failed", format::plural(all, "trace", "traces")),
    }
}

fn sampling(live: Live) -> Option<String> {
    live.status.with(|status| {
        let status = status.as_ref()?;
        Some(format!(
            "sampling {} · {} recorded, {} dropped · {} kept",
            status.sampling,
            format::plural(status.spans.recorded, "span", "spans"),
            format::count(status.spans.dropped),
            format::bytes(status.spans.stored_bytes)
        ))
    })
}

fn pause(traces: Traces) -> AnyView {
    let press = move |_| {
        traces.paused.update(|paused| *paused = !*paused);
        if !traces.paused.get_untracked() {
            traces.missed.set(0);
            traces.read();
        }
    };
    view! {
        <button class="btn live-button" data-action="pause" aria-pressed=move || traces.paused.get().to_string() on:click=press>
            <i class="live-dot" aria-hidden="true"></i>
            {move || match (traces.paused.get(), traces.missed.get()) {
                (false, _) => "Live".to_owned(),
                (true, 0) => "Paused".to_owned(),
                (true, missed) => format!("Paused, {} new", format::count(missed as u64)),
            }}
        </button>
    }
    .into_any()
}

impl Traces {
    fn path(self, before: Option<String>) -> String {
        let mut query = self.query.get_untracked();
        query.before = before;
        with_query("traces", &trace_parameters(&query))
    }

    fn read(self) {
        let query = self.query.get_untracked();
        let path = self.path(None);
        spawn_local(async move {
            let page = api::get::<Page<TraceSummary>>(&path).await;
            // The filters may have changed meanwhile, or the user has left.
            if self.query.try_get_untracked().as_ref() != Some(&query) {
                return;
            }
            self.next
                .set(page.as_ref().ok().and_then(|page| page.next.clone()));
            keep(self.list, page.map(|page| page.items));
        });
    }

    /// Reading on is looking back, so the list stands still.
    fn older(self) {
        self.paused.set(true);
        let path = self.path(self.next.get_untracked());
        spawn_local(async move {
            if let Ok(page) = api::get::<Page<TraceSummary>>(&path).await {
                self.next.set(page.next);
                self.list.update(|list| {
                    if let Remote::Ready(list) = list {
                        list.extend(page.items);
                    }
                });
            }
        });
    }

    /// Puts traces that just ended on top.
    fn take(self, fresh: Vec<TraceSummary>) {
        let query = self.query.get_untracked();
        let fresh: Vec<TraceSummary> = fresh
            .into_iter()
            .filter(|trace| filters::fits(&query, trace))
            .collect();
        if fresh.is_empty() || self.list.with_untracked(|list| list.ready().is_none()) {
            return;
        }
        if self.paused.get_untracked() {
            self.missed.update(|missed| *missed += fresh.len());
            return;
        }
        if query.edge.is_some() {
            // A summary does not say which edges it used; the server knows.
            self.read();
            return;
        }
        let length = self.list.with_untracked(|list| list.ready().map_or(0, Vec::len));
        if length + fresh.len() > KEPT {
            // The first page again, with a cursor that fits it.
            self.read();
            return;
        }
        self.list.update(|list| {
            let Remote::Ready(list) = list else { return };
            let known: Vec<TraceId> = list.iter().map(|trace| trace.trace_id).collect();
            for trace in fresh {
                if !known.contains(&trace.trace_id) {
                    list.insert(0, trace);
                }
            }
        });
    }
}

fn table(traces: Traces, longest: Memo<u64>) -> AnyView {
    let keys = move || {
        traces.list.with(|list| {
            list.ready()
                .map(|list| list.iter().map(|trace| trace.trace_id).collect::<Vec<_>>())
                .unwrap_or_default()
        })
    };
    view! {
        <table class="rows traces">
            <thead>
                <tr>
                    <th class="when">"ended"</th>
                    <th>"trace"</th>
                    <th class="num">"took"</th>
                    <th class="wide length"></th>
                    <th class="num wide">"spans"</th>
                    <th class="num wide">"nodes"</th>
                    <th class="wide">"placement"</th>
                    <th class="wide">"handlers"</th>
                </tr>
            </thead>
            <tbody>
                <For each=keys key=|id| *id children=move |id| row(traces, id, longest) />
            </tbody>
        </table>
    }
    .into_any()
}

fn row(traces: Traces, id: TraceId, longest: Memo<u64>) -> AnyView {
    let trace = traces.list.with_untracked(|list| {
        list.ready()
            .and_then(|list| list.iter().find(|trace| trace.trace_id == id))
            .cloned()
    });
    trace.map_or_else(|| ().into_any(), |trace| summary_row(&trace, longest))
}

/// A trace as a row of a table.
pub fn summary_row(trace: &TraceSummary, longest: Memo<u64>) -> AnyView {
    let length = trace.duration_ns;
    let width = move || {
        format!(
            "{:.2}%",
            (length as f64 / longest.get().max(1) as f64 * 100.0).clamp(0.6, 100.0)
        )
    };
    let ended = (trace.start_unix_ns + trace.duration_ns) / 1_000_000;
    let failed = trace.error.is_some();
    let handlers: Vec<_> = trace
        .handlers
        .iter()
        .filter(|name| !name.is_reserved())
        .map(|name| {
            let hue = live().hue(name.clone());
            view! { <i class=move || format!("dot {}", hue()) title=name.to_string()></i> }
        })
        .collect();
    view! {
        <tr class:failing=failed data-trace=trace.trace_id.to_string()>
            <td class="num-left faint when">{shell::time_of_day(ended)}</td>
            <td>
                <a class="row-link" data-row="" href=Route::Trace(trace.trace_id, None).path()>
                    <span>{trace.name.clone()}</span>
                </a>
                {trace.error.clone().map(|error| view! { <p class="small trouble">{error}</p> })}
            </td>
            <td class="num" class:bad=failed>{format::duration(length)}</td>
            <td class="wide length"><span class="length-bar" style:width=width></span></td>
            <td class="num wide">{trace.spans}</td>
            <td class="num wide">{trace.nodes}</td>
            <td class="wide"><span class=format!("placement placement-{}", trace.placement)>{trace.placement.clone()}</span></td>
            <td class="wide"><span class="dots" role="img" aria-label=names(trace)>{handlers}</span></td>
        </tr>
    }
    .into_any()
}

fn names(trace: &TraceSummary) -> String {
    let names: Vec<&str> = trace.handlers.iter().map(|name| name.as_str()).collect();
    format::list(&names)
}
