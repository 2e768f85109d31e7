//! The model of a form: JSON of a [`Shape`], what is wrong with it and where, and how a field changes it.
//!
//! The draft is JSON at every moment, also while something is half typed: a number that is none yet is kept as the text
//! that it is, and `check` says what is missing there. The JSON is the one that `call/…` takes. Pure.

use serde_json::{Map, Value, json};

use crate::shape::{Part, Shape};

/// Integers beyond this are written as text: numbers in JavaScript end there.
const SAFE_MAX: u64 = 1 << 53;

/// What is wrong, and where: a JSON pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub pointer: String,
    pub message: String,
}

/// What a new field holds.
pub fn initial(shape: &Shape) -> Value {
    match shape {
        Shape::Bool => Value::Bool(false),
        Shape::Whole { .. } | Shape::Float => json!(0),
        Shape::Char => json!("a"),
        Shape::Text => json!(""),
        Shape::Bytes => json!({ "base64": "" }),
        Shape::List(_) | Shape::Flags(_) => json!([]),
        Shape::Record(fields) => initial_parts(fields),
        Shape::Tuple(shapes) => shapes.iter().map(initial).collect(),
        Shape::Variant(cases) => cases.first().map_or(Value::Null, initial_case),
        Shape::Enum(names) => names.first().map_or(Value::Null, |name| json!(name.name)),
        Shape::Option(_) | Shape::Opaque(_) => Value::Null,
        Shape::Result(ok, _) => json!({ "ok": ok.as_deref().map_or(Value::Null, initial) }),
    }
}

/// An object by name: of a record's fields, or of parameters.
pub fn initial_parts(parts: &[Part]) -> Value {
    let of = |part: &Part| {
        let value = part.shape.as_ref().map_or(Value::Null, initial);
        (part.name.clone(), value)
    };
    Value::Object(parts.iter().map(of).collect())
}

/// A case with its value, where it has one.
pub fn initial_case(case: &Part) -> Value {
    match &case.shape {
        None => json!(case.name),
        Some(shape) => Value::Object(Map::from_iter([(case.name.clone(), initial(shape))])),
    }
}

/// What an option holds once it is some.
pub fn some(inner: &Shape) -> Value {
    match inner {
        Shape::Option(_) => json!({ "some": initial(inner) }),
        _ => initial(inner),
    }
}

/// The case that a variant's or a result's value is of.
pub fn case(value: &Value) -> Option<&str> {
    match value {
        Value::String(name) => Some(name),
        Value::Object(object) if object.len() == 1 => object.keys().next().map(String::as_str),
        _ => None,
    }
}

/// One step further in.
pub fn within(pointer: &str, step: &str) -> String {
    format!("{pointer}/{}", step.replace('~', "~0").replace('/', "~1"))
}

/// Puts a value in its place; one that is no place is left out.
pub fn put(draft: &mut Value, pointer: &str, value: Value) {
    if let Some(place) = draft.pointer_mut(pointer) {
        *place = value;
    }
}

/// A number as it was typed: a number where it is one of the shape, else the text.
pub fn number(shape: &Shape, typed: &str) -> Value {
    let typed = typed.trim();
    let text = || Value::String(typed.to_owned());
    match shape {
        Shape::Whole { .. } if whole(shape, &text()) => match (typed.parse::<u64>(), typed.parse::<i64>()) {
            (Ok(number), _) if number <= SAFE_MAX => json!(number),
            (_, Ok(number)) if number.unsigned_abs() <= SAFE_MAX => json!(number),
            _ => text(),
        },
        Shape::Float => match typed.parse::<f64>() {
            Ok(number) if number.is_finite() => json!(number),
            _ => text(),
        },
        _ => text(),
    }
}

/// A value as a text field shows it.
pub fn typed(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// The least and the most of an integer.
pub fn range(signed: bool, bits: u32) -> (i128, i128) {
    match signed {
        true => (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1),
        false => (0, (1_i128 << bits) - 1),
    }
}

fn whole(shape: &Shape, value: &Value) -> bool {
    let Shape::Whole { signed, bits } = shape else {
        return false;
    };
    let (least, most) = range(*signed, *bits);
    let number: Option<i128> = match value {
        Value::Number(number) => number
            .as_i64()
            .map(i128::from)
            .or_else(|| number.as_u64().map(i128::from)),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    number.is_some_and(|number| (least..=most).contains(&number))
}

/// Everything that is wrong with arguments by name.
pub fn check(params: &[Part], draft: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    fields(params, draft, "", &mut faults);
    faults
}

fn fields(parts: &[Part], value: &Value, at: &str, faults: &mut Vec<Fault>) {
    let Value::Object(object) = value else {
        return fault(faults, at, "write an object with a name for each part");
    };
    for part in parts {
        let at = within(at, &part.name);
        match (object.get(&part.name), &part.shape) {
            (Some(value), Some(shape)) => inspect(shape, value, &at, faults),
            (None, Some(Shape::Option(_))) | (_, None) => {}
            (None, Some(_)) => fault(faults, &at, "is missing"),
        }
    }
    for name in object.keys() {
        if !parts.iter().any(|part| part.name == *name) {
            fault(faults, &within(at, name), "is not known here");
        }
    }
}

fn fault(faults: &mut Vec<Fault>, at: &str, message: impl Into<String>) {
    faults.push(Fault {
        pointer: at.to_owned(),
        message: message.into(),
    });
}

fn inspect(shape: &Shape, value: &Value, at: &str, faults: &mut Vec<Fault>) {
    match shape {
        Shape::Bool if !value.is_boolean() => fault(faults, at, "is true or false"),
        Shape::Whole { signed, bits } if !whole(shape, value) => {
            let (least, most) = range(*signed, *bits);
            fault(faults, at, format!("write a whole number from {least} to {most}"));
        }
        Shape::Float if !float(value) => fault(faults, at, "write a number, NaN, Infinity or -Infinity"),
        Shape::Char if value.as_str().is_none_or(|text| text.chars().count() != 1) => {
            fault(faults, at, "write one character");
        }
        Shape::Text if !value.is_string() => fault(faults, at, "write a text"),
        Shape::Bytes => bytes(value, at, faults),
        Shape::List(of) => match value.as_array() {
            Some(values) => {
                for (index, value) in values.iter().enumerate() {
                    inspect(of, value, &within(at, &index.to_string()), faults);
                }
            }
            None => fault(faults, at, "write a list"),
        },
        Shape::Record(parts) => fields(parts, value, at, faults),
        Shape::Tuple(shapes) => match value.as_array() {
            Some(values) if values.len() == shapes.len() => {
                for (index, (shape, value)) in shapes.iter().zip(values).enumerate() {
                    inspect(shape, value, &within(at, &index.to_string()), faults);
                }
            }
            _ => fault(faults, at, format!("write a list of {}", shapes.len())),
        },
        Shape::Variant(cases) => variant(cases, value, at, faults),
        Shape::Enum(names) if !is_one(names, value) => fault(faults, at, choices("write one of", names)),
        Shape::Flags(names) => match value.as_array() {
            Some(set) if set.iter().all(|value| is_one(names, value)) => {}
            _ => fault(faults, at, choices("write a list of some of", names)),
        },
        Shape::Option(of) => option(of, value, at, faults),
        Shape::Result(ok, err) => result((ok.as_deref(), err.as_deref()), value, at, faults),
        Shape::Opaque(what) => fault(faults, at, format!("{what} cannot be written by hand")),
        _ => {}
    }
}

fn float(value: &Value) -> bool {
    value.is_number() || matches!(value.as_str(), Some("NaN" | "Infinity" | "-Infinity"))
}

fn is_one(names: &[Part], value: &Value) -> bool {
    names.iter().any(|part| value.as_str() == Some(&part.name))
}

fn choices(verb: &str, names: &[Part]) -> String {
    let names: Vec<&str> = names.iter().map(|part| part.name.as_str()).collect();
    format!("{verb} {}", names.join(", "))
}

fn bytes(value: &Value, at: &str, faults: &mut Vec<Fault>) {
    let byte = |value: &Value| value.as_u64().is_some_and(|byte| byte <= 255);
    let is_fine = match value {
        Value::Array(values) => values.iter().all(byte),
        Value::Object(object) => {
            object.len() == 1 && base64_of(value).is_some_and(|text| decode(text).is_some())
        }
        _ => false,
    };
    if !is_fine {
        fault(faults, at, "write base64, or a list of numbers from 0 to 255");
    }
}

fn variant(cases: &[Part], value: &Value, at: &str, faults: &mut Vec<Fault>) {
    let Some(case) = case(value).and_then(|name| cases.iter().find(|case| case.name == name)) else {
        return fault(faults, at, choices("choose a case:", cases));
    };
    match (
        &case.shape,
        value.as_object().and_then(|object| object.get(&case.name)),
    ) {
        (Some(shape), Some(inner)) => inspect(shape, inner, &within(at, &case.name), faults),
        (Some(_), None) => fault(faults, at, format!("the case {} carries a value", case.name)),
        (None, Some(inner)) if !inner.is_null() => {
            fault(faults, at, format!("the case {} carries nothing", case.name));
        }
        (None, _) => {}
    }
}

fn option(of: &Shape, value: &Value, at: &str, faults: &mut Vec<Fault>) {
    if value.is_null() {
        return;
    }
    match (of, value.get("some")) {
        (Shape::Option(_), Some(inner)) => inspect(of, inner, &within(at, "some"), faults),
        (Shape::Option(_), None) => fault(faults, at, "write null or {\"some\": …}"),
        _ => inspect(of, value, at, faults),
    }
}

fn result((ok, err): (Option<&Shape>, Option<&Shape>), value: &Value, at: &str, faults: &mut Vec<Fault>) {
    let found = value.as_object().filter(|object| object.len() == 1);
    let (name, inner, shape) = match found.and_then(|object| object.iter().next()) {
        Some((name, inner)) if name == "ok" => (name, inner, ok),
        Some((name, inner)) if name == "err" => (name, inner, err),
        _ => return fault(faults, at, "write {\"ok\": …} or {\"err\": …}"),
    };
    match shape {
        Some(shape) => inspect(shape, inner, &within(at, name), faults),
        None if inner.is_null() => {}
        None => fault(faults, at, format!("{name} carries nothing")),
    }
}

/// The base64 of bytes.
pub fn base64_of(value: &Value) -> Option<&str> {
    value.get("base64")?.as_str()
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bytes to base64.
pub fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let group = at(0) << 16 | at(1) << 8 | at(2);
        for index in 0..4 {
            let six = group >> (18 - 6 * index) & 63;
            out.push(match index <= chunk.len() {
                true => char::from(ALPHABET[six as usize]),
                false => '=',
            });
        }
    }
    out
}

/// Base64 to bytes; nothing where it is none.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let bare = text.trim_end_matches('=');
    if text.len() - bare.len() > 2 {
        return None;
    }
    let (mut out, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for byte in bare.bytes() {
        let six = ALPHABET.iter().position(|known| *known == byte)?;
        held = held << 6 | six as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    (held == 0).then_some(out)
}

#[cfg(test)]
mod tests;
