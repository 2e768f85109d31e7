//! Protobuf's wire form: fields as tag and value, read from a slice and written to a vector.
//!
//! Reading never copies, never indexes and never allocates; what is cut short, has a number too long or a field of 0 is
//! an error. Groups, which nobody writes any more, are an error too.

/// A field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

/// What cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// It ends within a field.
    #[error("the protobuf message is cut short")]
    Short,
    /// A number of more than ten bytes.
    #[error("the protobuf message has a number of more than 64 bits")]
    Long,
    /// A field's number or kind that there is not.
    #[error("the protobuf message has a field of no known kind")]
    Kind,
    /// A field of another kind than its number has.
    #[error("field {0} of the protobuf message has another kind than it should")]
    Unfitting(u32),
    /// Text that is not UTF-8.
    #[error("field {0} of the protobuf message is no UTF-8 text")]
    Text(u32),
}

/// Reads the fields of a message one by one.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(WireError::Short)?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(WireError::Long);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(WireError::Long)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(WireError::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    /// The next field, `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Field<'a>)>, WireError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| WireError::Kind)?;
        if number == 0 || number > 0x1fff_ffff {
            return Err(WireError::Kind);
        }
        let field = match tag & 7 {
            0 => Field::Varint(self.varint()?),
            1 => {
                let bytes = self.take(8)?.first_chunk().ok_or(WireError::Short)?;
                Field::Fixed64(u64::from_le_bytes(*bytes))
            }
            2 => {
                let len = usize::try_from(self.varint()?).map_err(|_| WireError::Short)?;
                Field::Bytes(self.take(len)?)
            }
            5 => {
                let bytes = self.take(4)?.first_chunk().ok_or(WireError::Short)?;
                Field::Fixed32(u32::from_le_bytes(*bytes))
            }
            _ => return Err(WireError::Kind),
        };
        Ok(Some((number, field)))
    }
}

impl<'a> Field<'a> {
    pub(super) fn bytes(self, number: u32) -> Result<&'a [u8], WireError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(WireError::Unfitting(number)),
        }
    }

    pub(super) fn text(self, number: u32) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.bytes(number)?).map_err(|_| WireError::Text(number))
    }

    pub(super) fn varint(self, number: u32) -> Result<u64, WireError> {
        match self {
            Self::Varint(value) => Ok(value),
            _ => Err(WireError::Unfitting(number)),
        }
    }

    pub(super) fn fixed64(self, number: u32) -> Result<u64, WireError> {
        match self {
            Self::Fixed64(value) => Ok(value),
            _ => Err(WireError::Unfitting(number)),
        }
    }

    pub(super) fn fixed32(self, number: u32) -> Result<u32, WireError> {
        match self {
            Self::Fixed32(value) => Ok(value),
            _ => Err(WireError::Unfitting(number)),
        }
    }
}

/// Writes a message. Fields that have their default are left out, as protobuf does.
#[derive(Debug, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn raw(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn tag(&mut self, number: u32, kind: u64) {
        self.raw(u64::from(number) << 3 | kind);
    }

    pub(super) fn varint(&mut self, number: u32, value: u64) {
        if value != 0 {
            self.always(number, value);
        }
    }

    /// A number that is there even when it is 0, as a member of a `oneof`.
    pub(super) fn always(&mut self, number: u32, value: u64) {
        self.tag(number, 0);
        self.raw(value);
    }

    pub(super) fn fixed64(&mut self, number: u32, value: u64) {
        self.tag(number, 1);
        self.0.extend(value.to_le_bytes());
    }

    pub(super) fn fixed32(&mut self, number: u32, value: u32) {
        if value != 0 {
            self.tag(number, 5);
            self.0.extend(value.to_le_bytes());
        }
    }

    pub(super) fn bytes(&mut self, number: u32, bytes: &[u8]) {
        self.tag(number, 2);
        self.raw(bytes.len() as u64);
        self.0.extend(bytes);
    }

    pub(super) fn text(&mut self, number: u32, text: &str) {
        if !text.is_empty() {
            self.bytes(number, text.as_bytes());
        }
    }

    /// A message within this one.
    pub(super) fn message(&mut self, number: u32, fill: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        fill(&mut inner);
        self.bytes(number, &inner.0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_are_read_as_they_were_written() {
        let mut message = Message::default();
        message.varint(1, 300);
        message.varint(2, 0);
        message.always(3, u64::MAX);
        message.fixed64(4, 7);
        message.fixed32(5, 8);
        message.text(6, "é");
        message.message(7, |inner| inner.always(1, 0));
        let bytes = message.into_bytes();
        let mut fields = Fields::of(&bytes);
        let expected = [
            (1, Field::Varint(300)),
            (3, Field::Varint(u64::MAX)),
            (4, Field::Fixed64(7)),
            (5, Field::Fixed32(8)),
            (6, Field::Bytes("é".as_bytes())),
            (7, Field::Bytes(&[8, 0])),
        ];
        for field in expected {
            assert_eq!(fields.next(), Ok(Some(field)));
        }
        assert_eq!(fields.next(), Ok(None));
        // 150 in field 1, as protobuf's own documentation spells it.
        assert_eq!(
            Fields::of(&[0x08, 0x96, 0x01]).next(),
            Ok(Some((1, Field::Varint(150))))
        );
    }

    #[test]
    fn what_is_broken_says_how() {
        for (bytes, error) in [
            (&[0x0a, 5, 1][..], WireError::Short),
            (&[0x08], WireError::Short),
            (&[0x09, 1, 2], WireError::Short),
            (&[0x0b], WireError::Kind),
            (&[0x00, 1], WireError::Kind),
            (
                &[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2],
                WireError::Long,
            ),
        ] {
            assert_eq!(Fields::of(bytes).next(), Err(error), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut fields = Fields::of(&bytes);
            let mut count = 0;
            while let Ok(Some(_)) = fields.next() {
                count += 1;
            }
            prop_assert!(count <= bytes.len());
        }
    }
}
