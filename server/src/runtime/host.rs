//! The capabilities that every handler is granted, each WIT interface in a file of its own.
//!
//! `wasi:*` 0.2 comes from wasmtime with nothing opened: clocks, random, stdout and stderr as log lines; no files, no
//! sockets; outgoing HTTP to the hosts that the handler was granted, which are none unless its section of `cleave.toml`
//! names them. Ours are `wasi:logging`, `wasi:config` and `wasi:keyvalue`. Anything else that a component
//! imports is another handler's interface, and goes through the router (`imports.rs`).

mod keyvalue;
mod logging;
mod outgoing;
mod settings;
mod stdio;

use wasmtime::Engine;
use wasmtime::component::Linker;

pub(super) use outgoing::{Denials, Outgoing};
pub(super) use stdio::Stdio;

use super::guest::Guest;

/// Packages whose interfaces the host serves within the process.
const CAPABILITIES: [&str; 9] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:config/",
    "wasi:filesystem/",
    "wasi:http/",
    "wasi:io/",
    "wasi:logging/",
    "wasi:random/",
    "wasi:sockets/",
];

/// Whether an interface is a capability of the host.
pub(super) fn is_capability(interface: &str) -> bool {
    CAPABILITIES.iter().any(|package| interface.starts_with(package)) || keyvalue::serves(interface)
}

/// A linker with every capability in it.
pub(super) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    logging::add_to_linker(&mut linker)?;
    settings::add_to_linker(&mut linker)?;
    keyvalue::add_to_linker(&mut linker)?;
    Ok(linker)
}
