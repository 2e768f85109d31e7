//! `edges/bill`: made at most once in some seconds, for all who ask.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use protocol::api::bill::Bill;
use protocol::edge_name;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::Shared;
use crate::edges::bill;
use crate::http::Context;
use crate::http::error::Failure;

/// How long a bill is as good as a new one. Making it reads some thousand spans.
const KEPT: Duration = Duration::from_secs(2);

/// The newest bill.
pub(super) struct Cashier {
    newest: Mutex<Option<(Instant, Arc<Bill>)>>,
    /// Who holds the permit makes the next.
    turn: Semaphore,
}

impl Cashier {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            newest: Mutex::new(None),
            turn: Semaphore::new(1),
        })
    }

    fn kept(&self) -> Option<Arc<Bill>> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = newest.as_ref().filter(|(made, _)| made.elapsed() < KEPT);
        fresh.map(|(_, bill)| Arc::clone(bill))
    }

    async fn bill(&self, context: &Context) -> Result<Arc<Bill>, Failure> {
        if let Some(bill) = self.kept() {
            return Ok(bill);
        }
        let _turn = self.turn.acquire().await.map_err(|_| Failure::not_ready())?;
        if let Some(bill) = self.kept() {
            return Ok(bill);
        }
        let listed = super::edges(context).await?;
        let names: Vec<String> = listed
            .iter()
            .map(|edge| edge_name(&edge.caller, &edge.interface))
            .collect();
        let requests = context.traces.requests(&names).await?;
        let requests: Vec<_> = requests
            .into_iter()
            .map(|request| (request.duration_ns, request.calls))
            .collect();
        // Some milliseconds of one core: not on a thread that serves calls.
        let made = tokio::task::spawn_blocking(move || bill::bill(listed, &requests));
        let bill = Arc::new(made.await.map_err(|_| Failure::not_ready())?);
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        *newest = Some((Instant::now(), Arc::clone(&bill)));
        Ok(bill)
    }
}

pub(super) async fn show(State(shared): State<Shared>) -> Result<Json<Arc<Bill>>, Failure> {
    Ok(Json(shared.cashier.bill(&shared.context).await?))
}
