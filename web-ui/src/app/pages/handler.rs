//! One handler: where it stands, what it offers and needs, who calls it, what it wrote, and a call by hand.

mod call;
mod contract;
mod logs;
mod neighbours;

use std::sync::Arc;

use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::HandlerName;
use protocol::api::Page;
use protocol::api::chronicle::Entry;
use protocol::api::handlers::{Figures, Handler, HandlerDetail, HandlerState, InstanceEnds};
use protocol::api::traces::TraceQuery;

use super::handlers::{compiled, upload};
use crate::app::live::{Remote, keep, live};
use crate::app::navigation::navigation;
use crate::app::parts::{chronicle, confirm, faces, tags};
use crate::app::{api, shell};
use crate::route::Route;
use crate::{finding, format};

/// The page.
pub fn page(name: HandlerName) -> AnyView {
    shell::title(name.as_str());
    let live = live();
    let detail: RwSignal<Remote<HandlerDetail>> = RwSignal::new(Remote::Loading);
    let path = StoredValue::new(format!("handlers/{name}"));
    let read = move || {
        let path = path.get_value();
        spawn_local(async move { keep(detail, api::get(&path).await) });
    };
    // A new version of the file shows by itself.
    let wanted = name.clone();
    let version = Memo::new(move |_| {
        live.handlers.with(|list| {
            let found = list.ready()?.iter().find(|handler| handler.name == wanted)?;
            Some((found.version.clone(), found.state.clone(), found.nodes.clone()))
        })
    });
    Effect::new(move |_| {
        version.track();
        live.recoveries.track();
        read();
    });
    let traces = Route::Traces(TraceQuery {
        handler: Some(name.clone()),
        ..TraceQuery::default()
    })
    .path();
    let title = tags::handler(&name);
    let (gone, newer) = (name.clone(), name.clone());
    let go = navigation();
    let remove = confirm::button(
        "Delete",
        "delete",
        "Its file is removed; calls to it fail from then on.",
        move |said| {
            let path = format!("handlers/{gone}");
            spawn_local(async move {
                match api::delete(&path).await {
                    Ok(()) => go.go(&Route::Handlers),
                    Err(problem) => said.set(Some(problem.detail)),
                }
            });
        },
    );
    let about = move || {
        live.handlers.with(|list| {
            list.ready()
                .and_then(|list| list.iter().find(|handler| handler.name == name))
                .map(about)
        })
    };
    view! {
        {tags::head(title, about, view! { <div class="buttons"><a class="btn" href=traces>"Its traces"</a>{remove}</div> })}
        {upload::zone(Some(newer))}
        {faces::one(detail, read, move || {
            detail.with(|detail| detail.ready().map(body)).into_any()
        })}
    }
    .into_any()
}

fn about(handler: &Handler) -> String {
    let nodes: Vec<&str> = handler.nodes.iter().map(|node| node.as_str()).collect();
    let place = if nodes.is_empty() {
        "on no node".to_owned()
    } else {
        format!("on {}", format::list(&nodes))
    };
    format!(
        "{place} · {} · {} calls, {} failed · {} instances made",
        format::rate(handler.figures.rate_per_s),
        format::count(handler.figures.calls),
        format::count(handler.figures.errors),
        format::count(handler.figures.instances_made)
    )
}

fn body(detail: &HandlerDetail) -> AnyView {
    let handler = &detail.handler;
    let interfaces = Arc::new(detail.interfaces.clone());
    view! {
        {trouble(handler)}
        {facts(handler)}
        {terms(handler)}
        {call::card(&handler.name, &interfaces)}
        {neighbours::tables(&handler.name)}
        <div class="columns">
            {contract::card(handler, interfaces, detail.wit.clone())}
            <div class="stack">
                {neighbours::imports(handler)}
                {history(&handler.name)}
                {logs::card(&handler.name)}
            </div>
        </div>
    }
    .into_any()
}

/// Versions that came and went since home's start.
fn history(name: &HandlerName) -> AnyView {
    let entries: RwSignal<Remote<Vec<Entry>>> = RwSignal::new(Remote::Loading);
    let path = StoredValue::new(format!("chronicle?handler={name}&limit=20"));
    let read = move || {
        let path = path.get_value();
        spawn_local(async move {
            keep(
                entries,
                api::get::<Page<Entry>>(&path).await.map(|page| page.items),
            )
        });
    };
    read();
    let empty = || faces::empty("Nothing yet", "Versions that come and go are told here.", "");
    view! {
        <section class="card" aria-label="Versions">
            <h2>"Versions since the start"</h2>
            {faces::list(entries, read, empty, move || chronicle::entries(entries))}
        </section>
    }
    .into_any()
}

fn trouble(handler: &Handler) -> AnyView {
    let (title, text) = match &handler.state {
        HandlerState::Rejected { reason, remedy } => (
            "This file is not served",
            format!(
                "{}{}. {}.",
                handler
                    .file
                    .iter()
                    .map(|file| format!("{file}: "))
                    .collect::<String>(),
                finding::sentence_case(reason),
                finding::sentence_case(remedy)
            ),
        ),
        HandlerState::Down { reason } => (
            "Its node is down",
            format!("{}. It starts again by itself.", finding::sentence_case(reason)),
        ),
        HandlerState::Waiting { on } => {
            let on: Vec<&str> = on.iter().map(|interface| interface.as_str()).collect();
            (
                "It waits",
                format!(
                    "Nobody serves {}; it starts when a handler does.",
                    format::list(&on)
                ),
            )
        }
        _ => ("", String::new()),
    };
    let warnings: Vec<_> = handler
        .warnings
        .iter()
        .map(|warning| view! { <li>{format!("{}.", finding::sentence_case(warning))}</li> })
        .collect();
    view! {
        {(!text.is_empty()).then(|| view! { <section class="card note bad-note"><h2>{title}</h2><p>{text}</p></section> })}
        {(!warnings.is_empty()).then(|| view! { <section class="card note"><h2>"Worth a look"</h2><ul>{warnings}</ul></section> })}
    }
    .into_any()
}

fn facts(handler: &Handler) -> AnyView {
    let (class, word) = tags::handler_state(&handler.state);
    let since = handler
        .since_unix_ms
        .map_or_else(|| "–".to_owned(), shell::time_of_day);
    let fact = |name: &'static str, value: String| view! { <div><dt>{name}</dt><dd class="num-left">{value}</dd></div> };
    view! {
        <dl class="facts card">
            <div><dt>"state"</dt><dd><span class=class>{word}</span></dd></div>
            {fact("version", handler.version.clone())}
            {fact("size", format::bytes(handler.size_bytes))}
            {fact("compiled in", compiled(handler))}
            {fact("serves since", since)}
            {fact("runs", runs(handler))}
            {fact("cold starts", cold(handler))}
            {fact("instances", format!("{} busy, {} idle", handler.figures.instances_busy, handler.figures.instances_idle))}
            {fact("instances ended", ended(&handler.figures.instances_ended))}
            {fact("linear memory", format::bytes(handler.figures.memory_bytes))}
            <div title="Estimated: the mean time in guest code of its sampled calls, times its calls per second">
                <dt>"CPU, estimated"</dt><dd class="num-left" data-fact="cpu">{cpu(&handler.figures)}</dd>
            </div>
            {fact("answers HTTP", if handler.http { "yes" } else { "no" }.to_owned())}
        </dl>
    }
    .into_any()
}

/// What share of a core its guests take: told as an estimate, because calls that are not sampled read no clock.
fn cpu(figures: &Figures) -> String {
    if figures.run_calls == 0 {
        return "–".to_owned();
    }
    let mean = figures.run_ns / figures.run_calls;
    let share = mean as f64 * figures.rate_per_s / 1e9;
    format!(
        "≈ {} of a core; a call runs {} ({} sampled)",
        format::percent(share, 1.0),
        format::duration(mean),
        format::count(figures.run_calls)
    )
}

/// How much it may take and what it may reach, by the keys of `[handler.NAME]`.
fn terms(handler: &Handler) -> AnyView {
    let pairs = handler
        .limits
        .written()
        .into_iter()
        .chain(handler.grants.written());
    let pairs: Vec<_> = pairs
        .map(|(key, value)| view! { <div><dt>{key.replace('_', " ")}</dt><dd class="num-left">{value}</dd></div> })
        .collect();
    view! { <dl class="facts card" aria-label="Limits and grants">{pairs}</dl> }.into_any()
}

/// How its instances live, and what runs them: `shared, concurrent engine`.
fn runs(handler: &Handler) -> String {
    match (handler.policy, handler.engine) {
        (Some(policy), Some(engine)) => format!("{}, {} engine", policy.as_str(), engine.as_str()),
        _ => "–".to_owned(),
    }
}

/// Instances that a call waited for, and what making one takes: `3, 40 µs each`.
fn cold(handler: &Handler) -> String {
    let figures = &handler.figures;
    let count = format::count(figures.instances_cold);
    match figures.instance_start_p50_us {
        0 => count,
        us => format!(
            "{count}; a start takes {}",
            format::nanoseconds(us.saturating_mul(1_000))
        ),
    }
}

/// How instances ended, the ways that there were: `2 trap, 1 idle`.
fn ended(ends: &InstanceEnds) -> String {
    let ways: Vec<String> = ends
        .ways()
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(way, count)| format!("{} {way}", format::count(count)))
        .collect();
    if ways.is_empty() {
        "none".to_owned()
    } else {
        ways.join(", ")
    }
}
