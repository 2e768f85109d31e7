//! `RouteTable`: an immutable snapshot of who serves what, replaced whole.
//!
//! Built from home's [`Routes`] and the dispatchers of the nodes; resolving takes no lock and, for a known interface name,
//! allocates nothing.

use std::collections::HashMap;
use std::sync::Arc;

use protocol::control::Routes;
use protocol::{CallError, ErrorCode, HandlerName, InterfaceName, NodeName, Transport};

use crate::dispatch::{Call, Dispatcher};

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
    pub(super) target: &'t Target,
}

/// Name → where it is served.
#[derive(Default)]
pub struct RouteTable {
    generation: u64,
    placement: Arc<str>,
    handlers: HashMap<HandlerName, Target>,
    /// By exact name, for every version that a provider exports, and by semver track.
    interfaces: HashMap<String, Arc<[HandlerName]>>,
    queued: HashMap<(HandlerName, String), (HandlerName, Target)>,
    queue: Option<HandlerName>,
}

impl RouteTable {
    /// Builds the table of one node. `node` gives the dispatcher of a node, or `None` for one that cannot be reached.
    /// Home serves the built-in interfaces and takes the calls along queued edges.
    pub fn build(
        routes: &Routes,
        node: impl Fn(&NodeName) -> Option<Target>,
    ) -> Self {
        let mut handlers: HashMap<_, _> = routes
            .handlers
            .iter()
            .filter_map(|handler| Some((handler.name.clone(), node(&handler.node)?)))
            .collect();
        let mut interfaces: HashMap<String, Arc<[HandlerName]>> = HashMap::new();
        let queue = node(&NodeName::home());
        for (built_in, name) in [(STATE, HandlerName::state()), (QUEUE, HandlerName::queue())] {
            interfaces.insert(built_in.to_owned(), Arc::from([name.clone()]));
            if let Some(home) = &queue {
                handlers.insert(name, home.clone());
            }
        }
        for route in &routes.interfaces {
            let providers: Arc<[HandlerName]> = route.providers.clone().into();
            interfaces.insert(route.interface.as_str().to_owned(), Arc::clone(&providers));
            interfaces.insert(route.interface.track(), providers);
        }
        let mut queued = HashMap::new();
        for edge in &routes.queued {
            let providers = interfaces.get(&edge.interface.track());
            let callee = providers.and_then(|names| names.iter().find(|name| **name != edge.caller));
            if let (Some(callee), Some(target)) = (callee, &queue) {
                let target = Target { transport: Transport::Queue, ..target.clone() };
                queued.insert((edge.caller.clone(), edge.interface.track()), (callee.clone(), target));
            }
        }
        Self {
            generation: routes.generation,
            placement: Arc::from(routes.placement.as_str()),
            handlers,
            interfaces,
            queued,
            queue: Some(HandlerName::queue()),
        }
    }

    /// The generation of the routes that it was built from.
    pub fn generation(&self) -> u64 {
        self.generation
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
        if let Some(name) = &call.handler {
            let (handler, target) = self.handlers.get_key_value(name).ok_or_else(|| {
                let message = format!("no handler `{name}` is served; `cleave ls handlers` lists those that are");
                CallError::new(ErrorCode::NotFound, message)
            })?;
            return Ok(Resolved { callee: handler, handler, target });
        }
        let interface = &call.function.interface;
        if !self.queued.is_empty()
            && let Some((callee, target)) = self.queued.get(&(call.caller.clone(), interface.track()))
            && let Some(queue) = &self.queue
        {
            return Ok(Resolved { callee, handler: queue, target });
        }
        let callee = self.provider(&call.caller, interface).ok_or_else(|| {
            let message = format!("nobody serves `{interface}`; drop a component that exports it into the handlers folder");
            CallError::new(ErrorCode::NotFound, message)
        })?;
        let target = self.handlers.get(callee).ok_or_else(|| {
            CallError::new(ErrorCode::Unreachable, format!("`{callee}` is down, its node is starting again"))
        })?;
        Ok(Resolved { callee, handler: callee, target })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bytes::Bytes;
    use protocol::control::{HandlerRoute, InterfaceRoute, Limits, QueuedEdge};
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
        };
        let routes = Routes {
            handlers: ["audit", "email", "checkout"].map(handler).into(),
            interfaces: vec![
                InterfaceRoute {
                    interface: interface("shop:email/email@0.1.3"),
                    providers: vec![name("audit"), name("email")],
                },
                InterfaceRoute { interface: interface("shop:gone/gone"), providers: vec![name("gone")] },
            ],
            queued: vec![QueuedEdge {
                caller: name("checkout"),
                interface: interface("shop:email/email@0.1.0"),
                queue: QueueName::parse("checkout.audit").unwrap(),
            }],
            ..Routes::default()
        };
        let target = Target { dispatcher: Arc::new(Nobody), transport: Transport::Direct };
        RouteTable::build(&routes, |_| Some(target.clone()))
    }

    #[test]
    fn a_handler_never_resolves_to_itself() {
        let table = table();
        let resolved = table.resolve(&call("cli", None, "shop:email/email@0.1.3")).unwrap();
        assert_eq!(resolved.callee.as_str(), "audit");
        let resolved = table.resolve(&call("audit", None, "shop:email/email@0.1.3")).unwrap();
        assert_eq!(resolved.callee.as_str(), "email");
    }

    #[test]
    fn versions_of_a_track_stand_for_one_another() {
        let table = table();
        assert!(table.resolve(&call("cli", None, "shop:email/email@0.1.0")).is_ok());
        assert!(table.resolve(&call("cli", None, "shop:email/email@0.2.0")).is_err());
    }

    #[test]
    fn a_queued_edge_goes_to_the_queue_and_keeps_its_callee() {
        let table = table();
        let resolved = table.resolve(&call("checkout", None, "shop:email/email@0.1.3")).unwrap();
        assert_eq!((resolved.callee.as_str(), resolved.handler.as_str()), ("audit", "queue"));
        assert_eq!(resolved.target.transport, Transport::Queue);
    }

    #[test]
    fn a_named_handler_is_taken_at_its_word_and_failures_are_told_apart() {
        let table = table();
        let resolved = table.resolve(&call("cli", Some("email"), "shop:email/email")).unwrap();
        assert_eq!(resolved.callee.as_str(), "email");
        let code = |call: &Call| table.resolve(call).err().map(|error| error.code);
        assert_eq!(code(&call("cli", Some("nobody"), "a:b/c")), Some(ErrorCode::NotFound));
        assert_eq!(code(&call("cli", None, "a:b/c")), Some(ErrorCode::NotFound));
        assert_eq!(code(&call("cli", None, "shop:gone/gone")), Some(ErrorCode::Unreachable));
    }
}
