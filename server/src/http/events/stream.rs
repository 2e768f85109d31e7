//! One reader's stream: all snapshots, then what changes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use futures_util::stream::{Stream, unfold};
use protocol::api::events::Event;
use protocol::api::traces::TraceSummary;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::hub::{Board, Kind, STREAMS_MAX, data};
use crate::http::api::Shared;
use crate::http::error::Failure;

/// How often a silent stream says that it is alive.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);
/// The shortest time between two events of traces, and the most traces of one: as quick as a person sees, and some dozens
/// of rows at once rather than one by one.
const TRACES_EVERY: Duration = Duration::from_millis(100);
const TRACES_MAX: usize = 100;

/// `GET events`.
pub(in crate::http) async fn stream(
    State(shared): State<Shared>,
) -> Result<Sse<impl Stream<Item = Result<Sent, Infallible>>>, Failure> {
    let permit = Arc::clone(&shared.hub.streams).try_acquire_owned();
    let permit = permit.map_err(|_| Failure::too_many_streams(STREAMS_MAX))?;
    let live = shared.hub.context().traces.follow();
    let board = shared.hub.subscribe().await;
    let mut reader = Reader {
        board,
        live,
        token: shared.token.clone(),
        seen: [0; Kind::ALL.len()],
        waiting: VecDeque::new(),
        traces: Vec::new(),
        next_traces: Instant::now(),
        _permit: permit,
    };
    reader.take_snapshots();
    let events = unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((Ok(event), reader))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE_EVERY)))
}

/// What one reader has seen, and what it has yet to be sent.
struct Reader {
    board: watch::Receiver<Board>,
    live: broadcast::Receiver<Arc<[TraceSummary]>>,
    token: CancellationToken,
    seen: [u64; Kind::ALL.len()],
    waiting: VecDeque<Sent>,
    traces: Vec<TraceSummary>,
    next_traces: Instant,
    _permit: OwnedSemaphorePermit,
}

impl Reader {
    async fn next(&mut self) -> Option<Sent> {
        loop {
            if self.token.is_cancelled() {
                return None;
            }
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            tokio::select! {
                biased;
                () = self.token.cancelled() => return None,
                changed = self.board.changed() => {
                    changed.ok()?;
                    self.take_snapshots();
                }
                batch = self.live.recv() => match batch {
                    Ok(batch) => self.take_traces(&batch),
                    Err(RecvError::Lagged(_)) => self.push(&Event::Lagged),
                    Err(RecvError::Closed) => return None,
                },
                () = tokio::time::sleep_until(self.next_traces), if !self.traces.is_empty() => {
                    let traces = std::mem::take(&mut self.traces);
                    self.push(&Event::Traces(traces));
                    self.next_traces = Instant::now() + TRACES_EVERY;
                }
            }
        }
    }

    fn push(&mut self, event: &Event) {
        self.waiting
            .push_back(Sent::default().event(event.name()).data(data(event)));
    }

    fn take_snapshots(&mut self) {
        let board = self.board.borrow_and_update();
        for (snapshot, seen) in board.iter().zip(&mut self.seen) {
            if snapshot.version > *seen {
                *seen = snapshot.version;
                self.waiting
                    .push_back(Sent::default().event(snapshot.name).data(&*snapshot.data));
            }
        }
    }

    /// A trace that has grown since takes its old place's stead; of too many, the newest are kept.
    fn take_traces(&mut self, batch: &[TraceSummary]) {
        self.traces
            .retain(|known| !batch.iter().any(|newer| newer.trace_id == known.trace_id));
        self.traces.extend_from_slice(batch);
        let excess = self.traces.len().saturating_sub(TRACES_MAX);
        self.traces.drain(..excess);
    }
}
