//! The selected span: its nine steps, what it logged, its attributes.

use std::sync::Arc;

use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::api::rows::CallDetail;
use protocol::api::traces::{SpanRow, StepsQuery};
use protocol::span::{Stages, Value};
use protocol::{CalleeStages, CallerStages, HandlerName, Span, SpanStatus, Transport};

use super::nine_steps::{self, Other};
use super::stage::Stage;
use super::typical::Typical;
use super::{again, is_caller};
use crate::app::live::{Remote, live};
use crate::app::parts::tags;
use crate::app::{api, shell};
use crate::format;
use crate::steps::{Step, sentence, steps, total};
use crate::waterfall::short_name;

/// Links of one call that are shown.
const LINKS_MAX: usize = 12;

/// What is known of the selected call; the one before stays until the next is here, so that nothing jumps.
pub fn view(stage: Stage) -> AnyView {
    let shown: RwSignal<Remote<Arc<CallDetail>>> = RwSignal::new(Remote::Loading);
    Effect::new(move |_| {
        let Some(span) = stage.chosen.get() else { return };
        // What was asked for while the server was away is asked again.
        live().recoveries.track();
        // A trace that grows may bring the other side of the call.
        stage
            .head
            .with(|head| head.ready().map(|head| head.summary.spans));
        spawn_local(async move {
            let answer = api::get::<CallDetail>(&format!("traces/{}/spans/{span}", stage.id)).await;
            // Another may have been selected meanwhile, or the page left.
            if stage.chosen.try_get_untracked().flatten() == Some(span) {
                shown.try_set(match answer {
                    Ok(detail) => Remote::Ready(Arc::new(detail)),
                    Err(problem) => Remote::Failed(problem),
                });
            }
        });
    });
    let typical = Typical::follow(Memo::new(move |_| {
        shown.with(|shown| shown.ready().and_then(|detail| call(detail)))
    }));
    (move || {
        shown.with(|shown| match shown {
            Remote::Loading => view! { <div class="columns details details-wait"></div> }.into_any(),
            Remote::Failed(problem) => {
                view! { <p class="soft small hint">{problem.detail.clone()}</p> }.into_any()
            }
            Remote::Ready(detail) => details(stage, detail, typical),
        })
    })
    .into_any()
}

/// The call, as `steps` is asked for it: one between handlers whose steps were recorded.
fn call(detail: &CallDetail) -> Option<StepsQuery> {
    let span = &detail.own.span;
    matches!(span.stages, Some(Stages::Caller(_))).then(|| StepsQuery {
        caller: span.handler.clone(),
        function: span.name.to_string(),
    })
}

fn details(stage: Stage, detail: &CallDetail, typical: Typical) -> AnyView {
    let (own, server) = (&detail.own, detail.server.as_ref());
    let (telling, table) = stages(own, server, typical);
    view! {
        <div class="columns details" data-details=detail.key.span.to_string()>
            {above(stage, detail)}
            <div class="stack">{telling} {again::card(detail)} {facts(own, server)}</div>
            <div class="stack">{table} {links(detail)} {logs(own, server)}</div>
        </div>
    }
    .into_any()
}

/// The way from the root to the call.
fn above(stage: Stage, detail: &CallDetail) -> AnyView {
    let crumbs: Vec<_> = detail
        .above
        .iter()
        .rev()
        .map(|(span, words)| {
            let span = *span;
            let act = move |_| {
                stage.select(span);
                stage.with_chart(|chart| chart.reveal(span));
            };
            view! { <button class="crumb" on:click=act>{words.clone()}</button> }
        })
        .collect();
    (!crumbs.is_empty())
        .then(|| view! { <nav class="crumbs small" aria-label="Callers">{crumbs}</nav> })
        .into_any()
}

/// Traces that the call continues, and that continue it.
fn links(detail: &CallDetail) -> AnyView {
    let chips: Vec<_> = detail.linked.iter().take(LINKS_MAX).map(super::link).collect();
    let more = detail.linked.len().saturating_sub(chips.len());
    let more = (more > 0).then(|| view! { <p class="small soft">{format!("… {more} more")}</p> });
    (!chips.is_empty())
        .then(|| {
            view! { <section class="card"><h2>"Through queues"</h2><nav class="links" aria-label="Linked traces of this call">{chips} {more}</nav></section> }
        })
        .into_any()
}

/// The stages as recorded: the caller's with the callee's inside, else the callee's alone.
fn recorded(own: &Span, server: Option<&SpanRow>) -> Option<Result<CallerStages, CalleeStages>> {
    match (own.stages, server.and_then(|server| server.span.stages)) {
        (Some(Stages::Caller(stages)), _) => Some(Ok(stages)),
        (Some(Stages::Callee(stages)), _) | (None, Some(Stages::Callee(stages))) => Some(Err(stages)),
        _ => None,
    }
}

/// What the stages tell, and their table.
fn stages(own: &SpanRow, server: Option<&SpanRow>, typical: Typical) -> (AnyView, AnyView) {
    let span = &own.span;
    let callee = server.map_or_else(
        || span.peer.clone().unwrap_or_else(|| span.handler.clone()),
        |server| server.span.handler.clone(),
    );
    match recorded(span, server) {
        Some(Ok(stages)) => {
            let steps = steps(&stages, callee.as_str());
            let other = Other::of(span, &callee, total(&steps), typical);
            let table = table_card(&steps, other.as_ref());
            (nine(span, server, &stages, &callee), table)
        }
        Some(Err(inside)) => {
            let stages = CallerStages {
                callee: inside,
                ..CallerStages::default()
            };
            let mut steps: Vec<Step> = steps(&stages, callee.as_str());
            steps.retain(|step| step.at_callee);
            let title = format!("{callee}: {}, the callee's steps", short_name(&span.name));
            let words = "Its caller is outside of Cleave, or its side was not recorded: steps 1 to 3, 8 and 9 are not known.";
            (
                telling("callee", title, total(&steps), words),
                table_card(&steps, None),
            )
        }
        None => (none(span, &callee), ().into_any()),
    }
}

/// The picture of the nine steps, with what they tell.
fn nine(span: &Span, server: Option<&SpanRow>, stages: &CallerStages, callee: &HandlerName) -> AnyView {
    let steps = steps(stages, callee.as_str());
    let title = format!(
        "{} → {callee}.{}, in nine steps",
        span.handler,
        short_name(&span.name)
    );
    let callee_node = server.map_or_else(
        || callee.to_string(),
        |server| format!("{callee}, on node {}", server.span.node),
    );
    let caller_node = format!("{}, on node {}", span.handler, span.node);
    let transport = span.transport.unwrap_or(Transport::Direct);
    view! {
        <section class="card" data-stages="nine">
            {card_head(title, total(&steps))}
            {nine_steps::picture(&steps, &caller_node, &callee_node)}
            <p class="small soft">{sentence(stages, span.handler.as_str(), callee.as_str(), transport)}</p>
            <p class="small faint">"The picture gives short steps room; the table has the true lengths."</p>
        </section>
    }
    .into_any()
}

/// Why there are no steps.
fn none(span: &Span, callee: &HandlerName) -> AnyView {
    let words = match (&span.status, is_caller(span.kind)) {
        (SpanStatus::Failed { .. }, _) => {
            "The call failed before its steps were complete, so there are none to show."
        }
        (_, true) => "No steps were recorded: it is no sampled call of a handler.",
        _ => "This is no call between handlers, so it has no steps.",
    };
    let name = short_name(&span.name);
    let title = if is_caller(span.kind) {
        format!("{} → {callee}.{name}", span.handler)
    } else {
        format!("{}: {name}", span.handler)
    };
    telling("none", title, span.duration_ns, words)
}

fn telling(kind: &'static str, title: String, ns: u64, words: &'static str) -> AnyView {
    view! {
        <section class="card" data-stages=kind>
            {card_head(title, ns)}
            <p class="small soft">{words}</p>
        </section>
    }
    .into_any()
}

fn card_head(title: String, ns: u64) -> AnyView {
    view! {
        <div class="card-head">
            <h2>{title}</h2>
            <span class="num">{format::duration(ns)}</span>
        </div>
    }
    .into_any()
}

fn table_card(steps: &[Step], other: Option<&Other>) -> AnyView {
    view! { <section class="card steps-card">{nine_steps::table(steps, other)}</section> }.into_any()
}

fn facts(own: &SpanRow, server: Option<&SpanRow>) -> AnyView {
    let span = &own.span;
    let fact = |name: String, value: String| view! { <tr><th scope="row">{name}</th><td class="num-left">{value}</td></tr> };
    let mut rows = vec![
        fact("span".to_owned(), span.span_id.to_string()),
        fact("name".to_owned(), span.name.to_string()),
        fact("status".to_owned(), status(&span.status)),
        fact("own time".to_owned(), format::duration(own.self_ns)),
        fact("node".to_owned(), span.node.to_string()),
    ];
    if let Some(transport) = span.transport {
        rows.push(fact("way".to_owned(), format!("{transport:?}").to_lowercase()));
    }
    if let Some(server) = server {
        rows.push(fact("callee's span".to_owned(), server.span.span_id.to_string()));
        rows.push(fact("callee's node".to_owned(), server.span.node.to_string()));
    }
    if let Some(cold) = server.map_or(span.cold, |server| server.span.cold) {
        rows.push(fact(
            "instance".to_owned(),
            if cold { "cold: made for this call" } else { "warm" }.to_owned(),
        ));
    }
    let mut known = std::collections::BTreeSet::new();
    let both = span
        .attributes
        .iter()
        .chain(server.iter().flat_map(|server| &server.span.attributes));
    for (name, value) in both {
        // The arguments have a card of their own.
        if name.as_ref() != "cleave.args" && known.insert(name.clone()) {
            rows.push(fact(name.to_string(), value_text(value)));
        }
    }
    view! {
        <section class="card">
            <h2>"Attributes"</h2>
            <table class="attributes"><tbody>{rows}</tbody></table>
        </section>
    }
    .into_any()
}

fn logs(own: &SpanRow, server: Option<&SpanRow>) -> AnyView {
    let mut lines: Vec<_> = own
        .span
        .logs
        .iter()
        .chain(server.iter().flat_map(|server| &server.span.logs))
        .collect();
    lines.sort_by_key(|line| line.unix_ns);
    let none = lines
        .is_empty()
        .then(|| view! { <p class="small soft">"It logged nothing."</p> });
    let rows: Vec<_> = lines
        .into_iter()
        .map(|line| {
            view! {
                <li class=format!("log log-{}", line.level)>
                    <span class="num faint">{shell::time_of_day(line.unix_ns / 1_000_000)}</span>
                    <span class="log-level">{line.level.to_string()}</span>
                    <span class="log-text">{line.message.clone()}</span>
                </li>
            }
        })
        .collect();
    let handler = server.map_or(&own.span.handler, |server| &server.span.handler);
    view! {
        <section class="card">
            <div class="card-head"><h2>"Log"</h2>{tags::handler(handler)}</div>
            {none}
            <ol class="logs">{rows}</ol>
        </section>
    }
    .into_any()
}

fn status(status: &SpanStatus) -> String {
    match status {
        SpanStatus::Ok => "ok".to_owned(),
        SpanStatus::Err => "the callee's own err".to_owned(),
        SpanStatus::Failed { code, message } => format!("{code}: {message}"),
    }
}

fn value_text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Bool(yes) => yes.to_string(),
    }
}
