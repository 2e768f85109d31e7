//! Edges: who calls whom, how often, how long it takes and how it fails; every call, sampled or not.

use leptos::prelude::*;
use protocol::api::edges::Edge;
use protocol::api::traces::TraceQuery;
use protocol::{HandlerName, InterfaceName, Transport};

use crate::app::live::{Live, live};
use crate::app::parts::{faces, tags};
use crate::app::shell;
use crate::finding;
use crate::format;
use crate::route::Route;

/// The page.
pub fn page() -> AnyView {
    shell::title("Edges");
    let live = live();
    let title = move || {
        live.edges.with(|list| {
            list.ready()
                .map_or_else(|| "Edges".to_owned(), |list| headline(list))
        })
    };
    let empty = || {
        faces::empty(
            "No call yet",
            "An edge appears with the first call from one handler to another. Open the shop, or send it some load.",
            "cleave load --duration 10s",
        )
    };
    view! {
        {tags::head(title, "From a handler to an interface of another; rates over the last 10 s, latencies since start, as the caller saw them.", ())}
        <section class="card flush">
            {faces::list(live.edges, move || live.read_all(), empty, move || table(live))}
        </section>
    }
    .into_any()
}

fn headline(list: &[Edge]) -> String {
    if list.is_empty() {
        return "Edges".to_owned();
    }
    let edges = format::plural(list.len() as u64, "edge", "edges");
    match list.iter().max_by(|a, b| a.rate_per_s.total_cmp(&b.rate_per_s)) {
        Some(busiest) if busiest.rate_per_s > 0.0 => format!(
            "{edges}, the busiest {} → {} with {}",
            busiest.caller,
            busiest.callee,
            format::rate(busiest.rate_per_s)
        ),
        _ => format!("{edges}, all quiet"),
    }
}

type Key = (HandlerName, HandlerName, InterfaceName);

fn key(edge: &Edge) -> Key {
    (edge.caller.clone(), edge.callee.clone(), edge.interface.clone())
}

fn table(live: Live) -> AnyView {
    let keys = move || {
        live.edges.with(|list| {
            list.ready()
                .map(|list| list.iter().map(key).collect::<Vec<_>>())
                .unwrap_or_default()
        })
    };
    view! {
        <table class="rows">
            <thead>
                <tr>
                    <th>"edge"</th>
                    <th class="wider">"interface"</th>
                    <th class="wide">"way"</th>
                    <th class="num">"rate"</th>
                    <th class="num">"p50"</th>
                    <th class="num">"p99"</th>
                    <th class="num wide">"p99.9"</th>
                    <th class="num wide">"calls"</th>
                    <th class="num wide">"failed"</th>
                    <th class="num wide">"own err"</th>
                    <th class="num wider">"bytes out, back"</th>
                </tr>
            </thead>
            <tbody>
                <For each=keys key=Clone::clone children=move |wanted| row(live, wanted) />
            </tbody>
        </table>
    }
    .into_any()
}

fn row(live: Live, wanted: Key) -> impl IntoView {
    let (caller, callee, interface) = wanted.clone();
    let edge = Memo::new(move |_| {
        live.edges.with(|list| {
            list.ready()
                .and_then(|list| list.iter().find(|edge| key(edge) == wanted))
                .cloned()
        })
    });
    let text = move |cell: fn(&Edge) -> String| move || edge.with(|edge| edge.as_ref().map(cell));
    let way = move || {
        edge.with(|edge| {
            let transport = edge.as_ref().map(|edge| edge.transport);
            transport.map_or("", Transport::word)
        })
    };
    // What the way is made to do, or what it is not because the two share a node.
    let shaping = move || {
        edge.with(|edge| edge.as_ref().and_then(finding::way_words))
            .map(|words| view! { <span class="small soft way-words">" "{words}</span> })
    };
    let failing = move || edge.with(|edge| edge.as_ref().is_some_and(|edge| edge.error_rate_per_s > 0.0));
    let query = TraceQuery {
        edge: Some(format!("{caller} -> {}", interface.unversioned())),
        ..TraceQuery::default()
    };
    view! {
        <tr data-edge=format!("{caller}-{callee}") class:failing=failing>
            <td>
                <a class="row-link edge-name" data-row="" href=Route::Traces(query).path()>
                    {tags::handler(&caller)}<span class="faint">" → "</span>{tags::handler(&callee)}
                </a>
                <span class=move || format!("narrow-only way way-{}", way())>{way}</span>
            </td>
            <td class="wider small soft">{interface.to_string()}</td>
            <td class="wide"><span class=move || format!("way way-{}", way())>{way}</span>{shaping}</td>
            <td class="num">{text(|edge| format::rate(edge.rate_per_s))}</td>
            <td class="num">{text(|edge| format::duration(edge.latency_ns.p50))}</td>
            <td class="num">{text(|edge| format::duration(edge.latency_ns.p99))}</td>
            <td class="num wide">{text(|edge| format::duration(edge.latency_ns.p99_9))}</td>
            <td class="num wide">{text(|edge| format::count(edge.calls))}</td>
            <td class="num wide" class:bad=failing>{text(|edge| format::count(edge.errors))}</td>
            <td class="num wide">{text(|edge| format::count(edge.errs))}</td>
            <td class="num wider faint">
                {text(|edge| format!("{}, {}", format::bytes(edge.bytes_in), format::bytes(edge.bytes_out)))}
            </td>
        </tr>
    }
}
