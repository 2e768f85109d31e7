//! The value encoding → JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::value::{Reader, ValueError};
use serde_json::{Map, Number, Value};

use crate::runtime::wit_type::WitType;

/// The largest integer that every JSON reader keeps exactly.
const EXACT_MAX: u64 = 1 << 53;

pub(super) fn value(ty: &WitType, reader: &mut Reader<'_>) -> Result<Value, ValueError> {
    Ok(match ty {
        WitType::Bool => Value::Bool(reader.bool()?),
        WitType::U8 => reader.byte()?.into(),
        WitType::S8 => (reader.byte()? as i8).into(),
        WitType::U16 => reader.unsigned::<u16>()?.into(),
        WitType::S16 => reader.signed::<i16>()?.into(),
        WitType::U32 => reader.unsigned::<u32>()?.into(),
        WitType::S32 => reader.signed::<i32>()?.into(),
        WitType::U64 => unsigned(reader.leb()?),
        WitType::S64 => signed(reader.sleb()?),
        WitType::F32 => float32(f32::from_le_bytes(reader.array()?)),
        WitType::F64 => float(f64::from_le_bytes(reader.array()?)),
        WitType::Char => reader.char()?.to_string().into(),
        WitType::String => reader.str()?.into(),
        WitType::List(element) if **element == WitType::U8 => {
            let mut object = Map::new();
            object.insert("base64".into(), STANDARD.encode(reader.bytes()?).into());
            Value::Object(object)
        }
        WitType::List(element) => {
            let count = reader.count(element.bytes_min().max(1))?;
            Value::Array(
                (0..count)
                    .map(|_| value(element, reader))
                    .collect::<Result<_, _>>()?,
            )
        }
        WitType::Record(fields) => {
            let mut object = Map::new();
            for (name, ty) in fields {
                object.insert(name.clone(), value(ty, reader)?);
            }
            Value::Object(object)
        }
        WitType::Tuple(types) => Value::Array(
            types
                .iter()
                .map(|ty| value(ty, reader))
                .collect::<Result<_, _>>()?,
        ),
        WitType::Enum(names) => named(names, reader)?.into(),
        WitType::Variant(cases) => {
            let case = reader.discriminant(cases.len())?;
            let (name, payload) = cases.get(case).ok_or(ValueError::Discriminant)?;
            match payload {
                None => name.as_str().into(),
                Some(ty) => single(name, value(ty, reader)?),
            }
        }
        WitType::Option(inner) => match reader.bool()? {
            false => Value::Null,
            true if matches!(**inner, WitType::Option(_)) => single("some", value(inner, reader)?),
            true => value(inner, reader)?,
        },
        WitType::Result(ok, err) => {
            let (name, payload) = if reader.bool()? { ("err", err) } else { ("ok", ok) };
            let inner = match payload {
                Some(ty) => value(ty, reader)?,
                None => Value::Null,
            };
            single(name, inner)
        }
        WitType::Flags(names) => flags(names, reader)?,
        WitType::Handle(_) | WitType::Unsupported(_) => return Err(ValueError::Discriminant),
    })
}

fn single(name: &str, inner: Value) -> Value {
    let mut object = Map::new();
    object.insert(name.to_owned(), inner);
    Value::Object(object)
}

fn named<'n>(names: &'n [String], reader: &mut Reader<'_>) -> Result<&'n str, ValueError> {
    let case = reader.discriminant(names.len())?;
    names
        .get(case)
        .map(String::as_str)
        .ok_or(ValueError::Discriminant)
}

fn unsigned(value: u64) -> Value {
    if value <= EXACT_MAX {
        value.into()
    } else {
        value.to_string().into()
    }
}

fn signed(value: i64) -> Value {
    if value.unsigned_abs() <= EXACT_MAX {
        value.into()
    } else {
        value.to_string().into()
    }
}

/// A 32-bit float in its own shortest digits, not those of the 64-bit one that it converts to.
fn float32(value: f32) -> Value {
    if value.is_finite() {
        float(value.to_string().parse().unwrap_or_else(|_| f64::from(value)))
    } else {
        float(value.into())
    }
}

fn float(value: f64) -> Value {
    match Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None if value.is_nan() => "NaN".into(),
        None if value > 0.0 => "Infinity".into(),
        None => "-Infinity".into(),
    }
}

fn flags(names: &[String], reader: &mut Reader<'_>) -> Result<Value, ValueError> {
    let bytes = reader.take(names.len().div_ceil(8))?;
    let is_set = |index: usize| {
        bytes
            .get(index / 8)
            .is_some_and(|byte| byte >> (index % 8) & 1 == 1)
    };
    if (names.len()..bytes.len() * 8).any(is_set) {
        return Err(ValueError::Flags);
    }
    let set = names.iter().enumerate().filter(|(index, _)| is_set(*index));
    Ok(Value::Array(set.map(|(_, name)| name.as_str().into()).collect()))
}
