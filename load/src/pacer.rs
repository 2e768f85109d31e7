//! Pacer: sleeps until a point in time, far more exactly than tokio's timer, whose grain of 1 ms would be the largest
//! error of the whole measurement. On Linux a `timerfd`; elsewhere tokio's timer.

use std::io;
use std::time::Instant;

#[cfg(target_os = "linux")]
pub use linux::Pacer;
#[cfg(not(target_os = "linux"))]
pub use portable::Pacer;

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::OwnedFd;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::unix::AsyncFd;

    use super::{Instant, io};

    /// A timer of its own; one sleeper at a time.
    #[derive(Debug)]
    pub struct Pacer(AsyncFd<OwnedFd>);

    impl Pacer {
        /// Opens the timer, within a tokio runtime.
        pub fn open() -> io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            #[expect(
                unsafe_code,
                reason = "tokio has no safe way to wait for a descriptor of one's own"
            )]
            // SAFETY: an `OwnedFd` gives the same, open descriptor for as long as it lives, and the `AsyncFd` owns it.
            let timer = unsafe { AsyncFd::register(timer) }?;
            Ok(Self(timer))
        }

        /// Returns at `at`, or at once if that has passed. May be dropped and called again.
        pub async fn sleep_until(&mut self, at: Instant) -> io::Result<()> {
            let left = at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            let zero = Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            let left = Timespec {
                tv_sec: left.as_secs() as _,
                tv_nsec: left.subsec_nanos() as _,
            };
            let once = Itimerspec {
                it_interval: zero,
                it_value: left,
            };
            timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once)?;
            loop {
                let mut ready = self.0.readable().await?;
                // Setting the timer withdrew an older expiry, so a reading is always this one's.
                let read =
                    ready.try_io(|fd| rustix::io::read(fd.get_ref(), &mut [0u8; 8]).map_err(io::Error::from));
                match read {
                    Ok(expired) => return expired.map(|_| ()),
                    Err(_would_block) => {}
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod portable {
    use super::{Instant, io};

    /// Tokio's timer.
    #[derive(Debug)]
    pub struct Pacer;

    impl Pacer {
        /// Cannot fail here.
        pub fn open() -> io::Result<Self> {
            Ok(Self)
        }

        /// Returns at `at`, to tokio's millisecond.
        pub async fn sleep_until(&mut self, at: Instant) -> io::Result<()> {
            tokio::time::sleep_until(at.into()).await;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn it_never_wakes_early_also_after_an_abandoned_sleep() {
        let mut pacer = Pacer::open().unwrap();
        for round in 0..20u32 {
            let far = Instant::now() + Duration::from_secs(3600);
            tokio::select! {
                biased;
                _ = pacer.sleep_until(far) => panic!("an hour cannot have passed"),
                () = tokio::task::yield_now() => {}
            }
            let at = Instant::now() + Duration::from_micros(u64::from(100 + 37 * round));
            pacer.sleep_until(at).await.unwrap();
            assert!(Instant::now() >= at);
        }
    }

    #[tokio::test]
    async fn the_past_needs_no_sleep() {
        let mut pacer = Pacer::open().unwrap();
        pacer.sleep_until(Instant::now()).await.unwrap();
    }
}
