//! What nodes prove their names with: issued at their start, replaced for all at once, and since when.

use std::sync::atomic::Ordering;

use protocol::NodeName;
use protocol::api::chronicle::Happening;
use protocol::api::nodes::PaperDates;
use protocol::control::Control;

use super::Nodes;
use crate::quic::LEAF_VALID;

impl Nodes {
    /// New papers for home and every child: for what runs now over the wire, and for a child's next start.
    pub(in crate::node) async fn renew_papers(&self) {
        let issue = |node: &NodeName| {
            let issued = self.authority.issue(node);
            issued.inspect_err(
                |error| tracing::error!(node = %node, "no new papers for node `{node}`: {error}"),
            )
        };
        let now = self.now_ms();
        if let Ok(identity) = issue(&self.station.node) {
            match self.quic().renew(&identity) {
                Ok(()) => self.papers_unix_ms.store(now, Ordering::Relaxed),
                Err(error) => tracing::error!("home keeps its old papers: {error}"),
            }
        }
        self.chronicle
            .all(Happening::PapersRenewed, "every node gets a new certificate");
        for (node, address) in self.addresses() {
            let Ok(identity) = issue(&node) else { continue };
            let papers = identity.into_papers();
            self.held(|held| {
                let Some(held) = held.get_mut(&node) else { return };
                if let Some(child) = &held.child {
                    child.set_papers(papers.clone());
                    held.papers_unix_ms = now;
                }
            });
            if let Err(error) = self
                .quic()
                .send(&node, address, Control::Papers(Box::new(papers)))
                .await
            {
                tracing::warn!(node = %node, "node `{node}` keeps its old papers until the next renewal: {error}");
            }
        }
    }

    /// Says when all papers are replaced next.
    pub(in crate::node) fn set_renewal(&self, unix_ms: u64) {
        self.renewal_unix_ms.store(unix_ms, Ordering::Relaxed);
    }

    /// The moment, read anew.
    pub(super) fn now_ms(&self) -> u64 {
        self.clock.anew().unix_ms() as u64
    }

    /// The dates of papers that were issued at a moment.
    pub(super) fn papers(&self, issued_unix_ms: u64) -> PaperDates {
        PaperDates {
            issued_unix_ms,
            renewal_unix_ms: self.renewal_unix_ms.load(Ordering::Relaxed),
            end_unix_ms: issued_unix_ms + LEAF_VALID.as_millis() as u64,
        }
    }

    /// The dates of home's own.
    pub(super) fn own_papers(&self) -> PaperDates {
        self.papers(self.papers_unix_ms.load(Ordering::Relaxed))
    }
}
