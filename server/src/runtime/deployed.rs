//! `Deployed`: one version of a handler, linked and callable, with its pool of instances.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use protocol::{FunctionPath, HandlerName};
use rustc_hash::FxHashMap;
use wasmtime::component::{InstancePre, Linker};
use wasmtime_wasi_http::p2::bindings::ProxyIndices;

use super::artifact::{Artifact, ExportedFunction};
use super::engine::Executor;
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
    pub(super) executor: Arc<Executor>,
    functions: FxHashMap<Arc<FunctionPath>, Served>,
    /// Whether another version has taken over, or nobody serves the handler here any more.
    is_replaced: AtomicBool,
}

/// Where an exported function is among those of its artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    interface: usize,
    function: usize,
}

/// An exported function by its exact path.
struct Served {
    place: Place,
    /// Its span's name, so that a call formats none.
    name: Arc<str>,
}

impl Deployed {
    /// Links an artifact: the capabilities of `base`, everything else through the router.
    pub(super) fn link(
        (base, router, executor): (&Linker<Guest>, &Dispatcher, &Arc<Executor>),
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
                    place: Place { interface, function },
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
            executor: Arc::clone(executor),
            functions,
            is_replaced: AtomicBool::new(false),
        })
    }

    /// Where the function of a path is, by exact name or semver track.
    pub(super) fn place(&self, path: &FunctionPath) -> Option<Place> {
        if let Some(served) = self.functions.get(path) {
            return Some(served.place);
        }
        let (interface, function) = self.artifact.find(path)?;
        Some(Place { interface, function })
    }

    /// The function at a place of this version.
    pub(super) fn at(&self, place: Place) -> Option<&ExportedFunction> {
        let interface = self.artifact.exports.get(place.interface)?;
        interface.functions.get(place.function)
    }

    /// Says that this version is not the one that is served any more; calls in it finish.
    pub(super) fn set_replaced(&self) {
        self.is_replaced.store(true, Ordering::Release);
    }

    pub(super) fn is_replaced(&self) -> bool {
        self.is_replaced.load(Ordering::Acquire)
    }

    /// How spans name a function.
    pub(super) fn span_name(&self, path: &FunctionPath) -> Arc<str> {
        match self.functions.get(path) {
            Some(served) => Arc::clone(&served.name),
            None => path.to_string().into(),
        }
    }
}
