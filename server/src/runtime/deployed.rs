//! `Deployed`: one version of a handler, linked and callable, with its pool of instances.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use protocol::control::InstanceFigures;
use protocol::{FunctionPath, HandlerName};
use rustc_hash::FxHashMap;
use tokio::sync::Notify;
use wasmtime::component::{InstancePre, Linker};
use wasmtime_wasi_http::p2::bindings::ProxyIndices;

use super::artifact::{Artifact, ExportedFunction};
use super::engine::{EngineKind, Executor};
use super::grants::Terms;
use super::guest::Guest;
use super::host::Denials;
use super::imports;
use super::life::Lives;
use super::pool::InstancePool;
use super::shared::{self, Blueprint, SharedPool};
use super::slices::Habit;
use crate::clock::Clock;
use crate::dispatch::Dispatcher;
use crate::shutdown::Tasks;

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
    pub(super) habit: Arc<Habit>,
    /// In place of `pool`, where it has async functions.
    pub(super) shared: Option<SharedPool>,
    pub(super) executor: Arc<Executor>,
    functions: FxHashMap<Arc<FunctionPath>, Served>,
    /// Whether another version has taken over, or nobody serves the handler here any more.
    is_replaced: AtomicBool,
}

/// A handler and its terms, as its guests and their failures know it.
#[derive(Clone, Copy)]
pub(super) struct Tenant<'d> {
    pub(super) handler: &'d HandlerName,
    pub(super) terms: &'d Arc<Terms>,
    /// What it was denied, told once each.
    pub(super) denials: &'d Arc<Denials>,
    /// Where its instances are counted.
    pub(super) lives: &'d Arc<Lives>,
}

/// Where an exported function is among those of its artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    interface: usize,
    function: usize,
}

/// What a version is linked on.
pub(super) struct Ground<'r> {
    pub(super) base: &'r Linker<Guest>,
    pub(super) executor: &'r Arc<Executor>,
    pub(super) router: &'r Dispatcher,
    pub(super) clock: &'r Clock,
    pub(super) tasks: &'r Tasks,
    pub(super) refill: &'r Arc<Notify>,
}

impl Ground<'_> {
    fn blueprint(&self, tenant: Tenant<'_>, pre: &InstancePre<Guest>) -> Blueprint {
        Blueprint {
            handler: tenant.handler.clone(),
            terms: Arc::clone(tenant.terms),
            denials: Arc::clone(tenant.denials),
            lives: Arc::clone(tenant.lives),
            pre: pre.clone(),
            executor: Arc::clone(self.executor),
            router: Arc::clone(self.router),
            clock: self.clock.clone(),
            tasks: self.tasks.clone(),
            refill: Arc::clone(self.refill),
        }
    }
}

/// An exported function by its exact path.
struct Served {
    place: Place,
    /// Its span's name, so that a call formats none.
    name: Arc<str>,
}

impl Deployed {
    pub(super) fn tenant(&self) -> Tenant<'_> {
        Tenant {
            handler: &self.name,
            terms: &self.terms,
            denials: &self.denials,
            lives: self.lives(),
        }
    }

    /// Links an artifact: the capabilities of its engine, everything else through the router.
    pub(super) fn link(
        ground: &Ground<'_>,
        name: HandlerName,
        artifact: Arc<Artifact>,
        terms: Terms,
        lives: Arc<Lives>,
    ) -> wasmtime::Result<Self> {
        let mut linker = ground.base.clone();
        match artifact.engine {
            EngineKind::Sync => imports::define(&mut linker, &artifact, &name, ground.router)?,
            EngineKind::Concurrent => {
                shared::define(&mut linker, &artifact, &name, ground.router, ground.tasks)?;
            }
        }
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
        let pool = InstancePool::new(
            name.clone(),
            terms.limits,
            Arc::clone(&lives),
            Arc::clone(ground.refill),
        );
        let (terms, denials) = (Arc::new(terms), Arc::default());
        let tenant = Tenant {
            handler: &name,
            terms: &terms,
            denials: &denials,
            lives: &lives,
        };
        let is_shared = artifact.engine == EngineKind::Concurrent;
        let shared = is_shared.then(|| SharedPool::new(ground.blueprint(tenant, &pre), Arc::clone(&lives)));
        Ok(Self {
            name,
            artifact,
            terms,
            denials,
            pre,
            proxy,
            pool,
            habit: Arc::default(),
            shared,
            executor: Arc::clone(ground.executor),
            functions,
            is_replaced: AtomicBool::new(false),
        })
    }

    /// The counters of its instances' lives, for the handler's next version.
    pub(super) fn lives(&self) -> &Arc<Lives> {
        self.shared
            .as_ref()
            .map_or_else(|| self.pool.lives(), SharedPool::lives)
    }

    pub(super) fn figures(&self) -> InstanceFigures {
        self.shared
            .as_ref()
            .map_or_else(|| self.pool.figures(), SharedPool::figures)
    }

    /// Drops instances that nobody called for a while, and looks at what is wanted beforehand.
    pub(super) fn look(&self, now: Instant) {
        if let Some(shared) = &self.shared {
            shared.look();
            shared.drop_idle(now);
        } else {
            self.pool.look();
            self.pool.drop_idle(now);
        }
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
