//! One queue: its messages by state, why they failed, and another try for the dead.

use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::api::Page;
use protocol::api::queues::{Message, MessageState, Queue, RetryRequest, RetryResult};
use protocol::{QueueName, SpanId, TraceId};

use crate::app::live::{Remote, keep, live};
use crate::app::parts::{faces, tags};
use crate::app::{api, shell};
use crate::format;
use crate::route::{Route, with_query};
use crate::waterfall::short_name;

const STATES: [(MessageState, &str, &str); 4] = [
    (MessageState::Ready, "ready", "Waiting"),
    (MessageState::Leased, "leased", "In work"),
    (MessageState::Done, "done", "Done"),
    (MessageState::Dead, "dead", "Dead"),
];

/// What the page holds.
#[derive(Clone, Copy)]
struct Messages {
    name: StoredValue<QueueName>,
    state: RwSignal<MessageState>,
    list: RwSignal<Remote<Vec<Message>>>,
    next: RwSignal<Option<String>>,
    said: RwSignal<Option<String>>,
    /// Whether older pages were asked for; then new messages do not take them away.
    deep: StoredValue<bool>,
    /// Whether the tab is the user's choice; before, it is what deserves a look.
    chosen: StoredValue<bool>,
}

/// The page.
pub fn page(name: QueueName) -> AnyView {
    shell::title(name.as_str());
    let live = live();
    let wanted = name.clone();
    let queue = Memo::new(move |_| {
        live.queues.with(|list| {
            list.ready()
                .and_then(|list| list.iter().find(|queue| queue.name == wanted))
                .cloned()
        })
    });
    let messages = Messages {
        name: StoredValue::new(name.clone()),
        state: RwSignal::new(MessageState::Ready),
        list: RwSignal::new(Remote::Loading),
        next: RwSignal::new(None),
        said: RwSignal::new(None),
        deep: StoredValue::new(false),
        chosen: StoredValue::new(false),
    };
    Effect::new(move |_| {
        let dead = queue.with(|queue| queue.as_ref().is_some_and(|queue| queue.dead > 0));
        if dead && !messages.chosen.get_value() {
            messages.show(MessageState::Dead);
        } else if !messages.deep.get_value() {
            messages.read();
        }
    });
    let about = move || queue.with(|queue| queue.as_ref().map_or_else(String::new, about));
    let some_dead = move || queue.with(|queue| queue.as_ref().is_some_and(|queue| queue.dead > 0));
    let retry_all = move || {
        some_dead().then(|| {
            view! { <button class="btn go" data-action="retry-all" on:click=move |_| messages.retry(Vec::new())>"Retry all dead"</button> }
        })
    };
    view! {
        {tags::head(name.to_string(), about, retry_all)}
        <section class="card flush">
            <div class="tabs" role="tablist" aria-label="Messages by state">{tabs(messages, queue)}</div>
            <p class="said" role="status">{move || messages.said.get()}</p>
            {faces::list(messages.list, move || messages.read(), move || empty(messages), move || table(messages))}
            {move || messages.next.get().map(|_| view! {
                <p class="more"><button class="btn" on:click=move |_| messages.older()>"Older messages"</button></p>
            })}
        </section>
    }
    .into_any()
}

/// A tab for each state, with its count.
fn tabs(messages: Messages, queue: Memo<Option<Queue>>) -> AnyView {
    let tab = |(state, key, word): (MessageState, &'static str, &'static str)| {
        let count =
            move || queue.with(|queue| queue.as_ref().map(|queue| format::count(counted(queue, state))));
        view! {
            <button
                role="tab"
                data-tab=key
                aria-selected=move || (messages.state.get() == state).to_string()
                on:click=move |_| messages.show(state)
            >
                {word} " " <span class="num faint">{count}</span>
            </button>
        }
    };
    STATES.map(tab).into_any()
}

fn empty(messages: Messages) -> AnyView {
    match messages.state.get_untracked() {
        MessageState::Dead => faces::empty(
            "No message is dead",
            "A message that fails in all its tries comes to rest here, with its last error.",
            "",
        ),
        MessageState::Leased => faces::empty(
            "Nothing is in work",
            "Messages are here only while an attempt runs.",
            "",
        ),
        MessageState::Done => faces::empty(
            "Nothing done yet",
            "Messages that were worked off stay here for a while.",
            "",
        ),
        MessageState::Ready => faces::empty("Nothing waits", "Messages are worked off as they come.", ""),
    }
}

fn counted(queue: &Queue, state: MessageState) -> u64 {
    match state {
        MessageState::Ready => queue.ready + queue.delayed,
        MessageState::Leased => queue.leased,
        MessageState::Done => queue.done,
        MessageState::Dead => queue.dead,
    }
}

fn about(queue: &Queue) -> String {
    format!(
        "{} in, {} out · dead after {} · {} failed so far{}",
        format::rate(queue.enqueue_rate_per_s),
        format::rate(queue.done_rate_per_s),
        format::plural(u64::from(queue.tries), "try", "tries"),
        format::plural(queue.failed_attempts, "try", "tries"),
        if queue.paused { " · paused" } else { "" }
    )
}

impl Messages {
    fn path(self, before: Option<String>) -> String {
        let state = self.state.get_untracked();
        let word = STATES
            .iter()
            .find(|(known, ..)| *known == state)
            .map_or("ready", |(_, word, _)| *word);
        let mut parameters = vec![("state", word.to_owned())];
        parameters.extend(before.map(|before| ("before", before)));
        with_query(&format!("queues/{}/messages", self.name.get_value()), &parameters)
    }

    fn show(self, state: MessageState) {
        self.chosen.set_value(true);
        self.deep.set_value(false);
        self.state.set(state);
        self.list.set(Remote::Loading);
        self.read();
    }

    fn read(self) {
        let Some(state) = self.state.try_get_untracked() else {
            return;
        };
        let path = self.path(None);
        spawn_local(async move {
            let page = api::get::<Page<Message>>(&path).await;
            // The user may have gone to another tab or page meanwhile.
            if self.state.try_get_untracked() != Some(state) {
                return;
            }
            self.next
                .set(page.as_ref().ok().and_then(|page| page.next.clone()));
            keep(self.list, page.map(|page| page.items));
        });
    }

    fn older(self) {
        self.deep.set_value(true);
        let path = self.path(self.next.get_untracked());
        spawn_local(async move {
            match api::get::<Page<Message>>(&path).await {
                Ok(page) => {
                    self.next.set(page.next);
                    self.list.update(|list| {
                        if let Remote::Ready(list) = list {
                            list.extend(page.items);
                        }
                    });
                }
                Err(problem) => self.said.set(Some(problem.detail)),
            }
        });
    }

    /// Makes dead messages ready again; all of them where `ids` is empty.
    fn retry(self, ids: Vec<i64>) {
        let path = format!("queues/{}/retry", self.name.get_value());
        spawn_local(async move {
            let result = api::send::<RetryResult>("POST", &path, &RetryRequest { ids }).await;
            self.said.set(Some(match result {
                Ok(done) => format!(
                    "{} ready again.",
                    format::plural(done.retried, "message is", "messages are")
                ),
                Err(problem) => format!("{}: {}", problem.title, problem.detail),
            }));
            self.deep.set_value(false);
            self.read();
        });
    }
}

fn table(messages: Messages) -> AnyView {
    let keys = move || {
        messages.list.with(|list| {
            list.ready()
                .map(|list| {
                    list.iter()
                        .map(|message| (message.id, message.attempt, message.state))
                        .collect::<Vec<_>>()
                })
                .unwrap_or_default()
        })
    };
    view! {
        <table class="rows messages">
            <thead>
                <tr>
                    <th>"message"</th>
                    <th>"what is to be done"</th>
                    <th class="num">"tries"</th>
                    <th class="num wide">"enqueued"</th>
                    <th class="num wide">"due"</th>
                    <th class="wide">"traces"</th>
                    <th></th>
                </tr>
            </thead>
            <tbody>
                <For each=keys key=|key| *key children=move |(id, ..)| row(messages, id) />
            </tbody>
        </table>
    }
    .into_any()
}

fn row(messages: Messages, id: i64) -> AnyView {
    let message = messages.list.with_untracked(|list| {
        list.ready()
            .and_then(|list| list.iter().find(|message| message.id == id))
            .cloned()
    });
    let Some(message) = message else {
        return ().into_any();
    };
    let arguments = message
        .arguments
        .as_ref()
        .map_or_else(|| format::bytes(message.body_bytes), ToString::to_string);
    let error = message.last_error.as_ref().map(|error| {
        view! { <p class="small trouble"><b>{error.code.clone()}</b>{format!(": {}", error.message)}</p> }
    });
    let dead = (message.state == MessageState::Dead).then(|| {
        view! { <button class="btn tiny" data-action="retry" data-message=id.to_string() on:click=move |_| messages.retry(vec![id])>"Retry"</button> }
    });
    let link = |trace: Option<(TraceId, SpanId)>, word: &'static str| {
        trace.map(
            |(trace, span)| view! { <a class="trace-link" href=Route::span(trace, span).path()>{word}</a> },
        )
    };
    view! {
        <tr data-message=id.to_string()>
            <td class="num-left"><span data-row="" tabindex="0">{format!("#{id}")}</span></td>
            <td>
                <p class="small"><b>{short_name(&message.function)}</b></p>
                <details class="arguments">
                    <summary class="num-left soft">{arguments.chars().take(160).collect::<String>()}</summary>
                    <pre class="code"><code>{pretty(&message)}</code></pre>
                </details>
                {error}
            </td>
            <td class="num">{format!("{} of {}", message.attempt, message.tries)}</td>
            <td class="num wide">{shell::time_of_day(message.enqueued_unix_ms.max(0) as u64)}</td>
            <td class="num wide">{shell::time_of_day(message.due_unix_ms.max(0) as u64)}</td>
            <td class="wide small">
                {link(message.trace.map(|link| (link.trace_id, link.span_id)), "enqueued")} " "
                {link(message.attempt_trace.map(|link| (link.trace_id, link.span_id)), "last try")}
            </td>
            <td class="num">{dead}</td>
        </tr>
    }
    .into_any()
}

fn pretty(message: &Message) -> String {
    message
        .arguments
        .as_ref()
        .and_then(|arguments| serde_json::to_string_pretty(arguments).ok())
        .unwrap_or_else(|| {
            "The types of this function are not known here, so its arguments cannot be shown.".to_owned()
        })
}
