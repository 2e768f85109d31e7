//! `Link`: one connection with a peer: both sides' tables, what its control stream owes, the calls under way.
//!
//! What must be told to the peer is state here, not a message: the writer compares it with what it has sent, so that
//! nothing is told twice, out of order or never.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use bytes::Bytes;
use protocol::frame::{FrameError, Hello, TABLE_ENTRIES_MAX, TableFrame};
use protocol::{CallError, ErrorCode, FunctionPath, HandlerName, TypeHash};
use quinn::{Connection, VarInt};
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::gauge::Gauge;
use super::lane::Lanes;
use super::path::Path;
use super::peer::Peer;
use super::permissions::Admitted;
use super::table::{Imports, Missing};

/// Why a connection was closed, as the peer sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Close {
    /// In order.
    Done = 0,
    /// The peer sent what is no frame.
    Malformed = 1,
    /// The peer is not who it should be.
    Stranger = 2,
    /// The peer's process was reported gone.
    Gone = 3,
    /// In order, after every call that was accepted had been answered.
    Drained = 4,
}

/// One connection with a peer.
pub(super) struct Link {
    pub(super) connection: Connection,
    /// The same, for calls.
    pub(super) path: Path,
    /// Where the peer takes lanes, and those that are there.
    pub(super) reached: Reached,
    pub(super) lanes: Lanes,
    pub(super) peer: Arc<Peer>,
    /// The peer's, as its hello said.
    pub(super) incarnation: u64,
    pub(super) address: SocketAddr,
    /// Which of our papers the peer saw, by their number.
    pub(super) papers: u64,
    /// Calls from here to the peer.
    pub(super) outgoing: Arc<Gauge>,
    /// Control messages for the writer.
    pub(super) control: mpsc::Sender<Bytes>,
    /// Wakes the writer.
    pub(super) changed: Notify,
    /// Asks the writer to end the stream; then that it is read to its end.
    pub(super) closing: CancellationToken,
    pub(super) flushed: CancellationToken,
    /// The peer has no call under way to us.
    pub(super) drained: CancellationToken,
    /// The peer has ended its control stream, and all of it is taken in.
    pub(super) read_out: CancellationToken,
    /// What the peer exports.
    imports: ArcSwap<Imports>,
    /// For whom the peer speaks, by its ids.
    heard: ArcSwap<Vec<HandlerName>>,
    /// What those may call here, as far as it was worked out.
    pub(super) admitted: ArcSwap<Admitted>,
    /// For whom we speak, by our ids.
    speaks: Mutex<Speaks>,
    /// We take no new calls; the peer takes none.
    asked_to_drain: AtomicBool,
    peer_drains: AtomicBool,
    /// Another connection takes its place; we said so to the peer.
    retired: AtomicBool,
    asked_to_retire: AtomicBool,
    replacing: AtomicBool,
    /// The connection ended, whoever ended it.
    lost: AtomicBool,
    /// Our last question, the peer's last answer, the peer's last question.
    sync_asked: AtomicU64,
    synced: watch::Sender<u64>,
    sync_due: AtomicU64,
    ended: OnceLock<(Close, &'static str)>,
}

/// Where a peer takes lanes, as its hello said.
pub(super) struct Reached {
    /// Beside the address of the connection; 0 for nowhere.
    pub(super) tcp_port: u16,
    /// Empty for nowhere.
    pub(super) uds_path: String,
}

#[derive(Default)]
struct Speaks {
    ids: HashMap<HandlerName, u32>,
    names: Vec<HandlerName>,
}

impl Link {
    pub(super) fn new(
        connection: Connection,
        peer: Arc<Peer>,
        (hello, papers): (Hello, u64),
        control: mpsc::Sender<Bytes>,
    ) -> Self {
        Self {
            address: connection.remote_address(),
            path: Path::Quic(connection.clone()),
            reached: Reached {
                tcp_port: hello.tcp_port,
                uds_path: hello.uds_path,
            },
            lanes: Lanes::default(),
            connection,
            peer,
            incarnation: hello.incarnation,
            papers,
            outgoing: Arc::default(),
            control,
            changed: Notify::new(),
            closing: CancellationToken::new(),
            flushed: CancellationToken::new(),
            drained: CancellationToken::new(),
            read_out: CancellationToken::new(),
            imports: ArcSwap::default(),
            heard: ArcSwap::default(),
            admitted: ArcSwap::default(),
            speaks: Mutex::default(),
            asked_to_drain: AtomicBool::new(false),
            peer_drains: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            asked_to_retire: AtomicBool::new(false),
            replacing: AtomicBool::new(false),
            lost: AtomicBool::new(false),
            sync_asked: AtomicU64::new(0),
            synced: watch::Sender::new(0),
            sync_due: AtomicU64::new(0),
            ended: OnceLock::new(),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.ended.get().is_none() && self.connection.close_reason().is_none()
    }

    /// Whether a call may begin on it, as far as is known without asking the connection, which has a lock.
    pub(super) fn takes_calls(&self) -> bool {
        self.ended.get().is_none() && !self.lost.load(Ordering::SeqCst) && !self.is_retired()
    }

    pub(super) fn set_lost(&self) {
        self.lost.store(true, Ordering::SeqCst);
    }

    /// Whether we closed it in order.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.ended.get(), Some((Close::Done | Close::Drained, _)))
    }

    /// Ends everything on it at once.
    pub(super) fn close(&self, code: Close, reason: &'static str) {
        let _ = self.ended.set((code, reason));
        self.connection
            .close(VarInt::from_u32(code as u32), reason.as_bytes());
    }

    /// The error of a call whose connection ended before its reply. A peer that has drained refused every call that it
    /// had not answered, even where its refusal came too late: nothing ran, so that the caller may resolve again.
    pub(super) fn lost(&self, error: &quinn::ConnectionError) -> CallError {
        match error {
            quinn::ConnectionError::ApplicationClosed(close)
                if close.error_code.into_inner() == Close::Drained as u64 =>
            {
                let node = &self.peer.node;
                CallError::new(ErrorCode::NotFound, format!("node `{node}` takes no new calls"))
            }
            error => self.unreachable(error),
        }
    }

    /// The error of a call that the connection took with it.
    pub(super) fn unreachable(&self, error: &quinn::ConnectionError) -> CallError {
        let reason = match self.ended.get() {
            Some((_, reason)) => (*reason).to_owned(),
            None => error.to_string(),
        };
        let node = &self.peer.node;
        CallError::new(
            ErrorCode::Unreachable,
            format!("the connection to node `{node}` is lost: {reason}"),
        )
    }

    /// The id of a function at the peer. A miss is certain: the peer is asked first whether its table is behind.
    pub(super) async fn function(
        &self,
        handler: &HandlerName,
        function: &FunctionPath,
        type_hash: Option<TypeHash>,
    ) -> Result<u32, CallError> {
        if let Ok(id) = self.imports.load().find(handler, function, type_hash) {
            return Ok(id);
        }
        self.sync().await?;
        self.imports
            .load()
            .find(handler, function, type_hash)
            .map_err(|missing| {
                let node = &self.peer.node;
                let reason = match missing {
                    Missing::Function => "is not served",
                    Missing::Type => "has another type",
                };
                CallError::new(
                    ErrorCode::NotFound,
                    format!("`{function}` of handler `{handler}` {reason} at node `{node}`"),
                )
            })
    }

    /// Waits until all that the peer exported before this call is in the table.
    pub(super) async fn sync(&self) -> Result<(), CallError> {
        let number = self.sync_asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut synced = self.synced.subscribe();
        self.changed.notify_one();
        tokio::select! {
            biased;
            answered = synced.wait_for(|seen| *seen >= number) => {
                answered.expect("the sender lives as long as this link");
                Ok(())
            }
            error = self.connection.closed() => Err(self.unreachable(&error)),
        }
    }

    /// Our id for a caller; the peer is told of a new one.
    pub(super) fn caller(&self, caller: &HandlerName) -> Result<u32, CallError> {
        let mut speaks = self.speaks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = speaks.ids.get(caller) {
            return Ok(*id);
        }
        let id = speaks.names.len();
        if id >= TABLE_ENTRIES_MAX {
            return Err(CallError::new(
                ErrorCode::Overloaded,
                format!("too many callers on the connection to node `{}`", self.peer.node),
            ));
        }
        speaks.names.push(caller.clone());
        speaks.ids.insert(caller.clone(), id as u32);
        self.changed.notify_one();
        Ok(id as u32)
    }

    /// The callers that the peer was not told of yet.
    pub(super) fn callers_from(&self, first: usize) -> Vec<HandlerName> {
        let speaks = self.speaks.lock().unwrap_or_else(PoisonError::into_inner);
        speaks.names.iter().skip(first).cloned().collect()
    }

    /// The peer's caller of an id, if it was announced.
    pub(super) fn heard(&self, id: u32) -> Option<HandlerName> {
        self.heard.load().get(id as usize).cloned()
    }

    /// The peer announced callers. Only the reader of its control stream calls this.
    pub(super) fn hear(&self, frame: TableFrame<HandlerName>) -> Result<(), FrameError> {
        let mut heard = self.heard.load().as_ref().clone();
        frame.append_to(&mut heard)?;
        self.heard.store(Arc::new(heard));
        self.peer.heard.notify_waiters();
        Ok(())
    }

    /// The peer exports more. Only the reader of its control stream calls this.
    pub(super) fn import(&self, frame: TableFrame<protocol::frame::Exported>) -> Result<(), FrameError> {
        let mut imports = self.imports.load().as_ref().clone();
        let (first, len) = (frame.first, imports.len());
        if first as usize != len || len + frame.entries.len() > TABLE_ENTRIES_MAX {
            return Err(FrameError::Gap { first, len });
        }
        imports.extend(frame.entries);
        self.imports.store(Arc::new(imports));
        Ok(())
    }

    /// Tells the peer that we take no new calls.
    pub(super) fn ask_to_drain(&self) {
        self.asked_to_drain.store(true, Ordering::SeqCst);
        self.changed.notify_one();
    }

    pub(super) fn asked_to_drain(&self) -> bool {
        self.asked_to_drain.load(Ordering::SeqCst)
    }

    /// The peer takes no new calls. A call counts itself as outgoing before it looks here.
    pub(super) fn set_peer_drains(&self) {
        self.peer_drains.store(true, Ordering::SeqCst);
        self.changed.notify_one();
    }

    pub(super) fn peer_drains(&self) -> bool {
        self.peer_drains.load(Ordering::SeqCst)
    }

    /// Whether nobody began to replace it before.
    pub(super) fn is_first_to_replace(&self) -> bool {
        !self.replacing.swap(true, Ordering::SeqCst)
    }

    /// Another connection takes the place of this one: it takes no new calls, and the peer is asked for the same.
    pub(super) fn retire(&self) {
        self.asked_to_retire.store(true, Ordering::SeqCst);
        self.set_retired();
    }

    pub(super) fn asked_to_retire(&self) -> bool {
        self.asked_to_retire.load(Ordering::SeqCst)
    }

    /// No call begins here any more. A call counts itself as outgoing before it looks at this.
    pub(super) fn set_retired(&self) {
        self.retired.store(true, Ordering::SeqCst);
        self.changed.notify_one();
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::SeqCst)
    }

    /// The peer has ended its control stream; where the connection is being replaced, ours ends too.
    pub(super) fn set_read_out(&self) {
        self.read_out.cancel();
        if self.is_retired() {
            self.closing.cancel();
        }
    }

    pub(super) fn sync_asked(&self) -> u64 {
        self.sync_asked.load(Ordering::SeqCst)
    }

    pub(super) fn sync_due(&self) -> u64 {
        self.sync_due.load(Ordering::SeqCst)
    }

    /// The peer asks for an answer behind everything that is written.
    pub(super) fn set_sync_due(&self, number: u64) {
        self.sync_due.fetch_max(number, Ordering::SeqCst);
        self.changed.notify_one();
    }

    pub(super) fn set_synced(&self, number: u64) {
        self.synced.send_replace(number);
    }
}
