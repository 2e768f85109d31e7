//! `Slots`: the elements of the rows that are seen: one for each place on the screen, whose words change as the list
//! moves.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

use super::{Chart, ROW, class};
use crate::format;
use crate::waterfall::windows::Told;

/// The elements, from top to bottom.
pub struct Slots {
    parent: HtmlElement,
    slots: Vec<Slot>,
}

struct Slot {
    row: HtmlElement,
    indent: HtmlElement,
    handler: HtmlElement,
    label: HtmlElement,
    times: HtmlElement,
    twist: HtmlElement,
    node: HtmlElement,
    figure: HtmlElement,
    /// What it shows, so that nothing is written twice.
    shows: String,
    top: f64,
}

impl Slots {
    pub fn below(parent: HtmlElement) -> Self {
        Self {
            parent,
            slots: Vec::new(),
        }
    }

    /// Makes as many as are needed; there are never more than rows that fit.
    fn resize(&mut self, count: usize) {
        while self.slots.len() < count {
            let Some(slot) = Slot::new(&self.parent, self.slots.len()) else {
                return;
            };
            self.slots.push(slot);
        }
        for slot in self.slots.drain(count..) {
            slot.row.remove();
        }
    }
}

impl Slot {
    fn new(parent: &HtmlElement, place: usize) -> Option<Self> {
        let row = make(parent, "div", "wf-row")?;
        let name = make(&row, "span", "wf-name")?;
        let indent = make(&name, "span", "wf-indent")?;
        make(&name, "i", "dot")?;
        let words = make(&name, "span", "wf-words")?;
        let handler = make(&words, "b", "")?;
        let label = make(&words, "span", "soft wf-label")?;
        let times = make(&name, "span", "wf-times num")?;
        let twist = make(&name, "button", "twist")?;
        let node = make(&row, "span", "wf-node num faint")?;
        let lane = make(&row, "span", "wf-lane")?;
        let figure = make(&lane, "span", "by-ear")?;
        row.set_id(&format!("wf-row-{place}"));
        set(&row, "role", "row");
        set(&name, "role", "rowheader");
        set(&node, "role", "gridcell");
        set(&lane, "role", "gridcell");
        set(&twist, "tabindex", "-1");
        set(&twist, "data-twist", "");
        Some(Self {
            row,
            indent,
            handler,
            label,
            times,
            twist,
            node,
            figure,
            shows: String::new(),
            top: f64::NAN,
        })
    }

    /// Moves it; nothing else changes while the list is scrolled by less than a row.
    fn stand(&mut self, top: f64) {
        if self.top != top {
            self.top = top;
            put(&self.row, "transform", &format!("translateY({top:.1}px)"));
        }
    }

    fn wait(&mut self, place: u64) {
        if self.shows != "…" {
            self.shows = "…".to_owned();
            self.row.set_class_name("wf-row waiting");
            for name in [
                "data-span",
                "data-handler",
                "data-node",
                "data-repeats",
                "aria-expanded",
            ] {
                let _ = self.row.remove_attribute(name);
            }
            for part in [&self.handler, &self.times, &self.node, &self.figure] {
                part.set_text_content(None);
            }
            self.label.set_text_content(Some("…"));
            put(&self.twist, "display", "none");
        }
        set(&self.row, "aria-rowindex", &(place + 1).to_string());
    }

    fn tell(&mut self, place: u64, told: Told<'_>, is_chosen: bool, is_cursor: bool) {
        let row = told.row;
        let hue = class(told.handler());
        let shows = format!(
            "{place} {} {} {is_chosen} {is_cursor} {hue} {} {}",
            row.key, row.folded, row.below, row.depth
        );
        if shows == self.shows {
            return;
        }
        self.shows = shows;
        let mut classes = format!("wf-row {hue}");
        for (name, is_so) in [
            ("chosen", is_chosen),
            ("cursor", is_cursor),
            ("failing", row.failed),
            ("repeats", row.repeats.is_some()),
            ("orphan", row.orphan),
        ] {
            if is_so {
                classes.push(' ');
                classes.push_str(name);
            }
        }
        self.row.set_class_name(&classes);
        let key = row.key.span.to_string();
        let count = row.repeats.as_ref().map(|repeats| repeats.count);
        attribute(&self.row, "data-span", (count.is_none()).then_some(key.as_str()));
        attribute(
            &self.row,
            "data-repeats",
            count.map(|count| count.to_string()).as_deref(),
        );
        set(&self.row, "data-handler", told.handler());
        set(&self.row, "data-node", told.node());
        set(&self.row, "aria-rowindex", &(place + 1).to_string());
        set(&self.row, "aria-level", &(row.depth + 1).to_string());
        set(
            &self.row,
            "aria-selected",
            if is_chosen { "true" } else { "false" },
        );
        let expanded = (row.below > 0).then_some(if row.folded { "false" } else { "true" });
        attribute(&self.row, "aria-expanded", expanded);
        put(
            &self.indent,
            "width",
            &format!("calc(8px + {} * var(--indent))", row.depth.min(12)),
        );
        self.handler.set_text_content(Some(told.handler()));
        self.label.set_text_content(Some(told.label()));
        set(&self.label, "title", told.label());
        let times = count.map(|count| format!("× {}", format::count(count)));
        self.times.set_text_content(times.as_deref());
        self.node.set_text_content(Some(told.node()));
        self.figure.set_text_content(Some(&told.words()));
        put(&self.twist, "display", if row.below > 0 { "" } else { "none" });
        let twist = if row.folded {
            format!("+{}", format::count(row.below.into()))
        } else {
            "−".to_owned()
        };
        self.twist.set_text_content(Some(&twist));
        set(
            &self.twist,
            "aria-label",
            if row.folded { "Unfold" } else { "Fold" },
        );
    }
}

impl Chart {
    /// Tells each slot its row.
    pub(super) fn fill_slots(&mut self, first: u64) {
        let Some(mut dom) = self.dom.take() else { return };
        let seen = (self.height / ROW).ceil() as u64 + 1;
        let count = seen.min(self.windows.total.saturating_sub(first));
        dom.slots.resize(count as usize);
        let chosen = self.stage.and_then(|stage| stage.chosen.get_untracked());
        for (place, slot) in (first..).zip(&mut dom.slots.slots) {
            slot.stand(place as f64 * ROW - self.offset);
            match self.windows.get(place) {
                Some(told) => {
                    let is_chosen = chosen.is_some_and(|span| told.is(span));
                    slot.tell(place, told, is_chosen, place == self.cursor);
                }
                None => slot.wait(place),
            }
        }
        set(&dom.stage, "aria-rowcount", &self.windows.total.to_string());
        let active = self.cursor.checked_sub(first).filter(|at| *at < count);
        let active = active.map(|at| format!("wf-row-{at}"));
        attribute(&dom.stage, "aria-activedescendant", active.as_deref());
        self.dom = Some(dom);
    }
}

fn make(parent: &HtmlElement, tag: &str, classes: &str) -> Option<HtmlElement> {
    let element: HtmlElement = document().create_element(tag).ok()?.dyn_into().ok()?;
    element.set_class_name(classes);
    parent.append_child(&element).ok()?;
    Some(element)
}

/// Setting an attribute fails only for a name that is none.
fn set(element: &Element, name: &str, value: &str) {
    let _ = element.set_attribute(name, value);
}

fn attribute(element: &Element, name: &str, value: Option<&str>) {
    match value {
        Some(value) => set(element, name, value),
        None => {
            let _ = element.remove_attribute(name);
        }
    }
}

/// Setting a property through the object model fails for no property that there is.
fn put(element: &HtmlElement, name: &str, value: &str) {
    let _ = element.style().set_property(name, value);
}
