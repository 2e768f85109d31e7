//! `wasi:cli/stdout` and `stderr`: kept in a small buffer, and turned into log lines when the call ends.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

/// What one call may print, in bytes; more is cut off.
const BYTES_MAX: usize = 64 << 10;

/// The two streams of one instance.
#[derive(Debug, Default)]
pub(in crate::runtime) struct Stdio {
    out: Stream,
    err: Stream,
}

/// One stream; clones share the buffer.
#[derive(Debug, Clone, Default)]
pub(in crate::runtime) struct Stream(Arc<Buffer>);

#[derive(Debug, Default)]
struct Buffer {
    bytes: Mutex<Vec<u8>>,
    /// Whether anything was written since the last look, so that a call that prints nothing takes no lock.
    is_written: AtomicBool,
}

impl Stdio {
    pub(in crate::runtime) fn stdout(&self) -> Stream {
        self.out.clone()
    }

    pub(in crate::runtime) fn stderr(&self) -> Stream {
        self.err.clone()
    }

    /// The lines since the last look, with the name of their stream.
    pub(in crate::runtime) fn take_lines(&self) -> Vec<(&'static str, String)> {
        if !self.out.is_written() && !self.err.is_written() {
            return Vec::new();
        }
        let mut lines = Vec::new();
        for (name, stream) in [("stdout", &self.out), ("stderr", &self.err)] {
            lines.extend(stream.take().into_iter().map(|line| (name, line)));
        }
        lines
    }
}

impl Stream {
    fn is_written(&self) -> bool {
        self.0.is_written.load(Ordering::Acquire)
    }

    fn take(&self) -> Vec<String> {
        if !self.is_written() {
            return Vec::new();
        }
        let mut buffer = self.0.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.is_written.store(false, Ordering::Release);
        let bytes = std::mem::take(&mut *buffer);
        drop(buffer);
        String::from_utf8_lossy(&bytes)
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(str::to_owned)
            .collect()
    }
}

impl IsTerminal for Stream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        let mut buffer = self.0.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.is_written.store(true, Ordering::Release);
        let room = BYTES_MAX.saturating_sub(buffer.len()).min(bytes.len());
        buffer.extend_from_slice(&bytes[..room]);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
