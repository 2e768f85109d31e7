//! `map` and `edges/history`: the picture, now or at a moment of the last hour, and that hour.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use protocol::api::history::{History, HistoryQuery};
use protocol::api::map::{MapQuery, Picture};
use protocol::{HandlerName, NodeName};

use super::Shared;
use super::extract::Parameters;
use crate::http::Context;
use crate::http::error::Failure;
use crate::map::{Drawn, Place};

/// Frames of a phone to those of a wall.
const WIDTHS: std::ops::RangeInclusive<u32> = 200..=8_000;
const MINUTES_MAX: u32 = 60;

pub(super) async fn show(
    State(shared): State<Shared>,
    Parameters(query): Parameters<MapQuery>,
) -> Result<Json<Arc<Picture>>, Failure> {
    if !WIDTHS.contains(&query.width) {
        let (least, most) = (WIDTHS.start(), WIDTHS.end());
        return Err(Failure::invalid(format!(
            "read `width`: {} is no width of a frame, which is {least} to {most} pixels",
            query.width
        )));
    }
    let drawn = drawn(&shared.context, &query);
    // A large picture takes its time: not on a thread that serves calls.
    let pictures = Arc::clone(&shared.pictures);
    let picture = tokio::task::spawn_blocking(move || pictures.draw(drawn)).await;
    picture.map(Json).map_err(|_| Failure::not_ready())
}

pub(super) async fn history(
    State(shared): State<Shared>,
    Parameters(query): Parameters<HistoryQuery>,
) -> Result<Json<History>, Failure> {
    let minutes = query.minutes.unwrap_or(MINUTES_MAX);
    if !(1..=MINUTES_MAX).contains(&minutes) {
        return Err(Failure::invalid(format!(
            "read `minutes`: {minutes} is not from 1 to {MINUTES_MAX}; the history is of the last hour"
        )));
    }
    Ok(Json(shared.context.edges.past(minutes)))
}

/// Handlers where the placement in force has them, else where they serve; and who has called whom.
fn drawn(context: &Context, query: &MapQuery) -> Drawn {
    let past = query.at_unix_ms.and_then(|at| context.edges.places_at(at));
    let now = context.desired.status();
    let mut places: Vec<Place> = context
        .home
        .handlers()
        .into_iter()
        .map(|handler| {
            let placed = match &past {
                Some(past) => past.handlers.get(&handler.name).cloned(),
                None => now
                    .handlers
                    .get(&handler.name)
                    .and_then(|place| place.node.clone()),
            };
            Place {
                node: placed
                    .or_else(|| handler.nodes.first().cloned())
                    .unwrap_or_else(nowhere),
                handler: handler.name,
            }
        })
        .collect();
    places.sort_by(|a, b| a.handler.cmp(&b.handler));
    places.dedup_by(|a, b| a.handler == b.handler);
    let at = |name: &HandlerName| places.binary_search_by(|place| place.handler.cmp(name)).ok();
    let edges: BTreeSet<(usize, usize)> = context
        .edges
        .snapshot()
        .iter()
        .filter_map(|edge| Some((at(&edge.caller)?, at(&edge.callee)?)))
        .filter(|(from, to)| from != to)
        .collect();
    Drawn {
        edges: edges.into_iter().collect(),
        places,
        width: query.width,
    }
}

/// The box of handlers that no node serves: rejected, or waiting for an import.
fn nowhere() -> NodeName {
    NodeName::parse("nowhere").expect("a word of letters is a node name")
}
