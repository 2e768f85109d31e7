//! `Config`: what `cleave.toml` says, with a default for all that it does not say.
//!
//! Reading collects every problem of the file before it gives up: unknown keys with the nearest known one, values that
//! do not parse, settings without effect. Handler names can only be checked once the handlers' folder was read, which
//! is what [`Config::unknown_handlers`] is for. How the file is walked is in `reader`; durations and sizes are in
//! `quantity`; what each section means to its part is that part's matter.

mod quantity;
mod reader;
mod sections;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::api::placement::{Mode, Placement};
use protocol::control::Limits;
use protocol::{Grants, HandlerName, InterfaceName, Way, nearest};

use crate::db::Synchronous;
use crate::queue;
use crate::telemetry::Sampling;
use crate::traces::Retention;

pub use protocol::EdgeName;

/// The longest configuration file: far beyond what a person writes.
pub const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// The time that one attempt along a queued edge may take, where nothing is said.
pub const ATTEMPT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);

/// Everything that can be configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// `[placement]`: which handlers share a node at the start; with `replicas` of `[handler.NAME]`.
    pub placement: Placement,
    /// `[handler.NAME]`: limits of the handlers named here. Ask [`Config::limits`].
    pub handlers: BTreeMap<HandlerName, Limits>,
    /// `interfaces`, `queues` and `hosts` of `[handler.NAME]`. Ask [`Config::grants`].
    pub grants: BTreeMap<HandlerName, Grants>,
    /// `affinity` of `[handler.NAME]`: the parameter by which its calls find their replica.
    pub affinities: BTreeMap<HandlerName, Affinity>,
    /// `[edge."CALLER -> INTERFACE"]`. Ask [`Config::edge`].
    pub edges: BTreeMap<EdgeName, EdgeRule>,
    /// `[interface."NAME"]`: who serves it where several could. Ask [`Config::provider`].
    pub interfaces: BTreeMap<InterfaceName, HandlerName>,
    /// `[ingress]`.
    pub ingress: Ingress,
    /// `[ui]`.
    pub ui: Ui,
    /// `[otlp]`.
    pub otlp: Otlp,
    /// `[traces]`.
    pub traces: Traces,
    /// `[queue]`.
    pub queue: Queue,
    /// `[state]`.
    pub state: State,
    /// Where it was read, for messages.
    file: Option<PathBuf>,
    mentions: Vec<Mention>,
}

/// The parameter of a handler's functions by which their calls find their replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affinity {
    /// Its name, as in WIT.
    pub parameter: String,
    line: usize,
}

/// The door for outside traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingress {
    /// The handler that answers `/`.
    pub root: HandlerName,
    /// Where it listens; loopback.
    pub listen: SocketAddr,
    /// The time that one request may take, all its calls included.
    pub timeout: Duration,
}

impl Default for Ingress {
    fn default() -> Self {
        Self {
            root: HandlerName::parse("frontend").expect("`frontend` is a handler name"),
            listen: loopback(8080),
            // Twice a call's own limit: a page may survive one call that runs into its deadline.
            timeout: Duration::from_secs(10),
        }
    }
}

/// The web UI and the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ui {
    /// Where they listen; loopback.
    pub listen: SocketAddr,
}

impl Default for Ui {
    fn default() -> Self {
        Self {
            listen: loopback(7070),
        }
    }
}

/// Spans of other programs, in and out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Otlp {
    /// Where they are taken over HTTP; loopback.
    pub listen: Option<SocketAddr>,
    /// Where they are taken over gRPC; loopback.
    pub grpc: Option<SocketAddr>,
    /// Where what is stored goes on to.
    pub export: Option<http::Uri>,
}

impl Otlp {
    /// Both doors on OpenTelemetry's own ports, where they are not elsewhere already.
    pub fn open(&mut self) {
        self.listen = self.listen.or_else(|| Some(loopback(4318)));
        self.grpc = self.grpc.or_else(|| Some(loopback(4317)));
    }
}

/// Recording traces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traces {
    /// How many traces are recorded.
    pub sampling: Sampling,
    /// Whether sampled calls keep their arguments.
    pub arguments: bool,
    /// The size and age beyond which the oldest traces go.
    pub retention: Retention,
}

/// All queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Attempts at the same time, per queue.
    pub concurrency: u32,
    /// How long a message that was worked off can still be looked at.
    pub keep_done: Duration,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            concurrency: queue::CONCURRENCY_DEFAULT,
            keep_done: queue::KEEP_DONE_DEFAULT,
        }
    }
}

/// The handlers' state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// What a write survives.
    pub synchronous: Synchronous,
}

/// Which way an edge's calls go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Via {
    /// Called, and waited for.
    #[default]
    Call,
    /// Enqueued; a consumer calls later.
    Queue,
}

/// How one edge is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeRule {
    /// Which way.
    pub via: Via,
    /// Attempts before a message is dead.
    pub tries: u32,
    /// The pause after the first failed attempt; it grows with each.
    pub backoff: Duration,
    /// The time that one call or attempt may take. Where nothing is said, an attempt gets
    /// [`ATTEMPT_TIMEOUT_DEFAULT`], and a call what its caller has left.
    pub timeout: Option<Duration>,
}

impl Default for EdgeRule {
    fn default() -> Self {
        Self {
            via: Via::Call,
            tries: 3,
            backoff: Duration::from_secs(10),
            timeout: None,
        }
    }
}

/// One thing that is wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1; 0 for what is not in the file.
    pub line: usize,
    /// The key with its section: `placement.mode`.
    pub key: String,
    /// The value as written, where there is one.
    pub value: Option<String>,
    /// Why it is refused, and what would do.
    pub reason: String,
    /// The nearest known key or name.
    pub nearest: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        if !self.key.is_empty() {
            write!(f, "`{}`", self.key)?;
            if let Some(value) = &self.value {
                write!(f, " = {value}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.reason)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
            None => Ok(()),
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read `{}`; name a readable file or leave `--config` out", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is too long.
    #[error("`{}` is longer than {CONFIG_BYTES_MAX} bytes, which is no configuration", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// Neither a mode nor a file.
    #[error(
        "`{argument}` is no placement: write `together`, `apart` or the path of a file with `[placement]`"
    )]
    NoPlacement {
        /// What was given.
        argument: String,
    },
    /// What stands behind a placement is no way of calls.
    #[error("`{argument}`: {reason}")]
    Way {
        /// What was given.
        argument: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file says something that it should not: all of it, one problem a line.
    #[error("`{}` has {}", path.display(), listed(problems))]
    Problems {
        /// The file.
        path: PathBuf,
        /// What is wrong, by line.
        problems: Vec<Problem>,
    },
}

fn listed(problems: &[Problem]) -> String {
    let mut text = match problems.len() {
        1 => "one problem:".to_owned(),
        count => format!("{count} problems:"),
    };
    for problem in problems {
        text.push_str("\n  ");
        text.push_str(&problem.to_string());
    }
    text
}

impl Config {
    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let parsed = Self::parse(&text_of(path)?).map_err(|problems| Error::Problems {
            path: path.to_owned(),
            problems,
        })?;
        Ok(Self {
            file: Some(path.to_owned()),
            ..parsed
        })
    }

    /// Reads a file's text; every problem at once, by line.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        sections::read(text)
    }

    /// The limits of a handler: the configured ones, else the default.
    pub fn limits(&self, handler: &HandlerName) -> Limits {
        self.handlers.get(handler).copied().unwrap_or_default()
    }

    /// What a handler may reach: the configured, else the default.
    pub fn grants(&self, handler: &HandlerName) -> Grants {
        self.grants.get(handler).cloned().unwrap_or_default()
    }

    /// The names in the file, and in the placement that holds instead of the file's, that are no handler's: to be asked
    /// once the handlers' folder was read.
    pub fn unknown_handlers(
        &self,
        in_force: &Placement,
        known: &BTreeSet<HandlerName>,
        folder: &Path,
    ) -> Vec<Problem> {
        let asked_for = (in_force.groups != self.placement.groups).then_some(&in_force.groups);
        let asked_for = asked_for.into_iter().flatten().flatten().map(|handler| Mention {
            line: 0,
            key: "--placement".to_owned(),
            value: None,
            handler: handler.clone(),
        });
        let mentions = asked_for.chain(self.mentions.iter().cloned());
        mentions
            .filter(|mention| !known.contains(&mention.handler))
            .map(|mention| Problem {
                line: mention.line,
                key: mention.key,
                value: mention.value,
                reason: format!(
                    "no handler is called `{0}`: put `{0}.wasm` into `{1}` or take this out",
                    mention.handler,
                    folder.display()
                ),
                nearest: nearest(mention.handler.as_str(), known.iter().map(HandlerName::as_str))
                    .map(str::to_owned),
            })
            .collect()
    }

    /// An affinity that none of a handler's functions knows, as a problem at its line.
    pub fn affinity_problem(&self, handler: &HandlerName, known: &BTreeSet<&str>) -> Option<Problem> {
        let Affinity { parameter, line } = self.affinities.get(handler)?;
        Some(Problem {
            line: *line,
            key: format!("handler.{handler}.affinity"),
            value: Some(format!("{parameter:?}")),
            reason: format!("no function of `{handler}` has such a parameter"),
            nearest: nearest(parameter, known.iter().copied()).map(str::to_owned),
        })
    }

    /// What was found wrong after the file was read, as one error; nothing where nothing was.
    pub fn refuse(&self, mut problems: Vec<Problem>) -> Result<(), Error> {
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort_by_key(|problem| problem.line);
        let path = self.file.clone().unwrap_or_else(|| "the command line".into());
        Err(Error::Problems { path, problems })
    }

    /// What else turned out to be wrong with an edge of the file, as a problem at its line: that its functions return
    /// values, say, which a queue cannot.
    pub fn edge_problem(&self, edge: &EdgeName, reason: String) -> Problem {
        let key = sections::edge_key(edge);
        let mention = self.mentions.iter().find(|mention| mention.key == key);
        Problem {
            line: mention.map_or(0, |mention| mention.line),
            key,
            value: None,
            reason,
            nearest: None,
        }
    }
}

/// Whether an interface as configured stands for one as it is exported: without a version for all of them, with one
/// for those of its semver track.
pub fn stands_for(configured: &InterfaceName, exported: &InterfaceName) -> bool {
    configured.stands_for(exported)
}

/// What `--placement` and `cleave place` take: `together`, `apart`, or a file with `[placement]` as in `cleave.toml`, and
/// behind it how calls go: `apart+uds+2ms`.
pub fn placement_argument(argument: &str) -> Result<Placement, Error> {
    let (base, suffix) = match argument.split_once('+') {
        Some((base, suffix)) if !Path::new(argument).exists() => (base, suffix),
        _ => (argument, ""),
    };
    let mode = match base {
        "together" => Some(Mode::Together),
        "apart" => Some(Mode::Apart),
        _ => None,
    };
    let placement = match mode {
        Some(mode) => Placement {
            mode,
            ..Placement::default()
        },
        None => placement_file(Path::new(base))?,
    };
    let words = suffix.split('+').filter(|_| !suffix.is_empty());
    let way = words.into_iter().try_fold(Way::default(), Way::with);
    let way = way.map_err(|reason| Error::Way {
        argument: argument.to_owned(),
        reason,
    })?;
    let way = way.or(placement.way());
    Ok(placement.by(way))
}

fn placement_file(path: &Path) -> Result<Placement, Error> {
    if !path.exists() {
        return Err(Error::NoPlacement {
            argument: path.display().to_string(),
        });
    }
    sections::read_placement(&text_of(path)?).map_err(|problems| Error::Problems {
        path: path.to_owned(),
        problems,
    })
}

fn text_of(path: &Path) -> Result<String, Error> {
    let read = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    if std::fs::metadata(path).map_err(read)?.len() > CONFIG_BYTES_MAX {
        return Err(Error::TooLong {
            path: path.to_owned(),
        });
    }
    std::fs::read_to_string(path).map_err(read)
}

/// A place in the file that names a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mention {
    line: usize,
    key: String,
    value: Option<String>,
    handler: HandlerName,
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

#[cfg(test)]
mod tests;
