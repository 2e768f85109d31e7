//! A call to a handler whose instances are shared: from its arguments to its answer.
//!
//! Whoever calls waits here, outside the store, so that nothing in the store can make it wait past its deadline.

use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::{CallError, ErrorCode};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{Answer, Ended, Job, SharedPool, values};
use crate::dispatch::{Call, check_result};
use crate::runtime::deployed::Deployed;
use crate::runtime::failure;
use crate::runtime::guest::CallInProgress;
use crate::runtime::serve::{Ran, add_logs, gone};
use crate::runtime::work::Work;
use crate::telemetry::OpenSpan;

/// What the instance's own answer to a deadline may come later: it has the call's log lines.
const GRACE: Duration = Duration::from_millis(5);

/// Carries a call out in one of the pool's instances.
pub(in crate::runtime) async fn call(
    pool: &SharedPool,
    deployed: &Deployed,
    work: Work,
    call: Call,
    arrived: Option<Instant>,
    span: Option<&mut OpenSpan>,
) -> Result<Ran, CallError> {
    let Work::Function(place) = work else {
        return Err(failure::no_http(&deployed.name));
    };
    let function = deployed.at(place).ok_or_else(gone)?;
    let returns_result = function.ty.returns_result();
    let types = function.ty.params.iter().map(|(_, ty)| ty);
    if let Err(misfit) = values::check(&call.args, types) {
        let message = format!(
            "`{}`: the arguments do not fit the function's type: {misfit}",
            call.function
        );
        return Err(CallError::new(ErrorCode::Invalid, message));
    }
    let parsed = arrived.map(|arrived| arrived.elapsed());
    let ended = loop {
        let gone = CancellationToken::new();
        // Also says so where this future is dropped.
        let _gone = gone.clone().drop_guard();
        let (answer, answered) = oneshot::channel();
        let job = Job {
            function: Arc::clone(&function.path),
            index: function.index,
            results: function.ty.result_slots(),
            args: call.args.clone(),
            call: CallInProgress::new(call.deadline, call.trace, call.hop),
            answer,
            gone,
        };
        pool.place(job).await?;
        match tokio::time::timeout_at((call.deadline + GRACE).into(), answered).await {
            Ok(Ok(Answer::Ended(ended))) => break ended,
            Ok(Ok(Answer::NotBegun)) => {}
            Ok(Err(_)) => {
                let message = format!("the instance of `{}` was lost", deployed.name);
                return Err(CallError::new(ErrorCode::Internal, message));
            }
            Err(_) => return Err(failure::late(&deployed.name, &call.function.to_string())),
        }
    };
    let Ended {
        outcome,
        left,
        since,
        cold,
    } = *ended;
    if let (Some(span), Some(left)) = (span, left) {
        add_logs(span, left);
    }
    let mut finished = outcome?;
    check_result(&call.function, &finished.value)?;
    finished.measure(arrived, parsed, since);
    Ok(Ran {
        finished,
        returns_result,
        cold,
    })
}
