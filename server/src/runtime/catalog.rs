//! The catalog: which handlers there are, and how their imports and exports hang together. Pure.
//!
//! An import is served by a handler that exports the same interface on the same semver track, with every imported
//! function present and of an equal type. Among several the configured one comes first, then the alphabetically first;
//! a handler never serves itself. A handler whose import nobody serves waits, and serves nobody while it does. Which newer
//! version may take over is in `swap`.

pub mod swap;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::api::handlers::ImportKind;
use protocol::control::InterfaceRoute;
use protocol::{HandlerName, InterfaceName};

use super::artifact::{Artifact, ImportedInterface};

/// What is known of every handler that could be read.
pub type Known = BTreeMap<HandlerName, Arc<Artifact>>;
/// `[interface."…"] handler = …`, by interface with or without version.
pub type Preferred = BTreeMap<InterfaceName, HandlerName>;

/// How the handlers hang together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolution {
    /// Providers by semver track, in order of preference.
    pub interfaces: Vec<InterfaceRoute>,
    /// Handlers that wait, and on which interfaces.
    pub waiting: BTreeMap<HandlerName, Vec<InterfaceName>>,
    /// Who serves an import, by importer and interface.
    pub served_by: BTreeMap<(HandlerName, InterfaceName), HandlerName>,
    /// Who serves an export to others instead of its exporter, by exporter and interface.
    pub shadowed_by: BTreeMap<(HandlerName, InterfaceName), HandlerName>,
    /// What a person should know, by handler.
    pub warnings: BTreeMap<HandlerName, Vec<String>>,
}

/// Resolves every import.
pub fn resolve(known: &Known, preferred: &Preferred) -> Resolution {
    let mut resolution = Resolution::default();
    let mut serving: BTreeSet<HandlerName> = known.keys().cloned().collect();
    // A handler that cannot start serves nobody, which may keep others from starting: until nothing changes. Those whom
    // nobody could serve go first, because what they hide from others may fit.
    loop {
        let providers = providers(known, preferred, &serving);
        let mut waiting = lacking(known, &serving, |name, import| {
            candidates(&providers, name, import).all(|callee| fits(known, callee, name, import).is_err())
        });
        if waiting.is_empty() {
            waiting = lacking(known, &serving, |name, import| {
                provider(known, &providers, name, import).is_err()
            });
        }
        if waiting.is_empty() {
            break;
        }
        for (name, interfaces) in waiting {
            serving.remove(&name);
            resolution.waiting.insert(name, interfaces);
        }
    }
    let providers = providers(known, preferred, &serving);
    for (track, names) in &providers {
        let exporter = names.first().and_then(|name| known.get(name));
        let Some(exact) = exporter.and_then(|artifact| exact_name(artifact, track)) else {
            continue;
        };
        resolution.interfaces.push(InterfaceRoute {
            interface: exact,
            providers: names.clone(),
        });
    }
    for (name, artifact) in known {
        note(&mut resolution, known, &providers, name, artifact);
    }
    resolution
}

type Providers = BTreeMap<String, Vec<HandlerName>>;

fn providers(known: &Known, preferred: &Preferred, serving: &BTreeSet<HandlerName>) -> Providers {
    let mut providers = Providers::new();
    for (name, artifact) in known.iter().filter(|(name, _)| serving.contains(*name)) {
        for interface in &artifact.exports {
            let names = providers.entry(interface.name.track()).or_default();
            let first = preferred
                .iter()
                .any(|(wanted, handler)| handler == name && covers(wanted, &interface.name));
            if first {
                names.retain(|other| other != name);
                names.insert(0, name.clone());
            } else if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    providers
}

/// Whether a configured interface name means this one: without a version it means every version.
fn covers(wanted: &InterfaceName, interface: &InterfaceName) -> bool {
    match wanted.version() {
        Some(_) => wanted.track() == interface.track(),
        None => wanted.unversioned() == interface.unversioned(),
    }
}

/// The handlers that miss something, and what.
fn lacking(
    known: &Known,
    serving: &BTreeSet<HandlerName>,
    is_unmet: impl Fn(&HandlerName, &ImportedInterface) -> bool,
) -> Vec<(HandlerName, Vec<InterfaceName>)> {
    let mut lacking = Vec::new();
    for (name, artifact) in known.iter().filter(|(name, _)| serving.contains(*name)) {
        let unmet: Vec<_> = artifact
            .imports
            .iter()
            .filter(|import| import.kind == ImportKind::Handler && is_unmet(name, import))
            .map(|import| import.name.clone())
            .collect();
        if !unmet.is_empty() {
            lacking.push((name.clone(), unmet));
        }
    }
    lacking
}

/// Who exports an import's interface, without the importer itself, in order of preference.
fn candidates<'p>(
    providers: &'p Providers,
    importer: &HandlerName,
    import: &ImportedInterface,
) -> impl Iterator<Item = &'p HandlerName> {
    let names = providers.get(&import.name.track());
    names.into_iter().flatten().filter(move |name| *name != importer)
}

/// The provider of an import: the first that is not the importer, if its functions fit; else why not.
fn provider<'p>(
    known: &Known,
    providers: &'p Providers,
    importer: &HandlerName,
    import: &ImportedInterface,
) -> Result<&'p HandlerName, String> {
    let name = candidates(providers, importer, import)
        .next()
        .ok_or_else(|| format!("nobody serves `{}`", import.name))?;
    fits(known, name, importer, import)?;
    Ok(name)
}

/// Whether a handler exports every imported function with an equal type; else why not.
fn fits(
    known: &Known,
    name: &HandlerName,
    importer: &HandlerName,
    import: &ImportedInterface,
) -> Result<(), String> {
    let artifact = known.get(name).ok_or_else(|| format!("`{name}` is gone"))?;
    for function in &import.functions {
        match artifact.function(&function.path) {
            None => {
                return Err(format!(
                    "`{name}` exports `{}` without `{}`",
                    import.name, function.path.function
                ));
            }
            Some(exported) if exported.hash != function.hash => {
                return Err(format!(
                    "`{name}` exports `{}` as {}, `{importer}` was built against {}",
                    function.path,
                    exported.ty.signature(),
                    function.ty.signature()
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn exact_name(artifact: &Artifact, track: &str) -> Option<InterfaceName> {
    let interface = artifact
        .exports
        .iter()
        .find(|interface| interface.name.track() == track)?;
    Some(interface.name.clone())
}

fn note(
    resolution: &mut Resolution,
    known: &Known,
    providers: &Providers,
    name: &HandlerName,
    artifact: &Artifact,
) {
    let mut warnings = Vec::new();
    for import in artifact
        .imports
        .iter()
        .filter(|import| import.kind == ImportKind::Handler)
    {
        match provider(known, providers, name, import) {
            Ok(callee) => {
                resolution
                    .served_by
                    .insert((name.clone(), import.name.clone()), callee.clone());
            }
            Err(reason) => warnings.push(reason),
        }
        let silent: Vec<_> = import
            .functions
            .iter()
            .filter(|function| function.ty.is_plain() && function.ty.call_failed().is_none())
            .map(|function| format!("`{}`", function.path.function))
            .collect();
        if !silent.is_empty() {
            warnings.push(format!(
                "a failed call of {} in `{}` traps this handler: its error has no case `call-failed`",
                silent.join(", "),
                import.name
            ));
        }
    }
    for export in &artifact.exports {
        let first = providers
            .get(&export.name.track())
            .and_then(|names| names.first());
        if let Some(first) = first.filter(|first| *first != name) {
            warnings.push(format!(
                "`{}` is served by `{first}`; call this one as `{name}@{}`",
                export.name, export.name
            ));
            resolution
                .shadowed_by
                .insert((name.clone(), export.name.clone()), first.clone());
        }
    }
    if !warnings.is_empty() {
        resolution.warnings.insert(name.clone(), warnings);
    }
}

#[cfg(test)]
mod tests;
