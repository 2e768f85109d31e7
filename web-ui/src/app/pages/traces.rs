//! Traces: searched, seen as a map of latency over time, counted by what they have in common, and listed, live.
//!
//! Promises: the address holds the search, so that it can be shared, and the browser's back button undoes a selection;
//! while the list is paused nothing moves, and what came meanwhile is counted; nothing on the page changes its place
//! because something else arrives. Not here: what a filter means (`filters.rs`), the map's maths (`heat.rs`).

mod chips;
mod chosen;
mod facets;
mod heat;
mod list;
mod pictures;
mod query_box;
mod row;
mod saved;
mod tail;

use std::sync::Arc;

use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::TraceId;
use protocol::api::facets::Facets;
use protocol::api::heat::Heat;
use protocol::api::traces::{TracePage, TraceQuery, TraceSummary};

use crate::app::live::{Live, Remote, keep, live};
use crate::app::navigation::{Navigation, navigation};
use crate::app::parts::{faces, tags};
use crate::app::{api, shell};
use crate::filters::{Fit, Here, fits};
use crate::format;
use crate::route::{Route, trace_parameters, with_query};

use self::chosen::Chosen;
pub use self::row::summary_row;
use self::tail::Pause;

/// Traces of a page.
const PAGE: u32 = 100;
/// Rows that a list keeps while it is live, and at all; beyond, the search has to be narrowed.
const LIVE_MAX: usize = 2_000;
const ROWS_MAX: usize = 20_000;
/// A search that finds little is gone on with so often before it asks whether it should.
const ROUNDS: u32 = 8;
/// Rows after which a search has found enough to be shown.
const ENOUGH: usize = 30;

/// What the page holds.
#[derive(Clone, Copy)]
pub struct Traces {
    pub query: Memo<TraceQuery>,
    pub list: RwSignal<Remote<Vec<TraceSummary>>>,
    pub next: RwSignal<Option<String>>,
    /// Where a search that has not read everything stands, in ms since the epoch.
    pub searched: RwSignal<Option<u64>>,
    pub is_reading: RwSignal<bool>,
    pub paused: RwSignal<Option<Pause>>,
    pub missed: RwSignal<usize>,
    pub heat: RwSignal<Option<Arc<Heat>>>,
    pub facets: RwSignal<Option<Arc<Facets>>>,
    /// The search that the map and the counts are of.
    pub pictured: RwSignal<Option<TraceQuery>>,
    pub chosen: RwSignal<Vec<Chosen>>,
    navigation: Navigation,
    /// Counts searches; an answer to an earlier one is none.
    turn: StoredValue<u32>,
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
        searched: RwSignal::new(None),
        is_reading: RwSignal::new(false),
        paused: RwSignal::new(None),
        missed: RwSignal::new(0),
        heat: RwSignal::new(None),
        facets: RwSignal::new(None),
        pictured: RwSignal::new(None),
        chosen: RwSignal::new(Vec::new()),
        navigation,
        turn: StoredValue::new(0),
    };
    Effect::new(move |before: Option<TraceQuery>| {
        let query = traces.query.get();
        live.recoveries.track();
        if before.is_some_and(|before| before != query) {
            traces.list.set(Remote::Loading);
            traces.next.set(None);
            traces.searched.set(None);
            traces.missed.set(0);
            // Who stood further down begins at the top of what is found now.
            traces
                .paused
                .update(|paused| *paused = paused.filter(|why| *why == Pause::ByHand));
        }
        traces.read();
        query
    });
    let refresh = pictures::follow(traces);
    tail::follow(traces, refresh);
    let (field, said) = query_box::view(traces);
    view! {
        {tags::head(move || headline(traces), move || sampling(live), tail::button(traces))}
        <div class="query-bar">
            {field}
            {saved::view(traces)}
        </div>
        {chips::view(traces, said)}
        {heat::view(traces)}
        <div class="found">
            {facets::view(traces)}
            <section class="card flush found-list" aria-label="Traces">
                {chosen::head(traces)}
                {listed(traces)}
            </section>
        </div>
    }
    .into_any()
}

/// The list with its faces; a query that cannot be read says so where it is typed.
fn listed(traces: Traces) -> AnyView {
    let is_unread = Memo::new(move |_| query_box::fault(traces).is_some());
    let empty = move || {
        if traces.query.get_untracked() == TraceQuery::default() {
            faces::empty(
                "No trace yet",
                "Every request to the shop becomes a trace. Open a page of it, or call a function by hand.",
                "cleave call shop:catalog/catalog list-products",
            )
        } else {
            faces::empty(
                "No trace fits this search",
                "Take a filter off, or wait: the list is live.",
                "",
            )
        }
    };
    (move || match is_unread.get() {
        true => faces::empty(
            "Nothing is searched",
            "The query above cannot be read yet; the place is marked.",
            "",
        ),
        false => faces::list(
            traces.list,
            move || traces.read(),
            empty,
            move || list::view(traces),
        ),
    })
    .into_any()
}

fn headline(traces: Traces) -> String {
    traces.heat.with(|heat| match heat.as_deref() {
        None => "Traces".to_owned(),
        Some(heat) => {
            let all = format::plural(heat.traces, "trace", "traces");
            match (heat.traces, heat.failed) {
                (0, _) => "No trace".to_owned(),
                (_, 0) => format!("{all}, none failed"),
                (count, failed) if count == failed => format!("{all}, all failed"),
                (_, failed) => format!("{} of {all} failed", format::count(failed)),
            }
        }
    })
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

/// Where and when this browser is.
pub fn here() -> Here {
    let now = js_sys::Date::new_0();
    Here {
        now_ms: now.get_time() as u64,
        offset_min: -(now.get_timezone_offset() as i64),
    }
}

impl Traces {
    /// Whether the map and the counts are still those of the search before.
    fn is_picturing(self) -> bool {
        let query = self.query.get();
        self.pictured.with(|of| of.as_ref() != Some(&query))
    }

    /// Searches for something else; the back button returns.
    pub fn search(self, query: TraceQuery) {
        self.navigation.push(&Route::Traces(query));
    }

    /// Reads the newest of what is searched for.
    pub fn read(self) {
        self.turn.update_value(|turn| *turn = turn.wrapping_add(1));
        self.go_on(None);
    }

    /// Reading on is looking back, so the list stands still.
    pub fn older(self) {
        let next = self.next.get_untracked();
        let count = self.list.with_untracked(|list| list.ready().map_or(0, Vec::len));
        if next.is_none() || self.is_reading.get_untracked() || count >= ROWS_MAX {
            return;
        }
        self.paused
            .update(|paused| *paused = paused.or(Some(Pause::Scrolled)));
        self.go_on(next);
    }

    /// Reads from a page on, until enough is found or the search has taken long.
    fn go_on(self, mut before: Option<String>) {
        let query = self.query.get_untracked();
        let turn = self.turn.get_value();
        self.is_reading.set(true);
        spawn_local(async move {
            let mut found = 0;
            for round in 0..ROUNDS {
                let answer = page_of(&query, before.clone()).await;
                // Something else may be searched for meanwhile, or the page be gone.
                if self.turn.try_get_value() != Some(turn) {
                    return;
                }
                let is_first = round == 0 && before.is_none();
                let Ok(page) = answer else {
                    keep(self.list, answer.map(|page| page.items));
                    break;
                };
                found += page.items.len();
                self.searched
                    .set(page.searched_to_unix_ns.map(|ns| ns / 1_000_000));
                self.next.set(page.next.clone());
                let is_short = page.searched_to_unix_ns.is_some() && found < ENOUGH;
                self.put(page.items, is_first, is_short);
                match page.next.filter(|_| is_short) {
                    Some(next) => before = Some(next),
                    None => break,
                }
            }
            self.is_reading.set(false);
            // A search that stops without a find says that, rather than going on to look as if it loaded.
            if self.list.with_untracked(|list| matches!(list, Remote::Loading)) {
                self.list.set(Remote::Ready(Vec::new()));
            }
        });
    }

    /// Adds a page, or begins with it. While nothing is found and the search goes on, there is nothing to show.
    fn put(self, items: Vec<TraceSummary>, is_first: bool, goes_on: bool) {
        if is_first && items.is_empty() && goes_on {
            return;
        }
        self.list.update(|list| match list {
            Remote::Ready(known) if !is_first => {
                let last = known.len().saturating_sub(PAGE as usize);
                let fresh =
                    |trace: &TraceSummary| !known[last..].iter().any(|one| one.trace_id == trace.trace_id);
                let fresh: Vec<TraceSummary> = items.into_iter().filter(fresh).collect();
                known.extend(fresh);
            }
            _ => *list = Remote::Ready(items),
        });
    }

    /// Puts traces that just ended on top; those that the list has are brought up to date. Whether some of them only
    /// the server can tell to fit.
    fn take(self, fresh: &[TraceSummary]) -> bool {
        let query = self.query.get_untracked();
        let fit: Vec<(Fit, &TraceSummary)> = fresh
            .iter()
            .map(|trace| (fits(&query, trace), trace))
            .filter(|(fit, _)| *fit != Fit::No)
            .collect();
        if fit.is_empty() || self.list.with_untracked(|list| list.ready().is_none()) {
            return false;
        }
        if self.paused.get_untracked().is_some() {
            let known = |id: TraceId| {
                self.list.with_untracked(|list| {
                    list.ready()
                        .is_some_and(|list| list.iter().any(|one| one.trace_id == id))
                })
            };
            let new = fit.iter().filter(|(_, trace)| !known(trace.trace_id)).count();
            self.missed.update(|missed| *missed += new);
            return false;
        }
        let sure = fit
            .iter()
            .filter(|(fit, _)| *fit == Fit::Yes)
            .map(|(_, trace)| *trace);
        self.merge(sure.cloned().collect());
        fit.iter().any(|(fit, _)| *fit == Fit::Perhaps)
    }

    /// Puts traces on top, the oldest of them first.
    fn merge(self, fresh: Vec<TraceSummary>) {
        if fresh.is_empty() {
            return;
        }
        let count = self.list.with_untracked(|list| list.ready().map_or(0, Vec::len));
        if count + fresh.len() > LIVE_MAX {
            // The first page again, with a cursor that fits it.
            self.read();
            return;
        }
        self.list.update(|list| {
            let Remote::Ready(list) = list else { return };
            for trace in fresh {
                match list.iter_mut().find(|known| known.trace_id == trace.trace_id) {
                    Some(known) => *known = trace,
                    None => list.insert(0, trace),
                }
            }
        });
    }

    /// Asks the server which of the newest fit.
    fn ask_newest(self) {
        let query = self.query.get_untracked();
        let turn = self.turn.get_value();
        spawn_local(async move {
            let Ok(page) = page_of(&query, None).await else {
                return;
            };
            let is_still = self.turn.try_get_value() == Some(turn) && self.paused.get_untracked().is_none();
            if is_still && self.list.with_untracked(|list| list.ready().is_some()) {
                let known = |trace: &TraceSummary| {
                    let id = trace.trace_id;
                    self.list.with_untracked(|list| {
                        list.ready()
                            .is_some_and(|list| list.iter().any(|one| one.trace_id == id))
                    })
                };
                // More came than a page has: between it and the list there would be a gap.
                match page.next.is_some() && !page.items.iter().any(known) {
                    true => self.read(),
                    false => self.merge(page.items.into_iter().rev().collect()),
                }
            }
        });
    }
}

async fn page_of(
    query: &TraceQuery,
    before: Option<String>,
) -> Result<TracePage, protocol::api::problem::Problem> {
    let asked = TraceQuery {
        limit: Some(PAGE),
        before,
        ..query.clone()
    };
    api::get(&with_query("traces", &trace_parameters(&asked))).await
}
