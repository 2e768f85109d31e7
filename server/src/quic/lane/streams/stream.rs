//! `Stream`: one call on a multiplexed connection, as one end of it knows it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use bytes::{Bytes, BytesMut};
use tokio::sync::OwnedSemaphorePermit;

use super::WINDOW_BYTES;

/// One call.
pub(super) struct Stream {
    /// On the wire; 0 before it began.
    pub(super) id: u64,
    pub(super) incoming: VecDeque<Bytes>,
    /// Small pieces behind those, joined.
    pub(super) tail: BytesMut,
    pub(super) end: Option<End>,
    pub(super) room: usize,
    pub(super) eaten: usize,
    pub(super) reader: Option<Waker>,
    pub(super) outgoing: VecDeque<Bytes>,
    /// Nothing follows what is outgoing.
    pub(super) is_whole: bool,
    pub(super) is_ready: bool,
    /// Something of it has left.
    pub(super) has_begun: bool,
    pub(super) credit: usize,
    pub(super) stopper: Option<Waker>,
    /// Halves that somebody holds.
    pub(super) halves: u8,
    /// Over on the wire: nothing leaves any more, and nothing that comes counts.
    pub(super) is_over: bool,
    /// The place among the open streams, of who dialed.
    pub(super) slot: Option<OwnedSemaphorePermit>,
}

/// How the peer's half ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Fin,
    Reset,
}

/// Why a stream gives nothing, or takes nothing.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::quic::lane) enum Gone {
    /// The peer gave it up, or has answered already.
    Reset,
    /// The connection is lost; whether nothing of the stream had left.
    Lost { reason: Arc<str>, unsent: bool },
}

impl Stream {
    pub(super) fn new(id: u64, slot: Option<OwnedSemaphorePermit>) -> Self {
        Self {
            id,
            incoming: VecDeque::new(),
            tail: BytesMut::new(),
            end: None,
            room: WINDOW_BYTES,
            eaten: 0,
            reader: None,
            outgoing: VecDeque::new(),
            is_whole: false,
            is_ready: false,
            has_begun: false,
            credit: WINDOW_BYTES,
            stopper: None,
            halves: 2,
            is_over: false,
            slot,
        }
    }

    pub(super) fn held(&self) -> usize {
        self.incoming.iter().map(Bytes::len).sum::<usize>() + self.tail.len()
    }

    pub(super) fn wake(&mut self) {
        self.reader.take().into_iter().for_each(Waker::wake);
        self.stopper.take().into_iter().for_each(Waker::wake);
    }

    /// Whether it has something to send now.
    pub(super) fn may_send(&self) -> bool {
        !self.is_over
            && ((self.credit > 0 && !self.outgoing.is_empty()) || (self.is_whole && self.outgoing.is_empty()))
    }
}
