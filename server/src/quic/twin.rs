//! `Twin`: calls that stay in their process, forced through the bytes of the wire: the rung `codec`.
//!
//! A call is encoded into the very frame that a peer would get, with its places in tables, and decoded again as a peer
//! does; so is its reply. What it costs beyond `direct` is what framing costs, and nothing else differs: deadlines,
//! limits and errors are those of the wire.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use bytes::{Bytes, BytesMut};
use protocol::frame::{self, CALL_HEAD_BYTES_MAX, CallHead, FrameError, Status, TABLE_ENTRIES_MAX};
use protocol::{CallError, ErrorCode, FunctionPath, HandlerName, TypeHash};
use rustc_hash::FxHashMap;

use super::listener::{Times, reply};
use crate::dispatch::{Call, Dispatch, Dispatcher, Reply, ReplyFuture, check_result};

/// Calls into this process through frames.
pub struct Twin {
    local: Dispatcher,
    tables: ArcSwap<Tables>,
    /// Held while a table grows.
    growing: Mutex<()>,
}

/// What stands for whom in a frame, in both directions; tables only grow.
#[derive(Clone, Default)]
struct Tables {
    callers: Vec<HandlerName>,
    functions: Vec<Function>,
    caller_ids: FxHashMap<HandlerName, u32>,
    function_ids: FxHashMap<Function, u32>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Function {
    handler: HandlerName,
    path: Arc<FunctionPath>,
    type_hash: Option<TypeHash>,
}

impl Twin {
    /// Calls go to `local` in the end.
    pub fn dispatcher(local: Dispatcher) -> Dispatcher {
        Arc::new(Self {
            local,
            tables: ArcSwap::default(),
            growing: Mutex::default(),
        })
    }

    async fn call(&self, call: Call) -> Result<Reply, CallError> {
        let began = Instant::now();
        call.check_args()?;
        let sampled = call.trace.sampled;
        let sent = self.encode(&call)?;
        drop(call);
        let sent_ns = match sampled {
            true => began.elapsed().as_nanos() as u64,
            false => 0,
        };
        let answer = self
            .serve(sent.freeze())
            .await
            .map_err(|error| unframed(&error))?;
        let answered = decode(&answer, sampled).map_err(|error| unframed(&error))?;
        answered.map(|reply| Reply { sent_ns, ..reply })
    }

    fn encode(&self, call: &Call) -> Result<BytesMut, CallError> {
        let handler = call.handler.clone().ok_or_else(|| {
            let message = format!("`{}` was framed before its handler was resolved", call.function);
            CallError::new(ErrorCode::Internal, message)
        })?;
        let function = Function {
            handler,
            path: Arc::clone(&call.function),
            type_hash: call.type_hash,
        };
        let (caller, function) = self.ids(&call.caller, &function)?;
        let head = CallHead {
            stages: call.trace.sampled,
            caller,
            function,
            remaining: call.remaining(),
            hop: call.hop,
            trace: call.trace,
            len: call.args.len(),
        };
        let mut bytes = BytesMut::with_capacity(CALL_HEAD_BYTES_MAX + call.args.len());
        frame::encode_call(&head, &mut bytes);
        bytes.extend_from_slice(&call.args);
        Ok(bytes)
    }

    /// The places of a caller and a function.
    fn ids(&self, caller: &HandlerName, function: &Function) -> Result<(u32, u32), CallError> {
        let find = |tables: &Tables| {
            let caller = tables.caller_ids.get(caller)?;
            Some((*caller, *tables.function_ids.get(function)?))
        };
        if let Some(ids) = find(&self.tables.load()) {
            return Ok(ids);
        }
        let _one_at_a_time = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tables = Tables::clone(&self.tables.load());
        if tables.callers.len().max(tables.functions.len()) >= TABLE_ENTRIES_MAX {
            let message = "more functions were called through frames than ids exist; restart this node";
            return Err(CallError::new(ErrorCode::Overloaded, message));
        }
        if !tables.caller_ids.contains_key(caller) {
            let id = tables.callers.len() as u32;
            tables.callers.push(caller.clone());
            tables.caller_ids.insert(caller.clone(), id);
        }
        if !tables.function_ids.contains_key(function) {
            let id = tables.functions.len() as u32;
            tables.functions.push(function.clone());
            tables.function_ids.insert(function.clone(), id);
        }
        let ids = find(&tables).expect("both were just added");
        self.tables.store(Arc::new(tables));
        Ok(ids)
    }

    /// The callee's end: from the bytes of a call to those of its reply.
    async fn serve(&self, mut bytes: Bytes) -> Result<Bytes, FrameError> {
        let arrived = Instant::now();
        let (head, taken) = frame::decode_call(&bytes)?.ok_or(FrameError::CutShort)?;
        let args = bytes.split_off(taken);
        let call = {
            let tables = self.tables.load();
            let function = tables.functions.get(head.function as usize);
            let caller = tables.callers.get(head.caller as usize);
            let (Some(function), Some(caller)) = (function, caller) else {
                return Err(FrameError::Malformed("place in a table"));
            };
            Call {
                caller: caller.clone(),
                handler: Some(function.handler.clone()),
                function: Arc::clone(&function.path),
                type_hash: function.type_hash,
                args,
                deadline: arrived + head.remaining,
                trace: head.trace,
                hop: head.hop,
                lift_ns: 0,
            }
        };
        let function = Arc::clone(&call.function);
        // The clock is read where somebody will look at the steps.
        let dispatched = head.stages.then(Instant::now);
        let outcome = self.local.dispatch(call).await;
        let outcome = outcome.and_then(|reply| check_result(&function, &reply.value).map(|()| reply));
        let times = dispatched.map(|dispatched| Times {
            arrived,
            dispatched,
            answered: Instant::now(),
        });
        let (mut bytes, body) = reply(outcome, times.as_ref());
        bytes.extend_from_slice(&body);
        Ok(bytes.freeze())
    }
}

/// The caller's end of a reply.
fn decode(bytes: &Bytes, staged: bool) -> Result<Result<Reply, CallError>, FrameError> {
    let (head, taken) = frame::decode_reply(bytes, staged)?.ok_or(FrameError::CutShort)?;
    let body = bytes.slice(taken..);
    if body.len() != head.len {
        return Err(FrameError::CutShort);
    }
    if head.status == Status::Failed {
        return Ok(Err(frame::decode_error(&body)?));
    }
    Ok(Ok(Reply {
        is_err: head.status == Status::Err,
        stages: head.stages,
        ..Reply::new(body)
    }))
}

fn unframed(error: &FrameError) -> CallError {
    CallError::new(
        ErrorCode::Internal,
        format!("a call did not survive its frame: {error}"),
    )
}

impl Dispatch for Twin {
    fn dispatch(&self, call: Call) -> ReplyFuture<'_> {
        Box::pin(self.call(call))
    }
}
