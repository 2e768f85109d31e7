//! `Navigation`: the address bar and the page agree; links are ordinary links.

use leptos::ev;
use leptos::prelude::*;
use wasm_bindgen::{JsCast, JsValue};

use crate::route::Route;

/// Where the user is.
#[derive(Clone, Copy)]
pub struct Navigation {
    /// The page that the address names.
    pub route: RwSignal<Route>,
}

/// The navigation of this page.
pub fn navigation() -> Navigation {
    expect_context()
}

impl Navigation {
    /// Reads the address and follows clicks on links and the browser's own buttons.
    pub fn start() -> Self {
        let navigation = Self {
            route: RwSignal::new(here()),
        };
        window_event_listener(ev::popstate, move |_| navigation.route.set(here()));
        window_event_listener(ev::click, move |event| {
            if let Some(route) = clicked(&event) {
                event.prevent_default();
                navigation.go(&route);
            }
        });
        navigation
    }

    /// Goes to a page; the one before stays reachable by the back button.
    pub fn go(self, route: &Route) {
        if here() != *route {
            self.write(route, false);
            window().scroll_to_with_x_and_y(0.0, 0.0);
            // Who reads by ear or moves by key begins at the new page.
            let main = document().get_element_by_id("main");
            if let Some(main) = main.and_then(|main| main.dyn_into::<web_sys::HtmlElement>().ok()) {
                // Fails only where the element cannot have focus; it can.
                let _ = main.focus();
            }
        }
    }

    /// Another state of the same page, which the back button undoes.
    pub fn push(self, route: &Route) {
        if here() != *route {
            self.write(route, false);
        }
    }

    /// Changes the address of the same page: a selection, a filter.
    pub fn replace(self, route: &Route) {
        self.write(route, true);
    }

    fn write(self, route: &Route, replace: bool) {
        let path = route.path();
        if let Ok(history) = window().history() {
            // Fails only where the browser forbids more than a hundred changes within seconds; the page still moves.
            let _ = if replace {
                history.replace_state_with_url(&JsValue::NULL, "", Some(&path))
            } else {
                history.push_state_with_url(&JsValue::NULL, "", Some(&path))
            };
        }
        self.route.set(route.clone());
    }
}

fn here() -> Route {
    let location = window().location();
    let path = location.pathname().unwrap_or_default();
    let query = location.search().unwrap_or_default();
    Route::parse(&path, query.trim_start_matches('?'))
}

/// The page that a click leads to, if it is a plain click on a link of our own.
fn clicked(event: &web_sys::MouseEvent) -> Option<Route> {
    let modified = event.ctrl_key() || event.meta_key() || event.shift_key() || event.alt_key();
    if event.default_prevented() || event.button() != 0 || modified {
        return None;
    }
    leads_to(event.target()?.dyn_into().ok()?)
}

/// The page of our own that the link around an element leads to.
pub fn leads_to(element: web_sys::Element) -> Option<Route> {
    let link = element.closest("a[href]").ok()??;
    let href = link.get_attribute("href")?;
    if !href.starts_with('/') || link.has_attribute("download") || link.has_attribute("target") {
        return None;
    }
    let (path, query) = href.split_once('?').unwrap_or((&href, ""));
    Some(Route::parse(path, query))
}
