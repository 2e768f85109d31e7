//! `wasi:keyvalue@0.2.0-draft2` (store, atomics): resources live here, operations are calls of `cleave:state/store`.

use wasmtime::component::Linker;

use crate::runtime::guest::Guest;

/// Whether this file serves the interface.
pub(super) fn serves(interface: &str) -> bool {
    interface.starts_with("wasi:keyvalue/")
}

pub(super) fn add_to_linker(_linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    Ok(())
}
