//! `Body`: the bytes behind a head, collected as they come.
//!
//! Memory follows the bytes received, never the length announced. A body that comes in one piece is not copied.

use bytes::{Bytes, BytesMut};

use super::FrameError;

/// A body that is being received.
#[derive(Debug)]
pub struct Body {
    len: usize,
    first: Bytes,
    joined: BytesMut,
}

impl Body {
    /// Nothing received of `len` bytes, which the head's decoder has checked.
    pub fn new(len: usize) -> Self {
        Self {
            len,
            first: Bytes::new(),
            joined: BytesMut::new(),
        }
    }

    /// Takes the next bytes; refuses those beyond the length.
    pub fn push(&mut self, bytes: Bytes) -> Result<(), FrameError> {
        if bytes.len() > self.len - self.received() {
            return Err(FrameError::Trailing);
        }
        if self.received() == 0 {
            self.first = bytes;
        } else {
            if self.joined.is_empty() {
                self.joined.extend_from_slice(&std::mem::take(&mut self.first));
            }
            self.joined.extend_from_slice(&bytes);
        }
        Ok(())
    }

    /// Bytes received so far.
    pub fn received(&self) -> usize {
        self.first.len() + self.joined.len()
    }

    /// The whole body, when every byte is there.
    pub fn finish(self) -> Result<Bytes, FrameError> {
        if self.received() < self.len {
            Err(FrameError::CutShort)
        } else if self.joined.is_empty() {
            Ok(self.first)
        } else {
            Ok(self.joined.freeze())
        }
    }
}
