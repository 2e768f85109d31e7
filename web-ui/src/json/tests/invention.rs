//! Values of any type, made up by answering what its own reading asks for.
//!
//! Names and identifiers must have their form, which only their reading knows: which of a few forms a field wants is
//! found out by trying. What is flattened asks for nothing in particular, and cannot be made up.

use std::collections::BTreeMap;

use serde::de::value::{Error, StrDeserializer};
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor};

/// The forms that a string may have to have.
const FORMS: [&str; 10] = [
    "",
    "af7651916cd43dd8",
    "af7651916cd43dd8448eb211c80319c0",
    "shop:cart/cart@0.1.0",
    "cart -> shop:cart/cart",
    "2ms",
    "1%",
    "1MB/s",
    "100Mbit/s",
    "example.org:443",
];
/// Strings that need no form.
const TEXTS: [&str; 5] = [
    "",
    "plain",
    "a \"quote\", a \\ and a\nline",
    "<b>\u{202e}مرحبا\u{1}",
    "1",
];
const DEPTH_MAX: u32 = 12;

struct Invention<'a> {
    dice: u64,
    /// By field: the form of its string.
    forms: &'a BTreeMap<String, usize>,
    field: String,
    depth: u32,
}

/// A value; the same for the same seed.
pub fn invent<T: DeserializeOwned>(seed: u64) -> T {
    let mut forms = BTreeMap::new();
    loop {
        let mut invention = Invention {
            dice: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            forms: &forms,
            field: String::new(),
            depth: 0,
        };
        match T::deserialize(&mut invention) {
            Ok(value) => return value,
            Err(error) => {
                let field = invention.field.clone();
                let form = forms.entry(field).or_insert(0);
                *form += 1;
                assert!(*form < FORMS.len(), "{}: {error}", std::any::type_name::<T>());
            }
        }
    }
}

impl Invention<'_> {
    /// A number below `limit`.
    fn roll(&mut self, limit: usize) -> usize {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        (self.dice >> 16) as usize % limit
    }

    fn text(&mut self) -> &'static str {
        let free = TEXTS[self.roll(TEXTS.len())];
        match self.forms.get(&self.field) {
            None | Some(0) => free,
            Some(form) => FORMS[*form],
        }
    }

    fn items(&mut self) -> usize {
        self.depth += 1;
        if self.depth > DEPTH_MAX { 0 } else { self.roll(3) }
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty),+) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let extremes = [0, 1, 7, <$type>::MAX, <$type>::MIN];
            let at = self.roll(extremes.len());
            visitor.$visit(extremes[at])
        }
    )+ };
}

impl<'de> de::Deserializer<'de> for &mut Invention<'_> {
    type Error = Error;

    numbers!(
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64, deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32, deserialize_i64 visit_i64 i64
    );

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.roll(5) {
            0 => visitor.visit_unit(),
            1 => visitor.visit_bool(true),
            2 => self.deserialize_u64(visitor),
            3 => visitor.visit_str(self.text()),
            _ => self.deserialize_seq(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(self.roll(2) == 0)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let floats = [0.0, -1.5, 1.0, 1_234.567_8, 1e-7, 6.02e23];
        let at = self.roll(floats.len());
        visitor.visit_f64(floats[at])
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.text())
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.depth += 1;
        if self.depth > DEPTH_MAX || self.roll(3) == 0 {
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let left = self.items();
        let has_places = false;
        visitor.visit_seq(Several {
            of: self,
            left,
            has_places,
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, left: usize, visitor: V) -> Result<V::Value, Error> {
        let has_places = true;
        visitor.visit_seq(Several {
            of: self,
            left,
            has_places,
        })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let left = self.items();
        let has_places = false;
        visitor.visit_map(Several {
            of: self,
            left,
            has_places,
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_map(Fields { of: self, fields })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let at = self.roll(variants.len());
        visitor.visit_enum(Chosen {
            of: self,
            variant: variants[at],
        })
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple_struct identifier ignored_any
    }
}

struct Several<'i, 'a> {
    of: &'i mut Invention<'a>,
    left: usize,
    /// Each element has a form of its own: a tuple.
    has_places: bool,
}

impl<'de> de::SeqAccess<'de> for Several<'_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        if !self.has_places {
            return seed.deserialize(&mut *self.of).map(Some);
        }
        let outer = std::mem::take(&mut self.of.field);
        self.of.field = format!("{} before the end of {outer}", self.left);
        let value = seed.deserialize(&mut *self.of)?;
        self.of.field = outer;
        Ok(Some(value))
    }
}

/// Entries of a map; what a name must look like is asked of the field that the map is in, as a field of its own.
impl<'de> de::MapAccess<'de> for Several<'_, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let outer = std::mem::take(&mut self.of.field);
        self.of.field = format!("key of {outer}");
        let key = seed.deserialize(&mut *self.of)?;
        self.of.field = outer;
        Ok(Some(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(&mut *self.of)
    }
}

struct Fields<'i, 'a> {
    of: &'i mut Invention<'a>,
    fields: &'static [&'static str],
}

impl<'de> de::MapAccess<'de> for Fields<'_, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((field, rest)) = self.fields.split_first() else {
            return Ok(None);
        };
        self.fields = rest;
        self.of.field = (*field).to_owned();
        let name: StrDeserializer<'_, Error> = field.into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(&mut *self.of)
    }
}

struct Chosen<'i, 'a> {
    of: &'i mut Invention<'a>,
    variant: &'static str,
}

impl<'de> de::EnumAccess<'de> for Chosen<'_, '_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let name: StrDeserializer<'_, Error> = self.variant.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Chosen<'_, '_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.of)
    }

    fn tuple_variant<V: Visitor<'de>>(self, fields: usize, visitor: V) -> Result<V::Value, Error> {
        de::Deserializer::deserialize_tuple(self.of, fields, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        de::Deserializer::deserialize_struct(self.of, "", fields, visitor)
    }
}
