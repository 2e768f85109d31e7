//! `Socket`: the connection beneath a lane: TCP or Unix, metered, and shaped where it is asked for.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use protocol::Shaping;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::super::shaped::bytes::ShapedBytes;

/// Bytes of all lanes since the start, both ways.
#[derive(Debug, Default)]
pub(in crate::quic) struct Meter {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Meter {
    /// Sent and received.
    pub(in crate::quic) fn bytes(&self) -> (u64, u64) {
        (
            self.sent.load(Ordering::Relaxed),
            self.received.load(Ordering::Relaxed),
        )
    }
}

/// The connection beneath a lane.
pub(in crate::quic) struct Socket {
    metered: Metered,
    shaped: Option<Box<ShapedBytes>>,
}

struct Metered {
    raw: Raw,
    meter: Arc<Meter>,
}

enum Raw {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    pub(in crate::quic) fn tcp(stream: TcpStream, meter: &Arc<Meter>) -> Self {
        // Without it a small frame waits for the answer to the one before.
        let _ = stream.set_nodelay(true);
        Self::new(Raw::Tcp(stream), meter)
    }

    pub(in crate::quic) fn unix(stream: UnixStream, meter: &Arc<Meter>) -> Self {
        Self::new(Raw::Unix(stream), meter)
    }

    fn new(raw: Raw, meter: &Arc<Meter>) -> Self {
        let meter = Arc::clone(meter);
        Self {
            metered: Metered { raw, meter },
            shaped: None,
        }
    }

    /// The same with a shaped way behind it.
    #[must_use]
    pub(in crate::quic) fn shaped(mut self, shaping: Shaping, seed: u64) -> Self {
        if !shaping.is_none() {
            self.shaped = Some(Box::new(ShapedBytes::new(shaping, seed)));
        }
        self
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { metered, shaped } = self.get_mut();
        match shaped {
            Some(shaped) => shaped.poll_read(metered, cx, buf),
            None => Pin::new(metered).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { metered, shaped } = self.get_mut();
        match shaped {
            Some(shaped) => shaped.poll_write(metered, cx, bytes),
            None => Pin::new(metered).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().metered).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().metered).poll_shutdown(cx)
    }
}

impl AsyncRead for Metered {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { raw, meter } = self.get_mut();
        let before = buf.filled().len();
        let polled = match raw {
            Raw::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Raw::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        let arrived = buf.filled().len() - before;
        meter.received.fetch_add(arrived as u64, Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for Metered {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { raw, meter } = self.get_mut();
        let polled = match raw {
            Raw::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Raw::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        };
        if let Poll::Ready(Ok(count)) = &polled {
            meter.sent.fetch_add(*count as u64, Ordering::Relaxed);
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().raw {
            Raw::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Raw::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().raw {
            Raw::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Raw::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
