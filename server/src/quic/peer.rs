//! `Peer`: one other node: its connections, the attempts to reach it, and for whom it may speak.
//!
//! One connection per peer is enough: calls and control messages go over it in both directions, whoever dialed. When
//! two nodes dial each other at the same moment both connections stay, and each side uses the first that fits. A
//! connection belongs to one incarnation; a client for another never uses it.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use futures_util::future::{BoxFuture, Shared};
use protocol::{CallError, HandlerName, NodeName};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::link::Link;

/// An attempt that everyone who needs the connection waits for.
pub(super) type Attempt = Shared<BoxFuture<'static, Result<Arc<Link>, CallError>>>;

/// Where an attempt goes: the address, and the incarnation that must answer, 0 for any.
pub(super) type Aim = (SocketAddr, u64);

/// One other node.
pub(super) struct Peer {
    pub(super) node: NodeName,
    is_home: bool,
    /// Wakes calls that came before their caller was announced or allowed.
    pub(super) heard: Notify,
    speaks_for: ArcSwap<HashSet<HandlerName>>,
    reach: Mutex<Reach>,
    /// The latest incarnation known to be gone.
    gone: AtomicU64,
}

/// Connections and attempts.
#[derive(Default)]
pub(super) struct Reach {
    pub(super) links: Vec<Arc<Link>>,
    pub(super) attempts: HashMap<Aim, (Attempt, CancellationToken)>,
}

impl Peer {
    pub(super) fn new(node: NodeName) -> Self {
        Self {
            is_home: node == NodeName::home(),
            node,
            heard: Notify::new(),
            speaks_for: ArcSwap::default(),
            reach: Mutex::default(),
            gone: AtomicU64::new(0),
        }
    }

    pub(super) fn reach(&self) -> MutexGuard<'_, Reach> {
        self.reach.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_home(&self) -> bool {
        self.is_home
    }

    /// Whether its calls may come from this handler. Home relays for everybody: ingress, queue, tools.
    pub(super) fn may_speak_for(&self, caller: &HandlerName) -> bool {
        self.is_home || self.speaks_for.load().contains(caller)
    }

    pub(super) fn set_speaks_for(&self, callers: HashSet<HandlerName>) {
        self.speaks_for.store(Arc::new(callers));
        self.heard.notify_waiters();
    }

    pub(super) fn is_gone(&self, incarnation: u64) -> bool {
        incarnation != 0 && incarnation <= self.gone.load(Ordering::SeqCst)
    }

    /// Remembers that an incarnation is gone; gives its connections, and ends the attempts to reach it.
    pub(super) fn set_gone(&self, incarnation: u64) -> Vec<Arc<Link>> {
        self.gone.fetch_max(incarnation, Ordering::SeqCst);
        let reach = self.reach();
        for ((_, expected), (_, cancel)) in &reach.attempts {
            if *expected != 0 && *expected <= incarnation {
                cancel.cancel();
            }
        }
        reach
            .links
            .iter()
            .filter(|link| link.incarnation <= incarnation)
            .cloned()
            .collect()
    }
}

impl Reach {
    /// An open connection to this address and incarnation.
    pub(super) fn find(&self, (address, incarnation): Aim) -> Option<Arc<Link>> {
        self.links
            .iter()
            .find(|link| {
                link.is_open()
                    && !link.is_retired()
                    && link.address == address
                    && (incarnation == 0 || link.incarnation == incarnation)
            })
            .cloned()
    }

    /// The connection for messages to this address: one that is being replaced keeps them until it ends.
    pub(super) fn messenger(&self, address: SocketAddr) -> Option<Arc<Link>> {
        self.links
            .iter()
            .find(|link| link.is_open() && link.address == address)
            .cloned()
    }
}
