//! Queued edges: from `[edge]` rules and the handlers that there are to what the router and the queue need.
//!
//! An edge can be queued if every function of the interface returns nothing or `result<_, E>`; the caller gets its `ok`
//! once the message is durable.

use std::collections::HashMap;
use std::sync::Arc;

use protocol::control::{EdgeTimeout, QueuedEdge};
use protocol::{FunctionPath, HandlerName, QueueName};

use super::handlers::Handlers;
use crate::config::{ATTEMPT_TIMEOUT_DEFAULT, Config, EdgeName, Via, stands_for};
use crate::queue::{Answer, EdgeSettings, Explain};
use crate::quic::Exported;
use crate::runtime::artifact::ExportedInterface;
use crate::runtime::json;
use crate::runtime::wit_type::WitType;

/// The longest error value that is written down: what a person reads is a fraction of it.
const EXPLAINED_BYTES_MAX: usize = 64 * 1_024;

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
        let served = resolution.served_by.iter().find(|((caller, interface), _)| {
            *caller == name.caller && stands_for(&name.interface, interface)
        });
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
            .find(|i| stands_for(&name.interface, &i.name))
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
            timeout: rule.timeout.unwrap_or(ATTEMPT_TIMEOUT_DEFAULT),
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
        .filter_map(|(name, rule)| Some((name, rule.timeout?)))
        .flat_map(|(name, timeout)| {
            let meant = served_by.keys().filter(|(caller, interface)| {
                *caller == name.caller && stands_for(&name.interface, interface)
            });
            meant.map(move |(caller, interface)| EdgeTimeout {
                caller: caller.clone(),
                interface: interface.clone(),
                timeout_ms: timeout.as_millis() as u64,
            })
        })
        .collect()
}

/// Writes an error value down as JSON, by the type of the function as the handler has it now.
pub(super) fn explain(handlers: Arc<Handlers>) -> Explain {
    Arc::new(move |handler: &HandlerName, path: &FunctionPath, value: &[u8]| {
        if value.len() > EXPLAINED_BYTES_MAX {
            return Some(format!("{} bytes", value.len()));
        }
        let version = handlers.version(handler)?;
        let interfaces = version.artifact().exports.iter();
        let mut functions = interfaces.flat_map(|interface| &interface.functions);
        let known = functions.find(|function| {
            function.path.function == path.function
                && function.path.interface.track() == path.interface.track()
        })?;
        let result = json::decode_result(&known.ty, value).ok()?;
        match result.get("err")? {
            serde_json::Value::Null => None,
            error => Some(error.to_string()),
        }
    })
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
