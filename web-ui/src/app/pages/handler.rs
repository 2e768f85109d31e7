//! One handler: where it stands, what it offers and needs, and its WIT.

use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::HandlerName;
use protocol::api::handlers::{
    Export, Function, Handler, HandlerDetail, HandlerState, Import, ImportKind, InstanceEnds, Reach,
};
use protocol::api::traces::TraceQuery;

use super::handlers::compiled;
use crate::app::live::{Remote, keep, live};
use crate::app::parts::{faces, tags};
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
    let about = move || {
        live.handlers.with(|list| {
            list.ready()
                .and_then(|list| list.iter().find(|handler| handler.name == name))
                .map(about)
        })
    };
    view! {
        {tags::head(title, about, view! { <a class="btn" href=traces>"Its traces"</a> })}
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
    let exports: Vec<_> = handler.exports.iter().map(export).collect();
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
    let imports: Vec<_> = imports.into_iter().map(import).collect();
    let none = |empty: bool, words| empty.then(|| view! { <p class="soft small">{words}</p> });
    view! {
        {trouble(handler)}
        {facts(handler)}
        {terms(handler)}
        <div class="columns">
            <section class="card">
                <h2>"Exports"</h2>
                {none(exports.is_empty(), "Nothing that another handler could call.")}
                {exports}
            </section>
            <section class="card">
                <h2>"Imports"</h2>
                {none(imports.is_empty(), "It needs nothing.")}
                <ul class="imports">{imports}</ul>
            </section>
        </div>
        <section class="card">
            <div class="card-head">
                <h2>"WIT"</h2>
                {tags::copy(detail.wit.clone(), "Copy the WIT")}
            </div>
            <pre class="code" tabindex="0"><code>{highlighted(&detail.wit)}</code></pre>
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
            {fact("instances", format!("{} busy, {} idle", handler.figures.instances_busy, handler.figures.instances_idle))}
            {fact("instances ended", ended(&handler.figures.instances_ended))}
            {fact("answers HTTP", if handler.http { "yes" } else { "no" }.to_owned())}
        </dl>
    }
    .into_any()
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

fn export(export: &Export) -> AnyView {
    let shadowed = export.shadowed_by.as_ref().map(|other| {
        view! { <span class="state warn">{format!("shadowed by {other}")}</span> }
    });
    let functions: Vec<_> = export.functions.iter().map(function).collect();
    view! {
        <div class="interface">
            <p class="interface-name">{export.interface.to_string()} " " {shadowed}</p>
            <ul class="functions">{functions}</ul>
        </div>
    }
    .into_any()
}

fn function(function: &Function) -> AnyView {
    let local = (function.reach == Reach::LocalOnly)
        .then(|| view! { <span class="chip">"within one process"</span> });
    let traps = (!function.reports_failed_calls && function.reach == Reach::Routable)
        .then(|| view! { <span class="chip" title="Its error type has no case call-failed">"a failed call traps its caller"</span> });
    view! {
        <li>
            {signature(function)}
            {function.docs.clone().map(|docs| view! { <p class="small soft">{docs}</p> })}
            <p class="chips">{local}{traps}</p>
        </li>
    }
    .into_any()
}

/// The signature; a long one is brief until it is opened.
fn signature(function: &Function) -> AnyView {
    let (name, whole) = (function.name.clone(), function.signature.clone());
    let brief = format::signature(&whole);
    let line = move |text: &str| view! { <b>{name}</b><span class="soft">{format!(": {text}")}</span> };
    if brief == whole {
        return view! { <p class="signature">{line(&whole)}</p> }.into_any();
    }
    view! {
        <details class="signature">
            <summary>{line(&brief)}</summary>
            <p class="soft">{whole}</p>
        </details>
    }
    .into_any()
}

fn import(import: &Import) -> AnyView {
    let provider = match (&import.kind, &import.served_by) {
        (ImportKind::Capability, _) => view! { <span class="soft small">"the host"</span> }.into_any(),
        (ImportKind::BuiltIn, _) => view! { <span class="soft small">"home"</span> }.into_any(),
        (_, Some(handler)) => tags::handler_link(handler),
        (_, None) => view! { <span class="state bad">"nobody serves it"</span> }.into_any(),
    };
    view! {
        <li data-met=(import.kind != ImportKind::Handler || import.served_by.is_some()).to_string()>
            <span class="import-line"><span class="interface-name">{import.interface.to_string()}</span>{provider}</span>
            <span class="small faint">{import.functions.join(", ")}</span>
        </li>
    }
    .into_any()
}

/// WIT with its keywords and comments marked.
fn highlighted(wit: &str) -> Vec<AnyView> {
    const WORDS: [&str; 20] = [
        "package",
        "world",
        "interface",
        "import",
        "export",
        "use",
        "type",
        "record",
        "variant",
        "enum",
        "flags",
        "resource",
        "func",
        "result",
        "option",
        "list",
        "tuple",
        "include",
        "static",
        "constructor",
    ];
    let mut out = Vec::new();
    for line in wit.split_inclusive('\n') {
        let comment = line.find("//").unwrap_or(line.len());
        let (code, comment) = line.split_at(comment);
        let mut plain = String::new();
        for word in code.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
            let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric() && c != '-');
            if WORDS.contains(&bare) {
                out.push(std::mem::take(&mut plain).into_any());
                out.push(view! { <b class="wit-word">{bare.to_owned()}</b> }.into_any());
                plain.push_str(word.get(bare.len()..).unwrap_or_default());
            } else {
                plain.push_str(word);
            }
        }
        out.push(plain.into_any());
        if !comment.is_empty() {
            out.push(view! { <span class="wit-comment">{comment.to_owned()}</span> }.into_any());
        }
    }
    out
}
