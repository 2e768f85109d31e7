//! What is said of the map beside it: what its shades mean, and the same as a table for who does not see it.

use leptos::ev;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::Element;

use super::super::{Traces, here};
use crate::format;
use crate::heat::{SHADES, most, slices};

/// What the shades mean.
pub fn shades(traces: Traces) -> AnyView {
    let steps = (1..=SHADES)
        .map(|shade| view! { <i class=format!("heat-shade shade-{shade}")></i> })
        .collect_view();
    let most = move || traces.heat.with(|heat| heat.as_deref().map_or(1, most).max(1));
    view! {
        <ul class="legend small soft heat-legend" aria-label="Shades of the map">
            <li>"1"<span class="heat-shades" aria-hidden="true">{steps}</span>{move || format::plural(most().into(), "trace", "traces")}</li>
            <li><i class="heat-shade heat-failed" aria-hidden="true"></i>"failed"</li>
        </ul>
    }
    .into_any()
}

/// The map for who does not see it.
pub fn table(traces: Traces) -> AnyView {
    let is_open = RwSignal::new(false);
    let body = move || {
        let heat = traces.heat.get().filter(|_| is_open.get())?;
        let here = here();
        let rows = slices(&heat).into_iter().map(|slice| {
            let middle = if slice.traces == 0 {
                "–".to_owned()
            } else {
                format!(
                    "{} to {}",
                    format::duration(slice.middle_ns.0),
                    format::duration(slice.middle_ns.1)
                )
            };
            view! {
                <tr>
                    <td class="num-left">{format::moment(slice.from_ms, here.now_ms, here.offset_min)}</td>
                    <td class="num">{format::count(slice.traces)}</td>
                    <td class="num" class:bad=slice.failed.gt(&0)>{format::count(slice.failed)}</td>
                    <td class="num">{middle}</td>
                </tr>
            }
        });
        Some(view! {
            <table class="heat-rows">
                <thead><tr><th>"from"</th><th class="num">"traces"</th><th class="num">"failed"</th><th class="num">"the middle one took"</th></tr></thead>
                <tbody>{rows.collect_view()}</tbody>
            </table>
        })
    };
    let toggled = move |event: ev::Event| {
        let details = event
            .target()
            .and_then(|target| target.dyn_into::<Element>().ok());
        is_open.set(details.is_some_and(|details| details.has_attribute("open")));
    };
    view! {
        <details class="heat-table" on:toggle=toggled>
            <summary class="small soft">"The same as a table"</summary>
            {body}
        </details>
    }
    .into_any()
}
