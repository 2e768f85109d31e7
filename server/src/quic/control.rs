//! The control stream of a link: what it owes is written, what comes is taken in.
//!
//! Each side opens one unidirectional stream; `hello` is its first frame, and it lives as long as the connection. Messages
//! keep their order. A message that its sender may not send is malformed: only home routes, drains and reports deaths.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use protocol::NodeName;
use protocol::control::Control;
use protocol::frame::{self, Envelope, FrameError, Hello, Kind};
use quinn::SendStream;
use tokio::sync::mpsc;

use super::Quic;
use super::link::Link;
use super::path::Receiver;
use super::stream::{Fault, read_exact, read_head};
use crate::peers::PeerState;

/// A peer that is alive reads the end of the stream within this time.
const FLUSH_MAX: Duration = Duration::from_secs(1);

/// What the writer of a link has told the peer.
#[derive(Default)]
struct Told {
    exports: usize,
    callers: usize,
    sync: u64,
    synced: u64,
    drain: bool,
    drained: bool,
    retire: bool,
}

/// Opens our stream with the hello.
pub(super) fn hello(hello: &Hello) -> Bytes {
    let mut out = BytesMut::new();
    frame::encode_hello(hello, &mut out);
    out.freeze()
}

/// Reads the peer's hello, and gives what came behind it.
pub(super) async fn read_hello(recv: &mut Receiver) -> Result<(Hello, Bytes), Fault> {
    let mut rest = Bytes::new();
    match read_frame(recv, &mut rest).await? {
        Some((Kind::Hello, body)) => Ok((frame::decode_hello(&body)?, rest)),
        _ => Err(FrameError::Malformed("hello").into()),
    }
}

/// The next frame; `None` where the stream ends between two.
async fn read_frame(recv: &mut Receiver, rest: &mut Bytes) -> Result<Option<(Kind, Bytes)>, Fault> {
    if rest.is_empty() {
        match recv.read().await? {
            Some(bytes) => *rest = bytes,
            None => return Ok(None),
        }
    }
    let first = std::mem::take(rest);
    let (Envelope { kind, len }, behind) = read_head(recv, first, frame::decode_envelope).await?;
    *rest = behind;
    let body = read_exact(recv, rest, len).await?;
    Ok(Some((kind, body)))
}

impl Quic {
    /// Takes in the peer's control stream until it or the connection ends.
    pub(super) async fn read_control(self: Arc<Self>, link: Arc<Link>, mut recv: Receiver, mut rest: Bytes) {
        loop {
            let taken = match read_frame(&mut recv, &mut rest).await {
                Ok(Some((kind, body))) => self.take_in(&link, kind, &body).await,
                Ok(None) => return link.set_read_out(),
                Err(Fault::Lost(_)) => return,
                Err(Fault::Malformed(error)) => Err(error),
                Err(Fault::Reset) => Err(FrameError::CutShort),
            };
            if let Err(error) = taken {
                self.malformed(&link, &error);
                return;
            }
        }
    }

    async fn take_in(&self, link: &Link, kind: Kind, body: &[u8]) -> Result<(), FrameError> {
        match kind {
            Kind::Hello => return Err(FrameError::Malformed("second hello")),
            Kind::Exports => link.import(frame::decode_exports(body)?)?,
            Kind::Callers => link.hear(frame::decode_callers(body)?)?,
            Kind::Control => {
                let control = frame::decode_control(body)?;
                let node = &link.peer.node;
                if !may_send(node, &control) {
                    return Err(FrameError::Malformed("control message: only home may send it"));
                }
                if self.control.send((node.clone(), control)).await.is_err() {
                    tracing::debug!(peer.name = %node, "a control message came after its receiver ended");
                }
            }
            Kind::Sync => link.set_sync_due(frame::decode_number(body)?),
            Kind::Synced => link.set_synced(frame::decode_number(body)?),
            Kind::Drain => {
                link.set_peer_drains();
                self.observe(link, PeerState::Draining, None);
            }
            Kind::Drained => link.drained.cancel(),
            Kind::Retire => link.set_retired(),
        }
        Ok(())
    }

    /// Writes what the link owes its peer until the connection ends or [`Link::closing`] asks for the end.
    pub(super) async fn write_control(
        self: Arc<Self>,
        link: Arc<Link>,
        mut send: SendStream,
        mut messages: mpsc::Receiver<Bytes>,
    ) {
        let mut told = Told::default();
        loop {
            let owed = self.owed(&link, &mut told);
            if !owed.is_empty() {
                if send.write_chunk(owed).await.is_err() {
                    return;
                }
                continue;
            }
            let owes_drained = (link.peer_drains() || link.is_retired()) && !told.drained;
            tokio::select! {
                biased;
                _ = link.connection.closed() => return,
                () = link.changed.notified() => {}
                () = link.outgoing.idle(), if owes_drained => {
                    told.drained = true;
                    if send.write_chunk(mark(Kind::Drained)).await.is_err() {
                        return;
                    }
                }
                Some(message) = messages.recv() => {
                    if send.write_chunk(message).await.is_err() {
                        return;
                    }
                }
                () = link.closing.cancelled() => break,
            }
        }
        // Who comes with a message from now on learns that it is not taken here.
        messages.close();
        while let Some(message) = messages.recv().await {
            if send.write_chunk(message).await.is_err() {
                return;
            }
        }
        let _ = send.finish();
        let _ = tokio::time::timeout(FLUSH_MAX, send.stopped()).await;
        link.flushed.cancel();
    }

    /// What the peer was not told yet.
    fn owed(&self, link: &Link, told: &mut Told) -> Bytes {
        let mut out = BytesMut::new();
        // Read before the exports: the answer promises what was exported before the question came.
        let sync_due = link.sync_due();
        let exports = self.exports();
        let fresh = if told.exports < exports.len() {
            exports.from(told.exports)
        } else {
            Vec::new()
        };
        told.exports += put_table(
            Kind::Exports,
            told.exports,
            &fresh,
            frame::encode_exports,
            &mut out,
        );
        let fresh = link.callers_from(told.callers);
        told.callers += put_table(
            Kind::Callers,
            told.callers,
            &fresh,
            frame::encode_callers,
            &mut out,
        );
        let sync_asked = link.sync_asked();
        if sync_asked > told.sync {
            told.sync = sync_asked;
            frame::encode_number(Kind::Sync, sync_asked, &mut out);
        }
        if sync_due > told.synced {
            told.synced = sync_due;
            frame::encode_number(Kind::Synced, sync_due, &mut out);
        }
        if link.asked_to_drain() && !told.drain {
            told.drain = true;
            out.extend_from_slice(&mark(Kind::Drain));
        }
        if link.asked_to_retire() && !told.retire {
            told.retire = true;
            out.extend_from_slice(&mark(Kind::Retire));
        }
        out.freeze()
    }
}

fn mark(kind: Kind) -> Bytes {
    let mut out = BytesMut::new();
    frame::encode_mark(kind, &[], &mut out);
    out.freeze()
}

fn put_table<T>(
    kind: Kind,
    first: usize,
    entries: &[T],
    encode: impl Fn(u32, &[T], &mut BytesMut) -> usize,
    out: &mut BytesMut,
) -> usize {
    let mut done = 0;
    while let Some(rest) = entries.get(done..).filter(|rest| !rest.is_empty()) {
        let mut body = BytesMut::new();
        done += encode((first + done) as u32, rest, &mut body);
        frame::encode_mark(kind, &body, out);
    }
    done
}

/// Home directs, children report.
fn may_send(node: &NodeName, control: &Control) -> bool {
    match control {
        Control::Routes(_)
        | Control::Prepare(_)
        | Control::PeerDown { .. }
        | Control::Drain
        | Control::Papers(_) => *node == NodeName::home(),
        Control::Ready { .. } | Control::Prepared { .. } | Control::Spans(_) | Control::Figures(_) => true,
    }
}
