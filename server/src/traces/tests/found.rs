//! Searches over many traces and within one, and what is kept of them at all.

use protocol::SpanKind;
use protocol::api::traces::FindQuery;
use protocol::span::{Log, Value};

use super::*;

fn q(text: &str) -> TraceQuery {
    TraceQuery {
        q: Some(text.to_owned()),
        ..TraceQuery::default()
    }
}

#[tokio::test]
async fn traces_are_found_by_what_any_of_their_spans_has() {
    let house = House::new().await;
    let edge = "checkout -> shop:email/email";
    house.store(trace(1, 3)).await;
    house
        .store(vec![span(2, 1, None), failed(along(span(2, 2, Some(1)), edge))])
        .await;
    let mut logged = span(3, 2, Some(1));
    logged.logs = vec![Log {
        unix_ns: 1,
        level: "warn".into(),
        message: "nothing left in stock".into(),
    }];
    logged.attributes = vec![("user.id".into(), Value::Int(7))];
    house
        .store(vec![
            Span {
                duration_ns: 80_000_000,
                ..span(3, 1, None)
            },
            logged,
        ])
        .await;
    for (query, expected) in [
        ("", &[3, 2, 1][..]),
        ("{ }", &[3, 2, 1]),
        ("status = error", &[2]),
        ("{ status = error && kind = client }", &[2]),
        ("{ status = error && kind = server }", &[]),
        ("{ edge = \"checkout -> shop:email/email\" }", &[2]),
        ("{ handler = cart } && { log =~ stock }", &[3]),
        (".user.id = 7", &[3]),
        (".user.id = 8", &[]),
        ("duration > 50ms", &[3]),
        ("trace.duration < 50ms", &[2, 1]),
        ("handler = nobody", &[]),
        ("{ kind = server } >> { kind = client }", &[2]),
        ("trace.spans = 3", &[1]),
    ] {
        assert_eq!(house.list(q(query)).await, expected, "{query}");
    }
    let both = TraceQuery {
        max_ms: Some(50),
        ..q("handler = cart")
    };
    assert_eq!(house.list(both).await, [2, 1]);
    let error = house.traces.list(&q("{ duration > 5 }")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "read `q`: at character 14: found `5`, expected a duration such as `5ms`"
    );
}

#[tokio::test]
async fn times_and_placements_narrow() {
    let house = House::new().await;
    let at = |trace: u128, ms: u64, placement: &str| {
        let mut span = span(trace, 1, None);
        span.start_unix_ns = ms * 1_000_000;
        span.attributes = vec![(
            crate::telemetry::fields::PLACEMENT.into(),
            Value::Text(placement.into()),
        )];
        span
    };
    house
        .store(vec![
            at(1, 1_000, "together"),
            at(2, 2_000, "apart"),
            at(3, 3_000, "together"),
        ])
        .await;
    let query = |from, to, placement: Option<&str>| TraceQuery {
        from,
        to,
        placement: placement.map(str::to_owned),
        ..TraceQuery::default()
    };
    assert_eq!(house.list(query(Some(2_000), None, None)).await, [3, 2]);
    assert_eq!(house.list(query(Some(1_000), Some(2_000), None)).await, [1]);
    assert_eq!(house.list(query(None, None, Some("together"))).await, [3, 1]);
    assert_eq!(house.list(query(None, Some(3_000), Some("together"))).await, [1]);
    assert_eq!(house.list(query(None, None, Some("groups"))).await, [0u128; 0]);
    assert_eq!(house.list(q("placement = apart")).await, [2]);
}

#[tokio::test]
async fn pages_of_a_search_are_complete_and_without_doubles() {
    let house = House::new().await;
    let mut expected = Vec::new();
    for id in 1..=300u128 {
        let mut spans = trace(id, 2);
        if id % 3 == 0 {
            spans[1] = failed(spans[1].clone());
            expected.push(id);
        }
        house.traces.ingest(spans);
    }
    house.traces.flush().await.unwrap();
    expected.reverse();
    let mut query = TraceQuery {
        limit: Some(7),
        ..q("{ status = error } || { name = nothing }")
    };
    let mut seen = Vec::new();
    loop {
        let page = house.traces.list(&query).await.unwrap();
        seen.extend(page.items.iter().map(|trace| trace.trace_id.0));
        query.before = page.next;
        if query.before.is_none() {
            break;
        }
    }
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn spans_of_a_trace_are_found_by_their_start_page_by_page() {
    let house = House::new().await;
    let mut spans: Vec<Span> = trace(1, 3_000);
    for span in spans.iter_mut().filter(|span| span.span_id.0.is_multiple_of(10)) {
        span.attributes
            .push(("rank".into(), Value::Int(span.span_id.0.cast_signed())));
        span.kind = SpanKind::Internal;
    }
    spans.reverse();
    house.store(spans).await;
    let find = async |q: &str, after: Option<String>| {
        let query = FindQuery {
            q: q.to_owned(),
            after,
            limit: Some(100),
        };
        house
            .traces
            .find_spans(TraceId(1), &query)
            .await
            .unwrap()
            .unwrap()
    };
    let first = find(".rank > 1000", None).await;
    let ids: Vec<u64> = first.spans.iter().map(|span| span.span_id.0).collect();
    assert_eq!(ids, (101..=200).map(|at| at * 10).collect::<Vec<u64>>());
    let second = find(".rank > 1000", first.next).await;
    assert_eq!((second.total, second.spans.len()), (200, 100));
    assert_eq!((second.spans[0].span_id, second.next), (SpanId(2_010), None));
    assert_eq!(find("kind = internal && .rank = nil", None).await.total, 0);
    assert_eq!(find("name =~ *cart.get", None).await.total, 3_000);
    let none = house
        .traces
        .find_spans(TraceId(9), &FindQuery::default())
        .await
        .unwrap();
    assert!(none.is_none());
}

#[tokio::test]
async fn only_what_is_asked_for_is_kept_and_the_rest_is_counted() {
    let keep = Keep {
        errors: true,
        slower_than: Some(Slower::Than(Duration::from_millis(50))),
        share_ppm: 0,
    };
    let retention = Retention {
        age: Duration::MAX,
        keep,
        ..Retention::default()
    };
    let house = House::keeping(tempfile::tempdir().unwrap(), retention, Clock::system()).await;
    let slow = Span {
        duration_ns: 60_000_000,
        ..span(3, 1, None)
    };
    let spans = [
        trace(1, 3),
        vec![span(2, 1, None), failed(span(2, 2, Some(1)))],
        vec![slow],
        // Its root has not ended: it is held, and written at the end.
        vec![span(4, 2, Some(1))],
    ];
    house.store(spans.concat()).await;
    assert_eq!(house.list(TraceQuery::default()).await.len(), 2);
    let counts = house.traces.counts();
    assert_eq!((counts.recorded, counts.dropped), (3, 0));
    assert_eq!((counts.let_go, counts.let_go_traces), (3, 1));
    let house = house.reopen(Retention::default().bytes).await;
    let mut kept = house.list(TraceQuery::default()).await;
    kept.sort_unstable();
    assert_eq!(kept, [2, 3, 4]);
}

#[tokio::test]
async fn what_is_stored_is_told_with_its_limits() {
    let house = House::new().await;
    house.store([trace(1, 3), trace(2, 4)].concat()).await;
    let counts = house.traces.counts();
    assert_eq!((counts.stored_traces, counts.stored_spans), (2, 7));
    assert_eq!(counts.oldest_unix_ns, span(1, 1, None).start_unix_ns);
    assert_eq!(counts.retention_bytes, Retention::default().bytes);
    assert!(counts.stored_bytes > 0);
    let house = house.reopen(Retention::default().bytes).await;
    house.store(vec![span(2, 9, Some(1))]).await;
    let counts = house.traces.counts();
    assert_eq!((counts.stored_traces, counts.stored_spans), (2, 8));
}
