//! Capacity: a closed loop. So many users send as fast as they are answered; what comes through is the most that the
//! target does with that many in flight. It says nothing about latency, and reports label it closed-loop.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::lane::{self, Lane};
use crate::meter::{Meter, Reading};
use crate::progress::{Event, Sink, Window};
use crate::recorder::Recorder;
use crate::schedule::{Arrivals, Schedule, mix};
use crate::session::Session;
use crate::stop::Stop;
use crate::worker::Work;

/// A user whose request fails at once would otherwise spin through the whole run.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(20);

/// One closed-loop run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What is sent, and where to.
    pub work: Arc<Work>,
    /// Decides what each user sends.
    pub seed: u64,
    /// Not counted.
    pub warmup: Duration,
    /// Counted.
    pub duration: Duration,
    /// Users, and so requests in flight.
    pub users: usize,
    /// Threads.
    pub lanes: usize,
    /// What progress calls it.
    pub label: String,
}

/// What came through.
#[derive(Debug)]
pub struct Outcome {
    /// Requests answered as expected, a second.
    pub per_s: f64,
    /// The requests.
    pub recorder: Recorder,
    /// The server at the end of the warm-up.
    pub before: Reading,
    /// The server at the end.
    pub after: Reading,
    /// Users that were at it.
    pub users: usize,
}

/// Runs the plan to its end, or until `stop`.
pub async fn run(plan: &Plan, meter: &mut Meter, stop: &Stop, sink: &Sink) -> anyhow::Result<Outcome> {
    let operations = plan.work.scenario.operations.len();
    let window = Window::default();
    let start = Instant::now();
    let measured = start + plan.warmup;
    let users = lane::share(plan.users, plan.lanes);
    let mut lanes = JoinSet::new();
    for index in 0..plan.lanes {
        let (plan, window, stop) = (plan.clone(), window.clone(), stop.clone());
        lanes.spawn(Lane::spawn(index, move || lane(plan, index, users, start, window, stop))?.join());
    }
    let mut before = None;
    let mut recorder = Recorder::new(operations);
    let mut ticks = tokio::time::interval_at((start + Duration::from_secs(1)).into(), Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            lane = lanes.join_next() => match lane {
                Some(lane) => recorder.merge(&lane.context("join a load thread")??),
                None => break,
            },
            _ = tokio::time::sleep_until(measured.into()), if before.is_none() => before = Some(meter.read().await),
            _ = ticks.tick() => {
                let now = Instant::now();
                sink(&Event::Second(window.take(&plan.label, now.saturating_duration_since(start), now < measured)));
            }
        }
    }
    let seconds = Instant::now()
        .saturating_duration_since(measured)
        .min(plan.duration)
        .as_secs_f64();
    let after = meter.read_at_end().await;
    let done = (recorder.requests - recorder.errors) as f64;
    let per_s = if seconds > 0.0 { done / seconds } else { 0.0 };
    let before = before.unwrap_or_else(|| after.clone());
    Ok(Outcome {
        per_s,
        recorder,
        before,
        after,
        users: users * plan.lanes,
    })
}

async fn lane(
    plan: Plan,
    index: usize,
    users: usize,
    start: Instant,
    window: Window,
    stop: Stop,
) -> anyhow::Result<Recorder> {
    let recorder = Arc::new(Mutex::new(Recorder::new(plan.work.scenario.operations.len())));
    let mut loops = JoinSet::new();
    for user in 0..users {
        let id = (user * plan.lanes + index) as u64;
        let user = User {
            work: Arc::clone(&plan.work),
            session: Session::new(id),
            schedule: Schedule::new(
                mix(plan.seed, id),
                Arrivals::Constant,
                1.0,
                &plan.work.scenario.weights(),
            ),
            from: start + plan.warmup,
            to: start + plan.warmup + plan.duration,
            window: window.clone(),
            recorder: Arc::clone(&recorder),
        };
        loops.spawn(user.run(stop.clone()));
    }
    loops.join_all().await;
    let recorder = recorder.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(recorder)
}

/// One user that never thinks.
struct User {
    work: Arc<Work>,
    session: Session,
    schedule: Schedule,
    from: Instant,
    to: Instant,
    window: Window,
    recorder: Arc<Mutex<Recorder>>,
}

impl User {
    async fn run(mut self, mut stop: Stop) {
        let mut samples = Vec::new();
        while Instant::now() < self.to && !stop.is_stopped() {
            let Some(arrival) = self.schedule.next() else {
                return;
            };
            samples.clear();
            let now = Instant::now();
            let performing = self.work.perform(&mut self.session, &arrival, now, &mut samples);
            // What is under way at the end is answered and not counted: aborting it would show as errors in the server.
            tokio::select! {
                () = performing => {}
                () = stop.stopped() => return,
            }
            for sample in &samples {
                self.window.record(sample);
                if sample.end >= self.from && sample.end < self.to {
                    self.recorder
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .record(sample);
                }
            }
            if samples.iter().any(|sample| sample.outcome.is_err()) {
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
            }
        }
    }
}
