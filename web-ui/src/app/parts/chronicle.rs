//! Entries of the chronicle: when, to whom, and what happened.

use leptos::prelude::*;
use protocol::api::chronicle::{Entry, Happening};

use super::tags;
use crate::app::live::Remote;
use crate::app::shell;
use crate::finding;

/// The entries, the newest first.
pub fn entries(list: RwSignal<Remote<Vec<Entry>>>) -> AnyView {
    (move || {
        let rows = list.with(|list| {
            list.ready()
                .map(|list| list.iter().map(entry).collect::<Vec<_>>())
        });
        view! { <ul class="chronicle">{rows}</ul> }
    })
    .into_any()
}

fn entry(entry: &Entry) -> AnyView {
    let (class, word) = word(entry.what);
    let who = match (&entry.node, &entry.handler) {
        (Some(node), _) => view! { <b>{node.to_string()}</b> }.into_any(),
        (_, Some(handler)) => tags::handler_link(handler),
        _ => ().into_any(),
    };
    view! {
        <li data-happening=word>
            <time class="num-left faint">{shell::time_of_day(entry.unix_ms)}</time>
            <span class=class>{word}</span>
            <span class="chronicle-text">{who}" "<span class="soft">{finding::sentence_case(&entry.text)}"."</span></span>
        </li>
    }
    .into_any()
}

fn word(what: Happening) -> (&'static str, &'static str) {
    match what {
        Happening::NodeStarted => ("state soft", "started"),
        Happening::NodeReady => ("state ok", "ready"),
        Happening::NodeDraining => ("state warn", "draining"),
        Happening::NodeStopped => ("state soft", "stopped"),
        Happening::NodeDied => ("state bad", "died"),
        Happening::PapersRenewed => ("state soft", "renewed"),
        Happening::HandlerServes => ("state ok", "version"),
        Happening::HandlerRefused => ("state bad", "refused"),
        Happening::HandlerGone => ("state warn", "gone"),
        Happening::Placed => ("state ok", "placed"),
        Happening::NotPlaced => ("state bad", "not placed"),
    }
}
