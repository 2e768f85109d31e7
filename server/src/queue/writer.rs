//! `QueueJournal`: the writer's side of `queue.db`: groups of operations, and who is to wake after their commit.
//!
//! Settings and counts of queues are kept in memory and read again after a rollback. What a group does in its
//! transaction is in `writer/group.rs`.

mod group;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use protocol::QueueName;
use protocol::api::queues::LastError;
use sqlx::sqlite::SqliteConnection;

use super::message::{Fence, Lease, MessageId, NewMessage, Settled};
use super::store::{self, QueueRow};
use super::{Refusal, Shared};
use crate::db;
use crate::db::group::{Journal, Request};

use group::Group;

/// Messages that one queue may hold, dead ones included; beyond it enqueueing is refused.
pub const QUEUE_MESSAGES_MAX: u64 = 1_000_000;
/// Queues of one node.
pub const QUEUES_MAX: usize = 1_000;
/// How long a dedupe key is remembered at least.
pub const DEDUPE_WINDOW: Duration = Duration::from_secs(5 * 60);
/// Done messages are kept this long to be looked at, where nothing else is said…
pub const KEEP_DONE_DEFAULT: Duration = Duration::from_secs(24 * 3600);
/// … and only so many of them, however long they should be.
const DONE_ROWS_MAX: i64 = 10_000;
/// Retention looks after this many messages are done; a look forgets more than that.
const DONE_ROWS_LOOK: usize = 512;
/// Retention looks at ages no more often than this.
pub(super) const DONE_AGE_LOOK: Duration = Duration::from_secs(60);

/// One operation on the queues.
#[derive(Debug)]
pub(super) enum Op {
    Enqueue(Request<NewMessage, Result<MessageId, Refusal>>),
    Lease(Request<LeaseAsk, Vec<Lease>>),
    Settle(Request<Settlement, Settled>),
    Extend(Request<(Fence, Duration), bool>),
    /// Expired leases, delays that end, retention.
    Sweep(Request<(), Swept>),
    Pause(Request<(QueueName, bool), bool>),
    Revive(Request<(QueueName, Vec<MessageId>), u64>),
    Forget(Request<(QueueName, Vec<MessageId>), u64>),
}

#[derive(Debug)]
pub(super) struct LeaseAsk {
    pub queue: QueueName,
    pub count: u32,
    pub length: Duration,
}

#[derive(Debug)]
pub(super) struct Settlement {
    pub fence: Fence,
    pub how: How,
}

#[derive(Debug)]
pub(super) enum How {
    Done,
    Failed(LastError),
    /// The attempt never started: it does not count, and is made again after this time.
    Release(Duration),
}

/// What a sweep found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Leases that had ended.
    pub expired: u64,
    /// When the next lease or delay ends, in ms since the Unix epoch.
    pub next_due_ms: Option<i64>,
}

/// What a group changes outside of the database, once it is committed.
#[derive(Debug, Default)]
struct Effects {
    wake: HashSet<QueueName>,
    due_ms: Option<i64>,
    enqueued: Vec<QueueName>,
    done: Vec<QueueName>,
    failed: Vec<QueueName>,
    stale: u64,
    queues_changed: bool,
}

impl Effects {
    fn due(&mut self, due_ms: i64) {
        self.due_ms = Some(self.due_ms.map_or(due_ms, |due| due.min(due_ms)));
    }
}

/// Carries groups of operations out.
#[derive(Debug)]
pub(super) struct QueueJournal {
    shared: Arc<Shared>,
    /// `None` after a rollback, until it is read again.
    ledger: Option<Ledger>,
    effects: Effects,
}

/// What the database says, kept so that a group need not ask.
#[derive(Debug)]
struct Ledger {
    last_id: MessageId,
    queues: HashMap<QueueName, QueueRow>,
    /// Messages done since retention looked, and when it looked.
    done_since: usize,
    looked_at: i64,
}

impl Ledger {
    async fn load(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let queues = store::queues(connection).await?;
        Ok(Self {
            last_id: store::last_id(connection).await?,
            done_since: 0,
            looked_at: 0,
            queues: queues
                .into_iter()
                .map(|queue| (queue.name.clone(), queue))
                .collect(),
        })
    }

    fn hold(&mut self, queue: &QueueName, by: i64) {
        if let Some(queue) = self.queues.get_mut(queue) {
            queue.held = queue.held.saturating_add_signed(by);
        }
    }
}

impl Journal for QueueJournal {
    type Op = Op;

    fn bytes(op: &Op) -> usize {
        match op {
            Op::Enqueue(request) => request.input.bytes(),
            _ => 256,
        }
    }

    async fn apply(&mut self, connection: &mut SqliteConnection, ops: &mut [Op]) -> Result<(), sqlx::Error> {
        self.effects = Effects::default();
        let mut ledger = match self.ledger.take() {
            Some(ledger) => ledger,
            None => Ledger::load(connection).await?,
        };
        let mut group = Group {
            now_ms: self.shared.clock.unix_ms(),
            keep_done: self.shared.keep_done,
            connection,
            ledger: &mut ledger,
            effects: &mut self.effects,
        };
        group.carry_out(ops).await?;
        self.ledger = Some(ledger);
        Ok(())
    }

    fn committed(&mut self, ops: Vec<Op>) {
        self.publish();
        for op in ops {
            match op {
                Op::Enqueue(request) => request.answer(),
                Op::Lease(request) => request.answer(),
                Op::Settle(request) => request.answer(),
                Op::Extend(request) => request.answer(),
                Op::Sweep(request) => request.answer(),
                Op::Pause(request) => request.answer(),
                Op::Revive(request) | Op::Forget(request) => request.answer(),
            }
        }
    }

    fn rolled_back(&mut self) {
        self.ledger = None;
        self.effects = Effects::default();
    }

    fn failed(&mut self, op: Op, error: db::Error) {
        match op {
            Op::Enqueue(request) => request.fail(error),
            Op::Lease(request) => request.fail(error),
            Op::Settle(request) => request.fail(error),
            Op::Extend(request) => request.fail(error),
            Op::Sweep(request) => request.fail(error),
            Op::Pause(request) => request.fail(error),
            Op::Revive(request) | Op::Forget(request) => request.fail(error),
        }
    }
}

impl QueueJournal {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            ledger: None,
            effects: Effects::default(),
        }
    }

    /// Counts what was committed and wakes who waits for it.
    fn publish(&mut self) {
        let effects = std::mem::take(&mut self.effects);
        let now_ms = self.shared.clock.unix_ms();
        self.shared.count(|figures| {
            for queue in effects.enqueued {
                figures.entry(queue).or_default().enqueued.add(now_ms, 1);
            }
            for queue in effects.done {
                let figures = figures.entry(queue).or_default();
                figures.done += 1;
                figures.worked_off.add(now_ms, 1);
            }
            for queue in effects.failed {
                figures.entry(queue).or_default().failed_attempts += 1;
            }
        });
        self.shared.count_stale(effects.stale);
        if effects.queues_changed
            && let Some(ledger) = &self.ledger
        {
            self.shared.publish_queues(ledger.queues.values());
        }
        for queue in &effects.wake {
            self.shared.wake(queue);
        }
        if let Some(due_ms) = effects.due_ms {
            self.shared.due(due_ms);
        }
    }
}
