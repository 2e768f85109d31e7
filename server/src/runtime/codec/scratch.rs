//! A buffer per thread in which values are lifted before their length is known.
//!
//! A short value is copied out of it into an allocation of its own; a long one takes the buffer along. Every call's
//! arguments are held twice for a while, and a very short value's allocation is made so that this costs no other one.

use std::cell::Cell;

use bytes::Bytes;

/// What most values fit in.
const BYTES_USUAL: usize = 512;
/// The longest value that is copied out.
const COPIED_BYTES_MAX: usize = 4 << 10;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The longest value that is kept together with the count of who holds it.
const INLINE_BYTES_MAX: usize = 96;

/// A very short value.
struct Inline {
    bytes: [u8; INLINE_BYTES_MAX],
    len: usize,
}

impl AsRef<[u8]> for Inline {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
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
    let sealed = match bytes.len() {
        0 => Bytes::new(),
        len if len <= INLINE_BYTES_MAX => {
            let mut inline = Inline {
                bytes: [0; INLINE_BYTES_MAX],
                len,
            };
            inline.bytes[..len].copy_from_slice(&bytes);
            Bytes::from_owner(inline)
        }
        _ => Bytes::copy_from_slice(&bytes),
    };
    SCRATCH.set(bytes);
    sealed
}
