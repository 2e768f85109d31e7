//! `Tasks`: named tasks with one cancellation, and a drain with a deadline.
//!
//! Every task of a node starts here. A panic in a task is logged under its name and does not take the node down. A
//! loop selects on [`Tasks::cancelled`] first.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;

/// The tasks of one part of a node; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    token: CancellationToken,
    running: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

impl Tasks {
    /// No tasks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A group within this one: cancelled with it, and also on its own.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            token: self.token.child_token(),
            ..Self::default()
        }
    }

    /// Starts a task. The name appears in logs, and in [`Tasks::drain`] if it is the one that does not end.
    #[expect(clippy::disallowed_methods, reason = "the one place that starts tasks")]
    pub fn spawn<F>(&self, name: &'static str, task: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let running = Arc::clone(&self.running);
        *running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(name)
            .or_default() += 1;
        tokio::spawn(self.tracker.track_future(async move {
            let outcome = AssertUnwindSafe(task).catch_unwind().await;
            let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = running.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    running.remove(name);
                }
            }
            if outcome.is_err() {
                tracing::error!(task.name = name, "task `{name}` panicked");
            }
            outcome.ok()
        }))
    }

    /// Asks every task to end.
    pub fn cancel(&self) {
        self.token.cancel();
    }

    /// Whether they were asked to end.
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Resolves once they were asked to end.
    pub fn cancelled(&self) -> WaitForCancellationFuture<'_> {
        self.token.cancelled()
    }

    /// The token itself, for what outlives the borrow.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Asks every task to end and waits for them; the names of those that still run when the time is over.
    pub async fn drain(&self, within: Duration) -> Result<(), Vec<&'static str>> {
        self.cancel();
        self.tracker.close();
        match tokio::time::timeout(within, self.tracker.wait()).await {
            Ok(()) => Ok(()),
            Err(_) => {
                let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
                Err(running.keys().copied().collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn drain_waits_for_tasks_and_names_the_one_that_stays() {
        let tasks = Tasks::new();
        let inner = tasks.clone();
        tasks.spawn("obedient", async move { inner.cancelled().await });
        assert_eq!(tasks.drain(Duration::from_secs(30)).await, Ok(()));

        let tasks = Tasks::new();
        tasks.spawn("stubborn", std::future::pending::<()>());
        assert_eq!(
            tasks.drain(Duration::from_millis(10)).await,
            Err(vec!["stubborn"])
        );
    }

    #[tokio::test]
    async fn a_panic_stays_in_its_task() {
        let tasks = Tasks::new();
        let outcome = tasks
            .spawn("clumsy", async { panic!("on purpose") })
            .await
            .unwrap();
        assert!(outcome.is_none());
        assert_eq!(tasks.drain(Duration::from_secs(30)).await, Ok(()));
    }

    #[tokio::test]
    async fn a_child_group_ends_with_its_parent_but_not_the_other_way() {
        let parent = Tasks::new();
        let child = parent.child();
        child.cancel();
        assert!(!parent.is_cancelled());
        let child = parent.child();
        parent.cancel();
        assert!(child.is_cancelled());
    }
}
