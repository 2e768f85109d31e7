//! Imports of other handlers' functions that carry what cannot leave a process, told by the WIT: the engine refuses such a
//! component too, but cannot name the function. Pure.

use wit_parser::{Function, Resolve, Type, TypeDefKind, WorldId, WorldItem};

use super::{PASS_VALUES, Rejection};

/// Types within types that are looked at: WIT has no recursive types, but somebody's bytes may be deep.
const DEPTH_MAX: usize = 64;

/// Refuses an import whose function passes a stream, a future or an error context.
pub(super) fn plain(resolve: &Resolve, world: WorldId) -> Result<(), Rejection> {
    let Some(world) = resolve.worlds.get(world) else {
        return Ok(());
    };
    for item in world.imports.values() {
        let WorldItem::Interface { id, .. } = item else {
            continue;
        };
        let name = resolve.id_of(*id).filter(|name| !name.starts_with("wasi:"));
        let (Some(name), Some(interface)) = (name, resolve.interfaces.get(*id)) else {
            continue;
        };
        for function in interface.functions.values() {
            if let Some(obstacle) = of_function(resolve, function) {
                return Err(Rejection::new(
                    format!(
                        "it imports `{}` of `{name}`, which has {obstacle} in its type; that cannot go from one handler \
                         to another",
                        function.name
                    ),
                    PASS_VALUES,
                ));
            }
        }
    }
    Ok(())
}

fn of_function(resolve: &Resolve, function: &Function) -> Option<&'static str> {
    let params = function.params.iter().map(|param| &param.ty);
    params
        .chain(&function.result)
        .find_map(|ty| of_type(resolve, ty, DEPTH_MAX))
}

fn of_type(resolve: &Resolve, ty: &Type, depth: usize) -> Option<&'static str> {
    let id = match ty {
        Type::ErrorContext => return Some("an error context"),
        Type::Id(id) if depth > 0 => *id,
        _ => return None,
    };
    let parts: Vec<&Type> = match &resolve.types.get(id)?.kind {
        TypeDefKind::Stream(_) => return Some("a stream"),
        TypeDefKind::Future(_) => return Some("a future"),
        TypeDefKind::Record(record) => record.fields.iter().map(|field| &field.ty).collect(),
        TypeDefKind::Tuple(tuple) => tuple.types.iter().collect(),
        TypeDefKind::Variant(variant) => variant.cases.iter().filter_map(|case| case.ty.as_ref()).collect(),
        TypeDefKind::Result(result) => result.ok.iter().chain(&result.err).collect(),
        TypeDefKind::Option(ty)
        | TypeDefKind::List(ty)
        | TypeDefKind::FixedLengthList(ty, _)
        | TypeDefKind::Type(ty) => vec![ty],
        TypeDefKind::Map(key, value) => vec![key, value],
        _ => Vec::new(),
    };
    parts
        .into_iter()
        .find_map(|part| of_type(resolve, part, depth - 1))
}
