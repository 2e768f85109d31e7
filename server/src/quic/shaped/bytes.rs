//! `ShapedBytes`: what a shaped way does to a connection of bytes: what is written and what arrives comes out late.
//!
//! Only time is changed: the bytes come whole and in order. What waits in it is bounded: beyond 100 ms of the bandwidth
//! writers wait, as for a full buffer on a real way, and nothing more is read.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use protocol::Shaping;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::pipe::Pipe;
use super::timer::Alarm;

/// What one piece holds at most, so that a long write comes out in parts.
const PIECE_BYTES: usize = 16 << 10;
/// What is under way in one direction at most: more than a bandwidth of 1 Gbit/s and the longest delay hold.
const HELD_BYTES_MAX: usize = 32 << 20;
/// What may wait to be sent, as time.
const BACKLOG_MAX: Duration = Duration::from_millis(100);

/// A way's two directions, at the caller's end.
#[derive(Debug)]
pub(in crate::quic) struct ShapedBytes {
    there: Queue,
    back: Queue,
    alarm: Alarm,
    /// The peer has ended its direction.
    is_ended: bool,
    arrived: Vec<u8>,
}

/// One direction, with what is under way.
#[derive(Debug)]
struct Queue {
    pipe: Pipe,
    pieces: VecDeque<(Instant, Bytes)>,
    held: usize,
}

impl Queue {
    fn new(shaping: Shaping, seed: u64) -> Self {
        Self {
            pipe: Pipe::new(shaping, seed),
            pieces: VecDeque::new(),
            held: 0,
        }
    }

    /// When there is room for more, if there is none now.
    fn full_until(&self, now: Instant) -> Option<Instant> {
        let backlog = self.pipe.backlog(now);
        if backlog > BACKLOG_MAX {
            return Some(now + (backlog - BACKLOG_MAX));
        }
        let is_full = self.held >= HELD_BYTES_MAX;
        self.pieces.front().filter(|_| is_full).map(|(due, _)| *due)
    }

    fn push(&mut self, now: Instant, bytes: Bytes) {
        self.held += bytes.len();
        self.pieces.push_back((self.pipe.bytes(now, bytes.len()), bytes));
    }

    /// What has come out.
    fn front(&mut self, now: Instant) -> Option<&mut Bytes> {
        let (due, bytes) = self.pieces.front_mut()?;
        (*due <= now).then_some(bytes)
    }

    fn advance(&mut self, count: usize) {
        self.held -= count;
        if let Some((_, bytes)) = self.pieces.front_mut() {
            bytes.advance(count);
            if bytes.is_empty() {
                self.pieces.pop_front();
            }
        }
    }

    fn next_due(&self) -> Option<Instant> {
        self.pieces.front().map(|(due, _)| *due)
    }
}

impl ShapedBytes {
    pub(in crate::quic) fn new(shaping: Shaping, seed: u64) -> Self {
        Self {
            there: Queue::new(shaping, seed),
            back: Queue::new(shaping, seed.wrapping_add(1)),
            alarm: Alarm::default(),
            is_ended: false,
            arrived: vec![0; PIECE_BYTES],
        }
    }

    /// Takes what is written, and lets out what is due. The reader lets out the rest: whoever reads is always there.
    pub(in crate::quic) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        socket: &mut S,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let now = Instant::now();
        if let Err(error) = self.let_out(socket, cx, now) {
            return Poll::Ready(Err(error));
        }
        if let Some(until) = self.there.full_until(now) {
            self.alarm.set(until, cx);
            return Poll::Pending;
        }
        let taken = bytes.get(..PIECE_BYTES).unwrap_or(bytes);
        self.there.push(now, Bytes::copy_from_slice(taken));
        match self.let_out(socket, cx, now) {
            Ok(()) => Poll::Ready(Ok(taken.len())),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn let_out<S: AsyncWrite + Unpin>(
        &mut self,
        socket: &mut S,
        cx: &mut Context<'_>,
        now: Instant,
    ) -> io::Result<()> {
        while let Some(bytes) = self.there.front(now) {
            match Pin::new(&mut *socket).poll_write(cx, bytes) {
                Poll::Ready(Ok(count)) => self.there.advance(count),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(()),
            }
        }
        if let Some(due) = self.there.next_due() {
            self.alarm.set(due, cx);
        }
        Ok(())
    }

    /// Gives what has arrived and come out.
    pub(in crate::quic) fn poll_read<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut S,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let now = Instant::now();
        self.let_out(socket, cx, now)?;
        self.let_in(socket, cx, now)?;
        let before = buffer.remaining();
        while let Some(bytes) = self.back.front(now).filter(|_| buffer.remaining() > 0) {
            let count = bytes.len().min(buffer.remaining());
            buffer.put_slice(bytes.get(..count).unwrap_or_default());
            self.back.advance(count);
        }
        if buffer.remaining() < before || (self.is_ended && self.back.pieces.is_empty()) {
            return Poll::Ready(Ok(()));
        }
        if let Some(due) = self.back.next_due() {
            self.alarm.set(due, cx);
        }
        Poll::Pending
    }

    /// Takes in all that has arrived: from now on it is under way.
    fn let_in<S: AsyncRead + Unpin>(
        &mut self,
        socket: &mut S,
        cx: &mut Context<'_>,
        now: Instant,
    ) -> io::Result<()> {
        while !self.is_ended {
            if let Some(until) = self.back.full_until(now) {
                self.alarm.set(until, cx);
                return Ok(());
            }
            let mut arrived = ReadBuf::new(&mut self.arrived);
            match Pin::new(&mut *socket).poll_read(cx, &mut arrived) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Ready(Ok(())) if arrived.filled().is_empty() => self.is_ended = true,
                Poll::Ready(Ok(())) => self.back.push(now, Bytes::copy_from_slice(arrived.filled())),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use protocol::Way;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    /// A connection in memory with a shaped way on this end.
    struct Shaped(DuplexStream, ShapedBytes);

    impl AsyncRead for Shaped {
        fn poll_read(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let Self(socket, shaped) = self.get_mut();
            shaped.poll_read(socket, cx, buf)
        }
    }

    impl AsyncWrite for Shaped {
        fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let Self(socket, shaped) = self.get_mut();
            shaped.poll_write(socket, cx, bytes)
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn bytes_come_whole_in_order_and_not_before_their_time() {
        let way = ["1ms", "~500us", "5%", "100Mbit/s"];
        let way = way.into_iter().try_fold(Way::default(), Way::with).unwrap();
        let (near, mut far) = tokio::io::duplex(4 << 10);
        let shaped = Shaped(near, ShapedBytes::new(way.course().shaping, 3));
        let sent: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
        let (mut reader, mut writer) = tokio::io::split(shaped);
        let began = Instant::now();
        let there = async {
            writer.write_all(&sent).await.unwrap();
            writer
        };
        let echoed = async {
            let mut left = sent.len();
            let mut buffer = [0; 1_000];
            while left > 0 {
                let count = far.read(&mut buffer).await.unwrap();
                far.write_all(&buffer[..count]).await.unwrap();
                left -= count;
            }
            drop(far);
        };
        let back = async {
            let mut back = Vec::new();
            reader.read_to_end(&mut back).await.unwrap();
            back
        };
        let all = async { tokio::join!(there, echoed, back) };
        let (_, (), back) = tokio::time::timeout(Duration::from_secs(60), all).await.unwrap();
        assert!(back == sent);
        // A delay each way, and 1.6 Mbit at 100 Mbit/s.
        assert!(began.elapsed() >= Duration::from_millis(2 + 16));
    }
}
