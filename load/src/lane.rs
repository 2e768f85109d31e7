//! Lane: one thread of the generator with a runtime of its own, so that nothing else in this process delays a send.
//!
//! A run splits its arrivals over a few lanes; they share nothing that is written while they run.

use anyhow::{Context, anyhow};
use tokio::sync::oneshot;

/// A running lane.
#[derive(Debug)]
pub struct Lane<T>(oneshot::Receiver<anyhow::Result<T>>);

impl<T: Send + 'static> Lane<T> {
    /// Starts a thread that runs the future which `make` gives.
    pub fn spawn<F>(index: usize, make: impl FnOnce() -> F + Send + 'static) -> anyhow::Result<Self>
    where
        F: Future<Output = anyhow::Result<T>>,
    {
        let (sender, receiver) = oneshot::channel();
        let run = move || {
            let result = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .context("start the runtime of a load thread")
                .and_then(|runtime| runtime.block_on(make()));
            // Nobody waits for an abandoned lane.
            let _ = sender.send(result);
        };
        std::thread::Builder::new()
            .name(format!("load-{index}"))
            .spawn(run)
            .context("start a load thread")?;
        Ok(Self(receiver))
    }

    /// Waits for its result.
    pub async fn join(self) -> anyhow::Result<T> {
        self.0
            .await
            .unwrap_or_else(|_| Err(anyhow!("a load thread panicked")))
    }
}

/// How many lanes a machine bears beside the server under test: a quarter of its cores, at least one.
pub fn count() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(4))
}

/// Splits a cap over lanes, so that each has at least one and the sum is at least the cap.
pub fn share(cap: usize, lanes: usize) -> usize {
    cap.div_ceil(lanes).max(1)
}
