//! Turns: how guests that run for long share this node's threads with everybody else.
//!
//! A call that is over within two ticks is never interrupted. One that runs on gives its thread back at each tick, and
//! soon goes on only when it holds one of few turns, which are handed on in the order of asking. There is one turn less
//! than there are threads: one is always there for short calls, sockets and timers, however many guests spin. A handler
//! whose calls were long or failed lately begins the next ones with a turn: many that run for two ticks each take all threads too, and
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

/// Slices that a call runs without a turn, giving its thread back after each, where its handler's calls are short: the clock
/// goes on while the system lets a thread wait, so that a short call may look long.
const GRACE: u32 = 8;
/// What a long call adds to a handler's score, what a failed one does, and how high it may get.
const LONG: u32 = 32;
const FAILED: u32 = 8;
const SCORE_MAX: u32 = 64;
/// The score from which calls begin with a turn.
const SLOW_FROM: u32 = 16;

/// Whether the calls of a handler were long, or failed, lately: a score that each short call lowers by one. Counted without
/// care, because it matters little whether one call more or less begins with a turn.
#[derive(Debug, Default)]
pub(super) struct Habit {
    score: AtomicU32,
}

impl Habit {
    pub(super) fn is_long(&self) -> bool {
        self.score.load(Ordering::Relaxed) >= SLOW_FROM
    }

    /// A call has failed.
    pub(super) fn note_failed(&self) {
        self.raise(FAILED);
    }

    /// A call has ended.
    pub(super) fn note(&self, turn: &Turn) {
        let slices = turn.slices.load(Ordering::Relaxed);
        if slices > 0 {
            turn.slices.store(0, Ordering::Relaxed);
        }
        if slices > GRACE {
            self.raise(LONG);
        } else if let Some(score) = self.score.load(Ordering::Relaxed).checked_sub(1) {
            self.score.store(score, Ordering::Relaxed);
        }
    }

    fn raise(&self, by: u32) {
        let score = self.score.load(Ordering::Relaxed) + by;
        self.score.store(score.min(SCORE_MAX), Ordering::Relaxed);
    }
}

/// The turn of one instance, while it has one.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// Slices of the call in progress, after the first.
    slices: AtomicU32,
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

/// Gives the thread back, and waits for the next turn where one is needed.
pub(super) fn next(
    turn: &Arc<Turn>,
    turns: &Arc<Turns>,
    habit: &Habit,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let slices = turn.slices.fetch_add(1, Ordering::Relaxed) + 1;
    if slices <= GRACE && !habit.is_long() {
        return Box::pin(tokio::task::yield_now());
    }
    let (turn, turns) = (Arc::clone(turn), Arc::clone(turns));
    Box::pin(async move {
        turn.end();
        // Also where a turn is free: timers and sockets are looked at between two slices.
        tokio::task::yield_now().await;
        first(&turn, &turns).await;
    })
}

/// Waits for a turn to begin with, up to a deadline; whether it came.
pub(super) async fn has_first(turn: &Turn, executor: &Executor, deadline: Instant) -> bool {
    let running = executor.running();
    let mut alarm = running.alarm(deadline);
    tokio::select! {
        biased;
        () = first(turn, &executor.turns) => true,
        () = alarm.rings() => false,
    }
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

    /// A habit of long calls.
    fn slow() -> Habit {
        let habit = Habit::default();
        habit.raise(SCORE_MAX);
        habit
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn turns_are_fewer_than_threads_and_go_round() {
        let turns = Arc::new(Turns::default());
        let [first, second, third] = [(); 3].map(|()| Arc::new(Turn::default()));
        next(&first, &turns, &slow()).await;
        next(&second, &turns, &slow()).await;
        let mut waiting = polled(next(&third, &turns, &slow()));
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
    async fn a_call_needs_a_turn_when_it_was_long_and_its_handler_s_next_ones_do_too() {
        let (habit, turns, turn) = (Habit::default(), Arc::default(), Arc::default());
        for _ in 0..GRACE {
            next(&turn, &turns, &habit).await;
        }
        assert_eq!(turns.free().available_permits(), 1);
        habit.note(&turn);
        assert!(!habit.is_long(), "it may only have looked long");
        for _ in 0..=GRACE {
            next(&turn, &turns, &habit).await;
        }
        assert_eq!(turns.free().available_permits(), 0);
        turn.end();
        habit.note(&turn);
        for _ in SLOW_FROM..=LONG {
            assert!(habit.is_long());
            habit.note(&turn);
        }
        assert!(!habit.is_long(), "many short calls later");
        habit.note_failed();
        assert!(habit.is_long(), "and one that failed");
    }

    /// A future that is polled by a task of its own.
    struct Polled(tokio::sync::oneshot::Receiver<()>);

    fn polled(future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Polled {
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
