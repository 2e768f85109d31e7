//! Open loop: sends on schedule, whether or not the answers come.
//!
//! Every arrival owns its intended time. An arrival that finds all users busy waits for one and is sent late; its
//! response time still counts from the intended time, and it is counted as queued. Nothing is dropped and nothing
//! piles up: the schedule itself is the queue. Warm-up arrivals are sent and not recorded.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::lane::{self, Lane};
use crate::meter::{Meter, Reading};
use crate::pacer::Pacer;
use crate::progress::{Event, Sink, Window};
use crate::recorder::{Recorder, Sample};
use crate::schedule::{Arrival, Arrivals, Schedule, mix};
use crate::session::Session;
use crate::stop::Stop;
use crate::worker::Work;

/// Gives all lanes time to start before the first arrival is due.
const LEAD: Duration = Duration::from_millis(20);
/// Tells the warm-up's seed from the run's.
const WARMUP: u64 = 0x5741_524D;

/// One open-loop run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What is sent, and where to.
    pub work: Arc<Work>,
    /// Decides the schedule.
    pub seed: u64,
    /// How arrivals are spaced.
    pub arrivals: Arrivals,
    /// Requests a second, on average: operations come at this over their mean number of steps.
    pub rate_per_s: f64,
    /// Sent and not recorded.
    pub warmup: Duration,
    /// Recorded.
    pub duration: Duration,
    /// Virtual users, and so connections and requests in flight, at most.
    pub users_max: usize,
    /// Threads.
    pub lanes: usize,
    /// What progress calls it.
    pub label: String,
}

/// What a run gave.
#[derive(Debug)]
pub struct Outcome {
    /// The requests.
    pub recorder: Recorder,
    /// The server at the end of the warm-up.
    pub before: Reading,
    /// The server after the last answer.
    pub after: Reading,
    /// Seconds of the schedule that were recorded.
    pub seconds: f64,
    /// Whether it was ended early.
    pub interrupted: bool,
}

/// Runs the plan to its end, or until `stop`.
pub async fn run(plan: &Plan, meter: &mut Meter, stop: &Stop, sink: &Sink) -> anyhow::Result<Outcome> {
    let window = Window::default();
    let start = Instant::now() + LEAD;
    let mut lanes = JoinSet::new();
    for index in 0..plan.lanes {
        let sender = Sender {
            plan: plan.clone(),
            index,
            start,
            stop: stop.clone(),
            window: window.clone(),
            free: users(plan, index),
            flights: JoinSet::new(),
            recorder: Recorder::new(plan.work.scenario.operations.len()),
        };
        lanes.spawn(Lane::spawn(index, move || sender.run())?.join());
    }
    let measured = start + plan.warmup;
    let mut before = None;
    let mut recorder = Recorder::new(plan.work.scenario.operations.len());
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
    let after = meter.read_at_end().await;
    let interrupted = stop.is_stopped();
    let ran = Instant::now()
        .saturating_duration_since(measured)
        .min(plan.duration);
    let seconds = if interrupted { ran } else { plan.duration }.as_secs_f64();
    Ok(Outcome {
        recorder,
        before: before.unwrap_or_else(|| after.clone()),
        after,
        seconds,
        interrupted,
    })
}

/// One lane's arrivals, when each is due, and whether it is recorded. The warm-up has a schedule of its own: what is
/// recorded depends on the seed alone, and is the same in two blocks that warm up for different times.
fn arrivals(
    plan: &Plan,
    start: Instant,
    index: usize,
) -> impl Iterator<Item = (Arrival, Instant, bool)> + use<> {
    let operations_per_s = plan.rate_per_s / plan.work.scenario.mean_steps();
    let weights = plan.work.scenario.weights();
    let (lanes, index) = (plan.lanes as u64, index as u64);
    let part = |seed: u64, from: Instant, length: Duration, is_recorded: bool| {
        Schedule::new(seed, plan.arrivals, operations_per_s, &weights)
            .take_while(move |arrival| Duration::from_nanos(arrival.at_ns) < length)
            .filter(move |arrival| arrival.index % lanes == index)
            .map(move |arrival| (arrival, from + Duration::from_nanos(arrival.at_ns), is_recorded))
    };
    let warmup = part(mix(plan.seed, WARMUP), start, plan.warmup, false);
    warmup.chain(part(plan.seed, start + plan.warmup, plan.duration, true))
}

/// The users of one lane. All take their turn, so that carts and connections spread as with real visitors.
fn users(plan: &Plan, index: usize) -> VecDeque<Session> {
    let count = lane::share(plan.users_max, plan.lanes);
    (0..count)
        .map(|user| Session::new((user * plan.lanes + index) as u64))
        .collect()
}

/// One lane's part: every `lanes`-th arrival.
struct Sender {
    plan: Plan,
    index: usize,
    start: Instant,
    stop: Stop,
    window: Window,
    free: VecDeque<Session>,
    flights: JoinSet<Flight>,
    recorder: Recorder,
}

/// An operation that ended, and its user.
struct Flight {
    session: Session,
    samples: Vec<Sample>,
    is_recorded: bool,
}

impl Sender {
    async fn run(mut self) -> anyhow::Result<Recorder> {
        let mut pacer = Pacer::open().context("open the timer")?;
        let mut ready_since = self.start;
        for (arrival, due, is_recorded) in arrivals(&self.plan, self.start, self.index) {
            if !self.wait_until(due, &mut pacer).await? {
                break;
            }
            if is_recorded {
                let late = Instant::now().saturating_duration_since(due.max(ready_since));
                self.recorder.record_schedule_error(late);
            }
            let Some(session) = self.user(&mut ready_since).await else {
                break;
            };
            // It came due while all users were busy, whether it waited for one itself or behind another.
            self.recorder.queued += u64::from(is_recorded && due < ready_since);
            self.send(session, arrival, due, is_recorded);
        }
        self.land().await;
        Ok(self.recorder)
    }

    /// Waits for a point in time and takes in what ends meanwhile; false if the run is to end.
    async fn wait_until(&mut self, due: Instant, pacer: &mut Pacer) -> anyhow::Result<bool> {
        loop {
            tokio::select! {
                biased;
                slept = pacer.sleep_until(due) => {
                    slept.context("wait for the timer")?;
                    return Ok(!self.stop.is_stopped());
                }
                Some(flight) = self.flights.join_next() => {
                    if let Ok(flight) = flight {
                        self.take_in(flight);
                    }
                }
                () = self.stop.stopped() => return Ok(false),
            }
        }
    }

    /// The user that has been free for longest, or the next that becomes free; none if the run is to end.
    async fn user(&mut self, ready_since: &mut Instant) -> Option<Session> {
        while let Some(Ok(flight)) = self.flights.try_join_next() {
            self.take_in(flight);
        }
        if let Some(session) = self.free.pop_front() {
            return Some(session);
        }
        while self.free.is_empty() {
            tokio::select! {
                flight = self.flights.join_next() => self.take_in(flight?.ok()?),
                () = self.stop.stopped() => return None,
            }
        }
        *ready_since = Instant::now();
        self.free.pop_front()
    }

    fn send(&mut self, mut session: Session, arrival: Arrival, due: Instant, is_recorded: bool) {
        let work = Arc::clone(&self.plan.work);
        self.flights.spawn(async move {
            let mut samples = Vec::with_capacity(2);
            work.perform(&mut session, &arrival, due, &mut samples).await;
            Flight {
                session,
                samples,
                is_recorded,
            }
        });
    }

    fn take_in(&mut self, flight: Flight) {
        for sample in &flight.samples {
            self.window.record(sample);
            if flight.is_recorded {
                self.recorder.record(sample);
            }
        }
        self.free.push_back(flight.session);
    }

    /// Waits for the last answers; each has its own timeout. A run that is ended early does not wait.
    async fn land(&mut self) {
        loop {
            tokio::select! {
                flight = self.flights.join_next() => match flight {
                    Some(Ok(flight)) => self.take_in(flight),
                    Some(Err(_)) => {}
                    None => return,
                },
                () = self.stop.stopped() => return,
            }
        }
    }
}

#[cfg(test)]
mod tests;
