//! What a handler wrote during its newest sampled calls, each line with its trace.

use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::HandlerName;
use protocol::api::Page;
use protocol::api::logs::LogLine;

use crate::app::live::{Remote, keep, live};
use crate::app::parts::faces;
use crate::app::{api, shell};
use crate::route::Route;

const PATH_LIMIT: u32 = 100;

/// The card. It is read when it comes, and again by its button: lines of a busy handler would run away.
pub fn card(name: &HandlerName) -> AnyView {
    let lines: RwSignal<Remote<Vec<LogLine>>> = RwSignal::new(Remote::Loading);
    let path = StoredValue::new(format!("handlers/{name}/logs?limit={PATH_LIMIT}"));
    let read = move || {
        let path = path.get_value();
        spawn_local(async move {
            keep(
                lines,
                api::get::<Page<LogLine>>(&path).await.map(|page| page.items),
            );
        });
    };
    let live = live();
    Effect::new(move |_| {
        live.recoveries.track();
        read();
    });
    let empty = || {
        faces::empty(
            "No line yet",
            "What it logs, or writes to stdout and stderr, is kept with its sampled calls.",
            "",
        )
    };
    view! {
        <section class="card" aria-label="Log lines">
            <div class="card-head">
                <h2>"Log lines of its sampled calls"</h2>
                <button class="btn tiny" data-action="read-logs" on:click=move |_| read()>"Read again"</button>
            </div>
            {faces::list(lines, read, empty, move || {
                lines.with(|lines| lines.ready().map(|lines| lines.iter().map(line).collect::<Vec<_>>())).into_any()
            })}
        </section>
    }
    .into_any()
}

fn line(line: &LogLine) -> AnyView {
    let href = Route::span(line.trace_id, line.span_id).path();
    let when = shell::time_of_day(line.unix_ns / 1_000_000);
    let function = line
        .function
        .rsplit(['/', '.'])
        .next()
        .unwrap_or_default()
        .to_owned();
    view! {
        <div class=format!("log log-{}", line.level)>
            <a class="num-left faint" href=href title=line.function.to_string()>{when}</a>
            <span class="log-level">{line.level.to_string()}</span>
            <span class="log-text">{line.message.clone()}<span class="faint">{format!("  {function}, {}", line.node)}</span></span>
        </div>
    }
    .into_any()
}
