//! The menu of a handler's box: the same moves as dragging, by keys and for who hears the page.

use leptos::ev::KeyboardEvent;
use leptos::html;
use leptos::prelude::*;
use protocol::api::map::Rect;
use protocol::{HandlerName, NodeName};
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

use super::{View, plan};
use crate::map::{Move, move_words};

/// The most nodes that a menu names; dragging reaches the others.
const NODES: usize = 16;

/// The button beside a box.
pub fn button(view: View, name: HandlerName, rect: Memo<Rect>) -> AnyView {
    let at = move || {
        let rect = rect.get();
        format!(
            "translate({:.1}px, {:.1}px)",
            rect.x + rect.w - 24.0,
            rect.y + 3.0
        )
    };
    let label = format!("Move {name}");
    let wanted = name.clone();
    let open = move || {
        view.plan
            .menu
            .with(|menu| menu.as_ref() == Some(&wanted))
            .to_string()
    };
    let press = move |_| {
        let next = view.plan.menu.with_untracked(|menu| menu.as_ref() != Some(&name));
        view.plan.menu.set(next.then(|| name.clone()));
    };
    view! {
        <button class="map-more" data-action="menu" tabindex="-1" aria-haspopup="menu" aria-expanded=open aria-label=label style:transform=at on:click=press>
            <span aria-hidden="true">"···"</span>
        </button>
    }
    .into_any()
}

/// The open menu, below its box.
pub fn menu(view: View, rect_of: impl Fn(&HandlerName) -> Rect + Copy + Send + Sync + 'static) -> AnyView {
    (move || {
        let handler = view.plan.menu.get()?;
        let rect = rect_of(&handler);
        Some(list(view, handler, rect))
    })
    .into_any()
}

/// Where a handler can go: to a node of its own, and to each node that serves another.
fn moves(view: View, handler: &HandlerName) -> Vec<(Move, String)> {
    let nodes = view.picture.with(|picture| {
        let Some(picture) = picture.ready() else {
            return Vec::new();
        };
        let Some(own) = picture.handlers.iter().find(|known| known.name == *handler) else {
            return Vec::new();
        };
        let alone = picture
            .handlers
            .iter()
            .filter(|known| known.node == own.node)
            .count()
            == 1;
        let mut nodes: Vec<(Option<HandlerName>, NodeName)> = Vec::new();
        if !alone || own.node == NodeName::home() {
            nodes.push((None, own.node.clone()));
        }
        for other in &picture.handlers {
            let known = nodes
                .iter()
                .any(|(with, node)| with.is_some() && *node == other.node);
            if other.node != own.node && !known && other.node.as_str() != "nowhere" {
                nodes.push((Some(other.name.clone()), other.node.clone()));
            }
        }
        let home = NodeName::home();
        if own.node != home && !nodes.iter().any(|(with, node)| with.is_some() && *node == home) {
            nodes.push((HandlerName::parse(home.as_str()).ok(), home));
        }
        nodes
    });
    nodes
        .into_iter()
        .take(NODES)
        .map(|(with, node)| {
            let words = match &with {
                None => "Run alone".to_owned(),
                Some(_) => format!("Join {node}"),
            };
            let change = Move {
                handler: handler.clone(),
                with,
            };
            (change, words)
        })
        .collect()
}

fn list(view: View, handler: HandlerName, rect: Rect) -> AnyView {
    let place = format!("translate({:.1}px, {:.1}px)", rect.x, rect.y + rect.h + 6.0);
    let frame = NodeRef::<html::Div>::new();
    Effect::new(move |_| {
        if let Some(first) = frame.get().and_then(|frame| items(&frame).into_iter().next()) {
            // Fails only where it cannot have the focus; it can.
            let _ = first.focus();
        }
    });
    let label = format!("Move {handler}");
    let name = handler.clone();
    let items_shown = moves(view, &handler)
        .into_iter()
        .map(|(change, words)| {
            let told = plan::forecast(view, &change);
            let to = move_words(&change);
            let act = move |_| {
                view.plan.menu.set(None);
                plan::go(view, change.clone());
            };
            view! {
                <button role="menuitem" data-move=to on:click=act>
                    <b>{words}</b><span class="small soft">{told}</span>
                </button>
            }
        })
        .collect_view();
    let leave = move || {
        view.plan.menu.set(None);
        let back = document()
            .query_selector(&format!("[data-handler='{name}']"))
            .ok()
            .flatten();
        if let Some(back) = back.and_then(|back| back.dyn_into::<HtmlElement>().ok()) {
            // Fails only where the box has gone meanwhile.
            let _ = back.focus();
        }
    };
    let key = move |event: KeyboardEvent| {
        let Some(frame) = frame.get_untracked() else {
            return;
        };
        let by = match event.key().as_str() {
            "ArrowDown" | "j" => 1,
            "ArrowUp" | "k" => -1,
            "Escape" | "Tab" => {
                event.prevent_default();
                leave();
                return;
            }
            _ => return,
        };
        event.prevent_default();
        step(&frame, by);
    };
    view! {
        <div class="map-menu" role="menu" aria-label=label node_ref=frame style:transform=place on:keydown=key>
            {items_shown}
        </div>
    }
    .into_any()
}

fn items(frame: &HtmlElement) -> Vec<HtmlElement> {
    let Ok(list) = frame.query_selector_all("[role=menuitem]") else {
        return Vec::new();
    };
    (0..list.length())
        .filter_map(|at| list.item(at)?.dyn_into().ok())
        .collect()
}

fn step(frame: &HtmlElement, by: isize) {
    let items = items(frame);
    let active = document().active_element();
    let at = items
        .iter()
        .position(|item| Some(item.as_ref()) == active.as_ref());
    let next = at.map_or(0, |at| {
        at.saturating_add_signed(by).min(items.len().saturating_sub(1))
    });
    if let Some(item) = items.get(next) {
        // Fails only where it cannot have the focus; it can.
        let _ = item.focus();
    }
}
