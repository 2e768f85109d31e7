//! Light, dark, or as the system says; the choice is remembered in this browser.

use leptos::ev;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;

const KEY: &str = "cleave.theme";

/// Which colours to wear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// As the system says.
    System,
    /// Paper.
    Light,
    /// Ink.
    Dark,
}

impl Theme {
    fn stored() -> Self {
        let stored = window()
            .local_storage()
            .ok()
            .flatten()
            .and_then(|store| store.get_item(KEY).ok().flatten());
        match stored.as_deref() {
            Some("light") => Self::Light,
            Some("dark") => Self::Dark,
            _ => Self::System,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    fn next(self) -> Self {
        match self {
            Self::System => Self::Light,
            Self::Light => Self::Dark,
            Self::Dark => Self::System,
        }
    }

    fn wear(self) {
        if let Some(root) = document().document_element() {
            // Neither can fail: the name is constant and well-formed.
            let _ = root.set_attribute("data-theme", self.name());
        }
        // For what is drawn, and takes its colours from the stylesheet.
        if let Ok(event) = web_sys::Event::new("themechange") {
            let _ = window().dispatch_event(&event);
        }
        if let Some(store) = window().local_storage().ok().flatten() {
            // A browser that stores nothing still shows the theme.
            let _ = store.set_item(KEY, self.name());
        }
    }
}

/// Tells what is drawn that the system changed its colours.
fn system_changes() {
    let Ok(Some(query)) = window().match_media("(prefers-color-scheme: dark)") else {
        return;
    };
    let told = Closure::<dyn FnMut()>::new(|| {
        if let Ok(event) = web_sys::Event::new("themechange") {
            let _ = window().dispatch_event(&event);
        }
    });
    // Fails only where there are no events at all; the page lives as long as the listener.
    let _ = query.add_event_listener_with_callback("change", told.as_ref().unchecked_ref());
    told.forget();
}

/// The button that turns through the three.
pub fn toggle() -> impl IntoView {
    let theme = RwSignal::new(Theme::stored());
    Effect::new(move |_| theme.get().wear());
    system_changes();
    // Another tab has chosen: storing is heard by all others.
    window_event_listener(ev::storage, move |event| {
        if event.key().as_deref() == Some(KEY) && theme.get_untracked() != Theme::stored() {
            theme.set(Theme::stored());
        }
    });
    view! {
        <button
            class="rail-button"
            data-action="theme"
            title="Colours: system, light, dark"
            on:click=move |_| theme.update(|theme| *theme = theme.next())
        >
            <span class="theme-glyph" aria-hidden="true"></span>
            <span class="rail-word">{move || match theme.get() {
                Theme::System => "System colours",
                Theme::Light => "Light colours",
                Theme::Dark => "Dark colours",
            }}</span>
        </button>
    }
}
