//! `Streams`: the calls on one multiplexed connection: what each has to send, what came for it, who may send how much.
//!
//! Pure: frames in, frames out, wakers in between. Calls take turns by chunks, so that a large one holds no small one
//! up. What is held of a peer's bytes is bounded by the windows that were given to it, of a stream and of the whole
//! connection; a peer that exceeds one, or opens more streams than it may, is malformed.

mod stream;

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes, BytesMut};
use protocol::frame::{
    FrameError, LANE_CHUNK_BYTES_MAX, LaneHead, LaneKind, decode_window, encode_lane, encode_window,
};
use rustc_hash::FxHashMap;
use tokio::sync::OwnedSemaphorePermit;

pub(super) use stream::Gone;
use stream::{End, Stream};

/// What a peer may send on one stream before it is read: as much as on one of QUIC's.
pub(super) const WINDOW_BYTES: usize = 4 << 20;
/// The same for all streams together.
pub(super) const LANE_WINDOW_BYTES: usize = 64 << 20;
/// Bytes that wait to be sent; beyond it writers wait.
const QUEUED_BYTES_MAX: usize = 64 << 20;
/// What leaves in one go.
const BATCH_BYTES: usize = 2 * LANE_CHUNK_BYTES_MAX;
/// Pieces up to this size are joined, longer ones are kept as they came.
const SMALL_BYTES_MAX: usize = 4 << 10;

/// All streams of a connection.
pub(super) struct Streams {
    /// Who dialed opens; who accepted serves.
    is_dialer: bool,
    streams_max: usize,
    /// By their keys here: of who serves the streams' ids, of who dialed in the order of opening.
    streams: FxHashMap<u64, Stream>,
    opened: u64,
    /// Keys by ids, of who dialed. An id is given when a stream begins, so that ids grow on the wire.
    keys: FxHashMap<u64, u64>,
    /// The latest stream on the wire.
    last: u64,
    /// Streams that are not over on the wire.
    open: usize,
    /// Streams that nobody has accepted yet.
    fresh: VecDeque<u64>,
    /// Streams that have something to send and may.
    ready: VecDeque<u64>,
    /// Resets and windows, encoded.
    notes: BytesMut,
    queued: usize,
    /// What may still be sent, and what may still come; what was read and not given back.
    credit: usize,
    room: usize,
    eaten: usize,
    lost: Option<Arc<str>>,
}

impl Streams {
    pub(super) fn new(is_dialer: bool, streams_max: usize) -> Self {
        Self {
            is_dialer,
            streams_max,
            streams: FxHashMap::default(),
            opened: 0,
            keys: FxHashMap::default(),
            last: 0,
            open: 0,
            fresh: VecDeque::new(),
            ready: VecDeque::new(),
            notes: BytesMut::new(),
            queued: 0,
            credit: LANE_WINDOW_BYTES,
            room: LANE_WINDOW_BYTES,
            eaten: 0,
            lost: None,
        }
    }

    /// Why nothing is carried any more.
    pub(super) fn lost(&self) -> Option<&Arc<str>> {
        self.lost.as_ref()
    }

    /// Whether a reset or a window waits to be sent.
    pub(super) fn owes(&self) -> bool {
        !self.notes.is_empty()
    }

    /// Whether more may wait to be sent.
    pub(super) fn has_room(&self) -> bool {
        self.queued <= QUEUED_BYTES_MAX
    }

    /// Opens a stream.
    pub(super) fn open(&mut self, slot: OwnedSemaphorePermit) -> u64 {
        self.opened += 1;
        self.open += 1;
        self.streams.insert(self.opened, Stream::new(0, Some(slot)));
        self.opened
    }

    /// The next stream of the peer's.
    pub(super) fn accept(&mut self) -> Option<u64> {
        self.fresh.pop_front()
    }

    /// Has a head and a body sent, and the stream's end behind them.
    pub(super) fn send(&mut self, id: u64, pieces: [Bytes; 2]) -> Result<(), Gone> {
        if let Some(gone) = self.gone(id) {
            return Err(gone);
        }
        let Some(stream) = self.streams.get_mut(&id).filter(|stream| !stream.is_over) else {
            return Err(Gone::Reset);
        };
        for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
            self.queued += piece.len();
            stream.outgoing.push_back(piece);
        }
        stream.is_whole = true;
        self.make_ready(id);
        Ok(())
    }

    fn gone(&self, id: u64) -> Option<Gone> {
        let unsent = self.streams.get(&id).is_none_or(|stream| !stream.has_begun);
        let reason = self.lost.clone()?;
        Some(Gone::Lost { reason, unsent })
    }

    fn make_ready(&mut self, id: u64) {
        if let Some(stream) = self.streams.get_mut(&id)
            && stream.may_send()
            && !stream.is_ready
        {
            stream.is_ready = true;
            self.ready.push_back(id);
        }
    }

    /// Gives a stream up, unless it is over.
    pub(super) fn reset(&mut self, id: u64) {
        let Some(stream) = self.streams.get(&id).filter(|stream| !stream.is_over) else {
            return;
        };
        // Who serves knows that the peer has begun it.
        if stream.has_begun || !self.is_dialer {
            let reset = LaneHead {
                stream: stream.id,
                kind: LaneKind::Reset,
                len: 0,
            };
            encode_lane(&reset, &mut self.notes);
        }
        self.end(id);
    }

    /// A half is not held any more. With the second one the stream goes, once a whole answer has left.
    pub(super) fn let_go(&mut self, id: u64) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        stream.halves = stream.halves.saturating_sub(1);
        if stream.halves > 0 {
            return;
        }
        let answers = !self.is_dialer && stream.is_whole;
        if !stream.is_over && !answers {
            self.reset(id);
        }
        self.remove_over(id);
    }

    /// It is over on the wire: what waits to be sent is not sent.
    fn end(&mut self, id: u64) {
        let Some(stream) = self.streams.get_mut(&id).filter(|stream| !stream.is_over) else {
            return;
        };
        stream.is_over = true;
        stream.slot = None;
        self.open -= 1;
        self.keys.remove(&stream.id);
        self.queued -= stream.outgoing.drain(..).map(|piece| piece.len()).sum::<usize>();
    }

    /// Forgets a stream that is over and that nobody holds, with what came of it.
    fn remove_over(&mut self, id: u64) {
        let is_done = |stream: &Stream| stream.is_over && stream.halves == 0;
        if self.streams.get(&id).is_some_and(is_done)
            && let Some(stream) = self.streams.remove(&id)
        {
            self.give_back(stream.held());
        }
    }

    /// Bytes of the peer's are not held any more: it may send as many again.
    fn give_back(&mut self, bytes: usize) {
        self.eaten += bytes;
        if self.eaten >= LANE_WINDOW_BYTES / 4 {
            self.room += self.eaten;
            encode_window(0, std::mem::take(&mut self.eaten) as u64, &mut self.notes);
        }
    }

    /// The next bytes of a stream, `None` at its end.
    pub(super) fn read(&mut self, id: u64, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Gone>> {
        let gone = self.gone(id);
        let Some(stream) = self.streams.get_mut(&id) else {
            return Poll::Ready(Err(gone.unwrap_or(Gone::Reset)));
        };
        if stream.end == Some(End::Reset) {
            return Poll::Ready(Err(Gone::Reset));
        }
        let piece = match stream.incoming.pop_front() {
            Some(piece) => piece,
            None if !stream.tail.is_empty() => stream.tail.split().freeze(),
            None if stream.end.is_some() => return Poll::Ready(Ok(None)),
            None => match gone {
                Some(gone) => return Poll::Ready(Err(gone)),
                None => {
                    stream.reader = Some(cx.waker().clone());
                    return Poll::Pending;
                }
            },
        };
        stream.eaten += piece.len();
        if stream.end.is_none() && stream.eaten >= WINDOW_BYTES / 2 {
            stream.room += stream.eaten;
            let more = std::mem::take(&mut stream.eaten) as u64;
            encode_window(stream.id, more, &mut self.notes);
        }
        self.give_back(piece.len());
        Poll::Ready(Ok(Some(piece)))
    }

    /// Whether the peer does not want the rest.
    pub(super) fn poll_stopped(&mut self, id: u64, cx: &mut Context<'_>) -> Poll<()> {
        match self.streams.get_mut(&id) {
            Some(stream) if !stream.is_over && self.lost.is_none() => {
                stream.stopper = Some(cx.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    /// Takes in a frame whose bytes stand at the front of `bytes`; whether it began a stream.
    pub(super) fn receive(&mut self, head: LaneHead, bytes: &mut BytesMut) -> Result<bool, FrameError> {
        let LaneHead {
            stream: id,
            kind,
            len,
        } = head;
        if id > self.last && (self.is_dialer || !matches!(kind, LaneKind::Data | LaneKind::Fin)) {
            return Err(FrameError::Malformed("stream of a lane"));
        }
        match kind {
            LaneKind::Window => {
                let more = decode_window(&bytes.split_to(len))?;
                self.widen(id, more)?;
            }
            LaneKind::Reset => {
                if let Some(key) = self.key(id) {
                    self.reset_by_peer(key);
                }
            }
            LaneKind::Data | LaneKind::Fin => {
                let is_new = id > self.last;
                if is_new {
                    if self.open >= self.streams_max {
                        return Err(FrameError::Malformed("number of streams"));
                    }
                    self.last = id;
                    self.open += 1;
                    self.streams.insert(id, Stream::new(id, None));
                    self.fresh.push_back(id);
                }
                self.take_in(id, kind, len, bytes)?;
                return Ok(is_new);
            }
        }
        Ok(false)
    }

    fn take_in(
        &mut self,
        id: u64,
        kind: LaneKind,
        len: usize,
        bytes: &mut BytesMut,
    ) -> Result<(), FrameError> {
        if kind == LaneKind::Data && len == 0 {
            return Err(FrameError::Malformed("empty piece"));
        }
        self.room = self
            .room
            .checked_sub(len)
            .ok_or(FrameError::Malformed("more than the lane's window"))?;
        let key = self.key(id).unwrap_or_default();
        let Some(stream) = self.streams.get_mut(&key).filter(|stream| !stream.is_over) else {
            // It is over here, and the peer does not know yet.
            bytes.advance(len);
            self.give_back(len);
            return Ok(());
        };
        if stream.end.is_some() {
            return Err(FrameError::Trailing);
        }
        stream.room = stream
            .room
            .checked_sub(len)
            .ok_or(FrameError::Malformed("more than the stream's window"))?;
        if len <= SMALL_BYTES_MAX {
            stream.tail.extend_from_slice(&bytes.split_to(len));
        } else {
            let before = stream.tail.split().freeze();
            stream.incoming.extend((!before.is_empty()).then_some(before));
            stream.incoming.push_back(bytes.split_to(len).freeze());
        }
        if kind == LaneKind::Fin {
            stream.end = Some(End::Fin);
        }
        stream.reader.take().into_iter().for_each(Waker::wake);
        // The reply's end is the stream's.
        if kind == LaneKind::Fin && self.is_dialer {
            stream.stopper.take().into_iter().for_each(Waker::wake);
            self.end(key);
        }
        Ok(())
    }

    /// The key of a stream on the wire.
    fn key(&self, id: u64) -> Option<u64> {
        match self.is_dialer {
            true => self.keys.get(&id).copied(),
            false => Some(id),
        }
    }

    fn widen(&mut self, id: u64, more: u64) -> Result<(), FrameError> {
        let widened = |credit: usize, most: usize| {
            let sum = usize::try_from(more)
                .ok()
                .and_then(|more| credit.checked_add(more));
            sum.filter(|sum| *sum <= most)
                .ok_or(FrameError::Malformed("window"))
        };
        if id == 0 {
            self.credit = widened(self.credit, LANE_WINDOW_BYTES)?;
        } else if let Some(key) = self.key(id)
            && let Some(stream) = self.streams.get_mut(&key)
        {
            stream.credit = widened(stream.credit, WINDOW_BYTES)?;
            self.make_ready(key);
        }
        Ok(())
    }

    fn reset_by_peer(&mut self, id: u64) {
        let Some(stream) = self.streams.get_mut(&id).filter(|stream| !stream.is_over) else {
            return;
        };
        let held = stream.held();
        stream.incoming.clear();
        stream.tail.clear();
        stream.end = Some(End::Reset);
        stream.wake();
        self.give_back(held);
        self.end(id);
        self.remove_over(id);
        if let Some(at) = self.fresh.iter().rposition(|fresh| *fresh == id) {
            self.fresh.remove(at);
            self.streams.remove(&id);
        }
    }

    /// Puts what may leave now into `out`, streams in turns.
    pub(super) fn take(&mut self, out: &mut BytesMut) {
        out.extend_from_slice(&self.notes);
        self.notes.clear();
        while out.len() < BATCH_BYTES {
            let Some(id) = self.ready.pop_front() else { return };
            if self.credit == 0
                && self
                    .streams
                    .get(&id)
                    .is_some_and(|stream| !stream.outgoing.is_empty())
            {
                self.ready.push_front(id);
                return;
            }
            self.take_chunk(id, out);
        }
    }

    fn take_chunk(&mut self, id: u64, out: &mut BytesMut) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        stream.is_ready = false;
        if !stream.may_send() {
            return;
        }
        if stream.id == 0 {
            self.last += 1;
            stream.id = self.last;
            self.keys.insert(stream.id, id);
        }
        let waiting: usize = stream.outgoing.iter().map(Bytes::len).sum();
        let len = waiting
            .min(LANE_CHUNK_BYTES_MAX)
            .min(stream.credit)
            .min(self.credit);
        let is_last = len == waiting && stream.is_whole;
        let kind = match is_last {
            true => LaneKind::Fin,
            false => LaneKind::Data,
        };
        let head = LaneHead {
            stream: stream.id,
            kind,
            len,
        };
        encode_lane(&head, out);
        let mut left = len;
        while let Some(piece) = stream.outgoing.front_mut().filter(|_| left > 0) {
            let part = piece.split_to(piece.len().min(left));
            left -= part.len();
            out.extend_from_slice(&part);
            if piece.is_empty() {
                stream.outgoing.pop_front();
            }
        }
        stream.has_begun = true;
        stream.credit -= len;
        self.credit -= len;
        self.queued -= len;
        if !is_last {
            return self.make_ready(id);
        }
        stream.is_whole = false;
        if !self.is_dialer {
            self.end(id);
            self.remove_over(id);
        }
    }

    /// Nothing is carried any more: whoever waits learns why.
    pub(super) fn lose(&mut self, reason: &str) {
        if self.lost.is_none() {
            self.lost = Some(reason.into());
        }
        self.streams.values_mut().for_each(Stream::wake);
        self.ready.clear();
        self.fresh.clear();
        // Their places are free for nobody.
        self.streams.values_mut().for_each(|stream| stream.slot = None);
    }
}

#[cfg(test)]
mod tests;
