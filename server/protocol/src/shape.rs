//! `Shape`: how many bytes a value takes, and nothing else of its type: enough to find one parameter among the encoded
//! arguments of a call.
//!
//! Skipping never indexes, never goes deeper than [`DEPTH_MAX`] and never loops more often than there are bytes.

#![deny(clippy::indexing_slicing)]

use serde::{Deserialize, Serialize};

use crate::value::{Reader, ValueError};

/// The deepest nesting that is followed: types are not accepted deeper than this.
pub const DEPTH_MAX: usize = 32;

/// The longest LEB128 integer of 64 bits.
const LEB_BYTES_MAX: usize = 10;

/// A type by the bytes of its values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// So many bytes, whatever they are.
    Fixed(u32),
    /// An integer of either sign.
    Leb,
    /// A character.
    Char,
    /// A count and so many bytes.
    Bytes,
    /// A count and so many values.
    List(Box<Self>),
    /// One value after the other.
    Record(Vec<Self>),
    /// The number of a case and its value, where it has one.
    Choice(Vec<Option<Self>>),
}

impl Shape {
    /// Reads past a value.
    pub fn skip(&self, from: &mut Reader<'_>) -> Result<(), ValueError> {
        self.skip_within(from, DEPTH_MAX)
    }

    fn skip_within(&self, from: &mut Reader<'_>, depth: usize) -> Result<(), ValueError> {
        let depth = depth.checked_sub(1).ok_or(ValueError::Range)?;
        match self {
            Self::Fixed(bytes) => from.take(*bytes as usize).map(|_| ()),
            Self::Leb => {
                for _ in 0..LEB_BYTES_MAX {
                    if from.byte()? & 0x80 == 0 {
                        return Ok(());
                    }
                }
                Err(ValueError::Range)
            }
            Self::Char => from.char().map(|_| ()),
            Self::Bytes => from.bytes().map(|_| ()),
            Self::List(element) => {
                let count = from.count(1)?;
                (0..count).try_for_each(|_| element.skip_within(from, depth))
            }
            Self::Record(parts) => parts.iter().try_for_each(|part| part.skip_within(from, depth)),
            Self::Choice(cases) => match cases.get(from.discriminant(cases.len())?) {
                Some(Some(payload)) => payload.skip_within(from, depth),
                _ => Ok(()),
            },
        }
    }
}

/// The bytes of the value of `shape` that stands behind values of the shapes `before`; nothing where the arguments are
/// of other types.
pub fn find<'a>(args: &'a [u8], before: &[Shape], shape: &Shape) -> Option<&'a [u8]> {
    let mut from = Reader::new(args);
    before.iter().try_for_each(|shape| shape.skip(&mut from)).ok()?;
    let start = from.rest();
    shape.skip(&mut from).ok()?;
    start.get(..start.len() - from.rest().len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::{put_char, put_leb, put_option, put_sleb, put_str};

    /// One value of every shape.
    fn everything() -> (Vec<Shape>, Vec<u8>) {
        let mut out = vec![1];
        put_sleb(&mut out, -3_000_000_000);
        put_leb(&mut out, u64::MAX);
        put_char(&mut out, 'ß');
        put_leb(&mut out, 2);
        put_str(&mut out, "a");
        put_str(&mut out, "");
        put_option(&mut out, Some("b"), put_str);
        put_option(&mut out, None::<&str>, put_str);
        out.extend([0; 8]);
        let option = Shape::Choice(vec![None, Some(Shape::Bytes)]);
        let shapes = vec![
            Shape::Fixed(1),
            Shape::Leb,
            Shape::Leb,
            Shape::Char,
            Shape::List(Box::new(Shape::Bytes)),
            Shape::Record(vec![option.clone(), option]),
            Shape::Fixed(8),
        ];
        (shapes, out)
    }

    #[test]
    fn a_parameter_is_found_behind_values_of_every_shape() {
        let (before, mut args) = everything();
        put_str(&mut args, "robin");
        put_str(&mut args, "more");
        assert_eq!(find(&args, &before, &Shape::Bytes), Some(b"\x05robin".as_slice()));
        assert_eq!(find(&args, &[], &Shape::Fixed(1)), Some([1].as_slice()));
        let whole = args.len() - "more".len() - 1;
        for cut in 0..whole {
            assert_eq!(
                find(args.get(..cut).unwrap(), &before, &Shape::Bytes),
                None,
                "{cut}"
            );
        }
    }

    #[test]
    fn what_cannot_be_ends() {
        let mut deep = Shape::Leb;
        for _ in 0..DEPTH_MAX {
            deep = Shape::Record(vec![deep]);
        }
        assert_eq!(find(&[1], &[], &deep), None);
        let nothing = Shape::List(Box::new(Shape::Record(Vec::new())));
        let mut endless = Vec::new();
        put_leb(&mut endless, u64::MAX);
        assert_eq!(find(&endless, &[], &nothing), None);
        assert_eq!(find(&[2], &[], &Shape::Choice(vec![None, None])), None);
        assert_eq!(find(&[0xff; 11], &[], &Shape::Leb), None);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            let (before, _) = everything();
            let _ = find(&bytes, &before, &Shape::Bytes);
        }
    }
}
