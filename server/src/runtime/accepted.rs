//! `Accepted`: a file that can be served as a handler, and the one way from a file to it.
//!
//! Reads, inspects, compiles and links; whatever stands in the way is a `Rejection`. Home reads its folder by this and
//! `cleave check` its arguments, so that both say the same of a file. Blocks for as long as compiling takes: call it
//! off the async threads.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use protocol::HandlerName;
use protocol::api::wit::Interface;

use super::artifact::Artifact;
use super::describe::Docs;
use super::grants::{self, Terms};
use super::inspect::{FILE_BYTES_MAX, Rejection, inspect, servable};
use super::{Error, Runtime};

/// A file that can be served.
pub struct Accepted {
    /// What it was compiled to.
    pub artifact: Arc<Artifact>,
    /// Its world and interfaces as WIT text.
    pub wit: String,
    /// The same, piece by piece.
    pub interfaces: Vec<Interface>,
    /// What its functions say of themselves.
    pub docs: Docs,
    /// The file's size.
    pub size_bytes: u64,
    /// How long compiling took; 0 when it came from the cache.
    pub compile_ms: u64,
}

impl Accepted {
    /// Reads a file, as the handler of this name.
    pub fn read(runtime: &Runtime, path: &Path, name: &HandlerName, terms: Terms) -> Result<Self, Rejection> {
        let unreadable = |error| {
            Rejection::new(
                format!("the file cannot be read: {error}"),
                "check its path, its owner and its permissions",
            )
        };
        within_size(std::fs::metadata(path).map_err(unreadable)?.len())?;
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let inspected = inspect(&bytes)?;
        let began = Instant::now();
        let (artifact, compiled) = runtime
            .compile(&inspected.component)
            .map_err(|error| Rejection::new(error.to_string(), "build it again with a current toolchain"))?;
        let compile_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        servable(&artifact)?;
        grants::within(&artifact, name, &terms.grants)?;
        runtime.check(name, &artifact, terms).map_err(|error| {
            let remedy = match error {
                Error::Policy { .. } => {
                    "leave `policy` out, or build it with async functions (see README, \"Handlers that wait\")"
                }
                _ => "import only what the host or another handler serves",
            };
            Rejection::new(error.to_string(), remedy)
        })?;
        Ok(Self {
            artifact,
            wit: inspected.wit,
            interfaces: inspected.interfaces,
            docs: inspected.docs,
            size_bytes: bytes.len() as u64,
            compile_ms: if compiled { compile_ms } else { 0 },
        })
    }
}

/// Refuses a file that is too large to be looked at.
pub fn within_size(bytes: u64) -> Result<(), Rejection> {
    if bytes <= FILE_BYTES_MAX {
        return Ok(());
    }
    Err(Rejection::new(
        format!("the file has {bytes} bytes, {FILE_BYTES_MAX} are the most"),
        "strip it (`wasm-tools strip`) or split the handler",
    ))
}
