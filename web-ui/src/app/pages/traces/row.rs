//! A trace as a row of a table.

use leptos::prelude::*;
use protocol::api::traces::TraceSummary;

use crate::app::live::live;
use crate::app::shell;
use crate::format;
use crate::route::Route;

/// A trace as a row of a short table.
pub fn summary_row(trace: &TraceSummary, longest: Memo<u64>) -> AnyView {
    let failing = trace.errors > 0 || trace.error.is_some();
    view! {
        <tr class:failing=failing data-trace=trace.trace_id.to_string()>{cells(trace, longest)}</tr>
    }
    .into_any()
}

/// Its cells: when, what, how long, and of what it is made.
pub fn cells(trace: &TraceSummary, longest: Memo<u64>) -> AnyView {
    let length = trace.duration_ns;
    let width = move || {
        format!(
            "{:.2}%",
            (length as f64 / longest.get().max(1) as f64 * 100.0).clamp(0.6, 100.0)
        )
    };
    let ended = shell::time_of_day((trace.start_unix_ns + trace.duration_ns) / 1_000_000);
    let (ended, fraction) = ended.split_at_checked(8).unwrap_or((&ended, ""));
    let (ended, fraction) = (ended.to_owned(), fraction.to_owned());
    let failed = trace.errors > 0 || trace.error.is_some();
    let trouble = trouble(trace)
        .map(|words| view! { <span class="row-error" title=words.clone()>{words.clone()}</span> });
    let missing = (trace.missing > 0).then(|| missing(trace.missing));
    let handlers: Vec<_> = trace
        .handlers
        .iter()
        .filter(|name| !name.is_reserved())
        .map(|name| {
            let hue = live().hue(name.clone());
            view! { <i class=move || format!("dot {}", hue()) title=name.to_string()></i> }
        })
        .collect();
    view! {
        <td class="num-left faint when">{ended}<span class="wide">{fraction}</span></td>
        <td class="what">
            <span class="row-line">
                <a class="row-link" data-row="" href=Route::Trace(trace.trace_id, None).path()>
                    <span>{trace.name.clone()}</span>
                </a>
                {missing}
                {trouble}
            </span>
        </td>
        <td class="num" class:bad=failed>{format::duration(length)}</td>
        <td class="wide length"><span class="length-bar" style:width=width></span></td>
        <td class="num wide">{trace.spans}</td>
        <td class="num wide nodes">{trace.nodes}</td>
        <td class="wide"><span class=format!("placement placement-{}", trace.placement)>{trace.placement.clone()}</span></td>
        <td class="wide"><span class="dots" role="img" aria-label=names(trace)>{handlers}</span></td>
    }
    .into_any()
}

/// Why it failed, or that something in it did.
fn trouble(trace: &TraceSummary) -> Option<String> {
    match (&trace.error, trace.errors) {
        (Some(error), _) => Some(error.clone()),
        (None, 0) => None,
        (None, errors) => Some(format!(
            "{} failed on the way",
            format::plural(errors.into(), "step", "steps")
        )),
    }
}

/// The badge of a trace that is not whole.
fn missing(count: u32) -> AnyView {
    let words = format!("≥ {} missing", format::plural(count.into(), "span", "spans"));
    let title = "Other spans speak of them, and they are not stored: still on their way, not kept, or lost with their node";
    view! { <span class="missing" data-missing=count.to_string() title=title>{words}</span> }.into_any()
}

fn names(trace: &TraceSummary) -> String {
    let names: Vec<&str> = trace.handlers.iter().map(|name| name.as_str()).collect();
    format::list(&names)
}
