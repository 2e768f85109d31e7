//! `Path`: what a transport is here: it opens streams for calls, takes those of its peer, and both have two halves.
//!
//! Two kinds: a QUIC connection, quinn's or one with a shaped socket beneath it, and a [`mux`](super::lane::mux)
//! connection over TCP or a Unix socket. Who calls and who listens knows neither; frames are the same bytes on both. All
//! else between two nodes (tables, messages, drains) stays on the link's own QUIC connection.

use bytes::{Bytes, BytesMut};
use quinn::{Connection, ConnectionError, ReadError, RecvStream, SendStream, VarInt, WriteError};
use std::sync::Arc;

use super::CANCELLED;
use super::lane::mux::{self, Mux};
use super::link::{Close, Link};
use super::stream::{Fault, INLINE_BYTES_MAX};

/// What carries call streams.
#[derive(Clone)]
pub(super) enum Path {
    /// A QUIC connection.
    Quic(Connection),
    /// A TCP or Unix connection with streams of our own.
    Mux(Arc<Mux>),
}

/// Why a path carries nothing any more.
#[derive(Debug, Clone)]
pub(super) enum Lost {
    /// As quinn says.
    Quic(ConnectionError),
    /// In words; whether nothing of the stream had left.
    Mux { reason: Arc<str>, unsent: bool },
}

/// A stream's two halves.
pub(super) type Halves = (Sender, Receiver);

impl Path {
    /// A stream for a call; waits while as many are open as the peer takes.
    pub(super) async fn open(&self) -> Result<Halves, Lost> {
        match self {
            Self::Quic(connection) => match connection.open_bi().await {
                Ok(halves) => Ok(of_quic(halves)),
                Err(error) => Err(Lost::Quic(error)),
            },
            Self::Mux(mux) => mux.open().await.map(of_mux),
        }
    }

    /// The next stream that the peer opened.
    pub(super) async fn accept(&self) -> Result<Halves, Lost> {
        match self {
            Self::Quic(connection) => match connection.accept_bi().await {
                Ok(halves) => Ok(of_quic(halves)),
                Err(error) => Err(Lost::Quic(error)),
            },
            Self::Mux(mux) => mux.accept().await.map(of_mux),
        }
    }

    /// Whether it is another path than the link's own.
    pub(super) fn is_lane_of(&self, link: &Link) -> bool {
        match self {
            Self::Quic(connection) => connection.stable_id() != link.connection.stable_id(),
            Self::Mux(_) => true,
        }
    }

    /// Whether a stream can be opened, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Quic(connection) => connection.close_reason().is_none(),
            Self::Mux(mux) => mux.is_open(),
        }
    }

    /// Ends everything on it at once.
    pub(super) fn close(&self, code: Close, reason: &str) {
        match self {
            Self::Quic(connection) => connection.close(VarInt::from_u32(code as u32), reason.as_bytes()),
            Self::Mux(mux) => mux.lose(reason),
        }
    }
}

fn of_quic((send, recv): (SendStream, RecvStream)) -> Halves {
    (Sender::Quic(send), Receiver::quic(recv))
}

fn of_mux((send, recv): (mux::Sender, mux::Receiver)) -> Halves {
    (Sender::Mux(send), Receiver::Mux(recv))
}

/// A sending half.
pub(super) enum Sender {
    /// Quinn's.
    Quic(SendStream),
    /// Ours.
    Mux(mux::Sender),
}

impl Sender {
    /// Writes a head and what follows it, and ends the stream.
    pub(super) async fn write(&mut self, mut head: BytesMut, body: Bytes) -> Result<(), Fault> {
        match self {
            Self::Quic(send) => {
                if body.len() <= INLINE_BYTES_MAX {
                    head.extend_from_slice(&body);
                    send.write_chunk(head.freeze()).await?;
                } else {
                    send.write_all_chunks(&mut [head.freeze(), body]).await?;
                }
                // Fails only where the stream was finished or reset before, which the writer owns.
                let _ = send.finish();
                Ok(())
            }
            Self::Mux(send) => send.write(head, body).await,
        }
    }

    /// Gives the stream up.
    pub(super) fn reset(&mut self) {
        match self {
            Self::Quic(send) => _ = send.reset(CANCELLED),
            Self::Mux(send) => send.reset(),
        }
    }

    /// Resolves once the peer does not want the rest.
    pub(super) async fn stopped(&self) {
        match self {
            Self::Quic(send) => _ = send.stopped().await,
            Self::Mux(send) => send.stopped().await,
        }
    }
}

/// A receiving half.
pub(super) enum Receiver {
    /// Quinn's, with what the last look at it brought too many.
    Quic { recv: RecvStream, held: Bytes },
    /// Ours.
    Mux(mux::Receiver),
}

impl Receiver {
    pub(super) fn quic(recv: RecvStream) -> Self {
        Self::Quic {
            recv,
            held: Bytes::new(),
        }
    }

    /// The next bytes of the stream, `None` at its end. Cancel-safe.
    pub(super) async fn read(&mut self) -> Result<Option<Bytes>, Fault> {
        match self {
            Self::Quic { recv, held } => {
                if !held.is_empty() {
                    return Ok(Some(std::mem::take(held)));
                }
                // Places for two, so that one look, which takes the connection's lock, sees the end behind a single
                // piece too.
                let mut pieces = [const { Bytes::new() }; 2];
                if recv.read_chunks(&mut pieces).await?.is_none() {
                    return Ok(None);
                }
                let [first, second] = pieces;
                *held = second;
                Ok(Some(first))
            }
            Self::Mux(recv) => recv.read().await,
        }
    }
}

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Reset(_) => Self::Reset,
            ReadError::ConnectionLost(error) => Self::Lost(Lost::Quic(error)),
            // Streams are read in order, once, and without early data.
            ReadError::ClosedStream | ReadError::IllegalOrderedRead | ReadError::ZeroRttRejected => {
                Self::Malformed(protocol::frame::FrameError::CutShort)
            }
        }
    }
}

impl From<WriteError> for Fault {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Stopped(_) => Self::Reset,
            WriteError::ConnectionLost(error) => Self::Lost(Lost::Quic(error)),
            WriteError::ClosedStream | WriteError::ZeroRttRejected => Self::Reset,
        }
    }
}
