//! `Handlers`: the files of the handlers folder as home knows them, from bytes to what placement and the API ask.
//!
//! One task reads what the folder reports, inspects and compiles off the async threads, and resolves all imports anew
//! after each change. A file that is rejected, or that may not take over from the version that serves, leaves that one
//! serving; one that no handler can be called like is listed as rejected under a name like its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use protocol::HandlerName;
use protocol::api::chronicle::Happening;
use protocol::api::handlers::{Handler, HandlerState, InstancePolicy, RefusedFile};
use protocol::control::Limits;
use tokio::sync::watch;

use super::chronicle::Chronicle;
use crate::clock::Clock;
use crate::config::Config;
use crate::placement::plan;
use crate::placement::{Deployed, Inventory};
use crate::runtime::Runtime;
use crate::runtime::accepted::Accepted;
use crate::runtime::artifact::Artifact;
use crate::runtime::catalog::{self, Known, Resolution, swap};
use crate::runtime::inspect::Rejection;
use crate::runtime::{Terms, describe, folder, grants};

/// A version that can be served.
#[derive(Clone)]
pub(super) struct Version {
    pub(super) accepted: Arc<Accepted>,
    since_unix_ms: u64,
}

impl Version {
    pub(super) fn artifact(&self) -> &Arc<Artifact> {
        &self.accepted.artifact
    }

    /// How the API names it.
    fn short_hash(&self) -> &str {
        &self.artifact().hash[..12]
    }
}

#[derive(Default)]
struct Entry {
    version: Option<Version>,
    /// What stands in the folder instead, and may not take over yet.
    newer: Option<Version>,
    /// Why the file that stands there now is not usable.
    rejection: Option<Rejection>,
}

impl Entry {
    /// How the instances of what serves live.
    fn policy(&self, limits: Limits) -> Option<InstancePolicy> {
        let engine = self.version.as_ref()?.artifact().engine;
        Some(limits.policy.unwrap_or_else(|| engine.default_policy()))
    }
}

#[derive(Default)]
struct Book {
    entries: BTreeMap<HandlerName, Entry>,
    /// Files that no handler can be called like, by their name, with the reason.
    misnamed: BTreeMap<String, Rejection>,
    resolution: Resolution,
}

impl Book {
    /// What serves.
    fn serving(&self) -> Known {
        let versions = self
            .entries
            .iter()
            .filter_map(|(name, entry)| Some((name, entry.version.as_ref()?)));
        versions
            .map(|(name, version)| (name.clone(), Arc::clone(version.artifact())))
            .collect()
    }

    /// What would like to.
    fn newer(&self) -> Known {
        let versions = self
            .entries
            .iter()
            .filter_map(|(name, entry)| Some((name, entry.newer.as_ref()?)));
        versions
            .map(|(name, version)| (name.clone(), Arc::clone(version.artifact())))
            .collect()
    }

    fn refusals(&self, newer: &Known, config: &Config) -> BTreeMap<HandlerName, Rejection> {
        if newer.is_empty() {
            return BTreeMap::new();
        }
        swap::refusals(&self.serving(), newer, &config.interfaces, &config.ingress.root)
    }

    /// Lets the newer versions serve that may, all at once.
    fn take_over(&mut self, config: &Config, chronicle: &Chronicle) {
        let mut refused = self.refusals(&self.newer(), config);
        for (name, entry) in &mut self.entries {
            let Some(newer) = entry.newer.take() else { continue };
            let rejection = refused.remove(name);
            let version = newer.short_hash();
            match &rejection {
                None => {
                    tracing::info!(handler = %name, version, "`{name}` has a newer version");
                    chronicle.handler(
                        name,
                        Happening::HandlerServes,
                        format!("version {version} takes over"),
                    );
                }
                Some(reason) if entry.rejection.as_ref() != Some(reason) => {
                    tracing::warn!(handler = %name, version, "`{name}.wasm` does not take over: {reason}");
                    let text = format!("version {version} does not take over: {reason}");
                    chronicle.handler(name, Happening::HandlerRefused, text);
                }
                Some(_) => {}
            }
            if rejection.is_none() {
                entry.version = Some(newer);
            } else {
                entry.newer = Some(newer);
            }
            entry.rejection = rejection;
        }
    }
}

/// The handlers.
pub(super) struct Handlers {
    runtime: Arc<Runtime>,
    config: Arc<Config>,
    clock: Clock,
    chronicle: Arc<Chronicle>,
    book: RwLock<Book>,
    changes: watch::Sender<u64>,
}

impl Handlers {
    pub(super) fn new(
        runtime: Arc<Runtime>,
        config: Arc<Config>,
        clock: Clock,
        chronicle: Arc<Chronicle>,
    ) -> Self {
        let changes = watch::Sender::new(0);
        Self {
            runtime,
            config,
            clock,
            chronicle,
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
        let name = match folder::handler_name(path) {
            Ok(name) => name,
            Err(rejection) => {
                self.note_misnamed(path, &rejection);
                return Err(rejection);
            }
        };
        let handlers = Arc::clone(self);
        let (file, task_name) = (path.to_owned(), name.clone());
        let outcome = tokio::task::spawn_blocking(move || handlers.load(&file, &task_name)).await;
        let outcome =
            outcome.unwrap_or_else(|_| Err(Rejection::new("reading it failed", "report this as a bug")));
        self.note(&name, outcome);
        self.resolve();
        let book = self.book.read().unwrap_or_else(PoisonError::into_inner);
        match book.entries.get(&name).and_then(|entry| entry.rejection.clone()) {
            Some(rejection) => Err(rejection),
            None => Ok(name),
        }
    }

    fn load(&self, path: &Path, name: &HandlerName) -> Result<Option<Version>, Rejection> {
        if !path.exists() {
            return Ok(None);
        }
        let terms = terms(&self.config, name);
        let accepted = Accepted::read(&self.runtime, path, name, terms)?;
        Ok(Some(Version {
            accepted: Arc::new(accepted),
            since_unix_ms: self.clock.unix_ms() as u64,
        }))
    }

    fn note(&self, name: &HandlerName, outcome: Result<Option<Version>, Rejection>) {
        let mut book = self.book.write().unwrap_or_else(PoisonError::into_inner);
        if let Ok(None) = outcome {
            book.entries.remove(name);
            tracing::info!(handler = %name, "`{name}` is gone");
            self.chronicle
                .handler(name, Happening::HandlerGone, "its file is gone");
            return;
        }
        let entry = book.entries.entry(name.clone()).or_default();
        entry.newer = None;
        entry.rejection = None;
        match outcome {
            Ok(version) => match (&entry.version, version) {
                // The file that serves is back in its place.
                (Some(serving), Some(version)) if serving.artifact().hash == version.artifact().hash => {}
                (Some(_), version) => entry.newer = version,
                (None, version) => {
                    if let Some(version) = &version {
                        let text = format!("version {} is there", version.short_hash());
                        self.chronicle.handler(name, Happening::HandlerServes, text);
                    }
                    entry.version = version;
                }
            },
            Err(rejection) => {
                tracing::warn!(handler = %name, "`{name}.wasm` is rejected: {rejection}");
                self.chronicle
                    .handler(name, Happening::HandlerRefused, rejection.to_string());
                entry.rejection = Some(rejection);
            }
        }
    }

    fn note_misnamed(&self, path: &Path, rejection: &Rejection) {
        let Some(file) = path.file_name() else { return };
        let file = file.to_string_lossy().into_owned();
        let mut book = self.book.write().unwrap_or_else(PoisonError::into_inner);
        if path.exists() {
            tracing::warn!("`{file}` is rejected: {rejection}");
            book.misnamed.insert(file, rejection.clone());
        } else {
            book.misnamed.remove(&file);
        }
        drop(book);
        self.touch();
    }

    fn resolve(&self) {
        let mut book = self.book.write().unwrap_or_else(PoisonError::into_inner);
        book.take_over(&self.config, &self.chronicle);
        book.resolution = catalog::resolve(&book.serving(), &self.config.interfaces);
        drop(book);
        self.touch();
    }

    /// Whether a file could serve as this handler now, beside the others as they are; its version. Blocks for as long
    /// as compiling takes.
    pub(super) fn admit(&self, path: &Path, name: &HandlerName) -> Result<String, Rejection> {
        let gone = || Rejection::new("the file is gone", "put it there again");
        let version = self.load(path, name)?.ok_or_else(gone)?;
        let book = self.book.read().unwrap_or_else(PoisonError::into_inner);
        let mut newer = book.newer();
        if book
            .entries
            .get(name)
            .is_some_and(|entry| entry.version.is_some())
        {
            newer.insert(name.clone(), Arc::clone(version.artifact()));
        }
        let mut refused = book.refusals(&newer, &self.config);
        match refused.remove(name) {
            Some(rejection) => Err(rejection),
            None => Ok(version.short_hash().to_owned()),
        }
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
                artifact: version.artifact().hash.clone(),
                http: version.artifact().http,
                limits: self.config.limits(name),
                calls: grants::callable(version.artifact(), &self.config.grants(name)),
                grants: self.config.grants(name),
                bound_to: member.map(|member| member.bound_to.clone()).unwrap_or_default(),
                waiting: book.resolution.waiting.contains_key(name),
            });
        }
        inventory
    }

    /// Every handler as the API shows it, without nodes and figures; files that can be none come last.
    pub(super) fn list(&self) -> Vec<Handler> {
        let book = self.book.read().unwrap_or_else(PoisonError::into_inner);
        let mut listed: Vec<Handler> = book
            .entries
            .iter()
            .map(|(name, entry)| Handler {
                policy: entry.policy(self.config.limits(name)),
                ..listed(name, entry, &book.resolution, terms(&self.config, name))
            })
            .collect();
        for (file, rejection) in &book.misnamed {
            let stem = Path::new(file).file_stem().unwrap_or_default().to_string_lossy();
            let is_taken = |name: &HandlerName| listed.iter().any(|other| other.name == *name);
            let name = folder::near_name(&stem, is_taken);
            let entry = Entry {
                rejection: Some(rejection.clone()),
                ..Entry::default()
            };
            listed.push(Handler {
                file: Some(file.clone()),
                ..self::listed(&name, &entry, &book.resolution, Terms::default())
            });
        }
        listed
    }
}

/// What `cleave.toml` says of a handler.
fn terms(config: &Config, name: &HandlerName) -> Terms {
    Terms {
        limits: config.limits(name),
        grants: config.grants(name),
    }
}

fn listed(name: &HandlerName, entry: &Entry, resolution: &Resolution, terms: Terms) -> Handler {
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
    if let Some(version) = &entry.version {
        warnings.extend(grants::denied(version.artifact(), name, &terms.grants));
    }
    let refused = entry.rejection.as_ref().filter(|_| entry.version.is_some());
    let refused = refused.map(|rejection| RefusedFile {
        version: entry.newer.as_ref().map(|newer| newer.short_hash().to_owned()),
        reason: rejection.reason.clone(),
        remedy: rejection.remedy.clone(),
    });
    let version = entry.version.as_ref();
    let accepted = version.map(|version| &version.accepted);
    let artifact = version.map(Version::artifact);
    Handler {
        name: name.clone(),
        file: None,
        state,
        version: version
            .map(|version| version.short_hash().to_owned())
            .unwrap_or_default(),
        size_bytes: accepted.map_or(0, |accepted| accepted.size_bytes),
        compile_ms: accepted.map_or(0, |accepted| accepted.compile_ms),
        refused,
        since_unix_ms: version.map(|version| version.since_unix_ms),
        http: artifact.is_some_and(|artifact| artifact.http),
        exports: accepted
            .map(|accepted| describe::exports(name, &accepted.artifact, &accepted.docs, resolution))
            .unwrap_or_default(),
        policy: None,
        engine: artifact.map(|artifact| artifact.engine),
        imports: artifact
            .map(|artifact| describe::imports(name, artifact, resolution))
            .unwrap_or_default(),
        limits: terms.limits,
        grants: terms.grants,
        nodes: Vec::new(),
        figures: Default::default(),
        warnings,
    }
}
