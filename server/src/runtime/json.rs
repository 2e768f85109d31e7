//! JSON ⇄ the value encoding, by a function's type: how calls by hand and messages are read and written.
//!
//! record → object; tuple, list → array; enum → string; variant → `"case"` or `{"case": v}`; option → null or value
//! (nested: `{"some": v}`); result → `{"ok": v}` / `{"err": v}`; flags → array of names; 64-bit integers → number, string
//! beyond 2^53 (both accepted); `list<u8>` → `{"base64": "…"}` or array; NaN and infinities → strings; char → a string of one
//! character. Errors carry a JSON pointer.

mod read;
#[cfg(test)]
mod tests;
mod write;

use bytes::Bytes;
use protocol::value::{Reader, ValueError};
use serde_json::Value;

use super::wit_type::FunctionType;

/// JSON that does not fit a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct JsonError {
    /// Where: a JSON pointer (RFC 6901), `""` for the whole.
    pub pointer: String,
    /// What was expected and what was found.
    pub message: String,
}

/// Encodes arguments: an array by position, or an object by parameter name; `null` for none.
pub fn encode_arguments(ty: &FunctionType, json: &Value) -> Result<Bytes, JsonError> {
    let mut out = Vec::new();
    let mut path = read::Path::default();
    match json {
        Value::Null if ty.params.is_empty() => {}
        Value::Array(values) if values.len() == ty.params.len() => {
            for (index, ((_, ty), value)) in ty.params.iter().zip(values).enumerate() {
                path.within(&index.to_string(), |path| read::value(ty, value, path, &mut out))?;
            }
        }
        Value::Object(fields) => read::fields(&ty.params, fields, &mut path, &mut out)?,
        // One parameter may stand for itself, as `cleave call … '"id"'` reads best.
        value if ty.params.len() == 1 && !value.is_array() && !value.is_null() => {
            read::value(&ty.params[0].1, value, &mut path, &mut out)?;
        }
        other => {
            let found = match other {
                Value::Array(values) => format!("an array of {}", values.len()),
                Value::Null => "none".to_owned(),
                other => format!("`{other}`"),
            };
            let message = format!(
                "expected {} arguments as {}, found {found}",
                ty.params.len(),
                ty.signature()
            );
            return Err(JsonError {
                pointer: String::new(),
                message,
            });
        }
    }
    Ok(out.into())
}

/// Decodes arguments as an object by parameter name.
pub fn decode_arguments(ty: &FunctionType, bytes: &[u8]) -> Result<Value, ValueError> {
    let mut reader = Reader::new(bytes);
    let mut object = serde_json::Map::new();
    for (name, ty) in &ty.params {
        object.insert(name.clone(), write::value(ty, &mut reader)?);
    }
    reader.finish()?;
    Ok(Value::Object(object))
}

/// Decodes a result; `null` for none.
pub fn decode_result(ty: &FunctionType, bytes: &[u8]) -> Result<Value, ValueError> {
    let mut reader = Reader::new(bytes);
    let value = match &ty.result {
        Some(ty) => write::value(ty, &mut reader)?,
        None => Value::Null,
    };
    reader.finish()?;
    Ok(value)
}
