//! Whether a component stays within what its handler was granted, and the line of `cleave.toml` that would grant more.
//!
//! Pure. What a component could not work without is refused before it serves: another handler's interface, a queue.
//! What toolchains link in whether it is used or not (`wasi:http/outgoing-handler`) is only told of, and each request is
//! judged by itself (`host/outgoing.rs`). What a handler may call follows from the same.

use protocol::api::handlers::ImportKind;
use protocol::builtin::{queue, state};
use protocol::control::Limits;
use protocol::{FunctionPath, Grants, HandlerName, InterfaceName};

use super::artifact::Artifact;
use super::inspect::Rejection;

/// What a guest imports to reach other machines.
const OUTGOING_HTTP: &str = "wasi:http/outgoing-handler@";
/// The resources on the handler's own state; their operations become calls.
const KEYVALUE: &str = "wasi:keyvalue/";

/// The terms on which a handler is served.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// How much it may take.
    pub limits: Limits,
    /// What it may reach.
    pub grants: Grants,
}

impl From<Limits> for Terms {
    fn from(limits: Limits) -> Self {
        Self {
            limits,
            grants: Grants::default(),
        }
    }
}

/// Refuses a component that imports what its handler was not granted.
pub fn within(artifact: &Artifact, handler: &HandlerName, grants: &Grants) -> Result<(), Rejection> {
    for import in &artifact.imports {
        let name = &import.name;
        if import.kind == ImportKind::Handler && !grants.allows_interface(name) {
            let mut list: Vec<&str> = grants
                .interfaces
                .iter()
                .flatten()
                .map(InterfaceName::as_str)
                .collect();
            list.push(name.unversioned());
            return Err(Rejection::new(
                format!("it imports `{name}`, which `interfaces` in [handler.{handler}] leaves out"),
                format!(
                    "write `interfaces = {list:?}` under [handler.{handler}] in cleave.toml and start again"
                ),
            ));
        }
        if name.as_str() == queue::INTERFACE && grants.queues.is_empty() && !import.functions.is_empty() {
            return Err(Rejection::new(
                format!("it imports `{name}`, and may put messages into no queue"),
                format!(
                    "write `queues = [\"NAME\"]`, with the queues that it needs, under [handler.{handler}] in \
                     cleave.toml and start again"
                ),
            ));
        }
    }
    Ok(())
}

/// What it imports and will be denied when it asks for it.
pub fn denied(artifact: &Artifact, handler: &HandlerName, grants: &Grants) -> Option<String> {
    let reaches_out =
        |import: &super::artifact::ImportedInterface| import.name.as_str().starts_with(OUTGOING_HTTP);
    if !grants.hosts.is_empty() || !artifact.imports.iter().any(reaches_out) {
        return None;
    }
    Some(format!(
        "it could send HTTP requests and may reach no host, so that each is denied; if it needs one, write `hosts = \
         [\"example.org\"]` under [handler.{handler}] in cleave.toml and start again"
    ))
}

/// The functions that it may call on any node: what it imports, as far as that is granted.
pub fn callable(artifact: &Artifact, grants: &Grants) -> Vec<FunctionPath> {
    let mut functions = Vec::new();
    for import in &artifact.imports {
        let is_granted = match import.kind {
            ImportKind::Handler => grants.allows_interface(&import.name),
            ImportKind::BuiltIn => import.name.as_str() != queue::INTERFACE || !grants.queues.is_empty(),
            ImportKind::Capability | ImportKind::Types => false,
        };
        if is_granted {
            functions.extend(import.functions.iter().map(|function| (*function.path).clone()));
        }
    }
    if artifact
        .imports
        .iter()
        .any(|import| import.name.as_str().starts_with(KEYVALUE))
    {
        let interface = InterfaceName::parse(state::INTERFACE).expect("the constant is an interface name");
        let operations = state::Function::ALL.into_iter();
        functions.extend(operations.map(|of| FunctionPath::new(interface.clone(), of.as_str())));
    }
    functions.sort();
    functions.dedup();
    functions
}
