//! Waiting for a condition: asked again and again until it holds, under a watchdog that no healthy run comes near.

use std::time::{Duration, Instant};

/// Far beyond what anything here takes, even on a loaded machine.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(120);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks until there is an answer; panics with what was waited for and the last reason when the watchdog bites.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(reason) if began.elapsed() > WATCHDOG => {
                panic!("waited {WATCHDOG:?} for {what}; last: {reason}")
            }
            // Nobody unparks: this is the pause between two looks.
            Err(_) => std::thread::park_timeout(PAUSE),
        }
    }
}
