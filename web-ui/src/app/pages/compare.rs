//! Two traces, or two sets of them, side by side: which is quicker, by how much, and where it comes from.

mod divided;

use std::sync::Arc;

use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::api::diff::{Diff, DiffPath, PathSide};

use super::trace::{class, take_palette};
use crate::app::live::{Remote, keep, live};
use crate::app::parts::{faces, tags};
use crate::app::{api, shell};
use crate::comparison::{Order, cause, interval, ordered, sentence, shift_words, side, signed, verdict};
use crate::format;
use crate::route::{Route, with_query};

/// The page.
pub fn page(a: String, b: String) -> AnyView {
    shell::title("Compare");
    if a.is_empty() && b.is_empty() {
        return view! {
            <section class="card">{faces::empty(
                "Two sides are needed",
                "Choose two traces, or two searches, in the list of traces; or a change of this run, if there was one.",
                "",
            )}</section>
            {divided::card()}
        }
        .into_any();
    }
    take_palette();
    let state: RwSignal<Remote<Arc<Diff>>> = RwSignal::new(Remote::Loading);
    let order = RwSignal::new(Order::default());
    let sides = StoredValue::new((a, b));
    let read = move || {
        let (a, b) = sides.get_value();
        spawn_local(async move {
            let path = with_query("diff", &[("a", a), ("b", b)]);
            keep(state, api::get::<Diff>(&path).await.map(Arc::new));
        });
    };
    Effect::new(move |_| {
        live().recoveries.track();
        read();
    });
    view! {
        {faces::one(state, read, move || {
            state.with(|state| state.ready().map(|diff| body(diff.clone(), sides.get_value(), order))).into_any()
        })}
        {divided::card()}
    }
    .into_any()
}

fn body(diff: Arc<Diff>, (a, b): (String, String), order: RwSignal<Order>) -> AnyView {
    let title = sentence(&diff);
    shell::title(&title);
    let whole = diff.whole;
    let (word, class) = shift_words(whole.verdict);
    let swap = Route::Compare(b.clone(), a.clone()).path();
    let doubt = match (whole.interval_ns, whole.samples) {
        (Some(_), (m, n)) => format!("95 % interval {} of {m} and {n} traces", interval(&whole)),
        (None, _) => "too few traces for an interval; each call below is compared by itself".to_owned(),
    };
    let rows = {
        let diff = diff.clone();
        move || {
            ordered(&diff, order.get())
                .into_iter()
                .map(|path| row(path, order.get() == Order::Tree))
                .collect_view()
        }
    };
    let more = (diff.left_out > 0).then(|| {
        view! { <p class="said">{format!("{} that take less time are not shown.", format::plural(diff.left_out, "call", "calls"))}</p> }
    });
    let swap = view! { <a class="btn small" href=swap data-action="swap">"Swap A and B"</a> };
    view! {
        {tags::head(title, doubt, swap)}
        <div class="columns compare-sides">
            {side_card("A", side(&diff.a), diff.a.median_ns, &a)}
            {side_card("B", side(&diff.b), diff.b.median_ns, &b)}
        </div>
        <p class="compare-cause soft" data-finding="cause">
            <span class=format!("verdict verdict-{class}") data-verdict=class>{word}</span> " "
            {cause(&diff)}
        </p>
        <section class="card flush">
            <table class="rows diff">
                <thead>
                    <tr>
                        {head(order, Order::Tree, "call", "")}
                        <th class="wide">"calls a trace"</th>
                        {head(order, Order::A, "A", "num")}
                        {head(order, Order::B, "B", "num")}
                        {head(order, Order::Difference, "B − A", "num")}
                        <th class="wide">"95 % interval"</th>
                        <th class="num wide">"without its calls"</th>
                        <th class="num wide">"way there and back"</th>
                        <th>"verdict"</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
            {more}
        </section>
    }
    .into_any()
}

fn head(order: RwSignal<Order>, own: Order, words: &'static str, class: &'static str) -> AnyView {
    let sorted =
        move || (order.get() == own).then_some(if own == Order::Tree { "none" } else { "descending" });
    view! {
        <th class=class aria-sort=sorted>
            <button class="sort" aria-pressed=move || (order.get() == own).to_string() on:click=move |_| order.set(own)>{words}</button>
        </th>
    }
    .into_any()
}

fn side_card(name: &'static str, words: String, median_ns: u64, text: &str) -> AnyView {
    let href = match text.parse() {
        Ok(id) => Route::Trace(id, None).path(),
        Err(_) => format!("/traces?{text}"),
    };
    view! {
        <section class="card side-card" data-side=name>
            <b class="side-name">{name}</b>
            <span class="side-words">{words}</span>
            <span class="num">{format::duration(median_ns)}</span>
            <a class="small" href=href>"open"</a>
        </section>
    }
    .into_any()
}

fn row(path: &DiffPath, is_tree: bool) -> AnyView {
    let indent = if is_tree { path.depth.min(12) * 14 } else { 0 };
    let hue = class(&path.handler);
    let (word, kind) = verdict(path);
    let by = path.length.map_or_else(String::new, |shift| signed(shift.by_ns));
    // It may go on below after its first end, and nowhere else.
    let between = path.length.map_or_else(String::new, |shift| {
        interval(&shift).replace(' ', "\u{a0}").replace("to\u{a0}", "to ")
    });
    let own = path.own.map_or_else(String::new, |shift| signed(shift.by_ns));
    let under = (!is_tree && !path.caller.is_empty())
        .then(|| view! { <span class="faint small">" from " {path.caller.clone()}</span> });
    let failed = failures(path);
    view! {
        <tr data-path=format!("{} {}", path.handler, path.label) data-verdict=kind>
            <td>
                <span class="diff-name">
                    <span style:width=move || format!("{indent}px")></span>
                    <i class=format!("dot {hue}") aria-hidden="true"></i>
                    <b>{path.handler.clone()}</b>
                    <span class="soft">{path.label.clone()}</span>
                    {under}
                    {failed}
                </span>
            </td>
            <td class="wide num-left faint">{counts(path)}</td>
            {median(path.a.as_ref())}
            {median(path.b.as_ref())}
            <td class="num">{by}</td>
            <td class="wide num-left faint">{between}</td>
            <td class="num wide">{own}</td>
            <td class="num wide faint">{ways(path)}</td>
            <td><span class=format!("verdict verdict-{kind}")>{word}</span></td>
        </tr>
    }
    .into_any()
}

fn failures(path: &DiffPath) -> Option<AnyView> {
    let failed = |side: &Option<PathSide>| side.as_ref().map_or(0, |side| side.failed);
    let (a, b) = (failed(&path.a), failed(&path.b));
    (a + b > 0).then(|| view! { <span class="bad small">{format!("{a} and {b} failed")}</span> }.into_any())
}

fn counts(path: &DiffPath) -> String {
    let count = |side: &Option<PathSide>| match side {
        None => "–".to_owned(),
        Some(side) if side.calls_per_trace.fract() == 0.0 => format::count(side.calls_per_trace as u64),
        Some(side) => format!("{:.1}", side.calls_per_trace),
    };
    let (a, b) = (count(&path.a), count(&path.b));
    if a == b { a } else { format!("{a} → {b}") }
}

fn ways(path: &DiffPath) -> String {
    let way = |side: &Option<PathSide>| {
        let side = side.as_ref()?;
        let words: Vec<&str> = side.ways.iter().map(|way| way.word()).collect();
        Some(format!(
            "{} {}",
            words.join("+"),
            format::duration(side.between_median_ns)
        ))
    };
    match (way(&path.a), way(&path.b)) {
        (Some(a), Some(b)) if a == b => a,
        (Some(a), Some(b)) => format!("{a} → {b}"),
        (one, other) => one.or(other).unwrap_or_default(),
    }
}

/// The median, as a link to the slowest call.
fn median(side: Option<&PathSide>) -> AnyView {
    let Some(side) = side else {
        return view! { <td class="num faint">"–"</td> }.into_any();
    };
    let href = Route::span(side.slowest.0, side.slowest.1).path();
    view! { <td class="num"><a class="plain" href=href title="The slowest of them">{format::duration(side.median_ns)}</a></td> }.into_any()
}
