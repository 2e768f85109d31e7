//! The lines between the boxes, with their figures: drawn anew when the layout changes, figures change in place.

use leptos::prelude::*;
use protocol::api::map::MapLine;
use protocol::{HandlerName, Transport};

use super::super::View;
use super::super::links::Link;
use crate::app::live::Remote;

/// A line's two handlers, by which it is known.
type Key = (HandlerName, HandlerName);

/// What the lines are drawn from.
#[derive(Clone, Copy)]
struct Drawn {
    view: View,
    links: Memo<Vec<Link>>,
}

/// All lines, below all figures.
pub fn edges(view: View, links: Memo<Vec<Link>>) -> AnyView {
    let drawn = Drawn { view, links };
    let keys = move || {
        view.picture.with(|picture| {
            let lines = picture.ready().map_or(&[][..], |picture| &picture.lines);
            lines
                .iter()
                .map(|line| (line.caller.clone(), line.callee.clone()))
                .collect::<Vec<Key>>()
        })
    };
    view! {
        <svg class="map-lines" aria-hidden="true">
            <For each=keys key=Clone::clone children=move |key| drawn.line(key) />
        </svg>
        <For each=keys key=Clone::clone children=move |key| drawn.label(key) />
    }
    .into_any()
}

impl Drawn {
    fn link(self, (from, to): Key) -> Memo<Option<Link>> {
        Memo::new(move |_| {
            let is_it = |link: &&Link| link.from == from && link.to == to;
            self.links.with(|links| links.iter().find(is_it).cloned())
        })
    }

    fn drawn(self, (from, to): Key) -> Memo<Option<MapLine>> {
        Memo::new(move |_| {
            let is_it = |line: &&MapLine| line.caller == from && line.callee == to;
            self.view
                .picture
                .with(|picture| picture.ready()?.lines.iter().find(is_it).cloned())
        })
    }

    /// Whether two handlers are on different nodes. By place, not by the way that the last call went: a handler that
    /// has moved shows it at once.
    fn apart(self, (from, to): &Key) -> bool {
        self.view.picture.with(|picture| {
            let Remote::Ready(picture) = picture else {
                return false;
            };
            let node = |name: &HandlerName| {
                let found = picture.handlers.iter().find(|handler| handler.name == *name);
                found.map(|handler| &handler.node)
            };
            node(from) != node(to)
        })
    }

    fn line(self, key: Key) -> AnyView {
        let (link, drawn) = (self.link(key.clone()), self.drawn(key.clone()));
        let hue = self.view.live.hue(key.0.clone());
        let name = format!("{}-{}", key.0, key.1);
        let class = move || {
            let kind = match (is_queued(link), self.apart(&key)) {
                (true, _) => "queued",
                (false, true) => "crossing",
                (false, false) => "inside",
            };
            let failing = if is_failing(link) { " failing" } else { "" };
            format!("map-line {kind} {}{failing}", hue())
        };
        let path = move || drawn.with(|line| line.as_ref().map(|line| line.path.clone()));
        let width = move || {
            let rate = link.with(|link| link.as_ref().map_or(0.0, |link| link.rate));
            format!("{:.1}", 1.2 + (1.0 + rate).log10() * 0.65)
        };
        view! { <path class=class data-edge=name d=path stroke-width=width></path> }.into_any()
    }

    fn label(self, key: Key) -> AnyView {
        let name = format!("{}-{}", key.0, key.1);
        let (link, drawn) = (self.link(key.clone()), self.drawn(key));
        let place = Memo::new(move |_| drawn.with(|line| line.as_ref().and_then(|line| line.label)));
        let text = move || link.with(|link| link.as_ref().map(Link::label).unwrap_or_default());
        let title = move || link.with(|link| link.as_ref().map(Link::title));
        // What is read begins with what is seen.
        let spoken = move || {
            link.with(|link| {
                link.as_ref()
                    .map(|link| format!("{}: {}", link.label(), link.title()))
            })
        };
        let hidden = move || place.get().is_none() || text().is_empty();
        let transform = move || {
            let (x, y) = place.get().unwrap_or_default();
            format!("translate({x:.1}px, {y:.1}px) translate(-50%, -50%)")
        };
        view! {
            <a
                class="map-label"
                class:failing=move || is_failing(link)
                class:queued=move || is_queued(link)
                hidden=hidden
                tabindex="-1"
                href="/edges"
                data-label=name
                title=title
                aria-label=spoken
                style:transform=transform
            >
                {text}
            </a>
        }
        .into_any()
    }
}

fn is_failing(link: Memo<Option<Link>>) -> bool {
    link.with(|link| link.as_ref().is_some_and(|link| link.failing))
}

fn is_queued(link: Memo<Option<Link>>) -> bool {
    link.with(|link| {
        link.as_ref()
            .is_some_and(|link| link.transport == Transport::Queue)
    })
}
