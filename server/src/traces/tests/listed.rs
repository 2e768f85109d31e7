//! Lists, their filters and pages, and the links between traces.

use super::*;

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one scenario, read from top to bottom")]
async fn filters_narrow_alone_and_together() {
    let house = House::new().await;
    let edge = "checkout -> shop:email/email";
    let slow = |spans: Vec<Span>| -> Vec<Span> {
        let slow = |span| Span {
            duration_ns: 80_000_000,
            ..span
        };
        spans.into_iter().map(slow).collect()
    };
    house.store(trace(1, 3)).await;
    house
        .store(vec![failed(span(2, 1, None)), along(span(2, 2, Some(1)), edge)])
        .await;
    house
        .store(slow(vec![
            Span {
                handler: handler("checkout"),
                ..span(3, 1, None)
            },
            along(span(3, 2, Some(1)), edge),
        ]))
        .await;
    house.store(slow(vec![failed(span(4, 1, None))])).await;

    let all = TraceQuery::default;
    let check = async |query: TraceQuery, expected: &[u128]| assert_eq!(house.list(query).await, expected);
    check(all(), &[4, 3, 2, 1]).await;
    check(
        TraceQuery {
            handler: Some(handler("checkout")),
            ..all()
        },
        &[3],
    )
    .await;
    check(
        TraceQuery {
            handler: Some(handler("nobody")),
            ..all()
        },
        &[],
    )
    .await;
    check(
        TraceQuery {
            edge: Some(edge.into()),
            ..all()
        },
        &[3, 2],
    )
    .await;
    check(
        TraceQuery {
            edge: Some(edge.into()),
            handler: Some(handler("checkout")),
            ..all()
        },
        &[3],
    )
    .await;
    check(
        TraceQuery {
            min_ms: Some(80),
            ..all()
        },
        &[4, 3],
    )
    .await;
    check(
        TraceQuery {
            min_ms: Some(u64::MAX),
            ..all()
        },
        &[],
    )
    .await;
    check(
        TraceQuery {
            status: Some("error".into()),
            ..all()
        },
        &[4, 2],
    )
    .await;
    check(
        TraceQuery {
            status: Some("ok".into()),
            ..all()
        },
        &[3, 1],
    )
    .await;
    check(
        TraceQuery {
            status: Some("error".into()),
            min_ms: Some(80),
            ..all()
        },
        &[4],
    )
    .await;
    check(
        TraceQuery {
            status: Some("error".into()),
            edge: Some(edge.into()),
            ..all()
        },
        &[2],
    )
    .await;
}

#[tokio::test]
async fn a_query_that_makes_no_sense_names_its_field() {
    let house = House::new().await;
    let all = TraceQuery::default;
    for (query, field) in [
        (
            TraceQuery {
                status: Some("bad".into()),
                ..all()
            },
            "`status`",
        ),
        (
            TraceQuery {
                limit: Some(0),
                ..all()
            },
            "`limit`",
        ),
        (
            TraceQuery {
                limit: Some(501),
                ..all()
            },
            "`limit`",
        ),
        (
            TraceQuery {
                before: Some("x".into()),
                ..all()
            },
            "`before`",
        ),
    ] {
        let error = house.traces.list(&query).await.unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
    }
}

#[tokio::test]
async fn pages_are_complete_and_without_doubles_while_traces_come() {
    let house = House::new().await;
    for id in 1..=25 {
        house.store(trace(id, 1)).await;
    }
    let mut query = TraceQuery {
        limit: Some(4),
        ..TraceQuery::default()
    };
    let mut seen = Vec::new();
    loop {
        let page = house.traces.list(&query).await.unwrap();
        assert!(page.items.len() == 4 || page.next.is_none());
        seen.extend(page.items.iter().map(|trace| trace.trace_id.0));
        // Meanwhile a trace comes, and one that is yet to be seen starts earlier than was known.
        house.store(trace(100 + seen.len() as u128, 1)).await;
        let early = Span {
            start_unix_ns: 5,
            ..span(3, 9, Some(1))
        };
        house.store(vec![early]).await;
        query.before = page.next;
        if query.before.is_none() {
            break;
        }
    }
    assert_eq!(seen, (1..=25).rev().collect::<Vec<u128>>());
}

#[tokio::test]
async fn links_are_followed_both_ways_with_the_wait() {
    let house = House::new().await;
    // Trace 1 enqueues in its span 2, which ends 500 ns before the attempt (trace 2) begins.
    let enqueue = span(1, 2, Some(1));
    let attempt = Span {
        start_unix_ns: summary::end_unix_ns(&enqueue) + 500,
        name: "process checkout.email".into(),
        duration_ns: 7_000,
        handler: HandlerName::queue(),
        ..continues(span(2, 1, None), 1, 2)
    };
    let below = failed(span(2, 2, Some(1)));
    // The consumer's spans may well come first.
    house.store(vec![attempt, below]).await;
    assert!(house.get(2).await.linked.is_empty());
    house.store(vec![span(1, 1, None), enqueue]).await;

    let forward = house.get(1).await.linked;
    assert_eq!(forward.len(), 1);
    let link = &forward[0];
    assert_eq!(
        (link.trace_id, link.here, link.follows),
        (TraceId(2), SpanId(2), true)
    );
    assert_eq!((link.wait_ns, link.duration_ns, link.errors), (500, 7_000, 1));
    assert_eq!(
        (link.name.as_str(), &link.handler),
        ("process checkout.email", &HandlerName::queue())
    );

    let back = house.get(2).await.linked;
    assert_eq!(back.len(), 1);
    let link = &back[0];
    assert_eq!(
        (link.trace_id, link.here, link.follows),
        (TraceId(1), SpanId(1), false)
    );
    assert_eq!(link.wait_ns, 500);
}
