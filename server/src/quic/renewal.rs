//! Renewal: a node shows new papers, and no call fails for it.
//!
//! New connections show the new ones at once. Each connection that showed older ones gets another beside it, takes no new
//! calls from either side, and ends when the last call on it is answered and the last message read. Until then messages
//! stay on it, so that they keep their order. When papers are renewed is home's decision: see `node`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::link::{Close, Link};
use super::tls::Tls;
use super::{Error, Identity, Quic, transport};

/// The pause before another attempt to replace a connection; the old one serves meanwhile.
const AGAIN_AFTER: Duration = Duration::from_secs(10);
/// A peer that is alive ends its control stream within this time once nothing is under way.
const END_MAX: Duration = Duration::from_secs(5);

impl Quic {
    /// Shows these papers from now on. They must be for the same node and of the same authority: a peer that does not
    /// believe them cannot be reached any more.
    pub fn renew(self: &Arc<Self>, identity: &Identity) -> Result<(), Error> {
        if identity.node != self.node {
            return Err(identity.unusable(format!("this is node `{}`", self.node)));
        }
        let tls = Tls::new(identity)?;
        self.endpoint
            .set_server_config(Some(transport::server(&tls, &self.transport)));
        self.tls.store(Arc::new(tls));
        // Counted before looking: a connection made meanwhile is listed here, or sees that its papers are not the last.
        self.papers.fetch_add(1, Ordering::SeqCst);
        for link in self.links() {
            self.replace_outdated(&link);
        }
        Ok(())
    }

    /// How often this node has got new papers.
    pub(super) fn papers(&self) -> u64 {
        self.papers.load(Ordering::SeqCst)
    }

    /// Starts to replace a connection that showed older papers, once.
    pub(super) fn replace_outdated(self: &Arc<Self>, link: &Arc<Link>) {
        if link.papers < self.papers() && !link.is_retired() && link.is_first_to_replace() {
            let replaced = Arc::clone(self).replace(Arc::clone(link));
            self.tasks.spawn("quic renewal", replaced);
        }
    }

    async fn replace(self: Arc<Self>, link: Arc<Link>) {
        tokio::select! {
            biased;
            () = self.tasks.cancelled() => {}
            _ = link.connection.closed() => {}
            () = self.move_to_another(&link) => {}
        }
    }

    async fn move_to_another(self: &Arc<Self>, link: &Link) {
        let aim = (link.address, link.incarnation);
        loop {
            if self.is_draining() {
                return;
            }
            let reason = match self.dial(&link.peer, aim).await {
                // The peer answers once it lists the connection too: it shall not dial a third one.
                Ok(another) => match another.sync().await {
                    Ok(()) => break,
                    Err(error) => error.message,
                },
                Err(reason) => reason,
            };
            let node = &link.peer.node;
            tracing::warn!(peer.name = %node, "the connection to node `{node}` still shows old papers: {reason}");
            tokio::time::sleep(AGAIN_AFTER).await;
        }
        link.retire();
        // No limit of its own: every call has a deadline, and the connection serves until the last one has ended.
        link.drained.cancelled().await;
        link.outgoing.idle().await;
        link.closing.cancel();
        let _ = tokio::time::timeout(END_MAX, link.read_out.cancelled()).await;
        link.close(Close::Done, "another connection took its place");
    }
}
