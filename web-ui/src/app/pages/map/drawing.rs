//! The picture: boxes that move to their places, lines between them.
//!
//! Promises: a box is the same element before and after a change of placement, so that it moves; positions are
//! transforms set through CSSOM; the transition is the stylesheet's, and none where motion is unwelcome. The lines
//! between the boxes are `drawing/edges.rs`.

mod edges;

use leptos::html;
use leptos::prelude::*;
use protocol::{HandlerName, NodeName};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;

use super::{brief, links};
use crate::app::live::Live;
use crate::finding::Ailment;
use crate::format;
use crate::map::{Place, Rect, Scene, scene};

/// Until the frame has been measured.
const WIDTH_FIRST: f64 = 1_000.0;

/// The picture of what is live.
pub fn drawing(live: Live, ailments: Memo<Vec<Ailment>>) -> AnyView {
    let frame = NodeRef::<html::Div>::new();
    let width = RwSignal::new(WIDTH_FIRST);
    measure(frame, width);
    let places = Memo::new(move |_| places(live));
    let links = Memo::new(move |_| links(live));
    // The shape of the graph changes rarely; figures change each second and must not lay it out again.
    let shape = Memo::new(move |_| {
        places.with(|places| {
            links.with(|links| {
                let at = |name: &HandlerName| places.iter().position(|place| place.handler == *name);
                links
                    .iter()
                    .map(|link| (at(&link.from).unwrap_or(0), at(&link.to).unwrap_or(0)))
                    .collect::<Vec<(usize, usize)>>()
            })
        })
    });
    let scene =
        Memo::new(move |_| places.with(|places| shape.with(|shape| scene(places, shape, width.get()))));
    let nodes = move || scene.with(|scene| scene.nodes.keys().cloned().collect::<Vec<_>>());
    let handlers = move || {
        places.with(|places| {
            places
                .iter()
                .map(|place| place.handler.clone())
                .collect::<Vec<_>>()
        })
    };
    let height = move || format!("{:.0}px", scene.with(|scene| scene.height));
    let full = move || format!("{:.0}px", scene.with(|scene| scene.width));
    view! {
        <div class="map-frame" node_ref=frame>
            <div class="map" class:narrow=move || scene.with(|scene| scene.narrow) class:single=move || scene.with(|scene| scene.nodes.len() == 1) style:height=height style:width=full>
                <For each=nodes key=Clone::clone children=move |name| node_box(live, scene, name) />
                {edges::edges(live, scene, places, links)}
                <For each=handlers key=Clone::clone children=move |name| handler_box(live, scene, ailments, name) />
            </div>
        </div>
    }
    .into_any()
}

/// Keeps `width` at the frame's width.
fn measure(frame: NodeRef<html::Div>, width: RwSignal<f64>) {
    Effect::new(move |_| {
        let Some(frame) = frame.get() else { return };
        let element = frame.clone();
        let read = move || {
            let now = f64::from(element.client_width());
            if now > 0.0 && (now - width.get_untracked()).abs() >= 1.0 {
                width.set(now);
            }
        };
        read();
        let resized = Closure::<dyn FnMut()>::new(read);
        if let Ok(observer) = web_sys::ResizeObserver::new(resized.as_ref().unchecked_ref()) {
            observer.observe(&frame);
            let kept = StoredValue::new_local((observer, resized));
            on_cleanup(move || {
                kept.try_with_value(|(observer, _)| observer.disconnect());
            });
        }
    });
}

/// The box of handlers that no node serves: rejected, or waiting for an import.
const NOWHERE: &str = "nowhere";

/// Where each handler is: what the placement says, else where it serves.
fn places(live: Live) -> Vec<Place> {
    let actual = |name: &HandlerName| {
        live.placement
            .with(|placement| placement.ready()?.handlers.get(name)?.node.clone())
    };
    live.handlers.with(|list| {
        list.ready()
            .into_iter()
            .flatten()
            .map(|handler| Place {
                handler: handler.name.clone(),
                node: actual(&handler.name)
                    .or_else(|| handler.nodes.first().cloned())
                    .unwrap_or_else(nowhere),
            })
            .collect()
    })
}

fn nowhere() -> NodeName {
    NodeName::parse(NOWHERE).expect("a word of letters is a node name")
}

fn place(rect: Option<Rect>) -> (String, String, String) {
    let rect = rect.unwrap_or_default();
    (
        format!("translate({:.1}px, {:.1}px)", rect.x, rect.y),
        format!("{:.1}px", rect.w),
        format!("{:.1}px", rect.h),
    )
}

fn node_box(live: Live, scene: Memo<Scene>, name: NodeName) -> AnyView {
    let wanted = name.clone();
    let rect = Memo::new(move |_| place(scene.with(|scene| scene.nodes.get(&wanted).copied())));
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
        node.with(|node| {
            let node = node.as_ref()?;
            let (_, word) = crate::app::parts::tags::node_state(node.state);
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
    let state = move || {
        node.with(|node| {
            node.as_ref().map_or("unknown", |node| {
                crate::app::parts::tags::node_state(node.state).1
            })
        })
    };
    let title = if name.as_str() == NOWHERE {
        "not served".to_owned()
    } else {
        name.to_string()
    };
    view! {
        <div
            class="map-node"
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

fn handler_box(live: Live, scene: Memo<Scene>, ailments: Memo<Vec<Ailment>>, name: HandlerName) -> AnyView {
    let wanted = name.clone();
    let rect = Memo::new(move |_| place(scene.with(|scene| scene.handlers.get(&wanted).copied())));
    let wanted = name.clone();
    let ailment = Memo::new(move |_| {
        ailments.with(|all| all.iter().find(|ailment| ailment.handler == wanted).cloned())
    });
    let wanted = name.clone();
    let words = move || {
        live.handlers.with(|list| {
            let handler = list.ready()?.iter().find(|handler| handler.name == wanted)?;
            Some(ailment.with(|ailment| brief(handler, ailment.as_ref())))
        })
    };
    let known = name.clone();
    let shown = move || {
        live.handlers.with(|list| {
            let listed = list.ready().into_iter().flatten();
            let found = listed.into_iter().find(|handler| handler.name == known);
            found.map_or_else(
                || known.to_string(),
                |handler| match handler.nodes.len() {
                    0 | 1 => handler.shown_name().to_owned(),
                    replicas => format!("{} ×{replicas}", handler.shown_name()),
                },
            )
        })
    };
    let hue = live.hue(name.clone());
    let sick = move || ailment.with(|ailment| ailment.as_ref().is_some_and(|ailment| ailment.bad));
    let uneasy = move || ailment.with(|ailment| ailment.as_ref().is_some_and(|ailment| !ailment.bad));
    let title = move || {
        ailment.with(|ailment| {
            ailment
                .as_ref()
                .map(|ailment| format!("{}: {}", ailment.title, ailment.sentence))
        })
    };
    view! {
        <a
            class=move || format!("map-handler {}", hue())
            class:sick=sick
            class:uneasy=uneasy
            data-row=""
            data-handler=name.to_string()
            href=format!("/handlers/{name}")
            title=title
            style:transform=move || rect.get().0
            style:width=move || rect.get().1
            style:height=move || rect.get().2
        >
            <b>{shown}</b>
            <span>{words}</span>
        </a>
    }
    .into_any()
}
