//! `Encoder` and `Decoder`: the component model's value encoding, as far as the built-in interfaces use it.
//!
//! Integers of 16 bits and more are LEB128 or SLEB128, texts and lists have their length before them, options and
//! results one byte, variants their case's number; a record is its fields. A decoder never indexes, never recurses and
//! never allocates more than the bytes that it holds.

/// Bytes that are not a value of the expected type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Cut short.
    #[error("the value is cut short")]
    Short,
    /// Bytes left over.
    #[error("bytes follow the value")]
    Long,
    /// A number too large for its type, or a case that there is not.
    #[error("a number is out of its range")]
    Range,
    /// A text that is none.
    #[error("a text is not UTF-8")]
    Utf8,
}

/// Writes values one after the other.
#[derive(Debug, Default)]
pub struct Encoder(Vec<u8>);

impl Encoder {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was written.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    /// A `bool`.
    pub fn bool(&mut self, value: bool) {
        self.0.push(u8::from(value));
    }

    /// The number of a variant's case, also of `option` (0 none, 1 some) and `result` (0 ok, 1 err).
    pub fn case(&mut self, case: u8) {
        self.u64(u64::from(case));
    }

    /// An unsigned integer of 16 to 64 bits.
    pub fn u64(&mut self, mut value: u64) {
        loop {
            let low = (value & 0x7f) as u8;
            value >>= 7;
            if value == 0 {
                self.0.push(low);
                return;
            }
            self.0.push(low | 0x80);
        }
    }

    /// A signed integer of 16 to 64 bits.
    pub fn s64(&mut self, mut value: i64) {
        loop {
            let low = (value & 0x7f) as u8;
            value >>= 7;
            let sign_is_told = low & 0x40 != 0;
            if (value == 0 && !sign_is_told) || (value == -1 && sign_is_told) {
                self.0.push(low);
                return;
            }
            self.0.push(low | 0x80);
        }
    }

    /// A `list<u8>`.
    pub fn bytes(&mut self, value: &[u8]) {
        self.u64(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// A `string`.
    pub fn string(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    /// An `option`.
    pub fn option<T>(&mut self, value: Option<T>, some: impl FnOnce(&mut Self, T)) {
        match value {
            None => self.case(0),
            Some(value) => {
                self.case(1);
                some(self, value);
            }
        }
    }
}

/// Reads values one after the other.
#[derive(Debug)]
pub struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    /// Reads from these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Nothing may be left.
    pub fn finish(self) -> Result<(), ValueError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(ValueError::Long)
        }
    }

    fn byte(&mut self) -> Result<u8, ValueError> {
        let (first, rest) = self.0.split_first().ok_or(ValueError::Short)?;
        self.0 = rest;
        Ok(*first)
    }

    /// A `bool`.
    pub fn bool(&mut self) -> Result<bool, ValueError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(ValueError::Range),
        }
    }

    /// The number of a case, below `cases`.
    pub fn case(&mut self, cases: u8) -> Result<u8, ValueError> {
        let case = u8::try_from(self.u64()?).map_err(|_| ValueError::Range)?;
        if case < cases {
            Ok(case)
        } else {
            Err(ValueError::Range)
        }
    }

    /// An unsigned integer.
    pub fn u64(&mut self) -> Result<u64, ValueError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let low = u64::from(byte & 0x7f);
            if shift == 63 && low > 1 {
                return Err(ValueError::Range);
            }
            value |= low << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ValueError::Range)
    }

    /// A signed integer.
    pub fn s64(&mut self) -> Result<i64, ValueError> {
        let mut value = 0_i64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let low = i64::from(byte & 0x7f);
            if shift == 63 {
                // One bit is left: the number's sign, told seven times.
                return match byte {
                    0x00 => Ok(value),
                    0x7f => Ok(value | i64::MIN),
                    _ => Err(ValueError::Range),
                };
            }
            value |= low << shift;
            if byte & 0x80 == 0 {
                let negative = byte & 0x40 != 0;
                return Ok(if negative {
                    value | (-1 << (shift + 7))
                } else {
                    value
                });
            }
        }
        Err(ValueError::Range)
    }

    /// A `list<u8>`.
    pub fn bytes(&mut self) -> Result<&'a [u8], ValueError> {
        let length = usize::try_from(self.u64()?).map_err(|_| ValueError::Short)?;
        let (value, rest) = self.0.split_at_checked(length).ok_or(ValueError::Short)?;
        self.0 = rest;
        Ok(value)
    }

    /// A `string`.
    pub fn string(&mut self) -> Result<String, ValueError> {
        let text = std::str::from_utf8(self.bytes()?).map_err(|_| ValueError::Utf8)?;
        Ok(text.to_owned())
    }

    /// An `option`.
    pub fn option<T>(
        &mut self,
        some: impl FnOnce(&mut Self) -> Result<T, ValueError>,
    ) -> Result<Option<T>, ValueError> {
        match self.case(2)? {
            0 => Ok(None),
            _ => some(self).map(Some),
        }
    }

    /// A list, each of whose elements takes at least one byte.
    pub fn list<T>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<T, ValueError>,
    ) -> Result<Vec<T>, ValueError> {
        let length = usize::try_from(self.u64()?).map_err(|_| ValueError::Short)?;
        if length > self.0.len() {
            return Err(ValueError::Short);
        }
        (0..length).map(|_| element(self)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(write: impl FnOnce(&mut Encoder)) -> Vec<u8> {
        let mut to = Encoder::new();
        write(&mut to);
        to.finish()
    }

    #[test]
    fn numbers_have_the_bytes_of_leb128() {
        assert_eq!(encoded(|to| to.u64(0)), [0]);
        assert_eq!(encoded(|to| to.u64(624_485)), [0xe5, 0x8e, 0x26]);
        assert_eq!(encoded(|to| to.s64(-123_456)), [0xc0, 0xbb, 0x78]);
        assert_eq!(encoded(|to| to.s64(-1)), [0x7f]);
        assert_eq!(encoded(|to| to.s64(64)), [0xc0, 0x00]);
        assert_eq!(encoded(|to| to.u64(u64::MAX)).len(), 10);
    }

    #[test]
    fn numbers_beyond_64_bits_are_refused() {
        let too_long = [0x80; 10];
        assert_eq!(Decoder::new(&too_long).u64(), Err(ValueError::Range));
        assert_eq!(Decoder::new(&too_long).s64(), Err(ValueError::Range));
        let mut two_bits = [0xff; 10];
        two_bits[9] = 0x02;
        assert_eq!(Decoder::new(&two_bits).u64(), Err(ValueError::Range));
        assert_eq!(Decoder::new(&two_bits).s64(), Err(ValueError::Range));
    }

    #[test]
    fn a_length_beyond_the_bytes_allocates_nothing() {
        let bytes = encoded(|to| to.u64(u64::MAX >> 1));
        assert_eq!(Decoder::new(&bytes).bytes(), Err(ValueError::Short));
        assert_eq!(
            Decoder::new(&bytes).list(|from| from.bool()),
            Err(ValueError::Short)
        );
    }

    proptest! {
        #[test]
        fn numbers_round_trip(unsigned: u64, signed: i64) {
            let bytes = encoded(|to| {
                to.u64(unsigned);
                to.s64(signed);
            });
            let mut from = Decoder::new(&bytes);
            prop_assert_eq!(from.u64(), Ok(unsigned));
            prop_assert_eq!(from.s64(), Ok(signed));
            prop_assert_eq!(from.finish(), Ok(()));
        }

        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            let mut from = Decoder::new(&bytes);
            let _ = from.option(Decoder::string);
            let _ = from.list(|from| from.s64());
            let _ = from.case(3);
            let _ = from.finish();
        }
    }
}
