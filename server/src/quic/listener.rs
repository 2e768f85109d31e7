//! The listener: from a stranger's packet to a reply.
//!
//! connection → control stream and call streams → head → authorise caller and function → body → `Dispatch` → reply. It serves
//! locally only and never forwards. Time is the receiver's own: the deadline is what remains when the head is read. A
//! stream that the peer gives up cancels its call. Bytes that are no frame close their connection, counted and logged;
//! nobody else notices. The call's `hop` is passed on as it came: the router behind counts it.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures_util::poll;
use protocol::frame::{
    self, CallHead, FrameError, LANE_ALPN, REPLY_HEAD_BYTES_MAX, ReplyHead, Status, VERSION,
};
use protocol::{CallError, CalleeStages, ErrorCode, HandlerName};
use quinn::{Connection, Incoming, VarInt};
use rustls::pki_types::CertificateDer;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{timeout, timeout_at};

use super::identity::node_of;
use super::link::{Close, Link};
use super::path::{Path, Receiver, Sender};
use super::peer::Peer;
use super::permissions::Denied;
use super::stream::{Fault, read_body, read_head};
use super::{CONTROL_WAITING_MAX, Quic, control};
use crate::dispatch::{Call, Reply, check_result};
use crate::peers::PeerState;

/// A handshake with its hello takes milliseconds; a busy machine that just started ten processes takes longer.
const GREETING_MAX: Duration = Duration::from_secs(5);

/// A head is 53 bytes at most: who opens a stream sends it at once.
const HEAD_MAX: Duration = Duration::from_secs(5);

/// How long a call waits for its caller to be announced or allowed: both come from elsewhere and may be a moment behind,
/// or longer where the network loses what it should carry.
const CALLER_MAX: Duration = Duration::from_secs(3);

impl Quic {
    /// Accepts connections until the tasks are cancelled.
    pub(super) async fn listen(self: Arc<Self>) {
        loop {
            let incoming = tokio::select! {
                biased;
                () = self.tasks.cancelled() => break,
                incoming = self.endpoint.accept() => incoming,
            };
            let Some(incoming) = incoming else { break };
            if self.is_draining() || self.endpoint.open_connections() >= super::CONNECTIONS_MAX {
                self.stranger(
                    &incoming.remote_address().to_string(),
                    "no more connections are taken",
                );
                incoming.refuse();
                continue;
            }
            let quic = Arc::clone(&self);
            self.tasks.spawn("quic greeting", quic.greet(incoming));
        }
        self.endpoint
            .close(VarInt::from_u32(Close::Done as u32), b"stopped");
    }

    /// Takes a connection in whose peer proves to be one of ours.
    async fn greet(self: Arc<Self>, incoming: Incoming) {
        let address = incoming.remote_address();
        // Read before the handshake shows them: at worst the connection is taken for an older one, and replaced.
        let papers = self.papers();
        let greeted = timeout(GREETING_MAX, async {
            let connection = incoming.await.map_err(|error| error.to_string())?;
            let peer = self.peer_of(&connection).inspect_err(|reason| {
                connection.close(VarInt::from_u32(Close::Stranger as u32), reason.as_bytes());
            })?;
            if is_lane(&connection) {
                return self.greet_quic(connection, peer).await;
            }
            self.establish(connection, peer, (0, papers)).await.map(drop)
        });
        match greeted.await {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => self.stranger(&address.to_string(), &reason),
            Err(_) => self.stranger(&address.to_string(), "no hello in time"),
        }
    }

    fn peer_of(&self, connection: &Connection) -> Result<Arc<Peer>, String> {
        let certificates = connection
            .peer_identity()
            .and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok())
            .ok_or("no certificate")?;
        self.peer_shown(&certificates)
    }

    /// Whom a certificate names.
    pub(super) fn peer_shown(&self, certificates: &[CertificateDer<'_>]) -> Result<Arc<Peer>, String> {
        let node = certificates
            .first()
            .and_then(node_of)
            .ok_or("the certificate names no node")?;
        if node == self.node {
            return Err("the certificate is for this node itself".to_owned());
        }
        Ok(self.peer(&node))
    }

    /// Exchanges hellos on a connection, and starts its tasks. `expected` is the incarnation that must answer, 0 any;
    /// `papers` are those that it showed at least.
    pub(super) async fn establish(
        self: &Arc<Self>,
        connection: Connection,
        peer: Arc<Peer>,
        (expected, papers): (u64, u64),
    ) -> Result<Arc<Link>, String> {
        self.traffic.opened(&connection);
        let hellos = async {
            let mut send = connection.open_uni().await.map_err(|error| error.to_string())?;
            send.write_chunk(control::hello(&self.hello))
                .await
                .map_err(|error| error.to_string())?;
            let recv = connection.accept_uni().await.map_err(|error| error.to_string())?;
            let mut recv = Receiver::quic(recv);
            let (hello, rest) = control::read_hello(&mut recv)
                .await
                .map_err(|fault| format!("no hello: {fault:?}"))?;
            if hello.version != VERSION as u32 {
                return Err(format!(
                    "it speaks version {} of the frames, this node {}",
                    hello.version, VERSION as u32
                ));
            }
            if peer.is_gone(hello.incarnation) || (expected != 0 && hello.incarnation != expected) {
                return Err(format!(
                    "it is incarnation {}, not the current one",
                    hello.incarnation
                ));
            }
            Ok((send, recv, rest, hello))
        };
        let hellos = match timeout(GREETING_MAX, hellos).await {
            Ok(hellos) => hellos,
            Err(_) => Err("no hello in time".to_owned()),
        };
        let (send, recv, rest, hello) = hellos.inspect_err(|reason| {
            connection.close(VarInt::from_u32(Close::Stranger as u32), reason.as_bytes());
            self.traffic.ended(&connection);
        })?;
        let (control, messages) = mpsc::channel(CONTROL_WAITING_MAX);
        let link = Arc::new(Link::new(connection, peer, (hello, papers), control));
        link.peer.reach().links.push(Arc::clone(&link));
        if self.is_draining() {
            link.ask_to_drain();
        }
        self.replace_outdated(&link);
        self.observe(&link, PeerState::Connected, None);
        let writer = Arc::clone(self).write_control(Arc::clone(&link), send, messages);
        self.tasks.spawn("quic control writer", writer);
        let reader = Arc::clone(self).read_control(Arc::clone(&link), recv, rest);
        self.tasks.spawn("quic control reader", reader);
        self.tasks
            .spawn("quic connection", Arc::clone(self).serve(Arc::clone(&link)));
        Ok(link)
    }

    /// Serves the calls that come by a path until it ends.
    pub(super) async fn serve_path(self: &Arc<Self>, link: &Arc<Link>, path: &Path) {
        while let Ok((send, recv)) = path.accept().await {
            let stream = Stream {
                quic: Arc::clone(self),
                link: Arc::clone(link),
                path: path.clone(),
                send,
                recv,
            };
            self.tasks.spawn("quic call", stream.run());
        }
    }

    /// Serves the calls of one connection until it ends.
    async fn serve(self: Arc<Self>, link: Arc<Link>) {
        self.serve_path(&link, &link.path).await;
        let ended = link.connection.closed().await;
        link.set_lost();
        self.traffic.ended(&link.connection);
        let another = {
            let mut reach = link.peer.reach();
            reach.links.retain(|other| !Arc::ptr_eq(other, &link));
            reach
                .links
                .iter()
                .any(|other| other.is_open() && other.incarnation >= link.incarnation)
        };
        if another {
            return;
        }
        let in_order = match &ended {
            quinn::ConnectionError::ApplicationClosed(close) => {
                let code = close.error_code.into_inner();
                code == Close::Done as u64 || code == Close::Drained as u64
            }
            quinn::ConnectionError::LocallyClosed => link.is_done(),
            _ => false,
        };
        if in_order {
            self.observe(&link, PeerState::Known, None);
        } else {
            let reason = link.unreachable(&ended).message;
            tracing::info!(peer.name = %link.peer.node, peer.incarnation = link.incarnation, "{reason}");
            self.observe(&link, PeerState::Down, Some(reason));
        }
    }
}

/// Whether a connection is one of a link's lanes, as its ALPN says.
fn is_lane(connection: &Connection) -> bool {
    let data = connection.handshake_data();
    let data = data.and_then(|data| data.downcast::<quinn::crypto::rustls::HandshakeData>().ok());
    data.is_some_and(|data| data.protocol.as_deref() == Some(LANE_ALPN))
}

/// One call's stream at the callee.
struct Stream {
    quic: Arc<Quic>,
    link: Arc<Link>,
    path: Path,
    send: Sender,
    recv: Receiver,
}

/// When the parts of a call began, on the callee's clock.
pub(super) struct Times {
    pub(super) arrived: Instant,
    pub(super) dispatched: Instant,
    pub(super) answered: Instant,
}

impl Stream {
    async fn run(mut self) {
        let _under_way = self.quic.incoming.enter();
        match self.answer().await {
            Ok(()) => {}
            Err(Fault::Malformed(error)) => self.quic.malformed_on(&self.link, &self.path, &error),
            Err(Fault::Reset | Fault::Lost(_)) => {
                // Nobody listens any more: no half reply shall look like a whole one.
                self.send.reset();
            }
        }
    }

    async fn answer(&mut self) -> Result<(), Fault> {
        let head = async {
            let first = self.recv.read().await?.ok_or(FrameError::CutShort)?;
            let arrived = Instant::now();
            let (head, rest) = read_head(&mut self.recv, first, frame::decode_call).await?;
            Ok::<_, Fault>((arrived, head, rest))
        };
        let Some(head) = within(|| Instant::now() + HEAD_MAX, head).await else {
            return Err(FrameError::CutShort.into());
        };
        let (arrived, head, rest) = head?;
        let deadline = arrived + head.remaining;
        let mut permit = None;
        let is_whole = rest.len() >= head.len;
        let call = self.call(&head, rest, deadline, &mut permit);
        let call = match within(|| deadline, call).await {
            Some(call) => call?,
            None => Err(CallError::new(
                ErrorCode::Deadline,
                "the deadline passed before the call had arrived",
            )),
        };
        // The clock is read where somebody will look at the steps.
        let dispatched = head.stages.then(Instant::now);
        // A frame has arrived when its last byte has: until then it travels.
        let arrived = dispatched.filter(|_| !is_whole).unwrap_or(arrived);
        let outcome = match call {
            Ok(call) => self.carry_out(call).await?,
            Err(error) => Err(error),
        };
        let times = dispatched.map(|dispatched| Times {
            arrived,
            dispatched,
            answered: Instant::now(),
        });
        let (bytes, body) = reply(outcome, times.as_ref());
        self.send.write(bytes, body).await
    }

    /// Carries a call out here, unless its peer gives it up.
    async fn carry_out(&self, call: Call) -> Result<Result<Reply, CallError>, Fault> {
        let function = Arc::clone(&call.function);
        let mut outcome = self.quic.local.dispatch(call);
        // To watch for a reset takes the connection's lock and an allocation: a call that answers at once needs neither.
        let outcome = match poll!(&mut outcome) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => tokio::select! {
                biased;
                outcome = &mut outcome => outcome,
                () = self.send.stopped() => return Err(Fault::Reset),
            },
        };
        Ok(outcome.and_then(|reply| check_result(&function, &reply.value).map(|()| reply)))
    }

    /// The call behind a head, once it is allowed and its arguments are here.
    async fn call(
        &mut self,
        head: &CallHead,
        rest: Bytes,
        deadline: Instant,
        permit: &mut Option<OwnedSemaphorePermit>,
    ) -> Result<Result<Call, CallError>, Fault> {
        if self.quic.is_draining() {
            return Ok(Err(self.not_found("takes no new calls")));
        }
        let caller = match self.admitted((head.caller, head.function)).await {
            Ok(caller) => caller,
            Err(error) => return Ok(Err(error)),
        };
        let Some((handler, function, type_hash)) = self.quic.serves(head.function) else {
            return Ok(Err(self.not_served()));
        };
        match self.quic.body_permit(head.len) {
            Ok(taken) => *permit = taken,
            Err(error) => return Ok(Err(error)),
        }
        let args = read_body(&mut self.recv, rest, head.len).await?;
        Ok(Ok(Call {
            caller,
            handler: Some(handler),
            function,
            type_hash: Some(type_hash),
            args,
            deadline,
            trace: head.trace,
            hop: head.hop,
            lift_ns: 0,
        }))
    }

    /// The caller of an id, if the peer may speak for it and it may call the function. Both rights come from elsewhere,
    /// and may be a moment behind; what was refused by those in force is refused at once.
    async fn admitted(&self, ids: (u32, u32)) -> Result<HandlerName, CallError> {
        match self.admit(ids) {
            Ok(decided) => decided,
            Err(denied) => Box::pin(self.admitted_later(denied, ids)).await,
        }
    }

    /// What is known now: the caller, an error that waiting does not change, or what is in the way.
    fn admit(&self, ids: (u32, u32)) -> Result<Result<HandlerName, CallError>, Denied> {
        match self.quic.admission.admit(&self.link, &self.quic.exports, ids) {
            Ok(caller) => Ok(Ok(caller)),
            Err(Denied::Function(_)) if self.quic.serves(ids.1).is_none() => Ok(Err(self.not_served())),
            Err(denied) => Err(denied),
        }
    }

    async fn admitted_later(&self, mut denied: Denied, ids: (u32, u32)) -> Result<HandlerName, CallError> {
        let node = &self.link.peer.node;
        if !self.quic.admission.has_refused(node, &denied.caller(ids), ids.1) {
            let waited = timeout(CALLER_MAX, async {
                loop {
                    let heard = self.link.peer.heard.notified();
                    tokio::pin!(heard);
                    heard.as_mut().enable();
                    match self.admit(ids) {
                        Ok(decided) => return decided,
                        Err(other) => denied = other,
                    }
                    heard.await;
                }
            });
            if let Ok(decided) = waited.await {
                return decided;
            }
        }
        Err(self.quic.unauthorised(&self.link, &denied, ids))
    }

    fn not_served(&self) -> CallError {
        self.not_found("does not serve this function any more")
    }

    fn not_found(&self, what: &str) -> CallError {
        CallError::new(ErrorCode::NotFound, format!("node `{}` {what}", self.quic.node))
    }
}

/// What a future comes to by a deadline, `None` where the deadline is first. What is ready at once costs no timer.
async fn within<F: Future>(deadline: impl FnOnce() -> Instant, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    match poll!(&mut future) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => timeout_at(deadline().into(), future).await.ok(),
    }
}

/// The bytes of a reply: its head, with a small body behind it, and a large body. With times, with stages.
pub(super) fn reply(outcome: Result<Reply, CallError>, times: Option<&Times>) -> (BytesMut, Bytes) {
    let (status, body, stages) = match outcome {
        Ok(reply) if reply.is_err => (Status::Err, reply.value, reply.stages),
        Ok(reply) => (Status::Ok, reply.value, reply.stages),
        Err(error) => {
            let mut body = BytesMut::new();
            frame::encode_error(&error, &mut body);
            (Status::Failed, body.freeze(), None)
        }
    };
    let head = ReplyHead {
        status,
        stages: times.map(|times| stages_of(stages, times, Instant::now())),
        len: body.len(),
    };
    let mut bytes =
        BytesMut::with_capacity(REPLY_HEAD_BYTES_MAX + body.len().min(super::stream::INLINE_BYTES_MAX));
    frame::encode_reply(&head, &mut bytes);
    (bytes, body)
}

/// The callee's stages with this side's own work in them, so that the parts sum to the whole: parsing and routing count
/// as decoding. Without stages from inside, all that happened there is the run.
fn stages_of(inner: Option<CalleeStages>, times: &Times, now: Instant) -> CalleeStages {
    let ns = |from: Instant, to: Instant| to.saturating_duration_since(from).as_nanos() as u64;
    let inside = ns(times.dispatched, times.answered);
    let inner = inner.unwrap_or_else(|| CalleeStages {
        total: inside,
        run: inside,
        ..CalleeStages::default()
    });
    CalleeStages {
        total: ns(times.arrived, now),
        decode: ns(times.arrived, times.dispatched) + inner.decode + inside.saturating_sub(inner.total),
        encode: inner.encode + ns(times.answered, now),
        ..inner
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_call_sum_to_its_whole() {
        let arrived = Instant::now();
        let at = |us| arrived + Duration::from_micros(us);
        let times = Times {
            arrived,
            dispatched: at(10),
            answered: at(110),
        };
        let inner = CalleeStages {
            total: 95_000,
            decode: 5_000,
            wait: 20_000,
            run: 50_000,
            outgoing: 15_000,
            encode: 5_000,
        };
        let parts = |s: CalleeStages| s.decode + s.wait + s.run + s.outgoing + s.encode;
        let stages = stages_of(Some(inner), &times, at(113));
        assert_eq!((stages.total, parts(stages)), (113_000, 113_000));
        assert_eq!(
            (stages.wait, stages.run, stages.outgoing),
            (20_000, 50_000, 15_000)
        );
        let stages = stages_of(None, &times, at(113));
        assert_eq!((stages.total, parts(stages)), (113_000, 113_000));
        assert_eq!((stages.decode, stages.run), (10_000, 100_000));
    }
}
