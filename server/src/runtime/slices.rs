//! Turns: how guests that run for long share this node's threads with everybody else.
//!
//! A call that is over within two ticks is never interrupted. One that runs on gives its thread back at each tick, and
//! goes on when it holds one of few turns, which are handed on in the order of asking. There is one turn less than there
//! are threads: one is always there for short calls, sockets and timers, however many guests spin. A handler whose calls
//! were long or failed lately begins the next ones with a turn: many that run for two ticks each take all threads too, and
//! so do many that trap, because an instance is torn down for each. A guest that waits, or calls somebody, holds none
//! meanwhile, so that no two can wait for each other's.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::engine::Executor;

/// Ticks before a running guest looks at the clock for the first time: a short call that meets one tick is not long.
pub(super) const FIRST_TICKS: u64 = 2;

/// The turns of a node.
#[derive(Debug, Default)]
pub(super) struct Turns(OnceLock<Arc<Semaphore>>);

impl Turns {
    /// As many as there are threads to run on but one; asked for where they run.
    fn free(&self) -> Arc<Semaphore> {
        let turns = self.0.get_or_init(|| {
            let threads = tokio::runtime::Handle::current().metrics().num_workers();
            Arc::new(Semaphore::new(threads.saturating_sub(1).max(1)))
        });
        Arc::clone(turns)
    }
}

/// Short calls after which a handler's calls begin without a turn again.
const SHORT_AGAIN: u32 = 32;

/// Whether the calls of a handler were long, or failed, lately.
#[derive(Debug, Default)]
pub(super) struct Habit {
    /// Short calls until they count as short.
    to_come: AtomicU32,
}

impl Habit {
    pub(super) fn is_long(&self) -> bool {
        self.to_come.load(Ordering::Relaxed) > 0
    }

    /// The next calls begin with a turn.
    pub(super) fn mark(&self) {
        self.to_come.store(SHORT_AGAIN, Ordering::Relaxed);
    }

    /// A call has ended. Counted without care: it matters little whether one more or less begins with a turn.
    pub(super) fn note(&self, turn: &Turn) {
        if turn.was_long.load(Ordering::Relaxed) {
            turn.was_long.store(false, Ordering::Relaxed);
            self.mark();
        } else if self.is_long() {
            let to_come = self.to_come.load(Ordering::Relaxed);
            self.to_come.store(to_come.saturating_sub(1), Ordering::Relaxed);
        }
    }
}

/// The turn of one instance, while it has one.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// Whether the call in progress ran for longer than a slice.
    was_long: AtomicBool,
    /// So that a call without one takes no lock.
    is_held: AtomicBool,
    permit: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Turn {
    /// Gives the turn back: the guest does not run now.
    pub(super) fn end(&self) {
        if self.is_held.load(Ordering::Relaxed) && self.is_held.swap(false, Ordering::AcqRel) {
            self.permit().take();
        }
    }

    fn begin(&self, permit: OwnedSemaphorePermit) {
        *self.permit() = Some(permit);
        self.is_held.store(true, Ordering::Release);
    }

    fn permit(&self) -> std::sync::MutexGuard<'_, Option<OwnedSemaphorePermit>> {
        self.permit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives the thread back, and waits for the next turn.
pub(super) fn next(turn: &Arc<Turn>, turns: &Arc<Turns>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let (turn, turns) = (Arc::clone(turn), Arc::clone(turns));
    Box::pin(async move {
        turn.end();
        turn.was_long.store(true, Ordering::Relaxed);
        // Also where a turn is free: timers and sockets are looked at between two slices.
        tokio::task::yield_now().await;
        first(&turn, &turns).await;
    })
}

/// Waits for a turn to begin with, up to a deadline; whether it came.
pub(super) async fn has_first(turn: &Turn, executor: &Executor, deadline: Instant) -> bool {
    let first = first(turn, &executor.turns);
    tokio::time::timeout_at(deadline.into(), first).await.is_ok()
}

async fn first(turn: &Turn, turns: &Turns) {
    // It is never closed.
    if let Ok(permit) = turns.free().acquire_owned().await {
        turn.begin(permit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn turns_are_fewer_than_threads_and_go_round() {
        let turns = Arc::new(Turns::default());
        let [first, second, third] = [(); 3].map(|()| Arc::new(Turn::default()));
        next(&first, &turns).await;
        next(&second, &turns).await;
        let mut waiting = tokio_test(next(&third, &turns));
        assert!(!waiting.is_done().await, "two turns on three threads");
        first.end();
        first.end();
        waiting.wait().await;
        assert_eq!(turns.free().available_permits(), 0);
        second.end();
        drop(third);
        assert_eq!(
            turns.free().available_permits(),
            2,
            "an instance that is dropped holds none"
        );
    }

    #[tokio::test]
    async fn a_handler_whose_calls_were_long_is_short_again_after_many_short_ones() {
        let (habit, turns, turn) = (Habit::default(), Arc::default(), Arc::default());
        habit.note(&turn);
        assert!(!habit.is_long());
        next(&turn, &turns).await;
        habit.note(&turn);
        for _ in 0..SHORT_AGAIN {
            assert!(habit.is_long());
            habit.note(&turn);
        }
        assert!(!habit.is_long());
    }

    /// A future that is polled by a task of its own.
    struct Polled(tokio::sync::oneshot::Receiver<()>);

    fn tokio_test(future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Polled {
        let (done, receiver) = tokio::sync::oneshot::channel();
        crate::shutdown::Tasks::new().spawn("a turn", async move {
            future.await;
            let _ = done.send(());
        });
        Polled(receiver)
    }

    impl Polled {
        async fn is_done(&mut self) -> bool {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            self.0.try_recv().is_ok()
        }

        async fn wait(self) {
            self.0.await.unwrap();
        }
    }
}
