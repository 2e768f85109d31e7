//! The line above the rows: how far the list reaches, and the two traces that are chosen to be compared.
//!
//! Promises: a third choice takes the place of the second; choices stay while the list moves or is searched anew.

use leptos::prelude::*;
use protocol::TraceId;
use protocol::api::traces::TraceSummary;

use super::{Traces, here, tail};
use crate::format;
use crate::route::Route;

/// A trace that is to be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    pub id: TraceId,
    name: String,
    duration_ns: u64,
}

impl Traces {
    /// Chooses a trace, or no longer.
    pub fn choose(self, trace: &TraceSummary) {
        self.chosen.update(|chosen| {
            if let Some(at) = chosen.iter().position(|one| one.id == trace.trace_id) {
                chosen.remove(at);
                return;
            }
            chosen.truncate(1);
            chosen.push(Chosen {
                id: trace.trace_id,
                name: trace.name.clone(),
                duration_ns: trace.duration_ns,
            });
        });
    }
}

/// The line.
pub fn head(traces: Traces) -> AnyView {
    let reach = move || {
        let count = traces.list.with(|list| list.ready().map_or(0, Vec::len)) as u64;
        let listed = format!("{} listed", format::count(count));
        match (
            traces.searched.get(),
            traces.next.with(Option::is_some),
            traces.is_reading.get(),
        ) {
            (_, _, true) if count == 0 => "searching …".to_owned(),
            (None, false, _) if count == 0 => String::new(),
            (Some(ms), true, is_reading) => {
                let here = here();
                let back = format::moment(ms, here.now_ms, here.offset_min);
                let verb = if is_reading {
                    "searching, so far"
                } else {
                    "searched"
                };
                format!("{listed}, {verb} back to {back}")
            }
            (_, true, _) => format!("{listed}, the newest first; there are older ones"),
            _ => format!("{listed}, the newest first"),
        }
    };
    let on = move || {
        let stands = traces.searched.get().is_some() && traces.next.with(Option::is_some);
        (stands && !traces.is_reading.get()).then(|| {
            view! { <button class="btn small" data-action="search-on" on:click=move |_| traces.older()>"Search on"</button> }
        })
    };
    view! {
        <div class="list-head">
            <span class="small soft list-reach" role="status">{reach}</span>
            {on}
            <div class="chosen-tray" aria-live="polite">{move || tray(traces)}</div>
        </div>
        {tail::note(traces)}
    }
    .into_any()
}

fn tray(traces: Traces) -> AnyView {
    let chosen = traces.chosen.get();
    let one = |(letter, one): (&'static str, &Chosen)| {
        let id = one.id;
        let words = format!("{}, {}", one.name, format::duration(one.duration_ns));
        let drop = move |_| traces.chosen.update(|chosen| chosen.retain(|one| one.id != id));
        view! {
            <button class="chip closable" data-chosen=letter title="Do not compare this one" on:click=drop>
                <b>{letter}</b>
                <span class="chip-words">{words}</span>
                <span aria-hidden="true">"×"</span>
            </button>
        }
    };
    let chips = ["A", "B"].into_iter().zip(&chosen).map(one).collect_view();
    let rest = match chosen.as_slice() {
        [] => view! { <span class="small faint">"Tick two traces to compare them"</span> }.into_any(),
        [a, b] => {
            let href = Route::Compare(a.id.to_string(), b.id.to_string()).path();
            view! { <a class="btn small go" data-action="compare-chosen" href=href>"Compare A and B"</a> }
                .into_any()
        }
        _ => view! { <span class="small faint">"and one more"</span> }.into_any(),
    };
    view! { {chips}{rest} }.into_any()
}
