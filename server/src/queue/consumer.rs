//! `Consumers`: works messages off. One loop a queue: lease → call the handler → settle.
//!
//! At most [`Work::concurrency`] attempts of a queue at a time; the host extends a lease while its attempt runs. A failed
//! call, a trap, a timeout and the callee's own `err` are failed attempts. When the handler is absent or full, or its
//! node is not reached, nothing ran: the message goes back without using a try, and the queue pauses, longer each time,
//! until an attempt runs or [`Consumers::routes_changed`] says that it is worth a look. It pauses too when the node is
//! lost during an attempt, so that only one message at a time uses a try on it. Nothing polls: a loop wakes by a commit.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use protocol::api::queues::LastError;
use protocol::span::{Link, Value};
use protocol::{
    CallError, ErrorCode, FunctionPath, HandlerName, QueueName, SpanKind, SpanStatus, TraceContext, Transport,
};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::message::{Fence, Lease, Settled};
use super::retry::Absence;
use super::{Error, Known, Queues};
use crate::db;
use crate::dispatch::{Call, Dispatcher, Reply};
use crate::shutdown::Tasks;
use crate::telemetry::{OpenSpan, Recorder, fields, new_span_id, new_trace_id};

/// How long a message is leased at a time: what a node that dies costs before another may take it.
pub const LEASE: Duration = Duration::from_secs(30);
/// The wait after the store failed.
const STORE_FAILED_PAUSE: Duration = Duration::from_secs(1);

/// Attempts of one queue at the same time, where nothing else is said: enough to keep two cores busy with short calls,
/// few enough to shave a peak before it reaches the handler.
pub const CONCURRENCY_DEFAULT: u32 = 4;

/// Bytes of a callee's own error that a message keeps.
const ERROR_BYTES_MAX: usize = 1_024;

/// Writes down the error value in a reply, for a person to read; `None` where the function's type is not known.
pub type Explain = Arc<dyn Fn(&HandlerName, &FunctionPath, &[u8]) -> Option<String> + Send + Sync>;

/// What working off needs, and how much of it is done at a time.
#[derive(Clone)]
pub struct Work {
    /// Makes the calls.
    pub dispatcher: Dispatcher,
    /// Takes their spans.
    pub recorder: Arc<Recorder>,
    /// Reads what a callee answered with.
    pub explain: Explain,
    /// Attempts of one queue at the same time, at least one.
    pub concurrency: u32,
}

/// Works off every queue whose messages are calls.
#[derive(Debug, Clone)]
pub struct Consumers {
    routes: watch::Sender<u64>,
}

impl Consumers {
    /// Starts a loop for every such queue, also for those to come. Cancelling `tasks` stops leasing; what is in work
    /// is finished, so drain them before what the calls need.
    pub fn spawn(queues: Queues, work: Work, tasks: &Tasks) -> Self {
        Self::spawn_with(queues, work, LEASE, tasks)
    }

    pub(super) fn spawn_with(queues: Queues, work: Work, lease: Duration, tasks: &Tasks) -> Self {
        let routes = watch::Sender::new(0);
        let seat = Seat { queues, work, lease };
        tasks.spawn(
            "queue-consumers",
            for_every_queue(seat, routes.clone(), tasks.clone()),
        );
        Self { routes }
    }

    /// A handler came or went: queues that wait for theirs look again at once.
    pub fn routes_changed(&self) {
        self.routes.send_modify(|generation| *generation += 1);
    }
}

/// What every loop works with.
#[derive(Clone)]
struct Seat {
    queues: Queues,
    work: Work,
    lease: Duration,
}

async fn for_every_queue(seat: Seat, routes: watch::Sender<u64>, tasks: Tasks) {
    let mut known = seat.queues.known();
    let mut consumed: HashSet<QueueName> = HashSet::new();
    loop {
        let queues: Arc<HashMap<QueueName, Known>> = Arc::clone(&known.borrow_and_update());
        for (queue, _) in queues.iter().filter(|(_, known)| known.calls) {
            if consumed.insert(queue.clone()) {
                let consumer = Consumer::new(seat.clone(), queue.clone(), routes.subscribe());
                tasks.spawn("queue-consumer", consumer.run(tasks.clone()));
            }
        }
        tokio::select! {
            biased;
            () = tasks.cancelled() => return,
            changed = known.changed() => if changed.is_err() { return },
        }
    }
}

/// Whether an attempt reached the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempted {
    Ran,
    Absent,
}

/// One queue's loop.
struct Consumer {
    seat: Seat,
    queue: QueueName,
    span_name: Arc<str>,
    wake: Arc<Notify>,
    routes: watch::Receiver<u64>,
    in_work: FuturesUnordered<JoinHandle<Option<Attempted>>>,
    /// There may be messages to lease.
    hungry: bool,
    absence: Absence,
    paused_until: Option<tokio::time::Instant>,
}

impl Consumer {
    fn new(seat: Seat, queue: QueueName, routes: watch::Receiver<u64>) -> Self {
        Self {
            wake: seat.queues.shared.wake_of(&queue),
            span_name: format!("process {queue}").into(),
            seat,
            queue,
            routes,
            in_work: FuturesUnordered::new(),
            hungry: true,
            absence: Absence::default(),
            paused_until: None,
        }
    }

    async fn run(mut self, tasks: Tasks) {
        let wake = Arc::clone(&self.wake);
        while !tasks.is_cancelled() {
            if let Err(Error::Db(db::Error::Closed)) = self.lease(&tasks).await {
                break;
            }
            let pause = self.paused_until;
            tokio::select! {
                biased;
                () = tasks.cancelled() => break,
                Some(attempted) = self.in_work.next() => self.handle_attempted(attempted.ok().flatten()),
                Ok(()) = self.routes.changed() => self.resume(),
                () = tokio::time::sleep_until(pause.unwrap_or_else(tokio::time::Instant::now)), if pause.is_some() => {
                    self.resume();
                }
                () = wake.notified() => self.hungry = true,
            }
        }
        while self.in_work.next().await.is_some() {}
    }

    /// Starts as many attempts as there is room and work for.
    async fn lease(&mut self, tasks: &Tasks) -> Result<(), Error> {
        // One probe is enough while the handler is absent.
        let room = match self.absence.is_absent() {
            true => 1_usize.saturating_sub(self.in_work.len()),
            false => (self.seat.work.concurrency.max(1) as usize).saturating_sub(self.in_work.len()),
        };
        if !self.hungry || self.paused_until.is_some() || room == 0 {
            return Ok(());
        }
        let leased = self
            .seat
            .queues
            .lease(&self.queue, room as u32, self.seat.lease)
            .await;
        let leases = match leased {
            Ok(leases) => leases,
            Err(error) => {
                tracing::warn!(queue.name = %self.queue, %error, "leasing from `{}` failed", self.queue);
                self.paused_until = Some(tokio::time::Instant::now() + STORE_FAILED_PAUSE);
                return Err(error);
            }
        };
        self.hungry = leases.len() == room;
        for lease in leases {
            let attempt = Attempt {
                seat: self.seat.clone(),
                queue: self.queue.clone(),
                span_name: Arc::clone(&self.span_name),
                lease,
            };
            self.in_work.push(tasks.spawn("queue-attempt", attempt.run()));
        }
        Ok(())
    }

    /// An attempt that panicked counts as one that ran; its lease ends by itself.
    fn handle_attempted(&mut self, attempted: Option<Attempted>) {
        match attempted {
            Some(Attempted::Absent) if self.paused_until.is_none() => {
                let pause = self.absence.next_pause();
                self.paused_until = Some(tokio::time::Instant::now() + pause);
            }
            Some(Attempted::Absent) => {}
            Some(Attempted::Ran) | None => {
                if self.absence.is_absent() {
                    self.absence.end();
                    self.resume();
                }
            }
        }
    }

    fn resume(&mut self) {
        self.paused_until = None;
        self.hungry = true;
    }
}

/// One attempt of one message.
struct Attempt {
    seat: Seat,
    queue: QueueName,
    span_name: Arc<str>,
    lease: Lease,
}

/// How an attempt ended.
enum Ending {
    Done,
    Failed(LastError, SpanStatus),
    /// Nothing ran: the handler is absent, full or not reached.
    Absent(CallError),
    /// The lease was lost meanwhile; whoever has it now settles the message.
    Lost,
}

impl Attempt {
    async fn run(self) -> Attempted {
        // A new trace, linked to the one that enqueued: the wait between them may be long.
        let context = TraceContext {
            trace_id: new_trace_id(),
            span_id: new_span_id(),
            sampled: self.lease.trace.is_some_and(|trace| trace.sampled),
        };
        let span = self.begin_span(&context);
        let ending = self.call(context).await;
        let attempted = match &ending {
            Ending::Absent(_)
            | Ending::Failed(
                _,
                SpanStatus::Failed {
                    code: ErrorCode::Unreachable,
                    ..
                },
            ) => Attempted::Absent,
            _ => Attempted::Ran,
        };
        let fence = Fence {
            trace: span.is_some().then_some(context),
            ..self.lease.fence()
        };
        self.end_span(span, &ending);
        self.settle(fence, ending).await;
        attempted
    }

    fn begin_span(&self, context: &TraceContext) -> Option<OpenSpan> {
        let recorder = &self.seat.work.recorder;
        let handler = HandlerName::queue();
        let mut open =
            OpenSpan::begin_root(recorder, context, SpanKind::Consumer, &handler, &self.span_name)?;
        let span = open.span_mut();
        span.transport = Some(Transport::Queue);
        span.peer = self.lease.handler.clone();
        span.link = self.lease.trace.map(|trace| Link {
            trace_id: trace.trace_id,
            span_id: trace.span_id,
        });
        let id = Value::Text(self.lease.id.to_string().into());
        let attempt = Value::Int(i64::from(self.lease.attempt));
        let queue = Value::Text(self.queue.as_str().into());
        span.attributes = vec![
            (fields::MESSAGING_DESTINATION_NAME.into(), queue),
            (fields::MESSAGING_MESSAGE_ID.into(), id),
            (fields::MESSAGE_ATTEMPT.into(), attempt),
        ];
        Some(open)
    }

    /// Makes the call, and extends the lease while it runs.
    async fn call(&self, context: TraceContext) -> Ending {
        let Some(function) = &self.lease.function else {
            let error = CallError::new(ErrorCode::Invalid, "the message names no function to call");
            return failed(error);
        };
        let deadline = Instant::now() + self.lease.timeout;
        let call = Call {
            caller: HandlerName::queue(),
            handler: self.lease.handler.clone(),
            function: Arc::clone(function),
            type_hash: self.lease.type_hash,
            args: self.lease.body.clone(),
            deadline,
            trace: context,
            hop: 0,
            lift_ns: 0,
        };
        let late = call.deadline_error();
        let mut reply = self.seat.work.dispatcher.dispatch(call);
        // A third of the lease leaves two more chances when the store is slow.
        let beat = self.seat.lease / 3;
        let mut beats = tokio::time::interval_at(tokio::time::Instant::now() + beat, beat);
        beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                reply = &mut reply => return self.judge(reply),
                () = tokio::time::sleep_until(deadline.into()) => return failed(late),
                _ = beats.tick() => match self.seat.queues.extend(self.lease.fence(), self.seat.lease).await {
                    Ok(true) => {}
                    Ok(false) => return Ending::Lost,
                    Err(error) => {
                        tracing::warn!(message.id = self.lease.id, %error, "extending a lease failed");
                    }
                },
            }
        }
    }

    fn judge(&self, reply: Result<Reply, CallError>) -> Ending {
        match reply {
            Ok(reply) if reply.is_err => {
                let error = LastError {
                    code: "err".into(),
                    message: self.own_error(&reply.value),
                };
                Ending::Failed(error, SpanStatus::Err)
            }
            Ok(_) => Ending::Done,
            Err(error)
                if error.unsent || matches!(error.code, ErrorCode::NotFound | ErrorCode::Overloaded) =>
            {
                Ending::Absent(error)
            }
            Err(error) => failed(error),
        }
    }

    /// What the callee said, in words.
    fn own_error(&self, value: &[u8]) -> String {
        let Some(function) = &self.lease.function else {
            return String::new();
        };
        let handler = self.lease.handler.as_ref();
        let said = handler.and_then(|handler| (self.seat.work.explain)(handler, function, value));
        let mut text = format!("`{function}` answered with its own error");
        if let Some(said) = said {
            text.push_str(": ");
            text.push_str(&said[..said.floor_char_boundary(ERROR_BYTES_MAX)]);
            if said.len() > ERROR_BYTES_MAX {
                text.push('…');
            }
        }
        text
    }

    fn end_span(&self, span: Option<OpenSpan>, ending: &Ending) {
        let Some(mut span) = span else { return };
        match ending {
            Ending::Done => {}
            Ending::Failed(_, status) => span.span_mut().status = status.clone(),
            Ending::Lost => {
                span.span_mut().status = SpanStatus::Failed {
                    code: ErrorCode::Cancelled,
                    message: "the lease was lost".into(),
                };
            }
            // Each probe for an absent handler would leave a trace of nothing.
            Ending::Absent(_) => span.discard(),
        }
    }

    async fn settle(&self, fence: Fence, ending: Ending) {
        let queues = &self.seat.queues;
        let settled = match ending {
            Ending::Done => queues.ack(fence).await,
            Ending::Failed(error, _) => queues.nack(fence, error).await,
            Ending::Absent(error) => {
                tracing::debug!(
                    queue.name = %self.queue,
                    message.id = fence.id,
                    %error,
                    "nothing ran, the message waits"
                );
                queues.release(fence, Duration::ZERO).await
            }
            Ending::Lost => return,
        };
        match settled {
            Ok(Settled::Dead) => {
                tracing::warn!(
                    queue.name = %self.queue,
                    message.id = fence.id,
                    "message {} of `{}` is dead after {} attempts",
                    fence.id,
                    self.queue,
                    self.lease.attempt
                );
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(queue.name = %self.queue, message.id = fence.id, %error, "settling a message failed");
            }
        }
    }
}

fn failed(error: CallError) -> Ending {
    let last = LastError {
        code: error.code.as_str().into(),
        message: error.message.clone(),
    };
    let status = SpanStatus::Failed {
        code: error.code,
        message: error.message,
    };
    Ending::Failed(last, status)
}

#[cfg(test)]
mod tests;
