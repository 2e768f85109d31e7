//! A node's box: its state and figures now, or how it stood at the moment that is shown.

use leptos::prelude::*;
use protocol::NodeName;
use protocol::api::history::NodeChange;

use super::super::View;
use super::place;
use crate::app::parts::tags;
use crate::format;
use crate::map::past;

/// The box of handlers that no node serves: rejected, or waiting for an import.
const NOWHERE: &str = "nowhere";

/// The box.
#[expect(
    clippy::too_many_lines,
    reason = "one piece of markup, read from top to bottom"
)]
pub fn node_box(view: View, name: NodeName) -> AnyView {
    let live = view.live;
    let wanted = name.clone();
    let rect = Memo::new(move |_| {
        view.picture.with(|picture| {
            let nodes = picture.ready().map_or(&[][..], |picture| &picture.nodes);
            let found = nodes.iter().find(|node| node.name == wanted);
            place(found.map(|node| node.rect).unwrap_or_default())
        })
    });
    let wanted = name.clone();
    let target = move || {
        view.plan.drag.with(|drag| {
            let with = drag
                .as_ref()
                .and_then(|drag| drag.change.as_ref())
                .and_then(|change| change.with.as_ref());
            with.is_some_and(|with| {
                view.picture.with(|picture| {
                    let handlers = picture.ready().map_or(&[][..], |picture| &picture.handlers);
                    handlers
                        .iter()
                        .any(|handler| handler.name == *with && handler.node == wanted)
                })
            })
        })
    };
    // How it stood then, as far as its events tell.
    let wanted = name.clone();
    let then = Memo::new(move |_| {
        let at = view.at.get()?;
        view.history
            .with(|history| past::nodes(history.ready()?, at).get(&wanted).copied())
    });
    let wanted = name.clone();
    let node = Memo::new(move |_| {
        live.nodes.with(|list| {
            list.ready()
                .and_then(|list| list.iter().find(|node| node.name == wanted))
                .cloned()
        })
    });
    let wanted = name.clone();
    let figures = move || {
        if view.at.get().is_some() {
            return then
                .get()
                .filter(|change| *change != NodeChange::Ready)
                .map(|change| change_word(change).to_owned());
        }
        node.with(|node| {
            let node = node.as_ref()?;
            let (_, word) = tags::node_state(node.state);
            if word != "ready" {
                return Some(word.to_owned());
            }
            let cpu = live.cpu.with(|cpu| cpu.get(&wanted).copied());
            let memory = format!("{} MB", node.resident_bytes / 1_000_000);
            Some(cpu.map_or_else(
                || memory.clone(),
                |cpu| format!("{} · {memory}", format::percent(cpu, 1.0)),
            ))
        })
    };
    let state = move || match view.at.get() {
        Some(_) => then.get().map_or("unknown", change_word),
        None => node.with(|node| {
            node.as_ref()
                .map_or("unknown", |node| tags::node_state(node.state).1)
        }),
    };
    let title = if name.as_str() == NOWHERE {
        "not served".to_owned()
    } else {
        name.to_string()
    };
    view! {
        <div
            class="map-node"
            class:target=target
            data-node=name.to_string()
            data-state=state
            style:transform=move || rect.get().0
            style:width=move || rect.get().1
            style:height=move || rect.get().2
        >
            <p class="map-node-head"><span>{title}</span><span class="num">{figures}</span></p>
        </div>
    }
    .into_any()
}

fn change_word(change: NodeChange) -> &'static str {
    match change {
        NodeChange::Starting => "starting",
        NodeChange::Ready => "ready",
        NodeChange::Draining => "draining",
        NodeChange::Down => "down",
        NodeChange::Gone => "gone",
    }
}
