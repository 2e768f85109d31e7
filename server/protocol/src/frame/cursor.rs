//! `Cursor`: takes values off the front of bytes, and the writers that put them there.
//!
//! LEB128 is unsigned and in its shortest form, so that a value has one encoding. Text is a length and UTF-8.

use bytes::{BufMut, BytesMut};

use super::FrameError;

/// Bytes that are being read.
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    bytes: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            bytes: bytes.len(),
        }
    }

    /// Bytes taken so far.
    pub(super) fn taken(&self) -> usize {
        self.bytes - self.rest.len()
    }

    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    /// Refuses bytes after the end.
    pub(super) fn end(&self) -> Result<(), FrameError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(FrameError::Trailing)
        }
    }

    pub(super) fn u8(&mut self) -> Result<u8, FrameError> {
        let (first, rest) = self.rest.split_first().ok_or(FrameError::CutShort)?;
        self.rest = rest;
        Ok(*first)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], FrameError> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(FrameError::CutShort)?;
        self.rest = rest;
        Ok(array)
    }

    /// An unsigned LEB128 of at most `bits` bits.
    pub(super) fn leb(&mut self, bits: u32) -> Result<u64, FrameError> {
        let mut value = 0u64;
        let mut shift = 0;
        loop {
            let byte = self.u8()?;
            let part = u64::from(byte & 0x7f);
            let room = bits.saturating_sub(shift);
            if room == 0 || (room < 7 && part >> room != 0) {
                return Err(FrameError::Number);
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                // A last byte of zero says nothing: the same number has a shorter form.
                let shortest = byte != 0 || shift == 0;
                return if shortest {
                    Ok(value)
                } else {
                    Err(FrameError::Number)
                };
            }
            shift += 7;
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
        let (text, rest) = self.rest.split_at_checked(len).ok_or(FrameError::CutShort)?;
        self.rest = rest;
        std::str::from_utf8(text).map_err(|_| FrameError::Malformed(what))
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

/// Writes an unsigned LEB128 in its shortest form.
pub(super) fn put_leb(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Writes a length and the text.
pub(super) fn put_text(out: &mut BytesMut, text: &str) {
    put_leb(out, text.len() as u64);
    out.put_slice(text.as_bytes());
}
