//! Each import that another handler serves becomes a `Call`, as in a store of its own (`runtime/imports.rs`), in the name
//! of the call that made it.
//!
//! An import that is an `async func` runs beside the store, in a task: other calls go on meanwhile. A plain `func`
//! holds the whole store up, as wasmtime has it; declare it `async func` in the importer's WIT, whatever its provider
//! says. A failed call that its caller cannot take ends the caller's call; where the import is plain, the store too.

use std::future::pending;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use protocol::{CallError, ErrorCode, FunctionPath, HandlerName, TypeHash};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wasmtime::component::{Accessor, GuestTaskId, Linker, LinkerInstance};
use wasmtime::{AsContextMut as _, StoreContextMut};

use super::{calls, values};
use crate::dispatch::{Call, Dispatcher, Reply};
use crate::runtime::artifact::Artifact;
use crate::runtime::codec::{Lifted, Lowered};
use crate::runtime::guest::Guest;
use crate::runtime::imports::{FailedCall, Import, define_each, encode_call_failed};
use crate::runtime::wit_type::FunctionType;
use crate::shutdown::Tasks;

/// What an import's closure knows.
struct Outgoing {
    line: Dispatcher,
    tasks: Tasks,
    function: Arc<FunctionPath>,
    /// `None` for built-in interfaces, whose types are the platform's own.
    hash: Option<TypeHash>,
    ty: FunctionType,
}

/// Defines every import that is not a capability, as calls of a store with many of them.
pub(in crate::runtime) fn define(
    linker: &mut Linker<Guest>,
    artifact: &Artifact,
    importer: &HandlerName,
    router: &Dispatcher,
    tasks: &Tasks,
) -> wasmtime::Result<()> {
    define_each(linker, artifact, importer, router, |line, hash, function| {
        Outgoing {
            line,
            tasks: tasks.clone(),
            function: Arc::clone(&function.path),
            hash,
            ty: function.ty.clone(),
        }
    })
}

impl Import for Outgoing {
    fn wrap<const P: usize, const R: usize>(
        self,
        instance: &mut LinkerInstance<'_, Guest>,
        name: &str,
    ) -> wasmtime::Result<()> {
        let outgoing = Arc::new(self);
        if outgoing.ty.is_async {
            instance.func_wrap_concurrent(name, move |accessor: &Accessor<Guest>, args: Lifted<P>| {
                let outgoing = Arc::clone(&outgoing);
                Box::pin(async move { concurrent::<R>(accessor, &outgoing, args.bytes, args.began).await })
            })
        } else {
            instance.func_wrap_async(name, move |store: StoreContextMut<'_, Guest>, args: Lifted<P>| {
                let outgoing = Arc::clone(&outgoing);
                Box::new(async move { plain::<R>(store, &outgoing, args.bytes, args.began).await })
            })
        }
    }
}

/// A call that was begun in the name of another one.
struct Begun {
    task: GuestTaskId,
    gone: CancellationToken,
    call: Call,
}

impl Outgoing {
    /// Counts the call in. A guest that goes on after its own call has ended calls nobody.
    fn begin(
        &self,
        store: &mut StoreContextMut<'_, Guest>,
        args: Bytes,
        began: Option<Instant>,
    ) -> wasmtime::Result<Result<Begun, CallError>> {
        let Some(task) = calls::enter(store)? else {
            let message = format!(
                "`{}` was called after the caller's own call had ended; wait for it before returning",
                self.function
            );
            return Ok(Err(CallError::new(ErrorCode::Cancelled, message)));
        };
        let guest = store.data_mut();
        guest.calls.outgoing_begins(task);
        let gone = guest.calls.get_mut(task).map(|call| call.gone.clone());
        let call = Call {
            caller: guest.handler.clone(),
            handler: None,
            function: Arc::clone(&self.function),
            type_hash: self.hash,
            args,
            deadline: guest.call.deadline,
            trace: guest.call.trace,
            hop: guest.call.hop.saturating_add(1),
            lift_ns: began.map_or(0, |began| began.elapsed().as_nanos() as u64),
        };
        Ok(Ok(Begun {
            task,
            gone: gone.unwrap_or_default(),
            call,
        }))
    }

    /// Carries a call out in a task of its own, which ends with the caller's call.
    async fn carry_out(&self, call: Call, gone: &CancellationToken) -> Result<Reply, CallError> {
        let line = Arc::clone(&self.line);
        let calling = self
            .tasks
            .spawn("outgoing-call", async move { line.dispatch(call).await });
        let mut calling = Aborting(calling);
        let outcome = tokio::select! {
            biased;
            outcome = &mut calling.0 => outcome.ok().flatten(),
            () = gone.cancelled() => {
                let message = format!("`{}` was given up: its caller's call has ended", self.function);
                Some(Err(CallError::new(ErrorCode::Cancelled, message)))
            }
        };
        let lost = || {
            CallError::new(
                ErrorCode::Internal,
                format!("the call of `{}` was lost", self.function),
            )
        };
        let reply = outcome.unwrap_or_else(|| Err(lost()))?;
        // Told before the guest sees it: it would end the store.
        values::check(&reply.value, &self.ty.result).map_err(|misfit| {
            let message = format!("the reply of `{}` does not fit its type: {misfit}", self.function);
            CallError::new(ErrorCode::Internal, message)
        })?;
        Ok(reply)
    }

    /// The reply, or the failure as the guest can take it.
    fn lower<const R: usize>(
        &self,
        outcome: Result<Reply, CallError>,
        back: Option<Instant>,
    ) -> Result<Lowered<R>, CallError> {
        match outcome {
            Ok(reply) => Ok(Lowered::reply(reply.value, reply.span.zip(back))),
            Err(error) => match self.ty.call_failed() {
                Some(case) => Ok(Lowered::reply(encode_call_failed(case, &error), None)),
                None => Err(error),
            },
        }
    }

    fn failed(&self, error: CallError) -> FailedCall {
        FailedCall {
            function: Arc::clone(&self.function),
            error,
        }
    }
}

/// Counts an outgoing call out again.
fn end(guest: &mut Guest, task: GuestTaskId) {
    let took = guest.calls.outgoing_ends(task);
    if let Some(call) = calls::in_progress(guest, task) {
        call.outgoing += took;
    }
}

async fn concurrent<const R: usize>(
    accessor: &Accessor<Guest>,
    outgoing: &Outgoing,
    args: Bytes,
    began: Option<Instant>,
) -> wasmtime::Result<Lowered<R>> {
    let begun = accessor.with(|mut access| outgoing.begin(&mut access.as_context_mut(), args, began))?;
    let (task, outcome) = match begun {
        Ok(begun) => {
            let outcome = outgoing.carry_out(begun.call, &begun.gone).await;
            accessor.with(|mut access| end(access.data_mut(), begun.task));
            (Some(begun.task), outcome)
        }
        Err(error) => (None, Err(error)),
    };
    match outgoing.lower(outcome, began.map(|_| Instant::now())) {
        Ok(lowered) => Ok(lowered),
        Err(error) => {
            // Its neighbours are not to end with it: the guest stays where it is until the instance ends.
            if let Some(task) = task {
                accessor.with(|mut access| calls::give_up(access.data_mut(), task, outgoing.failed(error)));
            }
            pending().await
        }
    }
}

async fn plain<const R: usize>(
    mut store: StoreContextMut<'_, Guest>,
    outgoing: &Outgoing,
    args: Bytes,
    began: Option<Instant>,
) -> wasmtime::Result<Lowered<R>> {
    let outcome = match outgoing.begin(&mut store, args, began)? {
        Ok(begun) => {
            let outcome = outgoing.carry_out(begun.call, &begun.gone).await;
            end(store.data_mut(), begun.task);
            outcome
        }
        Err(error) => Err(error),
    };
    outgoing
        .lower(outcome, began.map(|_| Instant::now()))
        .map_err(|error| wasmtime::Error::new(outgoing.failed(error)))
}

/// A task that ends with whoever waits for it.
struct Aborting<T>(JoinHandle<T>);

impl<T> Drop for Aborting<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
