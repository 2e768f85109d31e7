//! A component's interfaces, piece by piece, as the API tells them: named types stay names, so that a page can link them.
//!
//! Pure. Interfaces of `wasi` are left out: what is asked of them is told by the imports. By structure, as calls need
//! them, types are in `wit_type.rs`.

use protocol::api::wit::{Interface, Member, Side, Signature, TypeDef, TypeKind};
use wit_parser::{
    Docs, Function, Handle, InterfaceId, Resolve, Type, TypeDefKind, TypeId, TypeOwner, WorldId, WorldItem,
};

/// Types within types that are written out: WIT has no recursive types, but somebody's bytes may be deep.
const DEPTH_MAX: usize = 64;

/// The interfaces of a world: what it exports, then what it imports.
pub(super) fn interfaces(resolve: &Resolve, world: WorldId) -> Vec<Interface> {
    let Some(world) = resolve.worlds.get(world) else {
        return Vec::new();
    };
    let mut out = Vec::new();
    for (side, items) in [(Side::Export, &world.exports), (Side::Import, &world.imports)] {
        for (key, item) in items {
            let WorldItem::Interface { id, .. } = item else {
                continue;
            };
            let name = resolve.name_world_key(key);
            if !name.starts_with("wasi:") {
                out.extend(interface(resolve, *id, name, side));
            }
        }
    }
    out
}

fn interface(resolve: &Resolve, id: InterfaceId, name: String, side: Side) -> Option<Interface> {
    let known = resolve.interfaces.get(id)?;
    let types = known.types.iter();
    Some(Interface {
        name,
        side,
        docs: docs(&known.docs),
        types: types
            .filter_map(|(name, ty)| type_def(resolve, id, name, *ty))
            .collect(),
        functions: known
            .functions
            .values()
            .map(|function| signature(resolve, function))
            .collect(),
    })
}

fn signature(resolve: &Resolve, function: &Function) -> Signature {
    let params = function.params.iter();
    Signature {
        name: function.name.clone(),
        docs: docs(&function.docs),
        params: params
            .map(|param| member(resolve, &param.name, Some(&param.ty), None))
            .collect(),
        result: function.result.as_ref().map(|ty| text(resolve, ty, DEPTH_MAX)),
        is_async: function.kind.is_async(),
    }
}

fn member(resolve: &Resolve, name: &str, ty: Option<&Type>, said: Option<&Docs>) -> Member {
    Member {
        name: name.to_owned(),
        ty: ty.map(|ty| text(resolve, ty, DEPTH_MAX)),
        docs: said.and_then(docs),
    }
}

fn type_def(resolve: &Resolve, owner: InterfaceId, name: &str, id: TypeId) -> Option<TypeDef> {
    let known = resolve.types.get(id)?;
    let of = |name: &str, ty: Option<&Type>, docs: &Docs| member(resolve, name, ty, Some(docs));
    let (kind, members) = match &known.kind {
        TypeDefKind::Record(record) => {
            let fields = record.fields.iter();
            let fields = fields.map(|field| of(&field.name, Some(&field.ty), &field.docs));
            (TypeKind::Record, fields.collect())
        }
        TypeDefKind::Variant(variant) => {
            let cases = variant.cases.iter();
            let cases = cases.map(|case| of(&case.name, case.ty.as_ref(), &case.docs));
            (TypeKind::Variant, cases.collect())
        }
        TypeDefKind::Enum(cases) => {
            let cases = cases.cases.iter();
            (
                TypeKind::Enum,
                cases.map(|case| of(&case.name, None, &case.docs)).collect(),
            )
        }
        TypeDefKind::Flags(flags) => {
            let flags = flags.flags.iter();
            (
                TypeKind::Flags,
                flags.map(|flag| of(&flag.name, None, &flag.docs)).collect(),
            )
        }
        TypeDefKind::Resource => (TypeKind::Resource, Vec::new()),
        _ => (TypeKind::Alias, Vec::new()),
    };
    let is_alias = kind == TypeKind::Alias;
    Some(TypeDef {
        name: name.to_owned(),
        kind,
        docs: docs(&known.docs),
        members,
        of: is_alias.then(|| text_of_kind(resolve, &known.kind, DEPTH_MAX)),
        from: foreign(resolve, owner, &known.kind),
    })
}

/// The interface that an alias is taken from, where that is another one.
fn foreign(resolve: &Resolve, owner: InterfaceId, kind: &TypeDefKind) -> Option<String> {
    let TypeDefKind::Type(Type::Id(id)) = kind else {
        return None;
    };
    match resolve.types.get(*id)?.owner {
        TypeOwner::Interface(other) if other != owner => resolve.id_of(other),
        _ => None,
    }
}

fn docs(docs: &Docs) -> Option<String> {
    let text = docs.contents.as_deref()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A type as WIT writes it.
fn text(resolve: &Resolve, ty: &Type, depth: usize) -> String {
    let primitive = match ty {
        Type::Bool => "bool",
        Type::U8 => "u8",
        Type::U16 => "u16",
        Type::U32 => "u32",
        Type::U64 => "u64",
        Type::S8 => "s8",
        Type::S16 => "s16",
        Type::S32 => "s32",
        Type::S64 => "s64",
        Type::F32 => "f32",
        Type::F64 => "f64",
        Type::Char => "char",
        Type::String => "string",
        Type::ErrorContext => "error-context",
        Type::Id(id) => {
            return match resolve.types.get(*id) {
                Some(known) if depth > 0 => match &known.name {
                    Some(name) => name.clone(),
                    None => text_of_kind(resolve, &known.kind, depth - 1),
                },
                _ => "…".to_owned(),
            };
        }
    };
    primitive.to_owned()
}

fn text_of_kind(resolve: &Resolve, kind: &TypeDefKind, depth: usize) -> String {
    let of = |ty: &Type| text(resolve, ty, depth);
    let some = |ty: Option<&Type>| ty.map_or_else(|| "_".to_owned(), of);
    let name = |id: &TypeId| of(&Type::Id(*id));
    match kind {
        TypeDefKind::Type(ty) => of(ty),
        TypeDefKind::List(ty) => format!("list<{}>", of(ty)),
        TypeDefKind::FixedLengthList(ty, length) => format!("list<{}, {length}>", of(ty)),
        TypeDefKind::Map(key, value) => format!("map<{}, {}>", of(key), of(value)),
        TypeDefKind::Option(ty) => format!("option<{}>", of(ty)),
        TypeDefKind::Tuple(tuple) => {
            let types: Vec<String> = tuple.types.iter().map(of).collect();
            format!("tuple<{}>", types.join(", "))
        }
        TypeDefKind::Result(result) => match (&result.ok, &result.err) {
            (None, None) => "result".to_owned(),
            (Some(ok), None) => format!("result<{}>", of(ok)),
            (ok, err) => format!("result<{}, {}>", some(ok.as_ref()), some(err.as_ref())),
        },
        TypeDefKind::Handle(Handle::Own(id)) => name(id),
        TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", name(id)),
        TypeDefKind::Future(ty) => format!("future<{}>", some(ty.as_ref())),
        TypeDefKind::Stream(ty) => format!("stream<{}>", some(ty.as_ref())),
        TypeDefKind::Record(_) => "record".to_owned(),
        TypeDefKind::Variant(_) => "variant".to_owned(),
        TypeDefKind::Enum(_) => "enum".to_owned(),
        TypeDefKind::Flags(_) => "flags".to_owned(),
        TypeDefKind::Resource => "resource".to_owned(),
        TypeDefKind::Unknown => "…".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIT: &str = "
        package test:shelf@1.2.0;
        /// Words.
        interface types {
            /// A coin.
            record coin { /// How much.
                 value: u32, face: option<string> }
            enum side { heads, tails }
            flags wear { bent, worn }
            variant fault { lost, stolen(string) }
            type purse = list<coin>;
        }
        /// Tosses.
        interface toss {
            use types.{coin, side, fault};
            /// Tosses one.
            /// Twice, if asked.
            toss: func(coin: coin, pair: tuple<u8, char>) -> result<side, fault>;
            wait: async func() -> result<_, fault>;
        }
        world shelf { import types; export toss; }";

    fn shelf() -> Vec<Interface> {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("shelf.wit", WIT).unwrap();
        let world = resolve.select_world(&[package], Some("shelf")).unwrap();
        interfaces(&resolve, world)
    }

    #[test]
    fn names_stay_names_and_say_where_they_are_from() {
        let all = shelf();
        let names: Vec<_> = all.iter().map(|one| (one.name.as_str(), one.side)).collect();
        assert_eq!(
            names,
            [
                ("test:shelf/toss@1.2.0", Side::Export),
                ("test:shelf/types@1.2.0", Side::Import)
            ]
        );
        let coin = &all[0].types[0];
        assert_eq!((coin.name.as_str(), coin.kind), ("coin", TypeKind::Alias));
        assert_eq!(coin.from.as_deref(), Some("test:shelf/types@1.2.0"));
        assert_eq!(coin.of.as_deref(), Some("coin"));
        let toss = &all[0].functions[0];
        assert_eq!(toss.docs.as_deref(), Some("Tosses one.\nTwice, if asked."));
        assert_eq!(toss.result.as_deref(), Some("result<side, fault>"));
        assert_eq!(toss.params[1].ty.as_deref(), Some("tuple<u8, char>"));
        let wait = &all[0].functions[1];
        assert!(wait.is_async && wait.result.as_deref() == Some("result<_, fault>"));
    }

    #[test]
    fn members_keep_their_order_their_types_and_their_words() {
        let all = shelf();
        let types = &all[1].types;
        let kinds: Vec<TypeKind> = types.iter().map(|ty| ty.kind).collect();
        assert_eq!(
            kinds,
            [
                TypeKind::Record,
                TypeKind::Enum,
                TypeKind::Flags,
                TypeKind::Variant,
                TypeKind::Alias
            ]
        );
        assert_eq!(types[0].docs.as_deref(), Some("A coin."));
        assert_eq!(types[0].members[0].docs.as_deref(), Some("How much."));
        assert_eq!(types[0].members[1].ty.as_deref(), Some("option<string>"));
        assert_eq!(types[3].members[0].ty, None);
        assert_eq!(types[4].of.as_deref(), Some("list<coin>"));
        assert_eq!(types[4].from, None);
    }
}
