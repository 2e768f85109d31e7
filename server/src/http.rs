//! Stub.
#![expect(missing_docs)]
use std::{sync::Arc, time::Duration};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use protocol::{api::{self, handlers::{Handler, HandlerDetail}, nodes::Node}, FunctionPath, HandlerName, InterfaceName, TypeHash};
use crate::{clock::Clock, runtime, router, telemetry, traces, edges, placement, queue, shutdown::Tasks};
use tokio::net::TcpListener;
pub struct Context { pub router: Arc<router::Router>, pub recorder: Arc<telemetry::Recorder>, pub sampler: Arc<telemetry::Sampler>, pub traces: traces::Traces, pub edges: Arc<edges::Edges>, pub desired: placement::Desired, pub queues: queue::Queues, pub home: Arc<dyn HomeView>, pub clock: Clock, pub ingress_root: HandlerName, pub ingress_timeout: Duration }
pub struct CallableFunction { pub handler: HandlerName, pub path: Arc<FunctionPath>, pub ty: runtime::wit_type::FunctionType, pub hash: TypeHash }
pub trait HomeView: Send + Sync + 'static { fn handlers(&self) -> Vec<Handler>; fn handler(&self, name: &HandlerName) -> Option<HandlerDetail>; fn function(&self, handler: Option<&HandlerName>, interface: &InterfaceName, function: &str) -> Option<CallableFunction>; fn nodes(&self) -> Vec<Node>; fn put_handler(&self, name: HandlerName, bytes: Bytes) -> BoxFuture<'_, Result<Handler, runtime::inspect::Rejection>>; fn delete_handler(&self, name: HandlerName) -> BoxFuture<'_, bool>; fn status(&self) -> api::Status; fn is_ready(&self) -> bool; fn changes(&self) -> tokio::sync::watch::Receiver<u64>; }
pub async fn serve_ui(_listener: TcpListener, _context: Arc<Context>, tasks: Tasks) { tasks.cancelled().await }
pub async fn serve_ingress(_listener: TcpListener, _context: Arc<Context>, tasks: Tasks) { tasks.cancelled().await }
