//! `Quic`: this node's endpoint: calls and control messages to and from the other nodes.
//!
//! Mutual TLS 1.3 with certificates of home's authority, deny by default; one logical connection per peer in either
//! direction, made on first use; one stream per call. A peer that dies silently is noticed within the idle timeout, or
//! at once when [`Quic::peer_down`] says so; its calls end with `Unreachable`. Placing nodes and choosing targets is
//! not done here, and nothing that arrives is forwarded. `ARCHITECTURE.md` has the wire in one table.

mod authority;
mod client;
mod control;
mod dial;
mod error;
mod gauge;
mod identity;
mod lane;
mod link;
mod listener;
mod path;
mod peer;
mod permissions;
mod renewal;
mod shaped;
mod stream;
mod table;
#[cfg(test)]
mod tests;
mod tls;
mod traffic;
mod transport;
mod twin;

use std::collections::{HashMap, HashSet};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use futures_util::future::join_all;
use protocol::control::Control;
use protocol::frame::{FUNCTION_BYTES_MAX, FrameError, Hello, VERSION, encode_control};
use protocol::{CallError, ErrorCode, FunctionPath, HandlerName, NodeName, Rung, Shaping, TypeHash};
use quinn::{AsyncUdpSocket, Endpoint, EndpointConfig, Runtime as _, TokioRuntime, TransportConfig, VarInt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

pub use authority::{Authority, LEAF_VALID, RENEWED_EVERY};
pub use client::PeerClient;
pub use error::Error;
pub use identity::Identity;
pub use permissions::Permissions;
pub use protocol::frame::Exported;
pub use twin::Twin;

use crate::dispatch::Dispatcher;
use crate::peers::{PeerState, Peers};
use crate::shutdown::Tasks;
use gauge::Gauge;
use lane::Meter;
use lane::listen::Doors;
use link::{Close, Link};
use path::Path;
use peer::Peer;
use permissions::{Admission, Denied};
use table::Exports;
use tls::Tls;
use traffic::Traffic;

/// Connections at the same time: far more nodes than one machine runs.
const CONNECTIONS_MAX: usize = 256;
/// Control messages that wait for one peer; beyond it the sender waits.
const CONTROL_WAITING_MAX: usize = 64;
/// A control message that a peer does not take for so long will not be taken.
const SEND_MAX: Duration = Duration::from_secs(10);
/// Received arguments above 64 KiB of all calls under way; beyond it calls end with `Overloaded`.
const BODIES_BYTES_MAX: usize = 256 << 20;
/// The unit of that budget.
const BODY_UNIT: usize = 64 << 10;
/// A stream reset because its call was given up.
const CANCELLED: VarInt = VarInt::from_u32(1);

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
    /// Where its Unix socket is put, a directory for nobody else; without it there is none.
    pub sockets: Option<PathBuf>,
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
            sockets: None,
        }
    }
}

/// What was refused since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Connections and lanes: no certificate of ours, no token of a connection, wrong protocol, too many.
    pub strangers: u64,
    /// Connections and lanes closed because of bytes that are no frame.
    pub malformed: u64,
    /// Calls in the name of a handler for which the peer may not speak, or of a function that the caller may not call.
    pub unauthorised: u64,
}

/// This node's endpoint.
pub struct Quic {
    node: NodeName,
    incarnation: u64,
    endpoint: Endpoint,
    /// How this node opens a connection's control stream.
    hello: Hello,
    streams_max: usize,
    tls: ArcSwap<Tls>,
    /// How often `tls` was replaced.
    papers: AtomicU64,
    transport: Arc<TransportConfig>,
    local: Dispatcher,
    control: mpsc::Sender<(NodeName, Control)>,
    tasks: Tasks,
    exports: ArcSwap<Exports>,
    /// Who may call what.
    admission: Admission,
    /// Held while the exports are replaced.
    exporting: Mutex<()>,
    directory: Mutex<HashMap<NodeName, Arc<Peer>>>,
    peers: Arc<Peers>,
    /// Calls from peers to here.
    incoming: Arc<Gauge>,
    draining: AtomicBool,
    /// Every call that was accepted before has been answered, and its reply read.
    drained: AtomicBool,
    bodies: Arc<Semaphore>,
    traffic: Traffic,
    lane_bytes: Arc<Meter>,
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
        let failed = |source| Error::Bind {
            address: config.listen,
            source,
        };
        let socket = UdpSocket::bind(config.listen).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        let socket = TokioRuntime.wrap_udp_socket(socket).map_err(failed)?;
        let endpoint = transport::endpoint(&config);
        let doors = Doors::open(address, config.sockets.as_deref())?;
        Self::bind_on((socket, endpoint, doors), config, local, control, tasks)
    }

    /// The same on a socket that is there already: the seam at which tests put a network of their own.
    fn bind_on(
        (socket, endpoint, doors): (Arc<dyn AsyncUdpSocket>, EndpointConfig, Doors),
        config: Config,
        local: Dispatcher,
        control: mpsc::Sender<(NodeName, Control)>,
        tasks: Tasks,
    ) -> Result<Arc<Self>, Error> {
        let tls = Tls::new(&config.identity)?;
        let transport = Arc::new(transport::connection(&config));
        let server = transport::server(&tls, &transport);
        let endpoint =
            Endpoint::new_with_abstract_socket(endpoint, Some(server), socket, Arc::new(TokioRuntime))
                .map_err(|source| Error::Bind {
                    address: config.listen,
                    source,
                })?;
        let quic = Arc::new(Self {
            node: config.identity.node,
            incarnation: config.incarnation,
            endpoint,
            hello: Hello {
                version: VERSION as u32,
                incarnation: config.incarnation,
                tcp_port: doors.tcp_port(),
                uds_path: doors.uds_path(),
            },
            streams_max: config.streams_max as usize,
            tls: ArcSwap::from_pointee(tls),
            papers: AtomicU64::new(0),
            transport,
            local,
            control,
            tasks,
            exports: ArcSwap::default(),
            admission: Admission::default(),
            exporting: Mutex::default(),
            directory: Mutex::default(),
            peers: Arc::default(),
            incoming: Arc::default(),
            draining: AtomicBool::new(false),
            drained: AtomicBool::new(false),
            bodies: Arc::new(Semaphore::new(BODIES_BYTES_MAX / BODY_UNIT)),
            traffic: Traffic::default(),
            lane_bytes: Arc::default(),
            strangers: AtomicU64::new(0),
            malformed: AtomicU64::new(0),
            unauthorised: AtomicU64::new(0),
        });
        quic.tasks.spawn("quic listener", Arc::clone(&quic).listen());
        quic.open_doors(doors);
        Ok(quic)
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.endpoint.local_addr().expect("a bound socket has an address")
    }

    /// This node's name.
    pub fn node(&self) -> &NodeName {
        &self.node
    }

    /// What is known of the other nodes.
    pub fn peers(&self) -> &Arc<Peers> {
        &self.peers
    }

    /// Serves exactly these functions to peers. Additions are told to every connected peer before this node answers a
    /// peer's question for them; what is withdrawn answers `NotFound` from now on, with nothing run.
    pub fn set_exports(&self, mut exported: Vec<Exported>) -> Result<(), Error> {
        exported.retain(|entry| {
            let fits = entry.function.function.len() <= FUNCTION_BYTES_MAX;
            if !fits {
                let handler = &entry.handler;
                tracing::warn!(handler.name = %handler, "a function of `{handler}` is not served to other nodes: its name is longer than {FUNCTION_BYTES_MAX} bytes");
            }
            fits
        });
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
        self.admission.changed();
    }

    /// What callers of other nodes may call here; nothing until this says so. Home may call everything.
    pub fn set_permissions(&self, permissions: Permissions) {
        self.admission.set(permissions);
        let directory = self.directory.lock().unwrap_or_else(PoisonError::into_inner);
        directory.values().for_each(|peer| peer.heard.notify_waiters());
    }

    /// Calls to one incarnation of a node; incarnation 0 takes whichever answers there.
    pub fn client(
        self: &Arc<Self>,
        node: &NodeName,
        address: SocketAddr,
        incarnation: u64,
    ) -> Arc<PeerClient> {
        self.client_by((Rung::Quic, Shaping::default()), node, address, incarnation)
    }

    /// The same by a rung of the ladder: `uds`, `tcp` or `quic`, with what is done to the way. An edge with a shaped way
    /// has a connection of its own.
    pub fn client_by(
        self: &Arc<Self>,
        by: (Rung, Shaping),
        node: &NodeName,
        address: SocketAddr,
        incarnation: u64,
    ) -> Arc<PeerClient> {
        let peer = self.peer(node);
        Arc::new(PeerClient::new(
            Arc::clone(self),
            peer,
            (address, incarnation),
            by,
        ))
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
        let peer = self.peer(node);
        let sent = timeout(SEND_MAX, async {
            loop {
                let messenger = peer.reach().messenger(address);
                let Some(link) = messenger else {
                    let connected = self.connect(&peer, (address, 0)).await;
                    connected.map_err(|error| error.message)?;
                    // Where the peer dialed too there may be two now: the next message leaves on the same one.
                    continue;
                };
                tokio::select! {
                    biased;
                    // What waits on a connection that ends in order is read before this message leaves on the next one.
                    ended = link.connection.closed(), if link.closing.is_cancelled() => drop(ended),
                    sent = link.control.send(message.clone()) => match sent {
                        Ok(()) => return Ok(()),
                        Err(_) if link.closing.is_cancelled() => {}
                        Err(_) => return Err("the connection is closed".to_owned()),
                    },
                    error = link.connection.closed() => return Err(error.to_string()),
                }
            }
        });
        match sent.await {
            Ok(sent) => sent.map_err(unreachable),
            Err(_) => Err(unreachable(format!("it took no message for {SEND_MAX:?}"))),
        }
    }

    /// A process is gone: its connections end now, and calls under way on them with `Unreachable`.
    pub fn peer_down(&self, node: &NodeName, incarnation: u64) {
        for link in self.peer(node).set_gone(incarnation) {
            link.close(Close::Gone, "its process is gone");
        }
        self.peers.down(node, incarnation, "its process is gone");
    }

    /// Bytes sent and received since the start, over connections that ended too: UDP payload of QUIC, and what lanes carry.
    pub fn bytes(&self) -> (u64, u64) {
        let ((sent, received), lanes) = (self.traffic.bytes(), self.lane_bytes.bytes());
        (sent + lanes.0, received + lanes.1)
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
        let finish = async {
            // A peer says `drained` once it has read its last reply, so that closing cuts none off.
            let drained = links.iter().map(|link| async {
                link.ask_to_drain();
                tokio::select! {
                    () = link.drained.cancelled() => {}
                    _ = link.connection.closed() => {}
                }
            });
            tokio::join!(join_all(drained), self.incoming.idle());
            // Only then: calls from peers make calls of their own.
            join_all(links.iter().map(|link| link.outgoing.idle())).await;
        };
        match timeout(within, finish).await {
            Ok(()) => {
                self.drained.store(true, Ordering::SeqCst);
                Ok(())
            }
            Err(_) => Err(Error::Undrained {
                calls: self.incoming.count() + links.iter().map(|link| link.outgoing.count()).sum::<usize>(),
                within,
            }),
        }
    }

    /// The second half of [`Quic::drain`]: writes the messages that wait, and closes every connection.
    pub async fn close(&self) {
        self.draining.store(true, Ordering::SeqCst);
        let code = match self.drained.load(Ordering::SeqCst) {
            true => Close::Drained,
            false => Close::Done,
        };
        join_all(self.links().iter().map(|link| async {
            link.closing.cancel();
            tokio::select! {
                () = link.flushed.cancelled() => {}
                _ = link.connection.closed() => {}
            }
            link.close(code, "closed");
        }))
        .await;
        self.endpoint.close(VarInt::from_u32(code as u32), b"closed");
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

    /// The same for what came by one of its paths: a lane goes alone.
    fn malformed_on(&self, link: &Link, path: &Path, error: &FrameError) {
        if path.is_lane_of(link) {
            self.malformed_lane(link, path, error);
        } else {
            self.malformed(link, error);
        }
    }

    fn malformed_lane(&self, link: &Link, lane: &Path, error: &FrameError) {
        self.malformed.fetch_add(1, Ordering::Relaxed);
        let node = &link.peer.node;
        tracing::warn!(peer.name = %node, "closed a lane to node `{node}`: {error}");
        lane.close(Close::Malformed, "it sent what is no frame");
    }

    /// Counts a call that its peer may not make, and logs the first of its kind.
    fn unauthorised(&self, link: &Link, denied: &Denied, ids: (u32, u32)) -> CallError {
        self.unauthorised.fetch_add(1, Ordering::Relaxed);
        let (node, caller) = (&link.peer.node, denied.caller(ids));
        let message = match (denied, self.exports().get(ids.1)) {
            (Denied::Function(_), Some(entry)) => format!(
                "{caller} may not call `{}` of `{}`: it does not import it, or `interfaces` in its section of \
                 cleave.toml leaves it out",
                entry.function, entry.exported.handler
            ),
            _ => format!("node `{node}` may not call in the name of {caller}"),
        };
        if self.admission.refuse(node, &caller, ids.1) {
            tracing::warn!(peer.name = %node, "refused a call from node `{node}`, this and further ones: {message}");
        }
        CallError::new(ErrorCode::Rejected, message)
    }
}
