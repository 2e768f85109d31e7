//! `nodes`, `nodes/{name}/kill`: the processes, and a crash of one for whoever wants to see what happens then.
//!
//! The listener is on loopback, where anybody could kill the process anyway. Draining, which loses no call, is in
//! `placement`.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use protocol::NodeName;
use protocol::api::Page;
use protocol::api::nodes::Node;

use super::extract::{JsonBody, Named};
use super::{Shared, whole};
use crate::http::error::Failure;

pub(super) async fn list(State(shared): State<Shared>) -> Json<Page<Node>> {
    whole(shared.context.home.nodes())
}

/// Nothing can be asked of a kill yet.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KillRequest {}

pub(super) async fn kill(
    State(shared): State<Shared>,
    Named(node): Named<NodeName>,
    JsonBody(KillRequest {}): JsonBody<KillRequest>,
) -> Result<StatusCode, Failure> {
    if node == NodeName::home() {
        let detail = "home is the process that answers this; end it with Ctrl-C where it was started";
        return Err(Failure::invalid(detail));
    }
    if shared.context.home.kill_node(&node) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Failure::not_found(format!(
            "no process of a node `{node}` runs now; `cleave ls nodes` lists those that there are"
        )))
    }
}
