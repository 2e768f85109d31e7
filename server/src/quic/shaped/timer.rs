//! `Alarm`: wakes a task at a moment, to some 10 µs: tokio's timers go by whole milliseconds.
//!
//! One thread for the process, `shaper`, started with the first alarm. It keeps the moments in a heap, sleeps until the
//! next, and for good while there is none.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Waker};
use std::time::Instant;

/// One task's wish to be woken. It keeps the earliest moment that was asked for.
#[derive(Debug, Default)]
pub(in crate::quic) struct Alarm {
    set_for: Option<(Instant, Waker)>,
}

impl Alarm {
    /// Has the task woken at `due`, unless it will be before.
    pub(in crate::quic) fn set(&mut self, due: Instant, cx: &Context<'_>) {
        self.set_for(due, cx.waker());
    }

    /// The same for a task that is not the one running.
    pub(in crate::quic) fn set_for(&mut self, due: Instant, waker: &Waker) {
        let now = Instant::now();
        let is_set = self
            .set_for
            .as_ref()
            .is_some_and(|(set, woken)| *set <= due && *set > now && woken.will_wake(waker));
        if !is_set {
            self.set_for = Some((due, waker.clone()));
            Shaper::get().wake_at(due, waker.clone());
        }
    }
}

struct Shaper {
    moments: Mutex<Moments>,
    earlier: Condvar,
}

#[derive(Default)]
struct Moments {
    heap: BinaryHeap<Reverse<Moment>>,
    count: u64,
}

/// Ordered by when it is due; by when it was set where that is the same.
struct Moment {
    due: Instant,
    number: u64,
    waker: Waker,
}

impl Shaper {
    fn get() -> &'static Self {
        static SHAPER: OnceLock<Shaper> = OnceLock::new();
        static THREAD: OnceLock<bool> = OnceLock::new();
        let shaper = SHAPER.get_or_init(|| Self {
            moments: Mutex::default(),
            earlier: Condvar::new(),
        });
        let runs = THREAD.get_or_init(|| {
            let thread = std::thread::Builder::new().name("shaper".into());
            thread.spawn(|| shaper.run()).is_ok()
        });
        if !runs {
            tracing::error!("no thread for shaped transports: what they hold back comes late");
        }
        shaper
    }

    fn moments(&self) -> MutexGuard<'_, Moments> {
        self.moments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_at(&self, due: Instant, waker: Waker) {
        let mut moments = self.moments();
        let is_next = moments.heap.peek().is_none_or(|next| due < next.0.due);
        moments.count += 1;
        let number = moments.count;
        moments.heap.push(Reverse(Moment { due, number, waker }));
        drop(moments);
        if is_next {
            self.earlier.notify_one();
        }
    }

    fn run(&self) {
        precise();
        let mut moments = self.moments();
        loop {
            let now = Instant::now();
            let mut due = Vec::new();
            while moments.heap.peek().is_some_and(|next| next.0.due <= now) {
                due.extend(moments.heap.pop());
            }
            if !due.is_empty() {
                drop(moments);
                due.into_iter().for_each(|moment| moment.0.waker.wake());
                moments = self.moments();
                continue;
            }
            moments = match moments.heap.peek().map(|next| next.0.due - now) {
                Some(pause) => {
                    let woken = self.earlier.wait_timeout(moments, pause);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.earlier.wait(moments).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

/// Has the system wake this thread when it is time and not 50 µs later.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "there is no safe call for it")]
fn precise() {
    let slack_ns: libc::c_ulong = 1;
    // SAFETY: it sets a number of the calling thread and takes no pointer.
    let set = unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, slack_ns) };
    if set != 0 {
        tracing::debug!("delays of shaped transports are some 50 µs too long");
    }
}

#[cfg(not(target_os = "linux"))]
fn precise() {}

impl PartialEq for Moment {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Moment {}

impl PartialOrd for Moment {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Moment {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_task_is_woken_at_its_moment_and_not_before() {
        let start = Instant::now();
        for us in [300, 5_000, 100, 0] {
            let due = start.max(Instant::now()) + Duration::from_micros(us);
            let mut alarm = Alarm::default();
            let woken = poll_fn(|cx| {
                if Instant::now() >= due {
                    return Poll::Ready(());
                }
                alarm.set(due, cx);
                // Asked again, it wakes once.
                alarm.set(due, cx);
                Poll::Pending
            });
            let woken = tokio::time::timeout(Duration::from_secs(60), woken).await;
            woken.expect("the shaper wakes it");
            assert!(Instant::now() >= due);
        }
    }
}
