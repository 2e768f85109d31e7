//! The router: a `Dispatch` that decides who serves a call: here, there, or later.
//!
//! Resolves a call in its [`RouteTable`], guards hops and deadline, opens the caller's span and counts the call on its
//! edge. Knows no implementation of `Dispatch` but itself: `node` gives it targets.

pub mod table;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use protocol::span::{CallerStages, Stages, Value};
use protocol::{CallError, ErrorCode, HandlerName, SpanKind, SpanStatus, Transport};

use crate::dispatch::{Call, Dispatch, HOPS_MAX, Reply, ReplyFuture};
use crate::edges::{EdgeCell, EdgeKey, Edges, Ended, Outcome};
use crate::telemetry::{OpenSpan, Recorder, fields};

pub use table::{RouteTable, Target};

/// Decides who serves a call.
pub struct Router {
    table: ArcSwap<RouteTable>,
    recorder: Arc<Recorder>,
    edges: Arc<Edges>,
}

impl Router {
    /// A router that knows nobody yet.
    pub fn new(recorder: Arc<Recorder>, edges: Arc<Edges>) -> Self {
        Self { table: ArcSwap::default(), recorder, edges }
    }

    /// Replaces the table; calls in flight end on the old one.
    pub fn swap(&self, table: RouteTable) {
        self.table.store(Arc::new(table));
    }

    /// The table in force.
    pub fn table(&self) -> Arc<RouteTable> {
        self.table.load_full()
    }

    async fn route(&self, call: Call) -> Result<Reply, CallError> {
        let entered = Instant::now();
        if call.hop > HOPS_MAX {
            let message = format!("`{}` is {HOPS_MAX} calls deep; the handlers call each other in a circle", call.function);
            return Err(CallError::new(ErrorCode::Rejected, message));
        }
        if entered >= call.deadline {
            return Err(call.deadline_error());
        }
        let table = self.table.load_full();
        let again = call.clone();
        match self.attempt(&table, call, entered).await {
            // Withdrawn while the call was on its way: nothing ran, and newer routes know better.
            Err(error) if error.code == ErrorCode::NotFound => {
                let newer = self.table.load_full();
                if newer.generation() == table.generation() {
                    return Err(error);
                }
                self.attempt(&newer, again, entered).await
            }
            outcome => outcome,
        }
    }

    async fn attempt(&self, table: &RouteTable, mut call: Call, entered: Instant) -> Result<Reply, CallError> {
        let resolved = match table.resolve(&call) {
            Ok(resolved) => resolved,
            Err(error) => {
                self.leave_trace(&call, None, Transport::Direct, entered, &error);
                return Err(error);
            }
        };
        let transport = resolved.target.transport;
        let callee = resolved.callee.clone();
        let key =
            EdgeKey { caller: call.caller.clone(), callee, interface: call.function.interface.clone() };
        let cell = self.edges.cell(&key);
        call.handler = Some(resolved.handler.clone());
        let mut span = self.open_span(table, &call, &key, transport, entered);
        if let Some(span) = &span {
            call.trace = span.context();
        }
        let sent = Sent {
            args_bytes: call.args.len() as u64,
            lift_ns: call.lift_ns,
            entered,
            transport,
        };
        let trail = (!call.trace.sampled).then(|| call.clone());
        let send = entered.elapsed();
        let outcome = resolved.target.dispatcher.dispatch(call).await;
        let latency = entered.elapsed();
        sent.count(&cell, latency, &outcome);
        match outcome {
            Ok(mut reply) => {
                if let Some(span) = &mut span {
                    sent.close(span, send, latency, &reply);
                }
                if let Some(call) = trail
                    && cell.is_slow(latency.as_nanos() as u64)
                {
                    self.leave_span(&call, Some(&key.callee), transport, entered, SpanStatus::Ok);
                }
                reply.span = span;
                Ok(reply)
            }
            Err(error) => {
                if let Some(span) = &mut span {
                    span.span_mut().status = failed(&error);
                }
                if let Some(call) = trail {
                    self.leave_trace(&call, Some(&key.callee), transport, entered, &error);
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
        record.attributes.push((fields::EDGE.into(), Value::Text(edge.into())));
        let placement = Value::Text(Arc::clone(table.placement()));
        record.attributes.push((fields::PLACEMENT.into(), placement));
        Some(span)
    }

    /// A failed call of an unsampled trace leaves one span; so does one that nobody serves.
    fn leave_trace(
        &self,
        call: &Call,
        callee: Option<&HandlerName>,
        transport: Transport,
        entered: Instant,
        error: &CallError,
    ) {
        self.leave_span(call, callee, transport, entered, failed(error));
    }

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
        record.attributes.push((fields::EDGE.into(), Value::Text(edge.into())));
        record.status = status;
    }
}

/// What is known of a call when it is sent.
struct Sent {
    args_bytes: u64,
    lift_ns: u64,
    entered: Instant,
    transport: Transport,
}

impl Sent {
    fn count(&self, cell: &EdgeCell, latency: Duration, outcome: &Result<Reply, CallError>) {
        let (bytes_out, outcome) = match outcome {
            Ok(reply) => {
                let outcome = if reply.is_err { Outcome::Err } else { Outcome::Ok };
                (reply.value.len() as u64, outcome)
            }
            Err(_) => (0, Outcome::Failed),
        };
        cell.record(Ended {
            transport: self.transport,
            outcome,
            latency_ns: latency.as_nanos() as u64,
            bytes_in: self.args_bytes,
            bytes_out,
        });
    }

    /// The caller's stages: consecutive, so that they and the callee's total add up to the whole.
    fn close(&self, span: &mut OpenSpan, send: Duration, latency: Duration, reply: &Reply) {
        let ns = |duration: Duration| duration.as_nanos() as u64;
        let callee = reply.stages.unwrap_or_default();
        let send_ns = ns(send) + reply.sent_ns;
        let travel = ns(latency).saturating_sub(send_ns).saturating_sub(callee.total);
        let stages = CallerStages {
            lift: self.lift_ns,
            send: send_ns,
            travel,
            // What passed between the reply's arrival and this moment is step 9's beginning.
            lower: ns(self.entered.elapsed().saturating_sub(latency)),
            callee,
        };
        let record = span.span_mut();
        record.stages = Some(Stages::Caller(stages));
        record.attributes.push((fields::ARGS_BYTES.into(), Value::Int(self.args_bytes as i64)));
        record.attributes.push((fields::VALUE_BYTES.into(), Value::Int(reply.value.len() as i64)));
        if reply.is_err {
            record.status = SpanStatus::Err;
        }
    }
}

fn failed(error: &CallError) -> SpanStatus {
    SpanStatus::Failed { code: error.code, message: error.message.clone() }
}

impl Dispatch for Router {
    fn dispatch(&self, call: Call) -> ReplyFuture<'_> {
        Box::pin(self.route(call))
    }
}
