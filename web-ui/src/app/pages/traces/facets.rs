//! What the traces of a search have in common, counted; a press narrows the search to it, or no longer.
//!
//! Promises: counts change in their places; values keep their order while the same is searched for.

use leptos::prelude::*;
use protocol::HandlerName;
use protocol::api::facets::{Facet, Facets};

use super::Traces;
use crate::app::live::live;
use crate::filters::{Part, value, with};
use crate::format;

/// Values that a facet shows before it is asked for more.
const FEW: usize = 6;

const GROUPS: [(Part, &str); 6] = [
    (Part::Status, "Status"),
    (Part::Name, "Request"),
    (Part::Handler, "Handler"),
    (Part::Placement, "Placement"),
    (Part::Node, "Node"),
    (Part::Edge, "Edge"),
];

/// The column; on a phone it opens by a press.
pub fn view(traces: Traces) -> AnyView {
    let is_open = RwSignal::new(false);
    let of = move || {
        traces.facets.with(|facets| {
            facets
                .as_ref()
                .map(|facets| match (facets.is_cut, facets.traces) {
                    (_, 0) => "nothing to count".to_owned(),
                    (true, traces) => format!("of the newest {}", format::count(traces.into())),
                    (false, traces) => format!("of {}", format::plural(traces.into(), "trace", "traces")),
                })
        })
    };
    let groups = GROUPS
        .into_iter()
        .map(|(part, word)| group(traces, part, word))
        .collect_view();
    view! {
        <aside
            class="card facets"
            class:open=move || is_open.get()
            aria-label="What these traces have in common"
            aria-busy=move || traces.is_picturing().to_string()
        >
            <button
                class="facets-toggle"
                data-action="facets"
                aria-expanded=move || is_open.get().to_string()
                aria-controls="facets"
                on:click=move |_| is_open.update(|is_open| *is_open = !*is_open)
            >
                "What they have in common"
            </button>
            <div class="facets-body" id="facets">
                <p class="small faint facets-of">{of}</p>
                {groups}
            </div>
        </aside>
    }
    .into_any()
}

fn facet(facets: &Facets, part: Part) -> &Facet {
    match part {
        Part::Status => &facets.status,
        Part::Name => &facets.names,
        Part::Handler => &facets.handlers,
        Part::Placement => &facets.placements,
        Part::Node => &facets.nodes,
        _ => &facets.edges,
    }
}

fn group(traces: Traces, part: Part, word: &'static str) -> AnyView {
    let is_long = RwSignal::new(false);
    let known = Memo::new(move |_| {
        traces.facets.with(|facets| {
            let facets = facets.as_ref()?;
            let facet = facet(facets, part);
            let values: Vec<String> = facet.values.iter().map(|value| value.value.clone()).collect();
            Some((values, facet.left_out))
        })
    });
    let shown = move || {
        let most = if is_long.get() { usize::MAX } else { FEW };
        known.with(|known| {
            known
                .iter()
                .flat_map(|(values, _)| values)
                .take(most)
                .cloned()
                .collect::<Vec<_>>()
        })
    };
    let more = move || {
        let (count, left_out) = known.with(|known| {
            known
                .as_ref()
                .map_or((0, 0), |(values, left)| (values.len(), *left))
        });
        let words = match (is_long.get(), count.saturating_sub(FEW)) {
            (_, 0) => return None,
            (true, _) => "fewer".to_owned(),
            (false, more) => format!("{} more", format::count(more as u64 + u64::from(left_out))),
        };
        Some(view! {
            <button class="btn tiny facet-more" aria-expanded=is_long.get().to_string() on:click=move |_| is_long.update(|is_long| *is_long = !*is_long)>
                {words}
            </button>
        })
    };
    // Nodes and edges are counted of fewer traces, and say so.
    let of = move || {
        let is_looked_into = matches!(part, Part::Node | Part::Edge);
        traces.facets.with(|facets| {
            let facets = facets
                .as_ref()
                .filter(|facets| is_looked_into && facets.opened < facets.traces)?;
            Some(format!(" of {}", format::count(facets.opened.into())))
        })
    };
    let is_empty = move || known.with(|known| known.as_ref().is_some_and(|(values, _)| values.is_empty()));
    let wait = move || {
        known
            .with(Option::is_none)
            .then(|| view! { <span class="bone"></span> })
    };
    view! {
        <section class="facet" data-facet=part.word() hidden=is_empty>
            <h2>{word}<span class="faint">{of}</span></h2>
            {wait}
            <ul>
                <For each=shown key=Clone::clone children=move |text| entry(traces, part, text) />
            </ul>
            {more}
        </section>
    }
    .into_any()
}

/// A value as it is shown; the whole of it is its title.
fn words(part: Part, text: &str) -> String {
    match (part, text.split_once(" -> ")) {
        (Part::Status, _) if text == "error" => "failed".to_owned(),
        (Part::Edge, Some((caller, interface))) => {
            let callee = interface.rsplit(['/', ':']).next().unwrap_or(interface);
            format!("{caller} → {callee}")
        }
        _ => text.to_owned(),
    }
}

fn entry(traces: Traces, part: Part, text: String) -> AnyView {
    let key = text.clone();
    let count = Memo::new(move |_| {
        traces.facets.with(|facets| {
            let facets = facets.as_ref()?;
            let values = &facet(facets, part).values;
            let count = values.iter().find(|value| value.value == key)?.count;
            let of = if matches!(part, Part::Node | Part::Edge) {
                facets.opened
            } else {
                facets.traces
            };
            Some((count, of.max(1)))
        })
    });
    let key = text.clone();
    let is_chosen = Memo::new(move |_| {
        traces
            .query
            .with(|query| value(query, part).as_ref() == Some(&key))
    });
    let width = move || {
        let (count, of) = count.get().unwrap_or((0, 1));
        format!("{:.1}%", f64::from(count) / f64::from(of) * 100.0)
    };
    let key = text.clone();
    let press = move |_| {
        let wanted = (!is_chosen.get_untracked()).then_some(key.as_str());
        traces.search(traces.query.with_untracked(|query| with(query, part, wanted)));
    };
    let dot = (part == Part::Handler)
        .then(|| HandlerName::parse(&text).ok())
        .flatten()
        .map(|name| {
            let hue = live().hue(name);
            view! { <i class=move || format!("dot {}", hue()) aria-hidden="true"></i> }
        });
    let words = words(part, &text);
    view! {
        <li>
            <button class="facet-value" class:failing=part == Part::Status && text == "error" data-value=text.clone() title=text.clone() aria-pressed=move || is_chosen.get().to_string() on:click=press>
                <span class="facet-bar" style:width=width aria-hidden="true"></span>
                {dot}
                <span class="facet-words">{words.clone()}</span>
                <span class="num">{move || count.get().map(|(count, _)| format::count(count.into()))}</span>
            </button>
        </li>
    }
    .into_any()
}
