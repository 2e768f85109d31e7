//! `handlers`, `handlers/{name}`, `handlers/{name}/logs`.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use protocol::HandlerName;
use protocol::api::Page;
use protocol::api::handlers::{Handler, HandlerDetail};
use protocol::api::logs::{LogLine, LogQuery};

use super::extract::{Named, Parameters, WasmBody};
use super::{Shared, whole};
use crate::http::error::Failure;

pub(super) async fn list(State(shared): State<Shared>) -> Json<Page<Handler>> {
    whole(shared.context.home.handlers())
}

pub(super) async fn show(
    State(shared): State<Shared>,
    Named(name): Named<HandlerName>,
) -> Result<Json<HandlerDetail>, Failure> {
    shared
        .context
        .home
        .handler(&name)
        .map(Json)
        .ok_or_else(|| missing(&name))
}

pub(super) async fn logs(
    State(shared): State<Shared>,
    Named(name): Named<HandlerName>,
    Parameters(query): Parameters<LogQuery>,
) -> Result<Json<Page<LogLine>>, Failure> {
    let context = &shared.context;
    if context.home.handler(&name).is_none() {
        return Err(missing(&name));
    }
    Ok(whole(context.traces.logs(&name, query.limit).await?))
}

pub(super) async fn put(
    State(shared): State<Shared>,
    Named(name): Named<HandlerName>,
    WasmBody(bytes): WasmBody,
) -> Result<Json<Handler>, Failure> {
    Ok(Json(shared.context.home.put_handler(name, bytes).await?))
}

pub(super) async fn delete(
    State(shared): State<Shared>,
    Named(name): Named<HandlerName>,
) -> Result<StatusCode, Failure> {
    if shared.context.home.delete_handler(name.clone()).await {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(missing(&name))
    }
}

fn missing(name: &HandlerName) -> Failure {
    Failure::not_found(format!(
        "there is no handler `{name}`; `cleave ls handlers` lists those that there are"
    ))
}
