//! One trace of any size: its finding, its rows in time, and the selected call in nine steps.
//!
//! Promises: what is seen stands in the address; rows come in windows, so that a million open as soon as ten; spans
//! that come late are added without a jump. Not here: rows (`chart`), other ways to look at them (`flame`,
//! `sequence`), the selected call (`details`).

mod again;
mod chart;
mod details;
mod find;
mod flame;
mod journey;
mod nine_steps;
mod sequence;
mod stage;
mod toolbar;
mod typical;

use std::sync::Arc;
use std::time::Duration;

use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::api::problem::Problem;
use protocol::api::rows::{Overview, Rows, TraceHead};
use protocol::api::traces::LinkedTrace;
use protocol::{SpanKind, TraceId};

pub use self::chart::{CHAR, Colours, Face, Pen, class, colours, take_palette};
use self::stage::Stage;
use crate::app::keyboard;
use crate::app::live::{keep, live};
use crate::app::parts::{faces, tags};
use crate::app::{api, shell};
use crate::route::{Look, Route, with_query};
use crate::{finding, format};

/// Spans of a running request arrive later than its trace's address; a trace is read again until it is whole.
const AGAIN_MS: [u64; 4] = [400, 800, 1_600, 3_200];
/// Nodes ship their spans in batches; a trace that ended longer ago than this is whole.
const FRESH_MS: u64 = 4_000;
/// Columns of the strip.
const COLUMNS: u32 = 512;

/// The page.
pub fn page(id: TraceId) -> AnyView {
    shell::title("Trace");
    take_palette();
    let live = live();
    let stage = Stage::new(id);
    let read = move || read(stage, 0);
    Effect::new(move |_| {
        live.recoveries.track();
        read();
    });
    let pressed = window_event_listener(ev::keydown, move |event| {
        if !keyboard::is_for_others(&event) && chart::keys(stage, &event) {
            event.prevent_default();
        }
    });
    on_cleanup(move || pressed.remove());
    view! { {faces::one(stage.head, read, move || body(stage))} }.into_any()
}

/// Reads the trace as a whole with its first rows, and its strip at the same time.
fn read(stage: Stage, attempt: usize) {
    let id = stage.id;
    // A later attempt may come when the page is gone.
    let Some(view) = stage.view.try_get_untracked() else {
        return;
    };
    let mut parameters = view.folds();
    parameters.push(("count", "100".to_owned()));
    parameters.push(("head", "true".to_owned()));
    parameters.extend(view.span.map(|span| ("reveal", span.to_string())));
    if let Some((from, to)) = view.zoom {
        parameters.push(("from", from.to_string()));
        parameters.push(("to", to.to_string()));
    }
    let path = with_query(&format!("traces/{id}/rows"), &parameters);
    spawn_local(async move {
        let path = format!("traces/{}/overview?columns={COLUMNS}", stage.id);
        if let Ok(overview) = api::get::<Overview>(&path).await {
            stage.with_chart(|chart| chart.survey(overview));
        }
    });
    spawn_local(async move {
        let mut result = api::get::<Rows>(&path).await;
        // The user may have left meanwhile.
        let known = stage
            .head
            .try_with_untracked(|head| head.ready().map(|head| head.summary.spans));
        let Some(known) = known else { return };
        let head = result
            .as_mut()
            .ok()
            .and_then(|rows| rows.head.take())
            .map(Arc::new);
        let is_missing = matches!(&result, Err(problem) if problem.status == 404);
        let is_unfinished = head.as_deref().is_some_and(is_unfinished);
        if (is_missing || is_unfinished)
            && let Some(pause) = AGAIN_MS.get(attempt)
        {
            set_timeout(move || read(stage, attempt + 1), Duration::from_millis(*pause));
            if is_missing {
                return;
            }
        }
        take(stage, known, head, result);
    });
}

fn take(stage: Stage, known: Option<u32>, head: Option<Arc<TraceHead>>, rows: Result<Rows, Problem>) {
    match (rows, head) {
        (Ok(rows), Some(head)) => {
            stage.gone.set(false);
            // Rows that are being looked at stay where they are unless there are more.
            if known == Some(head.summary.spans) {
                return;
            }
            let whole = head.summary.duration_ns;
            keep(stage.head, Ok(head));
            stage.with_chart(|chart| chart.begin(stage, whole, rows));
        }
        (Err(problem), _) => {
            // What was read stays; that there will be no more of it is said.
            stage.gone.set(problem.status == 404 && known.is_some());
            keep(stage.head, Err(problem));
        }
        (Ok(_), None) => {}
    }
}

/// Whether spans may still be on their way.
fn is_unfinished(head: &TraceHead) -> bool {
    let end_ms = (head.summary.start_unix_ns + head.summary.duration_ns) / 1_000_000;
    head.orphans > 0 || (js_sys::Date::now() as u64).saturating_sub(end_ms) < FRESH_MS
}

/// Something of the trace as a whole, which grows while it is young.
fn told<T: Default>(stage: Stage, tell: impl FnOnce(&TraceHead) -> T) -> T {
    stage
        .head
        .with(|head| head.ready().map(|head| tell(head)).unwrap_or_default())
}

fn body(stage: Stage) -> AnyView {
    let title = Memo::new(move |_| told(stage, |head| finding::trace_title(&head.summary)));
    Effect::new(move |_| shell::title(&title.get()));
    let failure = move || {
        told(stage, |head| head.failure.clone())
            .map(|text| view! { <p class="trouble failure" role="alert" data-finding="failure">{text}</p> })
    };
    let path = move || {
        told(stage, finding::critical_path).map(|text| view! {
            <p class="small soft critical-words" data-finding="critical-path"><span class="seam-mark" aria-hidden="true"></span><b>"critical path"</b> ": " {text}</p>
        })
    };
    let gone = move || {
        stage.gone.get().then(|| view! {
            <p class="trouble" role="status" data-finding="gone">
                "This trace is stored no more: it was deleted as one of the oldest. What was read before can still be seen."
            </p>
        })
    };
    let look = Memo::new(move |_| stage.view.with(|view| view.look));
    view! {
        {tags::head(move || title.get(), move || told(stage, about), toolbar::right(stage))}
        {failure}
        {gone}
        {move || told(stage, |head| Some(linked(&head.linked)))}
        <section class="card flush waterfall-card">
            {toolbar::toolbar(stage)}
            {move || match look.get() {
                Look::Waterfall => chart::view(stage),
                Look::Flame => flame::view(stage),
                Look::Sequence => sequence::view(stage),
            }}
            {path}
        </section>
        {journey::view(stage)}
        {details::view(stage)}
    }
    .into_any()
}

fn about(head: &TraceHead) -> String {
    let summary = &head.summary;
    let mut parts = vec![
        format::plural(u64::from(summary.spans), "span", "spans"),
        format::plural(u64::from(summary.nodes), "node", "nodes"),
        summary.placement.clone(),
        shell::time_of_day(summary.start_unix_ns / 1_000_000),
    ];
    if head.orphans > 0 {
        parts.push(format!(
            "{} without their parent",
            format::plural(u64::from(head.orphans), "span", "spans")
        ));
    }
    // Traces of other programs know no placement.
    parts.retain(|part| !part.is_empty());
    parts.join(" · ")
}

/// Traces on the other side of a queue.
fn linked(links: &[LinkedTrace]) -> AnyView {
    if links.is_empty() {
        return ().into_any();
    }
    let chips: Vec<_> = links.iter().take(12).map(link).collect();
    let more = links.len().saturating_sub(chips.len());
    let more = (more > 0).then(|| view! { <span class="small soft">{format!("… {more} more")}</span> });
    view! { <nav class="links" aria-label="Linked traces">{chips} {more}</nav> }.into_any()
}

/// A trace on the other side of a queue.
fn link(link: &LinkedTrace) -> AnyView {
    let words = if link.follows {
        format!(
            "continued {} later by {}, {}",
            format::duration(link.wait_ns),
            link.name,
            format::duration(link.duration_ns)
        )
    } else {
        format!(
            "continues {}, {} later",
            link.name,
            format::duration(link.wait_ns)
        )
    };
    let arrow = if link.follows { "→" } else { "←" };
    view! {
        <a class="chip link-chip" class:failing=(link.errors > 0) href=Route::Trace(link.trace_id, None).path() data-linked=link.trace_id.to_string()>
            <span class="queue-dots" aria-hidden="true"></span><span>{arrow} " " {words}</span>
        </a>
    }
    .into_any()
}

/// Whether a span is the caller's side.
fn is_caller(kind: SpanKind) -> bool {
    matches!(kind, SpanKind::Client | SpanKind::Producer)
}
