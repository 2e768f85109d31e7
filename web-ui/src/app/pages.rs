//! The pages: each fetches what the shared signals do not have, and puts parts together.

pub mod compare;
pub mod edges;
pub mod handler;
pub mod handlers;
pub mod learn;
pub mod map;
pub mod nodes;
pub mod queue;
pub mod queues;
pub mod trace;
pub mod traces;

use leptos::prelude::*;

use super::shell;

/// An address that names no page.
pub fn missing(path: &str) -> AnyView {
    shell::title("Not found");
    view! {
        <div class="face" data-face="error">
            <h1>"Nothing is here"</h1>
            <p class="soft">"No page has the address " <code>{path.to_owned()}</code> ". It may belong to a later version."</p>
            <p><a class="btn" href="/">"To the map"</a></p>
        </div>
    }
    .into_any()
}
