//! `Traffic`: UDP payload of every connection that this node ever had, both ways.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use quinn::Connection;

/// Bytes of open and of ended connections.
#[derive(Default)]
pub(super) struct Traffic(Mutex<Ledger>);

#[derive(Default)]
struct Ledger {
    open: HashMap<usize, Connection>,
    sent: u64,
    received: u64,
}

impl Traffic {
    pub(super) fn opened(&self, connection: &Connection) {
        self.ledger()
            .open
            .insert(connection.stable_id(), connection.clone());
    }

    /// Keeps the totals of a connection that ended; only the first time counts.
    pub(super) fn ended(&self, connection: &Connection) {
        let mut ledger = self.ledger();
        if ledger.open.remove(&connection.stable_id()).is_some() {
            let stats = connection.stats();
            ledger.sent += stats.udp_tx.bytes;
            ledger.received += stats.udp_rx.bytes;
        }
    }

    /// Sent and received.
    pub(super) fn bytes(&self) -> (u64, u64) {
        let ledger = self.ledger();
        let open = ledger.open.values().map(Connection::stats);
        open.fold((ledger.sent, ledger.received), |(sent, received), stats| {
            (sent + stats.udp_tx.bytes, received + stats.udp_rx.bytes)
        })
    }

    fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
