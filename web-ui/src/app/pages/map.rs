//! The map, home: who runs where, who calls whom, what is wrong; and the switch between together and apart.

mod drawing;
mod switch;

use leptos::prelude::*;
use protocol::api::handlers::Handler;
use protocol::{HandlerName, Transport};

use super::traces::summary_row;
use crate::app::live::{Live, Remote, keep, live};
use crate::app::parts::{faces, tags};
use crate::app::{api, shell};
use crate::finding::{self, Ailment};
use crate::format;
use crate::route::Route;
use protocol::api::Page;
use protocol::api::edges::Edge;
use protocol::api::traces::{TraceQuery, TraceSummary};

/// The traces that the map shows below itself.
const RECENT: usize = 6;

/// The page.
pub fn page() -> AnyView {
    shell::title("Map");
    let live = live();
    let ailments = Memo::new(move |_| {
        let handlers = live
            .handlers
            .with(|list| list.ready().cloned().unwrap_or_default());
        live.nodes.with(|nodes| {
            live.edges.with(|edges| {
                let none = (Vec::new(), Vec::new());
                finding::ailments(
                    &handlers,
                    nodes.ready().unwrap_or(&none.0),
                    edges.ready().unwrap_or(&none.1),
                )
            })
        })
    });
    let empty = || {
        faces::empty(
            "No handler yet",
            "A handler is a WebAssembly component in the handlers folder; it appears here within a second.",
            "cp my-handler.wasm data/handlers/",
        )
    };
    view! {
        {tags::head(move || title(live, ailments), move || about(live), figures(live))}
        {switch::bar(live)}
        <section class="card map-card">
            {faces::list(live.handlers, move || live.read_all(), empty, move || drawing::drawing(live, ailments))}
        </section>
        <div class="columns map-foot">
            {recent(live)}
            {trouble(live, ailments)}
        </div>
    }
    .into_any()
}

fn title(live: Live, ailments: Memo<Vec<Ailment>>) -> String {
    let bad = ailments.with(|all| {
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

fn about(live: Live) -> String {
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

fn figures(live: Live) -> AnyView {
    let sum = move |part: fn(&Edge) -> f64| {
        live.edges.with(|list| {
            list.ready()
                .map_or(0.0, |list| list.iter().map(part).sum::<f64>())
        })
    };
    let calls = move || match live.edges.with(|list| list.ready().is_some()) {
        true => format::rate(sum(|edge| edge.rate_per_s)),
        false => "–".to_owned(),
    };
    let errors = move || sum(|edge| edge.error_rate_per_s);
    let door = move || {
        live.edges.with(|list| {
            let doors = list
                .ready()?
                .iter()
                .filter(|edge| is_door(edge) && edge.calls > 0);
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

/// What is wrong, in sentences; or that nothing is.
fn trouble(live: Live, ailments: Memo<Vec<Ailment>>) -> AnyView {
    let cards = move || {
        let all = ailments.get();
        if all.is_empty() {
            return quiet(live);
        }
        all.into_iter()
            .map(|ailment| {
                let failed = Route::Traces(TraceQuery {
                    handler: Some(ailment.handler.clone()),
                    status: Some("error".to_owned()),
                    ..TraceQuery::default()
                });
                let name = ailment.handler.clone();
                let traces = ailment.bad.then(|| view! { <a class="btn small" href=failed.path()>"Failed traces"</a> });
                view! {
                    <div class="ailment" data-ailment=name.to_string()>
                        <h2 class=if ailment.bad { "bad" } else { "warn" }>{ailment.title}</h2>
                        <p class="small soft">{ailment.sentence}</p>
                        <p class="buttons">{traces}<a class="btn small" href=Route::Handler(name.clone()).path()>"Handler"</a></p>
                    </div>
                }
            })
            .collect_view()
            .into_any()
    };
    view! { <section class="card" aria-live="polite">{cards}</section> }.into_any()
}

/// Well only where something was looked at.
fn quiet(live: Live) -> AnyView {
    let handlers = live.handlers.with(|list| list.ready().map(Vec::len));
    let (title, words) = match handlers {
        None => ("Looking", "Handlers, nodes and calls are being read."),
        Some(0) => (
            "Nothing to watch yet",
            "What is wrong with a handler is said here, in a sentence.",
        ),
        Some(_) => (
            "All is well",
            "Every handler serves, no node is down, no call failed in the last 10 s.",
        ),
    };
    view! { <h2>{title}</h2><p class="small soft">{words}</p> }.into_any()
}

fn recent(live: Live) -> AnyView {
    let list: RwSignal<Remote<Vec<TraceSummary>>> = RwSignal::new(Remote::Loading);
    let read = move || {
        leptos::task::spawn_local(async move {
            let page = api::get::<Page<TraceSummary>>("traces?limit=6").await;
            keep(list, page.map(|page| page.items));
        });
    };
    Effect::new(move |_| {
        live.recoveries.track();
        read();
    });
    Effect::new(move |_| {
        let fresh = live.fresh.get();
        list.update(|list| {
            let Remote::Ready(list) = list else { return };
            for trace in fresh {
                if !list.iter().any(|known| known.trace_id == trace.trace_id) {
                    list.insert(0, trace);
                }
            }
            list.truncate(RECENT);
        });
    });
    let longest = Memo::new(move |_| {
        list.with(|list| {
            list.ready()
                .and_then(|list| list.iter().map(|trace| trace.duration_ns).max())
                .unwrap_or(1)
        })
    });
    let empty = || {
        faces::empty(
            "No trace yet",
            "Open a page of the shop: each request becomes a trace.",
            "",
        )
    };
    let rows = move || {
        let keys = move || {
            list.with(|list| {
                list.ready()
                    .map(|list| list.iter().map(|trace| trace.trace_id).collect::<Vec<_>>())
                    .unwrap_or_default()
            })
        };
        let row = move |id| {
            let trace = list.with_untracked(|list| {
                list.ready()
                    .and_then(|list| list.iter().find(|trace| trace.trace_id == id))
                    .cloned()
            });
            trace.map_or_else(|| ().into_any(), |trace| summary_row(&trace, longest))
        };
        view! { <table class="rows compact"><tbody><For each=keys key=|id| *id children=row /></tbody></table> }.into_any()
    };
    view! {
        <section class="card recent">
            <div class="card-head"><h2>"Newest traces"</h2><a class="small" href="/traces">"all"</a></div>
            {faces::list(list, read, empty, rows)}
        </section>
    }
    .into_any()
}

/// What a handler's box says below its name.
fn brief(handler: &Handler, waiting: Option<&Ailment>) -> String {
    if let Some(ailment) = waiting {
        return ailment.brief.clone();
    }
    let rate = format::rate(handler.figures.rate_per_s);
    if handler.http {
        format!("{rate} · http")
    } else {
        rate
    }
}

/// Several edges between the same two handlers, as one line.
#[derive(Debug, Clone, PartialEq)]
struct Link {
    from: HandlerName,
    to: HandlerName,
    transport: Transport,
    rate: f64,
    p99: u64,
    failing: bool,
    depth: Option<u64>,
}

impl Link {
    fn label(&self) -> String {
        match self.depth {
            Some(0) => "queue · empty".to_owned(),
            Some(depth) => format!("queue · {} wait", format::count(depth)),
            None if self.rate <= 0.0 && self.p99 == 0 => String::new(),
            None => format!("{} · {}", format::rate(self.rate), brief_duration(self.p99)),
        }
    }
}

/// Two digits are enough on a line.
fn brief_duration(ns: u64) -> String {
    let text = format::duration(ns);
    match text.split_once(' ') {
        Some((number, unit)) if number.len() > 3 && number.contains('.') => {
            let cut = number
                .get(..number.len() - 1)
                .unwrap_or(number)
                .trim_end_matches('.');
            format!("{cut} {unit}")
        }
        _ => text,
    }
}

/// The lines of the map: calls between handlers that are on it.
fn links(live: Live) -> Vec<Link> {
    let known = |name: &HandlerName| {
        live.handlers.with(|list| {
            list.ready()
                .is_some_and(|list| list.iter().any(|handler| handler.name == *name))
        })
    };
    let mut links: Vec<Link> = Vec::new();
    live.edges.with(|list| {
        for edge in list.ready().into_iter().flatten() {
            if edge.caller == edge.callee || !known(&edge.caller) || !known(&edge.callee) {
                continue;
            }
            let depth = edge.queue.as_ref().map(|queue| queue.depth);
            let same = links
                .iter_mut()
                .find(|link| link.from == edge.caller && link.to == edge.callee);
            let failing = edge.error_rate_per_s > 0.0;
            match same {
                Some(link) => {
                    link.rate += edge.rate_per_s;
                    link.p99 = link.p99.max(edge.latency_ns.p99);
                    link.failing |= failing;
                }
                None => links.push(Link {
                    from: edge.caller.clone(),
                    to: edge.callee.clone(),
                    transport: edge.transport,
                    rate: edge.rate_per_s,
                    p99: edge.latency_ns.p99,
                    failing,
                    depth,
                }),
            }
        }
    });
    links.sort_by(|a, b| (&a.from, &a.to).cmp(&(&b.from, &b.to)));
    links
}
