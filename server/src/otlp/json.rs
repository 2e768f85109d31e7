//! OTLP in JSON: ids in hexadecimal, 64-bit numbers as text, `null` like an absent field, unknown fields skipped.
//!
//! Readers take what senders write in practice as well: numbers for 64-bit numbers, names for enumerations. Lists are
//! read within the body's budget.

use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::budget;
use super::model::{AnyValue, Event, KeyValue, Link};

pub(super) fn is_zero(value: &u32) -> bool {
    *value == 0
}

pub(super) fn is_none(value: &u64) -> bool {
    *value == 0
}

/// A field that may be `null`.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Spans, scopes or resources.
pub(super) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_any(List(|| budget::take_span().then_some(true), PhantomData))
}

/// Attributes.
pub(super) fn attributes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<KeyValue>, D::Error> {
    values(deserializer)
}

/// Events.
pub(super) fn events<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Event>, D::Error> {
    values(deserializer)
}

/// Links.
pub(super) fn links<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Link>, D::Error> {
    values(deserializer)
}

fn values<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_any(List(|| Some(budget::take_value()), PhantomData))
}

/// Reads a list; what the function says of each element: `None` refuses the body, `false` leaves the element out.
struct List<F, T>(F, PhantomData<T>);

impl<'de, F, T> Visitor<'de> for List<F, T>
where
    F: Fn() -> Option<bool>,
    T: Deserialize<'de>,
{
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E>(self) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        // What is not read is asked for first, or an empty list would cost a place.
        while let Some(element) = seq.next_element_seed(Element(&self.0, PhantomData))? {
            list.extend(element);
        }
        Ok(list)
    }
}

struct Element<'f, F, T>(&'f F, PhantomData<T>);

impl<'de, F, T> DeserializeSeed<'de> for Element<'_, F, T>
where
    F: Fn() -> Option<bool>,
    T: Deserialize<'de>,
{
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
        match (self.0)() {
            None => Err(de::Error::custom("too many spans")),
            Some(true) => T::deserialize(deserializer).map(Some),
            Some(false) => IgnoredAny::deserialize(deserializer).map(|_| None),
        }
    }
}

/// Ids as hexadecimal digits of either case.
pub(super) mod id {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer, T: fmt::Display>(
        id: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match id {
            Some(id) => serializer.collect_str(id),
            None => serializer.serialize_str(""),
        }
    }

    pub(in super::super) fn deserialize<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        D: Deserializer<'de>,
        T: std::str::FromStr,
    {
        let text: String = or_default(deserializer)?;
        Ok(text.to_ascii_lowercase().parse().ok())
    }
}

/// 64-bit numbers as text.
pub(super) mod whole {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_any(Number)
    }
}

/// An enumeration's number.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    deserializer.deserialize_any(Number)
}

/// The names of enumerations' numbers, which protobuf's own JSON allows and OTLP's does not.
const NAMES: [(&str, u64); 9] = [
    ("SPAN_KIND_UNSPECIFIED", 0),
    ("SPAN_KIND_INTERNAL", 1),
    ("SPAN_KIND_SERVER", 2),
    ("SPAN_KIND_CLIENT", 3),
    ("SPAN_KIND_PRODUCER", 4),
    ("SPAN_KIND_CONSUMER", 5),
    ("STATUS_CODE_UNSET", 0),
    ("STATUS_CODE_OK", 1),
    ("STATUS_CODE_ERROR", 2),
];

struct Number;

impl Visitor<'_> for Number {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number from 0, or the same as text")
    }

    fn visit_unit<E>(self) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_u64<E>(self, value: u64) -> Result<u64, E> {
        Ok(value)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<u64, E> {
        // As JavaScript writes large numbers: 1.79e18.
        if (0.0..1.8e19).contains(&value) {
            Ok(value as u64)
        } else {
            Err(E::invalid_value(de::Unexpected::Float(value), &self))
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
        let named = NAMES
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, value)| *value);
        named
            .or_else(|| text.parse().ok())
            .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

impl Serialize for AnyValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Values<'a, T> {
            values: &'a [T],
        }
        let mut map = serializer.serialize_map(Some(usize::from(*self != Self::Empty)))?;
        match self {
            Self::Empty => {}
            Self::Text(text) => map.serialize_entry("stringValue", text)?,
            Self::Bool(value) => map.serialize_entry("boolValue", value)?,
            Self::Int(value) => map.serialize_entry("intValue", &value.to_string())?,
            Self::Double(value) if value.is_finite() => map.serialize_entry("doubleValue", value)?,
            Self::Double(value) if value.is_nan() => map.serialize_entry("doubleValue", "NaN")?,
            Self::Double(value) => {
                let word = if *value > 0.0 { "Infinity" } else { "-Infinity" };
                map.serialize_entry("doubleValue", word)?;
            }
            Self::Array(values) => map.serialize_entry("arrayValue", &Values { values })?,
            Self::Map(values) => map.serialize_entry("kvlistValue", &Values { values })?,
            Self::Bytes(bytes) => map.serialize_entry("bytesValue", &BASE64.encode(bytes))?,
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for AnyValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

/// The lists within values.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ArrayValue {
    #[serde(deserialize_with = "values")]
    values: Vec<AnyValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MapValue {
    #[serde(deserialize_with = "values")]
    values: Vec<KeyValue>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Loose {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = AnyValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value as {\"stringValue\": \"…\"}")
    }

    fn visit_unit<E>(self) -> Result<AnyValue, E> {
        Ok(AnyValue::Empty)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AnyValue, A::Error> {
        let mut value = AnyValue::Empty;
        while let Some(key) = map.next_key::<String>()? {
            let unfitting = || de::Error::custom(format!("`{key}` has a value of another kind"));
            let read = match key.as_str() {
                "arrayValue" => map
                    .next_value::<Option<ArrayValue>>()?
                    .map(|list| AnyValue::Array(list.values)),
                "kvlistValue" => map
                    .next_value::<Option<MapValue>>()?
                    .map(|list| AnyValue::Map(list.values)),
                "stringValue" | "boolValue" | "intValue" | "doubleValue" | "bytesValue" => map
                    .next_value::<Option<Loose>>()?
                    .map(|loose| plain(&key, loose).ok_or_else(unfitting))
                    .transpose()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    None
                }
            };
            value = read.unwrap_or(value);
        }
        Ok(value)
    }
}

fn plain(key: &str, loose: Loose) -> Option<AnyValue> {
    Some(match (key, loose) {
        ("stringValue", Loose::Text(text)) => AnyValue::Text(text),
        ("boolValue", Loose::Bool(value)) => AnyValue::Bool(value),
        ("intValue", Loose::Int(value)) => AnyValue::Int(value),
        ("intValue", Loose::Text(text)) => AnyValue::Int(text.parse().ok()?),
        ("doubleValue", Loose::Double(value)) => AnyValue::Double(value),
        ("doubleValue", Loose::Int(value)) => AnyValue::Double(value as f64),
        ("doubleValue", Loose::Text(text)) => AnyValue::Double(text.parse().ok()?),
        ("bytesValue", Loose::Text(text)) => AnyValue::Bytes(BASE64.decode(text).ok()?),
        _ => return None,
    })
}
