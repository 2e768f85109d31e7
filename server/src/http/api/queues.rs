//! `queues`, `queues/{name}/messages` and `queues/{name}/retry`.

use axum::Json;
use axum::extract::State;
use protocol::QueueName;
use protocol::api::Page;
use protocol::api::queues::{Message, MessageState, Queue, RetryRequest, RetryResult};
use serde::Deserialize;

use super::extract::{JsonBody, Named, Parameters};
use super::{Shared, whole};
use crate::http::Context;
use crate::http::error::Failure;
use crate::queue::{PAGE_MAX, Stored};
use crate::runtime::json;

/// Messages of a page where nothing else is said.
const PAGE_DEFAULT: u32 = 50;

/// Which messages of a queue.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageQuery {
    state: Option<MessageState>,
    limit: Option<u32>,
    before: Option<i64>,
}

pub(super) async fn list(State(shared): State<Shared>) -> Result<Json<Page<Queue>>, Failure> {
    Ok(whole(shared.context.queues.list().await?))
}

pub(super) async fn messages(
    State(shared): State<Shared>,
    Named(name): Named<QueueName>,
    Parameters(query): Parameters<MessageQuery>,
) -> Result<Json<Page<Message>>, Failure> {
    let context = &shared.context;
    check(context, &name)?;
    let limit = query.limit.unwrap_or(PAGE_DEFAULT);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(Failure::invalid(format!(
            "`limit` is {limit}; write a number from 1 to {PAGE_MAX}"
        )));
    }
    // A full page may be the last one: then the next is empty.
    let stored = context
        .queues
        .messages(&name, query.state, query.before, limit)
        .await?;
    let is_full = stored.len() as u64 == u64::from(limit);
    let next = stored
        .last()
        .filter(|_| is_full)
        .map(|last| last.message.id.to_string());
    let items = stored
        .into_iter()
        .map(|stored| with_arguments(context, stored))
        .collect();
    Ok(Json(Page { items, next }))
}

pub(super) async fn retry(
    State(shared): State<Shared>,
    Named(name): Named<QueueName>,
    JsonBody(request): JsonBody<RetryRequest>,
) -> Result<Json<RetryResult>, Failure> {
    check(&shared.context, &name)?;
    let retried = shared.context.queues.retry_dead(&name, &request.ids).await?;
    Ok(Json(RetryResult { retried }))
}

fn check(context: &Context, name: &QueueName) -> Result<(), Failure> {
    if context.queues.contains(name) {
        return Ok(());
    }
    let detail = format!(
        "there is no queue `{name}`; it comes to be with its first message, `cleave ls queues` lists them"
    );
    Err(Failure::not_found(detail))
}

/// A message with its arguments as JSON, where the function's types are known.
fn with_arguments(context: &Context, stored: Stored) -> Message {
    let mut message = stored.message;
    if let (Some(path), Some(body)) = (&stored.function, &stored.body) {
        let known = context
            .home
            .function(stored.handler.as_ref(), &path.interface, &path.function);
        message.arguments = known.and_then(|known| json::decode_arguments(&known.ty, body).ok());
    }
    message
}
