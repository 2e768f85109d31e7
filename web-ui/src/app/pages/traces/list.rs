//! The rows: of however many there are, only those that are seen are elements.
//!
//! Promises: a list of twenty thousand scrolls as one of twenty; each row says to who hears it which one it is; the
//! focus moves from row to row whether they were there or not; what is further down is read before it is reached.

use leptos::ev;
use leptos::html;
use leptos::prelude::*;
use protocol::TraceId;
use wasm_bindgen::JsCast;

use super::row::cells;
use super::{ROWS_MAX, Traces};
use crate::viewport::Viewport;

/// A row's height until one is measured, in px.
const ROW: f64 = 34.0;
/// So near to the end more is read.
const NEAR: usize = 40;

/// A row that is seen.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    index: usize,
    id: TraceId,
    /// A row of a trace that has grown is made anew.
    grown: (u32, u32),
}

/// Where the rows are.
#[derive(Clone, Copy)]
struct Frame {
    traces: Traces,
    body: NodeRef<html::Tbody>,
    range: RwSignal<(usize, usize)>,
    row: RwSignal<f64>,
    is_due: StoredValue<bool>,
}

/// The table.
pub fn view(traces: Traces) -> AnyView {
    let frame = Frame {
        traces,
        body: NodeRef::new(),
        range: RwSignal::new((0, 40)),
        row: RwSignal::new(ROW),
        is_due: StoredValue::new(false),
    };
    let count = Memo::new(move |_| traces.list.with(|list| list.ready().map_or(0, Vec::len)));
    let longest = Memo::new(move |_| {
        traces.list.with(|list| {
            let all = list.ready().into_iter().flatten();
            all.map(|trace| trace.duration_ns).max().unwrap_or(1)
        })
    });
    Effect::new(move |_| {
        count.track();
        frame.body.track();
        frame.schedule();
    });
    let scrolled = window_event_listener(ev::scroll, move |_| frame.schedule());
    let resized = window_event_listener(ev::resize, move |_| frame.schedule());
    on_cleanup(move || {
        scrolled.remove();
        resized.remove();
    });
    let seen = Memo::new(move |_| {
        let (first, end) = frame.range.get();
        traces.list.with(|list| {
            let rows = list.ready().map_or(&[][..], Vec::as_slice);
            let rows = rows.iter().enumerate().take(end).skip(first);
            rows.map(|(index, trace)| Seen {
                index,
                id: trace.trace_id,
                grown: (trace.spans, trace.missing),
            })
            .collect::<Vec<_>>()
        })
    });
    let gap = move |rows: usize| format!("{}px", rows as f64 * frame.row.get());
    let before = move || gap(seen.with(|seen| seen.first().map_or(0, |row| row.index)));
    let after = move || {
        gap(count
            .get()
            .saturating_sub(seen.with(|seen| seen.last().map_or(0, |row| row.index + 1))))
    };
    // How many rows there will be is not known while there are older ones.
    let rows = move || {
        if traces.next.with(Option::is_some) {
            "-1".to_owned()
        } else {
            (count.get() + 1).to_string()
        }
    };
    view! {
        <table class="rows traces" aria-rowcount=rows>
            <thead>
                <tr aria-rowindex="1">
                    <th class="choice"><span class="by-ear">"compare"</span></th>
                    <th class="when">"ended"</th>
                    <th>"trace"</th>
                    <th class="num took">"took"</th>
                    <th class="wide length"><span class="by-ear">"length"</span></th>
                    <th class="num wide count">"spans"</th>
                    <th class="num wide count nodes">"nodes"</th>
                    <th class="wide placed">"placement"</th>
                    <th class="wide taking">"handlers"</th>
                </tr>
            </thead>
            <tbody node_ref=frame.body>
                <tr class="gap" aria-hidden="true"><td style:height=before></td></tr>
                <For each=move || seen.get() key=|row| (row.id, row.grown) children=move |row| frame.row(&row, seen, longest) />
                <tr class="gap" aria-hidden="true"><td style:height=after></td></tr>
            </tbody>
        </table>
        {move || end(traces, count.get())}
    }
    .into_any()
}

/// What is below the last row.
fn end(traces: Traces, count: usize) -> Option<AnyView> {
    traces.next.with(Option::is_some).then(|| {
        if count >= ROWS_MAX {
            return view! { <p class="said">"No more are listed at once: narrow the search to see older ones."</p> }.into_any();
        }
        view! {
            <p class="more"><button class="btn" data-action="older" disabled=move || traces.is_reading.get() on:click=move |_| traces.older()>
                {move || if traces.is_reading.get() { "Reading …" } else { "Older traces" }}
            </button></p>
        }
        .into_any()
    })
}

impl Frame {
    /// Looks in the next frame where the list stands.
    fn schedule(self) {
        if self.is_due.try_get_value() != Some(false) {
            return;
        }
        self.is_due.set_value(true);
        request_animation_frame(move || {
            // The page may be gone by then.
            if self.is_due.try_set_value(false).is_none() {
                self.look();
            }
        });
    }

    fn look(self) {
        let Some(body) = self.body.get_untracked() else {
            return;
        };
        let row = body.query_selector("tr[data-trace]").ok().flatten();
        let height = row.map_or(0.0, |row| row.get_bounding_client_rect().height());
        if height > 1.0 && (height - self.row.get_untracked()).abs() > 0.1 {
            self.row.set(height);
        }
        let count = self
            .traces
            .list
            .with_untracked(|list| list.ready().map_or(0, Vec::len));
        let range = Viewport {
            top: body.get_bounding_client_rect().top(),
            height: window()
                .inner_height()
                .ok()
                .and_then(|height| height.as_f64())
                .unwrap_or(800.0),
            row: self.row.get_untracked(),
        }
        .rows(count);
        if range != self.range.get_untracked() {
            self.range.set(range);
        }
        let is_scrolled = window().scroll_y().unwrap_or_default() > 1.0;
        if is_scrolled && range.1 + NEAR >= count {
            self.traces.older();
        }
    }

    fn row(self, row: &Seen, seen: Memo<Vec<Seen>>, longest: Memo<u64>) -> AnyView {
        let (traces, id) = (self.traces, row.id);
        let found = traces.list.with_untracked(|list| {
            let rows = list.ready()?;
            rows.get(row.index).filter(|trace| trace.trace_id == id).cloned()
        });
        let Some(trace) = found else { return ().into_any() };
        let index = move || {
            seen.with(|seen| {
                seen.iter()
                    .find(|row| row.id == id)
                    .map(|row| (row.index + 2).to_string())
            })
        };
        let label = format!("Compare {}", trace.name);
        let inner = cells(&trace, longest);
        let failing = trace.errors > 0 || trace.error.is_some();
        let is_chosen = move || traces.chosen.with(|chosen| chosen.iter().any(|one| one.id == id));
        let choose = move |event: ev::Event| {
            traces.choose(&trace);
            // What the box shows is what is chosen, also where a press changed nothing.
            if let Some(field) = event
                .target()
                .and_then(|field| field.dyn_into::<web_sys::HtmlInputElement>().ok())
            {
                field.set_checked(is_chosen());
            }
        };
        view! {
            <tr class:failing=failing class:chosen-row=is_chosen data-trace=id.to_string() aria-rowindex=index>
                <td class="choice"><input type="checkbox" data-choose="" aria-label=label prop:checked=is_chosen on:change=choose /></td>
                {inner}
            </tr>
        }
        .into_any()
    }
}
