//! The capabilities of handlers with async functions: those of all handlers (`runtime/host.rs`), and `wasi:*` 0.3.
//!
//! What acts in the name of a call (logging, keyvalue) asks first whose call it is. `wasi:*` 0.2 and keyvalue have plain
//! functions: while one waits, it holds up all calls of its instance. Lines on stdout and stderr belong to no task: they
//! go to the call of the instance that ends next.

use wasmtime::Engine;
use wasmtime::component::Linker;

use super::{calls, keyvalue};
use crate::runtime::guest::Guest;
use crate::runtime::host;

/// A linker with every capability in it.
pub(in crate::runtime) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = host::base(engine, |store| calls::enter(store).map(|_| ()))?;
    keyvalue::add_to_linker(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    Ok(linker)
}
