//! What stays and what goes when the store has a limit.

use super::*;

#[tokio::test]
async fn retention_keeps_to_the_size_and_keeps_the_newest() {
    const LIMIT: u64 = RETENTION_BYTES_MIN;
    let house = House::open(tempfile::tempdir().unwrap(), LIMIT).await;
    let mut last = 0;
    // Some ten times the limit.
    for _ in 0..100 {
        for _ in 0..10 {
            last += 1;
            house.traces.ingest(trace(last, 50));
        }
        house.traces.flush().await.unwrap();
    }
    settle(&house, LIMIT).await;
    let file = std::fs::metadata(house.dir.path().join("traces.db"))
        .unwrap()
        .len();
    assert!(file < 3 * LIMIT, "freed pages are used again: {file} bytes");

    let page = house
        .list(TraceQuery {
            limit: Some(500),
            ..TraceQuery::default()
        })
        .await;
    let kept = page.len() as u128;
    assert!((10..500).contains(&kept), "{kept}");
    assert_eq!(
        page,
        ((last - kept + 1)..=last).rev().collect::<Vec<u128>>(),
        "the newest, without gaps"
    );
    assert_eq!(house.get(last).await.spans.len(), 50);
    assert!(house.traces.get(TraceId(1)).await.unwrap().is_none());
    // A late span of a deleted trace begins it anew.
    house.store(vec![span(1, 77, Some(1))]).await;
    assert_eq!(house.get(1).await.summary.spans, 1);
    let counts = house.traces.counts();
    assert_eq!((counts.recorded, counts.dropped), (50_001, 0));
    let cart = TraceQuery {
        handler: Some(handler("cart")),
        limit: Some(500),
        ..TraceQuery::default()
    };
    assert_eq!(
        house.list(cart).await.len() as u128,
        kept + 1,
        "parts go with their traces"
    );
}

/// Waits until the store is within its limit.
async fn settle(house: &House, limit: u64) {
    tokio::time::timeout(Duration::from_secs(60), async {
        while house.traces.counts().stored_bytes > limit {
            house.traces.flush().await.unwrap();
        }
    })
    .await
    .expect("the store comes down to its limit");
}

#[tokio::test]
async fn a_lower_limit_after_a_restart_is_kept_to_without_new_spans() {
    let house = House::new().await;
    for id in 1..=1_000 {
        house.traces.ingest(trace(id, 50));
    }
    house.traces.flush().await.unwrap();
    assert!(house.traces.counts().stored_bytes > RETENTION_BYTES_MIN);
    let house = house.reopen(RETENTION_BYTES_MIN).await;
    settle(&house, RETENTION_BYTES_MIN).await;
    assert_eq!(
        house
            .list(TraceQuery {
                limit: Some(1),
                ..TraceQuery::default()
            })
            .await,
        [1_000]
    );
}

#[tokio::test]
async fn traces_go_when_they_get_too_old_and_the_newest_too() {
    const HOUR: Duration = Duration::from_secs(60 * 60);
    // Spans of tests begin at this moment.
    let clock = Clock::test(1_790_000_000_000);
    let retention = Retention {
        age: HOUR,
        ..Retention::default()
    };
    let house = House::keeping(tempfile::tempdir().unwrap(), retention, clock.clone()).await;
    let kept = async |expected: &[u128]| {
        let settled = async {
            loop {
                house.traces.flush().await.unwrap();
                let found = house.list(TraceQuery::default()).await;
                if found == expected {
                    break;
                }
            }
        };
        let settled = tokio::time::timeout(Duration::from_secs(60), settled).await;
        assert!(
            settled.is_ok(),
            "{expected:?}: {:?}",
            house.list(TraceQuery::default()).await
        );
    };
    // More than one slice.
    for id in 1..=5 {
        house.store(trace(id, 5_000)).await;
    }
    clock.advance(HOUR / 2);
    let mut late = trace(9, 2);
    for span in &mut late {
        span.start_unix_ns += (HOUR / 2).as_nanos() as u64;
    }
    house.store(late).await;
    kept(&[9, 5, 4, 3, 2, 1]).await;
    clock.advance(HOUR / 2);
    kept(&[9, 5, 4, 3, 2, 1]).await;
    clock.advance(Duration::from_secs(10));
    kept(&[9]).await;
    assert!(house.traces.get(TraceId(1)).await.unwrap().is_none());
    clock.advance(HOUR);
    kept(&[]).await;
    // The file goes on.
    let mut newer = trace(10, 3);
    for span in &mut newer {
        span.start_unix_ns += (HOUR * 2).as_nanos() as u64;
    }
    house.store(newer).await;
    assert_eq!(house.get(10).await.spans.len(), 3);
    assert_eq!(house.traces.counts().dropped, 0);
}
