//! Reading the clock only where somebody asks: for calls of sampled traces.
//!
//! The codec's types are made by wasmtime, which hands them nothing of the call; what they need to know is therefore set
//! on the thread around each poll of a guest. A guest may go on on another thread after a poll, never within one.

use std::cell::Cell;
use std::time::Instant;

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

/// Polls a guest whose call is measured, or is not; a guest that it calls meanwhile is measured by its own call.
pub(in crate::runtime) fn within<R>(watched: bool, poll: impl FnOnce() -> R) -> R {
    let _restored = Restored(replace(watched));
    poll()
}

/// The time, if the guest that runs on this thread is measured.
pub(super) fn now() -> Option<Instant> {
    is_watched().then(Instant::now)
}

struct Restored(bool);

impl Drop for Restored {
    fn drop(&mut self) {
        replace(self.0);
    }
}

// Never inlined: a guest's stack goes from thread to thread between polls, and an address of this thread's variable that
// the compiler kept on that stack would be another thread's by then.
#[inline(never)]
fn replace(watched: bool) -> bool {
    WATCHED.replace(watched)
}

#[inline(never)]
fn is_watched() -> bool {
    WATCHED.get()
}
