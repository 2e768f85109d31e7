//! `Cursor`: takes values off the front of bytes, as `crate::value` reads them, with a frame's errors.
//!
//! LEB128 is unsigned and in its shortest form, so that a value has one encoding. Text is a length and UTF-8.

use super::FrameError;
use crate::value::{Reader, ValueError};
pub(super) use crate::value::{put_leb, put_str};

/// Bytes that are being read.
pub(super) struct Cursor<'a> {
    reader: Reader<'a>,
    bytes: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            reader: Reader::new(bytes),
            bytes: bytes.len(),
        }
    }

    /// Bytes taken so far.
    pub(super) fn taken(&self) -> usize {
        self.bytes - self.left()
    }

    pub(super) fn left(&self) -> usize {
        self.reader.rest().len()
    }

    /// Refuses bytes after the end.
    pub(super) fn end(&self) -> Result<(), FrameError> {
        if self.left() == 0 {
            Ok(())
        } else {
            Err(FrameError::Trailing)
        }
    }

    pub(super) fn u8(&mut self) -> Result<u8, FrameError> {
        self.reader.byte().map_err(number)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        self.reader.array().map_err(number)
    }

    /// An unsigned LEB128 of at most `bits` bits.
    pub(super) fn leb(&mut self, bits: u32) -> Result<u64, FrameError> {
        let left = self.left();
        let value = self.reader.leb().map_err(|error| match error {
            // More bytes than the number may have: those that are missing would not mend it.
            ValueError::Short if left >= bits.div_ceil(7) as usize => FrameError::Number,
            error => number(error),
        })?;
        let fits = value.checked_shr(bits).unwrap_or(0) == 0;
        // 7 bits in a byte; a number with more bytes than it needs has a shorter form.
        let bytes_min = (u64::BITS - value.leading_zeros()).div_ceil(7).max(1) as usize;
        if fits && left - self.left() == bytes_min {
            Ok(value)
        } else {
            Err(FrameError::Number)
        }
    }

    pub(super) fn leb32(&mut self) -> Result<u32, FrameError> {
        let value = self.leb(32)?;
        u32::try_from(value).map_err(|_| FrameError::Number)
    }

    /// A length of at most `bytes_max`.
    pub(super) fn len(&mut self, bytes_max: usize) -> Result<usize, FrameError> {
        let bytes = self.leb(64)?;
        usize::try_from(bytes)
            .ok()
            .filter(|len| *len <= bytes_max)
            .ok_or(FrameError::TooLong { bytes, bytes_max })
    }

    /// A text of at most `bytes_max` bytes.
    pub(super) fn text(&mut self, what: &'static str, bytes_max: usize) -> Result<&'a str, FrameError> {
        let len = self.len(bytes_max)?;
        let text = self.reader.take(len).map_err(number)?;
        std::str::from_utf8(text).map_err(|_| FrameError::Malformed(what))
    }
}

fn number(error: ValueError) -> FrameError {
    match error {
        ValueError::Short => FrameError::CutShort,
        _ => FrameError::Number,
    }
}

/// `None` while bytes of a head are missing.
pub(super) fn head<T>(decoded: Result<T, FrameError>) -> Result<Option<T>, FrameError> {
    match decoded {
        Ok(value) => Ok(Some(value)),
        Err(FrameError::CutShort) => Ok(None),
        Err(error) => Err(error),
    }
}
