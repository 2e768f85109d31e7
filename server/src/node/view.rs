//! `View`: what the doors see of home, put together from its parts at each look.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use protocol::api::chronicle::{ChronicleQuery, Entry};
use protocol::api::handlers::{Handler, HandlerDetail, HandlerState};
use protocol::api::nodes::{Node, NodeState};
use protocol::api::{Page, Status};
use protocol::{HandlerName, InterfaceName, NodeName};
use tokio::sync::watch;

use super::fleet::Nodes;
use super::handlers::Handlers;
use super::outside::Outside;
use super::station::Station;
use crate::clock::Clock;
use crate::edges::Edges;
use crate::http::{CallableFunction, HomeView};
use crate::placement::Desired;
use crate::runtime::accepted::within_size;
use crate::runtime::inspect::Rejection;
use crate::telemetry::Sampling;
use crate::traces::Traces;

/// How long an uploaded handler may take to be read, compiled and placed.
const DEPLOY_MAX: Duration = Duration::from_secs(60);

/// Handles of home.
pub(super) struct View {
    pub(super) data: PathBuf,
    pub(super) clock: Clock,
    pub(super) sampling: Sampling,
    pub(super) edges: Arc<Edges>,
    pub(super) traces: Traces,
    pub(super) station: Arc<Station>,
    pub(super) handlers: Arc<Handlers>,
    pub(super) nodes: Arc<Nodes>,
    pub(super) desired: Desired,
    pub(super) ui: SocketAddr,
    pub(super) ingress: SocketAddr,
    pub(super) outside: Arc<Outside>,
}

impl View {
    /// Adds nodes and live figures.
    fn complete(&self, mut listed: Vec<Handler>) -> Vec<Handler> {
        let status = self.desired.status();
        let edges = self.edges.snapshot();
        let nodes = self.nodes();
        let instances: Vec<_> = self
            .station
            .runtime
            .figures()
            .into_iter()
            .chain(self.nodes.instances())
            .collect();
        for handler in &mut listed {
            let place = status.handlers.get(&handler.name);
            handler.nodes = place.map(|place| place.nodes.clone()).unwrap_or_default();
            let own: Vec<&Node> = nodes
                .iter()
                .filter(|node| handler.nodes.contains(&node.name))
                .collect();
            let is_down = !own.is_empty() && own.iter().all(|node| node.state == NodeState::Down);
            if is_down && handler.state == HandlerState::Serving {
                let reasons = own.iter().find_map(|node| node.last_error.clone());
                let reason = reasons.unwrap_or_else(|| "its node ended".to_owned());
                handler.state = HandlerState::Down { reason };
            }
            for edge in edges.iter().filter(|edge| edge.callee == handler.name) {
                handler.figures.calls += edge.calls;
                handler.figures.errors += edge.errors;
                handler.figures.rate_per_s += edge.rate_per_s;
            }
            for (_, figures) in instances.iter().filter(|(name, _)| *name == handler.name) {
                handler.figures.instances_idle += figures.idle;
                handler.figures.instances_busy += figures.busy;
                handler.figures.instances_made += figures.made;
                handler.figures.instances_cold += figures.cold;
                let slowest = handler.figures.instance_start_p50_us.max(figures.start_p50_us);
                handler.figures.instance_start_p50_us = slowest;
                handler.figures.instances_ended += figures.ended;
                handler.figures.memory_bytes += figures.memory_bytes;
                handler.figures.run_ns += figures.run_ns;
                handler.figures.run_calls += figures.run_calls;
            }
        }
        listed
    }

    async fn put(&self, name: HandlerName, bytes: Bytes) -> Result<Handler, Rejection> {
        if name.is_reserved() {
            return Err(Rejection::new(
                format!("`{name}` is a name of the platform"),
                "choose another name",
            ));
        }
        within_size(bytes.len() as u64)?;
        let mut changes = self.handlers.changes();
        let folder = self.data.join("handlers");
        let handlers = Arc::clone(&self.handlers);
        let written = tokio::task::spawn_blocking({
            let name = name.clone();
            move || write(&handlers, &folder, &name, &bytes)
        });
        let version = written
            .await
            .map_err(|_| Rejection::new("writing it failed", "try again"))??;
        let outcome = tokio::time::timeout(DEPLOY_MAX, async {
            loop {
                changes.borrow_and_update();
                let mut listed = self.handlers().into_iter();
                let found = listed.find(|handler| handler.name == name && handler.file.is_none());
                // A rejection is of the file before this one, which was looked at already; unless it may not take over
                // from a version that came meanwhile.
                match found {
                    Some(Handler {
                        refused: Some(refused),
                        ..
                    }) if refused.version.as_ref() == Some(&version) => {
                        return Err(Rejection::new(refused.reason, refused.remedy));
                    }
                    Some(handler)
                        if handler.version == version
                            && handler.refused.is_none()
                            && is_settled(&handler) =>
                    {
                        return Ok(handler);
                    }
                    _ => {}
                }
                if changes.changed().await.is_err() {
                    return Err(Rejection::new("the node is stopping", "try again"));
                }
            }
        });
        outcome.await.unwrap_or_else(|_| {
            Err(Rejection::new(
                format!("it was not served within {DEPLOY_MAX:?}"),
                "look at its state with `cleave ls`",
            ))
        })
    }
}

fn is_settled(handler: &Handler) -> bool {
    match handler.state {
        HandlerState::Serving => !handler.nodes.is_empty(),
        HandlerState::Waiting { .. } => true,
        _ => false,
    }
}

/// Writes a handler's file, once it was looked at: an upload that is rejected leaves the folder as it is. Its version.
fn write(handlers: &Handlers, folder: &Path, name: &HandlerName, bytes: &[u8]) -> Result<String, Rejection> {
    let temporary = folder.join(format!(".{name}.upload"));
    let target = folder.join(format!("{name}.wasm"));
    let failed = |error| {
        Rejection::new(
            format!("`{}` cannot be written: {error}", target.display()),
            "check the folder's permissions",
        )
    };
    let written = std::fs::write(&temporary, bytes)
        .map_err(failed)
        .and_then(|()| handlers.admit(&temporary, name))
        .and_then(|version| {
            std::fs::rename(&temporary, &target)
                .map_err(failed)
                .map(|()| version)
        });
    if written.is_err() {
        // What is left of it is no handler's file, and the next upload replaces it.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

impl HomeView for View {
    fn handlers(&self) -> Vec<Handler> {
        self.complete(self.handlers.list())
    }

    fn handler(&self, name: &HandlerName) -> Option<HandlerDetail> {
        let handler = self
            .handlers()
            .into_iter()
            .find(|handler| handler.name == *name)?;
        let version = self.handlers.version(name);
        let accepted = version.map(|version| version.accepted);
        let (wit, interfaces) = accepted
            .map(|accepted| (accepted.wit.clone(), accepted.interfaces.clone()))
            .unwrap_or_default();
        Some(HandlerDetail {
            handler,
            wit,
            interfaces,
        })
    }

    fn function(
        &self,
        handler: Option<&HandlerName>,
        interface: &InterfaceName,
        function: &str,
    ) -> Option<CallableFunction> {
        let candidates = match handler {
            Some(name) => vec![name.clone()],
            None => {
                let routes = self.handlers.resolution().interfaces;
                let matches = routes.into_iter().filter(|route| match interface.version() {
                    Some(_) => route.interface.track() == interface.track(),
                    None => route.interface.unversioned() == interface.unversioned(),
                });
                matches.flat_map(|route| route.providers).collect()
            }
        };
        candidates.into_iter().find_map(|name| {
            let version = self.handlers.version(&name)?;
            let functions = version
                .artifact()
                .exports
                .iter()
                .flat_map(|interface| &interface.functions);
            let mut found = functions.filter(|candidate| {
                let own = &candidate.path.interface;
                let same = match interface.version() {
                    Some(_) => own.track() == interface.track(),
                    None => own.unversioned() == interface.unversioned(),
                };
                same && candidate.path.function.as_ref() == function
            });
            found.next().map(|found| CallableFunction {
                handler: name.clone(),
                path: Arc::clone(&found.path),
                ty: found.ty.clone(),
                hash: found.hash,
            })
        })
    }

    fn nodes(&self) -> Vec<Node> {
        let status = self.desired.status();
        let home = NodeName::home();
        let of_home = status
            .handlers
            .iter()
            .filter(|(_, place)| place.nodes.contains(&home));
        self.nodes.list(of_home.map(|(name, _)| name.clone()).collect())
    }

    fn kill_node(&self, name: &NodeName) -> bool {
        self.nodes.kill(name)
    }

    fn chronicle(&self, query: &ChronicleQuery) -> Page<Entry> {
        self.nodes.chronicle.page(query)
    }

    fn put_handler(&self, name: HandlerName, bytes: Bytes) -> BoxFuture<'_, Result<Handler, Rejection>> {
        self.put(name, bytes).boxed()
    }

    fn delete_handler(&self, name: HandlerName) -> BoxFuture<'_, bool> {
        let path = self.data.join("handlers").join(format!("{name}.wasm"));
        async move {
            let mut changes = self.handlers.changes();
            if std::fs::remove_file(path).is_err() {
                return false;
            }
            let gone = tokio::time::timeout(DEPLOY_MAX, async {
                while self.handlers.names().contains(&name) && changes.changed().await.is_ok() {}
            });
            gone.await.is_ok()
        }
        .boxed()
    }

    fn status(&self) -> Status {
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            data: self.data.display().to_string(),
            ui: self.ui.to_string(),
            ingress: self.ingress.to_string(),
            sampling: self.sampling.to_string(),
            started_unix_ms: self.nodes.started_unix_ms,
            spans: self.traces.counts(),
            otlp: self.outside.status().map(Box::new),
        }
    }

    fn is_ready(&self) -> bool {
        self.station.generation() > 0 && self.clock.unix_ns() > 0
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.handlers.changes()
    }
}
