//! The step in which a queue shaves a peak: many buy at once, the letters are sent as slowly as they are sent.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use leptos::task::spawn_local;
use protocol::api::Page;
use protocol::api::queues::Queue;
use serde_json::json;

use super::acts::{MAIL_QUEUE, MAILING, PATIENCE_MS, Say, get, pause, place};
use super::proof::Proof;
use super::shop;
use crate::format;
use crate::series::Series;

/// Who buys at once, and what each of them buys, one after the other.
const BUYERS: usize = 5;
const EACH: usize = 4;
/// One way to the e-mail handler: four letters under way take twice as long, so that a peak is seen on any machine.
const FAR: &str = "500ms";
const LOOK_MS: u64 = 80;

/// How the purchases go.
#[derive(Default)]
struct Sales {
    done: Cell<usize>,
    /// In ns, together.
    took: Cell<u64>,
    trouble: RefCell<Option<String>>,
}

/// Does the step.
pub async fn shave(say: Say<'_>) -> Result<Proof, String> {
    const ALL: usize = BUYERS * EACH;
    say("The e-mail handler moves out, far away …".to_owned());
    place("groups", json!([["email"]]), json!({ MAILING: { "delay": FAR } })).await?;
    let product = shop::product().await?;
    let sales = Rc::new(Sales::default());
    let began = js_sys::Date::now();
    for buyer in 0..BUYERS {
        spawn_local(buy(Rc::clone(&sales), product.clone(), buyer));
    }
    let (mut line, mut highest, mut bought) = (Series::default(), 0, None);
    loop {
        let waiting = depth().await?;
        highest = highest.max(waiting);
        line.push(waiting as f64);
        if let Some(trouble) = sales.trouble.take() {
            return Err(trouble);
        }
        let now = js_sys::Date::now();
        let done = sales.done.get();
        if done == ALL {
            bought = bought.or(Some((now, waiting)));
        }
        match bought {
            Some(_) if waiting == 0 => break,
            Some(_) => say(format!("All is bought; {waiting} letters wait …")),
            None => say(format!("{done} of {ALL} purchases, {waiting} letters wait …")),
        }
        if now - began > PATIENCE_MS as f64 {
            return Err(format!(
                "{done} of {ALL} purchases were done, and {waiting} letters wait."
            ));
        }
        pause(LOOK_MS).await;
    }
    let (ended, left) = bought.unwrap_or((began, 0));
    let since = |from: f64, to: f64| format::age((to - from).max(0.0) as u64);
    let finding = format!("{highest} letters piled up, and nobody waited for them.");
    let mut proof = Proof::of(finding)
        .number("a purchase took", format::duration(sales.took.get() / ALL as u64))
        .number("all purchases", since(began, ended))
        .number("letters left by then", format::count(left))
        .number(
            "the last was sent",
            format!("{} later", since(ended, js_sys::Date::now())),
        )
        .link("/queues/checkout.email", "The queue")
        .link("/", "The map");
    proof.line = Some(line);
    Ok(proof)
}

async fn buy(sales: Rc<Sales>, product: String, buyer: usize) {
    for number in 0..EACH {
        let customer = shop::customer(buyer * EACH + number);
        match shop::buy(&product, &customer, "wren@harbour.example").await {
            Ok(reply) => sales.took.set(sales.took.get() + reply.duration_ns),
            Err(trouble) => {
                sales.trouble.replace(Some(trouble));
                return;
            }
        }
        sales.done.set(sales.done.get() + 1);
    }
}

/// Letters that are not sent yet.
async fn depth() -> Result<u64, String> {
    let queues: Page<Queue> = get("queues").await?;
    let queue = queues
        .items
        .iter()
        .find(|queue| queue.name.as_str() == MAIL_QUEUE);
    Ok(queue.map_or(0, |queue| queue.ready + queue.delayed + queue.leased))
}
