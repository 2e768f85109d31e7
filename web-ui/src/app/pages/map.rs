//! The map, home: who runs where, who calls whom, what is wrong; now, or at a moment of the last hour. Handlers are moved
//! from node to node here, with the cost before and after.
//!
//! Promises: the address holds a proposed change and the moment; the picture is laid out by the server and kept while the
//! next is on its way; the past has the same shape as the present.

mod drawing;
mod foot;
mod hour;
mod links;
mod menu;
mod plan;
mod switch;

use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::HandlerName;
use protocol::api::bill::Bill;
use protocol::api::edges::Edge;
use protocol::api::history::History;
use protocol::api::map::{MapQuery, Picture};

use crate::app::live::{Live, Remote, keep, live};
use crate::app::navigation::{Navigation, navigation};
use crate::app::parts::{faces, tags};
use crate::app::{api, shell};
use crate::finding::{self, Ailment};
use crate::format;
use crate::map::past;
use crate::route::{MapAddress, Route, with_query};

/// Until the frame has been measured.
const WIDTH_FIRST: f64 = 1_000.0;
/// The picture is laid out for multiples of this, so that a window that is pulled wider asks seldom.
const WIDTH_STEP: f64 = 8.0;

/// What the page's parts share.
#[derive(Clone, Copy)]
pub struct View {
    live: Live,
    navigation: Navigation,
    address: Memo<MapAddress>,
    /// The moment that is shown; the present without.
    at: RwSignal<Option<u64>>,
    history: RwSignal<Remote<History>>,
    /// The edges now, or then.
    edges: Memo<Vec<Edge>>,
    bill: RwSignal<Remote<Bill>>,
    picture: RwSignal<Remote<Picture>>,
    /// What the picture was asked for with.
    drawn: RwSignal<Option<MapQuery>>,
    width: RwSignal<f64>,
    ailments: Memo<Vec<Ailment>>,
    plan: plan::Plan,
}

/// The page.
pub fn page() -> AnyView {
    shell::title("Map");
    let view = View::start();
    let live = view.live;
    let empty = || {
        faces::empty(
            "No handler yet",
            "A handler is a WebAssembly component in the handlers folder; it appears here within a second.",
            "cp my-handler.wasm data/handlers/",
        )
    };
    let shown = move || faces::one(view.picture, move || view.draw(), move || drawing::drawing(view));
    view! {
        {tags::head(move || title(view), move || about(view), figures(view))}
        {switch::bar(live)}
        <section class="card map-card">
            {faces::list(live.handlers, move || live.read_all(), empty, shown)}
            <p class="map-hint small faint" id="map-hint">"Drag a handler out of its box to run it alone, into another to join it; by keys: m."</p>
        </section>
        {plan::panel(view)}
        {hour::card(view)}
        <div class="columns map-foot">
            {foot::recent(live)}
            <div class="stack">{foot::trouble(live, view.ailments)} {foot::events(view)}</div>
        </div>
    }
    .into_any()
}

impl View {
    fn start() -> Self {
        let live = live();
        let navigation = navigation();
        let address = Memo::new(move |_| match navigation.route.get() {
            Route::Map(address) => address,
            _ => MapAddress::default(),
        });
        let at = RwSignal::new(address.get_untracked().at_unix_ms);
        Effect::new(move |_| at.set(address.get().at_unix_ms));
        let history = hour::follow(live, at);
        let edges = Memo::new(move |_| match at.get() {
            None => live.edges.with(|list| list.ready().cloned().unwrap_or_default()),
            Some(at) => history.with(|history| {
                let shown = history.ready().and_then(|history| {
                    let bucket = past::bucket(history, at)?;
                    Some(past::edges(history, bucket))
                });
                shown.unwrap_or_default()
            }),
        });
        let ailments = Memo::new(move |_| {
            let handlers = live
                .handlers
                .with(|list| list.ready().cloned().unwrap_or_default());
            let nodes = live
                .nodes
                .with(|nodes| nodes.ready().cloned().unwrap_or_default());
            edges.with(|edges| finding::ailments(&handlers, &nodes, edges))
        });
        let view = Self {
            live,
            navigation,
            address,
            at,
            history,
            edges,
            bill: super::edges::follow(),
            picture: RwSignal::new(Remote::Loading),
            drawn: RwSignal::new(None),
            width: RwSignal::new(WIDTH_FIRST),
            ailments,
            plan: plan::Plan::new(),
        };
        view.keep_drawn();
        view
    }

    /// What the picture depends on: who is where, who calls whom, the width, the moment's placement.
    fn keep_drawn(self) {
        let live = self.live;
        let shape = Memo::new(move |_| {
            let places: Vec<_> = live.handlers.with(|list| {
                let handlers = list.ready().into_iter().flatten();
                handlers
                    .map(|handler| (handler.name.clone(), handler.nodes.clone()))
                    .collect()
            });
            let placed: Vec<_> = live.placement.with(|placement| {
                let handlers = placement
                    .ready()
                    .into_iter()
                    .flat_map(|placement| &placement.handlers);
                handlers
                    .map(|(name, place)| (name.clone(), place.node.clone()))
                    .collect()
            });
            let pairs: Vec<(HandlerName, HandlerName)> = live.edges.with(|list| {
                let edges = list.ready().into_iter().flatten();
                edges
                    .map(|edge| (edge.caller.clone(), edge.callee.clone()))
                    .collect()
            });
            (places, placed, pairs)
        });
        let query = Memo::new(move |_| self.query());
        // A first picture of half of it would be drawn anew at once.
        let awaited = Memo::new(move |_| {
            live.handlers.with(Remote::is_loading)
                || live.placement.with(Remote::is_loading)
                || live.edges.with(Remote::is_loading)
        });
        Effect::new(move |_| {
            if awaited.get() {
                return;
            }
            // Read, not only tracked: a memo that nobody reads follows nothing.
            shape.with(|_| ());
            query.with(|_| ());
            live.recoveries.track();
            self.draw();
        });
    }

    fn query(self) -> MapQuery {
        // The placement in force then, so that a slider that is dragged within it asks for nothing.
        let at_unix_ms = self.at.get().map(|at| {
            self.history.with(|history| {
                let places = history.ready().map_or(&[][..], |history| &history.places);
                let placed = places.iter().rev().find(|placed| placed.unix_ms <= at);
                placed.map_or(at, |placed| placed.unix_ms)
            })
        });
        let width = (self.width.get() / WIDTH_STEP).floor() * WIDTH_STEP;
        MapQuery {
            width: width.clamp(200.0, 8_000.0) as u32,
            at_unix_ms,
        }
    }

    /// Whether the picture is of another width or moment than is wanted.
    fn is_stale(self) -> bool {
        let wanted = self.query();
        self.drawn.with(|drawn| drawn.as_ref() != Some(&wanted))
    }

    /// Asks for the picture; the one that is shown stays until the next has come.
    fn draw(self) {
        let query = untrack(|| self.query());
        let mut parameters = vec![("width", query.width.to_string())];
        parameters.extend(query.at_unix_ms.map(|at| ("at_unix_ms", at.to_string())));
        let path = with_query("map", &parameters);
        spawn_local(async move {
            let picture = api::get::<Picture>(&path).await;
            // Something else may be wanted meanwhile.
            let is_wanted = self.width.try_get_untracked().is_some() && untrack(|| self.query()) == query;
            if is_wanted {
                keep(self.picture, picture);
                self.drawn.set(Some(query));
            }
        });
    }
}

fn title(view: View) -> String {
    if let Some(at) = view.at.get() {
        return format!(
            "How it was at {}",
            shell::time_of_day(at).split('.').next().unwrap_or_default()
        );
    }
    let live = view.live;
    let bad = view.ailments.with(|all| {
        all.iter()
            .filter(|ailment| ailment.bad)
            .cloned()
            .collect::<Vec<_>>()
    });
    match bad.as_slice() {
        [] => {}
        [one] => return one.title.clone(),
        [first, rest @ ..] => return format!("{}, and {} more", first.title, rest.len()),
    }
    live.placement.with(|placement| match placement.ready() {
        Some(placement) => finding::map_title(placement),
        None => "Map".to_owned(),
    })
}

fn about(view: View) -> String {
    if let Some(at) = view.at.get() {
        return view.history.with(|history| {
            let placed = history.ready().and_then(|history| {
                let places = history.places.iter().rev();
                places.into_iter().find(|placed| placed.unix_ms <= at)
            });
            let placed = placed.map_or_else(String::new, |placed| format!("{} · ", placed.placement));
            format!(
                "{placed}figures of the 10 s from then; l or the right end of the slider leads back to now"
            )
        });
    }
    let live = view.live;
    live.placement.with(|placement| {
        // While it moves, the switch says how far it is.
        let Some(placement) = placement.ready().filter(|placement| placement.settled) else {
            return "figures of the last 10 s".to_owned();
        };
        let nodes = live
            .nodes
            .with(|nodes| finding::placement(placement, nodes.ready().map_or(&[][..], Vec::as_slice)));
        format!("{nodes} · figures of the last 10 s")
    })
}

/// Whether an edge is one of the doors through which work enters.
fn is_door(edge: &Edge) -> bool {
    edge.caller == HandlerName::ingress() || edge.caller == HandlerName::cli()
}

fn figures(view: View) -> AnyView {
    let live = view.live;
    let sum = move |part: fn(&Edge) -> f64| view.edges.with(|list| list.iter().map(part).sum::<f64>());
    let calls = move || match live.edges.with(|list| list.ready().is_some()) {
        true => format::rate(sum(|edge| edge.rate_per_s)),
        false => "–".to_owned(),
    };
    let errors = move || sum(|edge| edge.error_rate_per_s);
    let door = move || {
        view.edges.with(|list| {
            let doors = list.iter().filter(|edge| is_door(edge) && edge.calls > 0);
            doors.map(|edge| edge.latency_ns.p99).max()
        })
    };
    let recorded = move || {
        live.status.with(|status| {
            let Some(spans) = status.as_ref().map(|status| status.spans) else {
                return "–".to_owned();
            };
            let lost = spans.dropped as f64;
            format::percent(spans.recorded as f64, spans.recorded as f64 + lost)
        })
    };
    let dropped = move || {
        live.status
            .with(|status| status.as_ref().is_some_and(|status| status.spans.dropped > 0))
    };
    view! {
        <div class="figures">
            {tags::figure("calls", calls, || false)}
            {tags::figure("p99 at the door", move || door().map_or_else(|| "–".to_owned(), format::duration), || false)}
            {tags::figure("failed", move || format::percent(errors(), sum(|edge| edge.rate_per_s)), move || errors() > 0.0)}
            {tags::figure("spans recorded", recorded, dropped)}
        </div>
    }
    .into_any()
}
