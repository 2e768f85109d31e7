//! `chronicle`: what happened to nodes, handlers and the placement.

use axum::Json;
use axum::extract::State;
use protocol::api::Page;
use protocol::api::chronicle::{ChronicleQuery, ENTRIES_MAX, Entry};

use super::Shared;
use super::extract::Parameters;
use crate::http::error::Failure;

pub(super) async fn list(
    State(shared): State<Shared>,
    Parameters(query): Parameters<ChronicleQuery>,
) -> Result<Json<Page<Entry>>, Failure> {
    if let Some(limit) = query.limit
        && !(1..=ENTRIES_MAX as u32).contains(&limit)
    {
        return Err(Failure::invalid(format!(
            "`limit` is {limit}; write a number from 1 to {ENTRIES_MAX}"
        )));
    }
    Ok(Json(shared.context.home.chronicle(&query)))
}
