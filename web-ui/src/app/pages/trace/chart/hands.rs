//! What hands do to the rows: scroll, fold, select, zoom and pan, by wheel, drag and keys.

use leptos::ev;
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlCanvasElement, HtmlElement, KeyboardEvent, MouseEvent, PointerEvent, WheelEvent};

use super::slots::Slots;
use super::{Chart, Dom, ROW, part};
use crate::app::live::live;
use crate::app::pages::trace::stage::Stage;
use crate::waterfall::Zoom;

/// A step of the keys, and of a button.
pub const NEARER: f64 = 0.6;
const STEP: f64 = 0.2;
/// A press that moved less is a click, in px.
const CLICK: f64 = 4.0;
/// The tip's distance from the pointer.
const TIP: f64 = 14.0;

/// Where a drag began, and with what.
#[derive(Clone, Copy)]
struct Drag {
    x: f64,
    zoom: Zoom,
    /// Whether it chooses a part of the strip; else it moves the rows' time.
    is_brush: bool,
    has_moved: bool,
}

/// The rows with axis and strip.
pub fn view(stage: Stage) -> AnyView {
    let root = NodeRef::<html::Div>::new();
    let drag: StoredValue<Option<Drag>> = StoredValue::new(None);
    Effect::new(move |_| {
        if let Some(root) = root.get() {
            stage.with_chart(|chart| chart.attach(&root));
        }
    });
    // Hues come with the list of handlers; another theme comes at any time.
    Effect::new(move |_| {
        live().palette.track();
        stage.with_chart(Chart::dress);
    });
    let themed = window_event_listener_untyped("themechange", move |_| {
        stage.with_chart(Chart::dress);
    });
    let resized = window_event_listener(ev::resize, move |_| {
        stage.with_chart(Chart::dress);
    });
    on_cleanup(move || {
        themed.remove();
        resized.remove();
    });
    Effect::new(move |_| {
        stage.chosen.track();
        stage.with_chart(Chart::schedule);
    });
    view! {
        <div class="wf" node_ref=root>
            <canvas
                class="wf-strip"
                aria-hidden="true"
                on:pointerdown=move |event| begin(stage, drag, &event, true)
                on:pointermove=move |event| drag_on(stage, drag, &event)
                on:pointerup=move |event| end(stage, drag, &event)
                on:dblclick=move |_| { stage.with_chart(Chart::whole); }
            ></canvas>
            <div class="wf-axis">
                <span class="wf-name">"call"</span>
                <span class="wf-node" aria-hidden="true">"node"</span>
                <span class="wf-lane" aria-hidden="true"><canvas class="wf-marks"></canvas></span>
            </div>
            <div
                class="wf-scroll"
                on:scroll=move |_| { stage.with_chart(Chart::scrolled); }
                on:wheel=move |event| wheel(stage, &event)
            >
                <div class="wf-rows">
                    <div
                        class="wf-stage"
                        role="treegrid"
                        aria-label="Calls"
                        tabindex="0"
                        data-row=""
                        on:keydown=move |event| row_keys(stage, &event)
                        on:pointerdown=move |event| begin(stage, drag, &event, false)
                        on:pointermove=move |event| drag_on(stage, drag, &event)
                        on:pointerup=move |event| end(stage, drag, &event)
                        on:pointerleave=move |_| { stage.with_chart(|chart| chart.point(None)); }
                        on:dblclick=move |event| { stage.with_chart(|chart| chart.onto_row(&event)); }
                    >
                        <canvas class="wf-bars" aria-hidden="true"></canvas>
                    </div>
                </div>
            </div>
            <div class="tip" aria-hidden="true"></div>
        </div>
    }
    .into_any()
}

fn begin(stage: Stage, drag: StoredValue<Option<Drag>>, event: &PointerEvent, is_brush: bool) {
    if event.button() != 0 {
        return;
    }
    let zoom = stage.with_chart(|chart| chart.zoom);
    let Some(zoom) = zoom else { return };
    drag.set_value(Some(Drag {
        x: f64::from(event.client_x()),
        zoom,
        is_brush,
        has_moved: false,
    }));
}

fn drag_on(stage: Stage, drag: StoredValue<Option<Drag>>, event: &PointerEvent) {
    let x = f64::from(event.client_x());
    let Some(mut now) = drag.get_value().filter(|_| event.buttons() & 1 == 1) else {
        if drag.get_value().is_some() {
            drag.set_value(None);
        }
        stage.with_chart(|chart| chart.point(Some((x, f64::from(event.client_y())))));
        return;
    };
    if (x - now.x).abs() < CLICK && !now.has_moved {
        return;
    }
    if !now.has_moved {
        now.has_moved = true;
        drag.set_value(Some(now));
        // Fails only for a pointer that is gone.
        if let Some(element) = event
            .current_target()
            .and_then(|target| target.dyn_into::<Element>().ok())
        {
            let _ = element.set_pointer_capture(event.pointer_id());
        }
    }
    event.prevent_default();
    stage.with_chart(|chart| match now.is_brush {
        true => chart.brush(now.x, x),
        false => chart.pan(now.zoom, x - now.x),
    });
}

fn end(stage: Stage, drag: StoredValue<Option<Drag>>, event: &PointerEvent) {
    let Some(was) = drag.get_value() else { return };
    drag.set_value(None);
    if !was.has_moved && !was.is_brush {
        let pressed = stage.with_chart(|chart| chart.press(event)).flatten();
        if let Some(span) = pressed {
            stage.select(span);
        }
    }
}

fn wheel(stage: Stage, event: &WheelEvent) {
    let (x, y) = (event.delta_x(), event.delta_y());
    let handled = stage.with_chart(|chart| {
        let at = chart.share(f64::from(event.client_x()));
        if event.ctrl_key() || event.meta_key() || event.alt_key() {
            chart.look(chart.zoom.scaled((y * 0.002).clamp(-0.6, 0.6).exp(), at));
            true
        } else if event.shift_key() || x.abs() > y.abs() {
            let by = if x == 0.0 { y } else { x };
            chart.look(chart.zoom.moved(by / chart.lane.1));
            !chart.zoom.is_all()
        } else if chart.scroll().is_scaled() {
            chart.go_to(chart.offset + y);
            true
        } else {
            false
        }
    });
    if handled == Some(true) {
        event.prevent_default();
    }
}

/// Keys of the page: they look at another part of the time.
pub fn keys(stage: Stage, event: &KeyboardEvent) -> bool {
    let change: fn(Zoom) -> Zoom = match event.key().as_str() {
        "w" | "+" => |zoom| zoom.scaled(NEARER, 0.5),
        "s" | "-" => |zoom| zoom.scaled(1.0 / NEARER, 0.5),
        "a" => |zoom| zoom.moved(-STEP),
        "d" => |zoom| zoom.moved(STEP),
        "0" => |zoom| Zoom::all(zoom.whole as u64),
        _ => return false,
    };
    stage.with_chart(|chart| chart.look(change(chart.zoom)));
    true
}

/// Keys of the rows: they move among them, fold them and select.
fn row_keys(stage: Stage, event: &KeyboardEvent) {
    if event.ctrl_key() || event.meta_key() || event.alt_key() {
        return;
    }
    let selected = stage.with_chart(|chart| {
        let page = (chart.height / ROW) as i64 - 1;
        match event.key().as_str() {
            "ArrowDown" | "j" => chart.step(1),
            "ArrowUp" | "k" => chart.step(-1),
            "PageDown" => chart.step(page),
            "PageUp" => chart.step(-page),
            "Home" => chart.step(i64::MIN / 2),
            "End" => chart.step(i64::MAX / 2),
            "ArrowLeft" => chart.fold_cursor(true),
            "ArrowRight" => chart.fold_cursor(false),
            "Enter" | " " => return Some(chart.choose(chart.cursor)),
            _ => return None,
        }
        Some(None)
    });
    let Some(Some(selected)) = selected else { return };
    event.prevent_default();
    if let Some(span) = selected {
        stage.select(span);
    }
}

impl Dom {
    /// The elements below one; nothing if one of them is missing.
    fn below(root: &HtmlElement) -> Option<Self> {
        let stage: HtmlElement = part(root, ".wf-stage")?;
        Some(Self {
            frame: part(root, ".wf-scroll")?,
            list: part(root, ".wf-rows")?,
            lane: part(root, ".wf-axis .wf-lane")?,
            bars: part::<HtmlCanvasElement>(root, ".wf-bars")?,
            axis: part(root, ".wf-marks")?,
            strip: part(root, ".wf-strip")?,
            tip: part(root, ".tip")?,
            slots: Slots::below(stage.clone()),
            stage,
        })
    }
}

impl Chart {
    /// Takes the elements to draw on.
    fn attach(&mut self, root: &HtmlElement) {
        self.dom = Dom::below(root);
        self.is_due = false;
        self.tip.clear();
        self.dress();
    }

    /// Sees all of it.
    pub fn whole(&mut self) {
        self.look(Zoom::all(self.zoom.whole as u64));
    }

    /// Nearer or further, around the middle.
    pub fn zoom_by(&mut self, by: f64) {
        self.look(self.zoom.scaled(by, 0.5));
    }

    /// Sees from one moment to another.
    pub fn see(&mut self, from: u64, to: u64) {
        self.look(self.zoom.between(from as f64, to as f64));
    }

    fn scrolled(&mut self) {
        let Some(dom) = &self.dom else { return };
        let (scroll, top) = (self.scroll(), f64::from(dom.frame.scroll_top()));
        // Where the bar stands because it was put there, the list stands more exactly, and is drawn already.
        if (scroll.top(self.offset) - top).abs() >= 1.0 {
            self.offset = scroll.offset(top);
            self.schedule();
        }
        self.point(None);
    }

    fn go_to(&mut self, offset: f64) {
        let scroll = self.scroll();
        self.offset = offset.clamp(0.0, scroll.furthest());
        if let Some(dom) = &self.dom {
            dom.frame.set_scroll_top(scroll.top(self.offset).round() as i32);
        }
        self.schedule();
    }

    /// The place of an `x` of the window in the lane, from 0 to 1.
    fn share(&self, x: f64) -> f64 {
        let left = self
            .dom
            .as_ref()
            .map_or(0.0, |dom| dom.stage.get_bounding_client_rect().left());
        ((x - left - self.lane.0) / self.lane.1).clamp(0.0, 1.0)
    }

    fn brush(&mut self, from: f64, to: f64) {
        let Some(dom) = &self.dom else { return };
        let strip = dom.strip.get_bounding_client_rect();
        let moment = |x: f64| (x - strip.left()) / strip.width().max(1.0) * self.zoom.whole;
        let (from, to) = (moment(from.min(to)), moment(from.max(to)));
        self.look(self.zoom.between(from, to));
    }

    fn pan(&mut self, began: Zoom, by: f64) {
        self.point(None);
        self.look(began.moved(-by / self.lane.1));
    }

    /// The row at a point of the window.
    fn row_at(&self, y: f64) -> Option<u64> {
        let dom = self.dom.as_ref()?;
        let y = y - dom.stage.get_bounding_client_rect().top();
        let place = ((y + self.offset) / ROW).floor();
        (y >= 0.0 && place >= 0.0 && (place as u64) < self.windows.total).then_some(place as u64)
    }

    /// A click: on the button that folds, or on the row.
    fn press(&mut self, event: &MouseEvent) -> Option<protocol::SpanId> {
        let place = self.row_at(f64::from(event.client_y()))?;
        let target = event
            .target()
            .and_then(|target| target.dyn_into::<Element>().ok());
        let is_twist = target.is_some_and(|target| target.has_attribute("data-twist"));
        if is_twist && let Some(dom) = &self.dom {
            // The button leaves with its row; the keys stay with the rows. Fails for no element of a page.
            let _ = dom.stage.focus();
        }
        self.cursor = place;
        self.schedule();
        if is_twist {
            self.turn(place);
            return None;
        }
        self.choose(place)
    }

    /// Selects a row; one that stands for others opens.
    fn choose(&mut self, place: u64) -> Option<protocol::SpanId> {
        let key = self.windows.get(place)?.row.key;
        if key.repeats {
            self.turn(place);
            return None;
        }
        Some(key.span)
    }

    fn turn(&mut self, place: u64) {
        let (Some(told), Some(stage)) = (self.windows.get(place), self.stage) else {
            return;
        };
        if told.row.below == 0 {
            return;
        }
        let key = told.row.key;
        stage.edit(|view| view.turn(key));
        self.folds = stage.view.with_untracked(|view| view.folds());
        self.windows.forget();
        self.schedule();
    }

    fn fold_cursor(&mut self, fold: bool) {
        let Some(told) = self.windows.get(self.cursor) else {
            return;
        };
        if told.row.below > 0 && told.row.folded != fold {
            self.turn(self.cursor);
        } else if fold {
            // As in every tree: from a leaf, or from what is folded, to what it is below.
            let depth = told.row.depth;
            let mut place = self.cursor;
            while place > 0
                && self
                    .windows
                    .get(place)
                    .is_some_and(|above| above.row.depth >= depth)
                && depth > 0
            {
                place -= 1;
            }
            self.cursor = place;
            self.go_to(self.scroll().reveal(place, self.offset));
        }
    }

    fn step(&mut self, by: i64) {
        let last = self.windows.total.saturating_sub(1);
        self.cursor = self.cursor.saturating_add_signed(by).min(last);
        self.go_to(self.scroll().reveal(self.cursor, self.offset));
    }

    /// The next row of a span after the selected one, or the one before.
    pub fn neighbour(&self, forward: bool) -> Option<protocol::SpanId> {
        let chosen = self.stage.and_then(|stage| stage.chosen.get_untracked());
        let at = chosen
            .and_then(|span| self.windows.find(span))
            .unwrap_or(self.cursor);
        let spans = self.windows.all().filter(|(_, told)| !told.row.key.repeats);
        let found = match forward {
            true => spans
                .filter(|(place, _)| *place > at)
                .min_by_key(|(place, _)| *place),
            false => spans
                .filter(|(place, _)| *place < at)
                .max_by_key(|(place, _)| *place),
        };
        found.map(|(_, told)| told.row.key.span)
    }

    /// A double click: the call fills the width.
    fn onto_row(&mut self, event: &MouseEvent) {
        let place = self.row_at(f64::from(event.client_y()));
        let is_lane = f64::from(event.client_x())
            > self.dom.as_ref().map_or(0.0, |dom| {
                dom.stage.get_bounding_client_rect().left() + self.lane.0
            });
        if let Some(told) = place
            .and_then(|place| self.windows.get(place))
            .filter(|_| is_lane)
        {
            let (start, end) = told.row.outer;
            let room = (end - start) / 20 + 1;
            self.see(start.saturating_sub(room), end.saturating_add(room));
        }
    }

    /// Where the pointer is.
    fn point(&mut self, at: Option<(f64, f64)>) {
        if self.hover != at {
            self.hover = at;
            self.wake();
        }
    }

    /// Tells of the row below the pointer, beside it.
    pub(super) fn tell_tip(&mut self) {
        let Some(dom) = &self.dom else { return };
        let told = self.hover.and_then(|(x, y)| {
            let frame = dom.stage.get_bounding_client_rect();
            let is_lane = x > frame.left() + self.lane.0 && x < frame.right();
            let told = self.windows.get(self.row_at(y)?)?;
            is_lane.then_some((told, x, y, frame.right()))
        });
        let style = dom.tip.style();
        let Some((told, x, y, right)) = told else {
            if !std::mem::take(&mut self.tip).is_empty() {
                let _ = style.set_property("display", "none");
            }
            return;
        };
        let text = format!("{} {}\n{}", told.handler(), told.label(), told.words());
        let left = if x + 340.0 > right {
            x - 320.0 - TIP
        } else {
            x + TIP
        };
        let place = format!("translate({:.0}px, {:.0}px)", left.max(4.0), y + TIP);
        let _ = style.set_property("transform", &place);
        if self.tip != text {
            dom.tip.set_text_content(Some(&text));
            if self.tip.is_empty() {
                let _ = style.set_property("display", "block");
            }
            self.tip = text;
        }
    }
}
