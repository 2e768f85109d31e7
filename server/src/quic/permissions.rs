//! `Permissions`: what callers may call at this node, and how a call is let in without comparing names.
//!
//! Deny by default: who stands not here may call nothing. What was worked out for a caller of a connection is a row of
//! bits over this node's function ids, good until somebody's rights change; a call that finds its bit compares nothing
//! else. Home relays for everybody (ingress, queue, tools), so that its calls are not asked about. A refusal is told once
//! for each peer, caller and function, and counted each time.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use protocol::{FunctionPath, HandlerName, NodeName};

use super::link::Link;
use super::table::Exports;

/// Refusals that are remembered, so that none is logged twice: far more than there are in a house that means well.
const REFUSED_MAX: usize = 4_096;

/// Who may call what here.
#[derive(Debug, Clone, Default)]
pub struct Permissions {
    callers: HashMap<HandlerName, HashSet<Callable>>,
}

/// A function of a handler, by its interface's semver track: versions of a track stand for one another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Callable {
    handler: HandlerName,
    track: String,
    function: Arc<str>,
}

impl Callable {
    fn new(handler: &HandlerName, function: &FunctionPath) -> Self {
        Self {
            handler: handler.clone(),
            track: function.interface.track(),
            function: Arc::clone(&function.function),
        }
    }
}

impl Permissions {
    /// Lets a caller call a function of a handler.
    pub fn allow(&mut self, caller: &HandlerName, handler: &HandlerName, function: &FunctionPath) {
        let callables = self.callers.entry(caller.clone()).or_default();
        callables.insert(Callable::new(handler, function));
    }

    /// The ids of the functions that a caller may call, as bits.
    fn row(&self, caller: &HandlerName, exports: &Exports) -> Row {
        let mut row = vec![0_u64; exports.len().div_ceil(u64::BITS as usize)];
        let Some(callables) = self.callers.get(caller) else {
            return row.into();
        };
        for id in 0..exports.len() {
            let entry = exports.get(id as u32).map(|entry| &entry.exported);
            let is_allowed =
                entry.is_some_and(|it| callables.contains(&Callable::new(&it.handler, &it.function)));
            if let Some(word) = row.get_mut(id / 64).filter(|_| is_allowed) {
                *word |= 1 << (id % 64);
            }
        }
        row.into()
    }
}

type Row = Arc<[u64]>;

fn is_set(row: &[u64], id: u32) -> bool {
    row.get(id as usize / 64)
        .is_some_and(|word| word & (1 << (id % 64)) != 0)
}

/// What was worked out for the callers of one connection, by the peer's ids for them.
#[derive(Debug, Default)]
pub(super) struct Admitted {
    version: u64,
    rows: Vec<Option<Row>>,
}

impl Admitted {
    fn admits(&self, caller: u32, function: u32) -> bool {
        let row = self.rows.get(caller as usize).and_then(Option::as_ref);
        row.is_some_and(|row| is_set(row, function))
    }

    fn with(&self, version: u64, caller: u32, row: &Row) -> Self {
        let mut rows = match self.version == version {
            true => self.rows.clone(),
            false => Vec::new(),
        };
        // The id was announced, so that this is no longer than a table.
        rows.resize(rows.len().max(caller as usize + 1), None);
        if let Some(place) = rows.get_mut(caller as usize) {
            *place = Some(Arc::clone(row));
        }
        Self { version, rows }
    }
}

/// Why a call is not let in, as far as is known now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// The peer did not announce the caller.
    Unannounced,
    /// The peer may not call in this name.
    Name(HandlerName),
    /// The caller may not call this function.
    Function(HandlerName),
}

impl Denied {
    /// The caller in words.
    pub(super) fn caller(&self, (caller, _): (u32, u32)) -> String {
        match self {
            Self::Unannounced => format!("caller {caller}, whom it did not announce"),
            Self::Name(name) | Self::Function(name) => format!("`{name}`"),
        }
    }
}

/// Whose calls are let in at this node.
#[derive(Debug)]
pub(super) struct Admission {
    permissions: ArcSwap<Permissions>,
    /// Moves with every change of anybody's rights.
    version: AtomicU64,
    refused: Mutex<HashMap<Refused, u64>>,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            permissions: ArcSwap::default(),
            // Ahead of what a new connection holds, which is nothing.
            version: AtomicU64::new(1),
            refused: Mutex::default(),
        }
    }
}

type Refused = (NodeName, String, u32);

impl Admission {
    pub(super) fn set(&self, permissions: Permissions) {
        self.permissions.store(Arc::new(permissions));
        self.changed();
    }

    /// Somebody's rights have changed: what was worked out by the former ones is not good any more.
    pub(super) fn changed(&self) {
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    /// The caller of an id, if the peer may speak for it and it may call the function.
    pub(super) fn admit(
        &self,
        link: &Link,
        exports: &ArcSwap<Exports>,
        (caller, function): (u32, u32),
    ) -> Result<HandlerName, Denied> {
        let version = self.version.load(Ordering::SeqCst);
        let known = link.admitted.load();
        let name = link.heard(caller).ok_or(Denied::Unannounced)?;
        if link.peer.is_home() || (known.version == version && known.admits(caller, function)) {
            return Ok(name);
        }
        if !link.peer.may_speak_for(&name) {
            return Err(Denied::Name(name));
        }
        let row = self.permissions.load().row(&name, &exports.load());
        if !is_set(&row, function) {
            return Err(Denied::Function(name));
        }
        link.admitted.rcu(|known| known.with(version, caller, &row));
        Ok(name)
    }

    /// Whether this very call was refused before, by the rights that are in force.
    pub(super) fn has_refused(&self, node: &NodeName, caller: &str, function: u32) -> bool {
        let version = self.version.load(Ordering::SeqCst);
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (node.clone(), caller.to_owned(), function);
        refused.get(&key) == Some(&version)
    }

    /// Remembers a refusal; whether it is the first of its kind, so that it is to be told.
    pub(super) fn refuse(&self, node: &NodeName, caller: &str, function: u32) -> bool {
        let version = self.version.load(Ordering::SeqCst);
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (node.clone(), caller.to_owned(), function);
        if refused.len() >= REFUSED_MAX && !refused.contains_key(&key) {
            return false;
        }
        refused.insert(key, version).is_none()
    }
}

#[cfg(test)]
mod tests {
    use protocol::frame::Exported;
    use protocol::{InterfaceName, TypeHash};

    use super::*;

    fn name(text: &str) -> HandlerName {
        HandlerName::parse(text).unwrap()
    }

    fn path(interface: &str, function: &str) -> FunctionPath {
        FunctionPath::new(InterfaceName::parse(interface).unwrap(), function)
    }

    #[test]
    fn a_row_has_the_functions_that_a_caller_may_call_and_no_others() {
        let functions = (0..150).map(|n| Exported {
            handler: name(if n % 2 == 0 { "cart" } else { "email" }),
            function: path("shop:cart/cart@0.1.4", &format!("f{n}")),
            type_hash: TypeHash([0; 16]),
        });
        let exports = Exports::default().serving(functions.collect()).unwrap();
        let mut permissions = Permissions::default();
        // By another version of the same track; of a handler that does not have it; of another track.
        for n in [0, 64, 128] {
            let function = path("shop:cart/cart@0.1.0", &format!("f{n}"));
            permissions.allow(&name("checkout"), &name("cart"), &function);
            permissions.allow(&name("checkout"), &name("email"), &function);
        }
        permissions.allow(
            &name("checkout"),
            &name("cart"),
            &path("shop:cart/cart@0.2.0", "f2"),
        );
        let set = |caller: &str| {
            let row = permissions.row(&name(caller), &exports);
            (0..1_000).filter(|id| is_set(&row, *id)).collect::<Vec<_>>()
        };
        assert_eq!(set("checkout"), [0, 64, 128]);
        assert_eq!(set("frontend"), Vec::<u32>::new());
    }

    #[test]
    fn rows_of_former_rights_are_let_go_of() {
        let row: Row = vec![0b10].into();
        let first = Admitted::default().with(1, 3, &row);
        assert!(first.admits(3, 1) && !first.admits(3, 0) && !first.admits(2, 1) && !first.admits(9, 1));
        let both = first.with(1, 0, &row);
        assert!(both.admits(3, 1) && both.admits(0, 1));
        let newer = both.with(2, 0, &row);
        assert!(newer.admits(0, 1) && !newer.admits(3, 1));
    }

    #[test]
    fn a_refusal_is_told_once_and_asked_about_again_after_a_change() {
        let admission = Admission::default();
        let node = NodeName::parse("web").unwrap();
        assert!(!admission.has_refused(&node, "cart", 1));
        assert!(admission.refuse(&node, "cart", 1));
        assert!(admission.has_refused(&node, "cart", 1));
        admission.changed();
        assert!(!admission.has_refused(&node, "cart", 1));
        assert!(!admission.refuse(&node, "cart", 1), "it was told of before");
        assert!(admission.refuse(&node, "cart", 2));
    }
}
