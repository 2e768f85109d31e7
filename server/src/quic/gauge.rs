//! `Gauge`: how many calls are under way, and a way to wait for none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// A count that someone may wait for to reach zero.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    count: AtomicUsize,
    idle: Notify,
}

impl Gauge {
    /// Counts one until the guard is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> Guard {
        self.count.fetch_add(1, Ordering::SeqCst);
        Guard(Arc::clone(self))
    }

    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Resolves at a moment without any.
    pub(super) async fn idle(&self) {
        loop {
            let notified = self.idle.notified();
            tokio::pin!(notified);
            // Interest is registered before looking, so that no wake-up is lost between the two.
            notified.as_mut().enable();
            if self.count() == 0 {
                return;
            }
            notified.await;
        }
    }
}

/// One call under way.
#[derive(Debug)]
pub(super) struct Guard(Arc<Gauge>);

impl Drop for Guard {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn idle_waits_for_the_last_guard() {
        let gauge = Arc::new(Gauge::default());
        gauge.idle().await;
        let (first, second) = (gauge.enter(), gauge.enter());
        drop(first);
        let waiting = gauge.idle();
        tokio::pin!(waiting);
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        drop(second);
        waiting.await;
        assert_eq!(gauge.count(), 0);
    }
}
