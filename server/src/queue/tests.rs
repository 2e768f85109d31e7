//! Queues on real SQLite.

mod ground;
mod lanes;

use std::collections::BTreeSet;

use protocol::api::queues::MessageState;
use protocol::{FunctionPath, HandlerName, InterfaceName};

use super::*;

pub(super) const WATCHDOG: Duration = Duration::from_secs(60);
const MINUTE: Duration = Duration::from_secs(60);

/// Queues in a directory of their own, on a clock that stands still.
pub(super) struct Bench {
    pub dir: tempfile::TempDir,
    pub queues: Queues,
    pub clock: Clock,
    pub tasks: Tasks,
}

impl Bench {
    pub async fn new() -> Self {
        Self::in_dir(tempfile::tempdir().unwrap(), Clock::test(1_000_000)).await
    }

    pub async fn in_dir(dir: tempfile::TempDir, clock: Clock) -> Self {
        Self::keeping(dir, KEEP_DONE_DEFAULT, clock).await
    }

    pub async fn keeping(dir: tempfile::TempDir, keep_done: Duration, clock: Clock) -> Self {
        let tasks = Tasks::new();
        let path = dir.path().join("queue.db");
        let queues = Queues::open(&path, keep_done, clock.clone(), &tasks)
            .await
            .unwrap();
        Self {
            dir,
            queues,
            clock,
            tasks,
        }
    }

    pub async fn reopened(self) -> Self {
        self.queues.close().await;
        self.tasks.drain(WATCHDOG).await.unwrap();
        Self::in_dir(self.dir, self.clock).await
    }

    pub async fn enqueue(&self, message: NewMessage) -> MessageId {
        self.queues.enqueue(message).await.unwrap()
    }

    pub async fn lease(&self, count: u32) -> Vec<Lease> {
        self.queues.lease(&queue(), count, MINUTE).await.unwrap()
    }

    pub async fn lease_one(&self) -> Lease {
        let mut leases = self.lease(1).await;
        leases.pop().expect("a message is ready")
    }

    /// Lets time pass, and what it brings happen.
    pub async fn pass(&self, time: Duration) -> Swept {
        self.clock.advance(time);
        self.queues.sweep().await.unwrap()
    }

    pub async fn ids(&self, state: MessageState) -> Vec<MessageId> {
        let page = self
            .queues
            .messages(&queue(), Some(state), None, PAGE_MAX)
            .await
            .unwrap();
        page.iter().map(|stored| stored.message.id).rev().collect()
    }

    pub async fn only(&self, state: MessageState) -> Stored {
        let mut page = self
            .queues
            .messages(&queue(), Some(state), None, PAGE_MAX)
            .await
            .unwrap();
        assert_eq!(page.len(), 1);
        page.remove(0)
    }
}

pub(super) fn queue() -> QueueName {
    QueueName::parse("checkout.email").unwrap()
}

fn message() -> NewMessage {
    let function = FunctionPath::new(InterfaceName::parse("shop:email/email@0.1.0").unwrap(), "send");
    NewMessage {
        handler: Some(HandlerName::parse("email").unwrap()),
        function: Some(function),
        ..NewMessage::plain(
            queue(),
            HandlerName::parse("checkout").unwrap(),
            Bytes::from_static(b"dear"),
        )
    }
}

fn error(text: &str) -> LastError {
    LastError {
        code: "trapped".into(),
        message: text.into(),
    }
}

#[tokio::test]
async fn a_message_comes_out_as_it_went_in() {
    let bench = Bench::new().await;
    let new = NewMessage {
        type_hash: Some(protocol::TypeHash([7; 16])),
        trace: protocol::TraceContext::from_header("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ..message()
    };
    let id = bench.enqueue(new.clone()).await;
    let lease = bench.lease_one().await;
    assert_eq!((lease.id, lease.attempt, lease.tries), (id, 1, 3));
    assert_eq!(lease.function.as_deref(), new.function.as_ref());
    assert_eq!(
        (lease.handler, lease.caller, lease.body),
        (new.handler, new.caller, new.body)
    );
    assert_eq!(
        (lease.type_hash, lease.trace, lease.timeout),
        (new.type_hash, new.trace, new.timeout)
    );
    assert!(bench.lease(1).await.is_empty());
}

#[tokio::test]
async fn what_was_acked_survives_a_sudden_end_and_what_was_leased_is_tried_again() {
    let bench = Bench::new().await;
    let done = bench.enqueue(message()).await;
    let leased = bench.enqueue(message()).await;
    let ready = bench.enqueue(message()).await;
    let first = bench.lease(2).await;
    assert_eq!(bench.queues.ack(first[0].fence()).await.unwrap(), Settled::Done);
    // A copy of the files as they are now is what a killed process leaves behind.
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(bench.dir.path()).unwrap() {
        let file = file.unwrap();
        if file.file_name() != "queue.db-shm" {
            std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
        }
    }
    let after = Bench::in_dir(copy, bench.clock.clone()).await;
    assert_eq!(after.ids(MessageState::Done).await, [done]);
    assert!(after.ids(MessageState::Leased).await.is_empty());
    assert_eq!(after.ids(MessageState::Ready).await, [leased, ready]);
    after.pass(MINUTE).await;
    let again = after.lease(9).await;
    assert_eq!(
        again
            .iter()
            .map(|lease| (lease.id, lease.attempt))
            .collect::<Vec<_>>(),
        [(leased, 2), (ready, 1)]
    );
    assert_eq!(after.queues.ack(first[1].fence()).await.unwrap(), Settled::Stale);
}

#[tokio::test]
async fn a_fence_settles_once() {
    let bench = Bench::new().await;
    bench.enqueue(message()).await;
    let lease = bench.lease_one().await;
    let (one, two) = tokio::join!(
        bench.queues.ack(lease.fence()),
        bench.queues.nack(lease.fence(), error("x"))
    );
    let outcomes = [one.unwrap(), two.unwrap()];
    assert_eq!(
        outcomes
            .iter()
            .filter(|settled| **settled == Settled::Stale)
            .count(),
        1
    );
    assert_eq!(bench.queues.ack(lease.fence()).await.unwrap(), Settled::Stale);
    assert!(!bench.queues.extend(lease.fence(), MINUTE).await.unwrap());
    assert_eq!(bench.queues.stale(), 3);
}

#[tokio::test]
async fn an_expired_lease_is_a_failed_attempt_and_its_fence_is_void() {
    let bench = Bench::new().await;
    let id = bench.enqueue(message()).await;
    let lost = bench.lease_one().await;
    assert_eq!(bench.pass(MINUTE / 2).await.expired, 0);
    assert!(bench.queues.extend(lost.fence(), MINUTE).await.unwrap());
    assert_eq!(bench.pass(MINUTE / 2).await.expired, 0);
    assert_eq!(bench.pass(MINUTE / 2).await.expired, 1);
    let waiting = bench.only(MessageState::Ready).await.message;
    assert_eq!(waiting.last_error.unwrap().code, "lease-expired");
    assert!(waiting.due_unix_ms >= bench.clock.unix_ms() + 10_000);
    assert!(bench.lease(1).await.is_empty());
    bench.pass(Duration::from_secs(12)).await;
    let again = bench.lease_one().await;
    assert_eq!((again.id, again.attempt), (id, 2));
    assert_eq!(bench.queues.ack(lost.fence()).await.unwrap(), Settled::Stale);
    assert_eq!(bench.queues.ack(again.fence()).await.unwrap(), Settled::Done);
}

#[tokio::test]
async fn after_its_tries_a_message_is_dead_and_can_be_retried() {
    let bench = Bench::new().await;
    let id = bench
        .enqueue(NewMessage {
            tries: 2,
            ..message()
        })
        .await;
    let first = bench.lease_one().await;
    let Settled::Retry { due_ms } = bench.queues.nack(first.fence(), error("one")).await.unwrap() else {
        panic!("one try is left")
    };
    let waits = due_ms - bench.clock.unix_ms();
    assert!((10_000..=12_000).contains(&waits), "{waits}");
    bench.clock.advance(Duration::from_millis(waits as u64 - 1));
    assert!(bench.lease(1).await.is_empty(), "never early");
    bench.clock.advance(Duration::from_millis(1));
    let second = bench.lease_one().await;
    assert_eq!(
        bench.queues.nack(second.fence(), error("two")).await.unwrap(),
        Settled::Dead
    );
    let dead = bench.only(MessageState::Dead).await.message;
    assert_eq!(
        (dead.id, dead.attempt, dead.last_error),
        (id, 2, Some(error("two")))
    );

    let bench = bench.reopened().await;
    assert_eq!(bench.queues.retry_dead(&queue(), &[id + 1]).await.unwrap(), 0);
    assert_eq!(bench.queues.retry_dead(&queue(), &[id]).await.unwrap(), 1);
    let again = bench.lease_one().await;
    assert_eq!((again.id, again.attempt), (id, 1));
    assert_eq!(bench.queues.ack(second.fence()).await.unwrap(), Settled::Stale);
    assert_eq!(bench.queues.ack(again.fence()).await.unwrap(), Settled::Done);
    assert!(bench.ids(MessageState::Dead).await.is_empty());
}

#[tokio::test]
async fn all_dead_messages_come_back_or_go_for_good() {
    let bench = Bench::new().await;
    for round in ["retry", "forget"] {
        for _ in 0..3 {
            bench
                .enqueue(NewMessage {
                    tries: 1,
                    ..message()
                })
                .await;
        }
        for lease in bench.lease(9).await {
            assert_eq!(
                bench.queues.nack(lease.fence(), error("no")).await.unwrap(),
                Settled::Dead
            );
        }
        if round == "retry" {
            assert_eq!(bench.queues.retry_dead(&queue(), &[]).await.unwrap(), 3);
            for lease in bench.lease(9).await {
                bench.queues.ack(lease.fence()).await.unwrap();
            }
        } else {
            assert_eq!(bench.queues.forget_dead(&queue(), &[]).await.unwrap(), 3);
            assert_eq!(bench.queues.retry_dead(&queue(), &[]).await.unwrap(), 0);
        }
    }
    assert_eq!(bench.ids(MessageState::Done).await.len(), 3);
}

#[tokio::test]
async fn a_dedupe_key_is_remembered_for_its_window_and_while_its_message_lives() {
    let bench = Bench::new().await;
    let keyed = || NewMessage {
        dedupe_key: Some("order-7".into()),
        ..message()
    };
    let (one, two) = tokio::join!(bench.enqueue(keyed()), bench.enqueue(keyed()));
    assert_eq!(one, two);
    bench.pass(DEDUPE_WINDOW * 2).await;
    assert_eq!(bench.enqueue(keyed()).await, one, "it still waits");
    let bench = bench.reopened().await;
    assert_eq!(bench.enqueue(keyed()).await, one, "a restart forgets nothing");
    let lease = bench.lease_one().await;
    bench.queues.ack(lease.fence()).await.unwrap();
    let next = bench.enqueue(keyed()).await;
    assert!(next > one);
    let lease = bench.lease_one().await;
    bench.queues.ack(lease.fence()).await.unwrap();
    bench.pass(DEDUPE_WINDOW / 2).await;
    assert_eq!(bench.enqueue(keyed()).await, next, "done, but within the window");
}

#[tokio::test]
async fn priority_comes_before_age_and_a_delay_before_both() {
    let bench = Bench::new().await;
    let low = bench
        .enqueue(NewMessage {
            priority: -1,
            ..message()
        })
        .await;
    let middle = bench.enqueue(message()).await;
    let late = bench
        .enqueue(NewMessage {
            priority: 9,
            delay: MINUTE,
            ..message()
        })
        .await;
    let high = bench
        .enqueue(NewMessage {
            priority: 5,
            ..message()
        })
        .await;
    let order: Vec<_> = bench.lease(9).await.iter().map(|lease| lease.id).collect();
    assert_eq!(order, [high, middle, low]);
    bench.clock.advance(MINUTE);
    assert_eq!(bench.lease_one().await.id, late);
}

#[tokio::test]
async fn a_released_message_has_used_no_try() {
    let bench = Bench::new().await;
    bench.enqueue(message()).await;
    for _ in 0..9 {
        let lease = bench.lease_one().await;
        assert_eq!(lease.attempt, 1);
        bench.queues.release(lease.fence(), Duration::ZERO).await.unwrap();
        assert_eq!(bench.queues.ack(lease.fence()).await.unwrap(), Settled::Stale);
    }
}

#[tokio::test]
async fn a_paused_queue_takes_messages_and_gives_none_also_after_a_restart() {
    let bench = Bench::new().await;
    assert!(
        !bench.queues.pause(&queue(), true).await.unwrap(),
        "there is none yet"
    );
    bench.enqueue(message()).await;
    assert!(bench.queues.pause(&queue(), true).await.unwrap());
    bench.enqueue(message()).await;
    let bench = bench.reopened().await;
    assert!(bench.queues.list().await.unwrap()[0].paused);
    assert!(bench.lease(9).await.is_empty());
    bench.queues.pause(&queue(), false).await.unwrap();
    assert_eq!(bench.lease(9).await.len(), 2);
}

#[tokio::test]
async fn sixty_four_producers_share_commits_and_lose_nothing() {
    let bench = Bench::new().await;
    let producers = (0..64).map(|producer| {
        let queues = bench.queues.clone();
        async move {
            let mut ids = Vec::new();
            for number in 0..20_u32 {
                let body = Bytes::from(format!("{producer}/{number}"));
                ids.push(queues.enqueue(NewMessage { body, ..message() }).await.unwrap());
            }
            assert!(ids.is_sorted());
            ids
        }
    });
    let ids: Vec<_> = futures_util::future::join_all(producers).await.concat();
    let distinct: BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), 64 * 20);
    let bench = bench.reopened().await;
    let mut bodies = BTreeSet::new();
    loop {
        let leases = bench.lease(LEASES_MAX).await;
        if leases.is_empty() {
            break;
        }
        let acks = leases.iter().map(|lease| bench.queues.ack(lease.fence()));
        let settled = futures_util::future::join_all(acks).await;
        assert!(
            settled
                .into_iter()
                .all(|settled| settled.unwrap() == Settled::Done)
        );
        bodies.extend(leases.into_iter().map(|lease| lease.body));
    }
    assert_eq!(bodies.len(), 64 * 20);
    let listed = bench.queues.list().await.unwrap().remove(0);
    assert_eq!((listed.ready, listed.leased, listed.done), (0, 0, 64 * 20));
}

#[tokio::test]
async fn lists_count_and_page() {
    let bench = Bench::new().await;
    for _ in 0..5 {
        bench.enqueue(message()).await;
    }
    bench
        .enqueue(NewMessage {
            delay: MINUTE,
            ..message()
        })
        .await;
    bench.clock.advance(Duration::from_millis(700));
    let leases = bench.lease(2).await;
    bench.queues.ack(leases[0].fence()).await.unwrap();
    let listed = bench.queues.list().await.unwrap().remove(0);
    assert_eq!(
        (
            listed.ready,
            listed.delayed,
            listed.leased,
            listed.dead,
            listed.done
        ),
        (3, 1, 1, 0, 1)
    );
    assert_eq!((listed.oldest_ready_ms, listed.tries), (700, 3));
    assert_eq!(listed.enqueue_rate_per_s, 0.6);

    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = bench.queues.messages(&queue(), None, before, 4).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.message.id);
        seen.extend(page.iter().map(|stored| stored.message.id));
    }
    assert_eq!(seen, [6, 5, 4, 3, 2, 1]);
    let stored = bench.only(MessageState::Leased).await;
    assert_eq!(stored.message.function, "shop:email/email.send");
    assert_eq!(stored.body.as_deref(), Some(&b"dear"[..]));
    assert_eq!(bench.queues.body(6).await.unwrap().as_deref(), Some(&b"dear"[..]));
    assert_eq!(bench.queues.body(7).await.unwrap(), None);
}

#[tokio::test]
async fn done_messages_are_forgotten_after_a_day() {
    let bench = Bench::new().await;
    bench.enqueue(message()).await;
    let lease = bench.lease_one().await;
    bench.queues.ack(lease.fence()).await.unwrap();
    bench.pass(Duration::from_secs(23 * 3600)).await;
    assert_eq!(bench.ids(MessageState::Done).await.len(), 1);
    bench.pass(Duration::from_secs(2 * 3600)).await;
    assert_eq!(bench.ids(MessageState::Done).await.len(), 0);
    assert!(
        bench.enqueue(message()).await > lease.id,
        "an id is never used again"
    );
}

#[tokio::test]
async fn done_messages_are_kept_as_long_as_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::keeping(dir, MINUTE * 10, Clock::test(1_000_000)).await;
    bench.enqueue(message()).await;
    let lease = bench.lease_one().await;
    bench.queues.ack(lease.fence()).await.unwrap();
    bench.pass(MINUTE * 9).await;
    assert_eq!(bench.ids(MessageState::Done).await.len(), 1);
    bench.pass(MINUTE * 2).await;
    assert_eq!(bench.ids(MessageState::Done).await.len(), 0);
}

#[tokio::test]
async fn what_cannot_be_stored_is_refused_with_the_reason() {
    let bench = Bench::new().await;
    let large = NewMessage {
        body: Bytes::from(vec![0; BODY_BYTES_MAX + 1]),
        ..message()
    };
    assert!(matches!(
        bench.queues.enqueue(large).await,
        Err(Error::TooLarge { .. })
    ));
    let none = bench
        .queues
        .enqueue(NewMessage {
            tries: 0,
            ..message()
        })
        .await;
    assert!(none.unwrap_err().to_string().contains("tries"));
    bench.enqueue(message()).await;
    let plain = NewMessage {
        function: None,
        ..message()
    };
    let refused = bench.queues.enqueue(plain).await.unwrap_err();
    assert!(matches!(
        refused,
        Error::Refused {
            refusal: Refusal::OtherKind,
            ..
        }
    ));
    bench.tasks.drain(WATCHDOG).await.unwrap();
    assert!(matches!(
        bench.queues.enqueue(message()).await,
        Err(Error::Db(db::Error::Closed))
    ));
}
