//! JSON → the value encoding.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::nearest;
use protocol::value::{put_bytes, put_char, put_leb, put_sleb};
use serde_json::{Map, Value};

use super::JsonError;
use crate::runtime::wit_type::WitType;

/// Where in the JSON the reader is.
#[derive(Debug, Default)]
pub(super) struct Path(Vec<String>);

impl Path {
    /// Reads something one step further in.
    pub(super) fn within<T>(
        &mut self,
        step: &str,
        read: impl FnOnce(&mut Self) -> Result<T, JsonError>,
    ) -> Result<T, JsonError> {
        self.0.push(step.to_owned());
        let outcome = read(self);
        self.0.pop();
        outcome
    }

    fn error(&self, message: String) -> JsonError {
        let escape = |step: &String| format!("/{}", step.replace('~', "~0").replace('/', "~1"));
        JsonError {
            pointer: self.0.iter().map(escape).collect(),
            message,
        }
    }

    fn misfit(&self, expected: &dyn std::fmt::Display, found: &Value) -> JsonError {
        let mut found = found.to_string();
        if found.len() > 60 {
            let end = (0..=60).rev().find(|at| found.is_char_boundary(*at)).unwrap_or(0);
            found.truncate(end);
            found.push('…');
        }
        self.error(format!("expected {expected}, found {found}"))
    }
}

pub(super) fn value(ty: &WitType, json: &Value, path: &mut Path, out: &mut Vec<u8>) -> Result<(), JsonError> {
    match ty {
        WitType::Bool => out.push(u8::from(json.as_bool().ok_or_else(|| path.misfit(ty, json))?)),
        WitType::U8 => out.push(unsigned(ty, json, path, u64::from(u8::MAX))? as u8),
        WitType::U16 => put_leb(out, unsigned(ty, json, path, u64::from(u16::MAX))?),
        WitType::U32 => put_leb(out, unsigned(ty, json, path, u64::from(u32::MAX))?),
        WitType::U64 => put_leb(out, unsigned(ty, json, path, u64::MAX)?),
        WitType::S8 => out.push(signed(ty, json, path, 8)? as u8),
        WitType::S16 => put_sleb(out, signed(ty, json, path, 16)?),
        WitType::S32 => put_sleb(out, signed(ty, json, path, 32)?),
        WitType::S64 => put_sleb(out, signed(ty, json, path, 64)?),
        WitType::F32 => out.extend_from_slice(&(float(ty, json, path)? as f32).to_le_bytes()),
        WitType::F64 => out.extend_from_slice(&float(ty, json, path)?.to_le_bytes()),
        WitType::Char => {
            let mut characters = json.as_str().unwrap_or_default().chars();
            match (characters.next(), characters.next()) {
                (Some(character), None) => put_char(out, character),
                _ => return Err(path.misfit(&"a string of one character", json)),
            }
        }
        WitType::String => {
            put_bytes(
                out,
                json.as_str().ok_or_else(|| path.misfit(ty, json))?.as_bytes(),
            );
        }
        WitType::List(element) => list(element, json, path, out)?,
        WitType::Record(parts) => match json {
            Value::Object(object) => fields(parts, object, path, out)?,
            _ => return Err(path.misfit(ty, json)),
        },
        WitType::Tuple(types) => match json.as_array() {
            Some(values) if values.len() == types.len() => {
                for (index, (ty, json)) in types.iter().zip(values).enumerate() {
                    path.within(&index.to_string(), |path| value(ty, json, path, out))?;
                }
            }
            _ => return Err(path.misfit(ty, json)),
        },
        WitType::Variant(cases) => variant(ty, cases, json, path, out)?,
        WitType::Enum(names) => put_leb(out, position(names, json, path)? as u64),
        WitType::Option(inner) => option(inner, json, path, out)?,
        WitType::Result(ok, err) => result(ty, (ok.as_deref(), err.as_deref()), json, path, out)?,
        WitType::Flags(names) => flags(names, json, path, out)?,
        WitType::Handle(what) | WitType::Unsupported(what) => {
            return Err(path.error(format!("{what} cannot be written as JSON")));
        }
    }
    Ok(())
}

/// The fields of a record, or parameters by name: all of them, and no other. An absent option is none. A name that is not
/// known is told first, because it may be the one that is missing.
pub(super) fn fields(
    parts: &[(String, WitType)],
    object: &Map<String, Value>,
    path: &mut Path,
    out: &mut Vec<u8>,
) -> Result<(), JsonError> {
    let known = || parts.iter().map(|(name, _)| name.as_str());
    if let Some(name) = object.keys().find(|key| !known().any(|name| name == *key)) {
        let hint = match nearest(name, known().filter(|name| !object.contains_key(*name))) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known are {}", known().collect::<Vec<_>>().join(", ")),
        };
        let message = format!("`{name}` is not known here; {hint}");
        return path.within(name, |path| Err(path.error(message)));
    }
    for (name, ty) in parts {
        match object.get(name) {
            Some(json) => path.within(name, |path| value(ty, json, path, out))?,
            None if matches!(ty, WitType::Option(_)) => out.push(0),
            None => return Err(path.error(format!("`{name}` is missing; it is {ty}"))),
        }
    }
    Ok(())
}

fn unsigned(ty: &WitType, json: &Value, path: &Path, max: u64) -> Result<u64, JsonError> {
    let number = match json {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    number
        .filter(|number| *number <= max)
        .ok_or_else(|| path.misfit(ty, json))
}

fn signed(ty: &WitType, json: &Value, path: &Path, bits: u32) -> Result<i64, JsonError> {
    let number = match json {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let limit = i64::MAX >> (64 - bits);
    number
        .filter(|number| (-limit - 1..=limit).contains(number))
        .ok_or_else(|| path.misfit(ty, json))
}

fn float(ty: &WitType, json: &Value, path: &Path) -> Result<f64, JsonError> {
    match json {
        Value::Number(number) => number.as_f64().ok_or_else(|| path.misfit(ty, json)),
        Value::String(text) if text == "NaN" => Ok(f64::NAN),
        Value::String(text) if text == "Infinity" => Ok(f64::INFINITY),
        Value::String(text) if text == "-Infinity" => Ok(f64::NEG_INFINITY),
        _ => Err(path.misfit(ty, json)),
    }
}

fn list(element: &WitType, json: &Value, path: &mut Path, out: &mut Vec<u8>) -> Result<(), JsonError> {
    if *element == WitType::U8
        && let Some(text) = json.get("base64").and_then(Value::as_str)
    {
        let bytes = STANDARD
            .decode(text)
            .map_err(|error| path.error(format!("not base64: {error}")))?;
        put_bytes(out, &bytes);
        return Ok(());
    }
    let Some(values) = json.as_array() else {
        return Err(path.misfit(&format!("list<{element}>"), json));
    };
    put_leb(out, values.len() as u64);
    for (index, json) in values.iter().enumerate() {
        path.within(&index.to_string(), |path| value(element, json, path, out))?;
    }
    Ok(())
}

fn variant(
    ty: &WitType,
    cases: &[(String, Option<WitType>)],
    json: &Value,
    path: &mut Path,
    out: &mut Vec<u8>,
) -> Result<(), JsonError> {
    let (name, payload) = match json {
        Value::String(name) => (name, None),
        Value::Object(object) if object.len() == 1 => {
            let (name, payload) = object.iter().next().ok_or_else(|| path.misfit(ty, json))?;
            (name, Some(payload))
        }
        _ => return Err(path.misfit(ty, json)),
    };
    let Some(case) = cases.iter().position(|(known, _)| known == name) else {
        let known: Vec<_> = cases.iter().map(|(name, _)| name.as_str()).collect();
        return Err(path.error(format!("no case `{name}`; cases are {}", known.join(", "))));
    };
    put_leb(out, case as u64);
    match (&cases[case].1, payload) {
        (None, None | Some(Value::Null)) => Ok(()),
        (Some(ty), Some(payload)) => path.within(name, |path| value(ty, payload, path, out)),
        (Some(ty), None) => {
            Err(path.error(format!("the case `{name}` carries {ty}: write {{\"{name}\": …}}")))
        }
        (None, Some(_)) => Err(path.error(format!("the case `{name}` carries nothing: write \"{name}\""))),
    }
}

fn position(names: &[String], json: &Value, path: &Path) -> Result<usize, JsonError> {
    let name = json.as_str();
    names
        .iter()
        .position(|known| Some(known.as_str()) == name)
        .ok_or_else(|| path.misfit(&format!("one of {}", names.join(", ")), json))
}

fn option(inner: &WitType, json: &Value, path: &mut Path, out: &mut Vec<u8>) -> Result<(), JsonError> {
    if json.is_null() {
        out.push(0);
        return Ok(());
    }
    out.push(1);
    if matches!(inner, WitType::Option(_)) {
        let Some(some) = json.get("some") else {
            return Err(path.misfit(&"null or {\"some\": …}", json));
        };
        return path.within("some", |path| value(inner, some, path, out));
    }
    value(inner, json, path, out)
}

fn result(
    ty: &WitType,
    (ok, err): (Option<&WitType>, Option<&WitType>),
    json: &Value,
    path: &mut Path,
    out: &mut Vec<u8>,
) -> Result<(), JsonError> {
    let object = json.as_object().filter(|object| object.len() == 1);
    let (name, payload, case) = match object.and_then(|object| object.iter().next()) {
        Some((name, payload)) if name == "ok" => (name, payload, (0, ok)),
        Some((name, payload)) if name == "err" => (name, payload, (1, err)),
        _ => return Err(path.misfit(ty, json)),
    };
    out.push(case.0);
    match case.1 {
        Some(ty) => path.within(name, |path| value(ty, payload, path, out)),
        None if payload.is_null() => Ok(()),
        None => Err(path.error(format!("`{name}` carries nothing: write {{\"{name}\": null}}"))),
    }
}

fn flags(names: &[String], json: &Value, path: &mut Path, out: &mut Vec<u8>) -> Result<(), JsonError> {
    let Some(set) = json.as_array() else {
        return Err(path.misfit(&format!("an array of {}", names.join(", ")), json));
    };
    let mut bytes = vec![0_u8; names.len().div_ceil(8)];
    for (index, name) in set.iter().enumerate() {
        let flag = path.within(&index.to_string(), |path| position(names, name, path))?;
        bytes[flag / 8] |= 1 << (flag % 8);
    }
    out.extend_from_slice(&bytes);
    Ok(())
}
