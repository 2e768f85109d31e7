//! Lists, objects and enums, as serde walks through them.

use std::borrow::Cow;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};

use super::Error;
use super::reader::{Reader, Token};

/// The items of a list whose bracket has been read.
pub struct Items<'r, 'a> {
    reader: &'r mut Reader<'a>,
    first: bool,
    ended: bool,
}

/// The entries of an object whose brace has been read.
pub struct Entries<'r, 'a>(Items<'r, 'a>);

/// A variant: its name alone, or an object with one entry.
pub enum Variant<'r, 'a> {
    Name(Cow<'a, str>),
    Entry(&'r mut Reader<'a>),
}

impl<'r, 'a> Items<'r, 'a> {
    pub fn new(reader: &'r mut Reader<'a>) -> Self {
        Self {
            reader,
            first: true,
            ended: false,
        }
    }

    pub fn visit<'de, V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        let value = visitor.visit_seq(&mut self)?;
        self.end(b']')?;
        Ok(value)
    }

    fn next(&mut self, end: u8) -> Result<bool, Error> {
        self.ended = self.ended || !self.reader.next(&mut self.first, end)?;
        Ok(!self.ended)
    }

    fn end(mut self, end: u8) -> Result<(), Error> {
        match self.next(end)? {
            false => Ok(()),
            true => Err(Error::expected("nothing more")),
        }
    }
}

impl<'de> de::SeqAccess<'de> for &mut Items<'_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if !self.next(b']')? {
            return Ok(None);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

impl<'r, 'a> Entries<'r, 'a> {
    pub fn new(reader: &'r mut Reader<'a>) -> Self {
        Self(Items::new(reader))
    }

    pub fn visit<'de, V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        let value = visitor.visit_map(&mut self)?;
        self.0.end(b'}')?;
        Ok(value)
    }
}

impl<'de> de::MapAccess<'de> for &mut Entries<'_, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        if !self.0.next(b'}')? {
            return Ok(None);
        }
        let key = self.0.reader.key()?;
        seed.deserialize(text(&key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(&mut *self.0.reader)
    }
}

impl<'r, 'a> Variant<'r, 'a> {
    pub fn open(reader: &'r mut Reader<'a>) -> Result<Self, Error> {
        match reader.token()? {
            Token::Text(name) => Ok(Self::Name(name)),
            Token::Object => Ok(Self::Entry(reader)),
            _ => Err(Error::expected("a variant")),
        }
    }

    pub fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Name(name) => visitor.visit_enum(text(&name)),
            Self::Entry(reader) => {
                let mut entries = Items::new(reader);
                if !entries.next(b'}')? {
                    return Err(Error::expected("a variant"));
                }
                let value = visitor.visit_enum(&mut entries)?;
                entries.end(b'}')?;
                Ok(value)
            }
        }
    }
}

impl<'de> de::EnumAccess<'de> for &mut Items<'_, '_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let name = self.reader.key()?;
        Ok((seed.deserialize(text(&name))?, self))
    }
}

impl<'de> de::VariantAccess<'de> for &mut Items<'_, '_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        de::Deserialize::deserialize(&mut *self.reader)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(&mut *self.reader)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        de::Deserializer::deserialize_seq(&mut *self.reader, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        de::Deserializer::deserialize_map(&mut *self.reader, visitor)
    }
}

/// A key or the name of a variant, for what reads itself from a string.
fn text(text: &str) -> StrDeserializer<'_, Error> {
    text.into_deserializer()
}
