//! The queued edge from checkout to e-mail: delivered, dead, retried, and never lost.

use std::collections::BTreeSet;

use http::Method;
use protocol::Transport;
use protocol::api::edges::Edge;
use protocol::api::queues::{Message, Queue};
use serde_json::{Value, json};

use crate::support::{
    Home, HomeBuilder, RULES, Req, SHOP, between, card_form, read_component, trapping_email, wait_for,
};

const QUEUE: &str = "checkout.email";

fn queue(home: &Home) -> Option<Queue> {
    let queues: Vec<Queue> = home.api.list("/api/v1/queues");
    queues.into_iter().find(|queue| queue.name.as_str() == QUEUE)
}

#[track_caller]
fn wait_queue(home: &Home, what: &str, wanted: impl Fn(&Queue) -> bool) -> Queue {
    wait_for(&format!("`{QUEUE}` to have {what}"), || match queue(home) {
        Some(queue) if wanted(&queue) => Ok(queue),
        other => Err(format!("{other:?}")),
    })
}

fn messages(home: &Home, state: &str) -> Vec<Message> {
    home.api.list(&format!(
        "/api/v1/queues/{QUEUE}/messages?state={state}&limit=200"
    ))
}

/// The shop without its e-mail.
fn shop_without_email() -> HomeBuilder {
    let others: Vec<_> = SHOP.into_iter().filter(|name| *name != "email").collect();
    Home::with(&others)
}

fn put_email(home: &Home, component: Vec<u8>) {
    let request = Req::new(Method::PUT, "/api/v1/handlers/email").body("application/wasm", component);
    let answer = home.api.send(request);
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
}

#[test]
fn a_letter_waits_in_its_queue_and_is_delivered() {
    let home = Home::shop().start();
    let thanks = home.visitor().buy_something();
    let order = between(&thanks, "id=\"order-id\">", "<").to_owned();
    let done = wait_queue(&home, "delivered it", |queue| queue.done == 1);
    assert_eq!(
        (done.ready, done.leased, done.dead, done.failed_attempts),
        (0, 0, 0, 0),
        "{done:?}"
    );
    assert_eq!(done.tries, 3);

    let kept = messages(&home, "done");
    let [message] = kept.as_slice() else {
        panic!("one message: {kept:?}")
    };
    assert_eq!(message.function, "shop:email/email.send-confirmation");
    assert_eq!(message.attempt, 1);
    let arguments = message.arguments.as_ref().expect("the types are known");
    assert_eq!(
        arguments["recipient"].as_str().or(arguments[0].as_str()),
        Some("robin@harbour.example")
    );
    assert!(arguments.to_string().contains(&order), "{arguments}");
    assert!(
        message.trace.is_some() && message.attempt_trace.is_some(),
        "{message:?}"
    );

    let edges: Vec<Edge> = home.api.list("/api/v1/edges");
    let edge = edges.iter().find(|edge| {
        edge.interface.unversioned() == "shop:email/email" && edge.caller.as_str() == "checkout"
    });
    let edge = edge.expect("checkout called email");
    assert_eq!(
        (edge.transport, edge.calls, edge.errors),
        (Transport::Queue, 1, 0),
        "{edge:?}"
    );
    assert_eq!(edge.queue.as_ref().map(|queue| queue.name.as_str()), Some(QUEUE));
}

#[test]
fn a_letter_that_cannot_be_delivered_dies_after_its_tries_and_can_be_retried() {
    let home = Home::shop().start();
    let mut visitor = home.visitor();
    visitor.add("storm-kettle", 1);
    // Checkout takes any address with an @; the e-mail does not.
    let answer = visitor.post("/cart/checkout", &card_form("robin@nowhere"));
    assert_eq!(answer.status.as_u16(), 200, "the order stands: {}", answer.text());
    let dead = wait_queue(&home, "a dead letter", |queue| queue.dead == 1);
    assert_eq!((dead.failed_attempts, dead.done), (3, 0), "{dead:?}");
    let kept = messages(&home, "dead");
    let [message] = kept.as_slice() else {
        panic!("one message: {kept:?}")
    };
    assert_eq!((message.attempt, message.tries), (3, 3));
    let error = message.last_error.as_ref().expect("it failed for a reason");
    assert_eq!(error.code, "err");
    for said in ["send-confirmation", "{\"invalid-recipient\":\""] {
        assert!(error.message.contains(said), "`{said}` in {error:?}");
    }

    let retry = |body: Value| {
        let path = format!("/api/v1/queues/{QUEUE}/retry");
        home.api
            .send(Req::new(Method::POST, &path).json(&body))
            .expect::<Value>()
    };
    assert_eq!(retry(json!({"ids": [message.id + 1_000]})), json!({"retried": 0}));
    assert_eq!(retry(json!({"ids": [message.id]})), json!({"retried": 1}));
    wait_queue(&home, "tried again in vain", |queue| {
        queue.dead == 1 && queue.failed_attempts > 3
    });
}

#[test]
fn a_dead_letter_is_delivered_once_its_handler_is_repaired() {
    let home = shop_without_email().start();
    put_email(&home, trapping_email());
    home.wait_serving("checkout");
    let mut visitor = home.visitor();
    for _ in 0..2 {
        visitor.buy_something();
    }
    wait_queue(&home, "two dead letters", |queue| queue.dead == 2);
    let error = messages(&home, "dead")[0]
        .last_error
        .clone()
        .expect("it failed for a reason");
    assert_eq!(error.code, "trapped", "{error:?}");

    put_email(&home, read_component("email"));
    let path = format!("/api/v1/queues/{QUEUE}/retry");
    let retried: Value = home
        .api
        .send(Req::new(Method::POST, &path).json(&json!({})))
        .expect();
    assert_eq!(retried, json!({"retried": 2}));
    wait_queue(&home, "delivered both", |queue| {
        queue.done == 2 && queue.dead == 0
    });
}

#[test]
fn letters_survive_the_sudden_death_of_home() {
    let rules = RULES.replace("tries = 3", "tries = 100");
    let mut home = shop_without_email().rules(&rules).start();
    put_email(&home, trapping_email());
    home.wait_serving("checkout");
    let mut visitor = home.visitor();
    let order = |page: String| between(&page, "id=\"order-id\">", "<").to_owned();
    // The last order is answered just before the end.
    let orders: BTreeSet<String> = (0..5).map(|_| order(visitor.buy_something())).collect();
    home.kill();
    std::fs::write(home.folder().join("email.wasm"), read_component("email"))
        .expect("the folder takes a file");
    home.start_again();
    wait_queue(&home, "delivered all", |queue| {
        queue.ready + queue.delayed + queue.leased == 0 && queue.done > 0
    });
    let letters: Vec<_> = messages(&home, "done")
        .into_iter()
        .filter_map(|message| message.arguments)
        .collect();
    let letters: Vec<_> = letters.iter().map(Value::to_string).collect();
    for order in &orders {
        assert!(
            letters.iter().any(|letter| letter.contains(order)),
            "{order} is not confirmed in {letters:?}"
        );
    }
    assert_eq!(letters.len(), orders.len());
}
