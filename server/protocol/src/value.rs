//! The component model's value encoding, in primitives: what arguments and results are made of, in memory and on the
//! wire (`WebAssembly/component-model`, `design/mvp/Binary.md`, value definitions; the one that wRPC uses).
//!
//! `bool`, `u8`, `s8` one byte; other integers LEB128, signed ones SLEB128; floats little-endian; `char` as UTF-8;
//! `string` and `list` a LEB128 count and the elements; records and tuples their fields; variants, enums, options and
//! results a LEB128 discriminant and the payload; flags `ceil(n / 8)` bytes. Reading never indexes, never recurses and
//! never allocates from an unchecked length.

#![deny(clippy::indexing_slicing)]

use bytes::BufMut;

/// Bytes that are no value of the expected type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The bytes end within a value.
    #[error("the bytes end within a value")]
    Short,
    /// A LEB128 integer is longer than its type, or does not fit it.
    #[error("an integer does not fit its type")]
    Range,
    /// A boolean, option or result with another discriminant than 0 and 1, or a case that the type does not have.
    #[error("a discriminant names no case")]
    Discriminant,
    /// A string that is not UTF-8, or a character that is none.
    #[error("text is not UTF-8")]
    Utf8,
    /// A flag beyond the type's.
    #[error("a flag is set that the type does not have")]
    Flags,
    /// Bytes are left after the last value.
    #[error("bytes are left after the last value")]
    Long,
}

/// Appends an unsigned LEB128 integer in its shortest form.
#[inline]
pub fn put_leb(out: &mut impl BufMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Appends a signed LEB128 integer in its shortest form.
#[inline]
pub fn put_sleb(out: &mut impl BufMut, mut value: i64) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if (value == 0 && byte & 0x40 == 0) || (value == -1 && byte & 0x40 != 0) {
            out.put_u8(byte);
            return;
        }
        out.put_u8(byte | 0x80);
    }
}

/// Appends a count and the bytes: a `list<u8>`.
#[inline]
pub fn put_bytes(out: &mut impl BufMut, bytes: &[u8]) {
    put_leb(out, bytes.len() as u64);
    out.put_slice(bytes);
}

/// Appends a `string`.
pub fn put_str(out: &mut impl BufMut, text: &str) {
    put_bytes(out, text.as_bytes());
}

/// Appends a character.
pub fn put_char(out: &mut impl BufMut, value: char) {
    out.put_slice(value.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Appends an `option` whose payload `some` writes.
pub fn put_option<B: BufMut, T>(out: &mut B, value: Option<T>, some: impl FnOnce(&mut B, T)) {
    out.put_u8(u8::from(value.is_some()));
    if let Some(value) = value {
        some(out, value);
    }
}

/// Reads values one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What was not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Fails if anything is left.
    #[inline]
    pub fn finish(self) -> Result<(), ValueError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(ValueError::Long)
        }
    }

    /// The next `count` bytes.
    #[inline]
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], ValueError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(ValueError::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], ValueError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(ValueError::Short)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// One byte.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, ValueError> {
        let (byte, rest) = self.rest.split_first().ok_or(ValueError::Short)?;
        self.rest = rest;
        Ok(*byte)
    }

    /// A boolean.
    #[inline]
    pub fn bool(&mut self) -> Result<bool, ValueError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(ValueError::Discriminant),
        }
    }

    /// An unsigned LEB128 integer of at most 64 bits.
    #[inline]
    pub fn leb(&mut self) -> Result<u64, ValueError> {
        // Most lengths, discriminants and small numbers are one byte.
        if let Some((byte, rest)) = self.rest.split_first()
            && *byte < 0x80
        {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
        self.leb_of_many()
    }

    fn leb_of_many(&mut self) -> Result<u64, ValueError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(ValueError::Range);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ValueError::Range)
    }

    /// An unsigned LEB128 integer that fits `T`.
    #[inline]
    pub fn unsigned<T: TryFrom<u64>>(&mut self) -> Result<T, ValueError> {
        T::try_from(self.leb()?).map_err(|_| ValueError::Range)
    }

    /// A signed LEB128 integer of at most 64 bits.
    #[inline]
    pub fn sleb(&mut self) -> Result<i64, ValueError> {
        let mut value = 0_i64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = i64::from(byte & 0x7f);
            if shift == 63 && bits != 0 && bits != 0x7f {
                return Err(ValueError::Range);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                let used = shift + 7;
                let signed = byte & 0x40 != 0 && used < 64;
                return Ok(if signed { value | (-1 << used) } else { value });
            }
        }
        Err(ValueError::Range)
    }

    /// A signed LEB128 integer that fits `T`.
    #[inline]
    pub fn signed<T: TryFrom<i64>>(&mut self) -> Result<T, ValueError> {
        T::try_from(self.sleb()?).map_err(|_| ValueError::Range)
    }

    /// A count of elements, each of which takes at least `bytes_min` bytes of what is left.
    #[inline]
    pub fn count(&mut self, bytes_min: usize) -> Result<usize, ValueError> {
        let count: usize = self.unsigned()?;
        let fits = count
            .checked_mul(bytes_min)
            .is_some_and(|bytes| bytes <= self.rest.len());
        if fits { Ok(count) } else { Err(ValueError::Short) }
    }

    /// A `list<u8>`.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], ValueError> {
        let count = self.count(1)?;
        self.take(count)
    }

    /// A `string`.
    pub fn str(&mut self) -> Result<&'a str, ValueError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| ValueError::Utf8)
    }

    /// A `string` of its own.
    pub fn string(&mut self) -> Result<String, ValueError> {
        self.str().map(str::to_owned)
    }

    /// An `option` whose payload `some` reads.
    pub fn option<T>(
        &mut self,
        some: impl FnOnce(&mut Self) -> Result<T, ValueError>,
    ) -> Result<Option<T>, ValueError> {
        match self.discriminant(2)? {
            0 => Ok(None),
            _ => some(self).map(Some),
        }
    }

    /// A `list`, each of whose elements takes at least one byte.
    pub fn list<T>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<T, ValueError>,
    ) -> Result<Vec<T>, ValueError> {
        let count = self.count(1)?;
        (0..count).map(|_| element(self)).collect()
    }

    /// A `char`.
    pub fn char(&mut self) -> Result<char, ValueError> {
        let first = *self.rest.first().ok_or(ValueError::Short)?;
        let length = match first {
            0x00..=0x7f => 1,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => return Err(ValueError::Utf8),
        };
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| ValueError::Utf8)?;
        text.chars().next().ok_or(ValueError::Utf8)
    }

    /// The discriminant of a type with `cases` cases.
    #[inline]
    pub fn discriminant(&mut self, cases: usize) -> Result<usize, ValueError> {
        let case: usize = self.unsigned()?;
        if case < cases {
            Ok(case)
        } else {
            Err(ValueError::Discriminant)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leb(value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        put_leb(&mut out, value);
        out
    }

    fn sleb(value: i64) -> Vec<u8> {
        let mut out = Vec::new();
        put_sleb(&mut out, value);
        out
    }

    #[test]
    fn golden_integers() {
        assert_eq!(leb(0), [0]);
        assert_eq!(leb(127), [127]);
        assert_eq!(leb(128), [0x80, 1]);
        assert_eq!(leb(624_485), [0xe5, 0x8e, 0x26]);
        assert_eq!(sleb(-1), [0x7f]);
        assert_eq!(sleb(63), [0x3f]);
        assert_eq!(sleb(64), [0xc0, 0]);
        assert_eq!(sleb(-64), [0x40]);
        assert_eq!(sleb(-123_456), [0xc0, 0xbb, 0x78]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(Reader::new(&leb(256)).unsigned::<u8>(), Err(ValueError::Range));
        assert_eq!(Reader::new(&sleb(-129)).signed::<i8>(), Err(ValueError::Range));
        assert_eq!(Reader::new(&[0xff; 11]).leb(), Err(ValueError::Range));
        assert_eq!(Reader::new(&[0x80]).leb(), Err(ValueError::Short));
        assert_eq!(Reader::new(&[2]).bool(), Err(ValueError::Discriminant));
        assert_eq!(Reader::new(&[5, b'a']).str(), Err(ValueError::Short));
        assert_eq!(Reader::new(&[1, 0xff]).str(), Err(ValueError::Utf8));
        assert_eq!(Reader::new(&[0xed, 0xa0, 0x80]).char(), Err(ValueError::Utf8));
        assert_eq!(Reader::new(&leb(u64::MAX)).count(1), Err(ValueError::Short));
        assert_eq!(Reader::new(&[0]).finish(), Err(ValueError::Long));
        let mut two_bits = [0xff; 10];
        two_bits[9] = 0x02;
        assert_eq!(Reader::new(&two_bits).leb(), Err(ValueError::Range));
        assert_eq!(Reader::new(&two_bits).sleb(), Err(ValueError::Range));
        assert_eq!(
            Reader::new(&leb(u64::MAX >> 1)).list(|from| from.bool()),
            Err(ValueError::Short),
            "nothing is allocated for a count beyond the bytes"
        );
    }

    #[test]
    fn options_and_lists_are_read_as_they_were_written() {
        let mut out = Vec::new();
        put_option(&mut out, None::<&str>, put_str);
        put_option(&mut out, Some("tern"), put_str);
        put_leb(&mut out, 2);
        put_sleb(&mut out, -3);
        put_sleb(&mut out, 300);
        assert_eq!(out, b"\x00\x01\x04tern\x02\x7d\xac\x02");
        let mut from = Reader::new(&out);
        assert_eq!(from.option(Reader::string), Ok(None));
        assert_eq!(from.option(Reader::string), Ok(Some("tern".to_owned())));
        assert_eq!(from.list(Reader::signed::<i16>), Ok(vec![-3, 300]));
        assert_eq!(from.finish(), Ok(()));
        assert_eq!(
            Reader::new(&[2]).option(Reader::bool),
            Err(ValueError::Discriminant)
        );
    }

    proptest! {
        #[test]
        fn integers_round_trip(unsigned: u64, signed: i64) {
            prop_assert_eq!(Reader::new(&leb(unsigned)).leb(), Ok(unsigned));
            prop_assert_eq!(Reader::new(&sleb(signed)).sleb(), Ok(signed));
        }

        #[test]
        fn characters_round_trip(value: char) {
            let mut out = Vec::new();
            put_char(&mut out, value);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.char(), Ok(value));
            prop_assert_eq!(reader.finish(), Ok(()));
        }

        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while reader.sleb().is_ok() && reader.char().is_ok() && reader.bytes().is_ok() {}
            let mut reader = Reader::new(&bytes);
            while reader.option(Reader::string).is_ok() && reader.list(|from| from.sleb()).is_ok() {}
        }
    }
}
