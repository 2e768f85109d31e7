//! Group commit: one task owns the writer, takes what waits, and answers everyone after one COMMIT.
//!
//! Promises: nothing is answered before its transaction is committed; operations that wait together share a commit, and
//! the next group forms while the last one is being written, so there is no timer. A group that fails is rolled back
//! and its operations are tried one by one, so that one cannot fail its neighbours.

use std::future::Future;

use sqlx::sqlite::SqliteConnection;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Error, Writer};

/// Operations of one group: as many rows as one statement takes.
pub const GROUP_OPS_MAX: usize = 512;
/// Bytes of one group; one operation may be larger by itself.
pub const GROUP_BYTES_MAX: usize = 1 << 20;
/// Operations that wait for a group; beyond it their callers wait to be let in.
pub const OPS_WAITING_MAX: usize = 4_096;

/// What a store does with a group of operations.
pub trait Journal: Send + 'static {
    /// One operation, with the place for its outcome and whom to answer.
    type Op: Send + 'static;

    /// About how much the operation writes.
    fn bytes(op: &Self::Op) -> usize;

    /// Carries the operations out in the open transaction and leaves each one's outcome in it. It may be called again
    /// for the same operation after a rollback.
    fn apply<'a>(
        &'a mut self,
        connection: &'a mut SqliteConnection,
        ops: &'a mut [Self::Op],
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send + 'a;

    /// Answers the operations once they are committed.
    fn committed(&mut self, ops: Vec<Self::Op>);

    /// What it keeps in memory of a transaction that was rolled back is void.
    fn rolled_back(&mut self);

    /// Answers an operation that was rolled back.
    fn failed(&mut self, op: Self::Op, error: Error);
}

/// Takes operations until `cancelled`, then carries out what was accepted and closes the writer.
pub async fn run<J: Journal>(
    mut writer: Writer,
    mut journal: J,
    mut waiting: mpsc::Receiver<J::Op>,
    cancelled: CancellationToken,
) {
    let mut carried = None;
    loop {
        let first = match carried.take() {
            Some(op) => Some(op),
            None => tokio::select! {
                biased;
                op = waiting.recv() => op,
                () = cancelled.cancelled(), if !waiting.is_closed() => {
                    waiting.close();
                    continue;
                }
            },
        };
        let Some(first) = first else { break };
        let (ops, next) = collect::<J>(first, &mut waiting);
        carried = next;
        commit(&mut writer, &mut journal, ops).await;
        if let Err(error) = writer.checkpoint_if_due().await {
            tracing::warn!(db.path = %writer.path().display(), %error, "checkpoint failed, the log keeps growing");
        }
    }
    let path = writer.path().to_owned();
    if let Err(error) = writer.close().await {
        tracing::warn!(db.path = %path.display(), %error, "database did not close cleanly");
    }
}

/// What waits, up to the limits of a group, and the operation that no longer fits.
fn collect<J: Journal>(first: J::Op, waiting: &mut mpsc::Receiver<J::Op>) -> (Vec<J::Op>, Option<J::Op>) {
    let mut bytes = J::bytes(&first);
    let mut ops = vec![first];
    while ops.len() < GROUP_OPS_MAX {
        let Ok(op) = waiting.try_recv() else { break };
        bytes += J::bytes(&op);
        if bytes > GROUP_BYTES_MAX {
            return (ops, Some(op));
        }
        ops.push(op);
    }
    (ops, None)
}

async fn commit<J: Journal>(writer: &mut Writer, journal: &mut J, mut ops: Vec<J::Op>) {
    match transact(writer, journal, &mut ops).await {
        Ok(()) => journal.committed(ops),
        Err(error) if ops.len() == 1 => fail(writer, journal, ops, &error),
        Err(error) => {
            tracing::warn!(db.path = %writer.path().display(), %error, "group of writes failed, trying one by one");
            for op in ops {
                let mut alone = vec![op];
                match transact(writer, journal, &mut alone).await {
                    Ok(()) => journal.committed(alone),
                    Err(error) => fail(writer, journal, alone, &error),
                }
            }
        }
    }
}

fn fail<J: Journal>(writer: &Writer, journal: &mut J, ops: Vec<J::Op>, error: &sqlx::Error) {
    tracing::error!(db.path = %writer.path().display(), %error, "write rolled back");
    for op in ops {
        journal.failed(op, Error::RolledBack(error.to_string()));
    }
}

async fn transact<J: Journal>(
    writer: &mut Writer,
    journal: &mut J,
    ops: &mut [J::Op],
) -> Result<(), sqlx::Error> {
    let outcome = async {
        let mut transaction = writer.begin().await?;
        journal.apply(&mut transaction, ops).await?;
        transaction.commit().await
    };
    let outcome = outcome.await;
    if outcome.is_err() {
        journal.rolled_back();
    }
    outcome
}

/// One operation's input, the place for its outcome, and whom to answer.
#[derive(Debug)]
pub struct Request<In, Out> {
    /// What is asked.
    pub input: In,
    outcome: Option<Out>,
    answer: oneshot::Sender<Result<Out, Error>>,
}

impl<In, Out> Request<In, Out> {
    /// A request, and where its answer comes out.
    pub fn new(input: In) -> (Self, oneshot::Receiver<Result<Out, Error>>) {
        let (answer, receiver) = oneshot::channel();
        let request = Self {
            input,
            outcome: None,
            answer,
        };
        (request, receiver)
    }

    /// Leaves the outcome, to be told after the commit.
    pub fn set(&mut self, outcome: Out) {
        self.outcome = Some(outcome);
    }

    /// The outcome so far.
    pub fn outcome(&self) -> Option<&Out> {
        self.outcome.as_ref()
    }

    /// Tells the outcome; who has gone away is not told.
    pub fn answer(self) {
        let outcome = self.outcome.ok_or_else(|| Error::RolledBack("no outcome".into()));
        let _ = self.answer.send(outcome);
    }

    /// Tells that it failed.
    pub fn fail(self, error: Error) {
        let _ = self.answer.send(Err(error));
    }
}

/// Hands an operation to the writer's task and waits for its answer. Dropping the future does not take it back.
pub async fn ask<Op, In, Out>(
    writer: &mpsc::Sender<Op>,
    input: In,
    wrap: impl FnOnce(Request<In, Out>) -> Op,
) -> Result<Out, Error> {
    let (request, answer) = Request::new(input);
    writer.send(wrap(request)).await.map_err(|_| Error::Closed)?;
    answer.await.map_err(|_| Error::Closed)?
}
