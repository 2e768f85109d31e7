//! `Chunks`: the pages' code comes in chunks, each fetched when one of its pages is first wanted.
//!
//! Promises: the shell is there at once, and a page that is here already is drawn without a wait; the chunk behind a
//! link is fetched when the link is pointed at or focused, all others when the browser has nothing better to do, so
//! that an open page works on when its server is replaced; a chunk that cannot be had says so, and can be tried again.
//! Not here: how the module is taken apart (xtask's `web_ui/split.rs`).

use std::time::Duration;

use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::api::problem::Problem;
use wasm_bindgen::JsCast;
use wasm_split_helpers::{SplitLoaderError, wasm_split};

use super::live::live;
use super::navigation;
use super::pages;
use super::parts::faces;
use crate::route::Route;

/// Draws a page of a chunk; of a route that belongs to another chunk, nothing.
type Draw = fn(Route) -> AnyView;

/// After the first page, how long until the chunks of the others are fetched, one after the other.
const IDLE: Duration = Duration::from_secs(2);

/// What is fetched together; `web-ui/loader.js` finds a chunk by the first word of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunk {
    Map,
    Traces,
    Trace,
    Compare,
    Edges,
    Queues,
    Handlers,
    Nodes,
    Learn,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Away,
    Coming,
    Here(Draw),
    Lost,
}

/// Which chunks are here.
#[derive(Clone, Copy)]
pub struct Chunks {
    states: [RwSignal<State>; Chunk::ALL.len()],
    /// The chunk of the page that is shown.
    wanted: RwSignal<Option<Chunk>>,
}

impl Chunk {
    /// In the order in which they are fetched when nobody asks for one.
    const ALL: [Self; 9] = [
        Self::Map,
        Self::Traces,
        Self::Trace,
        Self::Compare,
        Self::Edges,
        Self::Queues,
        Self::Handlers,
        Self::Nodes,
        Self::Learn,
    ];

    /// The chunk that draws a page; the page for unknown addresses is in none.
    fn of(route: &Route) -> Option<Self> {
        Some(match route {
            Route::Map(_) => Self::Map,
            Route::Traces(_) => Self::Traces,
            Route::Trace(..) => Self::Trace,
            Route::Compare(..) => Self::Compare,
            Route::Edges(_) => Self::Edges,
            Route::Queues | Route::Queue(_) => Self::Queues,
            Route::Handlers | Route::Handler(_) => Self::Handlers,
            Route::Nodes => Self::Nodes,
            Route::Learn(_) => Self::Learn,
            Route::Missing(_) => return None,
        })
    }

    async fn fetch(self) -> Result<Draw, SplitLoaderError> {
        match self {
            Self::Map => map().await,
            Self::Traces => traces().await,
            Self::Trace => trace().await,
            Self::Compare => compare().await,
            Self::Edges => edges().await,
            Self::Queues => queues().await,
            Self::Handlers => handlers().await,
            Self::Nodes => nodes().await,
            Self::Learn => learn().await,
        }
    }
}

impl Chunks {
    /// Fetches the chunk of a page at once, the chunks of links that are pointed at, and, later, all.
    pub fn start(first: &Route) -> Self {
        let chunks = Self {
            states: Chunk::ALL.map(|_| RwSignal::new(State::Away)),
            wanted: RwSignal::new(Chunk::of(first)),
        };
        if let Some(chunk) = Chunk::of(first) {
            chunks.fetch(chunk);
        }
        let ahead = move |event: &web_sys::Event| {
            let target = event.target().and_then(|target| target.dyn_into().ok());
            if let Some(chunk) = target.and_then(navigation::leads_to).as_ref().and_then(Chunk::of) {
                chunks.fetch(chunk);
            }
        };
        window_event_listener(ev::pointerover, move |event| ahead(&event));
        window_event_listener(ev::focusin, move |event| ahead(&event));
        // What could not be had while the server was away is tried again.
        Effect::new(move |_| {
            live().recoveries.track();
            if let Some(chunk) = chunks.wanted.get_untracked() {
                chunks.fetch(chunk);
            }
        });
        set_timeout(move || spawn_local(async move { chunks.fetch_all().await }), IDLE);
        chunks
    }

    /// The page of a route: drawn, or the face of its chunk's coming or failing.
    pub fn draw(self, route: Route) -> AnyView {
        self.wanted.set(Chunk::of(&route));
        let Some(chunk) = Chunk::of(&route) else {
            return pages::missing(&route.path());
        };
        match self.state(chunk).get() {
            State::Here(draw) => draw(route),
            State::Lost => lost(move || self.fetch(chunk)),
            State::Away => {
                self.fetch(chunk);
                faces::skeleton()
            }
            State::Coming => faces::skeleton(),
        }
    }

    fn state(self, chunk: Chunk) -> RwSignal<State> {
        self.states[chunk as usize]
    }

    fn fetch(self, chunk: Chunk) {
        if matches!(self.state(chunk).get_untracked(), State::Away | State::Lost) {
            spawn_local(self.bring(chunk));
        }
    }

    /// Fetches a chunk; a failure is said only where its page is wanted.
    async fn bring(self, chunk: Chunk) {
        let state = self.state(chunk);
        state.set(State::Coming);
        state.set(match chunk.fetch().await {
            Ok(draw) => State::Here(draw),
            Err(_) if self.wanted.get_untracked() == Some(chunk) => State::Lost,
            Err(_) => State::Away,
        });
    }

    async fn fetch_all(self) {
        for chunk in Chunk::ALL {
            if matches!(self.state(chunk).get_untracked(), State::Away) {
                self.bring(chunk).await;
            }
        }
    }
}

/// The chunk of a page cannot be had: the server is away, or it has a newer UI.
fn lost(retry: impl Fn() + 'static) -> AnyView {
    let problem = Problem {
        title: "This page cannot be fetched".to_owned(),
        status: 0,
        code: "unreachable".to_owned(),
        detail: "Cleave may be restarting, or it has a newer UI than this page: then reload it.".to_owned(),
        pointer: None,
        trace_id: None,
    };
    faces::failure(&problem, retry)
}

#[wasm_split(map, fallible)]
fn map() -> Result<Draw, SplitLoaderError> {
    Ok(|route| match route {
        Route::Map(_) => pages::map::page(),
        _ => ().into_any(),
    })
}

#[wasm_split(traces, fallible)]
fn traces() -> Result<Draw, SplitLoaderError> {
    Ok(|route| match route {
        Route::Traces(_) => pages::traces::page(),
        _ => ().into_any(),
    })
}

#[wasm_split(trace, fallible)]
fn trace() -> Result<Draw, SplitLoaderError> {
    Ok(|route| match route {
        Route::Trace(id, _) => pages::trace::page(id),
        _ => ().into_any(),
    })
}

#[wasm_split(compare, fallible)]
fn compare() -> Result<Draw, SplitLoaderError> {
    Ok(|route| match route {
        Route::Compare(a, b) => pages::compare::page(a, b),
        _ => ().into_any(),
    })
}

#[wasm_split(edges, fallible)]
fn edges() -> Result<Draw, SplitLoaderError> {
    Ok(|route| match route {
        Route::Edges(_) => pages::edges::page(),
        _ => ().into_any(),
    })
}

#[wasm_split(queues, fallible)]
fn queues() -> Result<Draw, SplitLoaderError> {
    Ok(|route| match route {
        Route::Queues => pages::queues::page(),
        Route::Queue(name) => pages::queue::page(name),
        _ => ().into_any(),
    })
}

#[wasm_split(handlers, fallible)]
fn handlers() -> Result<Draw, SplitLoaderError> {
    Ok(|route| match route {
        Route::Handlers => pages::handlers::page(),
        Route::Handler(name) => pages::handler::page(name),
        _ => ().into_any(),
    })
}

#[wasm_split(nodes, fallible)]
fn nodes() -> Result<Draw, SplitLoaderError> {
    Ok(|route| match route {
        Route::Nodes => pages::nodes::page(),
        _ => ().into_any(),
    })
}

#[wasm_split(learn, fallible)]
fn learn() -> Result<Draw, SplitLoaderError> {
    Ok(|route| match route {
        Route::Learn(step) => pages::learn::page(step),
        _ => ().into_any(),
    })
}
