//! What happened to nodes, handlers and the placement: read again whenever one of them changes.

use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::api::Page;
use protocol::api::chronicle::Entry;

use crate::app::api;
use crate::app::live::{Remote, keep, live};
use crate::app::parts::{chronicle, faces};

/// The card.
pub fn card() -> AnyView {
    let live = live();
    let entries: RwSignal<Remote<Vec<Entry>>> = RwSignal::new(Remote::Loading);
    let read = move || {
        spawn_local(async move {
            keep(
                entries,
                api::get::<Page<Entry>>("chronicle?limit=60")
                    .await
                    .map(|page| page.items),
            );
        });
    };
    let changed = Memo::new(move |_| {
        let nodes = live.nodes.with(|list| {
            let nodes = list.ready().map(Vec::as_slice).unwrap_or_default().iter();
            nodes
                .map(|node| (node.name.clone(), node.state, node.incarnation))
                .collect::<Vec<_>>()
        });
        let generation = live
            .placement
            .with(|placement| placement.ready().map(|placement| placement.actual_generation));
        let versions = live.handlers.with(|list| {
            let handlers = list.ready().map(Vec::as_slice).unwrap_or_default().iter();
            handlers
                .map(|handler| handler.version.clone())
                .collect::<Vec<_>>()
        });
        (nodes, generation, versions, live.recoveries.get())
    });
    Effect::new(move |_| {
        changed.track();
        read();
    });
    let empty = || {
        faces::empty(
            "Nothing happened yet",
            "Starts, deaths, versions and placements are told here.",
            "",
        )
    };
    view! {
        <section class="card" aria-label="What happened">
            <h2>"What happened since the start"</h2>
            {faces::list(entries, read, empty, move || chronicle::entries(entries))}
        </section>
    }
    .into_any()
}
