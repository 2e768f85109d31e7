//! Affinity: from `affinity = "user-id"` of a handler to what routers need: which of its functions have that parameter,
//! and where its bytes lie among the arguments.

use std::collections::{BTreeMap, BTreeSet};

use protocol::HandlerName;
use protocol::control::Affinity;
use protocol::shape::Shape;

use super::handlers::Handlers;
use crate::config::Config;
use crate::runtime::artifact::Artifact;
use crate::runtime::wit_type::{FunctionType, WitType};

/// The affinities in force.
#[derive(Default)]
pub(super) struct Affinities {
    /// For the routes.
    pub(super) routes: Vec<Affinity>,
    /// Handlers of which no function has the parameter, with those that there are.
    pub(super) unknown: BTreeMap<HandlerName, BTreeSet<String>>,
}

/// Finds them.
pub(super) fn affinities(config: &Config, handlers: &Handlers) -> Affinities {
    let mut affinities = Affinities::default();
    for (handler, affinity) in &config.affinities {
        let Some(version) = handlers.version(handler) else {
            continue;
        };
        let routes = routes(handler, version.artifact(), &affinity.parameter);
        if routes.is_empty() {
            let parameters = functions(version.artifact()).flat_map(|function| &function.ty.params);
            let names = parameters.map(|(name, _)| name.clone()).collect();
            affinities.unknown.insert(handler.clone(), names);
        }
        affinities.routes.extend(routes);
    }
    affinities
}

fn functions(artifact: &Artifact) -> impl Iterator<Item = &crate::runtime::artifact::ExportedFunction> {
    artifact.exports.iter().flat_map(|interface| &interface.functions)
}

fn routes(handler: &HandlerName, artifact: &Artifact, parameter: &str) -> Vec<Affinity> {
    let routes = functions(artifact).filter_map(|function| {
        let (before, parameter) = place(&function.ty, parameter)?;
        Some(Affinity {
            handler: handler.clone(),
            function: (*function.path).clone(),
            before,
            parameter,
        })
    });
    routes.collect()
}

/// The shapes before a parameter, and its own.
fn place(function: &FunctionType, parameter: &str) -> Option<(Vec<Shape>, Shape)> {
    let at = function.params.iter().position(|(name, _)| name == parameter)?;
    let mut shapes = function.params.iter().take(at + 1).map(|(_, ty)| shape(ty));
    let before = shapes.by_ref().take(at).collect::<Option<Vec<_>>>()?;
    Some((before, shapes.next()??))
}

/// How a type's values lie in bytes; nothing for what cannot be carried.
fn shape(ty: &WitType) -> Option<Shape> {
    let all = |types: Vec<&WitType>| types.into_iter().map(shape).collect::<Option<Vec<_>>>();
    let case = |ty: Option<&WitType>| match ty {
        None => Some(None),
        Some(ty) => shape(ty).map(Some),
    };
    Some(match ty {
        WitType::Bool | WitType::U8 | WitType::S8 => Shape::Fixed(1),
        WitType::U16 | WitType::S16 | WitType::U32 | WitType::S32 | WitType::U64 | WitType::S64 => Shape::Leb,
        WitType::F32 => Shape::Fixed(4),
        WitType::F64 => Shape::Fixed(8),
        WitType::Char => Shape::Char,
        WitType::String => Shape::Bytes,
        WitType::List(element) => match shape(element)? {
            Shape::Fixed(1) => Shape::Bytes,
            element => Shape::List(Box::new(element)),
        },
        WitType::Record(fields) => Shape::Record(all(fields.iter().map(|(_, ty)| ty).collect())?),
        WitType::Tuple(types) => Shape::Record(all(types.iter().collect())?),
        WitType::Variant(cases) => {
            let cases = cases.iter().map(|(_, ty)| case(ty.as_ref()));
            Shape::Choice(cases.collect::<Option<_>>()?)
        }
        WitType::Enum(names) => Shape::Choice(vec![None; names.len()]),
        WitType::Option(some) => Shape::Choice(vec![None, Some(shape(some)?)]),
        WitType::Result(ok, err) => Shape::Choice(vec![case(ok.as_deref())?, case(err.as_deref())?]),
        WitType::Flags(names) => Shape::Fixed(names.len().div_ceil(8) as u32),
        WitType::Handle(_) | WitType::Unsupported(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use protocol::shape;

    use super::*;

    fn function(params: &[(&str, WitType)]) -> FunctionType {
        FunctionType {
            params: params
                .iter()
                .map(|(name, ty)| ((*name).to_owned(), ty.clone()))
                .collect(),
            result: None,
            is_async: false,
        }
    }

    #[test]
    fn a_parameter_s_bytes_are_those_that_the_codec_wrote() {
        let option = WitType::Option(Box::new(WitType::List(Box::new(WitType::U8))));
        let item = WitType::Record(vec![
            ("id".into(), WitType::String),
            ("count".into(), WitType::S32),
        ]);
        let function = function(&[
            ("colour", WitType::Enum(vec!["red".into(), "green".into()])),
            (
                "rights",
                WitType::Flags((0..9).map(|n| format!("f{n}")).collect()),
            ),
            ("picture", option),
            ("items", WitType::List(Box::new(item))),
            ("outcome", WitType::Result(None, Some(Box::new(WitType::F64)))),
            ("user-id", WitType::String),
            ("rest", WitType::Char),
        ]);
        let arguments = serde_json::json!([
            "green", ["f8"], {"base64": "AAEC"}, [{"id": "tern", "count": -300}], {"err": 0.5}, "robin", "x",
        ]);
        let bytes = crate::runtime::json::encode_arguments(&function, &arguments).unwrap();
        let (before, parameter) = place(&function, "user-id").unwrap();
        assert_eq!(
            shape::find(&bytes, &before, &parameter),
            Some(b"\x05robin".as_slice())
        );
        let (before, parameter) = place(&function, "rest").unwrap();
        assert_eq!(shape::find(&bytes, &before, &parameter), Some(b"x".as_slice()));
        assert!(place(&function, "user").is_none());
    }

    #[test]
    fn what_cannot_be_carried_has_no_place() {
        let function = function(&[
            ("file", WitType::Handle("a resource")),
            ("user-id", WitType::String),
        ]);
        assert!(place(&function, "user-id").is_none());
    }
}
