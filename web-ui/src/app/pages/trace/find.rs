//! The search inside a trace: a field, how many calls it found, and the way from one to the next.

use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::SpanId;
use serde::Deserialize;

use super::stage::Stage;
use crate::app::api;
use crate::app::live::Remote;
use crate::finding::find_query;
use crate::format;
use crate::route::with_query;

/// Typing rests this long before it is searched for.
const PAUSE: Duration = Duration::from_millis(220);
/// Spans that are marked and stepped through.
const LIMIT: u32 = 5_000;

/// The answer, as far as it is used.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Found {
    total: u64,
    spans: Vec<FoundSpan>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct FoundSpan {
    span_id: SpanId,
}

/// What was found, and where the reader is in it.
#[derive(Clone, Copy)]
pub struct Search {
    stage: Stage,
    found: RwSignal<Option<Remote<Found>>>,
    at: RwSignal<usize>,
}

impl Search {
    /// Searches whenever the address, or the field, says something else.
    pub fn new(stage: Stage) -> Self {
        let search = Self {
            stage,
            found: RwSignal::new(None),
            at: RwSignal::new(0),
        };
        let text = Memo::new(move |_| stage.view.with(|view| view.find.trim().to_owned()));
        Effect::new(move |_| {
            let text = text.get();
            if text.is_empty() {
                search.found.set(None);
                search.mark(HashSet::new());
                return;
            }
            search.found.set(Some(Remote::Loading));
            set_timeout(
                move || {
                    if stage.view.try_with_untracked(|view| view.find.trim() == text) == Some(true) {
                        search.ask(text);
                    }
                },
                PAUSE,
            );
        });
        search
    }

    fn ask(self, text: String) {
        let parameters = [("q", find_query(&text)), ("limit", LIMIT.to_string())];
        let path = with_query(&format!("traces/{}/find", self.stage.id), &parameters);
        spawn_local(async move {
            let answer = api::get::<Found>(&path).await;
            // Something else may have been typed meanwhile, or the page left.
            if self
                .stage
                .view
                .try_with_untracked(|view| view.find.trim() == text)
                != Some(true)
            {
                return;
            }
            if let Ok(found) = &answer {
                self.mark(found.spans.iter().map(|span| span.span_id).collect());
            }
            self.at.set(0);
            self.found.set(Some(match answer {
                Ok(found) => Remote::Ready(found),
                Err(problem) => Remote::Failed(problem),
            }));
        });
    }

    fn mark(self, spans: HashSet<SpanId>) {
        self.stage.with_chart(|chart| {
            chart.matches = Rc::new(spans);
            chart.schedule();
        });
    }

    /// Goes to the next that was found, or the one before; whether anything was.
    pub fn step(self, forward: bool) -> bool {
        let chosen = self.stage.view.with_untracked(|view| view.span);
        let next = self.found.with_untracked(|found| {
            let Some(Remote::Ready(found)) = found else {
                return None;
            };
            let count = found.spans.len();
            let now = found.spans.iter().position(|span| Some(span.span_id) == chosen);
            let next = match (now, forward) {
                (_, _) if count == 0 => return None,
                (None, true) => 0,
                (None, false) => count - 1,
                (Some(now), true) => (now + 1) % count,
                (Some(now), false) => (now + count - 1) % count,
            };
            found.spans.get(next).map(|span| (next, span.span_id))
        });
        let Some((at, span)) = next else { return false };
        self.at.set(at);
        self.stage.select(span);
        self.stage.with_chart(|chart| chart.reveal(span));
        true
    }

    fn words(self) -> String {
        self.found.with(|found| match found {
            None => String::new(),
            Some(Remote::Loading) => "…".to_owned(),
            Some(Remote::Failed(problem)) => problem.detail.clone(),
            Some(Remote::Ready(found)) if found.total == 0 => "nothing found".to_owned(),
            Some(Remote::Ready(found)) => {
                format!(
                    "{} of {}",
                    format::count(self.at.get() as u64 + 1),
                    format::count(found.total)
                )
            }
        })
    }
}

/// The field.
pub fn view(search: Search) -> AnyView {
    let stage = search.stage;
    let keys = move |event: leptos::ev::KeyboardEvent| match event.key().as_str() {
        "Enter" => {
            search.step(!event.shift_key());
        }
        "Escape" => stage.edit(|view| view.find.clear()),
        _ => {}
    };
    view! {
        <span class="wf-find">
            <input
                type="search"
                data-search=""
                placeholder="Find: a word, or { status = error }"
                aria-label="Find in this trace"
                prop:value=move || stage.view.with(|view| view.find.clone())
                on:input=move |event| {
                    let text = event_target_value(&event);
                    stage.edit_often(|view| view.find = text);
                }
                on:keydown=keys
            />
            <span class="small soft" role="status">{move || search.words()}</span>
        </span>
    }
    .into_any()
}
