//! The sweeper: wakes when the next lease or delay ends, and has the writer end it.
//!
//! It sleeps until then, and a message that becomes due sooner wakes it: an idle node does not poll. A sweep that fails
//! is tried again.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Queues;
use super::writer::DONE_AGE_LOOK;
use crate::shutdown::Tasks;

/// Retention is looked after at least this often, sooner where messages are kept for less.
const SWEEP_EVERY_MAX: Duration = Duration::from_secs(600);
/// The wait before a failed sweep is tried again.
const SWEEP_AGAIN: Duration = Duration::from_secs(1);

impl Queues {
    /// Starts the sweeper, which ends with `tasks`.
    pub fn spawn_sweeper(&self, tasks: &Tasks) {
        let queues = self.clone();
        let token = tasks.token();
        tasks.spawn("queue-sweeper", async move {
            tokio::select! {
                biased;
                () = token.cancelled() => {}
                () = queues.sweep_for_ever() => {}
            }
        });
    }

    async fn sweep_for_ever(&self) {
        loop {
            self.until_due().await;
            // Cleared before the sweep reads, so that what becomes due meanwhile is not missed.
            self.shared.next_due_ms.store(i64::MAX, Ordering::Release);
            match self.sweep().await {
                Ok(swept) => {
                    if let Some(due_ms) = swept.next_due_ms {
                        self.shared.next_due_ms.fetch_min(due_ms, Ordering::AcqRel);
                    }
                }
                Err(super::Error::Db(crate::db::Error::Closed)) => return,
                Err(error) => {
                    tracing::warn!(%error, "queue sweep failed, it is tried again");
                    let again_ms = self.shared.clock.unix_ms() + SWEEP_AGAIN.as_millis() as i64;
                    self.shared.next_due_ms.fetch_min(again_ms, Ordering::AcqRel);
                }
            }
        }
    }

    /// Returns when something is due, or when it is time to look after retention.
    async fn until_due(&self) {
        let every = self.shared.keep_done.clamp(DONE_AGE_LOOK, SWEEP_EVERY_MAX);
        let latest_ms = self.shared.clock.unix_ms() + every.as_millis() as i64;
        loop {
            let changed = self.shared.due_changed.notified();
            let due_ms = self.shared.next_due_ms.load(Ordering::Acquire).min(latest_ms);
            let wait_ms = due_ms - self.shared.clock.unix_ms();
            if wait_ms <= 0 {
                return;
            }
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep(Duration::from_millis(wait_ms.unsigned_abs())) => {}
            }
        }
    }
}
