//! `RouteTable`: an immutable snapshot of who serves what, replaced whole.
//!
//! Built from home's [`Routes`] and the dispatchers of the nodes; resolving takes no lock and, for a known interface name,
//! allocates nothing. Which of several nodes a call goes to is in `replica`. What a line resolved is kept here, so that it
//! goes with the table.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use protocol::control::Routes;
use protocol::ladder::Course;
use protocol::{CallError, ErrorCode, HandlerName, InterfaceName, NodeName, Transport, edge_name};
use rustc_hash::FxHashMap;

use super::replica::Replicas;
use crate::dispatch::{Call, Dispatcher};
use crate::edges::EdgeCell;

/// The built-in interfaces, by semver track.
const STATE: &str = "cleave:state/store@0.1";
const QUEUE: &str = "cleave:queue/queue@0.1";

/// One place that serves a name.
#[derive(Clone)]
pub struct Target {
    /// Who carries calls there.
    pub dispatcher: Dispatcher,
    /// The way they go.
    pub transport: Transport,
}

/// Where a call goes.
pub(super) struct Resolved<'t> {
    /// The handler that serves it, as edges and spans name it.
    pub(super) callee: &'t HandlerName,
    /// The handler that the target is asked for: the callee, or `queue`.
    pub(super) handler: &'t HandlerName,
    /// The nodes that serve it.
    pub(super) replicas: &'t Arc<Replicas>,
    /// The shorter of the times that edge and callee give their calls, where they are configured.
    pub(super) timeout: Option<Duration>,
}

/// Where the calls of an edge go, resolved in one table.
pub(super) struct Route {
    /// The handler that serves them, as edges and spans name it.
    pub(super) callee: HandlerName,
    /// The handler that the target is asked for: the callee, or `queue`.
    pub(super) handler: HandlerName,
    pub(super) replicas: Arc<Replicas>,
    /// The callee's own line for our calls, where one node serves it and has one.
    pub(super) through: Option<Target>,
    pub(super) timeout: Option<Duration>,
    /// Where the edge's calls are counted.
    pub(super) cell: Arc<EdgeCell>,
    pub(super) placement: Arc<str>,
    /// The version of the table.
    pub(super) version: u64,
    /// The edge as spans name it, once a sampled call came.
    pub(super) edge: OnceLock<Arc<str>>,
}

impl Route {
    /// `checkout -> shop:email/email`.
    pub(super) fn edge(&self, caller: &HandlerName, interface: &InterfaceName) -> &Arc<str> {
        self.edge.get_or_init(|| edge_name(caller, interface).into())
    }
}

/// A handler that is served.
#[derive(Default)]
struct Served {
    replicas: Arc<Replicas>,
    timeout: Option<Duration>,
}

/// An edge that goes through a queue.
struct QueuedRoute {
    callee: HandlerName,
    queue: HandlerName,
    replicas: Arc<Replicas>,
}

/// An edge with a way of its own.
struct OwnWay {
    callee: HandlerName,
    replicas: Arc<Replicas>,
}

/// Something of a caller's edges, by the interface's exact name where it is known, and by its semver track.
type ByEdge<T> = FxHashMap<HandlerName, FxHashMap<String, T>>;

/// Name → where it is served.
#[derive(Default)]
pub struct RouteTable {
    generation: u64,
    /// Unlike that of every other table that was built in this process; 0 for the empty one.
    version: u64,
    placement: Arc<str>,
    handlers: FxHashMap<HandlerName, Served>,
    /// By exact name, for every version that a provider exports, and by semver track.
    interfaces: FxHashMap<String, Arc<[HandlerName]>>,
    queued: ByEdge<Arc<QueuedRoute>>,
    timeouts: ByEdge<Duration>,
    /// Edges that go otherwise than others to the same handler.
    own_ways: Vec<OwnWay>,
    own_way_of: ByEdge<usize>,
    /// What lines resolved, one each: they hold it weakly, so that who is not served any more is let go of.
    kept: Mutex<Vec<Arc<Route>>>,
}

impl RouteTable {
    /// Builds the table of one node. `target` gives the dispatcher of a node by a way, or `None` where it cannot be reached.
    /// Home serves the built-in interfaces and takes the calls along queued edges.
    pub fn build(routes: &Routes, target: impl Fn(&NodeName, &Course) -> Option<Target>) -> Self {
        static BUILT: AtomicU64 = AtomicU64::new(0);
        let node = |name: &NodeName| target(name, &routes.course);
        let mut table = Self {
            generation: routes.generation,
            version: BUILT.fetch_add(1, Ordering::Relaxed) + 1,
            placement: Arc::from(routes.placement.as_str()),
            ..Self::default()
        };
        for handler in &routes.handlers {
            if let Some(target) = node(&handler.node) {
                let served = table.handlers.entry(handler.name.clone()).or_default();
                served.timeout = handler.limits.timeout_ms.map(Duration::from_millis);
                served.replicas_mut().push(&handler.node, target);
            }
        }
        for affinity in &routes.affinities {
            if let Some(served) = table.handlers.get_mut(&affinity.handler) {
                served.replicas_mut().set_affinity(affinity);
            }
        }
        let home = node(&NodeName::home());
        for (built_in, name) in [(STATE, HandlerName::state()), (QUEUE, HandlerName::queue())] {
            table
                .interfaces
                .insert(built_in.to_owned(), Arc::from([name.clone()]));
            if let Some(home) = &home {
                let mut served = Served::default();
                served.replicas_mut().push(&NodeName::home(), home.clone());
                table.handlers.insert(name, served);
            }
        }
        for route in &routes.interfaces {
            let providers: Arc<[HandlerName]> = route.providers.clone().into();
            for key in keys(&route.interface) {
                table.interfaces.insert(key, Arc::clone(&providers));
            }
        }
        for edge in &routes.queued {
            if let (Some(callee), Some(home)) = (table.provider(&edge.caller, &edge.interface), &home) {
                let mut replicas = Replicas::default();
                let target = Target {
                    transport: Transport::Queue,
                    ..home.clone()
                };
                replicas.push(&NodeName::home(), target);
                let route = Arc::new(QueuedRoute {
                    callee: callee.clone(),
                    queue: HandlerName::queue(),
                    replicas: Arc::new(replicas),
                });
                insert(&mut table.queued, (&edge.caller, &edge.interface), &route);
            }
        }
        for edge in &routes.edge_timeouts {
            let timeout = Duration::from_millis(edge.timeout_ms);
            insert(&mut table.timeouts, (&edge.caller, &edge.interface), &timeout);
        }
        table.add_courses(routes, target);
        table
    }

    /// Gives the edges that have a way of their own their own dispatchers.
    fn add_courses(&mut self, routes: &Routes, target: impl Fn(&NodeName, &Course) -> Option<Target>) {
        for edge in routes
            .edge_courses
            .iter()
            .filter(|edge| edge.course != routes.course)
        {
            let Some(callee) = self.provider(&edge.caller, &edge.interface).cloned() else {
                continue;
            };
            let Some(served) = self.handlers.get(&callee) else {
                continue;
            };
            let replicas = served.replicas.by(|node| target(node, &edge.course));
            let place = self.own_ways.len();
            self.own_ways.push(OwnWay {
                callee,
                replicas: Arc::new(replicas),
            });
            insert(&mut self.own_way_of, (&edge.caller, &edge.interface), &place);
        }
    }

    /// Goes on counting the calls under way that an older table routed.
    #[must_use]
    pub(super) fn after(mut self, older: &Self) -> Self {
        for (name, served) in &mut self.handlers {
            if let Some(before) = older.handlers.get(name) {
                served.replicas_mut().inherit(&before.replicas);
            }
        }
        for own in &mut self.own_ways {
            if let Some(served) = self.handlers.get(&own.callee) {
                let replicas = Arc::get_mut(&mut own.replicas);
                replicas
                    .expect("nobody shares the routes of a table that is being built")
                    .inherit(&served.replicas);
            }
        }
        self
    }

    /// The generation of the routes that it was built from.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What tells this table from every other one.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Keeps what a line resolved for as long as the table is in force.
    pub(super) fn keep(&self, route: &Arc<Route>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(Arc::clone(route));
    }

    /// The placement in force.
    pub fn placement(&self) -> &Arc<str> {
        &self.placement
    }

    /// The handler that serves an interface to a caller: the first provider that is not the caller itself.
    pub fn provider(&self, caller: &HandlerName, interface: &InterfaceName) -> Option<&HandlerName> {
        let providers = match self.interfaces.get(interface.as_str()) {
            Some(providers) => providers,
            None => self.interfaces.get(&interface.track())?,
        };
        providers.iter().find(|name| *name != caller)
    }

    pub(super) fn resolve(&self, call: &Call) -> Result<Resolved<'_>, CallError> {
        let interface = &call.function.interface;
        if let Some(name) = &call.handler {
            let (handler, served) = self.handlers.get_key_value(name).ok_or_else(|| {
                let message =
                    format!("no handler `{name}` is served; `cleave ls handlers` lists those that are");
                CallError::new(ErrorCode::NotFound, message)
            })?;
            return Ok(self.called(call, handler, served));
        }
        if let Some(route) = find(&self.queued, &call.caller, interface) {
            return Ok(Resolved {
                callee: &route.callee,
                handler: &route.queue,
                replicas: &route.replicas,
                timeout: None,
            });
        }
        let callee = self.provider(&call.caller, interface).ok_or_else(|| {
            let message = format!(
                "nobody serves `{interface}`; drop a component that exports it into the handlers folder"
            );
            CallError::new(ErrorCode::NotFound, message)
        })?;
        let served = self.handlers.get(callee).ok_or_else(|| down(callee))?;
        Ok(self.called(call, callee, served))
    }

    fn called<'t>(&'t self, call: &Call, callee: &'t HandlerName, served: &'t Served) -> Resolved<'t> {
        let edge = find(&self.timeouts, &call.caller, &call.function.interface).copied();
        let own = find(&self.own_way_of, &call.caller, &call.function.interface);
        let own = own.and_then(|place| self.own_ways.get(*place));
        let own = own.filter(|own| own.callee == *callee);
        Resolved {
            callee,
            handler: callee,
            replicas: own.map_or(&served.replicas, |own| &own.replicas),
            timeout: edge.into_iter().chain(served.timeout).min(),
        }
    }
}

impl Served {
    /// The replicas of a table that is being built.
    fn replicas_mut(&mut self) -> &mut Replicas {
        Arc::get_mut(&mut self.replicas).expect("nobody shares the routes of a table that is being built")
    }
}

pub(super) fn down(callee: &HandlerName) -> CallError {
    let message = format!("`{callee}` is down, its node is starting again");
    CallError::new(ErrorCode::Unreachable, message)
}

/// The names under which an interface is looked up.
pub(super) fn keys(interface: &InterfaceName) -> [String; 2] {
    [interface.as_str().to_owned(), interface.track()]
}

fn insert<T: Clone>(edges: &mut ByEdge<T>, (caller, interface): (&HandlerName, &InterfaceName), value: &T) {
    let of_caller = edges.entry(caller.clone()).or_default();
    of_caller.extend(keys(interface).map(|key| (key, value.clone())));
}

fn find<'e, T>(edges: &'e ByEdge<T>, caller: &HandlerName, interface: &InterfaceName) -> Option<&'e T> {
    let of_caller = edges.get(caller)?;
    of_caller
        .get(interface.as_str())
        .or_else(|| of_caller.get(&interface.track()))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bytes::Bytes;
    use protocol::control::{EdgeTimeout, HandlerRoute, InterfaceRoute, Limits, QueuedEdge};
    use protocol::{FunctionPath, QueueName};

    use super::*;
    use crate::dispatch::{Dispatch, Reply, ReplyFuture};
    use crate::telemetry::{Sampler, Sampling};

    struct Nobody;

    impl Dispatch for Nobody {
        fn dispatch(&self, _: Call) -> ReplyFuture<'_> {
            Box::pin(async { Ok(Reply::new(Bytes::new())) })
        }
    }

    fn name(text: &str) -> HandlerName {
        HandlerName::parse(text).unwrap()
    }

    fn interface(text: &str) -> InterfaceName {
        InterfaceName::parse(text).unwrap()
    }

    fn call(caller: &str, handler: Option<&str>, to: &str) -> Call {
        Call {
            caller: name(caller),
            handler: handler.map(name),
            function: Arc::new(FunctionPath::new(interface(to), "f")),
            type_hash: None,
            args: Bytes::new(),
            deadline: Instant::now(),
            trace: Sampler::new(Sampling::Off).head(None),
            hop: 0,
            lift_ns: 0,
        }
    }

    fn table() -> RouteTable {
        let handler = |text: &str| HandlerRoute {
            name: name(text),
            node: NodeName::home(),
            artifact: String::new(),
            http: false,
            limits: Limits::default(),
            grants: Default::default(),
        };
        let routes = Routes {
            handlers: ["audit", "email", "checkout"].map(handler).into(),
            interfaces: vec![
                InterfaceRoute {
                    interface: interface("shop:email/email@0.1.3"),
                    providers: vec![name("audit"), name("email")],
                },
                InterfaceRoute {
                    interface: interface("shop:gone/gone"),
                    providers: vec![name("gone")],
                },
            ],
            queued: vec![QueuedEdge {
                caller: name("checkout"),
                interface: interface("shop:email/email@0.1.0"),
                queue: QueueName::parse("checkout.audit").unwrap(),
            }],
            edge_timeouts: vec![EdgeTimeout {
                caller: name("cli"),
                interface: interface("shop:email/email@0.1.0"),
                timeout_ms: 250,
            }],
            ..Routes::default()
        };
        let target = Target {
            dispatcher: Arc::new(Nobody),
            transport: Transport::Direct,
        };
        RouteTable::build(&routes, |_, _| Some(target.clone()))
    }

    #[test]
    fn a_handler_never_resolves_to_itself() {
        let table = table();
        let resolved = table
            .resolve(&call("cli", None, "shop:email/email@0.1.3"))
            .unwrap();
        assert_eq!(resolved.callee.as_str(), "audit");
        let resolved = table
            .resolve(&call("audit", None, "shop:email/email@0.1.3"))
            .unwrap();
        assert_eq!(resolved.callee.as_str(), "email");
    }

    #[test]
    fn versions_of_a_track_stand_for_one_another() {
        let table = table();
        assert!(
            table
                .resolve(&call("cli", None, "shop:email/email@0.1.0"))
                .is_ok()
        );
        assert!(
            table
                .resolve(&call("cli", None, "shop:email/email@0.2.0"))
                .is_err()
        );
    }

    #[test]
    fn a_queued_edge_goes_to_the_queue_and_keeps_its_callee() {
        let table = table();
        let resolved = table
            .resolve(&call("checkout", None, "shop:email/email@0.1.3"))
            .unwrap();
        assert_eq!(
            (resolved.callee.as_str(), resolved.handler.as_str()),
            ("audit", "queue")
        );
        let letter = call("checkout", None, "shop:email/email@0.1.3");
        let (target, _) = resolved.replicas.choose(&letter).unwrap();
        assert_eq!(target.transport, Transport::Queue);
    }

    #[test]
    fn a_named_handler_is_taken_at_its_word_and_failures_are_told_apart() {
        let table = table();
        let resolved = table
            .resolve(&call("cli", Some("email"), "shop:email/email"))
            .unwrap();
        assert_eq!(resolved.callee.as_str(), "email");
        let code = |call: &Call| table.resolve(call).err().map(|error| error.code);
        assert_eq!(
            code(&call("cli", Some("nobody"), "a:b/c")),
            Some(ErrorCode::NotFound)
        );
        assert_eq!(code(&call("cli", None, "a:b/c")), Some(ErrorCode::NotFound));
        assert_eq!(
            code(&call("cli", None, "shop:gone/gone")),
            Some(ErrorCode::Unreachable)
        );
    }

    #[test]
    fn an_edge_s_timeout_is_its_own() {
        let table = table();
        let timeout = |caller: &str, handler: Option<&str>, to: &str| {
            table.resolve(&call(caller, handler, to)).unwrap().timeout
        };
        let expected = Some(Duration::from_millis(250));
        assert_eq!(timeout("cli", None, "shop:email/email@0.1.3"), expected);
        assert_eq!(timeout("cli", Some("email"), "shop:email/email@0.1.3"), expected);
        assert_eq!(timeout("audit", None, "shop:email/email@0.1.3"), None);
        assert_eq!(timeout("checkout", None, "shop:email/email@0.1.3"), None);
    }
}
