//! A component's contract, piece by piece: interfaces with their types and functions, as a page or a form shows them.
//!
//! Types are told as WIT writes them (`result<list<product>, fault>`), where a bare word is a primitive or the name of a
//! type of the same interface. The interfaces of `wasi` are left out.

use serde::{Deserialize, Serialize};

/// Which side of the component an interface is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The component serves it.
    Export,
    /// The component needs it, or its types.
    Import,
}

/// An interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name, with its version.
    pub name: String,
    /// Which side it is on.
    pub side: Side,
    /// What it says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
    /// Its types, in their order.
    pub types: Vec<TypeDef>,
    /// Its functions, in their order.
    pub functions: Vec<Signature>,
}

/// What a named type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TypeKind {
    /// Fields, each with a type.
    Record,
    /// Cases, some with a type.
    Variant,
    /// Cases without types.
    Enum,
    /// Names, each set or not.
    Flags,
    /// A handle.
    Resource,
    /// Another type under this name, see `of` and `from`.
    Alias,
}

/// A named type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeDef {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: TypeKind,
    /// What it says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
    /// Its fields, cases or names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Member>,
    /// What an alias stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// The interface that `of` is a name of, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// A field, a case, a flag or a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its type, where it has one.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub ty: Option<String>,
    /// What it says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
}

/// A function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Its name.
    pub name: String,
    /// What it says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
    /// Its parameters.
    pub params: Vec<Member>,
    /// The type of its result, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// Whether it is an `async func`.
    #[serde(default, rename = "async")]
    pub is_async: bool,
}
