//! Upkeep: what a runtime does beside its calls. Instances that nobody calls are dropped, and those that calls will want
//! are made before they ask.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::deployed::Deployed;
use super::guest::CallInProgress;
use super::instance::Instance;
use super::warming::WARMED_MAX;
use super::{Runtime, shared};
use crate::shutdown::Tasks;

/// How often warm instances are looked at, whether anyone still calls them.
const IDLE_LOOK: Duration = Duration::from_secs(5);

impl Runtime {
    /// Drops warm instances that nobody called for a while, one look at all of them every few seconds.
    pub fn start(self: &Arc<Self>, tasks: &Tasks) {
        // Tasks of instances start among these; nothing was deployed yet.
        let _ = self.tasks.set(tasks.clone());
        let runtime = Arc::clone(self);
        let token = tasks.token();
        tasks.spawn("idle-instances", async move {
            let mut looks = tokio::time::interval(IDLE_LOOK);
            looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    biased;
                    () = token.cancelled() => break,
                    _ = looks.tick() => runtime.drop_idle(Instant::now()),
                }
            }
        });
        let runtime = Arc::clone(self);
        let token = tasks.token();
        tasks.spawn("warm-instances", async move {
            loop {
                tokio::select! {
                    biased;
                    () = token.cancelled() => break,
                    () = runtime.refill.notified() => runtime.warm().await,
                }
            }
        });
    }

    pub(super) fn drop_idle(&self, now: Instant) {
        for deployed in self.deployed.load().values() {
            deployed.look(now);
        }
        self.refill.notify_one();
    }

    /// Makes the instances that are wanted before a call asks for them, one after the other.
    async fn warm(&self) {
        let table = Arc::clone(&self.deployed.load());
        let mut free: u64 = table.values().map(|deployed| deployed.figures().idle).sum();
        for deployed in table.values() {
            while free < WARMED_MAX && self.warm_one(deployed).await {
                free += 1;
            }
        }
    }

    /// Whether another instance of a handler was made.
    async fn warm_one(&self, deployed: &Deployed) -> bool {
        if let Some(shared) = &deployed.shared {
            return shared.warm_one();
        }
        let Some(warm) = deployed.pool.warm() else {
            return false;
        };
        let began = Instant::now();
        let nobody = CallInProgress::nobody(began + shared::START_MAX);
        warm.begin();
        let made = Instance::make(&self.executor, deployed, &self.router, &self.clock, nobody);
        match Box::pin(made).await {
            Ok(instance) => {
                deployed.lives().started_in(began.elapsed());
                warm.leave(instance);
                true
            }
            Err(error) => {
                tracing::debug!(handler = %deployed.name, %error, "an instance could not be made beforehand");
                warm.give_up();
                false
            }
        }
    }
}
