//! Keys that work on every page, and the dialog that lists them.

use leptos::ev;
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, KeyboardEvent};

use super::navigation::Navigation;
use crate::route::Route;

/// How long `g` waits for its letter, in ms.
const PREFIX_MS: f64 = 1_200.0;

const KEYS: [(&str, &str); 19] = [
    ("g m", "Map"),
    ("g t", "Traces"),
    ("g e", "Edges"),
    ("g q", "Queues"),
    ("g h", "Handlers"),
    ("g n", "Nodes"),
    ("g l", "Learn"),
    ("/", "Filter the list"),
    ("j  k", "Next and previous row"),
    ("Enter", "Open or select the row"),
    ("x", "Choose the row's trace to compare it"),
    (
        "[  ]",
        "Previous and next: span or find of a trace, step of the tour",
    ),
    ("←  →", "Fold and unfold a row of a trace"),
    ("w  s  0", "Nearer, further, all of a trace"),
    ("a  d", "Earlier and later in a trace"),
    ("p", "Pause and resume a live list"),
    ("m", "Move the handler (on the map)"),
    ("l", "Back to the present (on the map)"),
    ("?", "These keys"),
];

/// Listens to the whole window.
pub fn start(navigation: Navigation, help: RwSignal<bool>) {
    let prefix = StoredValue::new(f64::NEG_INFINITY);
    window_event_listener(ev::keydown, move |event| {
        if is_for_others(&event) {
            return;
        }
        let key = event.key();
        let now = js_sys::Date::now();
        if now - prefix.get_value() < PREFIX_MS {
            prefix.set_value(f64::NEG_INFINITY);
            if let Some(route) = page_of(&key) {
                event.prevent_default();
                navigation.go(&route);
                return;
            }
        }
        let done = match key.as_str() {
            "g" => {
                prefix.set_value(now);
                true
            }
            "?" => {
                help.set(true);
                true
            }
            "/" => focus("[data-search]"),
            "j" => step(1),
            "k" => step(-1),
            "p" => click("[data-action=pause]"),
            "m" => menu(),
            "x" => choose(),
            "l" => click("[data-action=present]"),
            "[" => click("[data-action=previous-span], [data-action=previous]"),
            "]" => click("[data-action=next-span], [data-action=next]"),
            "Enter" => press_row(),
            _ => false,
        };
        if done {
            event.prevent_default();
        }
    });
}

/// The dialog; Escape closes it, as the browser does.
pub fn help_dialog(open: RwSignal<bool>) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    Effect::new(move |_| {
        if let Some(dialog) = dialog.get()
            && open.get()
            && !dialog.open()
        {
            // Fails only where the dialog is open already.
            let _ = dialog.show_modal();
        }
    });
    let close = move || {
        if let Some(dialog) = dialog.get_untracked() {
            dialog.close();
        }
    };
    view! {
        <dialog class="help" node_ref=dialog aria-labelledby="help-title" on:close=move |_| open.set(false)>
            <header class="help-head">
                <h2 id="help-title">"Keys"</h2>
                <button class="btn small" on:click=move |_| close()>"Close"</button>
            </header>
            <dl class="keys">
                {KEYS
                    .into_iter()
                    .map(|(keys, what)| {
                        let caps: Vec<_> = keys.split_whitespace().map(|key| view! { <kbd>{key}</kbd> }).collect();
                        view! { <div><dt>{caps}</dt><dd>{what}</dd></div> }
                    })
                    .collect_view()}
            </dl>
        </dialog>
    }
}

fn page_of(key: &str) -> Option<Route> {
    Some(match key {
        "m" => Route::Map(Default::default()),
        "t" => Route::Traces(Default::default()),
        "e" => Route::Edges(Default::default()),
        "q" => Route::Queues,
        "h" => Route::Handlers,
        "n" => Route::Nodes,
        "l" => Route::Learn(None),
        _ => return None,
    })
}

/// Whether a key is meant for a field, for the browser, or was taken already.
pub fn is_for_others(event: &KeyboardEvent) -> bool {
    let modified = event.ctrl_key() || event.meta_key() || event.alt_key();
    modified || event.default_prevented() || typing(event)
}

fn typing(event: &KeyboardEvent) -> bool {
    let element = event
        .target()
        .and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    element.is_some_and(|element| match element.tag_name().as_str() {
        // A slider takes arrows, and no letters.
        "INPUT" => element.get_attribute("type").as_deref() != Some("range"),
        name => matches!(name, "SELECT" | "TEXTAREA"),
    })
}

fn find(selector: &str) -> Option<HtmlElement> {
    document().query_selector(selector).ok()??.dyn_into().ok()
}

fn focus(selector: &str) -> bool {
    find(selector).is_some_and(|element| element.focus().is_ok())
}

fn click(selector: &str) -> bool {
    find(selector).map(|element| element.click()).is_some()
}

/// The box of the row that has the focus.
fn choose() -> bool {
    let row = focused_row().and_then(|row| row.closest("tr").ok().flatten());
    let field = row.and_then(|row| row.query_selector("[data-choose]").ok().flatten());
    field
        .and_then(|field| field.dyn_into::<HtmlElement>().ok())
        .map(|field| field.click())
        .is_some()
}

/// The menu of the row that has the focus.
fn menu() -> bool {
    let row = focused_row().and_then(|row| row.next_element_sibling());
    let button = row.and_then(|button| button.dyn_into::<HtmlElement>().ok());
    button
        .filter(|button| button.get_attribute("data-action").as_deref() == Some("menu"))
        .map(|button| button.click())
        .is_some()
}

fn focused_row() -> Option<HtmlElement> {
    let active = document().active_element()?;
    active.has_attribute("data-row").then(|| active.dyn_into().ok())?
}

/// Moves the focus to the next row, or the one before.
fn step(by: i32) -> bool {
    let Ok(list) = document().query_selector_all("main [data-row]") else {
        return false;
    };
    let current = focused_row();
    let at: Option<u32> = (0..list.length()).find(|at| {
        let row = list.item(*at);
        row.as_ref() == current.as_ref().map(AsRef::as_ref)
    });
    let next = match at {
        Some(at) => u32::saturating_add_signed(at, by),
        None => 0,
    };
    let row = list.item(next).and_then(|row| row.dyn_into::<HtmlElement>().ok());
    row.is_some_and(|row| row.focus().is_ok())
}

/// Links open by themselves; other rows are pressed.
fn press_row() -> bool {
    focused_row()
        .filter(|row| row.tag_name() != "A")
        .map(|row| row.click())
        .is_some()
}
