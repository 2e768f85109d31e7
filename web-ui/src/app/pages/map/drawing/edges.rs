//! The lines between the boxes, with their figures: drawn anew when the layout changes, figures change in place.

use leptos::prelude::*;
use protocol::{HandlerName, Transport};

use super::super::Link;
use crate::app::live::Live;
use crate::map::edges::{Ends, Line, lines};
use crate::map::{Place, Scene};

/// A line's two handlers, by which it is known.
type Key = (HandlerName, HandlerName);

/// Where a line is in the lists, and the link itself.
type Found = (Memo<Option<usize>>, Memo<Option<Link>>);

/// What the lines are drawn from.
#[derive(Clone, Copy)]
struct Drawn {
    live: Live,
    places: Memo<Vec<Place>>,
    links: Memo<Vec<Link>>,
    /// Beside `links`.
    lines: Memo<Vec<Line>>,
}

/// All lines, below all figures.
pub fn edges(live: Live, scene: Memo<Scene>, places: Memo<Vec<Place>>, links: Memo<Vec<Link>>) -> AnyView {
    let lines = Memo::new(move |_| {
        scene.with(|scene| {
            links.with(|links| {
                let ends: Vec<Ends> = links.iter().map(|link| ends(scene, link)).collect();
                lines(scene, &ends)
            })
        })
    });
    let drawn = Drawn {
        live,
        places,
        links,
        lines,
    };
    let keys = move || {
        links.with(|links| {
            links
                .iter()
                .map(|link| (link.from.clone(), link.to.clone()))
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

fn ends(scene: &Scene, link: &Link) -> Ends {
    Ends {
        from: scene.handlers.get(&link.from).copied().unwrap_or_default(),
        to: scene.handlers.get(&link.to).copied().unwrap_or_default(),
        // Room for the longest that it may say, so that labels stay where they are.
        label_chars: link.label().chars().count().max(13),
    }
}

impl Drawn {
    fn find(self, (from, to): Key) -> Found {
        let links = self.links;
        let at = Memo::new(move |_| {
            links.with(|links| links.iter().position(|link| link.from == from && link.to == to))
        });
        let link = Memo::new(move |_| links.with(|links| at.get().and_then(|at| links.get(at)).cloned()));
        (at, link)
    }

    /// Whether two handlers are on different nodes. By place, not by the way that the last call went: a handler that
    /// has moved shows it at once.
    fn apart(self, (from, to): &Key) -> bool {
        self.places.with(|places| {
            let node = |name: &HandlerName| {
                let place = places.iter().find(|place| place.handler == *name);
                place.map(|place| &place.node)
            };
            node(from) != node(to)
        })
    }

    fn line(self, key: Key) -> AnyView {
        let (at, link) = self.find(key.clone());
        let lines = self.lines;
        let path = Memo::new(move |_| {
            lines.with(|lines| {
                at.get()
                    .and_then(|at| lines.get(at))
                    .map(|line| line.path.clone())
                    .unwrap_or_default()
            })
        });
        let hue = self.live.hue(key.0.clone());
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
        let width = move || {
            let rate = link.with(|link| link.as_ref().map_or(0.0, |link| link.rate));
            format!("{:.1}", 1.2 + (1.0 + rate).log10() * 0.65)
        };
        view! { <path class=class data-edge=name d=move || path.get() stroke-width=width></path> }.into_any()
    }

    fn label(self, key: Key) -> AnyView {
        let (at, link) = self.find(key);
        let lines = self.lines;
        let place = Memo::new(move |_| {
            lines.with(|lines| at.get().and_then(|at| lines.get(at)).and_then(|line| line.label))
        });
        let text = move || link.with(|link| link.as_ref().map(Link::label).unwrap_or_default());
        let hidden = move || place.get().is_none() || text().is_empty();
        let transform = move || {
            let (x, y) = place.get().unwrap_or_default();
            format!("translate({x:.1}px, {y:.1}px) translate(-50%, -50%)")
        };
        view! {
            <span
                class="map-label"
                class:failing=move || is_failing(link)
                class:queued=move || is_queued(link)
                hidden=hidden
                style:transform=transform
            >
                {text}
            </span>
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
