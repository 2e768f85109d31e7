//! The router of the UI's port: `/api/v1`, `/healthz`, `/readyz`, and the UI for everything else.
//!
//! One file per resource; each handler extracts, delegates and converts. Every failure is a problem, also for paths and
//! methods that there are not. Requests pass `guard` first.

mod bill;
mod calls;
mod chronicle;
mod diff;
mod edges;
mod extract;
mod facets;
mod handlers;
mod heat;
mod map;
mod nodes;
mod placement;
mod queues;
mod recorded;
mod traces;
mod transfer;
mod windows;

use std::sync::Arc;

use axum::extract::{OriginalUri, State};
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use protocol::api::{Page, Status};
use tokio_util::sync::CancellationToken;

use super::error::Failure;
use super::events::{self, Hub};
use super::{Context, assets, guard, jaeger, metrics, tempo};
use crate::map::Pictures;

pub(super) use edges::edges;

/// What the handlers share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) context: Arc<Context>,
    pub(super) hub: Arc<Hub>,
    pub(super) token: CancellationToken,
    cashier: Arc<bill::Cashier>,
    pictures: Arc<Pictures>,
}

/// Everything on the UI's port.
pub(super) fn router(context: Arc<Context>, hub: Arc<Hub>, port: u16, token: CancellationToken) -> Router {
    let shared = Shared {
        context,
        hub,
        token,
        cashier: bill::Cashier::new(),
        pictures: Arc::default(),
    };
    let api = Router::new()
        .route("/status", get(status))
        .route("/nodes", get(nodes::list))
        .route("/chronicle", get(chronicle::list))
        .route("/edges", get(edges::list))
        .route("/edges/bill", get(bill::show))
        .route("/edges/history", get(map::history))
        .route("/map", get(map::show))
        .route("/handlers", get(handlers::list))
        .route(
            "/handlers/{name}",
            get(handlers::show).put(handlers::put).delete(handlers::delete),
        )
        .route(
            "/placement",
            get(placement::show).put(placement::put).patch(placement::scale),
        )
        .route("/handlers/{name}/logs", get(handlers::logs))
        .route("/nodes/{name}/drain", post(placement::drain))
        .route("/nodes/{name}/kill", post(nodes::kill))
        .route("/queues", get(queues::list))
        .route("/queues/{name}/messages", get(queues::messages))
        .route("/queues/{name}/retry", post(queues::retry))
        .route("/traces", get(traces::list))
        .route("/heat", get(heat::show))
        .route("/facets", get(facets::show))
        .route("/traces/{id}", get(traces::show))
        .route("/traces/{id}/export", get(transfer::export))
        .route("/traces/import", post(transfer::import))
        .route("/traces/{id}/path", get(windows::path))
        .route("/traces/{id}/rows", get(windows::rows))
        .route("/traces/{id}/overview", get(windows::overview))
        .route("/traces/{id}/spans/{span}", get(windows::call))
        .route("/diff", get(diff::diff))
        .route("/traces/{id}/find", get(traces::find))
        .route("/traces/{id}/links", get(traces::links))
        .route("/steps", get(traces::steps))
        .route("/call/{package}/{interface}/{function}", post(calls::call))
        .route(
            "/call/{package}/{interface}/{function}/recorded",
            get(recorded::list),
        )
        .route("/call/{interface}/{function}/recorded", get(recorded::list))
        .route("/call/{interface}/{function}", post(calls::call))
        .route("/events", get(events::stream))
        .layer(axum::middleware::map_response(uncached));
    Router::new()
        .nest("/api/v1", api)
        .nest("/jaeger", jaeger::router())
        .nest("/tempo", tempo::router())
        .route("/metrics", get(metrics::show))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .fallback(elsewhere)
        .method_not_allowed_fallback(other_method)
        .layer(axum::middleware::from_fn_with_state(port, guard::guard))
        .with_state(shared)
}

/// What changes all the time is not kept by browsers.
async fn uncached(mut response: Response) -> Response {
    response
        .headers_mut()
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn status(State(shared): State<Shared>) -> Json<Status> {
    Json(shared.context.home.status())
}

async fn ready(State(shared): State<Shared>) -> Result<&'static str, Failure> {
    if shared.context.home.is_ready() {
        Ok("ready\n")
    } else {
        Err(Failure::not_ready())
    }
}

/// A list that is short enough for one page.
fn whole<T>(items: Vec<T>) -> Json<Page<T>> {
    Json(Page { items, next: None })
}

/// Paths that are no resource: the UI's own, or none at all.
async fn elsewhere(method: Method, OriginalUri(uri): OriginalUri, headers: http::HeaderMap) -> Response {
    let path = uri.path();
    if ["/jaeger/", "/tempo/"].iter().any(|of| path.starts_with(of)) {
        return Failure::not_found(format!(
            "`{path}` is not answered here; docs/interop.md lists what is"
        ))
        .into_response();
    }
    if path == "/api" || path.starts_with("/api/") {
        let detail = format!("`{path}` is no path of this API; `/api/v1/status` is the first one to try");
        return Failure::not_found(detail).into_response();
    }
    if !matches!(method, Method::GET | Method::HEAD) {
        return Failure::method_not_allowed(&method, path).into_response();
    }
    assets::embedded().answer(path, &headers)
}

async fn other_method(method: Method, OriginalUri(uri): OriginalUri) -> Failure {
    Failure::method_not_allowed(&method, uri.path())
}
