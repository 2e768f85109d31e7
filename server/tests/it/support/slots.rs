//! How many homes run at once. Each may bring ten children, and two cores serve them all.

use std::sync::{Condvar, Mutex, PoisonError};

const HOMES_MAX: usize = 2;

static TAKEN: Mutex<usize> = Mutex::new(0);
static FREED: Condvar = Condvar::new();

/// A home's place; given back when dropped.
#[derive(Debug)]
pub(super) struct Slot(());

impl Slot {
    /// Waits for a place. A test that holds one and takes another could wait for itself: one home a test.
    pub(super) fn take() -> Self {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        while *taken == HOMES_MAX {
            taken = FREED.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken += 1;
        Self(())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        FREED.notify_one();
    }
}
