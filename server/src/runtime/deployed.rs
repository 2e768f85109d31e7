//! `Deployed`: one version of a handler, linked and callable, with its pool of instances.

use std::collections::HashMap;
use std::sync::Arc;

use protocol::control::Limits;
use protocol::{FunctionPath, HandlerName};
use wasmtime::component::{InstancePre, Linker};
use wasmtime_wasi_http::p2::bindings::ProxyIndices;

use super::artifact::Artifact;
use super::guest::Guest;
use super::imports;
use super::pool::InstancePool;

/// A linked version.
pub(super) struct Deployed {
    pub(super) name: HandlerName,
    pub(super) artifact: Arc<Artifact>,
    pub(super) limits: Limits,
    pub(super) pre: InstancePre<Guest>,
    pub(super) proxy: Option<ProxyIndices>,
    pub(super) pool: InstancePool,
    /// Interface and function → its place in the artifact: (interface, function).
    functions: HashMap<Arc<FunctionPath>, (usize, usize)>,
    /// The span name of each function, so that a call formats none.
    pub(super) names: HashMap<Arc<FunctionPath>, Arc<str>>,
}

impl Deployed {
    /// Links an artifact: the capabilities of `base`, everything else through the router.
    pub(super) fn link(
        base: &Linker<Guest>,
        name: HandlerName,
        artifact: Arc<Artifact>,
        limits: Limits,
    ) -> wasmtime::Result<Self> {
        let mut linker = base.clone();
        imports::define(&mut linker, &artifact)?;
        let pre = linker.instantiate_pre(&artifact.component)?;
        let proxy = if artifact.http {
            Some(ProxyIndices::new(&pre)?)
        } else {
            None
        };
        let mut functions = HashMap::new();
        let mut names = HashMap::new();
        for (i, interface) in artifact.exports.iter().enumerate() {
            for (f, function) in interface.functions.iter().enumerate() {
                functions.insert(Arc::clone(&function.path), (i, f));
                names.insert(Arc::clone(&function.path), Arc::from(function.path.to_string()));
            }
        }
        let pool = InstancePool::new(name.clone(), limits.instances_max);
        Ok(Self {
            name,
            artifact,
            limits,
            pre,
            proxy,
            pool,
            functions,
            names,
        })
    }

    /// The exported function of a path, by exact name or semver track.
    pub(super) fn function(&self, path: &FunctionPath) -> Option<&super::artifact::ExportedFunction> {
        match self.functions.get(path) {
            Some((i, f)) => self.artifact.exports.get(*i)?.functions.get(*f),
            None => self.artifact.function(path),
        }
    }
}
