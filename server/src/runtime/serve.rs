//! Serving a call: found, given an instance, run, answered.
//!
//! What a guest's call needs is a future of two kilobytes that is copied when it is made. So a call that nobody watches and
//! that finds a warm instance is prepared without one, and is then nothing but the guest's; what few calls do is
//! boxed. Who calls one function again and again has a [`Line`] that knows where it is.

use std::sync::{Arc, Weak};
use std::time::Instant;

use bytes::Bytes;
use protocol::span::{Stages, Value};
use protocol::{CallError, ErrorCode, FunctionPath, HandlerName, SpanKind, SpanStatus, TypeHash};

use super::Runtime;
use super::deployed::{Deployed, Place};
use super::guest::CallInProgress;
use super::instance::{Finished, Instance};
use super::life::End;
use super::pool::{Checkout, InstancePool};
use super::shared;
use super::work::Work;
use crate::dispatch::{Call, Dispatch, Dispatcher, Reply, ReplyFuture, check_result};
use crate::telemetry::{OpenSpan, fields};

impl Dispatch for Runtime {
    fn dispatch(&self, call: Call) -> ReplyFuture<'_> {
        match self.resolve(&call) {
            Ok(deployed) => self.serve(deployed, None, call),
            Err(error) => refused(error),
        }
    }

    fn line(
        self: Arc<Self>,
        _: &HandlerName,
        callee: Option<&HandlerName>,
        function: &Arc<FunctionPath>,
    ) -> Option<Dispatcher> {
        let deployed = self.deployed.load().get(callee?).cloned()?;
        let place = deployed.place(function)?;
        let exported = deployed
            .at(place)
            .filter(|function| function.obstacle.is_none())?;
        Some(Arc::new(Line {
            hash: exported.hash,
            deployed: Arc::downgrade(&deployed),
            place,
            runtime: self,
        }))
    }
}

/// The calls to one function of the version that was served when the line was asked for.
struct Line {
    runtime: Arc<Runtime>,
    deployed: Weak<Deployed>,
    place: Place,
    hash: TypeHash,
}

impl Line {
    /// The version that this line leads to, if it is still the one that is served.
    fn deployed(&self, call: &Call) -> Option<Arc<Deployed>> {
        let fits = call.type_hash.is_none_or(|hash| hash == self.hash);
        let deployed = self.deployed.upgrade()?;
        (fits && !deployed.is_replaced()).then_some(deployed)
    }
}

impl Dispatch for Line {
    fn dispatch(&self, call: Call) -> ReplyFuture<'_> {
        match self.deployed(&call) {
            Some(deployed) => self.runtime.serve(deployed, Some(self.place), call),
            None => self.runtime.dispatch(call),
        }
    }

    fn offer(&self, call: Call) -> Result<ReplyFuture<'static>, Call> {
        if call.trace.sampled {
            return Err(call);
        }
        match self.deployed(&call) {
            Some(deployed) => match warm(&deployed, &call) {
                Some(checkout) => Ok(Box::pin(run_warm(checkout, self.place, call.args))),
                None => Err(call),
            },
            None => Err(call),
        }
    }
}

/// A warm instance in which a call has begun. Where calls are long, each waits for a turn first.
fn warm(deployed: &Arc<Deployed>, call: &Call) -> Option<Checkout> {
    if deployed.habit.is_long() {
        return None;
    }
    let mut checkout = InstancePool::try_check_out(deployed)?;
    let (_, instance) = checkout.parts();
    instance?.begin(CallInProgress::new(call.deadline, call.trace, call.hop));
    Some(checkout)
}

/// Runs a call that has begun in a warm instance.
async fn run_warm(mut checkout: Checkout, place: Place, args: Bytes) -> Result<Reply, CallError> {
    let (deployed, instance) = checkout.parts();
    let (Some(function), Some(instance)) = (deployed.at(place), instance) else {
        return Err(gone());
    };
    let outcome = instance
        .call(&deployed.executor, deployed, function, args, None)
        .await;
    let mut is_spoiled = false;
    let outcome = outcome.and_then(|finished| {
        let fits = check_result(&function.path, &finished.value);
        fits.inspect_err(|_| is_spoiled = true).map(|()| finished)
    });
    match outcome {
        Ok(finished) => {
            let is_err = function.ty.returns_result() && finished.value.first() == Some(&1);
            checkout.check_in();
            Ok(Reply {
                is_err,
                ..Reply::new(finished.value)
            })
        }
        Err(error) => {
            let own = instance.take_call().end;
            deployed.habit.note_failed();
            checkout.end(own.unwrap_or_else(|| match is_spoiled {
                true => End::Result,
                false => End::of(&error),
            }));
            Err(error)
        }
    }
}

impl Runtime {
    fn resolve(&self, call: &Call) -> Result<Arc<Deployed>, CallError> {
        let name = call.handler.as_ref().ok_or_else(|| {
            CallError::new(
                ErrorCode::Internal,
                format!("`{}` reached a runtime without a handler", call.function),
            )
        })?;
        self.deployed.load().get(name).cloned().ok_or_else(|| {
            CallError::new(
                ErrorCode::NotFound,
                format!("`{name}` is not served by this node"),
            )
        })
    }

    fn serve(&self, deployed: Arc<Deployed>, place: Option<Place>, call: Call) -> ReplyFuture<'_> {
        if call.trace.sampled {
            return Box::pin(self.serve_watched(deployed, call));
        }
        let work = match place {
            Some(place) => Ok(Work::Function(place)),
            None => Work::of(&deployed, &call, None),
        };
        match work {
            Ok(work) => {
                if let Work::Function(place) = work
                    && let Some(checkout) = warm(&deployed, &call)
                {
                    return Box::pin(run_warm(checkout, place, call.args));
                }
                Box::pin(self.serve_unwatched(deployed, work, call))
            }
            Err(error) => refused(error),
        }
    }

    async fn serve_unwatched(
        &self,
        deployed: Arc<Deployed>,
        work: Work,
        call: Call,
    ) -> Result<Reply, CallError> {
        let ran = self.run(&deployed, work, call, None, None).await?;
        Ok(ran.reply().0)
    }

    async fn serve_watched(&self, deployed: Arc<Deployed>, mut call: Call) -> Result<Reply, CallError> {
        let arrived = Instant::now();
        let mut span = self.open_span(&deployed, &call);
        if let Some(span) = &span {
            call.trace = span.context();
        }
        let lives = Arc::clone(deployed.lives());
        let outcome = match Work::of(&deployed, &call, span.as_mut()) {
            Ok(work) => {
                self.run(&deployed, work, call, Some(arrived), span.as_mut())
                    .await
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok(ran) => {
                if let Some(stages) = &ran.finished.stages {
                    lives.ran(stages.run);
                }
                if let Some(span) = &mut span {
                    ran.close(span);
                }
                let (reply, left) = ran.reply();
                if let Some((span, left)) = span.as_mut().zip(left) {
                    add_logs(span, left);
                }
                Ok(reply)
            }
            Err(error) => {
                if let Some(span) = &mut span {
                    span.span_mut().status = SpanStatus::Failed {
                        code: error.code,
                        message: error.message.clone(),
                    };
                }
                Err(error)
            }
        }
    }

    fn open_span(&self, deployed: &Deployed, call: &Call) -> Option<OpenSpan> {
        let name = deployed.span_name(&call.function);
        let mut span = OpenSpan::begin(
            &self.recorder,
            &call.trace,
            SpanKind::Server,
            &deployed.name,
            &name,
        )?;
        span.span_mut().peer = Some(call.caller.clone());
        Some(span)
    }

    /// Gets an instance and runs the call in it; the instance goes back only if the call ended well.
    async fn run(
        &self,
        deployed: &Arc<Deployed>,
        work: Work,
        call: Call,
        arrived: Option<Instant>,
        span: Option<&mut OpenSpan>,
    ) -> Result<Ran, CallError> {
        if let Some(pool) = &deployed.shared {
            return Box::pin(shared::call(pool, deployed, work, call, arrived, span)).await;
        }
        let parsed = arrived.map(|arrived| arrived.elapsed());
        let progress = CallInProgress::new(call.deadline, call.trace, call.hop);
        let mut checkout = InstancePool::check_out(deployed, call.deadline).await?;
        let cold = self.begin(&mut checkout, progress).await?;
        let (_, Some(instance)) = checkout.parts() else {
            return Err(gone());
        };
        if deployed.habit.is_long() && !Box::pin(instance.has_turn(&self.executor)).await {
            checkout.end(End::Deadline);
            return Err(call.deadline_error());
        }
        let since = arrived.map(|_| Instant::now());
        let mut returns_result = false;
        let outcome = match work {
            Work::Function(place) => {
                let function = deployed.at(place).ok_or_else(gone)?;
                returns_result = function.ty.returns_result();
                instance
                    .call(&self.executor, deployed, function, call.args, since)
                    .await
            }
            // Boxed: it would make the future of every call larger.
            Work::Exchange(request) => {
                Box::pin(instance.exchange(&self.executor, deployed, request, since)).await
            }
        };
        let mut spoiled = None;
        let outcome = outcome.and_then(|finished| {
            if let Err(error) = check_result(&call.function, &finished.value) {
                spoiled = Some(finished.left);
                return Err(error);
            }
            Ok(finished)
        });
        match outcome {
            Ok(mut finished) => {
                finished.measure(arrived, parsed, since);
                checkout.check_in();
                Ok(Ran {
                    finished,
                    returns_result,
                    cold,
                })
            }
            Err(error) => {
                let own = instance.take_call();
                let end = match &spoiled {
                    Some(_) => End::Result,
                    None => own.end.unwrap_or_else(|| End::of(&error)),
                };
                if let Some(span) = span {
                    // What a call leaves was taken already if it had ended well but for its result.
                    add_logs(span, spoiled.flatten().unwrap_or(own));
                }
                deployed.habit.note_failed();
                checkout.end(end);
                Err(error)
            }
        }
    }

    /// Begins a call in the warm instance that was checked out, or in one that is made for it: whether it was made.
    async fn begin(&self, checkout: &mut Checkout, progress: CallInProgress) -> Result<bool, CallError> {
        if let (_, Some(instance)) = checkout.parts() {
            instance.begin(progress);
            return Ok(false);
        }
        checkout.begin();
        let began = Instant::now();
        let (deployed, _) = checkout.parts();
        let made = Instance::make(&self.executor, deployed, &self.router, &self.clock, progress);
        match Box::pin(made).await {
            Ok(instance) => {
                deployed.lives().started_in(began.elapsed());
                checkout.put(instance);
                Ok(true)
            }
            Err(error) => {
                checkout.parts().0.habit.note_failed();
                checkout.end(End::Start);
                Err(error)
            }
        }
    }
}

/// A call that ended well.
pub(super) struct Ran {
    pub(super) finished: Finished,
    pub(super) returns_result: bool,
    pub(super) cold: bool,
}

impl Ran {
    /// Whether the result is the guest's own `err`.
    fn is_err(&self) -> bool {
        self.returns_result && self.finished.value.first() == Some(&1)
    }

    /// The answer, and what the call leaves for its span.
    fn reply(self) -> (Reply, Option<CallInProgress>) {
        let reply = Reply {
            is_err: self.is_err(),
            stages: self.finished.stages,
            ..Reply::new(self.finished.value)
        };
        (reply, self.finished.left)
    }

    fn close(&self, span: &mut OpenSpan) {
        let record = span.span_mut();
        record.stages = self.finished.stages.map(Stages::Callee);
        record.cold = Some(self.cold);
        if self.is_err() {
            record.status = SpanStatus::Err;
        }
        if let Some(status) = self.finished.http_status {
            let status = Value::Int(status.into());
            record
                .attributes
                .push((fields::HTTP_RESPONSE_STATUS_CODE.into(), status));
        }
    }
}

pub(super) fn add_logs(span: &mut OpenSpan, guest: CallInProgress) {
    let record = span.span_mut();
    record.logs = guest.logs;
    if guest.logs_dropped > 0 {
        let dropped = Value::Int(guest.logs_dropped as i64);
        record.attributes.push((fields::LOGS_DROPPED.into(), dropped));
    }
}

fn refused<'a>(error: CallError) -> ReplyFuture<'a> {
    Box::pin(std::future::ready(Err(error)))
}

pub(super) fn gone() -> CallError {
    CallError::new(ErrorCode::Internal, "an instance was made and is gone")
}
