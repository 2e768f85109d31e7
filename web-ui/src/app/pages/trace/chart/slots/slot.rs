//! `Slot`: the element of a row that is seen; what it says is written only where it changes.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, Text};

use super::super::class;
use super::{attribute, set};
use crate::format;
use crate::waterfall::windows::Told;

/// A text that is written when it changes.
struct Words {
    node: Text,
    said: String,
}

/// The element of a row.
pub struct Slot {
    pub name: usize,
    pub row: HtmlElement,
    indent: HtmlElement,
    handler: Words,
    label: (HtmlElement, Words),
    times: Words,
    twist: (HtmlElement, Words),
    node: Words,
    figure: Words,
    /// What it shows, so that nothing is written twice.
    shows: String,
    top: f64,
}

impl Words {
    fn within(parent: &HtmlElement) -> Option<Self> {
        let node = document().create_text_node("");
        parent.append_child(&node).ok()?;
        Some(Self {
            node,
            said: String::new(),
        })
    }

    /// Changes the text in its place, which is laid out sooner than another one that is put there.
    fn say(&mut self, text: &str) {
        if self.said != text {
            text.clone_into(&mut self.said);
            self.node.set_data(text);
        }
    }
}

impl Slot {
    /// Makes one at the end of its parent.
    pub fn new(parent: &HtmlElement, number: usize) -> Option<Self> {
        let row = make(parent, "div", "wf-row")?;
        let name = make(&row, "span", "wf-name")?;
        let indent = make(&name, "span", "wf-indent")?;
        make(&name, "i", "dot")?;
        let words = make(&name, "span", "wf-words")?;
        let handler = Words::within(&make(&words, "b", "")?)?;
        let label = make(&words, "span", "soft wf-label")?;
        let times = Words::within(&make(&name, "span", "wf-times num")?)?;
        let twist = make(&name, "button", "twist")?;
        let node = make(&row, "span", "wf-node num faint")?;
        let lane = make(&row, "span", "wf-lane")?;
        let figure = Words::within(&make(&lane, "span", "by-ear")?)?;
        row.set_id(&id(number));
        set(&row, "role", "row");
        set(&name, "role", "rowheader");
        set(&node, "role", "gridcell");
        set(&lane, "role", "gridcell");
        set(&twist, "tabindex", "-1");
        set(&twist, "data-twist", "");
        Some(Self {
            name: number,
            row,
            indent,
            handler,
            label: (label.clone(), Words::within(&label)?),
            times,
            twist: (twist.clone(), Words::within(&twist)?),
            node: Words::within(&node)?,
            figure,
            shows: String::new(),
            top: f64::NAN,
        })
    }

    /// Moves it; nothing else changes while its row is seen.
    pub fn stand(&mut self, top: f64) {
        if self.top != top {
            self.top = top;
            put(&self.row, "transform", &format!("translateY({top:.1}px)"));
        }
    }

    /// Tells that its row is on its way.
    pub fn wait(&mut self, place: u64) {
        let shows = format!("{place} …");
        if self.shows == shows {
            return;
        }
        self.shows = shows;
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
        for part in [
            &mut self.handler,
            &mut self.times,
            &mut self.node,
            &mut self.figure,
        ] {
            part.say("");
        }
        self.label.1.say("…");
        put(&self.twist.0, "display", "none");
        set(&self.row, "aria-rowindex", &(place + 1).to_string());
    }

    /// Tells its row.
    pub fn tell(&mut self, place: u64, told: Told<'_>, is_chosen: bool, is_cursor: bool) {
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
        self.handler.say(told.handler());
        let (label, words) = &mut self.label;
        if words.said != told.label() {
            words.say(told.label());
            set(label, "title", told.label());
        }
        let times = count.map(|count| format!("× {}", format::count(count)));
        self.times.say(times.as_deref().unwrap_or_default());
        self.node.say(told.node());
        self.figure.say(&told.words());
        self.tell_twist(row.folded, row.below);
    }

    fn tell_twist(&mut self, is_folded: bool, below: u32) {
        let (button, words) = &mut self.twist;
        put(button, "display", if below > 0 { "" } else { "none" });
        if below == 0 {
            return;
        }
        if is_folded {
            words.say(&format!("+{}", format::count(below.into())));
        } else {
            words.say("−");
        }
        set(button, "aria-label", if is_folded { "Unfold" } else { "Fold" });
    }
}

/// The name of an element, by which the cursor is told.
pub fn id(number: usize) -> String {
    format!("wf-row-{number}")
}

fn make(parent: &HtmlElement, tag: &str, classes: &str) -> Option<HtmlElement> {
    let element: HtmlElement = document().create_element(tag).ok()?.dyn_into().ok()?;
    element.set_class_name(classes);
    parent.append_child(&element).ok()?;
    Some(element)
}

/// Setting a property through the object model fails for no property that there is.
fn put(element: &HtmlElement, name: &str, value: &str) {
    let _ = element.style().set_property(name, value);
}
