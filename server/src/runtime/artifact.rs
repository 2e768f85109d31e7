//! `Artifact`: a compiled component with what it exports and imports, read from its own reflection.
//!
//! Home makes it from a file, a child from the cache of compiled code; both know the same of it. Nothing is linked yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::api::handlers::ImportKind;
use protocol::{FunctionPath, InterfaceName, TypeHash};
use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex};

use super::host;
use super::wit_type::FunctionType;

/// What an HTTP handler exports.
pub const INCOMING_HANDLER: &str = "wasi:http/incoming-handler@0.2";

/// A compiled component.
pub struct Artifact {
    /// BLAKE3 of the component, hexadecimal.
    pub hash: String,
    pub(super) component: Component,
    /// Interfaces that other handlers can call.
    pub exports: Vec<ExportedInterface>,
    /// Interfaces that it needs.
    pub imports: Vec<ImportedInterface>,
    /// Whether it answers HTTP.
    pub http: bool,
}

/// An exported interface.
#[derive(Debug)]
pub struct ExportedInterface {
    /// Its name, with version.
    pub name: InterfaceName,
    /// Its functions.
    pub functions: Vec<ExportedFunction>,
}

/// A function of an exported interface.
#[derive(Debug)]
pub struct ExportedFunction {
    /// Interface and function.
    pub path: Arc<FunctionPath>,
    /// Its type.
    pub ty: FunctionType,
    /// The type's hash.
    pub hash: TypeHash,
    /// What in its type cannot be carried as bytes.
    pub obstacle: Option<&'static str>,
    pub(super) index: ComponentExportIndex,
}

/// An imported interface.
#[derive(Debug)]
pub struct ImportedInterface {
    /// Its name, with version.
    pub name: InterfaceName,
    /// What it is.
    pub kind: ImportKind,
    /// Its functions; of capabilities too.
    pub functions: Vec<ImportedFunction>,
    /// Whether it has resources.
    pub resources: bool,
}

/// A function of an imported interface.
#[derive(Debug)]
pub struct ImportedFunction {
    /// Interface and function.
    pub path: Arc<FunctionPath>,
    /// Its type, as the component expects it.
    pub ty: FunctionType,
    /// The type's hash.
    pub hash: TypeHash,
}

impl Artifact {
    /// Reads what a compiled component exports and imports. Names that are no interface names (bare functions, platform
    /// internals of some toolchains) are left out: nobody could call them.
    pub fn reflect(engine: &Engine, component: Component, hash: String) -> Self {
        let ty = component.component_type();
        let mut exports = Vec::new();
        let mut http = false;
        for (name, item) in ty.exports(engine) {
            http |= name.starts_with(INCOMING_HANDLER);
            let ComponentItem::ComponentInstance(instance) = item.ty else {
                continue;
            };
            let Ok(interface) = InterfaceName::parse(name) else {
                continue;
            };
            if name.starts_with("wasi:http/") || name.starts_with("wasi:cli/") {
                continue;
            }
            let Some(instance_index) = component.get_export_index(None, name) else {
                continue;
            };
            let functions = instance.exports(engine).filter_map(|(function, item)| {
                let ComponentItem::ComponentFunc(ty) = item.ty else {
                    return None;
                };
                let index = component.get_export_index(Some(&instance_index), function)?;
                let ty = FunctionType::reflect(&ty);
                let path = Arc::new(FunctionPath::new(interface.clone(), function));
                Some(ExportedFunction {
                    path,
                    hash: ty.hash(),
                    obstacle: ty.obstacle(),
                    ty,
                    index,
                })
            });
            let functions = functions.collect();
            exports.push(ExportedInterface {
                name: interface,
                functions,
            });
        }
        let imports = imports(engine, &component);
        Self {
            hash,
            component,
            exports,
            imports,
            http,
        }
    }

    /// The function of an interface, by exact name or by semver track.
    pub fn function(&self, path: &FunctionPath) -> Option<&ExportedFunction> {
        let (interface, function) = self.find(path)?;
        self.exports.get(interface)?.functions.get(function)
    }

    /// Where that function is: the place of its interface, and its place there.
    pub(super) fn find(&self, path: &FunctionPath) -> Option<(usize, usize)> {
        let places = || {
            let exports = self.exports.iter().enumerate();
            exports.flat_map(|(at, interface)| {
                let functions = interface.functions.iter().enumerate();
                functions.map(move |(place, function)| ((at, place), &function.path))
            })
        };
        let exact = places().find(|(_, exported)| exported.as_ref() == path);
        let found = exact.or_else(|| {
            let track = path.interface.track();
            places().find(|(_, exported)| {
                exported.function == path.function && exported.interface.track() == track
            })
        });
        found.map(|(place, _)| place)
    }

    /// The exported functions by semver track and name.
    pub fn by_track(&self) -> BTreeMap<(String, &str), &ExportedFunction> {
        let functions = self.exports.iter().flat_map(|interface| &interface.functions);
        functions
            .map(|function| {
                (
                    (function.path.interface.track(), function.path.function.as_ref()),
                    function,
                )
            })
            .collect()
    }
}

fn imports(engine: &Engine, component: &Component) -> Vec<ImportedInterface> {
    let ty = component.component_type();
    let mut imports = Vec::new();
    for (name, item) in ty.imports(engine) {
        let ComponentItem::ComponentInstance(instance) = item.ty else {
            continue;
        };
        let Ok(interface) = InterfaceName::parse(name) else {
            continue;
        };
        let mut functions = Vec::new();
        let mut resources = false;
        for (function, item) in instance.exports(engine) {
            match item.ty {
                ComponentItem::ComponentFunc(ty) => {
                    let ty = FunctionType::reflect(&ty);
                    let path = Arc::new(FunctionPath::new(interface.clone(), function));
                    functions.push(ImportedFunction {
                        path,
                        hash: ty.hash(),
                        ty,
                    });
                }
                ComponentItem::Resource(_) => resources = true,
                _ => {}
            }
        }
        let kind = if host::is_capability(name) {
            ImportKind::Capability
        } else if name.starts_with("cleave:state/") || name.starts_with("cleave:queue/") {
            if functions.is_empty() {
                ImportKind::Types
            } else {
                ImportKind::BuiltIn
            }
        } else if functions.is_empty() && !resources {
            ImportKind::Types
        } else {
            ImportKind::Handler
        };
        imports.push(ImportedInterface {
            name: interface,
            kind,
            functions,
            resources,
        });
    }
    imports
}

impl std::fmt::Debug for Artifact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Artifact")
            .field("hash", &self.hash)
            .field("exports", &self.exports)
            .finish_non_exhaustive()
    }
}
