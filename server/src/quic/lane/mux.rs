//! `Mux`: call streams over one connection that has none of its own, a TCP or Unix socket.
//!
//! One task carries it: what the streams want to send leaves in batches, what comes is handed to its stream. Who dialed
//! opens streams, who accepted serves them. Ends with its connection, with bytes that are no frames, or when told to;
//! then every stream on it learns why.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;

use bytes::{Buf, Bytes, BytesMut};
use protocol::frame::{FrameError, decode_lane};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use super::super::path::Lost;
use super::super::stream::Fault;
use super::streams::{Gone, Streams};

/// What is read in one go.
const READ_BYTES: usize = 64 << 10;

/// Call streams over one connection.
pub(in crate::quic) struct Mux {
    streams: Mutex<Streams>,
    /// Wakes who writes, who waits to queue more, and who accepts.
    outgoing: Notify,
    room: Notify,
    fresh: Notify,
    /// Streams that may still be opened.
    slots: Arc<Semaphore>,
    ended: CancellationToken,
}

/// Why a connection is not carried any more.
#[derive(Debug)]
pub(in crate::quic) enum Ended {
    /// The peer sent what is no frame.
    Malformed(FrameError),
    /// It ended, or was ended here.
    Closed(String),
}

impl From<FrameError> for Ended {
    fn from(error: FrameError) -> Self {
        Self::Malformed(error)
    }
}

impl From<std::io::Error> for Ended {
    fn from(error: std::io::Error) -> Self {
        Self::Closed(error.to_string())
    }
}

impl Mux {
    pub(in crate::quic) fn new(is_dialer: bool, streams_max: usize) -> Arc<Self> {
        Arc::new(Self {
            streams: Mutex::new(Streams::new(is_dialer, streams_max)),
            outgoing: Notify::new(),
            room: Notify::new(),
            fresh: Notify::new(),
            slots: Arc::new(Semaphore::new(streams_max)),
            ended: CancellationToken::new(),
        })
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::quic) fn is_open(&self) -> bool {
        !self.ended.is_cancelled()
    }

    /// Resolves when nothing is carried any more.
    pub(in crate::quic) async fn closed(&self) {
        self.ended.cancelled().await;
    }

    /// A new stream; waits while as many are open as the peer takes.
    pub(in crate::quic) async fn open(self: &Arc<Self>) -> Result<(Sender, Receiver), Lost> {
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        let slot = slot.expect("the slots are never closed");
        let id = {
            let mut streams = self.streams();
            if let Some(reason) = streams.lost() {
                let reason = Arc::clone(reason);
                return Err(Lost::Mux { reason, unsent: true });
            }
            streams.open(slot)
        };
        Ok(self.halves(id))
    }

    /// The next stream that the peer opened.
    pub(in crate::quic) async fn accept(self: &Arc<Self>) -> Result<(Sender, Receiver), Lost> {
        loop {
            {
                let mut streams = self.streams();
                if let Some(id) = streams.accept() {
                    drop(streams);
                    return Ok(self.halves(id));
                }
                if let Some(reason) = streams.lost() {
                    let reason = Arc::clone(reason);
                    return Err(Lost::Mux { reason, unsent: true });
                }
            }
            self.fresh.notified().await;
        }
    }

    fn halves(self: &Arc<Self>, id: u64) -> (Sender, Receiver) {
        let half = || Half {
            mux: Arc::clone(self),
            id,
        };
        (Sender(half()), Receiver(half()))
    }

    /// Ends everything on it, and the task that carries it.
    pub(in crate::quic) fn lose(&self, reason: &str) {
        self.streams().lose(reason);
        self.ended.cancel();
        self.fresh.notify_one();
        self.room.notify_waiters();
    }

    /// Carries the streams over a connection until it ends; then every stream has ended too.
    pub(in crate::quic) async fn carry(&self, io: impl AsyncRead + AsyncWrite) -> Ended {
        let (reader, writer) = tokio::io::split(io);
        let (reading, writing) = (self.read_in(reader), self.write_out(writer));
        let ended = tokio::select! {
            biased;
            () = self.ended.cancelled() => Ended::Closed("it was closed".to_owned()),
            ended = reading => ended,
            ended = writing => ended,
        };
        match &ended {
            Ended::Malformed(error) => self.lose(&error.to_string()),
            Ended::Closed(reason) => self.lose(reason),
        }
        ended
    }

    async fn write_out(&self, mut writer: impl AsyncWrite + Unpin) -> Ended {
        let mut out = BytesMut::with_capacity(READ_BYTES);
        loop {
            let had_room = {
                let mut streams = self.streams();
                let had_room = streams.has_room();
                streams.take(&mut out);
                had_room
            };
            if !had_room {
                self.room.notify_waiters();
            }
            if out.is_empty() {
                self.outgoing.notified().await;
                continue;
            }
            let written = async {
                writer.write_all(&out).await?;
                writer.flush().await
            };
            if let Err(error) = written.await {
                return error.into();
            }
            out.clear();
        }
    }

    async fn read_in(&self, mut reader: impl AsyncRead + Unpin) -> Ended {
        let mut bytes = BytesMut::with_capacity(READ_BYTES);
        loop {
            if let Err(error) = self.take_in(&mut bytes) {
                return error.into();
            }
            bytes.reserve(READ_BYTES / 4);
            match reader.read_buf(&mut bytes).await {
                Ok(0) => return Ended::Closed("the peer closed it".to_owned()),
                Ok(_) => {}
                Err(error) => return error.into(),
            }
        }
    }

    /// Takes in every whole frame.
    fn take_in(&self, bytes: &mut BytesMut) -> Result<(), FrameError> {
        let mut has_fresh = false;
        {
            let mut streams = self.streams();
            while let Some((head, taken)) = decode_lane(bytes)? {
                if bytes.len() < taken + head.len {
                    break;
                }
                bytes.advance(taken);
                has_fresh |= streams.receive(head, bytes)?;
            }
        }
        if has_fresh {
            self.fresh.notify_one();
        }
        // It may have widened a window, or want another one to be.
        self.outgoing.notify_one();
        Ok(())
    }
}

/// One half of a stream.
struct Half {
    mux: Arc<Mux>,
    id: u64,
}

impl Drop for Half {
    fn drop(&mut self) {
        self.mux.streams().let_go(self.id);
        self.mux.outgoing.notify_one();
    }
}

/// A sending half.
pub(in crate::quic) struct Sender(Half);

impl Sender {
    /// Has a head and a body sent, and the stream's end behind them. Done when they wait to leave.
    pub(in crate::quic) async fn write(&self, head: BytesMut, body: Bytes) -> Result<(), Fault> {
        let Half { mux, id } = &self.0;
        loop {
            let room = mux.room.notified();
            {
                let mut streams = mux.streams();
                if streams.has_room() || streams.lost().is_some() {
                    streams.send(*id, [head.freeze(), body])?;
                    break;
                }
            }
            room.await;
        }
        mux.outgoing.notify_one();
        Ok(())
    }

    /// Gives the stream up.
    pub(in crate::quic) fn reset(&self) {
        self.0.mux.streams().reset(self.0.id);
        self.0.mux.outgoing.notify_one();
    }

    /// Resolves once the peer does not want the rest.
    pub(in crate::quic) async fn stopped(&self) {
        poll_fn(|cx| self.0.mux.streams().poll_stopped(self.0.id, cx)).await;
    }
}

/// A receiving half.
pub(in crate::quic) struct Receiver(Half);

impl Receiver {
    /// The next bytes of the stream, `None` at its end. Cancel-safe.
    pub(in crate::quic) async fn read(&self) -> Result<Option<Bytes>, Fault> {
        let Half { mux, id } = &self.0;
        let read = |cx: &mut Context<'_>| {
            let mut streams = mux.streams();
            let read = streams.read(*id, cx);
            let owes = streams.owes();
            drop(streams);
            if owes {
                mux.outgoing.notify_one();
            }
            read
        };
        Ok(poll_fn(read).await?)
    }
}

impl From<Gone> for Fault {
    fn from(gone: Gone) -> Self {
        match gone {
            Gone::Reset => Self::Reset,
            Gone::Lost { reason, unsent } => Self::Lost(Lost::Mux { reason, unsent }),
        }
    }
}

#[cfg(test)]
mod tests;
