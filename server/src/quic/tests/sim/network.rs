//! A network in memory: datagrams that are late, lost, doubled and out of order, as a seed decides, on tokio's own time.
//!
//! Sockets are what quinn asks of one, so that everything above them is the product. What is sent to an address that is
//! unplugged, or across a cut, is gone, as with a process that died.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::quic::shaped::udp::Writable;

/// What the network does to a datagram.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    /// The share that is lost.
    pub(super) drop: f64,
    /// The share that comes twice.
    pub(super) duplicate: f64,
    /// The most that one is late, in µs; each by chance, so that they overtake each other.
    pub(super) delay_us_max: u64,
}

/// The network; clones share it.
#[derive(Clone)]
pub(super) struct Network(Arc<Mutex<State>>);

struct State {
    rng: StdRng,
    faults: Faults,
    inboxes: HashMap<SocketAddr, Arc<Mutex<Inbox>>>,
    cuts: HashSet<(SocketAddr, SocketAddr)>,
    next_port: u16,
    sent: u64,
}

struct Inbox {
    datagrams: BinaryHeap<Reverse<Datagram>>,
    timer: Pin<Box<Sleep>>,
    waker: Option<Waker>,
}

/// Ordered by when it is due; by when it was sent where that is the same.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Datagram {
    due: Instant,
    number: u64,
    from: SocketAddr,
    bytes: Vec<u8>,
}

impl Network {
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            rng: StdRng::seed_from_u64(seed),
            faults: Faults::default(),
            inboxes: HashMap::new(),
            cuts: HashSet::new(),
            next_port: 1,
            sent: 0,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// A socket with an address of its own.
    pub(super) fn plug(&self) -> Arc<Socket> {
        let inbox = Arc::new(Mutex::new(Inbox {
            datagrams: BinaryHeap::new(),
            timer: Box::pin(sleep_until(Instant::now())),
            waker: None,
        }));
        let mut state = self.state();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, state.next_port));
        state.next_port += 1;
        state.inboxes.insert(address, Arc::clone(&inbox));
        Arc::new(Socket {
            address,
            network: self.clone(),
            inbox,
        })
    }

    /// Chance for what is not the network's own, from the same seed.
    pub(super) fn random(&self) -> [u8; 32] {
        self.state().rng.random()
    }

    /// Nothing comes from this address any more, and nothing arrives there.
    pub(super) fn unplug(&self, address: SocketAddr) {
        self.state().inboxes.remove(&address);
    }

    /// What happens to datagrams from now on.
    pub(super) fn misbehave(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// Lets nothing through between two addresses.
    pub(super) fn cut(&self, a: SocketAddr, b: SocketAddr) {
        self.state().cuts.extend([(a, b), (b, a)]);
    }

    /// Mends every cut.
    pub(super) fn mend(&self) {
        self.state().cuts.clear();
    }

    fn send(&self, from: SocketAddr, transmit: &Transmit<'_>) {
        let to = transmit.destination;
        let mut guard = self.state();
        let state = &mut *guard;
        let lost = state.rng.random_bool(state.faults.drop);
        let copies = 1 + usize::from(state.rng.random_bool(state.faults.duplicate));
        let cut = state.cuts.contains(&(from, to)) || !state.inboxes.contains_key(&from);
        let Some(inbox) = state.inboxes.get(&to).filter(|_| !lost && !cut) else {
            return;
        };
        let mut inbox = inbox.lock().unwrap();
        for _ in 0..copies {
            state.sent += 1;
            let late = state.rng.random_range(0..=state.faults.delay_us_max);
            inbox.datagrams.push(Reverse(Datagram {
                due: Instant::now() + Duration::from_micros(late),
                number: state.sent,
                from,
                bytes: transmit.contents.to_vec(),
            }));
        }
        if let Some(waker) = inbox.waker.take() {
            waker.wake();
        }
    }
}

/// One node's socket.
pub(super) struct Socket {
    address: SocketAddr,
    network: Network,
    inbox: Arc<Mutex<Inbox>>,
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Socket").field(&self.address).finish()
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.network.send(self.address, transmit);
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut inbox = self.inbox.lock().unwrap();
        loop {
            let now = Instant::now();
            let mut received = 0;
            for (buffer, meta) in bufs.iter_mut().zip(meta.iter_mut()) {
                if inbox.datagrams.peek().is_none_or(|next| next.0.due > now) {
                    break;
                }
                let Reverse(datagram) = inbox.datagrams.pop().expect("it was seen");
                let len = datagram.bytes.len();
                buffer[..len].copy_from_slice(&datagram.bytes);
                *meta = RecvMeta {
                    addr: datagram.from,
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
            inbox.waker = Some(cx.waker().clone());
            let Some(due) = inbox.datagrams.peek().map(|next| next.0.due) else {
                return Poll::Pending;
            };
            inbox.timer.as_mut().reset(due);
            if inbox.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
