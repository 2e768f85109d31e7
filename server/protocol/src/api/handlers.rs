//! `handlers` and `handlers/{name}`.

use serde::{Deserialize, Serialize};

use super::wit::Interface;
use crate::control::Limits;
use crate::grants::Grants;
use crate::name::{HandlerName, InterfaceName, NodeName};

/// Where a handler stands between its file and its first call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum HandlerState {
    /// Being read or compiled.
    Loading,
    /// Called by whoever imports it.
    Serving,
    /// An import has no provider yet; starts when one arrives.
    Waiting {
        /// The interfaces that nobody serves.
        on: Vec<InterfaceName>,
    },
    /// The file is not usable; an older version may still serve.
    Rejected {
        /// Why, naming the thing.
        reason: String,
        /// What to do about it.
        remedy: String,
    },
    /// Its node is starting again.
    Down {
        /// Why.
        reason: String,
    },
}

/// Whether a function can leave its caller's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Plain values only: can be served anywhere.
    Routable,
    /// Carries resources, streams or futures: only within one process.
    LocalOnly,
}

/// One function of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// The name as in WIT.
    pub name: String,
    /// The WIT signature: `func(id: string) -> result<product, fault>`.
    pub signature: String,
    /// Whether it can leave the process.
    pub reach: Reach,
    /// The first line of its documentation, where the component carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
    /// Whether its error type has the case `call-failed`, so that a failed call need not trap its caller.
    pub reports_failed_calls: bool,
}

/// An interface that a handler exports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// The interface, with its version.
    pub interface: InterfaceName,
    /// Its functions; empty for interfaces of the platform (`wasi:http/incoming-handler`).
    pub functions: Vec<Function>,
    /// The handler that serves it to others instead of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadowed_by: Option<HandlerName>,
}

/// What an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImportKind {
    /// Served by the host within the process.
    Capability,
    /// Served by the platform behind the router: queue, state.
    BuiltIn,
    /// Another handler's interface.
    Handler,
    /// Types only: nothing needs to serve it.
    Types,
}

/// An interface that a handler imports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// The interface, with its version.
    pub interface: InterfaceName,
    /// What it is.
    pub kind: ImportKind,
    /// The functions that it uses.
    pub functions: Vec<String>,
    /// The handler that serves it, where one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_by: Option<HandlerName>,
}

/// A newer file of a handler that does not serve; the version before it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedFile {
    /// As of [`Handler::version`], where the file is a component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Why, naming the functions that differ.
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
}

/// A handler, in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Handler {
    /// Its name: the file's stem. Of a file whose name no handler can have, one like it.
    pub name: HandlerName,
    /// The file's name, where no handler can be called like it; such a file is always rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Where it stands.
    #[serde(flatten)]
    pub state: HandlerState,
    /// BLAKE3 of the file, first 12 hexadecimal digits.
    pub version: String,
    /// The file's size.
    pub size_bytes: u64,
    /// How long compiling took; 0 when it came from the cache.
    pub compile_ms: u64,
    /// The file that stands in the folder, where it is another one and may not take over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedFile>,
    /// When this version began to serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_unix_ms: Option<u64>,
    /// Whether it answers HTTP.
    pub http: bool,
    /// How its instances live; absent while no version serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<InstancePolicy>,
    /// The engine that runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Engine>,
    /// What it exports.
    pub exports: Vec<Export>,
    /// What it imports.
    pub imports: Vec<Import>,
    /// How much it may take, by the keys of `[handler.NAME]`.
    #[serde(default)]
    pub limits: Limits,
    /// What it may reach.
    #[serde(default)]
    pub grants: Grants,
    /// The nodes that serve it.
    pub nodes: Vec<NodeName>,
    /// Live figures.
    pub figures: Figures,
    /// What deserves a look: failed calls that would trap, a shadowed interface, a rejected newer file.
    pub warnings: Vec<String>,
}

impl Handler {
    /// What a person knows it by: its name, or that of its file where no handler can be called like it.
    pub fn shown_name(&self) -> &str {
        self.file.as_deref().unwrap_or(self.name.as_str())
    }
}

/// How long an instance of a handler lives, and what it serves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstancePolicy {
    /// It serves one call after the other, until it served many, grew too far, was idle for long or failed.
    #[default]
    Pooled,
    /// It serves one call: nothing of a call is left to the next one.
    Fresh,
    /// It serves many calls at a time, as only components with async functions can.
    Shared,
}

/// What runs a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// The engine of components without async functions.
    Sync,
    /// The engine of components with async functions (WASI 0.3).
    Concurrent,
}

impl Engine {
    /// As the API has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Concurrent => "concurrent",
        }
    }

    /// The policy where none is configured.
    pub fn default_policy(self) -> InstancePolicy {
        match self {
            Self::Sync => InstancePolicy::Pooled,
            Self::Concurrent => InstancePolicy::Shared,
        }
    }
}

impl InstancePolicy {
    /// As `cleave.toml` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pooled => "pooled",
            Self::Fresh => "fresh",
            Self::Shared => "shared",
        }
    }
}

/// A handler's live figures, over all its nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Calls since start.
    pub calls: u64,
    /// Failed calls since start.
    pub errors: u64,
    /// Calls in the last ten seconds, per second.
    pub rate_per_s: f64,
    /// Instances waiting for a call.
    pub instances_idle: u64,
    /// Instances in a call.
    pub instances_busy: u64,
    /// Instances made since start.
    pub instances_made: u64,
    /// Those of them that a call waited for: cold starts.
    #[serde(default)]
    pub instances_cold: u64,
    /// The median of making one, in µs, on the node where that took longest; 0 where none was made.
    #[serde(default)]
    pub instance_start_p50_us: u64,
    /// How those ended that are no more.
    #[serde(default)]
    pub instances_ended: InstanceEnds,
    /// Linear memory of its instances, as far as they have grown it, in bytes.
    #[serde(default)]
    pub memory_bytes: u64,
    /// Time in guest code of its sampled calls since start, without the calls that they made, in ns.
    #[serde(default)]
    pub run_ns: u64,
    /// Those calls, counted.
    #[serde(default)]
    pub run_calls: u64,
}

/// How the lives of a handler's instances ended, counted since start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceEnds {
    /// It did not start.
    pub start: u64,
    /// It served as many calls as one may.
    pub uses: u64,
    /// Its handler gets a new instance for each call.
    pub fresh: u64,
    /// Nobody called it for a while.
    pub idle: u64,
    /// More instances were free than are kept.
    pub surplus: u64,
    /// Its memory had grown too far to be kept.
    pub memory: u64,
    /// Its call trapped.
    pub trap: u64,
    /// A call of its own failed, and it had no case to take that.
    #[serde(default)]
    pub callee: u64,
    /// Its call's arguments were not of the function's type.
    #[serde(default)]
    pub misfit: u64,
    /// Its result was longer than any may be.
    #[serde(default)]
    pub result: u64,
    /// Its call did not end by the deadline.
    pub deadline: u64,
    /// Its caller went away.
    pub cancelled: u64,
    /// Its version is served no longer.
    pub withdrawn: u64,
}

impl InstanceEnds {
    /// Each way with its count, by the name that the API has for it.
    pub fn ways(&self) -> [(&'static str, u64); 13] {
        [
            ("start", self.start),
            ("uses", self.uses),
            ("fresh", self.fresh),
            ("idle", self.idle),
            ("surplus", self.surplus),
            ("memory", self.memory),
            ("trap", self.trap),
            ("callee", self.callee),
            ("misfit", self.misfit),
            ("result", self.result),
            ("deadline", self.deadline),
            ("cancelled", self.cancelled),
            ("withdrawn", self.withdrawn),
        ]
    }
}

impl std::ops::AddAssign for InstanceEnds {
    fn add_assign(&mut self, other: Self) {
        self.start += other.start;
        self.uses += other.uses;
        self.fresh += other.fresh;
        self.idle += other.idle;
        self.surplus += other.surplus;
        self.memory += other.memory;
        self.trap += other.trap;
        self.callee += other.callee;
        self.misfit += other.misfit;
        self.result += other.result;
        self.deadline += other.deadline;
        self.cancelled += other.cancelled;
        self.withdrawn += other.withdrawn;
    }
}

/// `handlers/{name}`: a handler with its WIT.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HandlerDetail {
    /// As in the list.
    #[serde(flatten)]
    pub handler: Handler,
    /// Its world and interfaces as WIT text.
    pub wit: String,
    /// The same, piece by piece.
    #[serde(default)]
    pub interfaces: Vec<Interface>,
}
