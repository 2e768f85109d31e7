//! `Line`: a `Dispatch` for the calls of one caller to one function, which keeps where the last one went.
//!
//! What is kept is good for one route table and belongs to it: another table, and it is resolved anew.

use std::sync::{Arc, Weak};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use protocol::{FunctionPath, HandlerName, SpanStatus};

use super::table::{Route, RouteTable};
use super::{Router, Told, ended, failed, guard};
use crate::dispatch::{Call, Dispatch, ReplyFuture};

/// The calls of one caller to one function.
pub(super) struct Line {
    router: Arc<Router>,
    caller: HandlerName,
    function: Arc<FunctionPath>,
    /// The function as spans name it.
    name: Arc<str>,
    kept: ArcSwapOption<Kept>,
}

struct Kept {
    version: u64,
    route: Weak<Route>,
}

impl Line {
    pub(super) fn new(router: Arc<Router>, caller: HandlerName, function: Arc<FunctionPath>) -> Self {
        Self {
            router,
            caller,
            name: function.to_string().into(),
            function,
            kept: ArcSwapOption::empty(),
        }
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What was resolved in this table.
    pub(super) fn kept(&self, table: &RouteTable) -> Option<Arc<Route>> {
        let kept = self.kept.load();
        let kept = kept.as_ref().filter(|kept| kept.version == table.version())?;
        kept.route.upgrade()
    }

    /// Keeps what was resolved in a table.
    pub(super) fn keep(&self, table: &RouteTable, route: &Arc<Route>) {
        table.keep(route);
        self.kept.store(Some(Arc::new(Kept {
            version: table.version(),
            route: Arc::downgrade(route),
        })));
    }
}

impl Line {
    /// Begins a call that nobody watches, whose way is known and whose callee takes it at once; gives back any other. It
    /// cannot have met nobody, so nothing of it is kept to send it once more.
    fn begin(&self, mut call: Call) -> Result<ReplyFuture<'_>, Call> {
        let kept = match call.trace.sampled {
            true => None,
            false => self.kept(&self.router.table.load()),
        };
        let Some(route) = kept else {
            return Err(call);
        };
        let Some(through) = &route.through else {
            return Err(call);
        };
        let entered = Instant::now();
        if guard(&call, entered).is_err() || call.check_args().is_err() {
            return Err(call);
        }
        if let Some(timeout) = route.timeout {
            call.deadline = call.deadline.min(entered + timeout);
        }
        let (trace, bytes_in, transport) = (call.trace, call.args.len(), through.transport);
        let reply = through.dispatcher.offer(call)?;
        Ok(Box::pin(async move {
            let outcome = reply.await;
            let latency = entered.elapsed();
            route.cell.record(ended(&outcome, transport, latency, bytes_in));
            let status = match &outcome {
                Ok(_) if !route.cell.is_slow(latency.as_nanos() as u64) => return outcome,
                Ok(_) => SpanStatus::Ok,
                Err(error) => failed(error),
            };
            let told = Told {
                caller: &self.caller,
                function: &self.function,
                trace: &trace,
            };
            let way = Some((&*route, transport));
            self.router.leave_span(told, way, entered, status);
            outcome
        }))
    }
}

impl Dispatch for Line {
    fn dispatch(&self, call: Call) -> ReplyFuture<'_> {
        debug_assert!(
            call.caller == self.caller && call.function == self.function && call.handler.is_none(),
            "a line carries the calls that it was asked for"
        );
        match self.begin(call) {
            Ok(reply) => reply,
            Err(call) => Box::pin(self.router.route(call, Some(self))),
        }
    }
}
