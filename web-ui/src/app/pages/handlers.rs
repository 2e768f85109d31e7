//! Handlers: what is deployed, where it stands, what it offers and needs; a file that is dropped here becomes one.

pub mod upload;

use leptos::prelude::*;
use protocol::HandlerName;
use protocol::api::handlers::{Handler, HandlerState, ImportKind};

use crate::app::live::{Live, live};
use crate::app::parts::{faces, tags};
use crate::app::shell;
use crate::{finding, format};

/// The page.
pub fn page() -> AnyView {
    shell::title("Handlers");
    let live = live();
    let title = move || {
        live.handlers.with(|list| {
            list.ready()
                .map_or_else(|| "Handlers".to_owned(), |list| headline(list))
        })
    };
    let empty = || {
        faces::empty(
            "No handler yet",
            "A handler is a WebAssembly component in the handlers folder; it is served within a second.",
            "cp my-handler.wasm data/handlers/",
        )
    };
    view! {
        {tags::head(title, "A component in the handlers folder is a handler; its file's name is its name.", ())}
        {upload::zone(None)}
        <section class="card flush">
            {faces::list(live.handlers, move || live.read_all(), empty, move || table(live))}
        </section>
    }
    .into_any()
}

fn headline(list: &[Handler]) -> String {
    if list.is_empty() {
        return "Handlers".to_owned();
    }
    let serving = list
        .iter()
        .filter(|handler| handler.state == HandlerState::Serving)
        .count();
    let all = format::plural(list.len() as u64, "handler", "handlers");
    if serving == list.len() {
        format!("{all}, all serving")
    } else {
        format!("{serving} of {all} serving")
    }
}

fn table(live: Live) -> AnyView {
    let names = move || {
        live.handlers.with(|list| {
            list.ready()
                .map(|list| {
                    list.iter()
                        .map(|handler| handler.name.clone())
                        .collect::<Vec<_>>()
                })
                .unwrap_or_default()
        })
    };
    view! {
        <table class="rows">
            <thead>
                <tr>
                    <th>"handler"</th>
                    <th>"state"</th>
                    <th class="wide">"serves"</th>
                    <th class="wide">"needs"</th>
                    <th class="num">"calls"</th>
                    <th class="num wide">"instances"</th>
                    <th class="num wide">"size"</th>
                    <th class="num wider">"compiled in"</th>
                </tr>
            </thead>
            <tbody>
                <For each=names key=Clone::clone children=move |name| row(live, name) />
            </tbody>
        </table>
    }
    .into_any()
}

fn row(live: Live, name: HandlerName) -> impl IntoView {
    let wanted = name.clone();
    let handler = Memo::new(move |_| {
        live.handlers.with(|list| {
            list.ready()
                .and_then(|list| list.iter().find(|handler| handler.name == wanted))
                .cloned()
        })
    });
    let file = Memo::new(move |_| handler.with(|handler| handler.as_ref()?.file.clone()));
    let shown = name.clone();
    let shown = move || match file.get() {
        Some(file) => tags::misnamed(file),
        None => tags::handler(&shown),
    };
    let text = move |cell: fn(&Handler) -> String| move || handler.with(|handler| handler.as_ref().map(cell));
    let state = move || {
        handler.with(|handler| {
            let (class, word) = handler
                .as_ref()
                .map_or(("state", ""), |handler| tags::handler_state(&handler.state));
            view! { <span class=class>{word}</span> }
        })
    };
    let trouble = move || handler.with(|handler| handler.as_ref().map(trouble).unwrap_or_default());
    view! {
        <tr data-handler=name.to_string()>
            <td>
                <a class="row-link" data-row="" href=format!("/handlers/{name}")>{shown}</a>
            </td>
            <td>{state}</td>
            <td class="wide small soft">{text(exports)}</td>
            <td class="wide small">{move || handler.with(|handler| handler.as_ref().map(needs))}</td>
            <td class="num">{text(|handler| format::rate(handler.figures.rate_per_s))}</td>
            <td class="num wide">{text(instances)}</td>
            <td class="num wide">{text(|handler| format::bytes(handler.size_bytes))}</td>
            <td class="num wider">{text(compiled)}</td>
        </tr>
        {move || {
            trouble()
                .into_iter()
                .map(|text| view! { <tr class="trouble-row"><td colspan="8"><p class="small trouble">{text}</p></td></tr> })
                .collect_view()
        }}
    }
}

/// Why it does not serve, with the remedy; and its warnings.
fn trouble(handler: &Handler) -> Vec<String> {
    let mut all = match &handler.state {
        HandlerState::Rejected { reason, remedy } => {
            vec![format!(
                "{}. {}.",
                finding::sentence_case(reason),
                finding::sentence_case(remedy)
            )]
        }
        HandlerState::Down { reason } => vec![format!("{}.", finding::sentence_case(reason))],
        HandlerState::Waiting { on } => {
            let on: Vec<&str> = on.iter().map(|interface| interface.as_str()).collect();
            vec![format!(
                "Waits for {}; starts when a handler exports it.",
                format::list(&on)
            )]
        }
        HandlerState::Serving | HandlerState::Loading => Vec::new(),
    };
    all.extend(
        handler
            .warnings
            .iter()
            .map(|warning| format!("{}.", finding::sentence_case(warning))),
    );
    all
}

fn exports(handler: &Handler) -> String {
    let mut names: Vec<&str> = handler
        .exports
        .iter()
        .filter(|export| !export.functions.is_empty())
        .map(|export| export.interface.unversioned())
        .collect();
    if handler.http {
        names.insert(0, "HTTP");
    }
    if names.is_empty() {
        "–".to_owned()
    } else {
        names.join(", ")
    }
}

/// Its imports from other handlers: a link each, marked where nobody serves it.
fn needs(handler: &Handler) -> AnyView {
    let needed: Vec<_> = handler
        .imports
        .iter()
        .filter(|import| import.kind == ImportKind::Handler)
        .map(|import| match &import.served_by {
            Some(provider) => view! { <span class="need">{tags::handler_link(provider)}</span> }.into_any(),
            None => {
                view! { <span class="need bad">{import.interface.unversioned().to_owned()} " missing"</span> }
                    .into_any()
            }
        })
        .collect();
    if needed.is_empty() {
        return view! { <span class="faint">"–"</span> }.into_any();
    }
    view! { <span class="needs">{needed}</span> }.into_any()
}

fn instances(handler: &Handler) -> String {
    let figures = &handler.figures;
    format!(
        "{} busy, {} idle",
        format::count(figures.instances_busy),
        format::count(figures.instances_idle)
    )
}

/// How long compiling took, or that it was not needed.
pub fn compiled(handler: &Handler) -> String {
    match handler.compile_ms {
        0 => "cached".to_owned(),
        ms => format::duration(ms * 1_000_000),
    }
}
