//! Whether a component needs the concurrent engine: by its own sections, before anything is compiled.
//!
//! It does where a function is an `async func`, where something is lifted or lowered with the async ABI, and where a type
//! is a stream or a future. Pure.

use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentDefinedType, ComponentType, ComponentTypeDeclaration,
    InstanceTypeDeclaration, Parser, Payload,
};

use crate::runtime::engine::EngineKind;

/// The engine that a component is for. What cannot be read is for the sync one, which will say why.
pub fn engine_of(component: &[u8]) -> EngineKind {
    let is_async = Parser::new(0).parse_all(component).any(|payload| match payload {
        Ok(Payload::ComponentTypeSection(types)) => types.into_iter().flatten().any(|ty| of_type(&ty)),
        Ok(Payload::ComponentCanonicalSection(functions)) => functions
            .into_iter()
            .flatten()
            .any(|function| of_function(&function)),
        _ => false,
    });
    if is_async {
        EngineKind::Concurrent
    } else {
        EngineKind::Sync
    }
}

fn of_function(function: &CanonicalFunction) -> bool {
    match function {
        CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. } => options
            .iter()
            .any(|option| matches!(option, CanonicalOption::Async | CanonicalOption::Callback(_))),
        CanonicalFunction::ResourceNew { .. }
        | CanonicalFunction::ResourceDrop { .. }
        | CanonicalFunction::ResourceRep { .. } => false,
        // All others came with async functions.
        _ => true,
    }
}

fn of_type(ty: &ComponentType<'_>) -> bool {
    match ty {
        ComponentType::Func(function) => function.async_,
        ComponentType::Defined(ComponentDefinedType::Future(_) | ComponentDefinedType::Stream(_)) => true,
        ComponentType::Component(declarations) => declarations.iter().any(|declaration| match declaration {
            ComponentTypeDeclaration::Type(ty) => of_type(ty),
            _ => false,
        }),
        ComponentType::Instance(declarations) => declarations.iter().any(|declaration| match declaration {
            InstanceTypeDeclaration::Type(ty) => of_type(ty),
            _ => false,
        }),
        ComponentType::Defined(_) | ComponentType::Resource { .. } => false,
    }
}
