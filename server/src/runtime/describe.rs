//! What a component exports and imports, in the types of the API: the one description that the API, placement and
//! `cleave check` show.
//!
//! Pure. Each function is told by its reach (routable, or only within one process), each import by its kind (the
//! host's, Cleave's, another handler's, types only) and by who serves it. How imports are resolved is in `catalog`.

use std::collections::BTreeMap;

use protocol::HandlerName;
use protocol::api::handlers::{Export, Function, Import, Reach};

use super::artifact::{Artifact, ExportedFunction, ExportedInterface};
use super::catalog::Resolution;

/// The first line of each function's documentation, by `interface.function`.
pub type Docs = BTreeMap<String, String>;

/// What a handler exports; the platform's own interfaces are left out.
pub fn exports(name: &HandlerName, artifact: &Artifact, docs: &Docs, resolution: &Resolution) -> Vec<Export> {
    let exports = artifact.exports.iter().map(|interface| {
        let key = (name.clone(), interface.name.clone());
        let functions = interface.functions.iter();
        Export {
            interface: interface.name.clone(),
            functions: functions
                .map(|exported| function(interface, exported, docs))
                .collect(),
            shadowed_by: resolution.shadowed_by.get(&key).cloned(),
        }
    });
    exports.collect()
}

fn function(interface: &ExportedInterface, function: &ExportedFunction, docs: &Docs) -> Function {
    let name = &function.path.function;
    Function {
        name: name.to_string(),
        signature: function.ty.signature(),
        reach: if function.ty.is_plain() {
            Reach::Routable
        } else {
            Reach::LocalOnly
        },
        docs: docs.get(&format!("{}.{name}", interface.name)).cloned(),
        reports_failed_calls: function.ty.call_failed().is_some(),
    }
}

/// What a handler imports.
pub fn imports(name: &HandlerName, artifact: &Artifact, resolution: &Resolution) -> Vec<Import> {
    let imports = artifact.imports.iter().map(|import| {
        let key = (name.clone(), import.name.clone());
        let functions = import.functions.iter();
        Import {
            interface: import.name.clone(),
            kind: import.kind,
            functions: functions
                .map(|function| function.path.function.to_string())
                .collect(),
            served_by: resolution.served_by.get(&key).cloned(),
        }
    });
    imports.collect()
}
