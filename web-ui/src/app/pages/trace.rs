//! One trace: its finding, the waterfall, and the selected call in nine steps.

mod details;
mod nine_steps;
mod typical;
mod waterfall;

use std::sync::Arc;
use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::api::traces::{LinkedTrace, StepsQuery, TraceDetail};
use protocol::span::Stages;
use protocol::{SpanId, SpanKind, TraceId};

use self::typical::Typical;
use self::waterfall::Selection;

use crate::app::live::{Remote, keep, live};
use crate::app::navigation::navigation;
use crate::app::parts::{faces, tags};
use crate::app::{api, shell};
use crate::route::Route;
use crate::waterfall::{Row, rows};
use crate::{finding, format};

/// A trace with its rows; large, so it is shared and never compared.
pub struct Opened {
    pub detail: TraceDetail,
    pub rows: Vec<Row>,
}

/// Spans of a running request arrive later than its trace's address; a trace is read again until it is whole.
const AGAIN_MS: [u64; 4] = [400, 800, 1_600, 3_200];
/// Nodes ship their spans in batches; a trace that ended longer ago than this is whole.
const FRESH_MS: u64 = 4_000;

/// The page.
pub fn page(id: TraceId) -> AnyView {
    shell::title("Trace");
    let live = live();
    let state: RwSignal<Remote<Arc<Opened>>> = RwSignal::new(Remote::Loading);
    let read = move || read(id, state, 0);
    Effect::new(move |_| {
        live.recoveries.track();
        read();
    });
    view! {
        {faces::one(state, read, move || {
            state.get().ready().map(|opened| body(opened.clone())).into_any()
        })}
    }
    .into_any()
}

fn read(id: TraceId, state: RwSignal<Remote<Arc<Opened>>>, attempt: usize) {
    spawn_local(async move {
        let result = api::get::<TraceDetail>(&format!("traces/{id}")).await;
        // The user may have left meanwhile.
        let Some(spans) =
            state.try_with_untracked(|state| state.ready().map(|opened| opened.detail.spans.len()))
        else {
            return;
        };
        let missing = matches!(&result, Err(problem) if problem.status == 404);
        let unfinished = matches!(&result, Ok(detail) if is_unfinished(detail));
        if (missing || unfinished)
            && let Some(pause) = AGAIN_MS.get(attempt)
        {
            set_timeout(
                move || read(id, state, attempt + 1),
                Duration::from_millis(*pause),
            );
            if missing {
                return;
            }
        }
        if result.as_ref().ok().map(|detail| detail.spans.len()) != spans || spans.is_none() {
            keep(
                state,
                result.map(|detail| {
                    Arc::new(Opened {
                        rows: rows(&detail),
                        detail,
                    })
                }),
            );
        }
    });
}

/// Whether spans may still be on their way.
fn is_unfinished(detail: &TraceDetail) -> bool {
    let end_ms = (detail.summary.start_unix_ns + detail.summary.duration_ns) / 1_000_000;
    detail.orphans > 0 || (js_sys::Date::now() as u64).saturating_sub(end_ms) < FRESH_MS
}

fn body(opened: Arc<Opened>) -> AnyView {
    let summary = &opened.detail.summary;
    let title = finding::trace_title(summary);
    shell::title(&title);
    let id = summary.trace_id;
    let navigation = navigation();
    let named = Memo::new(move |_| match navigation.route.get() {
        Route::Trace(_, span) => span,
        _ => None,
    });
    // Without a selection the page explains the call that matters most.
    let first = most_telling(&opened);
    let selection = Selection {
        named,
        chosen: Memo::new(move |_| named.get().or(first)),
        select: Callback::new(move |span: SpanId| navigation.replace(&Route::Trace(id, Some(span)))),
    };
    let for_query = opened.clone();
    let typical = Typical::follow(Memo::new(move |_| {
        selection.chosen.get().and_then(|span| call(&for_query, span))
    }));
    let failure = summary
        .error
        .as_ref()
        .and_then(|_| finding::trace_failure(&opened.detail));
    let path = finding::critical_path(&opened.detail);
    let (for_waterfall, for_details) = (opened.clone(), opened.clone());
    view! {
        {tags::head(title, about(&opened.detail), id_line(id))}
        {failure.map(|text| view! { <p class="trouble failure" role="alert" data-finding="failure">{text}</p> })}
        {linked(&opened.detail.linked)}
        <section class="card flush waterfall-card">
            {waterfall::waterfall(for_waterfall, selection)}
            {path.map(|text| view! {
                <p class="small soft critical-words" data-finding="critical-path"><span class="seam-mark" aria-hidden="true"></span><b>"critical path"</b> ": " {text}</p>
            })}
        </section>
        {move || details::details(&for_details, selection.chosen.get(), typical)}
    }
    .into_any()
}

/// The call of a row, as `steps` is asked for it: one between handlers whose steps were recorded.
fn call(opened: &Opened, span: SpanId) -> Option<StepsQuery> {
    let row = opened.rows.iter().find(|row| row.is(span))?;
    let found = opened
        .detail
        .spans
        .iter()
        .find(|known| known.span.span_id == row.id)?;
    matches!(found.span.stages, Some(Stages::Caller(_))).then(|| StepsQuery {
        caller: found.span.handler.clone(),
        function: found.span.name.to_string(),
    })
}

/// The call to explain first: a failed one, else the remote call with the longest stretch of the critical path.
fn most_telling(opened: &Opened) -> Option<SpanId> {
    let rows = &opened.rows;
    let is_call = |row: &&Row| row.server_id.is_some();
    let stretch = |row: &&Row| {
        row.critical
            .iter()
            .map(|(start, end)| end.saturating_sub(*start))
            .sum::<u64>()
    };
    rows.iter()
        .filter(|row| row.failed && row.parent.is_some() && row.repeats.is_none())
        .max_by_key(|row| row.depth)
        .or_else(|| rows.iter().filter(is_call).max_by_key(stretch))
        .or_else(|| rows.first())
        .map(|row| row.id)
}

fn about(detail: &TraceDetail) -> String {
    let summary = &detail.summary;
    let mut parts = vec![
        if detail.truncated > 0 {
            format!(
                "{} of {} spans shown",
                detail.spans.len(),
                format::count(u64::from(summary.spans))
            )
        } else {
            format::plural(u64::from(summary.spans), "span", "spans")
        },
        format::plural(u64::from(summary.nodes), "node", "nodes"),
        summary.placement.clone(),
        shell::time_of_day(summary.start_unix_ns / 1_000_000),
    ];
    if detail.orphans > 0 {
        parts.push(format!(
            "{} without their parent",
            format::plural(u64::from(detail.orphans), "span", "spans")
        ));
    }
    parts.join(" · ")
}

fn id_line(id: TraceId) -> AnyView {
    view! {
        <p class="trace-id">
            <code class="num" data-trace-id=id.to_string()>{id.to_string()}</code>
            {tags::copy(id.to_string(), "Copy the trace id")}
        </p>
    }
    .into_any()
}

/// Traces on the other side of a queue.
fn linked(links: &[LinkedTrace]) -> AnyView {
    if links.is_empty() {
        return ().into_any();
    }
    let chips: Vec<_> = links
        .iter()
        .map(|link| {
            let words = if link.follows {
                format!("continued {} later by {}, {}", format::duration(link.wait_ns), link.name, format::duration(link.duration_ns))
            } else {
                format!("continues {}, {} later", link.name, format::duration(link.wait_ns))
            };
            let arrow = if link.follows { "→" } else { "←" };
            view! {
                <a class="chip link-chip" class:failing=(link.errors > 0) href=Route::Trace(link.trace_id, None).path() data-linked=link.trace_id.to_string()>
                    <span class="queue-dots" aria-hidden="true"></span><span>{arrow} " " {words}</span>
                </a>
            }
        })
        .collect();
    view! { <nav class="links" aria-label="Linked traces">{chips}</nav> }.into_any()
}

/// Whether a span is the caller's side.
fn is_caller(kind: SpanKind) -> bool {
    matches!(kind, SpanKind::Client | SpanKind::Producer)
}
