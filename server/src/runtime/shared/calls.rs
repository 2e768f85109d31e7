//! `Calls`: the calls under way in one shared store, by the guest tasks that carry them out.
//!
//! wasmtime knows which task a guest was in when it called the host, and which call from outside that task goes back
//! to. So deadline, trace, hop, log lines and the time in outgoing calls belong to a call here too: whatever acts for a
//! guest asks [`enter`] first, which makes that call the store's call in progress. A task may go on after it has
//! returned its result; what it does then belongs to no call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::{CallError, FunctionPath};
use rustc_hash::FxHashMap;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use wasmtime::StoreContextMut;
use wasmtime::component::GuestTaskId;

use super::Answer;
use crate::runtime::failure;
use crate::runtime::guest::{CallInProgress, Guest};
use crate::runtime::imports::FailedCall;

/// The calls of one store.
#[derive(Default)]
pub(in crate::runtime) struct Calls {
    by_task: FxHashMap<GuestTaskId, UnderWay>,
    /// Whose call is the store's call in progress; what is kept under it meanwhile is nobody's.
    current: Option<GuestTaskId>,
    /// The call that ended the store, where that is known.
    pub(super) culprit: Option<GuestTaskId>,
    /// Ticks in a row in which a task ran that belongs to no call.
    pub(super) stray_ticks: u32,
}

/// One call in a shared store.
pub(super) struct UnderWay {
    pub(super) function: Arc<FunctionPath>,
    pub(super) call: CallInProgress,
    /// Whoever waits for it.
    pub(super) answer: Option<oneshot::Sender<Answer>>,
    /// Says that nobody waits for it any more.
    pub(super) gone: CancellationToken,
    /// Ends the call where its guest cannot go on.
    failed: Option<oneshot::Sender<CallError>>,
    /// Its outgoing calls under way, and since when there is one.
    outgoing: u32,
    outgoing_since: Option<Instant>,
}

impl UnderWay {
    pub(super) fn new(
        function: Arc<FunctionPath>,
        call: CallInProgress,
        answer: oneshot::Sender<Answer>,
        gone: CancellationToken,
        failed: oneshot::Sender<CallError>,
    ) -> Self {
        Self {
            function,
            call,
            answer: Some(answer),
            gone,
            failed: Some(failed),
            outgoing: 0,
            outgoing_since: None,
        }
    }
}

impl Calls {
    /// Adds a call that its task begins.
    pub(super) fn begin(&mut self, task: GuestTaskId, call: UnderWay) {
        self.stray_ticks = 0;
        self.by_task.insert(task, call);
    }

    /// The deadline of a task's call, where it has one.
    pub(super) fn deadline(&self, task: GuestTaskId, in_progress: &CallInProgress) -> Option<Instant> {
        if self.current == Some(task) {
            return Some(in_progress.deadline);
        }
        self.by_task.get(&task).map(|under_way| under_way.call.deadline)
    }

    pub(super) fn get_mut(&mut self, task: GuestTaskId) -> Option<&mut UnderWay> {
        self.by_task.get_mut(&task)
    }

    /// Counts an outgoing call of a task's call in.
    pub(super) fn outgoing_begins(&mut self, task: GuestTaskId) {
        if let Some(under_way) = self.by_task.get_mut(&task) {
            under_way.outgoing += 1;
            under_way.outgoing_since.get_or_insert_with(Instant::now);
        }
    }

    /// Counts it out: the time in which there was at least one, once there is none.
    pub(super) fn outgoing_ends(&mut self, task: GuestTaskId) -> Duration {
        let Some(under_way) = self.by_task.get_mut(&task) else {
            return Duration::ZERO;
        };
        under_way.outgoing = under_way.outgoing.saturating_sub(1);
        if under_way.outgoing > 0 {
            return Duration::ZERO;
        }
        under_way
            .outgoing_since
            .take()
            .map_or(Duration::ZERO, |since| since.elapsed())
    }
}

/// Makes the call that the running guest task goes back to the store's call in progress; `None` where there is none.
pub(in crate::runtime) fn enter(
    store: &mut StoreContextMut<'_, Guest>,
) -> wasmtime::Result<Option<GuestTaskId>> {
    let root = store.async_call_stack()?.last();
    Ok(switch(store.data_mut(), root))
}

/// Makes a task's call the store's call in progress.
pub(super) fn switch(guest: &mut Guest, task: Option<GuestTaskId>) -> Option<GuestTaskId> {
    let task = task.filter(|task| guest.calls.by_task.contains_key(task));
    if guest.calls.current == task {
        return task;
    }
    let Guest { calls, call, .. } = guest;
    for task in [calls.current, task].into_iter().flatten() {
        if let Some(under_way) = calls.by_task.get_mut(&task) {
            std::mem::swap(call, &mut under_way.call);
        }
    }
    calls.current = task;
    task
}

/// Takes a call out, with what it leaves.
pub(super) fn take(guest: &mut Guest, task: GuestTaskId) -> Option<UnderWay> {
    if guest.calls.current == Some(task) {
        switch(guest, None);
    }
    guest.calls.by_task.remove(&task)
}

/// Takes all calls out.
pub(super) fn take_all(guest: &mut Guest) -> Vec<(GuestTaskId, UnderWay)> {
    switch(guest, None);
    guest.calls.by_task.drain().collect()
}

/// What belongs to a task's call, wherever it is kept.
pub(super) fn in_progress(guest: &mut Guest, task: GuestTaskId) -> Option<&mut CallInProgress> {
    if guest.calls.current == Some(task) {
        return Some(&mut guest.call);
    }
    guest
        .calls
        .by_task
        .get_mut(&task)
        .map(|under_way| &mut under_way.call)
}

/// Ends a call whose guest cannot take a failed call; the guest's task stays where it is.
pub(super) fn give_up(guest: &mut Guest, task: GuestTaskId, failed: FailedCall) {
    let Some(under_way) = guest.calls.by_task.get(&task) else {
        return;
    };
    let what = under_way.function.to_string();
    switch(guest, Some(task));
    let error = failure::of_callee(&guest.handler.clone(), &what, guest, &failed);
    let failed = guest
        .calls
        .by_task
        .get_mut(&task)
        .and_then(|call| call.failed.take());
    if let Some(failed) = failed {
        // Nobody may be there any more.
        let _ = failed.send(error);
    }
}
