//! `diff`: two traces, or two sets of traces, aligned call by call.

use axum::Json;
use axum::extract::{Query, State};
use http::Uri;
use protocol::api::diff::{Diff, DiffQuery};
use protocol::api::traces::TraceQuery;

use super::Shared;
use super::extract::Parameters;
use crate::http::error::Failure;

pub(super) async fn diff(
    State(shared): State<Shared>,
    Parameters(query): Parameters<DiffQuery>,
) -> Result<Json<Diff>, Failure> {
    Ok(Json(shared.context.traces.diff(&query, read).await?))
}

/// A query as an address has it: `handler=cart&min_ms=5`.
fn read(text: &str) -> Option<TraceQuery> {
    let uri: Uri = format!("/?{text}").parse().ok()?;
    Query::<TraceQuery>::try_from_uri(&uri)
        .ok()
        .map(|Query(query)| query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_is_read_as_an_address_is() {
        let query = read("edge=checkout%20-%3E%20shop%3Aemail%2Femail&min_ms=5").unwrap();
        assert_eq!(query.edge.as_deref(), Some("checkout -> shop:email/email"));
        assert_eq!(query.min_ms, Some(5));
        assert_eq!(read(""), Some(TraceQuery::default()));
        assert_eq!((read("colour=red"), read("min_ms=many")), (None, None));
    }
}
