//! The heat map: latency over time, in which a drag, or keys, select what the list shows.
//!
//! Promises: its place is there before it is; what it shows is said in a sentence before it, cell by cell to who moves
//! in it by keys, and as a table; a selection is whole cells, and the list below it has just those traces. Not here:
//! the maths (`crate::heat`), what is drawn (`draw.rs`).

mod draw;
mod legend;

use std::sync::Arc;

use leptos::ev;
use leptos::html;
use leptos::prelude::*;
use protocol::api::heat::Heat;
use web_sys::{KeyboardEvent, PointerEvent};

use super::{Traces, here};
use crate::app::navigation::navigation;
use crate::app::pages::trace::{Colours, Pen, colours};
use crate::filters::{Part, with};
use crate::heat::{Plot, Selection, carried, cell_at, counted, narrowed, rows, sentence, told};
use crate::route::Route;

/// A press that moved less is no drag, in px.
const CLICK: f64 = 5.0;

/// The map on the page.
#[derive(Clone, Copy)]
struct Map {
    traces: Traces,
    frame: NodeRef<html::Div>,
    canvas: NodeRef<html::Canvas>,
    /// Width and height, in px.
    size: RwSignal<(f64, f64)>,
    colours: RwSignal<Colours>,
    /// The cell that keys act on, or that was pressed.
    cursor: RwSignal<Option<(u32, u32)>>,
    /// Where a selection by keys began.
    anchor: StoredValue<Option<(u32, u32)>>,
    hover: RwSignal<Option<(u32, u32)>>,
    selection: RwSignal<Option<Selection>>,
    drag: StoredValue<Option<(f64, f64)>>,
}

/// The card.
pub fn view(traces: Traces) -> AnyView {
    let map = Map {
        traces,
        frame: NodeRef::new(),
        canvas: NodeRef::new(),
        size: RwSignal::new((0.0, 0.0)),
        colours: RwSignal::new(Colours::default()),
        cursor: RwSignal::new(None),
        anchor: StoredValue::new(None),
        hover: RwSignal::new(None),
        selection: RwSignal::new(None),
        drag: StoredValue::new(None),
    };
    map.live();
    // What was drawn before is not what is asked for while that cannot be read.
    let is_stale = Memo::new(move |_| super::query_box::fault(traces).is_some());
    let words = move || {
        if is_stale.get() {
            return Some("Nothing is drawn for a query that cannot be read.".to_owned());
        }
        traces
            .heat
            .with(|heat| heat.as_deref().map(|heat| sentence(heat, here())))
    };
    let loading = move || {
        traces
            .heat
            .with(Option::is_none)
            .then(|| view! { <span class="bone heat-bone"></span> })
    };
    view! {
        <section
            class="card heat-card"
            class:stale=move || is_stale.get()
            aria-label="Latency over time"
            aria-busy=move || traces.is_picturing().to_string()
        >
            <div class="heat-head">
                <p class="heat-words" id="heat-words">{words}{loading}</p>
                {legend::shades(traces)}
            </div>
            <div
                class="heat-frame"
                node_ref=map.frame
                tabindex="0"
                role="application"
                aria-label="Heat map: arrows move, with Shift they select, Enter narrows the list, o opens a trace, Escape widens"
                aria-describedby="heat-words"
                on:pointerdown=move |event| map.begin(&event)
                on:pointermove=move |event| map.go(&event)
                on:pointerup=move |event| map.end(&event)
                on:pointercancel=move |_| map.drop_drag()
                on:pointerleave=move |_| map.hover.set(None)
                on:dblclick=move |_| map.widen()
                on:keydown=move |event| map.key(&event)
                on:blur=move |_| map.leave()
            >
                <canvas class="heat-canvas" aria-hidden="true" node_ref=map.canvas></canvas>
            </div>
            {map.readout()}
            {legend::table(traces)}
        </section>
    }
    .into_any()
}

impl Map {
    /// Draws whenever something of it changes.
    fn live(self) {
        let measure = move || {
            if let Some(frame) = self.frame.get_untracked() {
                self.colours.set(colours(&frame));
                let size = (f64::from(frame.client_width()), f64::from(frame.client_height()));
                self.size.set(size);
            }
        };
        Effect::new(move |_| {
            self.frame.track();
            measure();
        });
        let resized = window_event_listener(ev::resize, move |_| measure());
        let themed = window_event_listener_untyped("themechange", move |_| measure());
        on_cleanup(move || {
            resized.remove();
            themed.remove();
        });
        Effect::new(move |_| {
            let (width, height) = self.size.get();
            let Some(canvas) = self.canvas.get().filter(|_| width > 1.0) else {
                return;
            };
            let Some(pen) = Pen::on(&canvas, width, height) else {
                return;
            };
            let marked = draw::Marked {
                selection: self.selection.get(),
                cursor: self.hover.get().or_else(|| self.cursor.get()),
            };
            self.colours.with(
                |colours| match self.traces.heat.get().filter(|heat| heat.traces > 0) {
                    Some(heat) => draw::map(&pen, &heat, self.plot(&heat), &marked, colours),
                    None => draw::nothing(&pen, colours),
                },
            );
        });
        // What was marked is marked where it is now, if it is.
        Effect::new(move |before: Option<Option<Arc<Heat>>>| {
            let now = self.traces.heat.get();
            let before = before.flatten();
            let carry = |cell| carried(before.as_ref()?, now.as_ref()?, cell);
            let cursor = self.cursor.get_untracked().and_then(carry);
            if cursor != self.cursor.get_untracked() {
                self.cursor.set(cursor);
                self.anchor.set_value(None);
                if self.drag.get_value().is_none() {
                    self.selection.set(None);
                }
            }
            now
        });
        // Another search has other cells.
        Effect::new(move |_| {
            self.traces.query.track();
            self.selection.set(None);
            self.cursor.set(None);
            self.anchor.set_value(None);
        });
    }

    fn plot(self, heat: &Heat) -> Plot {
        let (width, height) = self.size.get_untracked();
        draw::plot(width, height, heat.columns, rows(heat))
    }

    /// The line below the map: what the pointer or the keys are at, and what can be done with it.
    fn readout(self) -> AnyView {
        let words = move || {
            let heat = self.traces.heat.get().filter(|heat| heat.traces > 0);
            let cell = self.hover.get().or_else(|| self.cursor.get());
            let selection = self
                .selection
                .get()
                .or_else(|| cell.map(|cell| Selection::between(cell, cell)));
            match (heat, selection) {
                (Some(heat), Some(selection)) => told(&heat, selection, here()),
                (Some(_), None) => "Drag to select a time and a latency.".to_owned(),
                (None, _) => String::new(),
            }
        };
        let acts = move || {
            let heat = self.traces.heat.get()?;
            let cursor = self.cursor.get();
            let is_dragged = self.drag.get_value().is_some();
            let selection = self.selection.get().filter(|_| !is_dragged);
            let selection = selection.or_else(|| cursor.map(|cell| Selection::between(cell, cell)))?;
            let narrow = (counted(&heat, selection).0 > 0).then(|| {
                view! { <button class="btn tiny" data-action="heat-narrow" on:click=move |_| self.apply()>"List these"</button> }
            });
            let cell = cursor.and_then(|cell| cell_at(&heat, cell)).copied();
            let open = cell.map(|cell| {
                let href = Route::Trace(cell.exemplar, None).path();
                let word = if cell.failed > 0 {
                    "Open one that failed"
                } else {
                    "Open one"
                };
                view! { <a class="btn tiny" data-action="heat-open" href=href>{word}</a> }
            });
            Some(view! { {narrow}{open} })
        };
        view! {
            <div class="heat-read">
                <span class="small soft" role="status">{words}</span>
                {acts}
            </div>
        }
        .into_any()
    }

    fn point(self, event: &PointerEvent) -> Option<(f64, f64)> {
        let frame = self.frame.get_untracked()?.get_bounding_client_rect();
        Some((
            f64::from(event.client_x()) - frame.left(),
            f64::from(event.client_y()) - frame.top(),
        ))
    }

    fn heat(self) -> Option<Arc<Heat>> {
        self.traces.heat.get_untracked().filter(|heat| heat.traces > 0)
    }

    fn begin(self, event: &PointerEvent) {
        if event.button() != 0 {
            return;
        }
        self.drag.set_value(self.point(event));
        if let Some(frame) = self.frame.get_untracked() {
            // Without it a drag ends where the pointer leaves the map.
            let _ = frame.set_pointer_capture(event.pointer_id());
        }
    }

    fn go(self, event: &PointerEvent) {
        let (Some(heat), Some(at)) = (self.heat(), self.point(event)) else {
            return;
        };
        let plot = self.plot(&heat);
        match self.drag.get_value() {
            Some(from) if (at.0 - from.0).hypot(at.1 - from.1) >= CLICK => {
                self.hover.set(None);
                self.selection.set(Some(plot.selection(from, at)));
            }
            Some(_) => {}
            None => self.hover.set(plot.has(at).then(|| plot.nearest(at))),
        }
    }

    fn end(self, event: &PointerEvent) {
        let Some(from) = self.drag.get_value() else { return };
        self.drag.set_value(None);
        if self.selection.get_untracked().is_some() {
            self.apply();
            return;
        }
        let (Some(heat), Some(at)) = (self.heat(), self.point(event)) else {
            return;
        };
        let plot = self.plot(&heat);
        if plot.has(at) && plot.has(from) {
            self.cursor.set(Some(plot.nearest(at)));
        }
    }

    fn drop_drag(self) {
        self.drag.set_value(None);
        self.selection.set(None);
    }

    /// The list shows what is selected.
    fn apply(self) {
        let cell = self
            .cursor
            .get_untracked()
            .map(|cell| Selection::between(cell, cell));
        let selection = self.selection.get_untracked().or(cell);
        if let (Some(heat), Some(selection)) = (self.heat(), selection) {
            let query = self.traces.query.get_untracked();
            self.traces.search(narrowed(&query, &heat, selection));
        }
        self.drop_drag();
    }

    /// Takes time and latency off the search.
    fn widen(self) {
        let query = self.traces.query.get_untracked();
        self.traces
            .search(with(&with(&query, Part::Time, None), Part::Length, None));
    }

    fn leave(self) {
        self.anchor.set_value(None);
    }

    fn key(self, event: &KeyboardEvent) {
        if event.ctrl_key() || event.meta_key() || event.alt_key() {
            return;
        }
        if event.key() == "Escape" {
            match self.selection.get_untracked() {
                Some(_) => self.drop_drag(),
                None => self.widen(),
            }
            return event.prevent_default();
        }
        let Some(heat) = self.heat() else { return };
        match event.key().as_str() {
            "ArrowLeft" => self.step(&heat, (-1, 0), event.shift_key()),
            "ArrowRight" => self.step(&heat, (1, 0), event.shift_key()),
            "ArrowUp" => self.step(&heat, (0, 1), event.shift_key()),
            "ArrowDown" => self.step(&heat, (0, -1), event.shift_key()),
            "Home" => self.step(&heat, (i64::MIN / 2, 0), event.shift_key()),
            "End" => self.step(&heat, (i64::MAX / 2, 0), event.shift_key()),
            "Enter" => self.apply(),
            "o" => match self
                .cursor
                .get_untracked()
                .and_then(|at| cell_at(&heat, at).copied())
            {
                Some(cell) => navigation().go(&Route::Trace(cell.exemplar, None)),
                None => return,
            },
            _ => return,
        }
        event.prevent_default();
    }

    /// Moves by columns and rows; with `selects`, what lies between is selected.
    fn step(self, heat: &Heat, by: (i64, i64), selects: bool) {
        let end = (heat.columns.saturating_sub(1), rows(heat).saturating_sub(1));
        let newest = heat.cells.last().map_or(end, |cell| (cell.column, cell.row));
        let next = match self.cursor.get_untracked() {
            None => newest,
            Some(at) => {
                let moved = |at: u32, by: i64, end: u32| (i64::from(at) + by).clamp(0, i64::from(end)) as u32;
                (moved(at.0, by.0, end.0), moved(at.1, by.1, end.1))
            }
        };
        let anchor = self
            .anchor
            .get_value()
            .or_else(|| self.cursor.get_untracked())
            .filter(|_| selects);
        self.anchor.set_value(anchor);
        self.selection
            .set(anchor.map(|anchor| Selection::between(anchor, next)));
        self.cursor.set(Some(next));
    }
}
