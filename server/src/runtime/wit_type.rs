//! `WitType`: a function's types as we keep them: by structure, with field and case names.
//!
//! Taken from a compiled component's reflection, which carries no type names and no documentation. Two functions whose
//! types have equal [`FunctionType::hash`] have the same bytes on the wire.

use std::fmt::Write as _;

use protocol::TypeHash;
use wasmtime::component::types::{ComponentFunc, Type};

/// The deepest nesting of types that is accepted.
pub const DEPTH_MAX: usize = 32;
/// Flat core values that a function may pass before its parameters move to memory (canonical ABI).
pub const FLAT_PARAMS_MAX: usize = 16;

/// A WIT type by structure.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum WitType {
    Bool,
    U8,
    S8,
    U16,
    S16,
    U32,
    S32,
    U64,
    S64,
    F32,
    F64,
    Char,
    String,
    List(Box<Self>),
    Record(Vec<(String, Self)>),
    Tuple(Vec<Self>),
    Variant(Vec<(String, Option<Self>)>),
    Enum(Vec<String>),
    Option(Box<Self>),
    Result(Option<Box<Self>>, Option<Box<Self>>),
    Flags(Vec<String>),
    /// A resource, stream, future or error context: bound to one store, so it cannot leave the process.
    Handle(&'static str),
    /// A type that this version does not carry.
    Unsupported(&'static str),
}

/// A function's parameters and result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionType {
    /// Parameters by name.
    pub params: Vec<(String, WitType)>,
    /// The result, where there is one.
    pub result: Option<WitType>,
    /// Whether it is an `async func`.
    pub is_async: bool,
}

/// How a function reports that a call failed: its error variant's case `call-failed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallFailed {
    /// The case's index in the error variant.
    pub case: u32,
}

impl FunctionType {
    /// Reads a function's type from a component's reflection.
    pub fn reflect(function: &ComponentFunc) -> Self {
        let params = function
            .params()
            .map(|(name, ty)| (name.to_owned(), WitType::reflect(&ty, 0)))
            .collect();
        let result = function.results().next().map(|ty| WitType::reflect(&ty, 0));
        Self {
            params,
            result,
            is_async: function.async_(),
        }
    }

    /// Whether every value is plain, so that the call can leave the process.
    pub fn is_plain(&self) -> bool {
        self.params
            .iter()
            .map(|(_, ty)| ty)
            .chain(&self.result)
            .all(WitType::is_plain)
    }

    /// Why the function cannot be called through bytes, where it cannot.
    pub fn obstacle(&self) -> Option<&'static str> {
        self.params
            .iter()
            .map(|(_, ty)| ty)
            .chain(&self.result)
            .find_map(WitType::obstacle)
    }

    /// The structural hash.
    pub fn hash(&self) -> TypeHash {
        let mut text = String::new();
        for (_, ty) in &self.params {
            ty.write(&mut text);
            text.push(',');
        }
        text.push_str("->");
        if let Some(result) = &self.result {
            result.write(&mut text);
        }
        let mut hash = [0; 16];
        let digest = blake3::hash(text.as_bytes());
        hash.copy_from_slice(&digest.as_bytes()[..16]);
        TypeHash(hash)
    }

    /// The flat core values of the parameters; `None` when they go through memory.
    pub fn flat_params(&self) -> Option<usize> {
        let flat: usize = self.params.iter().map(|(_, ty)| ty.flat()).sum();
        (flat <= FLAT_PARAMS_MAX).then_some(flat)
    }

    /// The flat core values of the result; `None` when it goes through memory.
    pub fn flat_results(&self) -> Option<usize> {
        let flat = self.result.as_ref().map_or(0, WitType::flat);
        (flat <= 1).then_some(flat)
    }

    /// The slots that cover the result of an export, however it was lifted: its flat values, or a pointer to them.
    pub fn result_slots(&self) -> usize {
        let flat = self.result.as_ref().map_or(0, WitType::flat);
        if flat <= FLAT_PARAMS_MAX { flat } else { 1 }
    }

    /// Whether the first byte of the result says ok or err.
    pub fn returns_result(&self) -> bool {
        matches!(self.result, Some(WitType::Result(..)))
    }

    /// The case `call-failed` of the error, recognised by its name and its payload's structure.
    pub fn call_failed(&self) -> Option<CallFailed> {
        let Some(WitType::Result(_, Some(error))) = &self.result else {
            return None;
        };
        let WitType::Variant(cases) = error.as_ref() else {
            return None;
        };
        let case = cases.iter().position(|(name, payload)| {
            name == "call-failed"
                && matches!(payload, Some(WitType::Record(fields)) if matches!(fields.as_slice(),
                    [(a, WitType::U16), (b, WitType::String), (c, WitType::Bool)]
                        if a == "code" && b == "message" && c == "retryable"))
        })?;
        Some(CallFailed { case: case as u32 })
    }

    /// The signature as WIT: `func(id: string) -> string`.
    pub fn signature(&self) -> String {
        let mut text = String::from(if self.is_async { "async func(" } else { "func(" });
        for (index, (name, ty)) in self.params.iter().enumerate() {
            if index > 0 {
                text.push_str(", ");
            }
            let _ = write!(text, "{name}: ");
            ty.write(&mut text);
        }
        text.push(')');
        if let Some(result) = &self.result {
            text.push_str(" -> ");
            result.write(&mut text);
        }
        text
    }
}

impl WitType {
    fn reflect(ty: &Type, depth: usize) -> Self {
        if depth >= DEPTH_MAX {
            return Self::Unsupported("a type nested deeper than 32 levels");
        }
        let of = |ty: &Type| Self::reflect(ty, depth + 1);
        let boxed = |ty: &Type| Box::new(of(ty));
        match ty {
            Type::Bool => Self::Bool,
            Type::U8 => Self::U8,
            Type::S8 => Self::S8,
            Type::U16 => Self::U16,
            Type::S16 => Self::S16,
            Type::U32 => Self::U32,
            Type::S32 => Self::S32,
            Type::U64 => Self::U64,
            Type::S64 => Self::S64,
            Type::Float32 => Self::F32,
            Type::Float64 => Self::F64,
            Type::Char => Self::Char,
            Type::String => Self::String,
            Type::List(list) => Self::List(boxed(&list.ty())),
            Type::Record(record) => Self::Record(
                record
                    .fields()
                    .map(|field| (field.name.to_owned(), of(&field.ty)))
                    .collect(),
            ),
            Type::Tuple(tuple) => Self::Tuple(tuple.types().map(|ty| of(&ty)).collect()),
            Type::Variant(variant) => Self::Variant(
                variant
                    .cases()
                    .map(|case| (case.name.to_owned(), case.ty.as_ref().map(of)))
                    .collect(),
            ),
            Type::Enum(cases) => Self::Enum(cases.names().map(str::to_owned).collect()),
            Type::Option(option) => Self::Option(boxed(&option.ty())),
            Type::Result(result) => {
                Self::Result(result.ok().as_ref().map(boxed), result.err().as_ref().map(boxed))
            }
            Type::Flags(flags) => Self::Flags(flags.names().map(str::to_owned).collect()),
            Type::Own(_) | Type::Borrow(_) => Self::Handle("a resource"),
            Type::Stream(_) => Self::Handle("a stream"),
            Type::Future(_) => Self::Handle("a future"),
            Type::ErrorContext => Self::Handle("an error context"),
            _ => Self::Unsupported("a type of a later component model"),
        }
    }

    /// Whether the value is made of bytes alone.
    pub fn is_plain(&self) -> bool {
        self.obstacle().is_none()
    }

    fn obstacle(&self) -> Option<&'static str> {
        match self {
            Self::Handle(what) | Self::Unsupported(what) => Some(what),
            _ => self.parts().into_iter().find_map(Self::obstacle),
        }
    }

    /// The types that this one is made of.
    fn parts(&self) -> Vec<&Self> {
        match self {
            Self::List(element) | Self::Option(element) => vec![element],
            Self::Record(fields) => fields.iter().map(|(_, ty)| ty).collect(),
            Self::Tuple(types) => types.iter().collect(),
            Self::Variant(cases) => cases.iter().filter_map(|(_, ty)| ty.as_ref()).collect(),
            Self::Result(ok, err) => ok.iter().chain(err).map(AsRef::as_ref).collect(),
            _ => Vec::new(),
        }
    }

    /// Core values that the canonical ABI flattens it to.
    fn flat(&self) -> usize {
        match self {
            Self::String | Self::List(_) => 2,
            Self::Record(_) | Self::Tuple(_) => self.parts().into_iter().map(Self::flat).sum(),
            Self::Variant(_) | Self::Option(_) | Self::Result(..) => {
                1 + self.parts().into_iter().map(Self::flat).max().unwrap_or(0)
            }
            Self::Flags(names) if names.is_empty() => 0,
            Self::Flags(names) => names.len().div_ceil(32),
            _ => 1,
        }
    }

    /// The fewest bytes that a value takes on the wire.
    pub fn bytes_min(&self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F64 => 8,
            Self::Record(_) | Self::Tuple(_) => self.parts().into_iter().map(Self::bytes_min).sum(),
            Self::Flags(names) => names.len().div_ceil(8),
            _ => 1,
        }
    }

    /// Writes the type as WIT, with named types spelled out.
    pub fn write(&self, out: &mut String) {
        match self {
            Self::Bool => out.push_str("bool"),
            Self::U8 => out.push_str("u8"),
            Self::S8 => out.push_str("s8"),
            Self::U16 => out.push_str("u16"),
            Self::S16 => out.push_str("s16"),
            Self::U32 => out.push_str("u32"),
            Self::S32 => out.push_str("s32"),
            Self::U64 => out.push_str("u64"),
            Self::S64 => out.push_str("s64"),
            Self::F32 => out.push_str("f32"),
            Self::F64 => out.push_str("f64"),
            Self::Char => out.push_str("char"),
            Self::String => out.push_str("string"),
            Self::List(element) => write_generic(out, "list", &[Some(element)]),
            Self::Option(element) => write_generic(out, "option", &[Some(element)]),
            Self::Tuple(types) => {
                write_generic(out, "tuple", &types.iter().map(Some).collect::<Vec<_>>());
            }
            Self::Result(None, None) => out.push_str("result"),
            Self::Result(ok, None) => write_generic(out, "result", &[ok.as_deref()]),
            Self::Result(ok, err) => write_generic(out, "result", &[ok.as_deref(), err.as_deref()]),
            Self::Record(fields) => {
                write_braced(
                    out,
                    "record",
                    fields.iter().map(|(name, ty)| (name, Some(ty))),
                    ": ",
                    "",
                );
            }
            Self::Variant(cases) => {
                write_braced(
                    out,
                    "variant",
                    cases.iter().map(|(name, ty)| (name, ty.as_ref())),
                    "(",
                    ")",
                );
            }
            Self::Enum(names) => write_braced(out, "enum", names.iter().map(|name| (name, None)), "", ""),
            Self::Flags(names) => write_braced(out, "flags", names.iter().map(|name| (name, None)), "", ""),
            Self::Handle(what) | Self::Unsupported(what) => out.push_str(what),
        }
    }
}

impl std::fmt::Display for WitType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        self.write(&mut text);
        f.write_str(&text)
    }
}

fn write_generic(out: &mut String, name: &str, types: &[Option<&WitType>]) {
    out.push_str(name);
    out.push('<');
    for (index, ty) in types.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        match ty {
            Some(ty) => ty.write(out),
            None => out.push('_'),
        }
    }
    out.push('>');
}

fn write_braced<'a>(
    out: &mut String,
    kind: &str,
    parts: impl Iterator<Item = (&'a String, Option<&'a WitType>)>,
    open: &str,
    close: &str,
) {
    out.push_str(kind);
    out.push_str(" { ");
    for (index, (name, ty)) in parts.enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        out.push_str(name);
        if let Some(ty) = ty {
            out.push_str(open);
            ty.write(out);
            out.push_str(close);
        }
    }
    out.push_str(" }");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(case: &str, code: WitType) -> FunctionType {
        let record = WitType::Record(vec![
            ("code".into(), code),
            ("message".into(), WitType::String),
            ("retryable".into(), WitType::Bool),
        ]);
        let error = WitType::Variant(vec![("missing".into(), None), (case.into(), Some(record))]);
        FunctionType {
            params: vec![("id".into(), WitType::String)],
            result: Some(WitType::Result(None, Some(Box::new(error)))),
            is_async: false,
        }
    }

    #[test]
    fn call_failed_is_known_by_name_and_structure() {
        assert_eq!(
            fault("call-failed", WitType::U16).call_failed(),
            Some(CallFailed { case: 1 })
        );
        assert_eq!(fault("call-broke", WitType::U16).call_failed(), None);
        assert_eq!(fault("call-failed", WitType::U32).call_failed(), None);
    }

    #[test]
    fn names_of_parameters_do_not_count_but_fields_do() {
        let one = FunctionType {
            params: vec![("a".into(), WitType::Record(vec![("x".into(), WitType::U8)]))],
            result: None,
            is_async: false,
        };
        let mut renamed = one.clone();
        renamed.params[0].0 = "b".into();
        assert_eq!(one.hash(), renamed.hash());
        renamed.params[0].1 = WitType::Record(vec![("y".into(), WitType::U8)]);
        assert_ne!(one.hash(), renamed.hash());
    }

    #[test]
    fn signatures_read_as_wit() {
        let text = fault("call-failed", WitType::U16).signature();
        assert_eq!(
            text,
            "func(id: string) -> result<_, variant { missing, call-failed(record { code: u16, message: string, \
             retryable: bool }) }>"
        );
    }

    #[test]
    fn flat_counts_follow_the_canonical_abi() {
        assert_eq!(WitType::Option(Box::new(WitType::String)).flat(), 3);
        assert_eq!(
            WitType::Flags((0..33).map(|i| format!("f{i}")).collect()).flat(),
            2
        );
        assert_eq!(
            WitType::Tuple(vec![WitType::U64, WitType::List(Box::new(WitType::U8))]).flat(),
            3
        );
    }
}
