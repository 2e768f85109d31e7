//! `Quic`: this node's endpoint: calls and control messages to and from the other nodes.
//!
//! Mutual TLS 1.3 with certificates of home's authority, deny by default; one logical connection per peer in either
//! direction, made on first use; one stream per call. A peer that dies silently is noticed within the idle timeout, or
//! at once when [`Quic::peer_down`] says so; its calls end with `Unreachable`. Placing nodes and choosing targets is
//! not done here, and nothing that arrives is forwarded. `ARCHITECTURE.md` has the wire in one table.

mod authority;
mod client;
mod control;
mod gauge;
mod identity;
mod link;
mod listener;
mod peer;
mod stream;
mod table;
#[cfg(test)]
mod tests;
mod tls;
mod traffic;

use std::collections::{HashMap, HashSet};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use futures_util::FutureExt;
use futures_util::future::join_all;
use protocol::control::Control;
use protocol::frame::{FrameError, encode_control};
use protocol::{CallError, ErrorCode, FunctionPath, HandlerName, NodeName, TypeHash};
use quinn::{ConnectionError, Endpoint, EndpointConfig, IdleTimeout, TokioRuntime, TransportConfig, VarInt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

pub use authority::Authority;
pub use client::PeerClient;
pub use identity::Identity;
pub use protocol::frame::Exported;

use crate::dispatch::Dispatcher;
use crate::peers::{PeerState, Peers};
use crate::shutdown::Tasks;
use gauge::Gauge;
use link::{Close, Link};
use peer::{Aim, Attempt, Peer};
use table::Exports;
use tls::{SERVER_NAME, Tls};
use traffic::Traffic;

/// Connections at the same time: far more nodes than one machine runs.
const CONNECTIONS_MAX: usize = 256;
/// Control messages that wait for one peer; beyond it the sender waits.
const CONTROL_WAITING_MAX: usize = 64;
/// A control message that a peer does not take for so long will not be taken.
const SEND_MAX: Duration = Duration::from_secs(10);
/// Attempts to reach a peer go on for so long: one that just started on a busy machine misses the first.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// Received arguments above 64 KiB of all calls under way; beyond it calls end with `Overloaded`.
const BODIES_BYTES_MAX: usize = 256 << 20;
/// The unit of that budget.
const BODY_UNIT: usize = 64 << 10;
/// A stream reset because its call was given up.
const CANCELLED: VarInt = VarInt::from_u32(1);

/// What can go wrong outside calls.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The authority's files cannot be read or written.
    #[error("cannot use `{path}` for the authority")]
    Storage {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The authority's files can be read by others, so that its key may be known.
    #[error(
        "`{path}` may be read by others (mode {found:o}): if nobody did, run `chmod {mode:o} {path}`, else delete it"
    )]
    Exposed {
        /// The file or directory.
        path: PathBuf,
        /// Its mode.
        found: u32,
        /// The mode that it needs.
        mode: u32,
    },
    /// The authority's file is not what was written.
    #[error("`{path}` is no authority: {reason}; delete it to found a new one")]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A certificate or key does not serve.
    #[error("the identity of node `{node}` cannot be used: {reason}")]
    Identity {
        /// Whose.
        node: NodeName,
        /// Why.
        reason: String,
    },
    /// The port cannot be had.
    #[error("cannot listen on {address} (UDP)")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Too many different functions were exported since the process started.
    #[error("more functions were exported than ids exist: restart node `{node}`")]
    TableFull {
        /// This node.
        node: NodeName,
    },
    /// A control message cannot travel.
    #[error("a control message for node `{node}` is not sent")]
    Message {
        /// For whom.
        node: NodeName,
        /// Why.
        #[source]
        source: FrameError,
    },
    /// A peer cannot be reached.
    #[error("node `{node}` is not reached: {reason}")]
    Unreachable {
        /// Whom.
        node: NodeName,
        /// Why.
        reason: String,
    },
    /// Calls were still under way when the time to drain was over.
    #[error("{calls} calls were still under way after {within:?}")]
    Undrained {
        /// How many.
        calls: usize,
        /// The time that they had.
        within: Duration,
    },
}

/// How a node listens, and as whom.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// As whom.
    pub identity: Identity,
    /// Which start of this process it is; peers tell starts apart by it.
    pub incarnation: u64,
    /// Calls under way from one peer; beyond it the peer's calls wait.
    pub streams_max: u32,
    /// How often an idle connection is tried.
    pub keep_alive: Duration,
    /// A peer that is silent for so long is gone.
    pub idle_timeout: Duration,
}

impl Config {
    /// The usual limits.
    pub fn new(listen: SocketAddr, identity: Identity, incarnation: u64) -> Self {
        Self {
            listen,
            identity,
            incarnation,
            streams_max: 1024,
            keep_alive: Duration::from_millis(250),
            idle_timeout: Duration::from_secs(1),
        }
    }
}

/// What was refused since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Connections: no certificate of ours, wrong protocol, too many.
    pub strangers: u64,
    /// Connections closed because of bytes that are no frame.
    pub malformed: u64,
    /// Calls in the name of a handler for which the peer may not speak.
    pub unauthorised: u64,
}

/// This node's endpoint.
pub struct Quic {
    node: NodeName,
    incarnation: u64,
    endpoint: Endpoint,
    tls: Tls,
    transport: Arc<TransportConfig>,
    local: Dispatcher,
    control: mpsc::Sender<(NodeName, Control)>,
    tasks: Tasks,
    exports: ArcSwap<Exports>,
    /// Held while the exports are replaced.
    exporting: Mutex<()>,
    directory: Mutex<HashMap<NodeName, Arc<Peer>>>,
    peers: Arc<Peers>,
    /// Calls from peers to here.
    incoming: Arc<Gauge>,
    draining: AtomicBool,
    bodies: Arc<Semaphore>,
    traffic: Traffic,
    strangers: AtomicU64,
    malformed: AtomicU64,
    unauthorised: AtomicU64,
}

impl std::fmt::Debug for Quic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Quic")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

impl Quic {
    /// Takes the port and starts to listen. Calls from peers go to `local`, their messages to `control`, whose receiver
    /// must not wait for a call to the sender of a message before it takes the next.
    pub fn bind(
        config: Config,
        local: Dispatcher,
        control: mpsc::Sender<(NodeName, Control)>,
        tasks: Tasks,
    ) -> Result<Arc<Self>, Error> {
        let tls = Tls::new(&config.identity)?;
        let transport = Arc::new(transport(&config));
        let mut server = quinn::ServerConfig::with_crypto(tls.server());
        server.transport_config(Arc::clone(&transport));
        // Nodes do not move; a packet from elsewhere is not theirs.
        server.migration(false);
        server.max_incoming(CONNECTIONS_MAX);
        let failed = |source| Error::Bind {
            address: config.listen,
            source,
        };
        let socket = UdpSocket::bind(config.listen).map_err(failed)?;
        let endpoint = Endpoint::new(
            EndpointConfig::default(),
            Some(server),
            socket,
            Arc::new(TokioRuntime),
        )
        .map_err(failed)?;
        let quic = Arc::new(Self {
            node: config.identity.node,
            incarnation: config.incarnation,
            endpoint,
            tls,
            transport,
            local,
            control,
            tasks,
            exports: ArcSwap::default(),
            exporting: Mutex::default(),
            directory: Mutex::default(),
            peers: Arc::default(),
            incoming: Arc::default(),
            draining: AtomicBool::new(false),
            bodies: Arc::new(Semaphore::new(BODIES_BYTES_MAX / BODY_UNIT)),
            traffic: Traffic::default(),
            strangers: AtomicU64::new(0),
            malformed: AtomicU64::new(0),
            unauthorised: AtomicU64::new(0),
        });
        quic.tasks.spawn("quic listener", Arc::clone(&quic).listen());
        Ok(quic)
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.endpoint.local_addr().expect("a bound socket has an address")
    }

    /// What is known of the other nodes.
    pub fn peers(&self) -> &Arc<Peers> {
        &self.peers
    }

    /// Serves exactly these functions to peers. Additions are told to every connected peer before this node answers a
    /// peer's question for them; what is withdrawn answers `NotFound` from now on, with nothing run.
    pub fn set_exports(&self, exported: Vec<Exported>) -> Result<(), Error> {
        let _one_at_a_time = self.exporting.lock().unwrap_or_else(PoisonError::into_inner);
        let next = self
            .exports
            .load()
            .serving(exported)
            .map_err(|table::Full| Error::TableFull {
                node: self.node.clone(),
            })?;
        self.exports.store(Arc::new(next));
        for link in self.links() {
            link.changed.notify_one();
        }
        Ok(())
    }

    /// The handlers in whose name a peer may call; none until this says so. Home may speak for anyone.
    pub fn set_callers(&self, node: &NodeName, callers: HashSet<HandlerName>) {
        self.peer(node).set_speaks_for(callers);
    }

    /// Calls to one incarnation of a node; incarnation 0 takes whichever answers there.
    pub fn client(
        self: &Arc<Self>,
        node: &NodeName,
        address: SocketAddr,
        incarnation: u64,
    ) -> Arc<PeerClient> {
        let peer = self.peer(node);
        Arc::new(PeerClient::new(Arc::clone(self), peer, address, incarnation))
    }

    /// Sends a message to the node at an address, over the connection there is, whoever made it, or a new one. Messages
    /// to one node keep their order. Done when the message waits to be written; a peer that dies may not have read it.
    pub async fn send(
        self: &Arc<Self>,
        node: &NodeName,
        address: SocketAddr,
        control: Control,
    ) -> Result<(), Error> {
        let unreachable = |reason: String| Error::Unreachable {
            node: node.clone(),
            reason,
        };
        let message = encode_control(&control).map_err(|source| Error::Message {
            node: node.clone(),
            source,
        })?;
        let link = self
            .connect(&self.peer(node), (address, 0))
            .await
            .map_err(|error| unreachable(error.message))?;
        tokio::select! {
            sent = timeout(SEND_MAX, link.control.send(message)) => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(unreachable("the connection is closed".to_owned())),
                Err(_) => Err(unreachable(format!("it took no message for {SEND_MAX:?}"))),
            },
            error = link.connection.closed() => Err(unreachable(error.to_string())),
        }
    }

    /// A process is gone: its connections end now, and calls under way on them with `Unreachable`.
    pub fn peer_down(&self, node: &NodeName, incarnation: u64) {
        for link in self.peer(node).set_gone(incarnation) {
            link.close(Close::Gone, "its process is gone");
        }
        self.peers.down(node, incarnation, "its process is gone");
    }

    /// UDP payload sent and received since the start, over connections that ended too.
    pub fn bytes(&self) -> (u64, u64) {
        self.traffic.bytes()
    }

    /// Calls from peers that are under way here.
    pub fn calls_under_way(&self) -> usize {
        self.incoming.count()
    }

    /// What was refused since the start.
    pub fn refusals(&self) -> Refusals {
        Refusals {
            strangers: self.strangers.load(Ordering::Relaxed),
            malformed: self.malformed.load(Ordering::Relaxed),
            unauthorised: self.unauthorised.load(Ordering::Relaxed),
        }
    }

    /// Takes no new calls, tells the peers so, waits for the calls under way in both directions, and closes.
    pub async fn drain(&self, within: Duration) -> Result<(), Error> {
        let finished = self.finish_calls(within).await;
        self.close().await;
        finished
    }

    /// The first half of [`Quic::drain`]: afterwards control messages still travel, such as the last spans.
    pub async fn finish_calls(&self, within: Duration) -> Result<(), Error> {
        self.draining.store(true, Ordering::SeqCst);
        let links = self.links();
        let finish = links.iter().map(|link| async {
            link.ask_to_drain();
            // A peer says `drained` once it has read its last reply, so that closing cuts none off.
            tokio::select! {
                () = async { tokio::join!(link.drained.cancelled(), link.outgoing.idle()); } => {}
                _ = link.connection.closed() => {}
            }
        });
        let finish = async { tokio::join!(join_all(finish), self.incoming.idle()) };
        match timeout(within, finish).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Undrained {
                calls: self.incoming.count() + links.iter().map(|link| link.outgoing.count()).sum::<usize>(),
                within,
            }),
        }
    }

    /// The second half of [`Quic::drain`]: writes the messages that wait, and closes every connection.
    pub async fn close(&self) {
        self.draining.store(true, Ordering::SeqCst);
        join_all(self.links().iter().map(|link| async {
            link.closing.cancel();
            tokio::select! {
                () = link.flushed.cancelled() => {}
                _ = link.connection.closed() => {}
            }
            link.close(Close::Done, "closed");
        }))
        .await;
        self.endpoint
            .close(VarInt::from_u32(Close::Done as u32), b"closed");
        // Lets the last packets leave; a peer that is gone already answers none of them.
        let _ = timeout(Duration::from_secs(1), self.endpoint.wait_idle()).await;
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    fn peer(&self, node: &NodeName) -> Arc<Peer> {
        let mut directory = self.directory.lock().unwrap_or_else(PoisonError::into_inner);
        match directory.get(node) {
            Some(peer) => Arc::clone(peer),
            None => {
                let peer = Arc::new(Peer::new(node.clone()));
                directory.insert(node.clone(), Arc::clone(&peer));
                peer
            }
        }
    }

    fn links(&self) -> Vec<Arc<Link>> {
        let directory = self.directory.lock().unwrap_or_else(PoisonError::into_inner);
        directory
            .values()
            .flat_map(|peer| peer.reach().links.clone())
            .collect()
    }

    fn exports(&self) -> Guard<Arc<Exports>> {
        self.exports.load()
    }

    /// What an id stands for, if it is served.
    fn serves(&self, id: u32) -> Option<(HandlerName, Arc<FunctionPath>, TypeHash)> {
        let exports = self.exports.load();
        let entry = exports.get(id).filter(|entry| entry.served)?;
        Some((
            entry.exported.handler.clone(),
            Arc::clone(&entry.function),
            entry.exported.type_hash,
        ))
    }

    /// A share of the budget for large arguments; small ones need none.
    fn body_permit(&self, len: usize) -> Result<Option<OwnedSemaphorePermit>, CallError> {
        if len <= BODY_UNIT {
            return Ok(None);
        }
        Arc::clone(&self.bodies)
            .try_acquire_many_owned(len.div_ceil(BODY_UNIT) as u32)
            .map(Some)
            .map_err(|_| {
                CallError::new(
                    ErrorCode::Overloaded,
                    format!("node `{}` holds too many large arguments", self.node),
                )
            })
    }

    /// The connection to a peer, made if there is none; everyone who comes meanwhile waits for the same attempt.
    async fn connect(self: &Arc<Self>, peer: &Arc<Peer>, aim: Aim) -> Result<Arc<Link>, CallError> {
        if peer.is_gone(aim.1) {
            return Err(unreachable(peer, "its process is gone"));
        }
        let attempt = {
            let mut reach = peer.reach();
            if let Some(link) = reach.find(aim) {
                return Ok(link);
            }
            match reach.attempts.get(&aim) {
                Some((attempt, _)) => attempt.clone(),
                None => {
                    let cancel = CancellationToken::new();
                    let attempt = self.attempt(peer, aim, cancel.clone());
                    reach.attempts.insert(aim, (attempt.clone(), cancel));
                    attempt
                }
            }
        };
        attempt.await
    }

    fn attempt(self: &Arc<Self>, peer: &Arc<Peer>, aim: Aim, cancel: CancellationToken) -> Attempt {
        let (quic, peer) = (Arc::clone(self), Arc::clone(peer));
        let stopped = unreachable(&peer, "this node stops");
        let task = self.tasks.spawn("quic connect", async move {
            let connected = tokio::select! {
                biased;
                () = quic.tasks.cancelled() => Err("this node stops".to_owned()),
                () = cancel.cancelled() => Err("its process is gone".to_owned()),
                connected = quic.dial(&peer, aim) => connected,
            };
            // After the connection is listed, so that there is always one of both to be found.
            peer.reach().attempts.remove(&aim);
            connected.map_err(|reason| {
                quic.peers
                    .observe(&peer.node, aim.0, aim.1, PeerState::Down, Some(reason.clone()));
                unreachable(&peer, &reason)
            })
        });
        async move { task.await.ok().flatten().unwrap_or(Err(stopped)) }
            .boxed()
            .shared()
    }

    /// Dials until it succeeds, is refused, or the time is over.
    async fn dial(
        self: &Arc<Self>,
        peer: &Arc<Peer>,
        (address, incarnation): Aim,
    ) -> Result<Arc<Link>, String> {
        let until = Instant::now() + CONNECT_MAX;
        self.peers
            .observe(&peer.node, address, incarnation, PeerState::Connecting, None);
        loop {
            let mut config = quinn::ClientConfig::new(self.tls.client(&peer.node));
            config.transport_config(Arc::clone(&self.transport));
            let connecting = self
                .endpoint
                .connect_with(config, address, SERVER_NAME)
                .map_err(|error| error.to_string())?;
            match connecting.await {
                Ok(connection) => return self.establish(connection, Arc::clone(peer), incarnation).await,
                Err(ConnectionError::TimedOut) if Instant::now() < until => {}
                Err(ConnectionError::TimedOut) => return Err(format!("nobody answers at {address}")),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn observe(&self, link: &Link, state: PeerState, error: Option<String>) {
        self.peers
            .observe(&link.peer.node, link.address, link.incarnation, state, error);
    }

    /// Counts and logs a connection that was not taken.
    fn stranger(&self, address: &str, reason: &str) {
        self.strangers.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(
            peer.address = address,
            "refused a connection from {address}: {reason}"
        );
    }

    /// Counts, logs and closes a connection whose bytes are no frames.
    fn malformed(&self, link: &Link, error: &FrameError) {
        self.malformed.fetch_add(1, Ordering::Relaxed);
        let node = &link.peer.node;
        tracing::warn!(peer.name = %node, "closed the connection to node `{node}`: {error}");
        link.close(Close::Malformed, "it sent what is no frame");
    }

    /// Counts and logs a call in a foreign name.
    fn unauthorised(&self, link: &Link, caller: &str) -> CallError {
        self.unauthorised.fetch_add(1, Ordering::Relaxed);
        let node = &link.peer.node;
        tracing::warn!(peer.name = %node, "refused a call from node `{node}` in the name of {caller}");
        CallError::new(
            ErrorCode::Rejected,
            format!("node `{node}` may not call in the name of {caller}"),
        )
    }
}

fn unreachable(peer: &Peer, reason: &str) -> CallError {
    let node = &peer.node;
    CallError::new(
        ErrorCode::Unreachable,
        format!("node `{node}` is not reached: {reason}"),
    )
}

fn transport(config: &Config) -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(config.streams_max))
        // The control stream, and no other: a second one cannot even be opened.
        .max_concurrent_uni_streams(VarInt::from_u32(1))
        .keep_alive_interval(Some(config.keep_alive))
        .max_idle_timeout(IdleTimeout::try_from(config.idle_timeout).ok())
        // What one peer may have in flight to us: a few of the largest bodies.
        .receive_window(VarInt::from_u32(64 << 20))
        .stream_receive_window(VarInt::from_u32(4 << 20))
        .send_window(64 << 20)
        .datagram_receive_buffer_size(None);
    transport
}
