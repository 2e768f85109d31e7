//! `Colours`: the tokens of the stylesheet as a canvas takes them.
//!
//! A custom property is not resolved for scripts, so an element wears each and is asked for its colour. Read again
//! whenever the theme changes.

use std::cell::Cell;
use std::collections::HashMap;

use leptos::prelude::*;
use protocol::HandlerName;
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

use crate::app::live::live;
use crate::palette::Palette;

/// The colours that are drawn with.
#[derive(Debug, Default, Clone)]
pub struct Colours {
    pub surface: String,
    pub ink: String,
    pub soft: String,
    pub hair: String,
    pub seam: String,
    pub bad: String,
    pub focus: String,
    pub travel: String,
    pub queue: String,
    /// By class, `hue-none` last.
    hues: Vec<String>,
    by_handler: HashMap<String, usize>,
}

const NONE: usize = 10;

impl Colours {
    /// Reads them where an element stands.
    pub fn read(within: &HtmlElement) -> Self {
        let Some(probe) = probe(within) else {
            return Self::default();
        };
        let read = |name: &str| {
            // Fails for no colour of the stylesheet.
            let _ = probe.style().set_property("color", &format!("var({name})"));
            let style = window().get_computed_style(&probe).ok().flatten();
            style
                .and_then(|style| style.get_property_value("color").ok())
                .unwrap_or_default()
        };
        let mut colours = Self {
            surface: read("--surface"),
            ink: read("--ink"),
            soft: read("--soft"),
            hair: read("--hair"),
            seam: read("--seam"),
            bad: read("--bad"),
            focus: read("--focus"),
            travel: read("--st-travel"),
            queue: read("--st-queue"),
            hues: Vec::with_capacity(NONE + 1),
            by_handler: HashMap::new(),
        };
        for hue in 0..=NONE {
            let class = if hue == NONE {
                "hue-none".to_owned()
            } else {
                format!("hue-{hue}")
            };
            probe.set_class_name(&class);
            colours.hues.push(read("--hue"));
        }
        probe.remove();
        colours
    }

    /// A handler's.
    pub fn of(&mut self, handler: &str) -> &str {
        let hue = match self.by_handler.get(handler) {
            Some(hue) => *hue,
            None => {
                let hue = hue(handler);
                self.by_handler.insert(handler.to_owned(), hue);
                hue
            }
        };
        self.hues.get(hue).map_or("", String::as_str)
    }

    /// Lets the handlers' hues be looked up again.
    pub fn forget(&mut self) {
        self.by_handler.clear();
    }
}

thread_local! {
    /// The palette of this page, for frames and answers, which come outside of any part of the page.
    static PALETTE: Cell<Option<Memo<Palette>>> = const { Cell::new(None) };
}

/// Keeps the palette at hand; to be called where a page begins.
pub fn take_palette() {
    PALETTE.set(Some(live().palette));
}

/// The class of a handler's hue.
pub fn class(handler: &str) -> &'static str {
    let Ok(name) = HandlerName::parse(handler) else {
        return "hue-none";
    };
    let class = |palette: Memo<Palette>| palette.try_with_untracked(|palette| palette.class(&name));
    PALETTE.get().and_then(class).unwrap_or("hue-none")
}

fn hue(handler: &str) -> usize {
    let number = class(handler)
        .strip_prefix("hue-")
        .and_then(|hue| hue.parse().ok());
    number.unwrap_or(NONE)
}

fn probe(within: &HtmlElement) -> Option<HtmlElement> {
    let probe: HtmlElement = document().create_element("i").ok()?.dyn_into().ok()?;
    within.append_child(&probe).ok()?;
    Some(probe)
}
