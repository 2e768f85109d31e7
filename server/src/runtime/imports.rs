//! Each import that another handler serves becomes a `Call`.
//!
//! A function whose error has the case `call-failed` reports a failed call there; without it, a failed call traps the
//! caller with the reason: remote calls are not magic. The time spent here counts as the caller's outgoing time, where
//! the call is sampled. Each function has its own line through the router, so that a call looks up nothing.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use protocol::api::handlers::ImportKind;
use protocol::value::{put_bytes, put_leb};
use protocol::{CallError, FunctionPath, HandlerName, TypeHash};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance};

use super::artifact::{Artifact, ImportedFunction};
use super::codec::{Lifted, Lowered};
use super::guest::Guest;
use super::wit_type::CallFailed;
use crate::dispatch::{Call, Dispatcher};

/// A failed call that its caller had no way to report: the reason of the caller's trap.
#[derive(Debug, thiserror::Error)]
#[error("`{function}` failed: {error}")]
pub(super) struct FailedCall {
    pub(super) function: Arc<FunctionPath>,
    pub(super) error: CallError,
}

/// What an import's closure knows.
struct Outgoing {
    line: Dispatcher,
    function: Arc<FunctionPath>,
    /// `None` for built-in interfaces, whose types are the platform's own.
    hash: Option<TypeHash>,
    call_failed: Option<CallFailed>,
}

/// An import's implementation, which is made for as many slots as its function has.
pub(super) trait Import: Sized {
    /// Defines it with `P` flat parameters and `R` flat results.
    fn wrap<const P: usize, const R: usize>(
        self,
        instance: &mut LinkerInstance<'_, Guest>,
        name: &str,
    ) -> wasmtime::Result<()>;
}

/// Defines every import that is not a capability, as plain calls.
pub(super) fn define(
    linker: &mut Linker<Guest>,
    artifact: &Artifact,
    importer: &HandlerName,
    router: &Dispatcher,
) -> wasmtime::Result<()> {
    define_each(linker, artifact, importer, router, |line, hash, function| {
        Outgoing {
            line,
            function: Arc::clone(&function.path),
            hash,
            call_failed: function.ty.call_failed(),
        }
    })
}

/// Defines every import that is not a capability by what `import` makes of its line, its type and its function. There is no
/// type for built-in interfaces, whose types are the platform's own.
pub(super) fn define_each<I: Import>(
    linker: &mut Linker<Guest>,
    artifact: &Artifact,
    importer: &HandlerName,
    router: &Dispatcher,
    import: impl Fn(Dispatcher, Option<TypeHash>, &ImportedFunction) -> I,
) -> wasmtime::Result<()> {
    for interface in &artifact.imports {
        if !matches!(interface.kind, ImportKind::Handler | ImportKind::BuiltIn) {
            continue;
        }
        let mut instance = linker.instance(interface.name.as_str())?;
        for function in &interface.functions {
            let line = Arc::clone(router).line(importer, None, &function.path);
            let line = line.unwrap_or_else(|| Arc::clone(router));
            let hash = (interface.kind == ImportKind::Handler).then_some(function.hash);
            define_function(&mut instance, function, import(line, hash, function))?;
        }
    }
    Ok(())
}

fn define_function(
    instance: &mut LinkerInstance<'_, Guest>,
    function: &ImportedFunction,
    import: impl Import,
) -> wasmtime::Result<()> {
    let name = &function.path.function;
    // Flat values go through exactly as many slots; what goes through memory does not look at the slots.
    let params = function.ty.flat_params().unwrap_or(0);
    match function.ty.flat_results().unwrap_or(0) {
        0 => define_params::<0>(instance, name, params, import),
        _ => define_params::<1>(instance, name, params, import),
    }
}

fn define_params<const R: usize>(
    instance: &mut LinkerInstance<'_, Guest>,
    name: &str,
    params: usize,
    import: impl Import,
) -> wasmtime::Result<()> {
    macro_rules! by_count {
        ($($count:literal)*) => {
            match params {
                $($count => import.wrap::<$count, R>(instance, name),)*
                more => wasmtime::bail!("`{name}` has {more} flat parameters, 16 are the most"),
            }
        };
    }
    by_count!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
}

impl Import for Outgoing {
    fn wrap<const P: usize, const R: usize>(
        self,
        instance: &mut LinkerInstance<'_, Guest>,
        name: &str,
    ) -> wasmtime::Result<()> {
        let outgoing = Arc::new(self);
        instance.func_wrap_async(name, move |store: StoreContextMut<'_, Guest>, args: Lifted<P>| {
            let outgoing = Arc::clone(&outgoing);
            Box::new(async move { call::<R>(store, &outgoing, args.bytes, args.began).await })
        })
    }
}

async fn call<const R: usize>(
    mut store: StoreContextMut<'_, Guest>,
    outgoing: &Outgoing,
    args: Bytes,
    began: Option<Instant>,
) -> wasmtime::Result<Lowered<R>> {
    let guest = store.data();
    let call = Call {
        caller: guest.handler.clone(),
        handler: None,
        function: Arc::clone(&outgoing.function),
        type_hash: outgoing.hash,
        args,
        deadline: guest.call.deadline,
        trace: guest.call.trace,
        hop: guest.call.hop.saturating_add(1),
        lift_ns: began.map_or(0, |began| began.elapsed().as_nanos() as u64),
    };
    let outcome = outgoing.line.dispatch(call).await;
    let back = began.map(|began| {
        let back = Instant::now();
        store.data_mut().call.outgoing += back - began;
        back
    });
    match outcome {
        Ok(reply) => Ok(Lowered::reply(reply.value, reply.span.zip(back))),
        Err(error) => match outgoing.call_failed {
            Some(case) => Ok(Lowered::reply(encode_call_failed(case, &error), None)),
            None => Err(wasmtime::Error::new(FailedCall {
                function: Arc::clone(&outgoing.function),
                error,
            })),
        },
    }
}

/// `err(call-failed({ code, message, retryable }))` of a `result<T, E>`.
pub(super) fn encode_call_failed(case: CallFailed, error: &CallError) -> Bytes {
    let mut out = Vec::with_capacity(16 + error.message.len());
    out.push(1);
    put_leb(&mut out, u64::from(case.case));
    put_leb(&mut out, error.code as u64);
    put_bytes(&mut out, error.message.as_bytes());
    out.push(u8::from(error.is_retryable()));
    out.into()
}
