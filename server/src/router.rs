//! The router: a `Dispatch` that decides who serves a call: here, there, or later.
//!
//! Resolves a call in its [`RouteTable`], guards hops, deadline and lengths, opens the caller's span and counts the call on its
//! edge. Knows no implementation of `Dispatch` but itself: `node` gives it targets. An unsampled call reads the clock
//! twice: when it comes and when it is answered. Most calls come by a line and find their callee ready: `line.rs` has their
//! short way; here is the way of all others.

mod line;
mod replica;
pub mod table;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::api::placement::REPLICAS_MAX;
use protocol::span::{CallerStages, Stages, Value};
use protocol::{
    CallError, ErrorCode, FunctionPath, HandlerName, SpanKind, SpanStatus, TraceContext, Transport, edge_name,
};

use crate::dispatch::{Call, Dispatch, Dispatcher, HOPS_MAX, Reply, ReplyFuture, check_result};
use crate::edges::{EdgeKey, Edges, Ended, Outcome};
use crate::telemetry::{OpenSpan, Recorder, fields};

use line::Line;
use replica::Chosen;
use table::Route;
pub use table::{RouteTable, Target};

/// How often a call that nobody has begun is looked up again: once for each replica that is not there, at most.
const LOOKS_MAX: u32 = REPLICAS_MAX;

/// Arguments that a span keeps, where it does.
pub const ARGUMENTS_KEPT_MAX: usize = 4_096;

/// Decides who serves a call.
pub struct Router {
    table: ArcSwap<RouteTable>,
    recorder: Arc<Recorder>,
    edges: Arc<Edges>,
    keeps_arguments: bool,
}

impl Router {
    /// A router that knows nobody yet.
    pub fn new(recorder: Arc<Recorder>, edges: Arc<Edges>) -> Self {
        Self {
            table: ArcSwap::default(),
            recorder,
            edges,
            keeps_arguments: false,
        }
    }

    /// The same, with sampled calls that keep their arguments, up to [`ARGUMENTS_KEPT_MAX`], or not.
    pub fn keeping_arguments(mut self, keeps: bool) -> Self {
        self.keeps_arguments = keeps;
        self
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

    async fn route(&self, call: Call, line: Option<&Line>) -> Result<Reply, CallError> {
        let entered = Instant::now();
        if let Err(error) = guard(&call, entered) {
            self.leave_span(Told::of(&call), None, entered, failed(&error));
            return Err(error);
        }
        let route = self.resolve(&call, line, entered)?;
        let attempt = self.attempt(&route, &call, line, entered)?;
        // What is left here of the call: to tell of it, and to send it once more.
        let left = call.clone();
        let send = attempt.until_sent(entered);
        let outcome = match attempt.send(attempt.address(call, entered)) {
            Ok(reply) => reply.await,
            Err(error) => Err(error),
        };
        let answer = Answer::at(outcome, &left, send, entered);
        if answer.missed() && self.knows_better(&attempt, &answer) {
            attempt.forget();
            return Box::pin(self.route_anew(left, line, entered)).await;
        }
        self.settle(attempt, &left, entered, answer)
    }

    /// Further looks at where a call goes that nobody has begun.
    async fn route_anew(
        &self,
        call: Call,
        line: Option<&Line>,
        entered: Instant,
    ) -> Result<Reply, CallError> {
        let mut looks = 1;
        loop {
            let route = self.resolve(&call, line, entered)?;
            let attempt = self.attempt(&route, &call, line, entered)?;
            let send = attempt.until_sent(entered);
            let addressed = attempt.address(call.clone(), entered);
            // The looks before may have used the time up.
            let outcome = match addressed.remaining().is_zero() {
                true => Err(addressed.deadline_error()),
                false => match attempt.send(addressed) {
                    Ok(reply) => reply.await,
                    Err(error) => Err(error),
                },
            };
            let answer = Answer::at(outcome, &call, send, entered);
            if !answer.missed() || looks == LOOKS_MAX || !self.knows_better(&attempt, &answer) {
                return self.settle(attempt, &call, entered, answer);
            }
            attempt.forget();
            looks += 1;
        }
    }

    /// Whether another look helps a call that was withdrawn while it was on its way, or whose node was gone before it was
    /// reached: nothing ran, and newer routes or another replica know better. So neither the edge nor the trace keeps
    /// anything of such an attempt. A replica that was not reached is left out from now on.
    fn knows_better(&self, attempt: &Attempt<'_>, answer: &Answer) -> bool {
        let others_serve = attempt.leave_out(answer);
        self.table.load().version() != attempt.route.version || others_serve
    }

    /// Chooses one of the nodes and opens the call's span.
    fn attempt<'r>(
        &self,
        route: &'r Route,
        call: &Call,
        line: Option<&Line>,
        entered: Instant,
    ) -> Result<Attempt<'r>, CallError> {
        let Some((target, replica)) = route.replicas.choose(call) else {
            let error = table::down(&route.callee);
            self.leave_span(Told::of(call), None, entered, failed(&error));
            return Err(error);
        };
        let mut attempt = Attempt {
            route,
            target,
            replica,
            span: None,
        };
        attempt.span = self.open_span(&attempt, call, line, entered);
        Ok(attempt)
    }

    fn resolve(&self, call: &Call, line: Option<&Line>, entered: Instant) -> Result<Arc<Route>, CallError> {
        self.look_up(call, line).inspect_err(|error| {
            self.leave_span(Told::of(call), None, entered, failed(error));
        })
    }

    fn look_up(&self, call: &Call, line: Option<&Line>) -> Result<Arc<Route>, CallError> {
        let table = self.table.load();
        if let Some(route) = line.and_then(|line| line.kept(&table)) {
            return Ok(route);
        }
        let resolved = table.resolve(call)?;
        let key = EdgeKey {
            caller: call.caller.clone(),
            callee: resolved.callee.clone(),
            interface: call.function.interface.clone(),
        };
        // Only a line's route is kept, so that what is looked up now serves many calls.
        let through = line.and_then(|_| {
            let only = resolved.replicas.only()?;
            let way = Arc::clone(&only.dispatcher);
            Some(Target {
                dispatcher: way.line(&call.caller, Some(resolved.handler), &call.function)?,
                transport: only.transport,
            })
        });
        let route = Arc::new(Route {
            cell: self.edges.cell(&key),
            through,
            callee: key.callee,
            handler: resolved.handler.clone(),
            replicas: Arc::clone(resolved.replicas),
            timeout: resolved.timeout,
            placement: Arc::clone(table.placement()),
            version: table.version(),
            edge: OnceLock::new(),
        });
        if let Some(line) = line {
            line.keep(&table, &route);
        }
        Ok(route)
    }

    /// Counts an ended call, and ends its span or leaves one.
    fn settle(
        &self,
        mut attempt: Attempt<'_>,
        call: &Call,
        entered: Instant,
        answer: Answer,
    ) -> Result<Reply, CallError> {
        let mut span = attempt.span.take();
        let cell = &attempt.route.cell;
        let latency = answer.latency;
        let transport = attempt.target.transport;
        cell.record(ended(&answer.outcome, transport, latency, call.args.len()));
        match answer.outcome {
            Ok(mut reply) => {
                if let Some(span) = &mut span {
                    close_span(span, call, &reply, (answer.send, latency, entered));
                } else if cell.is_slow(latency.as_nanos() as u64) {
                    self.leave_span(Told::of(call), Some(attempt.way()), entered, SpanStatus::Ok);
                }
                reply.span = span;
                Ok(reply)
            }
            Err(error) => {
                match &mut span {
                    Some(span) => span.span_mut().status = failed(&error),
                    None => self.leave_span(Told::of(call), Some(attempt.way()), entered, failed(&error)),
                }
                Err(error)
            }
        }
    }

    fn open_span(
        &self,
        attempt: &Attempt<'_>,
        call: &Call,
        line: Option<&Line>,
        entered: Instant,
    ) -> Option<OpenSpan> {
        if !call.trace.sampled {
            return None;
        }
        let name = line.map_or_else(
            || call.function.to_string().into(),
            |line| Arc::clone(line.name()),
        );
        let began = entered - Duration::from_nanos(call.lift_ns);
        let of = (SpanKind::Client, &call.caller, &name);
        let mut span = OpenSpan::begin_at(&self.recorder, &call.trace, of, began);
        let record = span.span_mut();
        let route = attempt.route;
        record.peer = Some(route.callee.clone());
        record.transport = Some(attempt.target.transport);
        let text = |text: &Arc<str>| Value::Text(Arc::clone(text));
        record.attributes.extend([
            (
                fields::EDGE.into(),
                text(route.edge(&call.caller, &call.function.interface)),
            ),
            (fields::PLACEMENT.into(), text(&route.placement)),
        ]);
        if self.keeps_arguments && call.args.len() <= ARGUMENTS_KEPT_MAX {
            let text = STANDARD.encode(&call.args);
            record
                .attributes
                .push((fields::ARGS.into(), Value::Text(text.into())));
        }
        Some(span)
    }

    /// The one span of a call that failed or was slow in an unsampled trace, or that nobody serves.
    fn leave_span(
        &self,
        told: Told<'_>,
        way: Option<(&Route, Transport)>,
        entered: Instant,
        status: SpanStatus,
    ) {
        let Told {
            caller,
            function,
            trace,
        } = told;
        let name = Arc::from(function.to_string());
        let of = (SpanKind::Client, caller, &name);
        let mut span = OpenSpan::begin_at(&self.recorder, trace, of, entered);
        let record = span.span_mut();
        if !trace.sampled {
            record.parent_id = None;
        }
        record.peer = way.map(|(route, _)| route.callee.clone());
        record.transport = Some(way.map_or(Transport::Direct, |(_, transport)| transport));
        let edge = match way {
            Some((route, _)) => Arc::clone(route.edge(caller, &function.interface)),
            None => edge_name(caller, &function.interface).into(),
        };
        record.attributes.push((fields::EDGE.into(), Value::Text(edge)));
        record.status = status;
    }
}

/// What a span tells of a call.
#[derive(Clone, Copy)]
struct Told<'a> {
    caller: &'a HandlerName,
    function: &'a FunctionPath,
    trace: &'a TraceContext,
}

impl<'a> Told<'a> {
    fn of(call: &'a Call) -> Self {
        Self {
            caller: &call.caller,
            function: &call.function,
            trace: &call.trace,
        }
    }
}

/// One way to serve a call.
struct Attempt<'r> {
    route: &'r Route,
    target: &'r Target,
    /// Which of the route's replicas that is, where there are several.
    replica: Option<Chosen<'r>>,
    span: Option<OpenSpan>,
}

/// What an attempt came to.
struct Answer {
    outcome: Result<Reply, CallError>,
    /// Until it was handed on; not measured where no span tells of it.
    send: Duration,
    /// Until the answer was there.
    latency: Duration,
}

impl Attempt<'_> {
    /// How spans tell of it.
    fn way(&self) -> (&Route, Transport) {
        (self.route, self.target.transport)
    }

    /// The call as its target gets it.
    fn address(&self, mut call: Call, entered: Instant) -> Call {
        call.handler = Some(self.route.handler.clone());
        if let Some(timeout) = self.route.timeout {
            call.deadline = call.deadline.min(entered + timeout);
        }
        if let Some(span) = &self.span {
            call.trace = span.context();
        }
        call
    }

    /// Hands a call on. No `async fn`: the call would lie in one more future, and those are copied.
    fn send(&self, addressed: Call) -> Result<ReplyFuture<'_>, CallError> {
        addressed.check_args()?;
        let through = self.route.through.as_ref().unwrap_or(self.target);
        let reply = through.dispatcher.dispatch(addressed);
        Ok(match self.replica {
            None => reply,
            Some(replica) => {
                let in_flight = replica.enter();
                Box::pin(async move {
                    let _in_flight = in_flight;
                    reply.await
                })
            }
        })
    }

    /// Leaves a replica that was not reached out from now on; whether others are there.
    fn leave_out(&self, answer: &Answer) -> bool {
        let replica = self.replica.filter(|_| answer.unreached());
        replica.is_some_and(|replica| replica.leave_out())
    }

    /// What passed until the call is handed on, where a span tells of it.
    fn until_sent(&self, entered: Instant) -> Duration {
        match &self.span {
            Some(_) => entered.elapsed(),
            None => Duration::ZERO,
        }
    }

    fn forget(self) {
        if let Some(span) = self.span {
            span.discard();
        }
    }
}

impl Answer {
    /// An answer that has just come.
    fn at(outcome: Result<Reply, CallError>, left: &Call, send: Duration, entered: Instant) -> Self {
        let outcome = outcome.and_then(|reply| check_result(&left.function, &reply.value).map(|()| reply));
        Self {
            outcome,
            send,
            latency: entered.elapsed(),
        }
    }

    /// Whether nobody was met under the address that the table gave, so that nothing ran.
    fn missed(&self) -> bool {
        matches!(&self.outcome, Err(error) if error.code == ErrorCode::NotFound) || self.unreached()
    }

    /// Whether the call never left.
    fn unreached(&self) -> bool {
        matches!(&self.outcome, Err(error) if error.code == ErrorCode::Unreachable && error.unsent)
    }
}

/// How an edge counts a call.
fn ended(
    outcome: &Result<Reply, CallError>,
    transport: Transport,
    latency: Duration,
    bytes_in: usize,
) -> Ended {
    let (bytes_out, outcome) = match outcome {
        Ok(reply) if reply.is_err => (reply.value.len() as u64, Outcome::Err),
        Ok(reply) => (reply.value.len() as u64, Outcome::Ok),
        Err(_) => (0, Outcome::Failed),
    };
    Ended {
        transport,
        outcome,
        latency_ns: latency.as_nanos() as u64,
        bytes_in: bytes_in as u64,
        bytes_out,
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
        Box::pin(self.route(call, None))
    }

    fn line(
        self: Arc<Self>,
        caller: &HandlerName,
        callee: Option<&HandlerName>,
        function: &Arc<FunctionPath>,
    ) -> Option<Dispatcher> {
        if callee.is_some() {
            return None;
        }
        let line = Line::new(self, caller.clone(), Arc::clone(function));
        Some(Arc::new(line))
    }
}

#[cfg(test)]
mod tests;
