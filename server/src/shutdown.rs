//! `Tasks`: named tasks with one cancellation, and a drain with a deadline.
//!
//! Every task of a node starts here. A panic in a task is logged under its name and does not take the node down. A
//! loop selects on [`Tasks::cancelled`] first. Starting and ending a task takes no lock: every call that arrives is one.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// The tasks of one part of a node; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    token: CancellationToken,
    running: Arc<Running>,
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
        let counted = Counted::new(self.running.of(name));
        // Combinators, because an async block would hold the task twice.
        tokio::spawn(AssertUnwindSafe(task).catch_unwind().map(move |outcome| {
            if outcome.is_err() {
                tracing::error!(task.name = name, "task `{name}` panicked");
            }
            drop(counted);
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
        match tokio::time::timeout(within, self.running.none()).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.running.names()),
        }
    }
}

/// How many tasks of each name run. The names are a list that only grows, and has as many entries as the code has names.
#[derive(Debug, Default)]
struct Running {
    first: OnceLock<Arc<Name>>,
    waiting: Arc<Waiting>,
}

/// The running tasks of one name.
#[derive(Debug)]
struct Name {
    name: &'static str,
    count: AtomicUsize,
    waiting: Arc<Waiting>,
    next: OnceLock<Arc<Self>>,
}

/// Who waits for the last task.
#[derive(Debug, Default)]
struct Waiting {
    anyone: AtomicBool,
    ended: Notify,
}

impl Running {
    fn of(&self, name: &'static str) -> Arc<Name> {
        let mut place = &self.first;
        loop {
            let found = place.get_or_init(|| {
                Arc::new(Name {
                    name,
                    count: AtomicUsize::new(0),
                    waiting: Arc::clone(&self.waiting),
                    next: OnceLock::new(),
                })
            });
            if found.name == name {
                return Arc::clone(found);
            }
            place = &found.next;
        }
    }

    /// The names of which tasks run.
    fn names(&self) -> Vec<&'static str> {
        let first = self.first.get();
        std::iter::successors(first, |name| name.next.get())
            .filter(|name| name.count.load(Ordering::SeqCst) > 0)
            .map(|name| name.name)
            .collect()
    }

    /// Resolves at a moment without any.
    async fn none(&self) {
        // Said before looking: a task that ends afterwards sees it, one that ended before is not counted any more.
        self.waiting.anyone.store(true, Ordering::SeqCst);
        loop {
            let ended = self.waiting.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.names().is_empty() {
                return;
            }
            ended.await;
        }
    }
}

/// One running task; counted until it is dropped.
struct Counted(Arc<Name>);

impl Counted {
    fn new(name: Arc<Name>) -> Self {
        name.count.fetch_add(1, Ordering::SeqCst);
        Self(name)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let last = self.0.count.fetch_sub(1, Ordering::SeqCst) == 1;
        if last && self.0.waiting.anyone.load(Ordering::SeqCst) {
            self.0.waiting.ended.notify_waiters();
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
    async fn drain_waits_for_the_last_of_many_names_and_counts_aborted_ones_out() {
        let tasks = Tasks::new();
        let names = ["a", "b", "c", "b", "a"];
        let mut handles = Vec::new();
        for name in names {
            let waits = tasks.token();
            handles.push(tasks.spawn(name, async move {
                waits.cancelled().await;
                tokio::task::yield_now().await;
            }));
        }
        handles.push(tasks.spawn("aborted", std::future::pending()));
        assert_eq!(tasks.running.names(), ["a", "b", "c", "aborted"]);
        handles.last().unwrap().abort();
        assert_eq!(tasks.drain(Duration::from_secs(30)).await, Ok(()));
        assert!(tasks.running.names().is_empty());
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
