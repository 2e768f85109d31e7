//! The page: shell, navigation, banner, and the page that the address names.
//!
//! Promises: pages fetch, parts get what they show; every view has four faces (`parts/faces.rs`); no inline script
//! and no `style` attribute is ever written, because the content security policy forbids both (custom properties are
//! set through CSSOM).

mod api;
mod chunks;
mod keyboard;
mod live;
mod navigation;
mod pages;
mod parts;
mod shell;
mod theme;

use leptos::prelude::*;
use wasm_bindgen::prelude::wasm_bindgen;

use self::chunks::Chunks;
use self::live::Live;
use self::navigation::Navigation;
use crate::route::Route;

/// Runs when the module is loaded.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|info| {
        web_sys::console::error_1(&info.to_string().into());
    }));
    if let Some(placeholder) = document().get_element_by_id("boot") {
        placeholder.remove();
    }
    mount_to_body(app);
}

fn app() -> impl IntoView {
    let navigation = Navigation::start();
    provide_context(navigation);
    provide_context(Live::start());
    let help = RwSignal::new(false);
    keyboard::start(navigation, help);
    // A selection or a filter changes within its page; only another page is mounted anew.
    let place = Memo::new(move |_| match navigation.route.get() {
        Route::Traces(_) => Route::Traces(Default::default()),
        Route::Trace(id, _) => Route::Trace(id, None),
        Route::Map(_) => Route::Map(Default::default()),
        Route::Edges(_) => Route::Edges(Default::default()),
        other => other,
    });
    let chunks = Chunks::start(&place.get_untracked());
    let page = move || chunks.draw(place.get());
    view! {
        <a class="skip" href="#main">"Skip to the page"</a>
        {shell::rail(navigation, help)}
        <main id="main" tabindex="-1" data-page=move || place.with(Route::page)>
            {page}
        </main>
        {shell::banner()}
        {keyboard::help_dialog(help)}
    }
}
