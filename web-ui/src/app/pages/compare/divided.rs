//! Changes of placement and versions of this run, each as a comparison of the traces before it with those after it.

use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::api::Page;
use protocol::api::chronicle::Entry;

use crate::app::{api, shell};
use crate::changes::{Change, changes};
use crate::route::Route;

/// Changes that are offered.
const SHOWN_MAX: usize = 8;

/// The card; nothing where nothing has changed since the start.
pub fn card() -> AnyView {
    let found: RwSignal<Vec<Change>> = RwSignal::new(Vec::new());
    spawn_local(async move {
        // Where it cannot be read, the page says so by its main part.
        if let Ok(page) = api::get::<Page<Entry>>("chronicle?limit=200").await {
            let now_ms = js_sys::Date::now() as u64;
            let _ = found.try_set(changes(&page.items, now_ms));
        }
    });
    (move || {
        found.with(|found| {
            let rows: Vec<_> = found.iter().take(SHOWN_MAX).map(row).collect();
            (!rows.is_empty()).then(|| {
                view! {
                    <section class="card" data-divided="">
                        <h2>"Before and after a change"</h2>
                        <ul>{rows}</ul>
                    </section>
                }
            })
        })
    })
    .into_any()
}

fn row(change: &Change) -> AnyView {
    let href = Route::Compare(change.before.clone(), change.after.clone()).path();
    view! {
        <li>
            <span class="num faint">{shell::time_of_day(change.unix_ms)}</span> " "
            <a href=href data-action="compare-change">{change.text.clone()}</a>
        </li>
    }
    .into_any()
}
