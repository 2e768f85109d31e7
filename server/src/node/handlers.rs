//! `Handlers`: the files of the handlers folder as home knows them, from bytes to what placement and the API ask.
//!
//! One task reads what the folder reports, inspects and compiles off the async threads, and resolves all imports anew
//! after each change. A file that is rejected leaves the version before it serving.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use protocol::HandlerName;
use protocol::api::handlers::{Export, Function, Handler, HandlerState, Import, ImportKind, Reach};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::config::Config;
use crate::placement::plan;
use crate::placement::{Deployed, Inventory};
use crate::runtime::Runtime;
use crate::runtime::artifact::{Artifact, ImportedInterface};
use crate::runtime::catalog::{self, Known, Resolution};
use crate::runtime::folder;
use crate::runtime::inspect::{FILE_BYTES_MAX, Rejection, inspect};

/// A version that can be served.
#[derive(Clone)]
pub(super) struct Version {
    pub(super) artifact: Arc<Artifact>,
    pub(super) wit: Arc<str>,
    docs: Arc<BTreeMap<String, String>>,
    size_bytes: u64,
    compile_ms: u64,
    since_unix_ms: u64,
}

#[derive(Default)]
struct Entry {
    version: Option<Version>,
    /// Why the file that stands there now is not usable.
    rejection: Option<Rejection>,
    size_bytes: u64,
}

#[derive(Default)]
struct Book {
    entries: BTreeMap<HandlerName, Entry>,
    resolution: Resolution,
}

/// The handlers.
pub(super) struct Handlers {
    runtime: Arc<Runtime>,
    config: Arc<Config>,
    clock: Clock,
    book: RwLock<Book>,
    changes: watch::Sender<u64>,
}

impl Handlers {
    pub(super) fn new(runtime: Arc<Runtime>, config: Arc<Config>, clock: Clock) -> Self {
        let changes = watch::Sender::new(0);
        Self {
            runtime,
            config,
            clock,
            book: RwLock::default(),
            changes,
        }
    }

    /// Moves at each change.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Says that something changed which the API shows with the handlers.
    pub(super) fn touch(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Reads a file that came, changed or went.
    pub(super) async fn read(self: &Arc<Self>, path: &Path) -> Result<HandlerName, Rejection> {
        let name = folder::handler_name(path).inspect_err(|rejection| {
            // It has no name under which it could be listed: the log is where this is told.
            tracing::warn!("`{}` is rejected: {rejection}", path.display());
        })?;
        let handlers = Arc::clone(self);
        let (file, task_name) = (path.to_owned(), name.clone());
        let outcome = tokio::task::spawn_blocking(move || handlers.load(&file, &task_name)).await;
        let outcome =
            outcome.unwrap_or_else(|_| Err(Rejection::new("reading it failed", "report this as a bug")));
        let outcome = outcome.map(|version| (path.exists(), version));
        self.note(&name, outcome.clone());
        self.resolve();
        outcome.map(|_| name)
    }

    fn load(&self, path: &Path, name: &HandlerName) -> Result<Option<Version>, Rejection> {
        let Ok(metadata) = std::fs::metadata(path) else {
            return Ok(None);
        };
        if metadata.len() > FILE_BYTES_MAX {
            return Err(Rejection::new(
                format!(
                    "the file has {} bytes, {FILE_BYTES_MAX} are the most",
                    metadata.len()
                ),
                "strip it (`wasm-tools strip`) or split the handler",
            ));
        }
        let bytes = std::fs::read(path).map_err(|error| {
            Rejection::new(
                format!("the file cannot be read: {error}"),
                "check its owner and permissions",
            )
        })?;
        let began = Instant::now();
        let inspected = inspect(&bytes)?;
        let (artifact, compiled) = self
            .runtime
            .compile(&inspected.component)
            .map_err(|error| Rejection::new(error.to_string(), "build it again with a current toolchain"))?;
        check(name, &artifact)?;
        self.runtime
            .check(name, &artifact, self.config.limits(name))
            .map_err(|error| {
                Rejection::new(
                    error.to_string(),
                    "import only what the host or another handler serves",
                )
            })?;
        Ok(Some(Version {
            artifact,
            wit: inspected.wit.into(),
            docs: Arc::new(inspected.docs),
            size_bytes: bytes.len() as u64,
            compile_ms: if compiled {
                began.elapsed().as_millis() as u64
            } else {
                0
            },
            since_unix_ms: self.clock.unix_ms() as u64,
        }))
    }

    fn note(&self, name: &HandlerName, outcome: Result<(bool, Option<Version>), Rejection>) {
        let mut book = self.book.write().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok((_, None)) => {
                book.entries.remove(name);
                tracing::info!(handler = %name, "`{name}` is gone");
            }
            Ok((_, Some(version))) => {
                tracing::info!(handler = %name, version = &version.artifact.hash[..12], "`{name}` is read");
                let entry = book.entries.entry(name.clone()).or_default();
                entry.size_bytes = version.size_bytes;
                *entry = Entry {
                    size_bytes: version.size_bytes,
                    version: Some(version),
                    rejection: None,
                };
            }
            Err(rejection) => {
                tracing::warn!(handler = %name, "`{name}.wasm` is rejected: {rejection}");
                book.entries.entry(name.clone()).or_default().rejection = Some(rejection);
            }
        }
    }

    fn resolve(&self) {
        let mut book = self.book.write().unwrap_or_else(PoisonError::into_inner);
        let known: Known = book
            .entries
            .iter()
            .filter_map(|(name, entry)| Some((name.clone(), Arc::clone(&entry.version.as_ref()?.artifact))))
            .collect();
        book.resolution = catalog::resolve(&known, &self.config.interfaces);
        drop(book);
        self.touch();
    }

    /// The names that there are.
    pub(super) fn names(&self) -> Vec<HandlerName> {
        let book = self.book.read().unwrap_or_else(PoisonError::into_inner);
        book.entries.keys().cloned().collect()
    }

    /// The version of a handler that can be served.
    pub(super) fn version(&self, name: &HandlerName) -> Option<Version> {
        let book = self.book.read().unwrap_or_else(PoisonError::into_inner);
        book.entries.get(name)?.version.clone()
    }

    /// The time that a call of a handler may take where its caller sets no deadline.
    pub(super) fn timeout(&self, name: &HandlerName) -> Duration {
        Duration::from_millis(self.config.limits(name).timeout_ms)
    }

    /// How the imports are met.
    pub(super) fn resolution(&self) -> Resolution {
        let book = self.book.read().unwrap_or_else(PoisonError::into_inner);
        book.resolution.clone()
    }

    /// What placement plans with; queued edges are added by `queued`.
    pub(super) fn inventory(&self) -> Inventory {
        let listed = self.list();
        let bound = plan::members(&listed);
        let book = self.book.read().unwrap_or_else(PoisonError::into_inner);
        let mut inventory = Inventory {
            interfaces: book.resolution.interfaces.clone(),
            ..Inventory::default()
        };
        for (name, entry) in &book.entries {
            let Some(version) = &entry.version else { continue };
            let member = bound.iter().find(|member| member.name == *name);
            inventory.handlers.push(Deployed {
                name: name.clone(),
                artifact: version.artifact.hash.clone(),
                http: version.artifact.http,
                limits: self.config.limits(name),
                bound_to: member.map(|member| member.bound_to.clone()).unwrap_or_default(),
                waiting: book.resolution.waiting.contains_key(name),
            });
        }
        inventory
    }

    /// Every handler as the API shows it, without nodes and figures.
    pub(super) fn list(&self) -> Vec<Handler> {
        let book = self.book.read().unwrap_or_else(PoisonError::into_inner);
        book.entries
            .iter()
            .map(|(name, entry)| describe(name, entry, &book.resolution))
            .collect()
    }
}

/// Refuses what links but could never work.
fn check(name: &HandlerName, artifact: &Artifact) -> Result<(), Rejection> {
    if artifact.exports.is_empty() && !artifact.http {
        return Err(Rejection::new(
            "it exports no interface and answers no HTTP, so that nobody could call it",
            "export an interface in its world (bare functions cannot be called)",
        ));
    }
    for import in artifact
        .imports
        .iter()
        .filter(|import| import.kind == ImportKind::Handler)
    {
        if import.resources {
            return Err(Rejection::new(
                format!(
                    "it imports `{}`, which has resources; those cannot go from one handler to another",
                    import.name
                ),
                "pass plain values, or compose the two components into one (`wac plug`)",
            ));
        }
        if let Some(function) = import.functions.iter().find(|function| function.ty.is_async) {
            return Err(Rejection::new(
                format!("it imports the async function `{}` of `{name}`", function.path),
                "declare it as a plain `func`",
            ));
        }
    }
    Ok(())
}

fn describe(name: &HandlerName, entry: &Entry, resolution: &Resolution) -> Handler {
    let state = match (&entry.version, &entry.rejection) {
        (None, Some(rejection)) => HandlerState::Rejected {
            reason: rejection.reason.clone(),
            remedy: rejection.remedy.clone(),
        },
        (None, None) => HandlerState::Loading,
        (Some(_), _) => match resolution.waiting.get(name) {
            Some(on) => HandlerState::Waiting { on: on.clone() },
            None => HandlerState::Serving,
        },
    };
    let mut warnings = resolution.warnings.get(name).cloned().unwrap_or_default();
    if let (Some(_), Some(rejection)) = (&entry.version, &entry.rejection) {
        warnings.insert(
            0,
            format!("a newer file is rejected, the version before it serves: {rejection}"),
        );
    }
    let version = entry.version.as_ref();
    Handler {
        name: name.clone(),
        state,
        version: version
            .map(|version| version.artifact.hash[..12].to_owned())
            .unwrap_or_default(),
        size_bytes: entry.size_bytes,
        compile_ms: version.map_or(0, |version| version.compile_ms),
        since_unix_ms: version.map(|version| version.since_unix_ms),
        http: version.is_some_and(|version| version.artifact.http),
        exports: version
            .map(|version| exports(name, version, resolution))
            .unwrap_or_default(),
        imports: version
            .map(|version| {
                version
                    .artifact
                    .imports
                    .iter()
                    .map(|import| imported(name, import, resolution))
                    .collect()
            })
            .unwrap_or_default(),
        nodes: Vec::new(),
        figures: Default::default(),
        warnings,
    }
}

fn exports(name: &HandlerName, version: &Version, resolution: &Resolution) -> Vec<Export> {
    let exports = version.artifact.exports.iter().map(|interface| {
        let functions = interface.functions.iter().map(|function| Function {
            name: function.path.function.to_string(),
            signature: function.ty.signature(),
            reach: if function.ty.is_plain() {
                Reach::Routable
            } else {
                Reach::LocalOnly
            },
            docs: version
                .docs
                .get(&format!("{}.{}", interface.name, function.path.function))
                .cloned(),
            reports_failed_calls: function.ty.call_failed().is_some(),
        });
        let key = (name.clone(), interface.name.clone());
        Export {
            interface: interface.name.clone(),
            functions: functions.collect(),
            shadowed_by: resolution.shadowed_by.get(&key).cloned(),
        }
    });
    exports.collect()
}

fn imported(name: &HandlerName, import: &ImportedInterface, resolution: &Resolution) -> Import {
    let key = (name.clone(), import.name.clone());
    Import {
        interface: import.name.clone(),
        kind: import.kind,
        functions: import
            .functions
            .iter()
            .map(|function| function.path.function.to_string())
            .collect(),
        served_by: resolution.served_by.get(&key).cloned(),
    }
}
