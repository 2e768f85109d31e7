//! A node's box: its state and figures now, or how it stood at the moment that is shown.

use leptos::prelude::*;
use protocol::NodeName;
use protocol::api::history::NodeChange;
use protocol::api::nodes::Node;

use super::super::View;
use super::place;
use crate::app::parts::tags;
use crate::format;
use crate::map::past;

/// The box of handlers that no node serves: rejected, or waiting for an import.
const NOWHERE: &str = "nowhere";

/// The box.
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
    let target = move || is_target(view, &wanted);
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
    let figures = move || match view.at.get() {
        Some(_) => {
            let change = then.get().filter(|change| *change != NodeChange::Ready);
            change.map(|change| change_word(change).to_owned())
        }
        None => node.with(|node| node.as_ref().map(|node| figures(view, node))),
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

/// Whether what is dragged would come into this box.
fn is_target(view: View, name: &NodeName) -> bool {
    view.plan.drag.with(|drag| {
        let change = drag.as_ref().and_then(|drag| drag.change.as_ref());
        let Some(with) = change.and_then(|change| change.with.as_ref()) else {
            return false;
        };
        view.picture.with(|picture| {
            let handlers = picture.ready().map_or(&[][..], |picture| &picture.handlers);
            handlers
                .iter()
                .any(|handler| handler.name == *with && handler.node == *name)
        })
    })
}

/// CPU and memory of a node that is ready; of another, its state.
fn figures(view: View, node: &Node) -> String {
    let (_, word) = tags::node_state(node.state);
    if word != "ready" {
        return word.to_owned();
    }
    let memory = format!("{} MB", node.resident_bytes / 1_000_000);
    let cpu = view.live.cpu.with(|cpu| cpu.get(&node.name).copied());
    match cpu {
        Some(cpu) => format!("{} · {memory}", format::percent(cpu, 1.0)),
        None => memory,
    }
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
