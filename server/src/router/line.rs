//! `Line`: a `Dispatch` for the calls of one caller to one function, which keeps where the last one went.
//!
//! What is kept is good for one route table and belongs to it: another table, and it is resolved anew.

use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;
use protocol::{FunctionPath, HandlerName};

use super::Router;
use super::table::{Route, RouteTable};
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

impl Dispatch for Line {
    fn dispatch(&self, call: Call) -> ReplyFuture<'_> {
        debug_assert!(
            call.caller == self.caller && call.function == self.function && call.handler.is_none(),
            "a line carries the calls that it was asked for"
        );
        Box::pin(self.router.route(call, Some(self)))
    }
}
