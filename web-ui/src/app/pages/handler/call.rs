//! A function by hand: a form made from its WIT types beside the JSON that it stands for, and the answer.
//!
//! Form and JSON are one draft, so that both are right at every moment; what was recorded of queued calls can be taken as
//! arguments again. The query of the address is not touched: what customers typed does not belong into a history.

use std::sync::Arc;

use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::HandlerName;
use protocol::api::Page;
use protocol::api::calls::{CallReply, CallRequest, RecordedCall};
use protocol::api::problem::Problem;
use protocol::api::queues::{Message, MessageState};
use protocol::api::wit::{Interface, Side};
use serde_json::Value;

use crate::app::live::live;
use crate::app::parts::form::{self, Form};
use crate::app::parts::{tags, value};
use crate::app::{api, shell};
use crate::form as model;
use crate::form::Fault;
use crate::format;
use crate::route::{Route, encode};
use crate::shape::{self, Part, Shape};

/// Recorded calls that are offered.
const RECORDED_MAX: u32 = 10;

/// One function that can be called.
#[derive(Clone)]
struct Callable {
    interface: String,
    function: String,
    params: Vec<Part>,
    result: Option<Shape>,
}

#[derive(Clone)]
enum Answer {
    None,
    Waiting,
    Came(CallReply),
    Failed(Problem),
}

#[derive(Clone, Copy)]
struct Caller {
    handler: StoredValue<HandlerName>,
    all: StoredValue<Vec<Callable>>,
    chosen: RwSignal<usize>,
    params: StoredValue<Vec<Part>>,
    form: Form,
    json: RwSignal<String>,
    broken: RwSignal<Option<String>>,
    answer: RwSignal<Answer>,
    messages: RwSignal<Vec<Message>>,
    /// Of the chosen function.
    calls: RwSignal<Vec<RecordedCall>>,
}

/// The card; nothing where nothing can be called.
pub fn card(handler: &HandlerName, interfaces: &Arc<Vec<Interface>>) -> AnyView {
    let all = callables(interfaces);
    let Some(first) = all.first().cloned() else {
        return ().into_any();
    };
    let draft = model::initial_parts(&first.params);
    let caller = Caller {
        handler: StoredValue::new(handler.clone()),
        all: StoredValue::new(all),
        chosen: RwSignal::new(0),
        params: StoredValue::new(first.params),
        form: Form::new(draft),
        json: RwSignal::new(String::new()),
        broken: RwSignal::new(None),
        answer: RwSignal::new(Answer::None),
        messages: RwSignal::new(Vec::new()),
        calls: RwSignal::new(Vec::new()),
    };
    // The JSON follows the form, and what is wrong follows both.
    Effect::new(move |_| {
        let draft = caller.form.draft.get();
        let pretty = serde_json::to_string_pretty(&draft).unwrap_or_default();
        let same = serde_json::from_str::<Value>(&caller.json.get_untracked()).ok() == Some(draft.clone());
        if !same {
            caller.json.set(pretty);
        }
        let faults = caller.params.with_value(|params| model::check(params, &draft));
        caller.form.faults.set(faults);
        caller.broken.set(None);
    });
    caller.read_messages();
    caller.read_calls();
    caller.view()
}

fn callables(interfaces: &[Interface]) -> Vec<Callable> {
    let exports = interfaces
        .iter()
        .filter(|interface| interface.side == Side::Export);
    exports
        .flat_map(|at| {
            at.functions.iter().map(|function| Callable {
                interface: at.name.clone(),
                function: function.name.clone(),
                params: shape::params(interfaces, at, function),
                result: shape::result(interfaces, at, function),
            })
        })
        // Methods of resources have no name that could be called.
        .filter(|callable| !callable.function.starts_with('['))
        .collect()
}

impl Caller {
    fn view(self) -> AnyView {
        let options = self.all.with_value(|all| {
            let option = |(index, each): (usize, &Callable)| {
                let name = each.interface.rsplit('/').next().unwrap_or_default();
                let name = name.split('@').next().unwrap_or_default();
                view! { <option value=index.to_string()>{format!("{name}.{}", each.function)}</option> }
            };
            all.iter().enumerate().map(option).collect::<Vec<_>>()
        });
        let none = move || {
            self.form.drawn.track();
            self.params
                .with_value(Vec::is_empty)
                .then(|| view! { <p class="small soft">"It takes nothing."</p> })
        };
        let blocked =
            move || self.form.faults.with(|faults| !faults.is_empty()) || self.broken.get().is_some();
        let waiting = move || self.answer.with(|answer| matches!(answer, Answer::Waiting));
        view! {
            <section class="card caller" aria-label="Call by hand" data-caller="">
                <div class="card-head">
                    <h2>"Call by hand"</h2>
                    <label class="small soft">"Function "
                        <select data-call="function" on:change=move |event| self.choose(&event_target_value(&event))>{options}</select>
                    </label>
                </div>
                <div class="caller-sides">
                    <form class="fields" data-call="form" on:submit=move |event| { event.prevent_default(); self.call() }>
                        {form::fields(self.form, self.params)}{none}
                        <p class="buttons">
                            <button class="btn go" type="submit" data-action="call" disabled=move || blocked() || waiting()>"Call it"</button>
                            <button class="btn" type="button" on:click=move |_| self.reset()>"Clear"</button>
                        </p>
                    </form>
                    <div class="caller-json">
                        <label class="small soft" for="call-json">"The arguments as JSON"</label>
                        <textarea id="call-json" class="code" rows="9" spellcheck="false" prop:value=move || self.json.get()
                            on:input=move |event| self.type_json(event_target_value(&event))></textarea>
                        <p class="small bad" role="status">{move || self.broken.get()}</p>
                        {move || self.offers()}
                    </div>
                </div>
                <div class="answer" aria-live="polite">{move || self.show()}</div>
            </section>
        }
        .into_any()
    }

    fn now(self) -> Option<Callable> {
        let chosen = self.chosen.get_untracked();
        self.all.with_value(|all| all.get(chosen).cloned())
    }

    fn choose(self, index: &str) {
        self.chosen.set(index.parse().unwrap_or_default());
        if let Some(callable) = self.now() {
            self.params.set_value(callable.params);
        }
        self.read_calls();
        self.answer.set(Answer::None);
        self.reset();
    }

    fn reset(self) {
        self.form
            .replace(self.params.with_value(|params| model::initial_parts(params)));
    }

    fn type_json(self, text: String) {
        self.json.set(text);
        match serde_json::from_str::<Value>(&self.json.get_untracked()) {
            Ok(draft) => self.form.replace(draft),
            Err(error) => self.broken.set(Some(format!("This is no JSON yet: {error}."))),
        }
    }

    fn call(self) {
        let Some(callable) = self.now() else { return };
        self.answer.set(Answer::Waiting);
        let args = self.form.draft.get_untracked();
        let path = self.path(&callable);
        spawn_local(async move {
            let request = CallRequest {
                args,
                timeout_ms: None,
            };
            let answer = match api::send::<CallReply>("POST", &path, &request).await {
                Ok(reply) => Answer::Came(reply),
                Err(problem) => {
                    self.point_at(&problem);
                    Answer::Failed(problem)
                }
            };
            // The page may be gone meanwhile.
            let _ = self.answer.try_set(answer);
        });
    }

    /// A fault that the server found is shown at its field.
    fn point_at(self, problem: &Problem) {
        let pointer = problem
            .pointer
            .as_deref()
            .and_then(|pointer| pointer.strip_prefix("/args"));
        if let Some(pointer) = pointer {
            let fault = Fault {
                pointer: pointer.to_owned(),
                message: problem.detail.clone(),
            };
            let _ = self.form.faults.try_update(|faults| faults.push(fault));
        }
    }

    fn show(self) -> AnyView {
        match self.answer.get() {
            Answer::None => ().into_any(),
            Answer::Waiting => view! { <p class="soft">"The call is under way …"</p> }.into_any(),
            Answer::Failed(problem) => {
                let trace = problem.trace_id.map(|id| {
                    view! { <a class="btn small" href=Route::Trace(id, None).path()>"Its trace"</a> }
                });
                view! {
                    <div class="answer-head"><b class="bad">{problem.title}</b>{trace}</div>
                    <p class="soft">{problem.detail}</p>
                }
                .into_any()
            }
            Answer::Came(reply) => {
                let shape = self.now().and_then(|callable| callable.result);
                let shown = match &shape {
                    Some(shape) => value::value(shape, &reply.result),
                    None => view! { <span class="soft">"It returns nothing."</span> }.into_any(),
                };
                let json = serde_json::to_string_pretty(&reply.result).unwrap_or_default();
                let took = format!("answered in {}", format::duration(reply.duration_ns));
                view! {
                    <div class="answer-head" data-answer="">
                        <b>{took}</b>
                        <a class="btn small" data-action="answer-trace" href=Route::Trace(reply.trace_id, None).path()>"Its trace"</a>
                        {tags::copy(json, "Copy the result as JSON")}
                    </div>
                    {shown}
                }
                .into_any()
            }
        }
    }

    fn path(self, callable: &Callable) -> String {
        api::call_path(&self.handler.get_value(), &callable.interface, &callable.function)
    }

    /// Reads the newest calls of the chosen function that kept their arguments; none where `[traces] arguments` is off.
    fn read_calls(self) {
        self.calls.set(Vec::new());
        let Some(callable) = self.now() else { return };
        let chosen = self.chosen.get_untracked();
        let path = format!("{}/recorded", self.path(&callable));
        spawn_local(async move {
            let page = api::get::<Page<RecordedCall>>(&path).await;
            // Another may have been chosen meanwhile, or the page left.
            if self.chosen.try_get_untracked() == Some(chosen) {
                let _ = self
                    .calls
                    .try_set(page.map(|page| page.items).unwrap_or_default());
            }
        });
    }

    /// Reads the newest messages for this handler: of queued calls the arguments are always kept.
    fn read_messages(self) {
        let name = self.handler.get_value();
        let queues: Vec<String> = live().queues.with_untracked(|list| {
            let queues = list.ready().map(Vec::as_slice).unwrap_or_default().iter();
            let own = queues.map(|queue| queue.name.to_string());
            own.filter(|queue| queue.ends_with(&format!(".{name}"))).collect()
        });
        spawn_local(async move {
            let mut recorded = Vec::new();
            for queue in queues {
                for state in ["dead", "done"] {
                    let path = format!(
                        "queues/{}/messages?state={state}&limit={RECORDED_MAX}",
                        encode(&queue)
                    );
                    if let Ok(page) = api::get::<Page<Message>>(&path).await {
                        recorded.extend(
                            page.items
                                .into_iter()
                                .filter(|message| message.arguments.is_some()),
                        );
                    }
                }
            }
            let _ = self.messages.try_set(recorded);
        });
    }

    fn offers(self) -> AnyView {
        let chosen = self.chosen.get();
        let wanted = self.all.with_value(|all| {
            let callable = all.get(chosen)?;
            let interface = callable.interface.split('@').next().unwrap_or_default();
            Some(format!("{interface}.{}", callable.function))
        });
        let mut offers: Vec<AnyView> = self
            .calls
            .with(|calls| calls.iter().map(|call| self.offer_call(call)).collect());
        let messages: Vec<AnyView> = self.messages.with(|recorded| {
            let own = recorded
                .iter()
                .filter(|message| Some(unversioned(&message.function)) == wanted);
            own.take(RECORDED_MAX as usize)
                .map(|message| self.offer(message))
                .collect()
        });
        offers.extend(messages);
        if offers.is_empty() {
            return ().into_any();
        }
        view! {
            <details class="recorded" data-recorded="">
                <summary class="small soft">"Call again what was recorded"</summary>
                <ul>{offers}</ul>
            </details>
        }
        .into_any()
    }

    fn offer_call(self, call: &RecordedCall) -> AnyView {
        let when = shell::time_of_day(call.start_unix_ns / 1_000_000);
        let ended = if call.failed { "failed" } else { "called" };
        let words = format!("{ended} by {}, {when}", call.caller);
        self.offer_words(words, call.arguments.clone())
    }

    fn offer(self, message: &Message) -> AnyView {
        let arguments = message.arguments.clone().unwrap_or_default();
        let state = match message.state {
            MessageState::Dead => "dead",
            _ => "done",
        };
        let when = shell::time_of_day(u64::try_from(message.enqueued_unix_ms).unwrap_or_default());
        let words = format!(
            "message, {state}, of {when}, {}",
            format::bytes(message.body_bytes)
        );
        self.offer_words(words, arguments)
    }

    fn offer_words(self, words: String, arguments: Value) -> AnyView {
        view! {
            <li>
                <span class="num-left">{words}</span>
                <button type="button" class="btn tiny" data-action="take-arguments" on:click=move |_| self.form.replace(arguments.clone())>"Take its arguments"</button>
            </li>
        }
        .into_any()
    }
}

/// `shop:email/email@0.1.0.send` without the version.
fn unversioned(function: &str) -> String {
    match function.split_once('@') {
        Some((interface, rest)) => {
            let name = rest.rsplit('.').next().unwrap_or_default();
            format!("{interface}.{name}")
        }
        None => function.to_owned(),
    }
}
