//! The router: a `Dispatch` that decides who serves a call: here, there, or later.
//!
//! Resolves a call in its [`RouteTable`], guards hops, deadline and lengths, opens the caller's span and counts the call on its
//! edge. Knows no implementation of `Dispatch` but itself: `node` gives it targets.

mod replica;
pub mod table;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use protocol::api::placement::REPLICAS_MAX;
use protocol::span::{CallerStages, Stages, Value};
use protocol::{CallError, ErrorCode, HandlerName, SpanKind, SpanStatus, Transport};

use crate::dispatch::{Call, Dispatch, HOPS_MAX, Reply, ReplyFuture, check_result};
use crate::edges::{EdgeCell, EdgeKey, Edges, Ended, Outcome};
use crate::telemetry::{OpenSpan, Recorder, fields};

use table::Resolved;
pub use table::{RouteTable, Target};

/// How often a call that nobody has begun is looked up again: once for each replica that is not there, at most.
const LOOKS_MAX: u32 = REPLICAS_MAX;

/// Decides who serves a call.
pub struct Router {
    table: ArcSwap<RouteTable>,
    recorder: Arc<Recorder>,
    edges: Arc<Edges>,
}

impl Router {
    /// A router that knows nobody yet.
    pub fn new(recorder: Arc<Recorder>, edges: Arc<Edges>) -> Self {
        Self {
            table: ArcSwap::default(),
            recorder,
            edges,
        }
    }

    /// Replaces the table; calls in flight end on the old one.
    pub fn swap(&self, table: RouteTable) {
        let table = table.after(&self.table.load());
        self.table.store(Arc::new(table));
    }

    /// The table in force.
    pub fn table(&self) -> Arc<RouteTable> {
        self.table.load_full()
    }

    async fn route(&self, call: Call) -> Result<Reply, CallError> {
        let entered = Instant::now();
        if let Err(error) = guard(&call, entered) {
            self.leave_span(&call, None, Transport::Direct, entered, failed(&error));
            return Err(error);
        }
        let mut table = self.table.load_full();
        let mut looks = 0;
        loop {
            let attempt = self.attempt(&table, &call, entered)?;
            let (attempt, answer) = attempt.send(&call, entered).await;
            if !answer.missed() || looks == LOOKS_MAX {
                return self.settle(attempt, &call, entered, answer);
            }
            let newer = self.table.load_full();
            let others_serve = attempt.leave_out(&answer);
            if Arc::ptr_eq(&newer, &table) && !others_serve {
                return self.settle(attempt, &call, entered, answer);
            }
            // Withdrawn while the call was on its way, or gone before it was reached: nothing ran, and newer routes or
            // another replica know better. So neither the edge nor the trace keeps anything of it.
            attempt.forget();
            table = newer;
            looks += 1;
        }
    }

    /// Resolves a call and opens its span.
    fn attempt<'t>(
        &self,
        table: &'t RouteTable,
        call: &Call,
        entered: Instant,
    ) -> Result<Attempt<'t>, CallError> {
        let resolved = table.resolve(call).inspect_err(|error| {
            self.leave_span(call, None, Transport::Direct, entered, failed(error));
        })?;
        let key = EdgeKey {
            caller: call.caller.clone(),
            callee: resolved.callee.clone(),
            interface: call.function.interface.clone(),
        };
        let span = self.open_span(table, call, &key, resolved.target.transport, entered);
        let cell = self.edges.cell(&key);
        Ok(Attempt { resolved, cell, span })
    }

    /// Counts an ended call, and ends its span or leaves one.
    fn settle(
        &self,
        attempt: Attempt<'_>,
        call: &Call,
        entered: Instant,
        answer: Answer,
    ) -> Result<Reply, CallError> {
        let Attempt {
            resolved,
            cell,
            mut span,
        } = attempt;
        let transport = resolved.target.transport;
        cell.record(answer.ended(call, transport));
        let latency = answer.latency;
        match answer.outcome {
            Ok(mut reply) => {
                if let Some(span) = &mut span {
                    close_span(span, call, &reply, (answer.send, latency, entered));
                } else if cell.is_slow(latency.as_nanos() as u64) {
                    self.leave_span(call, Some(resolved.callee), transport, entered, SpanStatus::Ok);
                }
                reply.span = span;
                Ok(reply)
            }
            Err(error) => {
                match &mut span {
                    Some(span) => span.span_mut().status = failed(&error),
                    None => self.leave_span(call, Some(resolved.callee), transport, entered, failed(&error)),
                }
                Err(error)
            }
        }
    }

    fn open_span(
        &self,
        table: &RouteTable,
        call: &Call,
        key: &EdgeKey,
        transport: Transport,
        entered: Instant,
    ) -> Option<OpenSpan> {
        if !call.trace.sampled {
            return None;
        }
        let name = Arc::from(call.function.to_string());
        let mut span = OpenSpan::begin(&self.recorder, &call.trace, SpanKind::Client, &call.caller, &name)?;
        span.began_at(entered - Duration::from_nanos(call.lift_ns));
        let record = span.span_mut();
        record.peer = Some(key.callee.clone());
        record.transport = Some(transport);
        let edge = format!("{} -> {}", key.caller, key.interface.unversioned());
        record
            .attributes
            .push((fields::EDGE.into(), Value::Text(edge.into())));
        let placement = Value::Text(Arc::clone(table.placement()));
        record.attributes.push((fields::PLACEMENT.into(), placement));
        Some(span)
    }

    /// The one span of a call that failed or was slow in an unsampled trace, or that nobody serves.
    fn leave_span(
        &self,
        call: &Call,
        callee: Option<&HandlerName>,
        transport: Transport,
        entered: Instant,
        status: SpanStatus,
    ) {
        let name = Arc::from(call.function.to_string());
        let mut span =
            OpenSpan::begin_always(&self.recorder, &call.trace, SpanKind::Client, &call.caller, &name);
        span.began_at(entered);
        let record = span.span_mut();
        if !call.trace.sampled {
            record.parent_id = None;
        }
        record.peer = callee.cloned();
        record.transport = Some(transport);
        let edge = format!("{} -> {}", call.caller, call.function.interface.unversioned());
        record
            .attributes
            .push((fields::EDGE.into(), Value::Text(edge.into())));
        record.status = status;
    }
}

/// One way to serve a call.
struct Attempt<'t> {
    resolved: Resolved<'t>,
    cell: Arc<EdgeCell>,
    span: Option<OpenSpan>,
}

/// What an attempt came to.
struct Answer {
    outcome: Result<Reply, CallError>,
    /// Until it was handed on.
    send: Duration,
    /// Until the answer was there.
    latency: Duration,
}

impl Attempt<'_> {
    async fn send(self, call: &Call, entered: Instant) -> (Self, Answer) {
        let function = &call.function;
        let mut call = call.clone();
        call.handler = Some(self.resolved.handler.clone());
        if let Some(timeout) = self.resolved.timeout {
            call.deadline = call.deadline.min(entered + timeout);
        }
        if let Some(span) = &self.span {
            call.trace = span.context();
        }
        let send = entered.elapsed();
        // The first look may have used the time up.
        let allowed = match call.remaining().is_zero() {
            true => Err(call.deadline_error()),
            false => call.check_args(),
        };
        let _in_flight = self.resolved.replica.map(|replica| replica.enter());
        let outcome = match allowed {
            Ok(()) => self.resolved.target.dispatcher.dispatch(call).await,
            Err(error) => Err(error),
        };
        let outcome = outcome.and_then(|reply| check_result(function, &reply.value).map(|()| reply));
        let latency = entered.elapsed();
        let answer = Answer {
            outcome,
            send,
            latency,
        };
        (self, answer)
    }

    /// Leaves a replica that was not reached out from now on; whether others are there.
    fn leave_out(&self, answer: &Answer) -> bool {
        let replica = self.resolved.replica.filter(|_| answer.unreached());
        replica.is_some_and(|replica| replica.leave_out())
    }

    fn forget(self) {
        if let Some(span) = self.span {
            span.discard();
        }
    }
}

impl Answer {
    /// Whether nobody was met under the address that the table gave, so that nothing ran.
    fn missed(&self) -> bool {
        matches!(
            &self.outcome,
            Err(error) if error.code == ErrorCode::NotFound
        ) || self.unreached()
    }

    /// Whether it never left, because nobody is there.
    fn unreached(&self) -> bool {
        matches!(&self.outcome, Err(error) if error.code == ErrorCode::Unreachable && error.unsent)
    }

    fn ended(&self, call: &Call, transport: Transport) -> Ended {
        let (bytes_out, outcome) = match &self.outcome {
            Ok(reply) if reply.is_err => (reply.value.len() as u64, Outcome::Err),
            Ok(reply) => (reply.value.len() as u64, Outcome::Ok),
            Err(_) => (0, Outcome::Failed),
        };
        Ended {
            transport,
            outcome,
            latency_ns: self.latency.as_nanos() as u64,
            bytes_in: call.args.len() as u64,
            bytes_out,
        }
    }
}

/// Refuses what must not go on.
fn guard(call: &Call, now: Instant) -> Result<(), CallError> {
    if call.hop > HOPS_MAX {
        let message = format!(
            "`{}` is {HOPS_MAX} calls deep; the handlers call each other in a circle",
            call.function
        );
        return Err(CallError::new(ErrorCode::Rejected, message));
    }
    if now >= call.deadline {
        return Err(call.deadline_error());
    }
    Ok(())
}

/// The caller's stages: consecutive, so that they and the callee's total add up to the whole.
fn close_span(
    span: &mut OpenSpan,
    call: &Call,
    reply: &Reply,
    (send, latency, entered): (Duration, Duration, Instant),
) {
    let ns = |duration: Duration| duration.as_nanos() as u64;
    let callee = reply.stages.unwrap_or_default();
    // The callee may have begun to read before the sender's task saw its write done: what overlaps is the callee's.
    let send_ns = (ns(send) + reply.sent_ns).min(ns(latency).saturating_sub(callee.total));
    let record = span.span_mut();
    let bytes = |count: usize| Value::Int(count as i64);
    record.attributes.extend([
        (fields::ARGS_BYTES.into(), bytes(call.args.len())),
        (fields::VALUE_BYTES.into(), bytes(reply.value.len())),
    ]);
    if reply.is_err {
        record.status = SpanStatus::Err;
    }
    record.stages = Some(Stages::Caller(CallerStages {
        lift: call.lift_ns,
        send: send_ns,
        travel: ns(latency).saturating_sub(send_ns).saturating_sub(callee.total),
        // What passed between the reply's arrival and this moment is step 9's beginning.
        lower: ns(entered.elapsed().saturating_sub(latency)),
        callee,
    }));
}

fn failed(error: &CallError) -> SpanStatus {
    SpanStatus::Failed {
        code: error.code,
        message: error.message.clone(),
    }
}

impl Dispatch for Router {
    fn dispatch(&self, call: Call) -> ReplyFuture<'_> {
        Box::pin(self.route(call))
    }
}

#[cfg(test)]
mod tests;
