//! `Children`: the processes of the child nodes: started, watched, started again when they die.
//!
//! [`Children::start`] returns once the process has said where it listens. From then on its death is an event, and it
//! comes back under the same name with the next incarnation, after a pause that doubles from 100 ms to 10 s and begins
//! anew once it has run for 30 s. Dropping a [`Child`] ends its process. What is said over QUIC is not here, and
//! neither is the decision which children there shall be: that is the `reconciler`.

mod backoff;
mod process;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use protocol::NodeName;
use protocol::control::{Birth, Papers};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use self::backoff::Backoff;
use self::process::Process;
use crate::clock::Clock;
use crate::shutdown::Tasks;

/// Events that wait to be handled: each child has a few at most. Beyond it supervision waits.
const EVENTS_WAITING_MAX: usize = 256;

/// What is run as a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The file.
    pub path: PathBuf,
    /// Its arguments; nothing secret.
    pub args: Vec<String>,
}

impl Program {
    /// This very binary, as `cleave node`.
    pub fn node() -> std::io::Result<Self> {
        Ok(Self {
            path: std::env::current_exe()?,
            args: vec!["node".to_owned()],
        })
    }
}

/// How patient supervision is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The time in which a child must say where it listens.
    pub announce_limit: Duration,
    /// The pause before the first restart.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// A child that ran for so long begins again with the first pause.
    pub steady_after: Duration,
    /// The time between the end of a child's stdin and its being killed.
    pub kill_after: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            // It binds a socket and prints a line; ten at once on two busy cores take two seconds.
            announce_limit: Duration::from_secs(10),
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(10),
            steady_after: Duration::from_secs(30),
            // The child ends itself before: see `child::ORPHAN_GRACE`.
            kill_after: Duration::from_secs(3),
        }
    }
}

/// Why a child does not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The process cannot be made.
    #[error("cannot run `{}`: {reason}", program.display())]
    Spawn {
        /// What was run.
        program: PathBuf,
        /// Why it does not.
        reason: String,
    },
    /// Its birth cannot be told to it.
    #[error("cannot tell the child its birth: {reason}")]
    Birth {
        /// Why.
        reason: String,
    },
    /// It ended before it said where it listens.
    #[error("ended before it listened: {reason}")]
    EndedEarly {
        /// How it ended.
        reason: String,
    },
    /// It said something else.
    #[error("said `{line}` where it should say its address; is it the same version of `cleave`?")]
    NoAddress {
        /// What it said, cut.
        line: String,
    },
    /// It said nothing.
    #[error("did not say where it listens within {}", humantime::format_duration(*limit))]
    Silent {
        /// The limit.
        limit: Duration,
    },
    /// It was told to stop before it ran.
    #[error("was stopped before it listened")]
    Stopped,
}

/// What happens to a child's process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChildEvent {
    /// It runs and listens; also the first time.
    Started {
        /// The node.
        node: NodeName,
        /// Which start of its process this is.
        incarnation: u64,
        /// The process.
        pid: u32,
        /// Where it listens.
        address: SocketAddr,
    },
    /// It ended, or did not get as far as to listen again.
    Exited {
        /// The node.
        node: NodeName,
        /// The incarnation that ended.
        incarnation: u64,
        /// How.
        reason: String,
        /// The pause before it is started again; `None` when it was told to stop.
        again_in: Option<Duration>,
    },
}

/// A child's process as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildStatus {
    /// The process; `None` while it is down.
    pub pid: Option<u32>,
    /// Where it listens; `None` while it is down.
    pub address: Option<SocketAddr>,
    /// Which start of its process this is.
    pub incarnation: u64,
    /// When its process started.
    pub started_unix_ms: u64,
    /// How it ended the last time.
    pub last_error: Option<String>,
    /// Whether it was told to stop and has ended: nothing follows.
    pub ended: bool,
}

/// Starts and supervises children; clones share the count of incarnations.
#[derive(Debug, Clone)]
pub struct Children {
    program: Program,
    pace: Pace,
    tasks: Tasks,
    clock: Clock,
    events: mpsc::Sender<ChildEvent>,
    incarnations: Arc<Mutex<BTreeMap<NodeName, u64>>>,
}

/// A supervised child. Dropping it ends the process without grace.
#[derive(Debug)]
pub struct Child {
    node: NodeName,
    stop: watch::Sender<Option<Duration>>,
    kill: Arc<Notify>,
    papers: watch::Sender<Option<Papers>>,
    status: watch::Receiver<ChildStatus>,
}

impl Children {
    /// No children yet, and where their events come out: they must be read, or supervision waits.
    pub fn new(
        program: Program,
        pace: Pace,
        tasks: Tasks,
        clock: Clock,
    ) -> (Self, mpsc::Receiver<ChildEvent>) {
        let (events, out) = mpsc::channel(EVENTS_WAITING_MAX);
        let children = Self {
            program,
            pace,
            tasks,
            clock,
            events,
            incarnations: Arc::default(),
        };
        (children, out)
    }

    /// Starts a child; its birth's incarnation is set here. A child that does not begin to listen is not tried again.
    /// Dropping the future ends it.
    pub async fn start(&self, birth: Birth) -> Result<Child, Error> {
        let node = birth.node.clone();
        let (stop, stop_out) = watch::channel(None);
        let (papers, papers_out) = watch::channel(None);
        let (status, status_out) = watch::channel(ChildStatus {
            pid: None,
            address: None,
            incarnation: 0,
            started_unix_ms: 0,
            last_error: None,
            ended: false,
        });
        let kill = Arc::new(Notify::new());
        let child = Child {
            node,
            stop,
            kill: Arc::clone(&kill),
            papers,
            status: status_out,
        };
        let (first, begun) = oneshot::channel();
        let supervisor = Supervisor {
            children: self.clone(),
            birth,
            stop: stop_out,
            kill,
            papers: papers_out,
            status,
        };
        self.tasks.spawn("child", supervisor.run(first));
        match begun.await {
            Ok(Ok(())) => Ok(child),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::Stopped),
        }
    }

    fn next_incarnation(&self, node: &NodeName) -> u64 {
        let mut incarnations = self.incarnations.lock().unwrap_or_else(PoisonError::into_inner);
        let incarnation = incarnations.entry(node.clone()).or_default();
        *incarnation += 1;
        *incarnation
    }
}

impl Child {
    /// Its name.
    pub fn node(&self) -> &NodeName {
        &self.node
    }

    /// Its process as it is now.
    pub fn status(&self) -> ChildStatus {
        self.status.borrow().clone()
    }

    /// Kills its process, as a crash would; it starts again by itself. Whether there was one.
    pub fn kill(&self) -> bool {
        let runs = self.status.borrow().pid.is_some();
        if runs {
            self.kill.notify_one();
        }
        runs
    }

    /// From its next start on it is born with these papers. The running process gets them over the wire.
    pub fn set_papers(&self, papers: Papers) {
        self.papers.send_replace(Some(papers));
    }

    /// Ends it for good: it has `grace` to end by itself, as after a drain; then its stdin ends, then it is killed.
    /// Returns once it has ended.
    pub async fn stop(mut self, grace: Duration) {
        self.stop.send_replace(Some(grace));
        // An error means that its supervisor is gone, and with it the process.
        let _ = self.status.wait_for(|status| status.ended).await;
    }
}

/// Watches one child; a task of its own.
struct Supervisor {
    children: Children,
    birth: Birth,
    stop: watch::Receiver<Option<Duration>>,
    kill: Arc<Notify>,
    papers: watch::Receiver<Option<Papers>>,
    status: watch::Sender<ChildStatus>,
}

/// Why a running child is no more.
enum End {
    Exited(String),
    Stop(Duration),
}

impl Supervisor {
    async fn run(mut self, first: oneshot::Sender<Result<(), Error>>) {
        let mut first = Some(first);
        let mut backoff = Backoff::new(&self.children.pace);
        loop {
            self.birth.incarnation = self.children.next_incarnation(&self.birth.node);
            if let Some(papers) = self.papers.borrow_and_update().clone() {
                self.birth.authority_pem = papers.authority_pem;
                self.birth.certificate_pem = papers.certificate_pem;
                self.birth.key_pem = papers.key_pem;
            }
            let began = Instant::now();
            let started = tokio::select! {
                biased;
                _ = stopped(&mut self.stop, &self.children.tasks) => break,
                started = Process::start(&self.children, &self.birth) => started,
            };
            let end = match (started, first.take()) {
                (Err(error), Some(first)) => {
                    // Nobody waits for it any more when the start was dropped.
                    let _ = first.send(Err(error));
                    break;
                }
                (Err(error), None) => End::Exited(error.to_string()),
                (Ok(process), first) => {
                    self.show(&process);
                    if let Some(first) = first {
                        let _ = first.send(Ok(()));
                    }
                    self.watch(process).await
                }
            };
            let End::Exited(reason) = end else {
                break;
            };
            let pause = backoff.next(began.elapsed());
            self.report_exit(reason, Some(pause)).await;
            tokio::select! {
                biased;
                _ = stopped(&mut self.stop, &self.children.tasks) => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.status.send_modify(|status| {
            status.pid = None;
            status.address = None;
            status.ended = true;
        });
    }

    /// Waits until the process ends or is told to.
    async fn watch(&mut self, mut process: Process) -> End {
        let started = ChildEvent::Started {
            node: self.birth.node.clone(),
            incarnation: self.birth.incarnation,
            pid: process.pid,
            address: process.address,
        };
        self.emit(started).await;
        let mut is_killed = false;
        let end = loop {
            tokio::select! {
                biased;
                grace = stopped(&mut self.stop, &self.children.tasks) => break End::Stop(grace),
                reason = process.exited() => break End::Exited(match is_killed {
                    true => format!("killed by hand ({reason})"),
                    false => reason,
                }),
                () = self.kill.notified() => {
                    process.kill();
                    is_killed = true;
                }
            }
        };
        if let End::Stop(grace) = end {
            let reason = process.end(grace, self.children.pace.kill_after).await;
            self.report_exit(reason, None).await;
        }
        end
    }

    fn show(&self, process: &Process) {
        // A kill was for the process before this one, if that ended by itself in the same moment.
        let _ = self.kill.notified().now_or_never();
        let started_unix_ms = self.children.clock.unix_ms() as u64;
        self.status.send_modify(|status| {
            status.pid = Some(process.pid);
            status.address = Some(process.address);
            status.incarnation = self.birth.incarnation;
            status.started_unix_ms = started_unix_ms;
        });
    }

    async fn report_exit(&mut self, reason: String, again_in: Option<Duration>) {
        let node = self.birth.node.clone();
        self.status.send_modify(|status| {
            status.pid = None;
            status.address = None;
            status.last_error = again_in
                .is_some()
                .then(|| reason.clone())
                .or_else(|| status.last_error.take());
        });
        match again_in {
            Some(pause) => tracing::warn!(
                node.name = %node, "node `{node}` ended: {reason}; it starts again in {}",
                humantime::format_duration(pause)
            ),
            None => tracing::debug!(node.name = %node, "node `{node}` was ended: {reason}"),
        }
        let exited = ChildEvent::Exited {
            node,
            incarnation: self.birth.incarnation,
            reason,
            again_in,
        };
        self.emit(exited).await;
    }

    /// Waits for room among the events, unless everything ends.
    async fn emit(&self, event: ChildEvent) {
        tokio::select! {
            biased;
            sent = self.children.events.send(event) => drop(sent),
            () = self.children.tasks.cancelled() => {}
        }
    }
}

/// Resolves to the grace once the child was told to stop, was dropped, or everything ends.
async fn stopped(stop: &mut watch::Receiver<Option<Duration>>, tasks: &Tasks) -> Duration {
    tokio::select! {
        biased;
        told = stop.wait_for(Option::is_some) => told.ok().and_then(|grace| *grace).unwrap_or_default(),
        () = tasks.cancelled() => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests;
