//! The way through queues, as one timeline: who sent, how long the message waited, who handled it.

use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::api::path::{PathLeg, TracePath};

use super::chart::class;
use super::stage::Stage;
use crate::app::api;
use crate::format;
use crate::route::Route;

const WIDTH: f64 = 1_000.0;
const LEG: f64 = 34.0;

/// The timeline; nothing where no queue is on the way.
pub fn view(stage: Stage) -> AnyView {
    let path: RwSignal<Option<TracePath>> = RwSignal::new(None);
    let links = Memo::new(move |_| {
        stage
            .head
            .with(|head| head.ready().map_or(0, |head| head.linked.len()))
    });
    Effect::new(move |_| {
        if links.get() == 0 {
            return;
        }
        spawn_local(async move {
            if let Ok(found) = api::get::<TracePath>(&format!("traces/{}/path", stage.id)).await {
                path.try_set(Some(found));
            }
        });
    });
    (move || {
        path.with(|path| {
            path.as_ref()
                .filter(|path| path.legs.len() > 1)
                .map(|path| drawing(stage, path))
        })
    })
    .into_any()
}

fn drawing(stage: Stage, path: &TracePath) -> AnyView {
    let height = path.legs.len() as f64 * LEG + 4.0;
    let whole = path.end_ns.max(1) as f64;
    let x = move |ns: u64| ns as f64 / whole * WIDTH;
    let legs: Vec<_> = path
        .legs
        .iter()
        .enumerate()
        .map(|(at, leg)| bar(leg, at, x))
        .collect();
    let names: Vec<_> = path.legs.iter().map(|leg| name(stage, leg)).collect();
    let more = path
        .is_cut
        .then(|| view! { <p class="small soft">"There are more than are shown."</p> });
    view! {
        <section class="card journey" data-journey=path.legs.len().to_string()>
            <div class="card-head"><h2>{sentence(path)}</h2></div>
            <div class="journey-lanes">
                <div class="journey-names">{names}</div>
                <svg class="journey-time" viewBox=format!("0 0 {WIDTH} {height}") preserveAspectRatio="none" height=height aria-hidden="true">{legs}</svg>
            </div>
            {more}
        </section>
    }
    .into_any()
}

/// `Through the queue: 187 ms, then 46.3 ms of waiting, then 6.11 ms.`
fn sentence(path: &TracePath) -> String {
    let critical: Vec<&PathLeg> = path.legs.iter().filter(|leg| leg.is_critical).collect();
    let waited: u64 = path
        .legs
        .iter()
        .filter(|leg| leg.is_critical)
        .filter_map(|leg| leg.from.map(|from| leg.start_ns.saturating_sub(from.sent_ns)))
        .sum();
    match critical.len() {
        0 | 1 => format!(
            "All was done after {}; the queues were quicker than the request itself",
            format::duration(path.end_ns)
        ),
        _ => format!(
            "All was done after {}, of which the last message waited {}",
            format::duration(path.end_ns),
            format::duration(waited)
        ),
    }
}

fn name(stage: Stage, leg: &PathLeg) -> AnyView {
    let words = match leg.from {
        Some(from) => format!(
            "waited {}",
            format::duration(leg.start_ns.saturating_sub(from.sent_ns))
        ),
        None => format::duration(leg.end_ns.saturating_sub(leg.start_ns)),
    };
    let here = leg.trace_id == stage.id;
    let current = here.then_some("true");
    view! {
        <a class="journey-name" class:failing=(leg.errors > 0) aria-current=current href=Route::Trace(leg.trace_id, None).path()>
            <i class=format!("dot {}", class(leg.handler.as_str())) aria-hidden="true"></i>
            <span class="journey-word">{leg.name.clone()}</span>
            <span class="num faint small">{words}</span>
        </a>
    }
    .into_any()
}

fn bar(leg: &PathLeg, at: usize, x: impl Fn(u64) -> f64) -> AnyView {
    let y = at as f64 * LEG + 9.0;
    let wait = leg.from.map(|from| {
        let (left, right) = (x(from.sent_ns), x(leg.start_ns));
        let above = f64::from(from.leg) * LEG + 17.0;
        view! {
            <path class="journey-wait" d=format!("M{left:.1} {above:.1} V{:.1} H{right:.1}", y + 8.0)></path>
        }
    });
    let parts: Vec<_> = leg
        .parts
        .iter()
        .map(|part| {
            let (left, right) = (x(part.start_ns), x(part.end_ns));
            let width = (right - left).max(1.5);
            view! { <rect class=format!("journey-part {}", class(&part.handler)) x=left y=y width=width height="16"></rect> }
        })
        .collect();
    let (left, right) = (x(leg.start_ns), x(leg.end_ns));
    let seam = leg.is_critical.then(|| {
        view! { <path class="journey-seam" d=format!("M{left:.1} {:.1} H{right:.1}", y + 20.0)></path> }
    });
    let outer =
        view! { <rect class="journey-leg" x=left y=y + 6.0 width=(right - left).max(2.0) height="4"></rect> };
    view! { <g>{wait} {outer} {parts} {seam}</g> }.into_any()
}
