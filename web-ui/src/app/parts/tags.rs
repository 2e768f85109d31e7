//! Small marks that mean the same on every page: a handler, a state, a page's head, a figure.

use leptos::prelude::*;
use protocol::HandlerName;
use protocol::api::handlers::HandlerState;
use protocol::api::nodes::NodeState;
use wasm_bindgen_futures::JsFuture;

use crate::app::live::live;

/// A handler's dot and name.
pub fn handler(name: &HandlerName) -> AnyView {
    let hue = live().hue(name.clone());
    view! {
        <span class="handler-tag">
            <i class=move || format!("dot {}", hue()) aria-hidden="true"></i>
            <span>{name.to_string()}</span>
        </span>
    }
    .into_any()
}

/// A file that no handler can be called like.
pub fn misnamed(file: String) -> AnyView {
    view! {
        <span class="handler-tag">
            <i class="dot" aria-hidden="true"></i>
            <span>{file}</span>
        </span>
    }
    .into_any()
}

/// A handler's dot and name as a link to its page; platform names have none.
pub fn handler_link(name: &HandlerName) -> AnyView {
    if name.is_reserved() {
        return handler(name);
    }
    let href = format!("/handlers/{name}");
    view! { <a class="plain" href=href data-handler=name.to_string()>{handler(name)}</a> }.into_any()
}

/// A handler's state: its class and its word.
pub fn handler_state(state: &HandlerState) -> (&'static str, &'static str) {
    match state {
        HandlerState::Loading => ("state soft", "loading"),
        HandlerState::Serving => ("state ok", "serving"),
        HandlerState::Waiting { .. } => ("state warn", "waiting"),
        HandlerState::Rejected { .. } => ("state bad", "rejected"),
        HandlerState::Down { .. } => ("state bad", "down"),
    }
}

/// A node's state: its class and its word.
pub fn node_state(state: NodeState) -> (&'static str, &'static str) {
    match state {
        NodeState::Starting => ("state warn", "starting"),
        NodeState::Ready => ("state ok", "ready"),
        NodeState::Draining => ("state warn", "draining"),
        NodeState::Down => ("state bad", "down"),
    }
}

/// A page's head: the finding, of what, and what can be done.
pub fn head(
    title: impl IntoView + 'static,
    about: impl IntoView + 'static,
    right: impl IntoView + 'static,
) -> AnyView {
    view! {
        <header class="top">
            <div class="top-words">
                <h1>{title.into_any()}</h1>
                <p class="soft small">{about.into_any()}</p>
            </div>
            {right.into_any()}
        </header>
    }
    .into_any()
}

/// A figure with its name below.
pub fn figure(
    name: &'static str,
    value: impl Fn() -> String + Send + Sync + 'static,
    bad: impl Fn() -> bool + Send + Sync + 'static,
) -> AnyView {
    view! {
        <div class="figure">
            <b class:bad=bad>{value}</b>
            <span>{name}</span>
        </div>
    }
    .into_any()
}

/// A button that copies a text and says so.
pub fn copy(text: String, what: &'static str) -> AnyView {
    let copied = RwSignal::new(false);
    let act = move |_| {
        let promise = window().navigator().clipboard().write_text(&text);
        leptos::task::spawn_local(async move {
            // Refused where the page has no focus; the text is on the page and can be selected.
            if JsFuture::from(promise).await.is_ok() {
                copied.set(true);
                set_timeout(move || copied.set(false), std::time::Duration::from_millis(1_600));
            }
        });
    };
    view! {
        <button class="btn tiny" data-action="copy" aria-label=what title=what on:click=act>
            {move || if copied.get() { "copied" } else { "copy" }}
        </button>
    }
    .into_any()
}
