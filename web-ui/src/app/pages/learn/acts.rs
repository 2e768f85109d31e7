//! What each step does: to the placement, to the shop, to a process; and what it measures of it.
//!
//! Everything is asked of the same API that scripts use. A change of placement remembers the one before it, once, until
//! it is put back.

use std::time::Duration;

use protocol::NodeName;
use protocol::SpanKind;
use protocol::api::Page;
use protocol::api::nodes::{Node, NodeState};
use protocol::api::placement::{Accepted, PlacementStatus};
use protocol::api::problem::Problem;
use protocol::api::queues::Message;
use protocol::api::traces::TypicalSteps;
use protocol::span::Stages;
use serde_json::{Value, json};
use wasm_bindgen_futures::JsFuture;

use super::proof::Proof;
use super::{peak, shop, store, stored};
use crate::app::api;
use crate::format;
use crate::route::encode;
use crate::steps;

const BEFORE_KEY: &str = "cleave.learn.before";
/// How long anything may take to come about, looked at in these pauses.
pub(super) const PATIENCE_MS: u64 = 90_000;
const LOOK_MS: u64 = 300;
/// Calls of a measurement.
const CALLS: usize = 12;
/// The edges that the tour speaks of.
const ASKING: &str = "recommendation -> shop:catalog/catalog";
pub(super) const MAILING: &str = "checkout -> shop:email/email";
pub(super) const MAIL_QUEUE: &str = "checkout.email";

pub(super) type Say<'a> = &'a dyn Fn(String);

/// Does a step.
pub async fn act(number: u8, say: Say<'_>) -> Result<Proof, String> {
    match number {
        1 => nine_steps(say).await,
        2 => both(say).await,
        3 => split(say).await,
        4 => kill(say).await,
        5 => peak::shave(say).await,
        6 => dead(say).await,
        7 => follow(say).await,
        8 => distance(say).await,
        _ => bill(say).await,
    }
}

/// A failure in words.
pub fn words(problem: &Problem) -> String {
    format!("{}: {}.", problem.title, problem.detail.trim_end_matches('.'))
}

/// Waits.
pub async fn pause(ms: u64) {
    let promise = js_sys::Promise::new(&mut |done, _| {
        let act = move || {
            // Cannot fail: it resolves a promise.
            let _ = done.call0(&wasm_bindgen::JsValue::NULL);
        };
        leptos::prelude::set_timeout(act, Duration::from_millis(ms));
    });
    let _ = JsFuture::from(promise).await;
}

pub(super) async fn get<T: serde::de::DeserializeOwned>(path: &str) -> Result<T, String> {
    api::get(path).await.map_err(|problem| words(&problem))
}

/// Looks again and again until something is found; an error ends it.
async fn until<T, F: Future<Output = Result<Option<T>, String>>>(
    what: &str,
    look: impl Fn() -> F,
) -> Result<T, String> {
    let mut waited = 0;
    loop {
        // The server may be busy with the very thing that is waited for.
        if let Ok(Some(found)) = look().await {
            return Ok(found);
        }
        if waited >= PATIENCE_MS {
            return Err(format!("Waited {} s for {what}.", PATIENCE_MS / 1_000));
        }
        pause(LOOK_MS).await;
        waited += LOOK_MS;
    }
}

/// Whether there is a placement to be put back.
pub fn was_moved() -> bool {
    !stored(BEFORE_KEY).is_empty()
}

/// Asks for a placement and waits until it is in force; the one before is remembered.
pub(super) async fn place(mode: &str, groups: Value, edges: Value) -> Result<(), String> {
    let status: PlacementStatus = get("placement").await?;
    if !was_moved() {
        let mut before = serde_json::to_value(&status.desired).unwrap_or_default();
        // Said even where they are none: what is left out stays as it is.
        for part in ["replicas", "edges"] {
            if before.get(part).is_none() {
                before[part] = json!({});
            }
        }
        store(BEFORE_KEY, &before.to_string());
    }
    let mut wanted = json!({ "mode": mode, "replicas": {}, "edges": edges });
    if mode == "groups" {
        wanted["groups"] = groups;
    }
    put(&wanted).await
}

async fn put(wanted: &Value) -> Result<(), String> {
    let accepted: Accepted = api::send("PUT", "placement", wanted)
        .await
        .map_err(|problem| words(&problem))?;
    let in_force = async || {
        let status: PlacementStatus = get("placement").await?;
        Ok((status.settled && status.actual_generation >= accepted.generation).then_some(()))
    };
    until("the placement", in_force).await
}

/// Puts the placement back that was in force before the tour.
pub async fn undo() -> Result<(), String> {
    let before: Value = crate::json::from_str(&stored(BEFORE_KEY)).unwrap_or_default();
    if before.is_object() {
        put(&before).await?;
    }
    store(BEFORE_KEY, "");
    Ok(())
}

async fn nine_steps(say: Say<'_>) -> Result<Proof, String> {
    say("The recommendation is called, and asks the catalog …".to_owned());
    let reply = shop::recommend().await?;
    let (_, (span, stages)) =
        shop::trace(reply.trace_id, |detail| shop::client(detail, "recommendation")).await?;
    let finding = format!(
        "{} took {}, in nine steps.",
        span.name,
        format::duration(span.duration_ns)
    );
    let mut proof = Proof::of(finding).trace(reply.trace_id, "The trace");
    proof.steps = steps::steps(&stages, "catalog");
    Ok(proof)
}

/// Calls some times; gives the last call's trace, and what the edge's calls by its way are made of.
async fn measure(say: Say<'_>, word: &str) -> Result<(protocol::TraceId, TypicalSteps), String> {
    for number in 1..CALLS {
        say(format!("{word}: call {number} of {CALLS} …"));
        shop::recommend().await?;
    }
    let last = shop::recommend().await?.trace_id;
    let (_, (span, _)) = shop::trace(last, |detail| shop::client(detail, "recommendation")).await?;
    let way = span
        .transport
        .ok_or_else(|| "The call was not seen to go any way.".to_owned())?;
    let path = format!("steps?caller=recommendation&function={}", encode(&span.name));
    let typical: Page<TypicalSteps> = get(&path).await?;
    let found = typical.items.into_iter().find(|typical| typical.transport == way);
    let found = found.ok_or_else(|| "No call of that way is stored yet.".to_owned())?;
    Ok((last, found))
}

async fn both(say: Say<'_>) -> Result<Proof, String> {
    say("All handlers move into one process …".to_owned());
    place("together", json!([]), json!({})).await?;
    let (first, together) = measure(say, "Together").await?;
    say("Each handler gets a process of its own …".to_owned());
    place("apart", json!([]), json!({})).await?;
    let (second, apart) = measure(say, "Apart").await?;
    let times = apart.duration_ns as f64 / together.duration_ns.max(1) as f64;
    let finding = format!("Apart the same call takes {} × as long.", format::ratio(times));
    let run = |typical: &TypicalSteps| format::duration(typical.stages.callee.run);
    Ok(Proof::of(finding)
        .number("together, median", format::duration(together.duration_ns))
        .number("apart, median", format::duration(apart.duration_ns))
        .number("of that travel", format::duration(apart.stages.travel))
        .number(
            "the function itself",
            format!("{} and {}", run(&together), run(&apart)),
        )
        .trace(first, "A call together")
        .trace(second, "A call apart")
        .link("/", "The map"))
}

async fn split_catalog(say: Say<'_>) -> Result<(), String> {
    say("The catalog moves out …".to_owned());
    place("groups", json!([["catalog"]]), json!({})).await
}

async fn split(say: Say<'_>) -> Result<Proof, String> {
    split_catalog(say).await?;
    let reply = shop::recommend().await?;
    let (_, (span, stages)) =
        shop::trace(reply.trace_id, |detail| shop::client(detail, "recommendation")).await?;
    let nodes: Page<Node> = get("nodes").await?;
    let child = nodes.items.iter().find(|node| node.name != NodeName::home());
    let way = span.transport.map_or("", protocol::Transport::word);
    let finding = format!("The catalog has a process of its own; the call to it goes by {way}.");
    Ok(Proof::of(finding)
        .number(
            "its process",
            child.map_or_else(String::new, |node| node.pid.to_string()),
        )
        .number("the call", format::duration(span.duration_ns))
        .number("of that travel", format::duration(stages.travel))
        .trace(reply.trace_id, "The trace")
        .link("/", "The map")
        .link("/nodes", "The nodes"))
}

async fn kill(say: Say<'_>) -> Result<Proof, String> {
    split_catalog(say).await?;
    let catalog = async || {
        let nodes: Page<Node> = get("nodes").await?;
        Ok(nodes
            .items
            .into_iter()
            .find(|node| node.handlers.iter().any(|name| name.as_str() == "catalog")))
    };
    let before = until("the catalog's node", catalog).await?;
    say(format!("Process {} is killed …", before.pid));
    let killed = api::act("POST", &format!("nodes/{}/kill", before.name)).await;
    killed.map_err(|problem| words(&problem))?;
    let began = js_sys::Date::now();
    let (mut failed, mut asked) = (0_u64, 0_u64);
    let after = loop {
        asked += 1;
        // What matters is only whether the catalog answered.
        if shop::product().await.is_err() {
            failed += 1;
        }
        let now = catalog().await?;
        let is_back = |node: &Node| node.state == NodeState::Ready && node.incarnation > before.incarnation;
        if let Some(node) = now.filter(is_back)
            && shop::product().await.is_ok()
        {
            break node;
        }
        if js_sys::Date::now() - began > PATIENCE_MS as f64 {
            return Err("The catalog did not come back.".to_owned());
        }
        say(format!(
            "{failed} of {asked} calls to the catalog failed so far …"
        ));
        pause(60).await;
    };
    let away = (js_sys::Date::now() - began) as u64;
    let finding = format!("The catalog was back after {}, by itself.", format::age(away));
    Ok(Proof::of(finding)
        .number("calls meanwhile", format::count(asked))
        .number("of those failed", format::count(failed))
        .number("process before, now", format!("{}, {}", before.pid, after.pid))
        .number("starts", format::count(after.incarnation))
        .link("/nodes", "What happened")
        .link("/traces?status=error", "Failed calls"))
}

async fn dead(say: Say<'_>) -> Result<Proof, String> {
    let product = shop::product().await?;
    // An address that the checkout takes and no letter can be sent to.
    let reply = shop::buy(&product, &shop::customer(0), "wren@nowhere").await?;
    let path = format!("queues/{MAIL_QUEUE}/messages?limit=20");
    let ours = |message: &Message| message.trace.is_some_and(|link| link.trace_id == reply.trace_id);
    let buried = until("the letter to be given up; its pauses grow", async || {
        for state in ["ready", "leased", "dead"] {
            let page: Page<Message> = get(&format!("{path}&state={state}")).await?;
            let Some(message) = page.items.into_iter().find(ours) else {
                continue;
            };
            if state == "dead" {
                return Ok(Some(message));
            }
            let why = message
                .last_error
                .map_or_else(String::new, |error| format!(": {}", error.message));
            say(format!("Attempt {} of {}{why} …", message.attempt, message.tries));
        }
        Ok(None)
    });
    let message = buried.await?;
    let error = message.last_error.map_or_else(String::new, |error| error.message);
    let finding = format!(
        "After {} attempts the letter is dead; the order stands.",
        message.attempt
    );
    let proof = Proof::of(finding)
        .number("the purchase took", format::duration(reply.duration_ns))
        .number("the last error", error)
        .link("/queues/checkout.email", "The dead letter, to retry it")
        .trace(reply.trace_id, "The purchase");
    Ok(match message.attempt_trace {
        Some(link) => proof.trace(link.trace_id, "Its last attempt"),
        None => proof,
    })
}

async fn follow(say: Say<'_>) -> Result<Proof, String> {
    say("Something is bought …".to_owned());
    let product = shop::product().await?;
    let reply = shop::buy(&product, &shop::customer(0), "wren@harbour.example").await?;
    say("The letter is on its way …".to_owned());
    let (detail, linked) = shop::trace(reply.trace_id, |detail| {
        let mut linked = detail.linked.iter();
        linked.find(|linked| linked.follows).cloned()
    })
    .await?;
    let finding = format!(
        "The letter waited {} in the queue.",
        format::duration(linked.wait_ns)
    );
    Ok(Proof::of(finding)
        .number("the purchase", format::duration(detail.summary.duration_ns))
        .number("its spans", format::count(detail.summary.spans.into()))
        .number("the letter", format::duration(linked.duration_ns))
        .trace(reply.trace_id, "The purchase")
        .trace(linked.trace_id, "The letter"))
}

async fn distance(say: Say<'_>) -> Result<Proof, String> {
    split_catalog(say).await?;
    let (near, before) = measure(say, "Near").await?;
    say("The catalog moves 20 ms away …".to_owned());
    let far = json!({ ASKING: { "delay": "20ms" } });
    place("groups", json!([["catalog"]]), far).await?;
    let reply = shop::recommend().await?;
    let (_, (span, stages)) =
        shop::trace(reply.trace_id, |detail| shop::client(detail, "recommendation")).await?;
    let finding = format!(
        "The call takes {}, of which {} is the way.",
        format::duration(span.duration_ns),
        format::duration(stages.travel)
    );
    let mut proof = Proof::of(finding)
        .number("near, median", format::duration(before.duration_ns))
        .number("far", format::duration(span.duration_ns))
        .number("the function itself", format::duration(stages.callee.run))
        .trace(near, "A call near")
        .trace(reply.trace_id, "The call far")
        .link("/edges", "The edges");
    proof.steps = steps::steps(&stages, "catalog");
    Ok(proof)
}

async fn bill(say: Say<'_>) -> Result<Proof, String> {
    say("Each handler gets a process of its own …".to_owned());
    place("apart", json!([]), json!({})).await?;
    let product = shop::product().await?;
    // The first purchase warms what the second is billed for.
    for word in [
        "Something is bought …",
        "Something is bought again, and measured …",
    ] {
        say(word.to_owned());
        shop::buy(&product, &shop::customer(0), "wren@harbour.example").await?;
    }
    let reply = shop::buy(&product, &shop::customer(1), "wren@harbour.example").await?;
    let charged = |detail: &protocol::api::traces::TraceDetail| shop::client(detail, "checkout");
    let (_, _) = shop::trace(reply.trace_id, charged).await?;
    // Spans of other processes come a moment later.
    pause(1_500).await;
    let (detail, _) = shop::trace(reply.trace_id, charged).await?;
    let mut ways: Vec<(String, u64, u64)> = Vec::new();
    let mut all = 0;
    for span in detail.spans.iter().map(|row| &row.span) {
        let (SpanKind::Client, Some(Stages::Caller(stages)), Some(peer)) =
            (span.kind, &span.stages, &span.peer)
        else {
            continue;
        };
        let way = span.duration_ns.saturating_sub(stages.callee.total);
        let edge = format!("{} → {peer}", span.handler);
        all += way;
        match ways.iter_mut().find(|(known, ..)| *known == edge) {
            Some((_, calls, sum)) => (*calls, *sum) = (*calls + 1, *sum + way),
            None => ways.push((edge, 1, way)),
        }
    }
    ways.sort_by_key(|(_, _, way)| std::cmp::Reverse(*way));
    let whole = detail.summary.duration_ns;
    let share = format::percent(all as f64, whole as f64);
    let mut proof = Proof::of(format!("{share} of the purchase was the way, not the work."))
        .number("the purchase", format::duration(whole))
        .trace(reply.trace_id, "The trace")
        .link("/edges", "The bill of every edge");
    for (edge, calls, way) in ways.into_iter().take(6) {
        let text = format!(
            "{} in {}",
            format::duration(way),
            format::plural(calls, "call", "calls")
        );
        proof = proof.number(edge, text);
    }
    Ok(proof)
}
