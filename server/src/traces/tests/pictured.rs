//! Maps and counts of traces, from real files.

use protocol::api::facets::Facet;
use protocol::api::heat::HeatQuery;

use super::*;

/// A trace of two nodes: 1 ms long, or as long as is said, begun so many ms after the others' moment.
fn request(trace: u128, begun_ms: u64, duration_ms: u64, has_failed: bool) -> Vec<Span> {
    let root = Span {
        start_unix_ns: 1_790_000_000_000_000_000 + begun_ms * 1_000_000,
        duration_ns: duration_ms * 1_000_000,
        name: if duration_ms > 50 {
            "POST /cart/checkout"
        } else {
            "GET /"
        }
        .into(),
        ..span(trace, 1, None)
    };
    let call = Span {
        start_unix_ns: root.start_unix_ns + 10,
        handler: HandlerName::parse("checkout").unwrap(),
        node: NodeName::parse("checkout").unwrap(),
        duration_ns: 5,
        ..along(span(trace, 2, Some(1)), "checkout -> shop:email/email")
    };
    vec![if has_failed { failed(root) } else { root }, call]
}

async fn full() -> House {
    let house = House::new().await;
    for n in 0..40_u64 {
        let spans = request(
            u128::from(n) + 1,
            n * 1_500,
            if n % 4 == 0 { 90 } else { 3 },
            n % 8 == 0,
        );
        house.store(spans).await;
    }
    house.store(vec![span(99, 1, None)]).await;
    house
}

fn q(text: &str) -> TraceQuery {
    TraceQuery {
        q: Some(text.to_owned()),
        ..TraceQuery::default()
    }
}

fn told(facet: &Facet) -> Vec<(&str, u32)> {
    facet
        .values
        .iter()
        .map(|value| (value.value.as_str(), value.count))
        .collect()
}

#[tokio::test]
async fn a_map_counts_what_the_list_lists() {
    let house = full().await;
    let size = HeatQuery::default();
    let map = house.traces.heat(&TraceQuery::default(), &size).await.unwrap();
    assert_eq!((map.traces, map.failed, map.cut_unix_ms), (41, 5, None));
    assert_eq!((map.column_ms, map.columns), (1_000, 59));
    assert_eq!((map.p50_ns, map.max_ns), (3_000_000, 90_000_000));
    let slow = TraceQuery {
        min_us: Some(89_999),
        max_us: Some(90_000),
        from: Some(1_790_000_000_000),
        to: Some(1_790_000_030_000),
        ..TraceQuery::default()
    };
    for query in [
        slow,
        q("{ root.name = \"POST /cart/checkout\" && root.status = error }"),
    ] {
        let listed = house
            .list(TraceQuery {
                limit: Some(500),
                ..query.clone()
            })
            .await;
        let map = house.traces.heat(&query, &size).await.unwrap();
        assert!(!listed.is_empty());
        assert_eq!(
            map.cells.iter().map(|cell| cell.count as usize).sum::<usize>(),
            listed.len()
        );
        assert!(
            map.cells.iter().all(|cell| listed.contains(&cell.exemplar.0)),
            "{:?}",
            map.cells
        );
    }
    let none = house.traces.heat(&q("handler = nobody"), &size).await.unwrap();
    assert_eq!((none.traces, none.columns, none.cells.len()), (0, 0, 0));
}

#[tokio::test]
async fn facets_count_each_trace_once_for_each_value() {
    let house = full().await;
    let facets = house.traces.facets(&TraceQuery::default()).await.unwrap();
    assert_eq!((facets.traces, facets.opened, facets.is_cut), (41, 41, false));
    assert_eq!(told(&facets.status), [("ok", 36), ("error", 5)]);
    assert_eq!(told(&facets.handlers), [("cart", 41), ("checkout", 40)]);
    assert_eq!(
        told(&facets.names),
        [
            ("GET /", 30),
            ("POST /cart/checkout", 10),
            ("shop:cart/cart.get", 1)
        ]
    );
    assert_eq!(told(&facets.nodes), [("home", 41), ("checkout", 40)]);
    assert_eq!(told(&facets.edges), [("checkout -> shop:email/email", 40)]);
    let failed = house.traces.facets(&q("status = error")).await.unwrap();
    assert_eq!((failed.traces, told(&failed.status)), (5, vec![("error", 5)]));
    let none = house.traces.facets(&q("handler = nobody")).await.unwrap();
    assert_eq!(none, Default::default());
}

#[tokio::test]
async fn a_picture_has_no_pages_and_bounds() {
    let house = full().await;
    let paged = [
        TraceQuery {
            limit: Some(5),
            ..TraceQuery::default()
        },
        TraceQuery {
            before: Some("7".into()),
            ..TraceQuery::default()
        },
    ];
    for query in paged {
        let heat = house
            .traces
            .heat(&query, &HeatQuery::default())
            .await
            .unwrap_err()
            .to_string();
        let facets = house.traces.facets(&query).await.unwrap_err().to_string();
        assert!(heat.contains("leave it out"), "{heat}");
        assert_eq!(heat, facets);
    }
    for size in [
        (Some(0), None),
        (Some(241), None),
        (None, Some(0)),
        (None, Some(61)),
    ] {
        let size = HeatQuery {
            columns: size.0,
            rows: size.1,
        };
        let error = house
            .traces
            .heat(&TraceQuery::default(), &size)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("is no number from 1 to"), "{error}");
    }
    let fault = house.traces.facets(&q("{ duration > 5 }")).await.unwrap_err();
    assert!(
        fault.to_string().starts_with("read `q`: at character 14"),
        "{fault}"
    );
}
