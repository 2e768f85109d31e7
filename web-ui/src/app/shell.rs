//! The rail with the pages, and the banner for when the server is away.

use std::time::Duration;

use leptos::prelude::*;

use super::live::{Live, live};
use super::navigation::Navigation;
use super::theme;
use crate::format;

/// The navigation: a rail at the side, a strip at the top of a phone.
pub fn rail(navigation: Navigation, help: RwSignal<bool>) -> impl IntoView {
    let live = live();
    let entry = move |section: &'static str, word: &'static str, count: AnyView| {
        let current = move || {
            navigation
                .route
                .with(|route| route.section() == section)
                .then_some("page")
        };
        let href = if section == "map" {
            "/".to_owned()
        } else {
            format!("/{section}")
        };
        view! { <a href=href data-nav=section aria-current=current>{word}<span class="n">{count}</span></a> }
    };
    let counted =
        move |count: fn(Live) -> Option<usize>| (move || count(live).map(|n| n.to_string())).into_any();
    view! {
        <nav class="rail" aria-label="Pages">
            <a class="brand" href="/" aria-label="Cleave">{logo()}<span>"Cleave"</span></a>
            {entry("map", "Map", ().into_any())}
            {entry("traces", "Traces", ().into_any())}
            {entry("edges", "Edges", counted(|live| live.edges.with(|list| list.ready().map(Vec::len))))}
            {entry("queues", "Queues", counted(|live| live.queues.with(|list| list.ready().map(Vec::len))))}
            {entry("handlers", "Handlers", counted(|live| live.handlers.with(|list| list.ready().map(Vec::len))))}
            {entry("nodes", "Nodes", counted(|live| live.nodes.with(|list| list.ready().map(Vec::len))))}
            {entry("learn", "Learn", ().into_any())}
            <div class="rail-foot">
                {theme::toggle()}
                <button class="rail-button" data-action="help" title="Keys" on:click=move |_| help.set(true)>
                    <kbd aria-hidden="true">"?"</kbd><span class="rail-word">"Keys"</span>
                </button>
                <p class="version faint">
                    {move || live.status.with(|status| status.as_ref().map(|status| format!("cleave {}", status.version)))}
                </p>
            </div>
        </nav>
    }
}

/// The mark: one block, cleft.
fn logo() -> impl IntoView {
    view! {
        <svg class="logo" width="22" height="22" viewBox="0 0 22 22" aria-hidden="true">
            <path d="M2 3h7.2L7 19H2z" fill="currentColor"></path>
            <path class="seam-fill" d="M12.4 3H20v16h-9.8z"></path>
        </svg>
    }
}

/// Says calmly that the server is away, since when, and that it is looked for.
pub fn banner() -> impl IntoView {
    let live = live();
    let shown = RwSignal::new(false);
    Effect::new(move |_| {
        if live.lost.get().is_none() {
            shown.set(false);
        }
    });
    set_interval(
        move || shown.set(live.lost_for_long()),
        Duration::from_millis(400),
    );
    let since = move || {
        let since = live.lost.get().unwrap_or_else(js_sys::Date::now);
        time_of_day(since as u64)
    };
    view! {
        <div class="banner" role="status" data-banner="lost" hidden=move || !shown.get()>
            <span class="pulse" aria-hidden="true"></span>
            <span>"Cleave does not answer. You see how it was at " <b class="num">{since}</b> "; it is tried again."</span>
        </div>
    }
}

/// A moment as this browser's time of day.
pub fn time_of_day(unix_ms: u64) -> String {
    let date = js_sys::Date::new(&(unix_ms as f64).into());
    format::time_of_day(unix_ms, -(date.get_timezone_offset() as i64))
}

/// Sets the document's title.
pub fn title(text: &str) {
    document().set_title(&format!("{text} · Cleave"));
}
