//! What the tour asks of the shop: a recommendation and a purchase, by the same calls that anybody can make by hand.

use protocol::TraceId;
use protocol::api::calls::{CallReply, CallRequest};
use protocol::api::traces::TraceDetail;
use protocol::span::Stages;
use protocol::{CallerStages, Span, SpanKind};
use serde_json::{Value, json};

use super::acts::{pause, words};
use crate::app::api;

/// How often a trace is looked at until it is whole, and how long between.
const LOOKS_MAX: u32 = 40;
const LOOK_MS: u64 = 250;

/// Calls a function of the shop.
pub async fn call(interface: &str, function: &str, args: Value) -> Result<CallReply, String> {
    let request = CallRequest {
        args,
        timeout_ms: None,
    };
    let path = format!("call/{}/{function}", crate::route::encode(interface));
    let reply = api::send::<CallReply>("POST", &path, &request).await;
    reply.map_err(|problem| words(&problem))
}

/// A recommendation, for which the catalog is asked.
pub async fn recommend() -> Result<CallReply, String> {
    let args = json!({ "product-ids": [] });
    call("shop:recommendation/recommendation", "list-recommendations", args).await
}

/// The first thing that is for sale.
pub async fn product() -> Result<String, String> {
    let reply = call("shop:catalog/catalog", "list-products", json!({})).await?;
    let id = reply.result.pointer("/ok/0/id").and_then(Value::as_str);
    id.map(str::to_owned)
        .ok_or_else(|| "The catalog has nothing to sell.".to_owned())
}

/// Buys one piece, as a customer who is told apart by a number.
pub async fn buy(product: &str, customer: &str, email: &str) -> Result<CallReply, String> {
    let item = json!({ "product-id": product, "quantity": 1 });
    let args = json!({ "user-id": customer, "item": item });
    call("shop:cart/cart", "add-item", args).await?;
    let request = json!({
        "user-id": customer,
        "currency": "EUR",
        "email": email,
        "address": {
            "name": "Wren Thimble", "street": "1 Harbour Lane", "postcode": "1000", "city": "Fernport", "country": "Fern",
        },
        "card": { "number": "4539 1488 0343 6467", "code": "123", "expiry-month": 12, "expiry-year": 2099 },
    });
    let reply = call(
        "shop:checkout/checkout",
        "place-order",
        json!({ "request": request }),
    )
    .await?;
    match reply.result.get("err") {
        None => Ok(reply),
        Some(fault) => Err(format!("The checkout refused: {fault}.")),
    }
}

/// A customer that nobody was before.
pub fn customer(number: usize) -> String {
    format!("tour-{}-{number}", js_sys::Date::now() as u64)
}

/// The trace of a call, as soon as it has what is looked for.
pub async fn trace<T>(
    id: TraceId,
    find: impl Fn(&TraceDetail) -> Option<T>,
) -> Result<(TraceDetail, T), String> {
    for _ in 0..LOOKS_MAX {
        if let Ok(detail) = api::get::<TraceDetail>(&format!("traces/{id}")).await
            && let Some(found) = find(&detail)
        {
            return Ok((detail, found));
        }
        pause(LOOK_MS).await;
    }
    Err("The trace did not arrive; is sampling off?".to_owned())
}

/// The side of the caller of a handler's first call, with its stages.
pub fn client(detail: &TraceDetail, caller: &str) -> Option<(Span, CallerStages)> {
    let own = detail.spans.iter().map(|row| &row.span);
    own.filter(|span| span.kind == SpanKind::Client && span.handler.as_str() == caller)
        .find_map(|span| match span.stages {
            Some(Stages::Caller(stages)) => Some((span.clone(), stages)),
            _ => None,
        })
}
