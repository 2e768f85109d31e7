//! Queued edges: from `[edge]` rules and the handlers that there are to what the router and the queue need.
//!
//! An edge can be queued if every function of the interface returns nothing or `result<_, E>`; the caller gets its `ok`
//! once the message is durable.

use std::collections::HashMap;
use std::sync::Arc;

use protocol::control::{EdgeTimeout, QueuedEdge};
use protocol::{HandlerName, QueueName};

use super::handlers::Handlers;
use crate::config::{Config, EdgeName, Via};
use crate::queue::{Answer, EdgeSettings};
use crate::quic::Exported;
use crate::runtime::artifact::ExportedInterface;
use crate::runtime::wit_type::WitType;

/// The queued edges in force.
#[derive(Default)]
pub(super) struct Queued {
    /// For the routes.
    pub(super) edges: Vec<QueuedEdge>,
    /// For the queue.
    pub(super) settings: Vec<EdgeSettings>,
    /// For home's exports: children send these calls to the queue.
    pub(super) exports: Vec<Exported>,
    /// Rules that cannot be followed, with the reason.
    pub(super) problems: Vec<(EdgeName, String)>,
}

/// Finds them.
pub(super) fn queued(config: &Config, handlers: &Handlers) -> Queued {
    let mut queued = Queued::default();
    let resolution = handlers.resolution();
    for (name, rule) in config.edges.iter().filter(|(_, rule)| rule.via == Via::Queue) {
        let served = resolution
            .served_by
            .iter()
            .find(|((caller, interface), _)| *caller == name.caller && stands_for(name, interface));
        let Some(((caller, _), callee)) = served else {
            continue;
        };
        let Some(version) = handlers.version(callee) else {
            continue;
        };
        let Some(interface) = version
            .artifact()
            .exports
            .iter()
            .find(|i| stands_for(name, &i.name))
        else {
            continue;
        };
        let answers = match answers(interface) {
            Ok(answers) => answers,
            Err(reason) => {
                queued.problems.push((name.clone(), reason));
                continue;
            }
        };
        let Ok(queue) = QueueName::parse(&format!("{caller}.{callee}")) else {
            continue;
        };
        for function in &interface.functions {
            queued.exports.push(Exported {
                handler: HandlerName::queue(),
                function: (*function.path).clone(),
                type_hash: function.hash,
            });
        }
        queued.edges.push(QueuedEdge {
            caller: caller.clone(),
            interface: interface.name.clone(),
            queue: queue.clone(),
        });
        queued.settings.push(EdgeSettings {
            caller: caller.clone(),
            interface: interface.name.clone(),
            queue,
            callee: callee.clone(),
            tries: rule.tries,
            backoff: rule.backoff,
            timeout: rule.timeout,
            answers,
        });
    }
    queued
}

/// The configured timeouts of called edges: a guest cannot set one for an optional callee.
pub(super) fn edge_timeouts(config: &Config, handlers: &Handlers) -> Vec<EdgeTimeout> {
    let rules = config.edges.iter().filter(|(_, rule)| rule.via == Via::Call);
    let served_by = handlers.resolution().served_by;
    rules
        .flat_map(|(name, rule)| {
            let meant = served_by
                .keys()
                .filter(|(caller, interface)| *caller == name.caller && stands_for(name, interface));
            meant.map(|(caller, interface)| EdgeTimeout {
                caller: caller.clone(),
                interface: interface.clone(),
                timeout_ms: rule.timeout.as_millis() as u64,
            })
        })
        .collect()
}

fn stands_for(name: &EdgeName, interface: &protocol::InterfaceName) -> bool {
    match name.interface.version() {
        None => name.interface.as_str() == interface.unversioned(),
        Some(_) => name.interface.track() == interface.track(),
    }
}

fn answers(interface: &ExportedInterface) -> Result<HashMap<Arc<str>, Answer>, String> {
    let answer = |function: &crate::runtime::artifact::ExportedFunction| match &function.ty.result {
        None => Ok(Answer::Nothing),
        Some(WitType::Result(None, _)) => Ok(Answer::Ok),
        Some(other) => Err(format!(
            "`{}` returns {other}, which a queue cannot; only functions that return nothing or `result<_, E>` can be queued",
            function.path
        )),
    };
    let functions = interface.functions.iter();
    functions
        .map(|function| Ok((Arc::clone(&function.path.function), answer(function)?)))
        .collect()
}
