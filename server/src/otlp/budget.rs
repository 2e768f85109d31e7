//! What one body may bring: counted while it is read, so that a small body cannot become a large heap.
//!
//! Reading is synchronous and stays on its thread, so the counts of the body that is being read are the thread's. Spans
//! and their groups beyond the limit refuse the body; attributes, events and links beyond it are left out and counted.

use std::cell::Cell;

/// Spans, scopes and resources of one body together.
pub const SPANS_MAX: usize = 65_536;
/// Attributes, events, links and values within values of one body together.
pub const VALUES_MAX: usize = 524_288;

thread_local! {
    static LEFT: Cell<Left> = const { Cell::new(Left::NONE) };
}

#[derive(Debug, Clone, Copy)]
struct Left {
    spans: usize,
    values: usize,
    dropped: u64,
    is_exceeded: bool,
}

impl Left {
    const NONE: Self = Self {
        spans: 0,
        values: 0,
        dropped: 0,
        is_exceeded: false,
    };
}

/// Begins a body.
pub(super) fn begin() {
    LEFT.set(Left {
        spans: SPANS_MAX,
        values: VALUES_MAX,
        ..Left::NONE
    });
}

/// Takes a span, a scope or a resource; whether there was one left.
pub(super) fn take_span() -> bool {
    let mut left = LEFT.get();
    match left.spans.checked_sub(1) {
        Some(spans) => left.spans = spans,
        None => left.is_exceeded = true,
    }
    LEFT.set(left);
    !left.is_exceeded
}

/// Takes a value; where there is none left it counts as left out.
pub(super) fn take_value() -> bool {
    let mut left = LEFT.get();
    let is_there = left.values > 0;
    match left.values.checked_sub(1) {
        Some(values) => left.values = values,
        None => left.dropped += 1,
    }
    LEFT.set(left);
    is_there
}

/// Whether there were too many spans.
pub(super) fn is_exceeded() -> bool {
    LEFT.get().is_exceeded
}

/// Values that were left out.
pub(super) fn dropped() -> u64 {
    LEFT.get().dropped
}
