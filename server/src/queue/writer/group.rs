//! `Group`: one group of operations in its transaction, kind by kind.
//!
//! Order: settlements, extensions, what people ask for, new messages, leases. All of them are concurrent, so any order
//! is right; this one hands out what was just freed.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use protocol::api::queues::LastError;
use protocol::{QueueName, TraceContext};
use rand::Rng;
use sqlx::sqlite::SqliteConnection;

use super::{
    DEDUPE_WINDOW, DONE_AGE_LOOK, DONE_ROWS_LOOK, DONE_ROWS_MAX, Effects, How, Ledger, Op,
    QUEUE_MESSAGES_MAX, QUEUES_MAX, Settlement, Swept,
};
use crate::queue::Refusal;
use crate::queue::message::{MessageId, NewMessage, Settled, lease_expired, state};
use crate::queue::retry::{self, Verdict};
use crate::queue::store::{self, Held, NewRow, Outcome, QueueRow};

/// One group under way.
pub(super) struct Group<'a> {
    pub now_ms: i64,
    /// How long a done message can be looked at.
    pub keep_done: Duration,
    pub connection: &'a mut SqliteConnection,
    pub ledger: &'a mut Ledger,
    pub effects: &'a mut Effects,
}

type Done = Result<(), sqlx::Error>;

impl Group<'_> {
    /// Carries the operations out and leaves their outcomes in them.
    pub(super) async fn carry_out(&mut self, ops: &mut [Op]) -> Done {
        self.settle(ops).await?;
        self.extend(ops).await?;
        for op in ops.iter_mut() {
            match op {
                Op::Sweep(request) => {
                    let swept = self.sweep().await?;
                    request.set(swept);
                }
                Op::Revive(request) => {
                    let (queue, ids) = &request.input;
                    let revived = self.revive(queue, ids).await?;
                    request.set(revived);
                }
                Op::Forget(request) => {
                    let (queue, ids) = &request.input;
                    let forgotten = store::forget_dead(self.connection, queue, ids).await?;
                    self.ledger.hold(queue, -(forgotten as i64));
                    request.set(forgotten);
                }
                Op::Pause(request) => {
                    let (queue, paused) = request.input.clone();
                    let known = self.pause(&queue, paused).await?;
                    request.set(known);
                }
                Op::Enqueue(_) | Op::Lease(_) | Op::Settle(_) | Op::Extend(_) => {}
            }
        }
        self.enqueue(ops).await?;
        self.lease(ops).await
    }

    async fn settle(&mut self, ops: &mut [Op]) -> Done {
        let fences: Vec<_> = ops
            .iter()
            .filter_map(|op| match op {
                Op::Settle(request) => Some((request.input.fence.id, request.input.fence.lease)),
                _ => None,
            })
            .collect();
        if fences.is_empty() {
            return Ok(());
        }
        let held = store::held(self.connection, &fences).await?;
        let mut held: HashMap<MessageId, Held> = held.into_iter().map(|held| (held.id, held)).collect();
        let mut endings = Endings::default();
        for op in ops {
            let Op::Settle(request) = op else { continue };
            let fence = request.input.fence;
            // Whoever settles first takes it out, so that a second settlement of the same lease is stale.
            let settled = match held.remove(&fence.id).filter(|held| held.lease == fence.lease) {
                Some(held) => self.settle_one(&mut endings, held, &request.input),
                None => {
                    self.effects.stale += 1;
                    Settled::Stale
                }
            };
            request.set(settled);
        }
        self.finish(endings).await
    }

    fn settle_one(&mut self, endings: &mut Endings, held: Held, settlement: &Settlement) -> Settled {
        match &settlement.how {
            How::Done => {
                self.effects.done.push(held.queue.clone());
                self.ledger.hold(&held.queue, -1);
                endings.free(&held);
                endings
                    .done
                    .push(outcome(&held, self.now_ms, settlement.fence.trace, None));
                Settled::Done
            }
            How::Failed(error) => self.fail_one(endings, &held, settlement.fence.trace, error),
            How::Release(wait) => {
                let due_ms = self.now_ms.saturating_add(wait.as_millis() as i64);
                self.effects.due(due_ms);
                endings.released.push(outcome(&held, due_ms, None, None));
                Settled::Retry { due_ms }
            }
        }
    }

    fn fail_one(
        &mut self,
        endings: &mut Endings,
        held: &Held,
        trace: Option<TraceContext>,
        error: &LastError,
    ) -> Settled {
        self.effects.failed.push(held.queue.clone());
        let random = rand::rng().random::<f64>();
        match retry::after_failure(self.now_ms, held.attempt, held.tries, held.backoff, random) {
            Verdict::Retry { due_ms } => {
                self.effects.due(due_ms);
                endings.back.push(outcome(held, due_ms, trace, Some(error)));
                Settled::Retry { due_ms }
            }
            Verdict::Dead => {
                endings.free(held);
                endings.dead.push(outcome(held, self.now_ms, trace, Some(error)));
                Settled::Dead
            }
        }
    }

    async fn finish(&mut self, endings: Endings) -> Done {
        for (state, outcomes) in [(state::DONE, &endings.done), (state::DEAD, &endings.dead)] {
            if !outcomes.is_empty() {
                store::settle(self.connection, state, self.now_ms, outcomes).await?;
                store::delete(self.connection, outcomes).await?;
            }
        }
        self.ledger.done_since += endings.done.len();
        if self.ledger.done_since >= DONE_ROWS_LOOK {
            self.retain().await?;
        }
        if !endings.back.is_empty() {
            store::put_back(self.connection, &endings.back).await?;
        }
        if !endings.released.is_empty() {
            store::release(self.connection, &endings.released).await?;
        }
        self.unblock(&endings.lanes).await
    }

    async fn unblock(&mut self, lanes: &HashSet<(QueueName, String)>) -> Done {
        if lanes.is_empty() {
            return Ok(());
        }
        for (queue, due_ms) in store::unblock(self.connection, lanes, self.now_ms).await? {
            if due_ms > self.now_ms {
                self.effects.due(due_ms);
            } else {
                self.effects.wake.insert(queue);
            }
        }
        Ok(())
    }

    async fn extend(&mut self, ops: &mut [Op]) -> Done {
        let now_ms = self.now_ms;
        let leases: Vec<_> = ops
            .iter()
            .filter_map(|op| match op {
                Op::Extend(request) => {
                    let (fence, length) = request.input;
                    Some((
                        fence.id,
                        fence.lease,
                        now_ms.saturating_add(length.as_millis() as i64),
                    ))
                }
                _ => None,
            })
            .collect();
        if leases.is_empty() {
            return Ok(());
        }
        let stood = store::extend(self.connection, &leases).await?;
        for op in ops {
            if let Op::Extend(request) = op {
                let stood = stood.contains(&request.input.0.id);
                self.effects.stale += u64::from(!stood);
                request.set(stood);
            }
        }
        Ok(())
    }

    async fn sweep(&mut self) -> Result<Swept, sqlx::Error> {
        let expired = store::expired(self.connection, self.now_ms).await?;
        let mut endings = Endings::default();
        let error = lease_expired();
        for held in &expired {
            self.fail_one(&mut endings, held, None, &error);
        }
        self.finish(endings).await?;
        self.promote().await?;
        store::forget_keys(self.connection, self.now_ms).await?;
        if self.now_ms - self.ledger.looked_at >= DONE_AGE_LOOK.as_millis() as i64 {
            self.retain().await?;
        }
        let next_due_ms = store::next_due(self.connection).await?;
        Ok(Swept {
            expired: expired.len() as u64,
            next_due_ms,
        })
    }

    /// Forgets done messages that are too old or too many.
    async fn retain(&mut self) -> Done {
        self.ledger.done_since = 0;
        self.ledger.looked_at = self.now_ms;
        let before_ms = self.now_ms - self.keep_done.as_millis() as i64;
        store::forget_done(self.connection, before_ms, DONE_ROWS_MAX)
            .await
            .map(drop)
    }

    async fn promote(&mut self) -> Done {
        let queues = store::promote(self.connection, self.now_ms).await?;
        self.effects.wake.extend(queues);
        Ok(())
    }

    async fn revive(&mut self, queue: &QueueName, ids: &[MessageId]) -> Result<u64, sqlx::Error> {
        let revived = store::revive(self.connection, queue, ids, self.now_ms).await?;
        let ids: Vec<MessageId> = revived.iter().map(|(id, _)| *id).collect();
        store::delete_settled(self.connection, &ids).await?;
        let lanes = revived
            .into_iter()
            .filter_map(|(_, key)| Some((queue.clone(), key?)))
            .collect();
        self.unblock(&lanes).await?;
        self.effects.wake.insert(queue.clone());
        Ok(ids.len() as u64)
    }

    async fn pause(&mut self, queue: &QueueName, paused: bool) -> Result<bool, sqlx::Error> {
        let known = store::set_paused(self.connection, queue, paused).await?;
        if let Some(row) = self.ledger.queues.get_mut(queue) {
            row.paused = paused;
        }
        self.effects.queues_changed = true;
        self.effects.wake.insert(queue.clone());
        Ok(known)
    }

    async fn enqueue(&mut self, ops: &mut [Op]) -> Done {
        let mut seen = self.remembered(ops).await?;
        let mut chosen = Vec::new();
        for (index, op) in ops.iter_mut().enumerate() {
            let Op::Enqueue(request) = op else { continue };
            let message = &request.input;
            let key = message
                .dedupe_key
                .clone()
                .map(|key| (message.queue.as_str().to_owned(), key));
            if let Some(first) = key.as_ref().and_then(|key| seen.get(key)) {
                let first = *first;
                request.set(Ok(first));
                continue;
            }
            if let Some(refusal) = self.admit(message).await? {
                request.set(Err(refusal));
                continue;
            }
            self.ledger.last_id += 1;
            let id = self.ledger.last_id;
            if let Some(key) = key {
                seen.insert(key, id);
            }
            request.set(Ok(id));
            chosen.push((index, id));
        }
        self.insert(ops, &chosen).await
    }

    async fn insert(&mut self, ops: &[Op], chosen: &[(usize, MessageId)]) -> Done {
        let now_ms = self.now_ms;
        let rows: Vec<NewRow<'_>> = chosen
            .iter()
            .filter_map(|(index, id)| match ops.get(*index) {
                Some(Op::Enqueue(request)) => Some(NewRow {
                    id: *id,
                    blocked: request.input.order_key.is_some(),
                    now_ms,
                    message: &request.input,
                }),
                _ => None,
            })
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        store::insert(self.connection, &rows).await?;
        let mut keys = Vec::new();
        let mut lanes = HashSet::new();
        for row in &rows {
            let message = row.message;
            self.effects.enqueued.push(message.queue.clone());
            if let Some(key) = &message.dedupe_key {
                keys.push((message.queue.as_str(), key.as_str(), row.id));
            }
            match &message.order_key {
                Some(key) => {
                    lanes.insert((message.queue.clone(), key.clone()));
                }
                None if message.delay.is_zero() => {
                    self.effects.wake.insert(message.queue.clone());
                }
                None => self.effects.due(row.due_ms()),
            }
        }
        if !keys.is_empty() {
            let until_ms = now_ms + DEDUPE_WINDOW.as_millis() as i64;
            store::remember(self.connection, &keys, until_ms).await?;
        }
        self.unblock(&lanes).await
    }

    async fn remembered(&mut self, ops: &[Op]) -> Result<HashMap<(String, String), MessageId>, sqlx::Error> {
        let keys: Vec<(&str, &str)> = ops
            .iter()
            .filter_map(|op| match op {
                Op::Enqueue(request) => {
                    let key = request.input.dedupe_key.as_deref()?;
                    Some((request.input.queue.as_str(), key))
                }
                _ => None,
            })
            .collect();
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let seen = store::remembered(self.connection, &keys, self.now_ms).await?;
        Ok(seen
            .into_iter()
            .map(|(queue, key, id)| ((queue, key), id))
            .collect())
    }

    /// Makes room for a message in its queue, or says why there is none.
    async fn admit(&mut self, message: &NewMessage) -> Result<Option<Refusal>, sqlx::Error> {
        let kind = i64::from(message.function.is_some());
        let queues = self.ledger.queues.len();
        match self.ledger.queues.get_mut(&message.queue) {
            Some(queue) if queue.kind != kind => return Ok(Some(Refusal::OtherKind)),
            Some(queue) if queue.held >= QUEUE_MESSAGES_MAX => return Ok(Some(Refusal::Full)),
            Some(queue) => {
                queue.held += 1;
                if queue.tries == message.tries {
                    return Ok(None);
                }
                queue.tries = message.tries;
            }
            None if queues >= QUEUES_MAX => return Ok(Some(Refusal::TooManyQueues)),
            None => {
                let row = QueueRow {
                    name: message.queue.clone(),
                    kind,
                    tries: message.tries,
                    paused: false,
                    held: 1,
                };
                self.ledger.queues.insert(message.queue.clone(), row);
            }
        }
        self.effects.queues_changed = true;
        store::put_queue(self.connection, &message.queue, kind, message.tries, self.now_ms).await?;
        Ok(None)
    }

    async fn lease(&mut self, ops: &mut [Op]) -> Done {
        if !ops.iter().any(|op| matches!(op, Op::Lease(_))) {
            return Ok(());
        }
        self.promote().await?;
        for op in ops {
            let Op::Lease(request) = op else { continue };
            let ask = &request.input;
            let paused = self
                .ledger
                .queues
                .get(&ask.queue)
                .is_none_or(|queue| queue.paused);
            let leases = if paused {
                Vec::new()
            } else {
                let until_ms = self.now_ms.saturating_add(ask.length.as_millis() as i64);
                store::lease(self.connection, &ask.queue, ask.count, until_ms).await?
            };
            if let Some(first) = leases.first() {
                self.effects.due(first.until_ms);
            }
            request.set(leases);
        }
        Ok(())
    }
}

/// Messages that leave their lease, by how.
#[derive(Debug, Default)]
struct Endings {
    done: Vec<Outcome>,
    dead: Vec<Outcome>,
    back: Vec<Outcome>,
    released: Vec<Outcome>,
    lanes: HashSet<(QueueName, String)>,
}

impl Endings {
    /// The message's lane is free for the next one.
    fn free(&mut self, held: &Held) {
        if let Some(key) = &held.order_key {
            self.lanes.insert((held.queue.clone(), key.clone()));
        }
    }
}

fn outcome(held: &Held, due_ms: i64, trace: Option<TraceContext>, error: Option<&LastError>) -> Outcome {
    Outcome {
        id: held.id,
        due_ms,
        trace: trace.map(|trace| trace.to_header()),
        error: error.map(|error| serde_json::to_string(error).expect("two texts always have a JSON form")),
    }
}
