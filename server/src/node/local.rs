//! `Local`: what this node serves itself, by the handler's name: guests, and at home the queue and the state.

use std::sync::Arc;

use protocol::{CallError, ErrorCode, FunctionPath, HandlerName};

use crate::dispatch::{Call, Dispatch, Dispatcher, ReplyFuture};
use crate::queue::QueueDispatch;
use crate::queue::QueueEdge;
use crate::runtime::Runtime;
use crate::state::StateDispatch;

/// What home serves beside guests.
pub(super) struct BuiltIns {
    pub(super) state: StateDispatch,
    pub(super) queue: QueueDispatch,
    pub(super) edge: Arc<QueueEdge>,
}

/// A dispatch to what is served within this process.
pub(super) struct Local {
    runtime: Arc<Runtime>,
    built_ins: Option<BuiltIns>,
    state_name: HandlerName,
    queue_name: HandlerName,
}

impl Local {
    pub(super) fn dispatcher(runtime: Arc<Runtime>, built_ins: Option<BuiltIns>) -> Dispatcher {
        let (state_name, queue_name) = (HandlerName::state(), HandlerName::queue());
        Arc::new(Self {
            runtime,
            built_ins,
            state_name,
            queue_name,
        })
    }
}

impl Dispatch for Local {
    fn dispatch(&self, call: Call) -> ReplyFuture<'_> {
        let is = |name: &HandlerName| call.handler.as_ref() == Some(name);
        match &self.built_ins {
            Some(built_ins) if is(&self.state_name) => built_ins.state.dispatch(call),
            Some(built_ins) if is(&self.queue_name) => {
                if call.function.interface.as_str().starts_with("cleave:queue/") {
                    built_ins.queue.dispatch(call)
                } else {
                    built_ins.edge.dispatch(call)
                }
            }
            None if is(&self.state_name) || is(&self.queue_name) => Box::pin(async move {
                let message = format!("`{}` is served by home, not by this node", call.function);
                Err(CallError::new(ErrorCode::NotFound, message))
            }),
            _ => self.runtime.dispatch(call),
        }
    }

    fn line(
        self: Arc<Self>,
        caller: &HandlerName,
        callee: Option<&HandlerName>,
        function: &Arc<FunctionPath>,
    ) -> Option<Dispatcher> {
        if callee.is_some_and(HandlerName::is_reserved) {
            return None;
        }
        Arc::clone(&self.runtime).line(caller, callee, function)
    }
}
