//! Queues: what waits, what is worked on, what was given up.

use leptos::prelude::*;
use protocol::QueueName;
use protocol::api::queues::Queue;

use crate::app::live::{Live, live};
use crate::app::parts::{faces, tags};
use crate::app::shell;
use crate::format;

/// The page.
pub fn page() -> AnyView {
    shell::title("Queues");
    let live = live();
    let title = move || {
        live.queues.with(|list| {
            list.ready()
                .map_or_else(|| "Queues".to_owned(), |list| headline(list))
        })
    };
    let empty = || {
        faces::empty(
            "No queue yet",
            "A queue appears with the first message on a queued edge: buy something in the shop, and its confirmation waits here. Which edges are queued is a line of cleave.toml.",
            "[edge.\"checkout -> shop:email/email\"]\nvia = \"queue\"",
        )
    };
    view! {
        {tags::head(title, "A message is kept until it was worked off; after its tries it is dead, and can be retried here.", ())}
        <section class="card flush">
            {faces::list(live.queues, move || live.read_all(), empty, move || table(live))}
        </section>
    }
    .into_any()
}

fn headline(list: &[Queue]) -> String {
    let dead: u64 = list.iter().map(|queue| queue.dead).sum();
    let waiting: u64 = list.iter().map(|queue| queue.ready + queue.delayed).sum();
    if dead > 0 {
        return format!("{} dead", format::plural(dead, "message is", "messages are"));
    }
    match waiting {
        0 => "Nothing waits".to_owned(),
        waiting => format!("{} waiting", format::plural(waiting, "message", "messages")),
    }
}

fn table(live: Live) -> AnyView {
    let names = move || {
        live.queues.with(|list| {
            list.ready()
                .map(|list| list.iter().map(|queue| queue.name.clone()).collect::<Vec<_>>())
                .unwrap_or_default()
        })
    };
    view! {
        <table class="rows">
            <thead>
                <tr>
                    <th>"queue"</th>
                    <th class="num">"waiting"</th>
                    <th class="num wide">"delayed"</th>
                    <th class="num wide">"in work"</th>
                    <th class="num">"dead"</th>
                    <th class="num">"in"</th>
                    <th class="num">"out"</th>
                    <th class="num wide">"done"</th>
                    <th class="num wide">"failed tries"</th>
                    <th class="num wide">"oldest waits"</th>
                </tr>
            </thead>
            <tbody>
                <For each=names key=Clone::clone children=move |name| row(live, name) />
            </tbody>
        </table>
    }
    .into_any()
}

fn row(live: Live, name: QueueName) -> impl IntoView {
    let wanted = name.clone();
    let queue = Memo::new(move |_| {
        live.queues.with(|list| {
            list.ready()
                .and_then(|list| list.iter().find(|queue| queue.name == wanted))
                .cloned()
        })
    });
    let text = move |cell: fn(&Queue) -> String| move || queue.with(|queue| queue.as_ref().map(cell));
    let dead = move || queue.with(|queue| queue.as_ref().is_some_and(|queue| queue.dead > 0));
    let paused = move || {
        queue
            .with(|queue| queue.as_ref().is_some_and(|queue| queue.paused))
            .then_some("paused")
    };
    view! {
        <tr data-queue=name.to_string()>
            <td>
                <a class="row-link" data-row="" href=format!("/queues/{name}")>
                    <span class="queue-dots" aria-hidden="true"></span>{name.to_string()}
                </a>
                <span class="state warn">{paused}</span>
            </td>
            <td class="num">{text(|queue| format::count(queue.ready))}</td>
            <td class="num wide">{text(|queue| format::count(queue.delayed))}</td>
            <td class="num wide">{text(|queue| format::count(queue.leased))}</td>
            <td class="num" class:bad=dead>{text(|queue| format::count(queue.dead))}</td>
            <td class="num">{text(|queue| format::rate(queue.enqueue_rate_per_s))}</td>
            <td class="num">{text(|queue| format::rate(queue.done_rate_per_s))}</td>
            <td class="num wide">{text(|queue| format::count(queue.done))}</td>
            <td class="num wide">{text(|queue| format::count(queue.failed_attempts))}</td>
            <td class="num wide">{text(oldest)}</td>
        </tr>
    }
}

fn oldest(queue: &Queue) -> String {
    if queue.ready == 0 {
        "–".to_owned()
    } else {
        format::age(queue.oldest_ready_ms)
    }
}
