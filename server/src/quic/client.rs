//! `PeerClient`: calls to one incarnation of a peer, as a [`Dispatch`].
//!
//! Connects on first use, with one attempt that all callers share, and then reuses the connection. One bidirectional
//! stream per call; the head and small arguments leave in one write. Dropping the future resets the stream, which
//! cancels the call at the callee. The deadline is enforced here too, so that a silent peer cannot outwait it. An error
//! says whether the call never left, as when nobody was reached: then the caller may look for the callee elsewhere.
//!
//! By which rung of the ladder it goes is the client's; whatever it is, the link to the peer comes first.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwapOption;
use bytes::{Bytes, BytesMut};
use protocol::frame::{self, CALL_HEAD_BYTES_MAX, CallHead, Status};
use protocol::{CallError, ErrorCode, Rung, Shaping};
use quinn::ConnectionError;
use tokio::time::timeout_at;

use super::Quic;
use super::gauge::Guard;
use super::lane::{Key, Lane};
use super::link::Link;
use super::path::{Lost, Receiver, Sender};
use super::peer::{Aim, Peer};
use super::stream::{Fault, INLINE_BYTES_MAX, read_body, read_head};
use crate::dispatch::{Call, Dispatch, Reply, ReplyFuture};

/// Calls to one incarnation of a peer.
pub struct PeerClient {
    quic: Arc<Quic>,
    peer: Arc<Peer>,
    address: SocketAddr,
    incarnation: u64,
    /// The rung, and what is done to the way; with plain QUIC calls go by the link itself.
    rung: Rung,
    shaping: Shaping,
    link: ArcSwapOption<Link>,
    /// The lane that was used last, with its link.
    lane: ArcSwapOption<(Arc<Link>, Arc<Lane>)>,
}

/// How often a call that never left is sent: its lane may have ended since the last one, for nobody used it.
const TRIES_MAX: u32 = 2;

impl std::fmt::Debug for PeerClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeerClient")
            .field("node", &self.peer.node)
            .field("address", &self.address)
            .field("incarnation", &self.incarnation)
            .finish_non_exhaustive()
    }
}

impl Dispatch for PeerClient {
    fn dispatch(&self, call: Call) -> ReplyFuture<'_> {
        Box::pin(self.call(call))
    }
}

impl PeerClient {
    pub(super) fn new(
        quic: Arc<Quic>,
        peer: Arc<Peer>,
        (address, incarnation): Aim,
        (rung, shaping): (Rung, Shaping),
    ) -> Self {
        Self {
            quic,
            peer,
            address,
            incarnation,
            rung,
            shaping,
            link: ArcSwapOption::empty(),
            lane: ArcSwapOption::empty(),
        }
    }

    async fn call(&self, call: Call) -> Result<Reply, CallError> {
        let began = Instant::now();
        call.check_args()?;
        // A timer rounds up: what is over already must not begin.
        if call.deadline <= began {
            return Err(call.deadline_error());
        }
        match timeout_at(call.deadline.into(), self.exchange(&call, began)).await {
            Ok(reply) => reply,
            Err(_) => Err(call.deadline_error()),
        }
    }

    async fn exchange(&self, call: &Call, began: Instant) -> Result<Reply, CallError> {
        let mut tries = 1;
        loop {
            match self.attempt(call, began).await {
                Ok(outcome) => return outcome,
                // What one lane took with it before it left goes by the next.
                Err(_) if tries < TRIES_MAX => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends a call once. The outer error is that of a lane that ended before anything left.
    async fn attempt(&self, call: &Call, began: Instant) -> Result<Result<Reply, CallError>, CallError> {
        let Open {
            link,
            lane,
            head,
            send,
            recv,
            under_way: _under_way,
        } = match self.open(call).await {
            Ok(open) => open,
            Err(error) => return Ok(Err(error)),
        };
        let lane = lane.as_deref();
        let mut send = Sending { send, done: false };
        match send.send.write(head, call.args.clone()).await {
            Ok(()) => {}
            // It does not want the arguments: its reply says why.
            Err(Fault::Reset) => {}
            Err(Fault::Lost(lost)) => return lost_with(&link, lane, &lost).await,
            Err(Fault::Malformed(error)) => return Ok(Err(self.malformed(&link, lane, &error))),
        }
        // The clock is read where somebody will look at the step.
        let sent_ns = match call.trace.sampled {
            true => began.elapsed().as_nanos() as u64,
            false => 0,
        };
        let reply = read_reply(recv, call.trace.sampled).await;
        send.done = true;
        Ok(match reply {
            Ok(Ok(reply)) => Ok(Reply { sent_ns, ..reply }),
            Ok(Err(error)) => Err(error),
            Err(Fault::Lost(lost)) => return lost_with(&link, lane, &lost).await,
            Err(Fault::Reset) => Err(CallError::new(
                ErrorCode::Unreachable,
                format!("node `{}` gave the call up", self.peer.node),
            )),
            Err(Fault::Malformed(error)) => Err(self.malformed(&link, lane, &error)),
        })
    }

    /// A stream for a call, on a connection that takes it. An error means that nothing left.
    async fn open(&self, call: &Call) -> Result<Open, CallError> {
        let mut lost_one = false;
        loop {
            let link = self.link().await.map_err(CallError::unsent)?;
            // Counted before looking, so that a peer that drains waits for this call or this call sees that it drains.
            let under_way = link.outgoing.enter();
            if link.peer_drains() {
                let node = &self.peer.node;
                return Err(CallError::new(
                    ErrorCode::NotFound,
                    format!("node `{node}` takes no new calls"),
                ));
            }
            if link.is_retired() {
                continue;
            }
            let head = self.head(&link, call).await.map_err(CallError::unsent)?;
            let lane = self.lane(&link, call).await.map_err(CallError::unsent)?;
            let path = lane.as_ref().map_or(&link.path, |lane| &lane.path);
            match path.open().await {
                Ok((send, recv)) => {
                    let lane_under_way = lane.as_ref().map(|lane| lane.under_way.enter());
                    return Ok(Open {
                        link,
                        lane,
                        head,
                        send,
                        recv,
                        under_way: (under_way, lane_under_way),
                    });
                }
                Err(lost) => {
                    let mut said_why = false;
                    if lane.is_none() {
                        link.set_lost();
                        said_why = matches!(lost, Lost::Quic(ConnectionError::ApplicationClosed(_)));
                    }
                    if said_why || lost_one {
                        return Err(link.error_of(&lost, lane.as_deref()).await.unsent());
                    }
                    // It ended since the last call.
                    lost_one = true;
                }
            }
        }
    }

    /// Whether calls go by the link itself.
    fn is_plain(&self) -> bool {
        self.rung == Rung::Quic && self.shaping.is_none()
    }

    /// The lane by which a call goes, dialed with the first one; none where it goes by the link itself.
    async fn lane(&self, link: &Arc<Link>, call: &Call) -> Result<Option<Arc<Lane>>, CallError> {
        if self.is_plain() {
            return Ok(None);
        }
        let is_shared = self.shaping.is_none();
        if is_shared
            && let Some(kept) = &*self.lane.load()
            && Arc::ptr_eq(&kept.0, link)
            && kept.1.path.is_open()
            && kept.1.begin_use()
        {
            return Ok(Some(Arc::clone(&kept.1)));
        }
        let edge = || (call.caller.clone(), call.function.interface.clone());
        let key = Key {
            rung: self.rung,
            shaping: self.shaping,
            edge: (!is_shared).then(edge),
        };
        let lane = loop {
            let lane = self.quic.lane(link, &key).await?;
            if lane.begin_use() {
                break lane;
            }
            lane.path.closed().await;
        };
        if is_shared {
            self.lane
                .store(Some(Arc::new((Arc::clone(link), Arc::clone(&lane)))));
        }
        Ok(Some(lane))
    }

    async fn link(&self) -> Result<Arc<Link>, CallError> {
        if let Some(link) = self.link.load_full().filter(|link| link.takes_calls()) {
            return Ok(link);
        }
        let link = self
            .quic
            .connect(&self.peer, (self.address, self.incarnation))
            .await?;
        self.link.store(Some(Arc::clone(&link)));
        Ok(link)
    }

    async fn head(&self, link: &Link, call: &Call) -> Result<BytesMut, CallError> {
        let handler = call.handler.as_ref().ok_or_else(|| {
            CallError::new(
                ErrorCode::Internal,
                format!(
                    "`{}` was sent to another node before its handler was resolved",
                    call.function
                ),
            )
        })?;
        let function = link.function(handler, &call.function, call.type_hash).await?;
        let head = CallHead {
            stages: call.trace.sampled,
            caller: link.caller(&call.caller)?,
            function,
            remaining: call.remaining(),
            hop: call.hop,
            trace: call.trace,
            len: call.args.len(),
        };
        let mut bytes = BytesMut::with_capacity(CALL_HEAD_BYTES_MAX + call.args.len().min(INLINE_BYTES_MAX));
        frame::encode_call(&head, &mut bytes);
        Ok(bytes)
    }

    fn malformed(&self, link: &Link, lane: Option<&Lane>, error: &frame::FrameError) -> CallError {
        // A task that ended without its reply cuts the stream short: that is one call's trouble.
        if *error != frame::FrameError::CutShort {
            let path = lane.map_or(&link.path, |lane| &lane.path);
            self.quic.malformed_on(link, path, error);
        }
        CallError::new(
            ErrorCode::Internal,
            format!("node `{}` answered with no reply: {error}", self.peer.node),
        )
    }
}

/// What a call comes to whose path ended under it.
async fn lost_with(
    link: &Link,
    lane: Option<&Lane>,
    lost: &Lost,
) -> Result<Result<Reply, CallError>, CallError> {
    let error = link.error_of(lost, lane).await;
    match error.unsent && lane.is_some() {
        true => Err(error),
        false => Ok(Err(error)),
    }
}

/// A stream for a call, counted as under way until it is dropped.
struct Open {
    link: Arc<Link>,
    lane: Option<Arc<Lane>>,
    head: BytesMut,
    send: Sender,
    recv: Receiver,
    under_way: (Guard, Option<Guard>),
}

async fn read_reply(mut recv: Receiver, staged: bool) -> Result<Result<Reply, CallError>, Fault> {
    let (head, rest) = read_head(&mut recv, Bytes::new(), |bytes| {
        frame::decode_reply(bytes, staged)
    })
    .await?;
    let body = read_body(&mut recv, rest, head.len).await?;
    if head.status == Status::Failed {
        return Ok(Err(frame::decode_error(&body)?));
    }
    Ok(Ok(Reply {
        is_err: head.status == Status::Err,
        stages: head.stages,
        ..Reply::new(body)
    }))
}

/// A call's sending half: dropped before the reply it resets, because quinn would end it as if it were whole.
struct Sending {
    send: Sender,
    done: bool,
}

impl Drop for Sending {
    fn drop(&mut self) {
        if !self.done {
            self.send.reset();
        }
    }
}
