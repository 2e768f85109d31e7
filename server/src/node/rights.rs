//! `Rights`: in whose name other nodes may call here, and what those callers may call.
//!
//! Both follow from home's routes: which node serves which handler, what each handler imports, and who serves that. Beside
//! the routes in force, those that are being prepared count, and those of a while ago, because nodes do not swap at one
//! moment and a call of an older version ends in its own time. Purely worked out; the endpoint is told.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use protocol::control::Routes;
use protocol::{HandlerName, NodeName, builtin};

use crate::quic::{Permissions, Quic};

/// How long the rights of older routes hold: what a call by them may go on for.
pub(super) const RIGHTS_LINGER: Duration = Duration::from_secs(60);
/// Older routes that are kept at most: changes come in bursts, and each of these is worked out at every further one.
const OLDER_MAX: usize = 16;

/// Who may call what, by all routes that count.
#[derive(Debug, Default)]
pub(super) struct Rights {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    prepared: Option<Arc<Routes>>,
    in_force: Arc<Routes>,
    /// With the moment at which newer ones took their place.
    older: VecDeque<(Instant, Arc<Routes>)>,
}

impl Rights {
    /// Lets those call who will by routes that others may follow before this node does.
    pub(super) fn prepare(&self, quic: &Quic, routes: &Routes) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if says_the_same(&held.in_force, routes) {
            return;
        }
        held.prepared = Some(Arc::new(routes.clone()));
        tell(quic, &held);
    }

    /// These are in force from now on.
    pub(super) fn apply(&self, quic: &Quic, routes: &Arc<Routes>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.prepared = None;
        let now = Instant::now();
        let before = std::mem::replace(&mut held.in_force, Arc::clone(routes));
        if !says_the_same(&before, routes) {
            held.older.push_back((now, before));
        }
        held.let_go(now);
        tell(quic, &held);
    }

    /// Forgets what is too old.
    pub(super) fn settle(&self, quic: &Quic) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.let_go(Instant::now());
        tell(quic, &held);
    }
}

impl Held {
    fn let_go(&mut self, now: Instant) {
        let is_old = |replaced: &Instant| now.saturating_duration_since(*replaced) >= RIGHTS_LINGER;
        while self.older.len() > OLDER_MAX || self.older.front().is_some_and(|(at, _)| is_old(at)) {
            self.older.pop_front();
        }
    }

    fn all(&self) -> impl Iterator<Item = &Routes> {
        let older = self.older.iter().map(|(_, routes)| routes);
        older
            .chain([&self.in_force])
            .chain(&self.prepared)
            .map(AsRef::as_ref)
    }
}

fn says_the_same(one: &Routes, other: &Routes) -> bool {
    let who = |routes: &Routes| {
        let handlers = routes.handlers.iter();
        handlers
            .map(|handler| (handler.name.clone(), handler.node.clone()))
            .collect::<Vec<_>>()
    };
    one.permissions == other.permissions
        && one.interfaces == other.interfaces
        && one.queued == other.queued
        && who(one) == who(other)
}

fn tell(quic: &Quic, held: &Held) {
    let mut permissions = Permissions::default();
    held.all().for_each(|routes| permit(routes, &mut permissions));
    quic.set_permissions(permissions);
    for (node, names) in callers(held.all()) {
        if *node != *quic.node() {
            quic.set_callers(node, names);
        }
    }
}

/// The handlers in whose name each node may call: those that it serves.
fn callers<'r>(routes: impl Iterator<Item = &'r Routes>) -> HashMap<&'r NodeName, HashSet<HandlerName>> {
    let mut callers: HashMap<&NodeName, HashSet<HandlerName>> = HashMap::new();
    for routes in routes {
        for node in &routes.nodes {
            callers.entry(&node.name).or_default();
        }
        for handler in &routes.handlers {
            let names = callers.entry(&handler.node).or_default();
            names.insert(handler.name.clone());
        }
    }
    callers
}

/// Adds what each handler may call by these routes, at whoever serves it to them: another handler, the queue that stands
/// before it, or the platform itself.
fn permit(routes: &Routes, permissions: &mut Permissions) {
    let (state, queue) = (HandlerName::state(), HandlerName::queue());
    let providers: HashMap<String, &[HandlerName]> = routes
        .interfaces
        .iter()
        .map(|route| (route.interface.track(), route.providers.as_slice()))
        .collect();
    let queued: HashSet<(&HandlerName, String)> = routes
        .queued
        .iter()
        .map(|edge| (&edge.caller, edge.interface.track()))
        .collect();
    for permission in &routes.permissions {
        let caller = &permission.caller;
        for function in &permission.functions {
            let interface = function.interface.as_str();
            let track = function.interface.track();
            if interface == builtin::state::INTERFACE {
                permissions.allow(caller, &state, function);
            } else if interface == builtin::queue::INTERFACE {
                permissions.allow(caller, &queue, function);
            }
            let serving = providers.get(&track).copied().unwrap_or_default();
            if let Some(callee) = serving.iter().find(|name| *name != caller) {
                permissions.allow(caller, callee, function);
                if queued.contains(&(caller, track)) {
                    permissions.allow(caller, &queue, function);
                }
            }
        }
    }
}
