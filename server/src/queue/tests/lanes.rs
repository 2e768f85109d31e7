//! Order keys.

use super::*;

fn keyed(key: &str) -> NewMessage {
    NewMessage {
        order_key: Some(key.into()),
        ..message()
    }
}

#[tokio::test]
async fn a_lane_keeps_its_order_and_holds_nobody_else_up() {
    let bench = Bench::new().await;
    let a1 = bench.enqueue(keyed("a")).await;
    let a2 = bench.enqueue(keyed("a")).await;
    let b1 = bench.enqueue(keyed("b")).await;
    let free = bench.enqueue(message()).await;
    let first = bench.lease(9).await;
    assert_eq!(
        first.iter().map(|lease| lease.id).collect::<Vec<_>>(),
        [a1, b1, free]
    );
    // A failed attempt keeps the lane: nobody overtakes while it waits for its backoff.
    bench.queues.nack(first[0].fence(), error("later")).await.unwrap();
    assert!(bench.lease(9).await.is_empty());
    bench.pass(Duration::from_secs(12)).await;
    let again = bench.lease_one().await;
    assert_eq!(again.id, a1);
    bench.queues.ack(again.fence()).await.unwrap();
    assert_eq!(bench.lease_one().await.id, a2);
}

#[tokio::test]
async fn a_dead_message_frees_its_lane_and_returns_behind_whoever_is_at_work() {
    let bench = Bench::new().await;
    let first = bench
        .enqueue(NewMessage {
            tries: 1,
            ..keyed("a")
        })
        .await;
    let second = bench.enqueue(keyed("a")).await;
    let lease = bench.lease_one().await;
    bench.queues.nack(lease.fence(), error("no")).await.unwrap();
    let lease = bench.lease_one().await;
    assert_eq!(lease.id, second);
    assert_eq!(bench.queues.retry_dead(&queue(), &[]).await.unwrap(), 1);
    assert!(bench.lease(9).await.is_empty());
    bench.queues.ack(lease.fence()).await.unwrap();
    assert_eq!(bench.lease_one().await.id, first);
}
