//! Reaching a peer: one attempt at a time for an address, which everyone who needs the connection waits for.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use protocol::{CallError, ErrorCode};
use quinn::ConnectionError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Quic;
use super::link::Link;
use super::peer::{Aim, Attempt, Peer};
use super::tls::SERVER_NAME;
use crate::peers::PeerState;

/// Attempts to reach a peer go on for so long: one that just started on a busy machine misses the first.
const CONNECT_MAX: Duration = Duration::from_secs(3);

impl Quic {
    /// The connection to a peer, made if there is none; everyone who comes meanwhile waits for the same attempt.
    pub(super) async fn connect(
        self: &Arc<Self>,
        peer: &Arc<Peer>,
        aim: Aim,
    ) -> Result<Arc<Link>, CallError> {
        if peer.is_gone(aim.1) {
            return Err(unreachable(peer, "its process is gone"));
        }
        loop {
            let (goes_to, attempt) = {
                let mut reach = peer.reach();
                if let Some(link) = reach.find(aim) {
                    return Ok(link);
                }
                // An attempt at the same address for any other incarnation may bring the connection too.
                let under_way = reach.attempts.iter().find(|(other, _)| other.0 == aim.0);
                match under_way {
                    Some((other, (attempt, _))) => (*other, attempt.clone()),
                    None => {
                        let cancel = CancellationToken::new();
                        let attempt = self.attempt(peer, aim, cancel.clone());
                        reach.attempts.insert(aim, (attempt.clone(), cancel));
                        (aim, attempt)
                    }
                }
            };
            let outcome = attempt.await;
            if goes_to == aim {
                return outcome;
            }
        }
    }

    fn attempt(self: &Arc<Self>, peer: &Arc<Peer>, aim: Aim, cancel: CancellationToken) -> Attempt {
        let (quic, peer) = (Arc::clone(self), Arc::clone(peer));
        let stopped = unreachable(&peer, "this node stops");
        let task = self.tasks.spawn("quic connect", async move {
            quic.peers
                .observe(&peer.node, aim.0, aim.1, PeerState::Connecting, None);
            let connected = tokio::select! {
                biased;
                () = quic.tasks.cancelled() => Err("this node stops".to_owned()),
                () = cancel.cancelled() => Err("its process is gone".to_owned()),
                connected = quic.dial(&peer, aim) => connected,
            };
            // After the connection is listed, so that there is always one of both to be found.
            peer.reach().attempts.remove(&aim);
            connected.map_err(|reason| {
                quic.peers
                    .observe(&peer.node, aim.0, aim.1, PeerState::Down, Some(reason.clone()));
                unreachable(&peer, &reason)
            })
        });
        async move { task.await.ok().flatten().unwrap_or(Err(stopped)) }
            .boxed()
            .shared()
    }

    /// Dials until it succeeds, is refused, or the time is over.
    pub(super) async fn dial(
        self: &Arc<Self>,
        peer: &Arc<Peer>,
        (address, incarnation): Aim,
    ) -> Result<Arc<Link>, String> {
        let until = Instant::now() + CONNECT_MAX;
        loop {
            // Read before the papers themselves: at worst the connection is taken for an older one, and replaced.
            let papers = self.papers();
            let mut config = quinn::ClientConfig::new(self.tls.load().client(&peer.node));
            config.transport_config(Arc::clone(&self.transport));
            let connecting = self
                .endpoint
                .connect_with(config, address, SERVER_NAME)
                .map_err(|error| error.to_string())?;
            match connecting.await {
                Ok(connection) => {
                    return self
                        .establish(connection, Arc::clone(peer), (incarnation, papers))
                        .await;
                }
                Err(ConnectionError::TimedOut) if Instant::now() < until => {}
                Err(ConnectionError::TimedOut) => return Err(format!("nobody answers at {address}")),
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

fn unreachable(peer: &Peer, reason: &str) -> CallError {
    let node = &peer.node;
    CallError::new(
        ErrorCode::Unreachable,
        format!("node `{node}` is not reached: {reason}"),
    )
}
