//! An opened edge: its nine stages at p50 and p99, what carrying would cost on each rung, and where to go from here.

use leptos::prelude::*;
use protocol::api::bill::{BillSample, BilledEdge};
use protocol::api::traces::TraceQuery;

use super::{change_path, name};
use crate::bill;
use crate::format;
use crate::route::Route;
use crate::steps::steps;

/// The row below the edge's.
pub fn row(edge: Memo<Option<BilledEdge>>) -> AnyView {
    let body = move || {
        edge.with(|edge| {
            edge.as_ref().map(|edge| {
                view! {
                    <div class="bill-detail">
                        {stages(edge)}
                        <div class="stack">{prices(edge)} {links(edge)}</div>
                    </div>
                }
            })
        })
    };
    view! { <tr class="bill-open"><td colspan="10">{body}</td></tr> }.into_any()
}

fn stages(edge: &BilledEdge) -> AnyView {
    let Some(sample) = &edge.sample else {
        return view! {
            <p class="soft small">
                "No stored call of this edge went this way. Stages come from sampled requests: "
                <code>"sampling = \"all\""</code> " keeps every one."
            </p>
        }
        .into_any();
    };
    let BillSample { p50, p99, .. } = sample;
    let callee = edge.callee.to_string();
    let rows = steps(p50, &callee)
        .into_iter()
        .map(|step| {
            let same = steps(p99, &callee).into_iter().find(|other| other.number == step.number && other.colour == step.colour);
            let slow = same.map_or_else(|| "–".to_owned(), |other| format::duration(other.ns));
            view! {
                <tr>
                    <td class="num faint">{step.number}</td>
                    <td><i class=format!("stage-dot {}", step.colour.class()) aria-hidden="true"></i>{step.words}</td>
                    <td class="num">{format::duration(step.ns)}</td>
                    <td class="num">{slow}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <table class="steps">
            <caption class="small soft">
                {format!("{} in {}; each stage by itself", format::plural(sample.calls.into(), "call", "calls"), format::plural(sample.requests.into(), "request", "requests"))}
            </caption>
            <thead><tr><th></th><th>"step"</th><th class="num">"p50"</th><th class="num">"p99"</th></tr></thead>
            <tbody>{rows}</tbody>
            <tfoot>
                <tr><td></td><td>"carrying: all but wait, run and own calls"</td><td class="num">{format::duration(sample.carried_p50_ns)}</td><td class="num">{format::duration(sample.carried_p99_ns)}</td></tr>
            </tfoot>
        </table>
    }
    .into_any()
}

fn prices(edge: &BilledEdge) -> AnyView {
    if edge.rungs.is_empty() {
        let queue = edge.queue.as_ref().map(|queue| {
            let href = format!("/queues/{}", queue.name);
            view! { <a href=href>{queue.name.clone()}</a> }
        });
        return view! { <p class="soft small">"Messages wait in the queue " {queue} "; nobody waits for an answer, so there is nothing to cut."</p> }.into_any();
    }
    let rows = edge
        .rungs
        .iter()
        .map(|price| {
            let now = price.rung.transport() == edge.transport;
            let request = match (&edge.sample, now) {
                (_, true) => "now".to_owned(),
                (Some(_), false) => bill::signed(price.request_ns),
                (None, false) => "–".to_owned(),
            };
            view! {
                <tr class:now=now>
                    <td><span class=format!("way way-{}", price.rung.word())>{price.rung.word()}</span></td>
                    <td class="num">{format::duration(price.carried_ns)}</td>
                    <td class="num">{request}</td>
                    <td class="small soft">{bill::basis(price)}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <table class="prices">
            <thead><tr><th>"way"</th><th class="num">"carrying a call"</th><th class="num">"a request"</th><th>"based on"</th></tr></thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}

fn links(edge: &BilledEdge) -> AnyView {
    let traces = Route::Traces(TraceQuery {
        edge: Some(name(edge)),
        ..TraceQuery::default()
    });
    let failed = Route::Traces(TraceQuery {
        edge: Some(name(edge)),
        status: Some("error".to_owned()),
        ..TraceQuery::default()
    });
    let change = bill::change(edge).map(|change| {
        let words = match &change.to {
            Some(to) if to.is_reserved() => format!("Join it: {} home", change.mover),
            Some(to) => format!("Join it: {} with {to}", change.mover),
            None => format!("Cut it: {} alone", change.mover),
        };
        view! { <a class="btn small" href=change_path(&change)>{words}</a> }
    });
    let failures =
        (edge.errors > 0).then(|| view! { <a class="btn small" href=failed.path()>"Failed traces"</a> });
    view! {
        <p class="small soft interface-words">{edge.interface.to_string()}</p>
        <p class="buttons"><a class="btn small" data-action="edge-traces" href=traces.path()>"Traces of this edge"</a>{failures}{change}</p>
    }
    .into_any()
}
