//! Planning: from a placement and the handlers that there are to the nodes that shall run. Pure.
//!
//! [`plan`] is strict: whatever does not fit is refused, all of it at once. [`arrange`] makes the best of the same
//! input and is for handlers that come and go while a placement is in force: it passes over names that no handler has
//! and leaves out whoever would call a function that cannot leave its process. A child node's name follows from its
//! handlers, so that the same set of handlers is the same node in every placement that has it. Replicas are for handlers
//! that are alone on their child; the first keeps the child's name, so that scaling leaves it alone.

use std::collections::{BTreeMap, BTreeSet};

use protocol::api::handlers::{Handler, ImportKind, Reach};
use protocol::api::placement::{Mode, Placement, REPLICAS_MAX};
use protocol::{FunctionPath, HandlerName, NodeName, nearest};

/// The most child nodes: each is a process with its own runtime, some 20 MiB and a handful of threads.
pub const CHILDREN_MAX: usize = 64;

/// A handler as planning sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: HandlerName,
    /// Whom it calls by functions that cannot leave the process.
    pub bound_to: Vec<LocalEdge>,
}

/// A call that cannot leave the process, because it carries a resource, a stream or a future.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalEdge {
    /// Who serves it.
    pub callee: HandlerName,
    /// The function.
    pub function: FunctionPath,
}

/// A node that shall run, and what it shall serve.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeSpec {
    /// Its name.
    pub name: NodeName,
    /// Its handlers, sorted.
    pub handlers: Vec<HandlerName>,
}

/// The nodes that shall run: home first, then the children by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The nodes; there is always home.
    pub nodes: Vec<NodeSpec>,
}

impl Plan {
    /// Home's share.
    pub fn home(&self) -> &NodeSpec {
        self.nodes.first().expect("a plan begins with home")
    }

    /// The child nodes.
    pub fn children(&self) -> &[NodeSpec] {
        self.nodes.get(1..).unwrap_or_default()
    }

    /// Gives children other names where a node that runs has theirs and serves other handlers: only names joined from
    /// different handlers can meet so.
    #[must_use]
    pub fn beside(mut self, running: &[NodeSpec]) -> Self {
        let mut taken: BTreeSet<NodeName> = running
            .iter()
            .chain(&self.nodes)
            .map(|node| node.name.clone())
            .collect();
        for node in self.nodes.iter_mut().skip(1) {
            if running
                .iter()
                .any(|other| other.name == node.name && other.handlers != node.handlers)
            {
                node.name = node_name(&node.handlers, &taken);
                taken.insert(node.name.clone());
            }
        }
        self
    }

    /// The node that shall serve a handler; the first of its replicas.
    pub fn node_of(&self, handler: &HandlerName) -> Option<&NodeName> {
        self.nodes_of(handler).next()
    }

    /// The nodes that shall serve a handler.
    pub fn nodes_of(&self, handler: &HandlerName) -> impl Iterator<Item = &NodeName> {
        let nodes = self.nodes.iter().filter(|node| node.handlers.contains(handler));
        nodes.map(|node| &node.name)
    }

    /// The plan while some children are away: home serves their handlers, unless another node does anyway.
    #[must_use]
    pub fn without(mut self, away: &BTreeSet<NodeName>) -> Self {
        let (gone, kept) = self.nodes.into_iter().partition(|node| away.contains(&node.name));
        self.nodes = kept;
        self.serve_in_home(gone);
        self
    }

    /// Gives home the handlers of nodes that shall not be, as far as nobody else serves them.
    fn serve_in_home(&mut self, gone: Vec<NodeSpec>) {
        for handler in gone.into_iter().flat_map(|node| node.handlers) {
            if self.node_of(&handler).is_none() {
                let home = self.nodes.first_mut().expect("a plan begins with home");
                home.handlers.push(handler);
                home.handlers.sort();
            }
        }
    }
}

/// Why a placement cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A group or an edge names a handler that there is not.
    #[error("no handler is called `{name}`{}", nearest.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    UnknownHandler {
        /// The name.
        name: HandlerName,
        /// The nearest one that there is.
        nearest: Option<HandlerName>,
    },
    /// A handler is named twice.
    #[error("`{name}` is in group {first} and again in group {second}; a handler is in one group")]
    Twice {
        /// The handler.
        name: HandlerName,
        /// The group that names it first, from 1.
        first: usize,
        /// The group that names it again.
        second: usize,
    },
    /// The mode needs groups and there are none.
    #[error("mode `groups` needs `groups` with at least one handler in each")]
    EmptyGroup,
    /// A call that cannot leave its process would have to.
    #[error(
        "`{caller}` calls `{function}` of `{callee}`, which passes resources or streams and cannot leave the process; \
         put both in one group, or use `together`"
    )]
    Separated {
        /// Who calls.
        caller: HandlerName,
        /// Who serves.
        callee: HandlerName,
        /// The function.
        function: FunctionPath,
    },
    /// No such number of replicas.
    #[error("`{name}` cannot have {wanted} replicas; write 1 to {REPLICAS_MAX}")]
    Replicas {
        /// The handler.
        name: HandlerName,
        /// How many were asked for.
        wanted: u32,
    },
    /// Replicas of a handler that has no child of its own.
    #[error(
        "`{name}` is served by `{node}` with others or by home itself, and replicas need nodes of their own; place it \
         `apart`, or in a group of its own"
    )]
    NotAlone {
        /// The handler.
        name: HandlerName,
        /// Who serves it.
        node: NodeName,
    },
    /// Too many processes.
    #[error(
        "{wanted} child nodes are more than the {CHILDREN_MAX} that one home supervises; put handlers in groups"
    )]
    TooManyNodes {
        /// How many it would be.
        wanted: usize,
    },
}

/// The handlers as planning sees them, from what the API says about them: each call to another handler's function that
/// cannot leave the process binds its caller to its callee.
pub fn members(handlers: &[Handler]) -> Vec<Member> {
    let by_name: BTreeMap<&HandlerName, &Handler> = handlers.iter().map(|h| (&h.name, h)).collect();
    let member = |handler: &Handler| Member {
        name: handler.name.clone(),
        bound_to: bindings(handler, &by_name),
    };
    handlers.iter().map(member).collect()
}

fn bindings(handler: &Handler, by_name: &BTreeMap<&HandlerName, &Handler>) -> Vec<LocalEdge> {
    let mut edges = Vec::new();
    for import in handler
        .imports
        .iter()
        .filter(|import| import.kind == ImportKind::Handler)
    {
        let Some(callee) = import.served_by.as_ref().and_then(|name| by_name.get(name)) else {
            continue;
        };
        let track = import.interface.track();
        let exports = callee
            .exports
            .iter()
            .filter(|export| export.interface.track() == track);
        for function in exports.flat_map(|export| &export.functions) {
            if function.reach == Reach::LocalOnly && import.functions.contains(&function.name) {
                edges.push(LocalEdge {
                    callee: callee.name.clone(),
                    function: FunctionPath::new(import.interface.clone(), &function.name),
                });
            }
        }
    }
    edges
}

/// The nodes of a placement, or everything that speaks against it.
pub fn plan(placement: &Placement, members: &[Member]) -> Result<Plan, Vec<Refusal>> {
    let mut refusals = group_refusals(placement, members);
    refusals.extend(replica_refusals(&placement.replicas));
    refusals.extend(edge_refusals(placement, members));
    let (plan, left_out) = arrange(placement, members);
    refusals.extend(left_out);
    if refusals.is_empty() {
        Ok(plan)
    } else {
        Err(refusals)
    }
}

/// Whether these handlers can have so many replicas in a placement: who asks for replicas by name expects them, whereas
/// those that a placement brings along wait for a child of their own.
pub fn scaled(
    placement: &Placement,
    replicas: &BTreeMap<HandlerName, u32>,
    members: &[Member],
) -> Result<(), Vec<Refusal>> {
    let plan = plan(placement, members)?;
    let mut refusals = replica_refusals(replicas);
    for (name, wanted) in replicas {
        match plan.node_of(name) {
            None => refusals.push(unknown(name, members)),
            Some(node) if *wanted > 1 && plan.nodes_of(name).count() == 1 => {
                refusals.push(Refusal::NotAlone {
                    name: name.clone(),
                    node: node.clone(),
                })
            }
            Some(_) => {}
        }
    }
    if refusals.is_empty() {
        Ok(())
    } else {
        Err(refusals)
    }
}

/// What of a placement has no effect: replicas of handlers that have no child of their own.
pub fn notes(placement: &Placement, plan: &Plan) -> Vec<String> {
    let wanted = placement.replicas.iter().filter(|(_, wanted)| **wanted > 1);
    let notes = wanted.filter_map(|(name, wanted)| {
        let node = plan.node_of(name).filter(|_| plan.nodes_of(name).count() == 1)?;
        Some(format!(
            "`{name}` has one replica instead of {wanted}, as `{node}` is not its own; replicas need a node that serves \
             nothing else, as with `apart`"
        ))
    });
    notes.collect()
}

/// The nodes of a placement as far as it can be: who would call a function that cannot leave its process is left out,
/// with the reason.
pub fn arrange(placement: &Placement, members: &[Member]) -> (Plan, Vec<Refusal>) {
    let mut serving: Vec<&Member> = members.iter().collect();
    let mut left_out = Vec::new();
    loop {
        let names: BTreeSet<&HandlerName> = serving.iter().map(|member| &member.name).collect();
        let plan = nodes(placement, &names);
        let separated = separated(&plan, &serving);
        if !separated.is_empty() {
            serving.retain(|member| !separated.iter().any(|(caller, _)| *caller == member.name));
            left_out.extend(separated.into_iter().map(|(_, refusal)| refusal));
            continue;
        }
        let wanted = plan.children().len();
        if wanted > CHILDREN_MAX {
            left_out.push(Refusal::TooManyNodes { wanted });
            return (kept_in_home(plan), left_out);
        }
        return (plan, left_out);
    }
}

/// What is wrong with the groups themselves.
fn group_refusals(placement: &Placement, members: &[Member]) -> Vec<Refusal> {
    if placement.mode != Mode::Groups {
        return Vec::new();
    }
    let mut refusals = Vec::new();
    if placement.groups.is_empty() || placement.groups.iter().any(Vec::is_empty) {
        refusals.push(Refusal::EmptyGroup);
    }
    let mut seen: BTreeMap<&HandlerName, usize> = BTreeMap::new();
    for (index, group) in placement.groups.iter().enumerate() {
        for name in group {
            if let Some(first) = seen.get(name) {
                refusals.push(Refusal::Twice {
                    name: name.clone(),
                    first: *first,
                    second: index + 1,
                });
                continue;
            }
            seen.insert(name, index + 1);
            if !members.iter().any(|member| member.name == *name) {
                refusals.push(unknown(name, members));
            }
        }
    }
    refusals
}

/// A rule for the calls of a handler that there is not is a slip; one that has no effect is not.
fn edge_refusals(placement: &Placement, members: &[Member]) -> Vec<Refusal> {
    let callers: BTreeSet<&HandlerName> = placement.edges.keys().map(|edge| &edge.caller).collect();
    let is_known = |caller: &HandlerName| members.iter().any(|member| member.name == *caller);
    let strangers = callers.into_iter().filter(|caller| !is_known(caller));
    strangers.map(|caller| unknown(caller, members)).collect()
}

fn unknown(name: &HandlerName, members: &[Member]) -> Refusal {
    let known = members.iter().map(|member| member.name.as_str());
    let near = nearest(name.as_str(), known);
    Refusal::UnknownHandler {
        name: name.clone(),
        nearest: near.and_then(|near| HandlerName::parse(near).ok()),
    }
}

fn replica_refusals(replicas: &BTreeMap<HandlerName, u32>) -> Vec<Refusal> {
    let wrong = replicas
        .iter()
        .filter(|(_, wanted)| !(1..=REPLICAS_MAX).contains(*wanted));
    let refusals = wrong.map(|(name, wanted)| Refusal::Replicas {
        name: name.clone(),
        wanted: *wanted,
    });
    refusals.collect()
}

/// The nodes for the handlers that there are; a group's missing members are passed over.
fn nodes(placement: &Placement, names: &BTreeSet<&HandlerName>) -> Plan {
    let mut unplaced = names.clone();
    let mut groups: Vec<Vec<HandlerName>> = Vec::new();
    match placement.mode {
        Mode::Together => {}
        Mode::Apart => {
            groups = unplaced.iter().map(|name| vec![(*name).clone()]).collect();
            unplaced.clear();
        }
        Mode::Groups => {
            for group in &placement.groups {
                let present = group.iter().filter(|name| unplaced.remove(*name));
                groups.push(present.cloned().collect());
            }
        }
    }
    let mut taken = BTreeSet::from([NodeName::home()]);
    let mut children = Vec::new();
    // A node of one handler has its name in every placement, so it is served first.
    groups.sort_by_key(Vec::len);
    for mut handlers in groups.into_iter().filter(|group| !group.is_empty()) {
        let name = node_name(&handlers, &taken);
        taken.insert(name.clone());
        handlers.sort();
        children.push(NodeSpec { name, handlers });
    }
    children.extend(further_replicas(placement, &children, &mut taken));
    children.sort();
    let mut nodes = vec![NodeSpec {
        name: NodeName::home(),
        handlers: unplaced.into_iter().cloned().collect(),
    }];
    nodes.extend(children);
    Plan { nodes }
}

/// The replicas beside the first, of the handlers that are alone on their child: `catalog-2`, `catalog-3`.
fn further_replicas(
    placement: &Placement,
    children: &[NodeSpec],
    taken: &mut BTreeSet<NodeName>,
) -> Vec<NodeSpec> {
    let mut further = Vec::new();
    for node in children {
        let [handler] = node.handlers.as_slice() else {
            continue;
        };
        let wanted = placement.replicas.get(handler).copied().unwrap_or(1);
        for number in 2..=wanted.min(REPLICAS_MAX) {
            let named = std::iter::once(format!("{handler}-{number}"));
            let numbered = (1..=taken.len() + 1).map(|number| format!("replica-{number}"));
            let name = first_free(named.chain(numbered), taken);
            taken.insert(name.clone());
            let handlers = vec![handler.clone()];
            further.push(NodeSpec { name, handlers });
        }
    }
    further
}

/// The members joined by `-`; where that is too long or taken, `group-1` and so on.
fn node_name(handlers: &[HandlerName], taken: &BTreeSet<NodeName>) -> NodeName {
    let parts: Vec<&str> = handlers.iter().map(HandlerName::as_str).collect();
    let joined = parts.join("-");
    let numbered = (1..=taken.len() + 1).map(|number| format!("group-{number}"));
    first_free(std::iter::once(joined).chain(numbered), taken)
}

fn first_free(names: impl Iterator<Item = String>, taken: &BTreeSet<NodeName>) -> NodeName {
    names
        .filter_map(|name| NodeName::parse(&name).ok())
        .find(|name| !taken.contains(name))
        .expect("there are more numbers than taken names")
}

/// The local edges that a plan cuts, with their callers.
fn separated(plan: &Plan, members: &[&Member]) -> Vec<(HandlerName, Refusal)> {
    let mut cut = Vec::new();
    for member in members {
        for edge in &member.bound_to {
            let callee = plan.node_of(&edge.callee);
            if callee.is_some() && callee != plan.node_of(&member.name) {
                let refusal = Refusal::Separated {
                    caller: member.name.clone(),
                    callee: edge.callee.clone(),
                    function: edge.function.clone(),
                };
                cut.push((member.name.clone(), refusal));
            }
        }
    }
    cut
}

/// The plan with the children beyond the limit left out: further replicas first, then home serves for them.
fn kept_in_home(mut plan: Plan) -> Plan {
    let children = plan.nodes.split_off(1);
    let mut seen = BTreeSet::new();
    let (mut kept, further): (Vec<NodeSpec>, Vec<NodeSpec>) = children
        .into_iter()
        .partition(|node| seen.insert(node.handlers.clone()));
    kept.extend(further);
    let beyond = kept.split_off(CHILDREN_MAX);
    kept.sort();
    plan.nodes.extend(kept);
    plan.serve_in_home(beyond);
    plan
}

#[cfg(test)]
mod tests;
