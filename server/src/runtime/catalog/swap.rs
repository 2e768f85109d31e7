//! Which newer versions can take over from those that serve, and why the others cannot. Pure.
//!
//! A newer version takes over if nobody who is served now stops being served by it: each function that a served handler
//! imports is still there with an equal type, its own imports are met, and `/` still has an answer. Versions are judged
//! together, so that a contract can change once every one of its users has a newer file too.

use std::collections::{BTreeMap, BTreeSet};

use protocol::api::handlers::ImportKind;
use protocol::{FunctionPath, HandlerName};

use super::{Known, Preferred, Resolution, candidates, providers, resolve};
use crate::runtime::artifact::{Artifact, ImportedInterface};
use crate::runtime::inspect::Rejection;

/// The newer versions that may not take over, with the reasons.
pub fn refusals(
    serving: &Known,
    newer: &Known,
    preferred: &Preferred,
    root: &HandlerName,
) -> BTreeMap<HandlerName, Rejection> {
    let swap = Swap {
        serving,
        newer,
        preferred,
        root,
        before: resolve(serving, preferred),
    };
    let mut chosen: BTreeSet<HandlerName> = newer.keys().cloned().collect();
    let mut refused = BTreeSet::new();
    loop {
        let obstacles = swap.obstacles(&chosen);
        if obstacles.is_empty() {
            break;
        }
        chosen.retain(|name| !obstacles.contains_key(name));
        refused.extend(obstacles.into_keys());
    }
    // One that was refused for the company of another may go without it.
    let mut reasons = BTreeMap::new();
    for name in refused {
        let mut with = chosen.clone();
        with.insert(name.clone());
        match swap.obstacles(&with).remove(&name) {
            None => chosen = with,
            Some(obstacles) => {
                reasons.insert(name, rejection(obstacles));
            }
        }
    }
    reasons
}

/// What stands in the way of one version.
#[derive(Default)]
struct Obstacles {
    /// Functions that others use, and how they differ, with their users.
    functions: BTreeMap<(String, String), BTreeSet<HandlerName>>,
    /// Anything else.
    others: Vec<String>,
}

struct Swap<'a> {
    serving: &'a Known,
    newer: &'a Known,
    preferred: &'a Preferred,
    root: &'a HandlerName,
    before: Resolution,
}

impl Swap<'_> {
    /// What speaks against these newer versions, each named with what is its own fault.
    fn obstacles(&self, chosen: &BTreeSet<HandlerName>) -> BTreeMap<HandlerName, Obstacles> {
        let mut known = self.serving.clone();
        let newer = self.newer.iter().filter(|(name, _)| chosen.contains(*name));
        known.extend(newer.map(|(name, artifact)| (name.clone(), artifact.clone())));
        let after = resolve(&known, self.preferred);
        let mut obstacles: BTreeMap<HandlerName, Obstacles> = BTreeMap::new();
        let all: BTreeSet<HandlerName> = known.keys().cloned().collect();
        let providers = providers(&known, self.preferred, &all);
        let left = after.waiting.keys().filter(|name| self.is_served(name));
        for importer in left {
            let Some(artifact) = known.get(importer) else {
                continue;
            };
            for import in artifact.imports.iter().filter(|i| i.kind == ImportKind::Handler) {
                let callee = candidates(&providers, importer, import).next();
                let differing = callee
                    .and_then(|name| known.get(name))
                    .map(|callee| differing(callee, import));
                if differing.as_ref().is_some_and(Vec::is_empty) {
                    continue;
                }
                let before = self
                    .before
                    .served_by
                    .get(&(importer.clone(), import.name.clone()));
                let blamed = [Some(importer), callee, before];
                let Some(blamed) = blamed.into_iter().flatten().find(|name| chosen.contains(*name)) else {
                    continue;
                };
                let found = obstacles.entry(blamed.clone()).or_default();
                if blamed == importer {
                    found.others.push(match (callee, differing) {
                        (Some(callee), Some(differing)) => needs(callee, &differing),
                        _ => format!("it imports `{}`, which nobody serves", import.name),
                    });
                    continue;
                }
                let gone = || {
                    import
                        .functions
                        .iter()
                        .map(|f| (f.path.to_string(), "gone".to_owned()))
                        .collect()
                };
                let differing = differing.filter(|_| callee == Some(blamed)).unwrap_or_else(gone);
                for function in differing {
                    found
                        .functions
                        .entry(function)
                        .or_default()
                        .insert(importer.clone());
                }
            }
        }
        if let (Some(before), Some(newer)) = (self.serving.get(self.root), self.newer.get(self.root))
            && chosen.contains(self.root)
            && before.http
            && !newer.http
        {
            let reason = "it does not answer HTTP, and `/` leads to it".to_owned();
            obstacles
                .entry(self.root.clone())
                .or_default()
                .others
                .push(reason);
        }
        obstacles
    }

    fn is_served(&self, name: &HandlerName) -> bool {
        self.serving.contains_key(name) && !self.before.waiting.contains_key(name)
    }
}

/// The imported functions that a handler does not export as they were imported: which, and what they are instead.
fn differing(callee: &Artifact, import: &ImportedInterface) -> Vec<(String, String)> {
    let differing = import.functions.iter().filter_map(|function| {
        let path: &FunctionPath = &function.path;
        match callee.function(path) {
            None => Some((path.to_string(), "gone".to_owned())),
            Some(exported) if exported.hash != function.hash => {
                let types = (exported.ty.signature(), function.ty.signature());
                Some((path.to_string(), format!("{} instead of {}", types.0, types.1)))
            }
            Some(_) => None,
        }
    });
    differing.collect()
}

fn needs(callee: &HandlerName, differing: &[(String, String)]) -> String {
    let functions = differing
        .iter()
        .map(|(function, how)| format!("`{function}` is {how} there"));
    format!(
        "it was built against another `{callee}`: {}",
        functions.collect::<Vec<_>>().join(", ")
    )
}

fn rejection(obstacles: Obstacles) -> Rejection {
    let Obstacles { functions, others } = obstacles;
    let users: BTreeSet<&HandlerName> = functions.values().flatten().collect();
    let mut remedies = Vec::new();
    if !users.is_empty() {
        remedies.push(format!(
            "keep these functions and add others beside them, or put newer files of {} into the folder too: they take \
             over together",
            listed(users)
        ));
    }
    if !others.is_empty() {
        remedies.push("build it against the handlers that serve, or add what it needs".to_owned());
    }
    let functions = functions
        .iter()
        .map(|((function, how), users)| format!("`{function}` is {how}, and {} uses it", listed(users)));
    Rejection::new(
        functions.chain(others).collect::<Vec<_>>().join("; "),
        remedies.join("; "),
    )
}

fn listed<'a>(names: impl IntoIterator<Item = &'a HandlerName>) -> String {
    let names = names.into_iter().map(|name| format!("`{name}`"));
    names.collect::<Vec<_>>().join(", ")
}
