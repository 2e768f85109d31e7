//! What the selected call was made with, and the same call once more. Nothing where its arguments were not kept.

use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::api::calls::{CallReply, CallRequest};
use protocol::api::rows::CallDetail;

use crate::app::api;
use crate::app::navigation::navigation;
use crate::app::parts::tags;
use crate::route::Route;

/// The card.
pub fn card(detail: &CallDetail) -> AnyView {
    let Some(arguments) = detail.arguments.clone() else {
        return ().into_any();
    };
    let span = &detail.own.span;
    let (Some(callee), Some((interface, function))) = (span.peer.clone(), span.name.rsplit_once('.')) else {
        return ().into_any();
    };
    let path = api::call_path(&callee, interface, function);
    let pretty = serde_json::to_string_pretty(&arguments).unwrap_or_default();
    let navigation = navigation();
    let trouble: RwSignal<Option<String>> = RwSignal::new(None);
    let waits = RwSignal::new(false);
    let act = move |_| {
        let (path, args) = (path.clone(), arguments.clone());
        waits.set(true);
        spawn_local(async move {
            let request = CallRequest {
                args,
                timeout_ms: None,
            };
            match api::send::<CallReply>("POST", &path, &request).await {
                Ok(reply) => navigation.go(&Route::Trace(reply.trace_id, None)),
                Err(problem) => {
                    if let Some(id) = problem.trace_id {
                        navigation.go(&Route::Trace(id, None));
                    }
                    // The page may be another one by now.
                    let _ = trouble.try_set(Some(problem.detail));
                    let _ = waits.try_set(false);
                }
            }
        });
    };
    let form = Route::Handler(callee).path();
    view! {
        <section class="card" data-arguments="">
            <div class="card-head"><h2>"Arguments"</h2>{tags::copy(pretty.clone(), "Copy the arguments as JSON")}</div>
            <pre class="code arguments">{pretty}</pre>
            <p class="buttons">
                <button class="btn" data-action="again" disabled=move || waits.get() on:click=act
                    title="The callee runs once more, as if called by hand">"Call it again"</button>
                <a class="btn" href=form>"Change them first"</a>
            </p>
            <p class="small bad" role="status">{move || trouble.get()}</p>
        </section>
    }
    .into_any()
}
