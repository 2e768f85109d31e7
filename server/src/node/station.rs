//! `Station`: how a node follows home's routes. Home and its children use the very same code.
//!
//! Two phases, so that no call fails: *prepare* loads what the routes assign to this node, beside what it serves already;
//! *apply* routes by them. What is no longer assigned stays for a while, because a call that was routed by the older
//! routes may still be on its way.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::control::Routes;
use protocol::ladder::Course;
use protocol::{HandlerName, NodeName, Rung, TypeHash, exchange};

use super::rights::{RIGHTS_LINGER, Rights};
use crate::dispatch::Dispatcher;
use crate::quic::{Exported, Quic};
use crate::router::{RouteTable, Router, Target};
use crate::runtime::{Runtime, Terms};
use crate::shutdown::Tasks;

/// How long a handler that moved away can still be called here.
const LINGER: Duration = Duration::from_secs(5);

/// One node's seat: its runtime, its router and its endpoint.
pub(super) struct Station {
    pub(super) node: NodeName,
    pub(super) runtime: Arc<Runtime>,
    pub(super) router: Arc<Router>,
    pub(super) quic: Arc<Quic>,
    pub(super) local: Dispatcher,
    /// The same through the bytes of the wire.
    pub(super) twin: Dispatcher,
    pub(super) tasks: Tasks,
    /// Built-in functions and queued edges that home serves to its children.
    pub(super) built_in_exports: Mutex<Vec<Exported>>,
    pub(super) routes: Mutex<Arc<Routes>>,
    /// Who may call what here.
    pub(super) rights: Rights,
    /// What the routes that were prepared last assign to this node, in force or not: it must not be unloaded. Held while
    /// handlers are loaded or unloaded.
    pub(super) loaded: Mutex<HashSet<HandlerName>>,
}

impl Station {
    /// Loads what the routes assign to this node; the handlers that could not be loaded.
    pub(super) fn prepare(&self, routes: &Routes) -> Vec<(HandlerName, String)> {
        self.rights.prepare(&self.quic, routes);
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        *loaded = assigned(routes, &self.node);
        let deployed: HashMap<_, _> = self
            .runtime
            .deployed()
            .into_iter()
            .map(|(name, artifact, terms)| (name, (artifact.hash.clone(), terms)))
            .collect();
        let mut failed = Vec::new();
        for handler in routes.handlers.iter().filter(|handler| handler.node == self.node) {
            let terms = Terms {
                limits: handler.limits,
                grants: handler.grants.clone(),
            };
            let wanted = (handler.artifact.clone(), terms);
            if deployed.get(&handler.name) == Some(&wanted) {
                continue;
            }
            let outcome = match self.runtime.cached(&handler.artifact) {
                Some(artifact) => self
                    .runtime
                    .deploy(&handler.name, &artifact, wanted.1)
                    .map_err(|error| error.to_string()),
                None => Err("its compiled code is not in the cache".to_owned()),
            };
            if let Err(reason) = outcome {
                tracing::warn!(handler = %handler.name, "`{}` could not be loaded: {reason}", handler.name);
                failed.push((handler.name.clone(), reason));
            }
        }
        self.export();
        failed
    }

    /// Routes by these from now on, and unloads what they no longer assign after a while.
    pub(super) fn apply(self: &Arc<Self>, routes: &Arc<Routes>) {
        *self.routes.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(routes);
        self.rights.apply(&self.quic, routes);
        let table = RouteTable::build(routes, |node, course| self.target(routes, node, course));
        self.router.swap(table);
        self.unload_later(routes.generation);
    }

    /// The generation that is in force.
    pub(super) fn generation(&self) -> u64 {
        self.routes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .generation
    }

    /// The way to a node: within this process, or by a rung that leaves it.
    fn target(&self, routes: &Routes, node: &NodeName, course: &Course) -> Option<Target> {
        if *node == self.node {
            let dispatcher = match course.inside {
                Rung::Codec => &self.twin,
                _ => &self.local,
            };
            return Some(Target {
                dispatcher: Arc::clone(dispatcher),
                transport: course.inside.transport(),
            });
        }
        let route = routes.nodes.iter().find(|route| route.name == *node)?;
        let by = (course.between, course.shaping);
        let client = self
            .quic
            .client_by(by, &route.name, route.address, route.incarnation);
        Some(Target {
            dispatcher: client,
            transport: course.between.transport(),
        })
    }

    fn unload_later(self: &Arc<Self>, generation: u64) {
        let station = Arc::clone(self);
        let token = self.tasks.token();
        self.tasks.spawn("unload", async move {
            tokio::select! {
                () = token.cancelled() => return,
                () = tokio::time::sleep(LINGER) => {}
            }
            let routes = Arc::clone(&station.routes.lock().unwrap_or_else(PoisonError::into_inner));
            if routes.generation != generation {
                return;
            }
            station.unload(&assigned(&routes, &station.node));
            // What is called by the older routes by then has run for as long.
            let rest = RIGHTS_LINGER.saturating_sub(LINGER);
            if token
                .run_until_cancelled(tokio::time::sleep(rest))
                .await
                .is_some()
            {
                station.rights.settle(&station.quic);
            }
        });
    }

    /// Unloads what these do not name, nor the routes that are being prepared.
    fn unload(&self, assigned: &HashSet<HandlerName>) {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, ..) in self.runtime.deployed() {
            if !assigned.contains(&name) && !loaded.contains(&name) {
                self.runtime.withdraw(&name);
            }
        }
        self.export();
    }

    /// Tells the peers what can be called here.
    pub(super) fn export(&self) {
        let mut exports = self
            .built_in_exports
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for (handler, artifact, _) in self.runtime.deployed() {
            for function in artifact.exports.iter().flat_map(|interface| &interface.functions) {
                exports.push(Exported {
                    handler: handler.clone(),
                    function: (*function.path).clone(),
                    type_hash: function.hash,
                });
            }
            if artifact.http {
                exports.push(Exported {
                    handler,
                    function: exchange::function(),
                    type_hash: TypeHash([0; 16]),
                });
            }
        }
        if let Err(error) = self.quic.set_exports(exports) {
            tracing::error!(%error, "peers cannot be told what is served here");
        }
    }
}

/// The handlers that routes assign to a node.
fn assigned(routes: &Routes, node: &NodeName) -> HashSet<HandlerName> {
    let own = routes.handlers.iter().filter(|handler| handler.node == *node);
    own.map(|handler| handler.name.clone()).collect()
}
