//! The bytes of blocks: numbers, texts, and reading them without trust.

use rustc_hash::FxHashMap;

/// Bytes that no encoder wrote: which part of a block, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part} {fault}")]
pub(in crate::traces) struct Damage {
    pub(super) part: &'static str,
    pub(super) fault: &'static str,
}

/// Adds a number.
pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Adds a difference, small ones of either sign in few bytes.
pub(super) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned());
}

/// What is left to read of a part of a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    left: &'a [u8],
    part: &'static str,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], part: &'static str) -> Self {
        Self { left: bytes, part }
    }

    pub(super) fn damage(&self, fault: &'static str) -> Damage {
        Damage {
            part: self.part,
            fault,
        }
    }

    pub(super) fn byte(&mut self) -> Result<u8, Damage> {
        let (byte, left) = self.left.split_first().ok_or(self.damage("ends early"))?;
        self.left = left;
        Ok(*byte)
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Damage> {
        let (taken, left) = self
            .left
            .split_at_checked(count)
            .ok_or(self.damage("ends early"))?;
        self.left = left;
        Ok(taken)
    }

    pub(super) fn number(&mut self) -> Result<u64, Damage> {
        let mut value = 0;
        let mut shift = 0;
        loop {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
            if shift > 63 {
                return Err(self.damage("has a number of more than 64 bits"));
            }
        }
    }

    pub(super) fn signed(&mut self) -> Result<i64, Damage> {
        let value = self.number()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// A number that must be small.
    pub(super) fn small(&mut self) -> Result<u32, Damage> {
        let value = self.number()?;
        u32::try_from(value).map_err(|_| self.damage("has a number beyond its range"))
    }

    /// How many items follow, each of which takes at least a byte.
    pub(super) fn count(&mut self) -> Result<usize, Damage> {
        let count = self.number()?;
        usize::try_from(count)
            .ok()
            .filter(|count| *count <= self.left.len())
            .ok_or(self.damage("counts more than it holds"))
    }

    /// Texts, each once.
    pub(super) fn texts(&mut self) -> Result<Vec<&'a str>, Damage> {
        let count = self.count()?;
        let mut texts = Vec::with_capacity(count);
        for _ in 0..count {
            let length = self.count()?;
            let text = std::str::from_utf8(self.take(length)?);
            texts.push(text.map_err(|_| self.damage("has a text that is not UTF-8"))?);
        }
        Ok(texts)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    pub(super) fn end(&self) -> Result<(), Damage> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(self.damage("has bytes too many"))
        }
    }
}

/// The texts of a block, each once, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Dictionary<'a> {
    places: FxHashMap<&'a str, u64>,
    texts: Vec<&'a str>,
}

impl<'a> Dictionary<'a> {
    pub(super) fn place(&mut self, text: &'a str) -> u64 {
        *self.places.entry(text).or_insert_with(|| {
            self.texts.push(text);
            self.texts.len() as u64 - 1
        })
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put(out, self.texts.len() as u64);
        for text in &self.texts {
            put(out, text.len() as u64);
            out.extend_from_slice(text.as_bytes());
        }
    }
}
