//! `ShapedSocket`: what a shaped way does to datagrams, beneath quinn: they come late, out of order, or never.
//!
//! Both directions pass through it, as it stands at the caller's end. What waits is bounded as a router's buffer is:
//! a datagram beyond 100 ms of the bandwidth is dropped.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use protocol::Shaping;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};

use super::pipe::Pipe;
use super::timer::Alarm;

/// What may wait to be sent, as time.
const BACKLOG_MAX: Duration = Duration::from_millis(100);
/// Datagrams under way in one direction; beyond it they are dropped.
const HELD_MAX: usize = 1 << 15;
/// The longest that the system gives at once: several datagrams of one sender, joined.
const ARRIVED_BYTES_MAX: usize = 64 << 10;

/// A socket with a shaped way behind it.
pub(in crate::quic) struct ShapedSocket {
    socket: Arc<dyn AsyncUdpSocket>,
    state: Mutex<State>,
}

struct State {
    there: Queue,
    back: Queue,
    alarm: Alarm,
    /// The endpoint's, which reads all the time and lets out what is due.
    waker: Option<Waker>,
    arrived: Vec<u8>,
}

struct Queue {
    pipe: Pipe,
    held: BinaryHeap<Reverse<Datagram>>,
    count: u64,
}

/// Ordered by when it is due; by when it entered where that is the same.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Datagram {
    due: Instant,
    number: u64,
    /// Whom it is for, or from.
    peer: SocketAddr,
    bytes: Vec<u8>,
}

impl Queue {
    fn new(shaping: Shaping, seed: u64) -> Self {
        Self {
            pipe: Pipe::new(shaping, seed),
            held: BinaryHeap::new(),
            count: 0,
        }
    }

    fn push(&mut self, now: Instant, peer: SocketAddr, bytes: &[u8]) {
        if self.pipe.backlog(now) > BACKLOG_MAX || self.held.len() >= HELD_MAX {
            return;
        }
        let Some(due) = self.pipe.datagram(now, bytes.len()) else {
            return;
        };
        self.count += 1;
        self.held.push(Reverse(Datagram {
            due,
            number: self.count,
            peer,
            bytes: bytes.to_vec(),
        }));
    }

    fn pop(&mut self, now: Instant) -> Option<Datagram> {
        self.held.peek().filter(|next| next.0.due <= now)?;
        self.held.pop().map(|next| next.0)
    }

    fn next_due(&self) -> Option<Instant> {
        self.held.peek().map(|next| next.0.due)
    }
}

impl ShapedSocket {
    pub(in crate::quic) fn new(socket: Arc<dyn AsyncUdpSocket>, shaping: Shaping, seed: u64) -> Arc<Self> {
        Arc::new(Self {
            socket,
            state: Mutex::new(State {
                there: Queue::new(shaping, seed),
                back: Queue::new(shaping, seed.wrapping_add(1)),
                alarm: Alarm::default(),
                waker: None,
                arrived: vec![0; ARRIVED_BYTES_MAX],
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets out what is due.
    fn let_out(&self, state: &mut State, now: Instant) {
        while let Some(datagram) = state.there.pop(now) {
            let transmit = Transmit {
                destination: datagram.peer,
                ecn: None,
                contents: &datagram.bytes,
                segment_size: None,
                src_ip: None,
            };
            // A full buffer of the system's drops it, as on any way.
            let _ = self.socket.try_send(&transmit);
        }
    }

    /// Takes in what has arrived.
    fn let_in(&self, state: &mut State, cx: &mut Context<'_>, now: Instant) -> io::Result<()> {
        let mut arrived = std::mem::take(&mut state.arrived);
        let outcome = loop {
            let mut meta = [RecvMeta::default()];
            let polled = self
                .socket
                .poll_recv(cx, &mut [IoSliceMut::new(&mut arrived)], &mut meta);
            match polled {
                Poll::Pending => break Ok(()),
                Poll::Ready(Err(error)) => break Err(error),
                Poll::Ready(Ok(_)) => {
                    let [meta] = meta;
                    let datagrams = arrived.get(..meta.len).unwrap_or_default();
                    for datagram in datagrams.chunks(meta.stride.max(1)) {
                        state.back.push(now, meta.addr, datagram);
                    }
                }
            }
        };
        state.arrived = arrived;
        outcome
    }
}

impl fmt::Debug for ShapedSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ShapedSocket").field(&self.socket).finish()
    }
}

/// Of a socket to which sending never waits: what is too much is dropped.
#[derive(Debug)]
pub(in crate::quic) struct Writable;

impl UdpPoller for Writable {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncUdpSocket for ShapedSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let now = Instant::now();
        let mut state = self.state();
        let segment = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        for datagram in transmit.contents.chunks(segment) {
            state.there.push(now, transmit.destination, datagram);
        }
        self.let_out(&mut state, now);
        let State {
            there, alarm, waker, ..
        } = &mut *state;
        if let (Some(due), Some(waker)) = (there.next_due(), waker) {
            alarm.set_for(due, waker);
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let now = Instant::now();
        let mut state = self.state();
        self.let_out(&mut state, now);
        self.let_in(&mut state, cx, now)?;
        let mut received = 0;
        for (buffer, meta) in bufs.iter_mut().zip(meta.iter_mut()) {
            let Some(datagram) = state.back.pop(now) else {
                break;
            };
            let len = datagram.bytes.len().min(buffer.len());
            let (bytes, place) = (datagram.bytes.get(..len), buffer.get_mut(..len));
            if let (Some(bytes), Some(place)) = (bytes, place) {
                place.copy_from_slice(bytes);
            }
            *meta = RecvMeta {
                addr: datagram.peer,
                len,
                stride: len,
                ecn: None,
                dst_ip: None,
            };
            received += 1;
        }
        if received > 0 {
            return Poll::Ready(Ok(received));
        }
        state.waker = Some(cx.waker().clone());
        let due = [state.there.next_due(), state.back.next_due()];
        if let Some(due) = due.into_iter().flatten().min() {
            state.alarm.set(due, cx);
        }
        Poll::Pending
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}
