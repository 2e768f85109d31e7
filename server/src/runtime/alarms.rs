//! `Alarms`: the deadlines of calls that wait, looked at at each tick.
//!
//! The async runtime's timers count whole milliseconds and round up, twice: a guest that waits for its turn when its
//! deadline comes would go on for up to two ticks. The ticker comes by anyway while a guest is in a call.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// The alarms that are set; of each moment, by number.
#[derive(Debug, Default)]
pub(super) struct Alarms(Mutex<Set>);

#[derive(Debug, Default)]
struct Set {
    wakers: BTreeMap<(Instant, u64), Waker>,
    next: u64,
}

impl Alarms {
    /// One that is not set before it is polled.
    pub(super) fn at(&self, moment: Instant) -> Alarm<'_> {
        Alarm {
            alarms: self,
            moment,
            number: None,
        }
    }

    /// Wakes those whose moment has come.
    pub(super) fn ring(&self, now: Instant) {
        loop {
            let mut set = self.set();
            let Some(first) = set.wakers.first_entry().filter(|first| first.key().0 <= now) else {
                return;
            };
            let waker = first.remove();
            // Whoever is woken may set another one.
            drop(set);
            waker.wake();
        }
    }

    fn set(&self) -> MutexGuard<'_, Set> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A moment that somebody waits for, until it is dropped.
#[derive(Debug)]
pub(super) struct Alarm<'a> {
    alarms: &'a Alarms,
    moment: Instant,
    number: Option<u64>,
}

impl Alarm<'_> {
    /// Whether the moment has come; if not, the task is woken at the first tick after it.
    pub(super) fn poll(&mut self, context: &Context<'_>) -> Poll<()> {
        if Instant::now() >= self.moment {
            return Poll::Ready(());
        }
        let mut set = self.alarms.set();
        let number = *self.number.get_or_insert_with(|| {
            set.next += 1;
            set.next
        });
        match set.wakers.get_mut(&(self.moment, number)) {
            Some(waker) => waker.clone_from(context.waker()),
            None => drop(set.wakers.insert((self.moment, number), context.waker().clone())),
        }
        Poll::Pending
    }

    /// Waits for it.
    pub(super) async fn rings(&mut self) {
        std::future::poll_fn(|context| self.poll(context)).await;
    }
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.alarms.set().wakers.remove(&(self.moment, number));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;
    use std::time::Duration;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn those_whose_moment_has_come_are_woken_once_and_no_others() {
        let alarms = Alarms::default();
        let woken = [(); 3].map(|()| Arc::new(Woken::default()));
        let soon = Instant::now() + HOUR;
        // Two of one moment.
        let moments = [soon, soon, soon + HOUR];
        let mut set: Vec<_> = moments.map(|moment| alarms.at(moment)).into();
        for (alarm, woken) in set.iter_mut().zip(&woken) {
            let waker = Arc::clone(woken).into();
            let context = Context::from_waker(&waker);
            assert!(alarm.poll(&context).is_pending());
            assert!(alarm.poll(&context).is_pending(), "asked again, it is set once");
        }
        let seen = || woken.each_ref().map(|woken| woken.0.load(Ordering::Relaxed));
        alarms.ring(soon - Duration::from_nanos(1));
        assert_eq!(seen(), [0, 0, 0]);
        alarms.ring(soon);
        assert_eq!(seen(), [1, 1, 0]);
        set.truncate(1);
        alarms.ring(soon + HOUR);
        assert_eq!(seen(), [1, 1, 0], "one that was dropped is not set");
        assert!(alarms.set().wakers.is_empty());
    }

    #[test]
    fn one_whose_moment_has_passed_is_ready_at_once() {
        let alarms = Alarms::default();
        let waker = Arc::new(Woken::default()).into();
        let context = Context::from_waker(&waker);
        assert!(alarms.at(Instant::now()).poll(&context).is_ready());
        assert!(alarms.set().wakers.is_empty());
    }
}
