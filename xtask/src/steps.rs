//! Numbered progress: what runs, of how many, for how long.
//!
//! Promises: each step prints its number before it starts and its time when it has ended, so that a long silence
//! can be told from a hang; lines a step prints are indented below it.

use std::time::{Duration, Instant};

/// A run of a known number of steps.
pub struct Steps {
    total: usize,
    started: usize,
    begun: Instant,
}

impl Steps {
    pub fn new(total: usize) -> Self {
        Self {
            total,
            started: 0,
            begun: Instant::now(),
        }
    }

    /// Runs one step; its title reads as an order ("Build the handlers").
    pub fn run<T>(&mut self, title: &str, step: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        self.started += 1;
        println!("\n[{}/{}] {title}", self.started, self.total);
        let begun = Instant::now();
        let outcome = step();
        let verb = if outcome.is_ok() { "done" } else { "failed" };
        say(&format!(
            "{verb} after {} ({} in all)",
            human(begun.elapsed()),
            human(self.begun.elapsed())
        ));
        outcome
    }

    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}

/// One line below the running step.
pub fn say(line: &str) {
    println!("      {line}");
}

/// A duration as people say it: `0.4 s`, `52 s`, `8 min 51 s`.
pub fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 10 {
        format!("{:.1} s", duration.as_secs_f64())
    } else if seconds < 60 {
        format!("{seconds} s")
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        assert_eq!(human(Duration::from_millis(430)), "0.4 s");
        assert_eq!(human(Duration::from_secs(52)), "52 s");
        assert_eq!(human(Duration::from_secs(531)), "8 min 51 s");
    }

    #[test]
    fn a_failed_step_hands_its_error_on() {
        let mut steps = Steps::new(2);
        assert_eq!(steps.run("Succeed", || Ok(7)).unwrap(), 7);
        let error = steps
            .run("Fail", || -> anyhow::Result<()> { anyhow::bail!("no disk") })
            .unwrap_err();
        assert_eq!(error.to_string(), "no disk");
    }
}
