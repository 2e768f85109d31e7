//! The picture: boxes that move to their places, lines between them; boxes of handlers can be dragged.
//!
//! Promises: a box is the same element before and after a change of placement, so that it moves; positions are
//! transforms set through CSSOM; the transition is the stylesheet's, and none where motion is unwelcome. The lines
//! between the boxes are `drawing/edges.rs`, what a drop means is `crate::map`.

mod drag;
mod edges;
mod node;

use leptos::html;
use leptos::prelude::*;
use protocol::HandlerName;
use protocol::api::map::{Picture, Rect};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;

use super::links::{brief, links};
use super::{View, menu};
use crate::app::live::Remote;
use crate::finding::Ailment;

/// The picture of what is shown.
pub fn drawing(view: View) -> AnyView {
    let frame = NodeRef::<html::Div>::new();
    measure(frame, view.width);
    let read =
        move |part: &dyn Fn(&Picture) -> f64| view.picture.with(|picture| picture.ready().map_or(0.0, part));
    let nodes = move || {
        view.picture.with(|picture| {
            names(picture, |picture| {
                picture.nodes.iter().map(|node| node.name.clone()).collect()
            })
        })
    };
    let handlers = move || {
        view.picture.with(|picture| {
            names(picture, |picture| {
                picture
                    .handlers
                    .iter()
                    .map(|handler| handler.name.clone())
                    .collect()
            })
        })
    };
    let height = move || format!("{:.0}px", read(&|picture| picture.height));
    let full = move || format!("{:.0}px", read(&|picture| picture.width));
    let is = move |what: fn(&Picture) -> bool| {
        move || view.picture.with(|picture| picture.ready().is_some_and(what))
    };
    let splitting = move || {
        view.plan.drag.with(|drag| {
            drag.as_ref()
                .and_then(|drag| drag.change.as_ref())
                .is_some_and(|change| change.with.is_none())
        })
    };
    let links = Memo::new(move |_| view.edges.with(|edges| links(view.live, edges)));
    let rect_of = move |name: &HandlerName| rect_of(view, name);
    view! {
        <div class="map-frame" node_ref=frame>
            <div
                class="map"
                class:narrow=is(|picture| picture.narrow)
                class:single=is(|picture| picture.nodes.len() == 1)
                class:past=move || view.at.get().is_some()
                class:splitting=splitting
                data-stale=move || view.is_stale().to_string()
                style:height=height
                style:width=full
            >
                <For each=nodes key=Clone::clone children=move |name| node::node_box(view, name) />
                {edges::edges(view, links)}
                <For each=handlers key=Clone::clone children=move |name| handler_box(view, name) />
                {menu::menu(view, rect_of)}
            </div>
        </div>
    }
    .into_any()
}

fn names<T>(picture: &Remote<Picture>, read: impl Fn(&Picture) -> Vec<T>) -> Vec<T> {
    picture.ready().map(read).unwrap_or_default()
}

fn rect_of(view: View, name: &HandlerName) -> Rect {
    view.picture.with(|picture| {
        let handlers = picture.ready().map_or(&[][..], |picture| &picture.handlers);
        let found = handlers.iter().find(|handler| handler.name == *name);
        found.map(|handler| handler.rect).unwrap_or_default()
    })
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

fn place(rect: Rect) -> (String, String, String) {
    (
        format!("translate({:.1}px, {:.1}px)", rect.x, rect.y),
        format!("{:.1}px", rect.w),
        format!("{:.1}px", rect.h),
    )
}

fn handler_box(view: View, name: HandlerName) -> AnyView {
    let (live, ailments) = (view.live, view.ailments);
    let wanted = name.clone();
    let at = Memo::new(move |_| rect_of(view, &wanted));
    let wanted = name.clone();
    let dragged = Memo::new(move |_| {
        view.plan.drag.with(|drag| {
            let drag = drag.as_ref().filter(|drag| drag.moved && drag.handler == wanted);
            drag.map(|drag| drag.by)
        })
    });
    let rect = Memo::new(move |_| {
        let (mut rect, (x, y)) = (at.get(), dragged.get().unwrap_or_default());
        (rect.x, rect.y) = (rect.x + x, rect.y + y);
        place(rect)
    });
    let drag = drag::Dragging::new(view, name.clone());
    let wanted = name.clone();
    let ailment = Memo::new(move |_| {
        ailments.with(|all| all.iter().find(|ailment| ailment.handler == wanted).cloned())
    });
    let wanted = name.clone();
    let words = move || {
        live.handlers.with(|list| {
            let handler = list.ready()?.iter().find(|handler| handler.name == wanted)?;
            Some(ailment.with(|ailment| brief(handler, ailment.as_ref(), rate_then(view, &wanted))))
        })
    };
    let known = name.clone();
    let shown = move || shown_name(view, &known);
    let hue = live.hue(name.clone());
    let sick = move || ailment.with(|ailment| ailment.as_ref().is_some_and(|ailment| ailment.bad));
    let uneasy = move || ailment.with(|ailment| ailment.as_ref().is_some_and(|ailment| !ailment.bad));
    let told = |ailment: &Ailment| format!("{}: {}", ailment.title, ailment.sentence);
    let title = move || ailment.with(|ailment| ailment.as_ref().map(told));
    view! {
        <a
            class=move || format!("map-handler {}", hue())
            class:sick=sick
            class:uneasy=uneasy
            class:dragged=move || dragged.get().is_some()
            draggable="false"
            aria-describedby="map-hint"
            on:pointerdown=move |event| drag.begin(&event)
            on:pointermove=move |event| drag.go(&event)
            on:pointerup=move |_| drag.end()
            on:pointercancel=move |_| view.plan.drag.set(None)
            on:click=move |event| drag.click(&event)
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
        {menu::button(view, name.clone(), at)}
    }
    .into_any()
}

/// What a box is called: the handler's name, with the number of its replicas.
fn shown_name(view: View, name: &HandlerName) -> String {
    view.live.handlers.with(|list| {
        let listed = list.ready().into_iter().flatten();
        let found = listed.into_iter().find(|handler| handler.name == *name);
        found.map_or_else(
            || name.to_string(),
            |handler| match handler.nodes.len() {
                0 | 1 => handler.shown_name().to_owned(),
                replicas => format!("{} ×{replicas}", handler.shown_name()),
            },
        )
    })
}

/// Calls per second that a handler served then, where the past is shown.
fn rate_then(view: View, name: &HandlerName) -> Option<f64> {
    view.at.get()?;
    let rates = |edges: &Vec<protocol::api::edges::Edge>| {
        let own = edges.iter().filter(|edge| edge.callee == *name);
        own.map(|edge| edge.rate_per_s).sum::<f64>()
    };
    Some(view.edges.with(rates))
}
