//! `Deployed`: one version of a handler, linked and callable, with its pool of instances.

use std::sync::Arc;

use protocol::{FunctionPath, HandlerName};
use rustc_hash::FxHashMap;
use wasmtime::component::{InstancePre, Linker};
use wasmtime_wasi_http::p2::bindings::ProxyIndices;

use super::artifact::{Artifact, ExportedFunction};
use super::grants::Terms;
use super::guest::Guest;
use super::host::Denials;
use super::imports;
use super::life::Lives;
use super::pool::InstancePool;
use super::slices::Habit;
use crate::dispatch::Dispatcher;

/// A linked version.
pub(super) struct Deployed {
    pub(super) name: HandlerName,
    pub(super) artifact: Arc<Artifact>,
    pub(super) terms: Arc<Terms>,
    /// The hosts that it was denied.
    pub(super) denials: Arc<Denials>,
    pub(super) pre: InstancePre<Guest>,
    pub(super) proxy: Option<ProxyIndices>,
    pub(super) pool: InstancePool,
    /// Whether its calls are long.
    pub(super) habit: Habit,
    functions: FxHashMap<Arc<FunctionPath>, Served>,
}

/// An exported function by its exact path.
struct Served {
    /// Its place in the artifact.
    interface: usize,
    function: usize,
    /// Its span's name, so that a call formats none.
    name: Arc<str>,
}

impl Deployed {
    /// Links an artifact: the capabilities of `base`, everything else through the router.
    pub(super) fn link(
        (base, router): (&Linker<Guest>, &Dispatcher),
        name: HandlerName,
        artifact: Arc<Artifact>,
        terms: Terms,
        lives: Arc<Lives>,
    ) -> wasmtime::Result<Self> {
        let mut linker = base.clone();
        imports::define(&mut linker, &artifact, &name, router)?;
        let pre = linker.instantiate_pre(&artifact.component)?;
        let proxy = if artifact.http {
            Some(ProxyIndices::new(&pre)?)
        } else {
            None
        };
        let mut functions = FxHashMap::default();
        for (interface, exported) in artifact.exports.iter().enumerate() {
            for (function, of) in exported.functions.iter().enumerate() {
                let served = Served {
                    interface,
                    function,
                    name: of.path.to_string().into(),
                };
                functions.insert(Arc::clone(&of.path), served);
            }
        }
        let pool = InstancePool::new(name.clone(), terms.limits, lives);
        Ok(Self {
            name,
            artifact,
            terms: Arc::new(terms),
            denials: Arc::default(),
            pre,
            proxy,
            pool,
            habit: Habit::default(),
            functions,
        })
    }

    /// The exported function of a path, by exact name or semver track.
    pub(super) fn function(&self, path: &FunctionPath) -> Option<&ExportedFunction> {
        match self.functions.get(path) {
            Some(served) => {
                let interface = self.artifact.exports.get(served.interface)?;
                interface.functions.get(served.function)
            }
            None => self.artifact.function(path),
        }
    }

    /// How spans name a function.
    pub(super) fn span_name(&self, path: &FunctionPath) -> Arc<str> {
        match self.functions.get(path) {
            Some(served) => Arc::clone(&served.name),
            None => path.to_string().into(),
        }
    }
}
