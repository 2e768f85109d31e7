//! A buffer per thread in which values are lifted before their length is known.
//!
//! A short value is copied out of it into an allocation of its own length; a long one takes the buffer along.

use std::cell::Cell;

use bytes::Bytes;

/// What most values fit in.
const BYTES_USUAL: usize = 512;
/// The longest value that is copied out.
const COPIED_BYTES_MAX: usize = 4 << 10;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// An empty buffer. Nothing of a guest runs until it is sealed, so that both happen on one thread.
#[inline(never)]
pub(super) fn empty() -> Vec<u8> {
    let mut bytes = SCRATCH.take();
    bytes.clear();
    bytes.reserve(BYTES_USUAL);
    bytes
}

/// The bytes that were written.
#[inline(never)]
pub(super) fn sealed(bytes: Vec<u8>) -> Bytes {
    if bytes.len() > COPIED_BYTES_MAX {
        return bytes.into();
    }
    let sealed = Bytes::copy_from_slice(&bytes);
    SCRATCH.set(bytes);
    sealed
}
