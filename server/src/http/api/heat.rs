//! `heat`: latency over time, of the traces that the filters of `traces` find.

use axum::Json;
use axum::extract::{Query, RawQuery, State};
use http::Uri;
use protocol::api::heat::{Heat, HeatQuery};
use protocol::api::traces::TraceQuery;

use super::Shared;
use crate::http::error::Failure;
use crate::traces::Error;

pub(super) async fn show(
    State(shared): State<Shared>,
    RawQuery(text): RawQuery,
) -> Result<Json<Heat>, Failure> {
    let (size, filters) = size(&text.unwrap_or_default())?;
    Ok(Json(shared.context.traces.heat(&filters, &size).await?))
}

/// The two parameters that are the map's own; all others are those of `traces`.
fn size(text: &str) -> Result<(HeatQuery, TraceQuery), Failure> {
    let mut size = HeatQuery::default();
    let mut others = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (field, place) = match name {
            "columns" => ("columns", &mut size.columns),
            "rows" => ("rows", &mut size.rows),
            _ => {
                others.push(pair);
                continue;
            }
        };
        *place = Some(value.parse().map_err(|_| Error::Query {
            field,
            value: value.chars().take(40).collect(),
            expected: "whole number: write how many there may be",
        })?);
    }
    let uri: Result<Uri, _> = format!("/?{}", others.join("&")).parse();
    let uri = uri.map_err(|error| Failure::invalid(error.to_string()))?;
    let filters = Query::<TraceQuery>::try_from_uri(&uri);
    let Query(filters) = filters.map_err(|rejection| Failure::invalid(rejection.body_text()))?;
    Ok((size, filters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_s_own_parameters_stand_beside_the_filters() {
        let read = |text: &str| size(text).ok();
        let (own, filters) = read("columns=12&q=%7B+status%20%3D%20error+%7D&rows=8&min_us=350").unwrap();
        assert_eq!((own.columns, own.rows), (Some(12), Some(8)));
        assert_eq!(filters.q.as_deref(), Some("{ status = error }"));
        assert_eq!(filters.min_us, Some(350));
        assert_eq!(read(""), Some((HeatQuery::default(), TraceQuery::default())));
        for bad in ["columns=many", "rows=-1", "rows", "colour=red", "min_us=few"] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }
}
