//! `Peers`: what this node knows of the others: where they are, which start they are, how the connection stands.
//!
//! A fact is written by who observes it (`quic`: connections; `placement`: processes) and read whole: a snapshot never
//! mixes two moments, and a watcher sees at least the last one. An older incarnation never overwrites a newer one.
//! Deciding what to do about a peer is not done here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use protocol::NodeName;
use tokio::sync::watch;

/// How the connection to a peer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerState {
    /// Heard of; no connection was needed yet, or the last one ended in order.
    Known,
    /// A connection is being made.
    Connecting,
    /// Connected.
    Connected,
    /// It finishes what it accepted and takes no new calls.
    Draining,
    /// It cannot be reached, or its process is gone.
    Down,
}

impl PeerState {
    /// The state in a word, as in JSON and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Draining => "draining",
            Self::Down => "down",
        }
    }
}

/// One other node, as seen from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Where it listens, as far as known.
    pub address: SocketAddr,
    /// Which start of its process this is; 0 until it has said so.
    pub incarnation: u64,
    /// How the connection stands.
    pub state: PeerState,
    /// Why the last connection, or the last attempt at one, ended.
    pub last_error: Option<String>,
}

/// Every peer by name.
pub type Snapshot = Arc<BTreeMap<NodeName, Peer>>;

/// What this node knows of the others.
#[derive(Debug)]
pub struct Peers {
    snapshot: watch::Sender<Snapshot>,
}

impl Default for Peers {
    fn default() -> Self {
        Self::new()
    }
}

impl Peers {
    /// Nobody is known.
    pub fn new() -> Self {
        Self {
            snapshot: watch::Sender::new(Snapshot::default()),
        }
    }

    /// Everybody, at one moment.
    pub fn snapshot(&self) -> Snapshot {
        Arc::clone(&self.snapshot.borrow())
    }

    /// One of them.
    pub fn get(&self, node: &NodeName) -> Option<Peer> {
        self.snapshot.borrow().get(node).cloned()
    }

    /// Follows every change.
    pub fn watch(&self) -> watch::Receiver<Snapshot> {
        self.snapshot.subscribe()
    }

    /// Writes what was observed of an incarnation; nothing happens where a later one is known. `error` stays the last
    /// one when there is none.
    pub fn observe(
        &self,
        node: &NodeName,
        address: SocketAddr,
        incarnation: u64,
        state: PeerState,
        error: Option<String>,
    ) {
        self.snapshot.send_if_modified(|snapshot| {
            let old = snapshot.get(node);
            if old.is_some_and(|old| old.incarnation > incarnation && incarnation != 0) {
                return false;
            }
            let peer = Peer {
                address,
                incarnation: incarnation.max(old.map_or(0, |old| old.incarnation)),
                state,
                last_error: error.or_else(|| old.and_then(|old| old.last_error.clone())),
            };
            if old == Some(&peer) {
                return false;
            }
            Arc::make_mut(snapshot).insert(node.clone(), peer);
            true
        });
    }

    /// An incarnation's process is gone.
    pub fn down(&self, node: &NodeName, incarnation: u64, reason: &str) {
        let address = self.get(node).map(|peer| peer.address);
        if let Some(address) = address {
            self.observe(
                node,
                address,
                incarnation,
                PeerState::Down,
                Some(reason.to_owned()),
            );
        }
    }

    /// Forgets a node that left for good.
    pub fn forget(&self, node: &NodeName) {
        self.snapshot
            .send_if_modified(|snapshot| Arc::make_mut(snapshot).remove(node).is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn an_older_incarnation_never_overwrites_a_newer_one() {
        let peers = Peers::new();
        let cart = NodeName::parse("cart").unwrap();
        peers.observe(&cart, address(2), 2, PeerState::Connected, None);
        peers.observe(&cart, address(1), 1, PeerState::Connected, None);
        peers.down(&cart, 1, "exited");
        let peer = peers.get(&cart).unwrap();
        assert_eq!((peer.address, peer.incarnation), (address(2), 2));
        assert_eq!(peer.state, PeerState::Connected);
        peers.down(&cart, 2, "exited");
        assert_eq!(peers.get(&cart).unwrap().state, PeerState::Down);
    }

    #[test]
    fn a_watcher_sees_changes_and_only_changes() {
        let peers = Peers::new();
        let home = NodeName::home();
        let mut watch = peers.watch();
        peers.observe(&home, address(1), 0, PeerState::Connecting, None);
        assert!(watch.has_changed().unwrap());
        assert_eq!(watch.borrow_and_update().len(), 1);
        peers.observe(&home, address(1), 0, PeerState::Connecting, None);
        assert!(!watch.has_changed().unwrap());
        peers.observe(&home, address(1), 0, PeerState::Down, Some("refused".into()));
        peers.observe(&home, address(1), 0, PeerState::Connecting, None);
        assert_eq!(
            peers.get(&home).unwrap().last_error.as_deref(),
            Some("refused"),
            "the last error stays until there is another"
        );
        peers.forget(&home);
        assert!(peers.snapshot().is_empty());
    }
}
