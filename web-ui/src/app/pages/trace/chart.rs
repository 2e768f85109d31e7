//! `Chart`: the rows of a trace on the screen: which are fetched, where the list stands, what is drawn when.
//!
//! Promises: whatever the trace's size, there are as many elements as rows are seen, and a frame's work is theirs; what
//! changes is drawn once, in the next frame. Names and marks are elements, for people who read by ear or select text;
//! bars are a canvas. Not here: what hands do (`hands.rs`), what is drawn (`draw.rs`).

mod colours;
mod draw;
mod hands;
mod pen;
mod slots;
mod strip;

use std::collections::HashSet;
use std::rc::Rc;

use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::SpanId;
use protocol::api::rows::{Overview, Rows};
use wasm_bindgen::JsCast;
use web_sys::{HtmlCanvasElement, HtmlElement};

pub use self::colours::{Colours, class, take_palette};
pub use self::hands::{keys, view};
pub use self::pen::{CHAR, Face, Pen};
use self::slots::Slots;
use self::strip::Strip;
use super::stage::Stage;
use crate::app::api;
use crate::route::with_query;
use crate::waterfall::windows::Windows;
use crate::waterfall::{Scroll, Zoom};

/// The height of a row, in px; `--row` in the stylesheet.
pub const ROW: f64 = 33.0;
/// Rows that are seen at once, at most.
const ROWS_MAX: u64 = 22;
/// The axis's height.
const AXIS: f64 = 26.0;

/// The elements that are drawn on.
struct Dom {
    frame: HtmlElement,
    list: HtmlElement,
    stage: HtmlElement,
    lane: HtmlElement,
    bars: HtmlCanvasElement,
    axis: HtmlCanvasElement,
    strip: HtmlCanvasElement,
    tip: HtmlElement,
    slots: Slots,
}

/// The rows on the screen.
pub struct Chart {
    stage: Option<Stage>,
    pub windows: Windows,
    pub zoom: Zoom,
    /// How far the list is scrolled, in px of its whole height.
    offset: f64,
    /// The row that keys act on.
    cursor: u64,
    strip: Strip,
    /// The spans that a search found.
    pub matches: Rc<HashSet<SpanId>>,
    /// The folds of the rows that are here.
    folds: Vec<(&'static str, String)>,
    colours: Colours,
    dom: Option<Dom>,
    /// Left edge and width of the lane, in the frame.
    lane: (f64, f64),
    height: f64,
    hover: Option<(f64, f64)>,
    /// A frame was asked for; and the rows are to be drawn in it, not only what is told beside the pointer.
    is_due: bool,
    are_rows_due: bool,
    is_moved: bool,
    /// What the axis shows.
    marked: Option<Zoom>,
    /// What is told beside the pointer.
    tip: String,
    /// Counts changes of the zoom, so that only the last of several is asked for.
    zooms: u32,
}

impl Default for Chart {
    fn default() -> Self {
        Self {
            stage: None,
            windows: Windows::default(),
            zoom: Zoom::all(1),
            offset: 0.0,
            cursor: 0,
            strip: Strip::default(),
            matches: Rc::default(),
            folds: Vec::new(),
            colours: Colours::default(),
            dom: None,
            lane: (0.0, 1.0),
            height: ROW,
            hover: None,
            is_due: false,
            are_rows_due: false,
            is_moved: true,
            marked: None,
            tip: String::new(),
            zooms: 0,
        }
    }
}

impl Chart {
    /// Begins with what the first answer told.
    pub fn begin(&mut self, stage: Stage, whole_ns: u64, answer: Rows) {
        let is_new = self.stage.is_none();
        self.stage = Some(stage);
        let zoom = stage.view.with_untracked(|view| view.zoom);
        self.zoom = Zoom::all(whole_ns);
        if let Some((from, to)) = zoom {
            self.zoom = self.zoom.between(from as f64, to as f64);
        }
        self.folds = stage.view.with_untracked(|view| view.folds());
        if !is_new {
            self.windows.forget();
        }
        self.take(answer);
        self.schedule();
    }

    /// Takes rows, and goes to the one that was to be seen.
    fn take(&mut self, mut answer: Rows) {
        let revealed = answer.revealed.take();
        let age = self.windows.age;
        self.windows.put(age, answer);
        let Some(revealed) = revealed else { return };
        self.cursor = revealed.row;
        self.offset = self.scroll().reveal(revealed.row, self.offset);
        self.is_moved = true;
        if let Some(stage) = self.stage
            && !revealed.turned.is_empty()
        {
            stage.edit(|view| {
                for key in revealed.turned {
                    view.turn(key);
                }
            });
            self.folds = stage.view.with_untracked(|view| view.folds());
        }
    }

    /// Takes the whole in a strip.
    pub fn survey(&mut self, overview: Overview) {
        self.strip.survey(overview);
        self.schedule();
    }

    /// Draws in the next frame.
    pub fn schedule(&mut self) {
        self.are_rows_due = true;
        self.wake();
    }

    /// Asks for a frame, once.
    fn wake(&mut self) {
        let Some(stage) = self.stage.filter(|_| !self.is_due && self.dom.is_some()) else {
            return;
        };
        self.is_due = true;
        request_animation_frame(move || {
            stage.with_chart(Self::paint);
        });
    }

    /// The address, or a part of the page, says something else.
    pub fn follow(&mut self) {
        let Some(stage) = self.stage else { return };
        let view = stage.view.get_untracked();
        let zoom = match view.zoom {
            Some((from, to)) => self.zoom.between(from as f64, to as f64),
            None => Zoom::all(self.zoom.whole as u64),
        };
        if zoom != self.zoom {
            self.zoom = zoom;
            self.zooms = self.zooms.wrapping_add(1);
        }
        if view.folds() != self.folds {
            self.folds = view.folds();
            self.windows.forget();
        }
        if let Some(span) = view.span {
            self.reveal(span);
        }
        self.schedule();
    }

    /// Brings a span's row into sight.
    pub fn reveal(&mut self, span: SpanId) {
        match self.windows.find(span) {
            Some(place) => {
                self.cursor = place;
                self.offset = self.scroll().reveal(place, self.offset);
                self.is_moved = true;
                self.schedule();
            }
            None => self.ask(None, 100, Some(span)),
        }
    }

    /// Sees another part of the time.
    fn look(&mut self, zoom: Zoom) {
        if zoom == self.zoom {
            return;
        }
        self.zoom = zoom;
        let Some(stage) = self.stage else { return };
        self.zooms = self.zooms.wrapping_add(1);
        let now = self.zooms;
        stage.edit_often(|view| view.zoom = zoom.ends());
        // The critical path and repeated calls are told for the part that is seen: asked for once it rests.
        set_timeout(
            move || {
                stage.with_chart(|chart| {
                    if chart.zooms == now {
                        chart.windows.forget();
                        chart.schedule();
                    }
                });
            },
            std::time::Duration::from_millis(140),
        );
        self.schedule();
    }

    fn scroll(&self) -> Scroll {
        Scroll {
            rows: self.windows.total,
            row: ROW,
            seen: self.windows.total.clamp(1, ROWS_MAX) as f64 * ROW,
        }
    }

    /// Asks for rows.
    fn ask(&self, at: Option<u64>, count: u64, reveal: Option<SpanId>) {
        let Some(stage) = self.stage else { return };
        let mut parameters = self.folds.clone();
        parameters.push(("count", count.to_string()));
        parameters.extend(at.map(|at| ("at", at.to_string())));
        parameters.extend(reveal.map(|span| ("reveal", span.to_string())));
        if let Some((from, to)) = self.zoom.ends() {
            parameters.push(("from", from.to_string()));
            parameters.push(("to", to.to_string()));
        }
        let path = with_query(&format!("traces/{}/rows", stage.id), &parameters);
        let age = self.windows.age;
        spawn_local(async move {
            let answer = api::get::<Rows>(&path).await;
            stage.with_chart(|chart| {
                match answer {
                    Ok(answer) if age == chart.windows.age => {
                        if answer
                            .revealed
                            .as_ref()
                            .is_some_and(|found| !found.turned.is_empty())
                        {
                            chart.windows.forget();
                        }
                        chart.take(answer);
                    }
                    Ok(_) => {}
                    Err(_) => chart.windows.missed(at.unwrap_or(0)),
                }
                chart.schedule();
            });
        });
    }

    /// Puts what is seen on the screen.
    fn paint(&mut self) {
        self.is_due = false;
        if self.dom.is_none() {
            return;
        }
        if std::mem::take(&mut self.are_rows_due) {
            self.paint_rows();
        }
        self.tell_tip();
    }

    fn paint_rows(&mut self) {
        if std::mem::take(&mut self.is_moved) {
            self.measure();
        }
        let scroll = self.scroll();
        self.offset = self.offset.clamp(0.0, scroll.furthest());
        let first = (self.offset / ROW).floor() as u64;
        let end = first + (self.height / ROW).ceil() as u64 + 1;
        if let Some((at, count)) = self.windows.missing(first, end) {
            self.ask(Some(at), count, None);
        }
        self.fill_slots(first);
        let Some(dom) = self.dom.take() else { return };
        if let Some(pen) = Pen::on(&dom.bars, self.lane.1, self.height) {
            draw::rows(self, &pen);
        }
        if self.marked != Some(self.zoom)
            && let Some(pen) = Pen::on(&dom.axis, self.lane.1, AXIS)
        {
            draw::axis(&pen, self.zoom, &self.colours);
            self.marked = Some(self.zoom);
        }
        self.strip.show(&dom.strip, self.zoom, &mut self.colours);
        self.dom = Some(dom);
    }

    /// Sizes what scrolls to the rows, and finds the lane's place.
    fn measure(&mut self) {
        let scroll = self.scroll();
        let Some(dom) = &self.dom else { return };
        let px = |height: f64| format!("{height:.0}px");
        // Setting a property of one's own element cannot fail.
        let _ = dom.frame.style().set_property("height", &px(scroll.seen + 2.0));
        let _ = dom.list.style().set_property("height", &px(scroll.height()));
        let _ = dom.stage.style().set_property("height", &px(scroll.seen));
        dom.frame.set_scroll_top(scroll.top(self.offset).round() as i32);
        let frame = dom.stage.get_bounding_client_rect();
        let lane = dom.lane.get_bounding_client_rect();
        self.lane = (lane.left() - frame.left(), lane.width().max(1.0));
        self.height = scroll.seen;
        let style = HtmlElement::style(&dom.bars);
        let _ = style.set_property("left", &px(self.lane.0));
        let _ = style.set_property("width", &format!("{:.2}px", self.lane.1));
        let _ = style.set_property("height", &px(self.height));
        let style = HtmlElement::style(&dom.axis);
        let _ = style.set_property("width", &format!("{:.2}px", self.lane.1));
        self.marked = None;
        self.strip.measure(f64::from(dom.strip.client_width()));
    }

    /// Wears the colours of the theme, and looks handlers up again.
    pub fn dress(&mut self) {
        if let Some(dom) = &self.dom {
            self.colours = Colours::read(&dom.stage);
            self.colours.forget();
        }
        self.strip.forget();
        self.is_moved = true;
        self.schedule();
    }
}

/// An element below another.
fn part<T: JsCast>(within: &HtmlElement, selector: &str) -> Option<T> {
    within.query_selector(selector).ok()??.dyn_into().ok()
}

/// The colours as they are where an element stands.
pub fn colours(within: &HtmlElement) -> Colours {
    Colours::read(within)
}
