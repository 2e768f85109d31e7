//! The doors: outside traffic that becomes calls (`ingress`), and the UI with its API (`api`, `events`, `assets`).
//!
//! Both listen on loopback only. Promises: every request has a limit in size and time; every failure's status is chosen
//! in `error`; a request to the UI's port must come from this machine's own pages (`guard`); when the tasks are
//! cancelled, requests in progress are finished within a bound and event streams end at once.
//!
//! What the doors show of home they see through [`HomeView`], which `node` implements.

mod api;
mod assets;
mod body;
mod connections;
mod error;
mod events;
mod found;
mod guard;
mod ingress;
mod jaeger;
mod metrics;
mod otlp;
#[cfg(test)]
mod pictured;
#[cfg(test)]
mod readers;
mod tempo;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

pub use otlp::{Door, serve_otlp};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper_util::service::TowerToHyperService;
use protocol::api::chronicle::{ChronicleQuery, Entry};
use protocol::api::handlers::{Handler, HandlerDetail};
use protocol::api::nodes::Node;
use protocol::api::{Page, Status};
use protocol::{FunctionPath, HandlerName, InterfaceName, NodeName, TypeHash};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::edges::Edges;
use crate::otlp::Intake;
use crate::placement::Desired;
use crate::queue::Queues;
use crate::router::Router;
use crate::runtime::inspect::Rejection;
use crate::runtime::wit_type::FunctionType;
use crate::shutdown::Tasks;
use crate::telemetry::{Recorder, Sampler};
use crate::traces::Traces;

use connections::Version;

/// What the doors need of the node.
pub struct Context {
    /// Takes the calls.
    pub router: Arc<Router>,
    /// Takes the spans of requests.
    pub recorder: Arc<Recorder>,
    /// Decides whose spans are recorded.
    pub sampler: Arc<Sampler>,
    /// The traces.
    pub traces: Traces,
    /// Every call, counted.
    pub edges: Arc<Edges>,
    /// The placement.
    pub desired: Desired,
    /// The queues.
    pub queues: Queues,
    /// Handlers and nodes.
    pub home: Arc<dyn HomeView>,
    /// What spans from outside pass through.
    pub intake: Arc<Intake>,
    /// The time of day.
    pub clock: Clock,
    /// The handler that answers `/`.
    pub ingress_root: HandlerName,
    /// The time that one request may take.
    pub ingress_timeout: Duration,
}

/// A function that can be called by hand.
#[derive(Debug, Clone)]
pub struct CallableFunction {
    /// Who serves it.
    pub handler: HandlerName,
    /// Interface, with its version, and function.
    pub path: Arc<FunctionPath>,
    /// Its type.
    pub ty: FunctionType,
    /// The type's hash.
    pub hash: TypeHash,
}

/// What the doors see of home.
pub trait HomeView: Send + Sync + 'static {
    /// Every handler, by name.
    fn handlers(&self) -> Vec<Handler>;

    /// One handler with its WIT.
    fn handler(&self, name: &HandlerName) -> Option<HandlerDetail>;

    /// A function of an interface, with or without version; of this handler where one is named.
    fn function(
        &self,
        handler: Option<&HandlerName>,
        interface: &InterfaceName,
        function: &str,
    ) -> Option<CallableFunction>;

    /// Every node, home first.
    fn nodes(&self) -> Vec<Node>;

    /// Kills a child's process, as a crash would; whether one of that name runs.
    fn kill_node(&self, name: &NodeName) -> bool;

    /// What happened, the newest first.
    fn chronicle(&self, query: &ChronicleQuery) -> Page<Entry>;

    /// Writes a handler's file and waits for the outcome.
    fn put_handler(&self, name: HandlerName, bytes: Bytes) -> BoxFuture<'_, Result<Handler, Rejection>>;

    /// Removes a handler's file and waits until it is gone; whether there was one.
    fn delete_handler(&self, name: HandlerName) -> BoxFuture<'_, bool>;

    /// The node in one look.
    fn status(&self) -> Status;

    /// Whether calls can be served.
    fn is_ready(&self) -> bool;

    /// Moves when handlers, nodes or placement changed.
    fn changes(&self) -> watch::Receiver<u64>;
}

/// Serves the UI and the API until the tasks are cancelled, then finishes what is in progress.
pub async fn serve_ui(listener: TcpListener, context: Arc<Context>, tasks: Tasks) {
    let port = match listener.local_addr() {
        Ok(address) => address.port(),
        Err(error) => {
            tracing::error!(%error, "the UI's listener has no address");
            return;
        }
    };
    let hub = events::Hub::start(Arc::clone(&context), &tasks);
    let router = api::router(context, hub, port, tasks.token());
    connections::serve(listener, TowerToHyperService::new(router), Version::One, tasks).await;
}

/// Serves outside traffic until the tasks are cancelled, then finishes what is in progress.
pub async fn serve_ingress(listener: TcpListener, context: Arc<Context>, tasks: Tasks) {
    let service = hyper::service::service_fn(move |request| {
        let context = Arc::clone(&context);
        async move { Ok::<_, std::convert::Infallible>(ingress::answer(&context, request).await) }
    });
    connections::serve(listener, service, Version::One, tasks).await;
}
