//! Who calls a handler and whom it calls, with rates, live; and how its imports are met.

use leptos::prelude::*;
use protocol::HandlerName;
use protocol::api::edges::Edge;
use protocol::api::handlers::{Handler, Import, ImportKind};
use protocol::api::traces::TraceQuery;

use crate::app::live::{Live, live};
use crate::app::parts::tags;
use crate::format;
use crate::route::Route;

/// Both tables.
pub fn tables(name: &HandlerName) -> AnyView {
    let live = live();
    let (callers, callees) = (name.clone(), name.clone());
    view! {
        <div class="columns">
            <section class="card" aria-label="Callers">
                <h2>"Who calls it"</h2>
                {move || table(live, "Nobody has called it since the start.", &|edge| {
                    (edge.callee == callers).then(|| edge.caller.clone())
                })}
            </section>
            <section class="card" aria-label="Callees">
                <h2>"Whom it calls"</h2>
                {move || table(live, "It has called nobody since the start.", &|edge| {
                    (edge.caller == callees).then(|| edge.callee.clone())
                })}
            </section>
        </div>
    }
    .into_any()
}

fn table(live: Live, none: &'static str, other: &dyn Fn(&Edge) -> Option<HandlerName>) -> AnyView {
    let rows: Vec<AnyView> = live.edges.with(|list| {
        let edges = list.ready().map(Vec::as_slice).unwrap_or_default().iter();
        edges.filter_map(|edge| Some(row(edge, &other(edge)?))).collect()
    });
    if rows.is_empty() {
        return view! { <p class="small soft">{none}</p> }.into_any();
    }
    view! {
        <table class="rows">
            <thead><tr>
                <th scope="col">"handler"</th><th scope="col">"way"</th><th scope="col" class="num">"rate"</th>
                <th scope="col" class="num">"p50"</th><th scope="col" class="num">"p99"</th><th scope="col" class="num">"failed"</th>
            </tr></thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}

fn row(edge: &Edge, other: &HandlerName) -> AnyView {
    let query = TraceQuery {
        edge: Some(format!("{} -> {}", edge.caller, edge.interface.unversioned())),
        ..TraceQuery::default()
    };
    let way = edge.transport.word();
    let bad = edge.error_rate_per_s > 0.0;
    view! {
        <tr class:failing=bad>
            <td>{tags::handler_link(other)}</td>
            <td><span class=format!("way way-{way}")>{way}</span></td>
            <td class="num"><a href=Route::Traces(query).path() title="Traces with this edge">{format::rate(edge.rate_per_s)}</a></td>
            <td class="num">{format::duration(edge.latency_ns.p50)}</td>
            <td class="num">{format::duration(edge.latency_ns.p99)}</td>
            <td class="num" class:bad=bad>{format::count(edge.errors)}</td>
        </tr>
    }
    .into_any()
}

/// The imports: by whom they are met, and who else could.
pub fn imports(handler: &Handler) -> AnyView {
    let mut imports: Vec<&Import> = handler
        .imports
        .iter()
        .filter(|import| import.kind != ImportKind::Types)
        .collect();
    imports.sort_by_key(|import| {
        (
            import.kind != ImportKind::Handler,
            import.kind != ImportKind::BuiltIn,
        )
    });
    let none = imports
        .is_empty()
        .then(|| view! { <p class="soft small">"It needs nothing."</p> });
    let rows: Vec<AnyView> = imports
        .into_iter()
        .map(|import| one(import, &handler.name))
        .collect();
    view! {
        <section class="card" aria-label="Imports">
            <h2>"What it needs"</h2>
            {none}
            <ul class="imports">{rows}</ul>
        </section>
    }
    .into_any()
}

fn one(import: &Import, own: &HandlerName) -> AnyView {
    let provider = match (&import.kind, &import.served_by) {
        (ImportKind::Capability, _) => view! { <span class="soft small">"the host"</span> }.into_any(),
        (ImportKind::BuiltIn, _) => view! { <span class="soft small">"home"</span> }.into_any(),
        (_, Some(handler)) => tags::handler_link(handler),
        (_, None) => view! { <span class="state bad">"nobody serves it"</span> }.into_any(),
    };
    let is_handler = import.kind == ImportKind::Handler;
    let others = is_handler.then(|| others(import, own)).flatten();
    view! {
        <li data-met=(!is_handler || import.served_by.is_some()).to_string()>
            <span class="import-line"><span class="interface-name">{import.interface.to_string()}</span>{provider}</span>
            <span class="small faint">{import.functions.join(", ")}</span>
            {others}
        </li>
    }
    .into_any()
}

/// Handlers that export the same interface and do not serve it to this one.
fn others(import: &Import, own: &HandlerName) -> Option<AnyView> {
    let track = import.interface.track();
    let names: Vec<String> = live().handlers.with_untracked(|list| {
        let handlers = list.ready().map(Vec::as_slice).unwrap_or_default().iter();
        let could = handlers.filter(|other| {
            other.name != *own
                && Some(&other.name) != import.served_by.as_ref()
                && other
                    .exports
                    .iter()
                    .any(|export| export.interface.track() == track)
        });
        could.map(|other| other.name.to_string()).collect()
    });
    (!names.is_empty()).then(|| {
        let text = format!(
            "{} could serve it too: [interface] in cleave.toml chooses",
            format::list(&names)
        );
        view! { <span class="small soft">{text}</span> }.into_any()
    })
}
