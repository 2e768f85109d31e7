//! The filters in force, each of which a press takes off.

use leptos::prelude::*;
use protocol::api::traces::TraceQuery;

use super::{Traces, here};
use crate::filters::{Part, chips, with};

/// A line that is there also without filters, so that nothing moves when one comes.
pub fn view(traces: Traces, said: AnyView) -> AnyView {
    let chip = move |(part, words): (Part, String)| {
        let press = move |_| traces.search(traces.query.with_untracked(|query| with(query, part, None)));
        view! {
            <button class="chip closable" data-chip=part.word() title="Take this filter off" on:click=press>
                <span class="faint">{part.word()}</span>
                <span class="chip-words">{words}</span>
                <span aria-hidden="true">"×"</span>
            </button>
        }
    };
    let all = move || {
        let chips = traces.query.with(|query| chips(query, here()));
        let many = chips.len() > 1 || traces.query.with(|query| query.q.is_some()) && !chips.is_empty();
        let clear = many.then(|| view! {
            <button class="chip closable quiet" data-action="clear" on:click=move |_| traces.search(TraceQuery::default())>
                "Take all off"
            </button>
        });
        let hint = chips.is_empty().then(|| view! {
            <span class="faint small">"Narrow by a query, by a count at the side, or by a drag over the map."</span>
        });
        view! { {hint}{chips.into_iter().map(chip).collect_view()}{clear} }
    };
    view! { <div class="filter-chips" role="group" aria-label="Filters in force">{said}{all}</div> }
        .into_any()
}
