//! The last hour: its curve, and the slider that leads back into it.

use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::api::history::{History, NodeChange};

use super::View;
use crate::app::live::{Live, Remote, keep};
use crate::app::parts::faces;
use crate::app::{api, shell};
use crate::format;
use crate::map::past;
use crate::route::{MapAddress, Route};

/// How often the hour is read while the present is shown.
const EVERY: std::time::Duration = std::time::Duration::from_secs(20);
/// After a node has changed; by then its event is noted.
const SOON: std::time::Duration = std::time::Duration::from_millis(1_300);

/// The last hour, read again while the present is shown, and soon after a node has changed.
pub fn follow(live: Live, at: RwSignal<Option<u64>>) -> RwSignal<Remote<History>> {
    let history = RwSignal::new(Remote::Loading);
    let nodes = Memo::new(move |_| {
        live.nodes.with(|nodes| {
            let nodes = nodes.ready().into_iter().flatten();
            nodes
                .map(|node| (node.name.clone(), node.incarnation, format!("{:?}", node.state)))
                .collect::<Vec<_>>()
        })
    });
    Effect::new(move |before: Option<()>| {
        nodes.with(|_| ());
        live.recoveries.track();
        match before {
            None => read(history),
            Some(()) => set_timeout(move || read(history), SOON),
        }
    });
    let ticks = set_interval_with_handle(
        move || {
            if at.try_get_untracked() == Some(None) {
                read(history);
            }
        },
        EVERY,
    );
    if let Ok(ticks) = ticks {
        on_cleanup(move || ticks.clear());
    }
    history
}

fn read(history: RwSignal<Remote<History>>) {
    spawn_local(async move {
        keep(history, api::get::<History>("edges/history").await);
    });
}

/// The card.
pub fn card(view: View) -> AnyView {
    let body = move || faces::one(view.history, move || read(view.history), move || slider(view));
    view! {
        <section class="card hour" aria-label="The last hour">
            <div class="card-head">
                <h2>"Last hour"</h2>
                <span class="small soft num">{move || when(view)}</span>
                <button
                    class="btn small"
                    data-action="present"
                    disabled=move || view.at.get().is_none()
                    on:click=move |_| show(view, None)
                >
                    "Now"
                </button>
            </div>
            {body()}
        </section>
    }
    .into_any()
}

fn when(view: View) -> String {
    let at = view.at.get();
    view.history.with(|history| {
        let Some(history) = history.ready() else {
            return String::new();
        };
        let totals = past::totals(history);
        let bucket = at.and_then(|at| past::bucket(history, at));
        let (rate, failed) = match bucket {
            Some(bucket) => totals.get(bucket as usize).copied().unwrap_or_default(),
            None => return "drag to look back".to_owned(),
        };
        let time = shell::time_of_day(at.unwrap_or_default());
        let failed = if failed > 0.0 {
            format!(", {} failed", format::rate(failed))
        } else {
            String::new()
        };
        format!(
            "{}, {}{failed}",
            time.split('.').next().unwrap_or_default(),
            format::rate(rate)
        )
    })
}

/// Shows a moment, or the present.
pub fn show(view: View, at: Option<u64>) {
    view.at.set(at);
    let change = view.address.get_untracked().change;
    view.navigation.replace(&Route::Map(MapAddress {
        change,
        at_unix_ms: at,
    }));
}

/// Where the slider stands; the last place is the present.
fn position(history: &History, at: Option<u64>) -> u32 {
    at.and_then(|at| past::bucket(history, at))
        .unwrap_or(history.buckets)
}

fn moment(history: &History, position: u32) -> Option<u64> {
    (position < history.buckets).then(|| past::begins(history, position))
}

fn slider(view: View) -> AnyView {
    let with = move |read: &dyn Fn(&History) -> String| {
        view.history
            .with(|history| history.ready().map(read).unwrap_or_default())
    };
    let most = move || with(&|history| history.buckets.to_string());
    let value = move || with(&|history| position(history, view.at.get()).to_string());
    let words = move || match view.at.get() {
        None => "now".to_owned(),
        Some(at) => shell::time_of_day(at),
    };
    let chosen = move |text: String| {
        let position: u32 = text.parse().unwrap_or(u32::MAX);
        view.history
            .with_untracked(|history| history.ready().and_then(|history| moment(history, position)))
    };
    view! {
        <div class="hour-frame">
            {move || view.history.with(|history| history.ready().map(curve))}
            <input
                type="range"
                class="hour-slider"
                min="0"
                max=most
                step="1"
                aria-label="Moment of the last hour"
                aria-valuetext=words
                prop:value=value
                // The address is written when the slider is let go: browsers refuse to write it a hundred times a minute.
                on:input:target=move |event| view.at.set(chosen(event.target().value()))
                on:change:target=move |event| show(view, chosen(event.target().value()))
            />
        </div>
    }
    .into_any()
}

/// The curve of calls, failed ones below it, changes of placement and nodes that ended as marks.
fn curve(history: &History) -> AnyView {
    let totals = past::totals(history);
    let most = totals.iter().map(|(calls, _)| *calls).fold(0.0, f64::max);
    let calls: Vec<f64> = totals.iter().map(|(calls, _)| *calls).collect();
    let failed: Vec<f64> = totals.iter().map(|(_, failed)| *failed).collect();
    let width = history.buckets.max(1);
    let x = |unix_ms: u64| {
        let since = unix_ms.saturating_sub(history.first_unix_ms) as f64 / history.bucket_ms.max(1) as f64;
        format!("{:.2}", since.min(f64::from(width)))
    };
    let within = |unix_ms: &u64| *unix_ms > history.first_unix_ms;
    let placed = history
        .places
        .iter()
        .skip(1)
        .filter(|placed| within(&placed.unix_ms))
        .map(|placed| view! { <line class="mark-placed" x1=x(placed.unix_ms) x2=x(placed.unix_ms) y1="0" y2="1"></line> })
        .collect_view();
    let ended = history
        .events
        .iter()
        .filter(|event| event.change == NodeChange::Down)
        .map(|event| view! { <line class="mark-ended" x1=x(event.unix_ms) x2=x(event.unix_ms) y1="0" y2="1"></line> })
        .collect_view();
    let failing = failed.iter().any(|failed| *failed > 0.0);
    view! {
        <svg class="hour-curve" viewBox=format!("0 0 {width} 1") preserveAspectRatio="none" aria-hidden="true">
            {placed} {ended}
            <path class="hour-calls" d=past::curve(&calls, most)></path>
            {failing.then(|| view! { <path class="hour-failed" d=past::curve(&failed, most)></path> })}
        </svg>
        <span class="hour-most num faint">{if most > 0.0 { format::rate(most) } else { String::new() }}</span>
    }
    .into_any()
}
