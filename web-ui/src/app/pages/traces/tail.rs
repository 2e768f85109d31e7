//! The live tail: what came is put on top, unless the reader is somewhere else or has paused it.
//!
//! Promises: who scrolls down finds the list as it was, is told that it stands still and how many are new; who comes
//! back to the top has it live again; who paused by hand resumes by hand.

use std::time::Duration;

use leptos::ev;
use leptos::prelude::*;

use super::Traces;
use super::pictures::Pictures;
use crate::app::live::live;
use crate::format;

/// Scrolled further than this, in px, somebody reads.
const AWAY: f64 = 48.0;
/// How often the server is asked which of the newest fit a query.
const ASK: Duration = Duration::from_millis(1_200);

/// Why the list stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    ByHand,
    Scrolled,
}

/// Follows what comes and where the reader is.
pub fn follow(traces: Traces, pictures: Pictures) {
    let live = live();
    let is_asked = StoredValue::new(false);
    Effect::new(move |before: Option<()>| {
        let fresh = live.fresh.get();
        // What was told before this page was opened is in what it read.
        if before.is_none() || fresh.is_empty() {
            return;
        }
        pictures.note(&fresh);
        if traces.take(&fresh) && !is_asked.get_value() {
            is_asked.set_value(true);
            set_timeout(
                move || {
                    if is_asked.try_set_value(false).is_none() {
                        traces.ask_newest();
                    }
                },
                ASK,
            );
        }
    });
    let scrolled = window_event_listener(ev::scroll, move |_| {
        let y = window().scroll_y().unwrap_or_default();
        match traces.paused.get_untracked() {
            None if y > AWAY => traces.paused.set(Some(Pause::Scrolled)),
            Some(Pause::Scrolled) if y <= AWAY / 2.0 => resume(traces),
            _ => {}
        }
    });
    on_cleanup(move || scrolled.remove());
}

fn resume(traces: Traces) {
    traces.paused.set(None);
    // Nothing came: then everything is as it should be.
    if traces.missed.get_untracked() > 0 || traces.list.with_untracked(|list| list.ready().is_none()) {
        traces.missed.set(0);
        traces.read();
    }
}

/// The button of the page's head.
pub fn button(traces: Traces) -> AnyView {
    let press = move |_| match traces.paused.get_untracked() {
        None => traces.paused.set(Some(Pause::ByHand)),
        Some(_) => {
            window().scroll_to_with_x_and_y(0.0, 0.0);
            resume(traces);
        }
    };
    view! {
        <button
            class="btn live-button"
            data-action="pause"
            title="p"
            aria-pressed=move || traces.paused.get().is_some().to_string()
            on:click=press
        >
            <i class="live-dot" aria-hidden="true"></i>
            {move || match (traces.paused.get(), traces.missed.get()) {
                (None, _) => "Live".to_owned(),
                (Some(_), 0) => "Paused".to_owned(),
                (Some(_), missed) => format!("Paused, {} new", format::count(missed as u64)),
            }}
        </button>
    }
    .into_any()
}

/// The note above the rows, seen wherever the reader is, while the list stands still.
pub fn note(traces: Traces) -> AnyView {
    let words = move || {
        let why = traces.paused.get()?;
        let new = match (
            traces.missed.get() as u64,
            traces.query.with(|query| query.q.is_some()),
        ) {
            (0, _) => "nothing new yet".to_owned(),
            (new, false) => format!("{} new", format::count(new)),
            // Which of them the query finds is asked once they are shown.
            (new, true) => format!("up to {} new", format::count(new)),
        };
        let why = match why {
            Pause::ByHand => "Paused",
            Pause::Scrolled => "Paused while you read",
        };
        Some(format!("{why}: {new}"))
    };
    let show = move |_| {
        window().scroll_to_with_x_and_y(0.0, 0.0);
        resume(traces);
    };
    view! {
        <div class="tail-note" data-note="paused" hidden=move || traces.paused.get().is_none()>
            <i class="live-dot paused" aria-hidden="true"></i>
            <span>{words}</span>
            <button class="btn small" data-action="resume" on:click=show>"Back to the newest"</button>
        </div>
    }
    .into_any()
}
