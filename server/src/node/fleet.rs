//! `Nodes`: the fleet that the reconciler commands: home itself and its children, over control messages.

mod papers;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::api::chronicle::Happening;
use protocol::api::nodes::{Node, NodeState};
use protocol::control::{Birth, Control, Figures, NodeRoute, Routes};
use protocol::{HandlerName, NodeName};
use tokio::sync::{mpsc, oneshot, watch};

use super::chronicle::Chronicle;
use super::station::Station;
use crate::clock::Clock;
use crate::placement::usage;
use crate::placement::{Child, ChildEvent, Children, Fleet, NodeEvent, NodeSpec};
use crate::quic::{Authority, Quic};

/// A child that does not answer a control message for so long is given up for this step.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// What a child may take to finish its calls and to end.
const DRAIN_MAX: Duration = Duration::from_secs(15);

type Failed = Vec<(HandlerName, String)>;

/// Which answer a step waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Prepared(NodeName, u64),
    Ready(NodeName, u64),
}

/// What home knows of one child.
struct Held {
    child: Option<Child>,
    handlers: Vec<HandlerName>,
    figures: Figures,
    state: NodeState,
    first_incarnation: u64,
    /// When its papers were issued.
    papers_unix_ms: u64,
    /// Whether the chronicle has that it serves, since its process started.
    is_told: bool,
}

/// Home and its children.
pub(super) struct Nodes {
    pub(super) station: Arc<Station>,
    pub(super) authority: Authority,
    pub(super) children: Children,
    pub(super) cache: PathBuf,
    pub(super) sockets: PathBuf,
    pub(super) sampling: String,
    pub(super) arguments: bool,
    pub(super) started_unix_ms: u64,
    pub(super) chronicle: Arc<Chronicle>,
    clock: Clock,
    /// When home's own papers were issued, and when all are replaced.
    papers_unix_ms: AtomicU64,
    renewal_unix_ms: AtomicU64,
    held: Mutex<BTreeMap<NodeName, Held>>,
    waiting: Mutex<BTreeMap<Step, oneshot::Sender<Failed>>>,
    events: mpsc::Sender<NodeEvent>,
    changes: watch::Sender<u64>,
}

/// What a fleet is made of.
pub(super) struct Parts {
    pub(super) station: Arc<Station>,
    pub(super) authority: Authority,
    pub(super) children: Children,
    pub(super) cache: PathBuf,
    pub(super) sockets: PathBuf,
    pub(super) sampling: String,
    pub(super) arguments: bool,
    pub(super) clock: Clock,
}

impl Nodes {
    pub(super) fn new(parts: Parts) -> (Arc<Self>, mpsc::Receiver<NodeEvent>) {
        let (events, out) = mpsc::channel(256);
        let started_unix_ms = parts.clock.unix_ms() as u64;
        let nodes = Self {
            chronicle: Arc::new(Chronicle::new(parts.clock.clone())),
            clock: parts.clock,
            papers_unix_ms: AtomicU64::new(started_unix_ms),
            renewal_unix_ms: AtomicU64::new(0),
            station: parts.station,
            authority: parts.authority,
            children: parts.children,
            cache: parts.cache,
            sockets: parts.sockets,
            sampling: parts.sampling,
            arguments: parts.arguments,
            started_unix_ms,
            held: Mutex::default(),
            waiting: Mutex::default(),
            events,
            changes: watch::Sender::new(0),
        };
        (Arc::new(nodes), out)
    }

    fn quic(&self) -> &Arc<Quic> {
        &self.station.quic
    }

    /// Moves when a node starts, changes or ends.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn held<T>(&self, change: impl FnOnce(&mut BTreeMap<NodeName, Held>) -> T) -> T {
        let outcome = change(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner));
        self.changes.send_modify(|count| *count += 1);
        outcome
    }

    /// A child's answer or counters. Spans are not for here.
    pub(super) fn handle_control(&self, node: &NodeName, control: Control) {
        let (step, failed) = match control {
            Control::Prepared { generation, failed } => (Step::Prepared(node.clone(), generation), failed),
            Control::Ready { generation, failed } => (Step::Ready(node.clone(), generation), failed),
            Control::Figures(figures) => {
                self.held(|held| {
                    if let Some(held) = held.get_mut(node) {
                        held.figures = *figures;
                    }
                });
                return;
            }
            _ => return,
        };
        if let Some(answer) = self
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&step)
        {
            let _ = answer.send(failed);
        }
    }

    /// What happened to a child's process: peers hear of its end at once, the reconciler of both.
    pub(super) async fn handle_child(&self, event: ChildEvent) {
        match event {
            ChildEvent::Started {
                node,
                incarnation,
                address,
                pid,
            } => {
                let again = if incarnation > 1 {
                    "started again"
                } else {
                    "started"
                };
                self.chronicle
                    .node(&node, Happening::NodeStarted, format!("{again} as process {pid}"));
                let first = self.held(|held| {
                    let held = held.get_mut(&node)?;
                    held.state = NodeState::Ready;
                    Some(held.first_incarnation)
                });
                // The first start is answered by `start`.
                if first.is_some_and(|first| incarnation > first) {
                    let route = NodeRoute {
                        name: node,
                        address,
                        incarnation,
                    };
                    let _ = self.events.send(NodeEvent::Up(route)).await;
                }
            }
            ChildEvent::Exited {
                node,
                incarnation,
                reason,
                again_in,
            } => {
                self.quic().peer_down(&node, incarnation);
                let what = match again_in {
                    Some(_) => Happening::NodeDied,
                    None => Happening::NodeStopped,
                };
                self.chronicle.node(&node, what, reason.as_str());
                if again_in.is_some() {
                    tracing::warn!(node = %node, "node `{node}` ended: {reason}");
                    self.held(|held| {
                        if let Some(held) = held.get_mut(&node) {
                            held.state = NodeState::Down;
                            held.is_told = false;
                        }
                    });
                    let down = NodeEvent::Down {
                        node: node.clone(),
                        incarnation,
                        reason,
                    };
                    let _ = self.events.send(down).await;
                }
                self.tell_others(&node, incarnation);
            }
        }
    }

    fn tell_others(&self, gone: &NodeName, incarnation: u64) {
        for (node, address) in self.addresses().into_iter().filter(|(node, _)| node != gone) {
            let quic = Arc::clone(self.quic());
            let down = Control::PeerDown {
                node: gone.clone(),
                incarnation,
            };
            self.station.tasks.spawn("peer-down", async move {
                let _ = quic.send(&node, address, down).await;
            });
        }
    }

    fn addresses(&self) -> Vec<(NodeName, SocketAddr)> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter()
            .filter_map(|(name, held)| Some((name.clone(), held.child.as_ref()?.status().address?)))
            .collect()
    }

    /// Kills a child's process, as a crash would; whether one runs.
    pub(super) fn kill(&self, node: &NodeName) -> bool {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(node)
            .and_then(|held| held.child.as_ref())
            .is_some_and(Child::kill)
    }

    async fn ask(&self, route: &NodeRoute, step: Step, control: Control) -> Result<Failed, String> {
        let (sender, answer) = oneshot::channel();
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(step.clone(), sender);
        let asked = async {
            let sent = self.quic().send(&route.name, route.address, control).await;
            sent.map_err(|error| error.to_string())?;
            answer.await.map_err(|_| "another step took its place".to_owned())
        };
        let outcome = tokio::time::timeout(ANSWER_MAX, asked).await;
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&step);
        outcome.unwrap_or_else(|_| {
            Err(format!(
                "node `{}` did not answer within {ANSWER_MAX:?}",
                route.name
            ))
        })
    }

    /// The nodes as the API shows them: home first.
    pub(super) fn list(&self, handlers_of_home: Vec<HandlerName>) -> Vec<Node> {
        let (sent, received) = self.quic().bytes();
        let usage = usage::own().unwrap_or_default();
        let home = Node {
            name: NodeName::home(),
            state: NodeState::Ready,
            pid: std::process::id(),
            address: Some(self.quic().local_addr().to_string()),
            incarnation: 1,
            handlers: handlers_of_home,
            started_unix_ms: self.started_unix_ms,
            cpu_seconds: usage.cpu_seconds,
            resident_bytes: usage.resident_bytes,
            quic_bytes_sent: sent,
            quic_bytes_received: received,
            papers: Some(self.own_papers()),
            last_error: None,
        };
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let children = held.iter().filter_map(|(name, held)| {
            let status = held.child.as_ref()?.status();
            let usage = status.pid.and_then(usage::of).unwrap_or_default();
            Some(Node {
                name: name.clone(),
                state: if status.pid.is_none() {
                    NodeState::Down
                } else {
                    held.state
                },
                pid: status.pid.unwrap_or(0),
                address: status.address.map(|address| address.to_string()),
                incarnation: status.incarnation,
                handlers: held.handlers.clone(),
                started_unix_ms: status.started_unix_ms,
                cpu_seconds: usage.cpu_seconds,
                resident_bytes: usage.resident_bytes,
                quic_bytes_sent: held.figures.quic_bytes_sent,
                quic_bytes_received: held.figures.quic_bytes_received,
                papers: Some(self.papers(held.papers_unix_ms)),
                last_error: status.last_error,
            })
        });
        std::iter::once(home).chain(children).collect()
    }

    /// Children's instances by handler.
    pub(super) fn instances(&self) -> Vec<(HandlerName, protocol::control::InstanceFigures)> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.values()
            .flat_map(|held| held.figures.instances.clone())
            .collect()
    }

    /// Which start of its process a child is in.
    pub(super) fn incarnation(&self, node: &NodeName) -> u64 {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(node)
            .and_then(|held| held.child.as_ref())
            .map_or(0, |child| child.status().incarnation)
    }

    /// Ends every child: those that answer drain first.
    pub(super) async fn drain_all(&self) {
        let names: Vec<_> = self.addresses().into_iter().map(|(name, _)| name).collect();
        futures_util::future::join_all(names.into_iter().map(|name| self.drain(name))).await;
    }
}

impl Fleet for Nodes {
    async fn start(&self, spec: NodeSpec) -> Result<NodeRoute, String> {
        let identity = self
            .authority
            .issue(&spec.name)
            .map_err(|error| error.to_string())?;
        let birth = Birth {
            node: spec.name.clone(),
            incarnation: 0,
            home: self.quic().local_addr(),
            authority_pem: identity.authority_pem,
            certificate_pem: identity.certificate_pem,
            key_pem: identity.key_pem,
            cache: self.cache.clone(),
            sockets: self.sockets.clone(),
            sampling: self.sampling.clone(),
            arguments: self.arguments,
        };
        let child = self
            .children
            .start(birth)
            .await
            .map_err(|error| error.to_string())?;
        let status = child.status();
        let address = status
            .address
            .ok_or_else(|| "it ended as soon as it had started".to_owned())?;
        let route = NodeRoute {
            name: spec.name.clone(),
            address,
            incarnation: status.incarnation,
        };
        self.held(|held| {
            let state = NodeState::Starting;
            let first_incarnation = status.incarnation;
            let papers_unix_ms = self.now_ms();
            let (child, handlers) = (Some(child), spec.handlers);
            held.insert(
                spec.name,
                Held {
                    child,
                    handlers,
                    figures: Figures::default(),
                    state,
                    first_incarnation,
                    papers_unix_ms,
                    is_told: false,
                },
            )
        });
        Ok(route)
    }

    async fn prepare(&self, node: NodeRoute, routes: Arc<Routes>) -> Result<Failed, String> {
        if node.name == self.station.node {
            return Ok(self.station.prepare(&routes));
        }
        // A new node begins where the others are: nodes that leave with the next routes may still call it by them, in
        // the name of handlers that only the routes in force assign to them.
        let in_force = Arc::clone(&self.station.routes.lock().unwrap_or_else(PoisonError::into_inner));
        if in_force.generation > 0 {
            let in_force = Control::Routes(Box::new(Routes::clone(&in_force)));
            let sent = self.quic().send(&node.name, node.address, in_force).await;
            sent.map_err(|error| error.to_string())?;
        }
        let step = Step::Prepared(node.name.clone(), routes.generation);
        let failed = self
            .ask(&node, step, Control::Prepare(Box::new(Routes::clone(&routes))))
            .await?;
        let is_new = self.held(|held| {
            let held = held.get_mut(&node.name)?;
            held.state = NodeState::Ready;
            held.handlers = served_by(&routes, &node.name);
            (!std::mem::replace(&mut held.is_told, true)).then(|| held.handlers.clone())
        });
        if let Some(handlers) = is_new {
            let names: Vec<&str> = handlers.iter().map(HandlerName::as_str).collect();
            let text = format!("serves {}", names.join(", "));
            self.chronicle.node(&node.name, Happening::NodeReady, text);
        }
        Ok(failed)
    }

    async fn publish(&self, routes: Arc<Routes>) {
        // After a move that was given up home may hold other versions than these routes name.
        self.station.prepare(&routes);
        self.station.apply(&routes);
        let tell = self.addresses().into_iter().map(|(name, address)| {
            let routes = Arc::clone(&routes);
            async move {
                let step = Step::Ready(name.clone(), routes.generation);
                let incarnation = self.incarnation(&name);
                let route = NodeRoute { name, address, incarnation };
                if let Err(reason) = self.ask(&route, step, Control::Routes(Box::new(Routes::clone(&routes)))).await {
                    tracing::warn!(node = %route.name, "node `{}` did not take the new routes: {reason}", route.name);
                }
            }
        });
        futures_util::future::join_all(tell).await;
        self.held(|held| {
            for (name, held) in held.iter_mut() {
                held.handlers = served_by(&routes, name);
            }
        });
    }

    async fn drain(&self, node: NodeName) {
        let child = self.held(|held| {
            let held = held.get_mut(&node)?;
            held.state = NodeState::Draining;
            held.child.as_ref().and_then(|child| child.status().address)
        });
        self.chronicle
            .node(&node, Happening::NodeDraining, "finishes its calls");
        if let Some(address) = child {
            let _ = self.quic().send(&node, address, Control::Drain).await;
        }
        let child = self.held(|held| held.get_mut(&node).and_then(|held| held.child.take()));
        if let Some(child) = child {
            child.stop(DRAIN_MAX).await;
        }
        self.held(|held| held.remove(&node));
    }
}

fn served_by(routes: &Routes, node: &NodeName) -> Vec<HandlerName> {
    routes
        .handlers
        .iter()
        .filter(|handler| handler.node == *node)
        .map(|handler| handler.name.clone())
        .collect()
}
