//! `cleave ls`: what there is, as tables.

use clap::{Args, ValueEnum};
use protocol::Grants;
use protocol::api::Page;
use protocol::api::edges::Edge;
use protocol::api::handlers::{Handler, HandlerState, InstancePolicy};
use protocol::api::nodes::Node;
use protocol::api::queues::Queue;
use protocol::control::Limits;
use protocol::{Rung, Way};

use super::Remote;
use super::error::Error;
use super::output::{Table, duration, list, print, print_json, size, word};

/// Arguments of `cleave ls`.
#[derive(Debug, Args)]
#[command(after_help = "\
EXAMPLES:
  cleave ls                    handlers: where they stand, what they export
  cleave ls nodes              processes, with their CPU time and memory
  cleave ls edges              every call counted, the way it went, what that way is made to do
  cleave ls edges --json       the same with all figures; for scripts")]
pub(super) struct LsArgs {
    /// What to list
    #[arg(value_enum, default_value_t = What::Handlers)]
    what: What,

    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    Handlers,
    Nodes,
    Edges,
    Queues,
}

pub(super) async fn run(args: &LsArgs) -> Result<(), Error> {
    match args.what {
        What::Handlers => show(args, "handlers", handlers).await,
        What::Nodes => show(args, "nodes", nodes).await,
        What::Edges => show(args, "edges", edges).await,
        What::Queues => show(args, "queues", queues).await,
    }
}

async fn show<T>(args: &LsArgs, path: &str, table: fn(&[T]) -> String) -> Result<(), Error>
where
    T: serde::Serialize + serde::de::DeserializeOwned,
{
    let page: Page<T> = args.remote.client().get(path).await?;
    if args.remote.json {
        print_json(&page.items)
    } else {
        print(&table(&page.items))
    }
}

fn handlers(handlers: &[Handler]) -> String {
    if handlers.is_empty() {
        return "no handlers yet: copy a component to DATA/handlers, as `cp my.wasm data/handlers/`\n"
            .to_owned();
    }
    let mut table = Table::new(
        &[
            "HANDLER", "STATE", "NODE", "VERSION", "SIZE", "POLICY", "CALLS/S", "CALLS", "FAILED", "COLD",
            "START", "EXPORTS",
        ],
        &[4, 6, 7, 8, 9, 10],
    );
    let mut notes = String::new();
    for handler in handlers {
        let http = handler.http.then_some("HTTP");
        let exports = handler.exports.iter().map(|export| export.interface.as_str());
        let figures = &handler.figures;
        table.row([
            handler.shown_name().to_owned(),
            state(handler),
            list(&handler.nodes),
            handler.version.clone(),
            size(handler.size_bytes),
            handler.policy.map_or("-", InstancePolicy::as_str).to_owned(),
            format!("{:.1}", figures.rate_per_s),
            figures.calls.to_string(),
            figures.errors.to_string(),
            figures.instances_cold.to_string(),
            match figures.instance_start_p50_us {
                0 => "-".to_owned(),
                us => duration(us.saturating_mul(1_000)),
            },
            list(http.into_iter().chain(exports)),
        ]);
        if let HandlerState::Rejected { reason, remedy } = &handler.state {
            notes.push_str(&format!("{}: {reason}; {remedy}\n", handler.shown_name()));
        }
        notes.push_str(&terms(handler));
        for warning in &handler.warnings {
            notes.push_str(&format!("{}: {warning}\n", handler.shown_name()));
        }
    }
    let table = table.render();
    if notes.is_empty() {
        table
    } else {
        format!("{table}\n{notes}")
    }
}

/// What differs from the usual: limits that the file sets, and what it grants.
fn terms(handler: &Handler) -> String {
    let usual = Limits::default().written().into_iter();
    let limits = handler.limits.written().into_iter().zip(usual);
    let limits = limits.filter_map(|(own, usual)| (own != usual).then_some(own));
    let usual = Grants::default().written().into_iter();
    let grants = handler.grants.written().into_iter().zip(usual);
    let grants = grants.filter_map(|(own, usual)| (own != usual).then_some(own));
    let set: Vec<String> = limits
        .chain(grants)
        .map(|(key, value)| format!("{key} {value}"))
        .collect();
    match set.is_empty() {
        true => String::new(),
        false => format!("{}: {}\n", handler.shown_name(), set.join(", ")),
    }
}

fn state(handler: &Handler) -> String {
    match &handler.state {
        HandlerState::Loading => "loading".to_owned(),
        HandlerState::Serving if handler.refused.is_some() => "serving (newer file refused)".to_owned(),
        HandlerState::Serving => "serving".to_owned(),
        HandlerState::Waiting { on } => format!("waiting for {}", list(on)),
        HandlerState::Rejected { .. } => "rejected".to_owned(),
        HandlerState::Down { reason } => format!("down: {reason}"),
    }
}

fn nodes(nodes: &[Node]) -> String {
    let mut table = Table::new(
        &[
            "NODE", "STATE", "PID", "STARTS", "CPU", "MEMORY", "SENT", "RECEIVED", "ADDRESS", "HANDLERS",
        ],
        &[2, 3, 4, 5, 6, 7],
    );
    for node in nodes {
        table.row([
            node.name.to_string(),
            word(&node.state),
            if node.pid == 0 {
                "-".to_owned()
            } else {
                node.pid.to_string()
            },
            node.incarnation.to_string(),
            format!("{:.1} s", node.cpu_seconds),
            size(node.resident_bytes),
            size(node.quic_bytes_sent),
            size(node.quic_bytes_received),
            node.address.clone().unwrap_or_else(|| "-".to_owned()),
            list(&node.handlers),
        ]);
    }
    table.render()
}

fn edges(edges: &[Edge]) -> String {
    if edges.is_empty() {
        return "no calls yet: open the ingress, or `cleave call` a function\n".to_owned();
    }
    let heading = &[
        "EDGE", "VIA", "CALLS/S", "CALLS", "FAILED", "ERR", "P50", "P90", "P99", "P99.9", "MAX", "WAITING",
    ];
    let mut table = Table::new(heading, &[2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    for edge in edges {
        let latency = &edge.latency_ns;
        table.row([
            format!("{} -> {} ({})", edge.caller, edge.callee, edge.interface),
            via(edge),
            format!("{:.1}", edge.rate_per_s),
            edge.calls.to_string(),
            edge.errors.to_string(),
            edge.errs.to_string(),
            duration(latency.p50),
            duration(latency.p90),
            duration(latency.p99),
            duration(latency.p99_9),
            duration(latency.max),
            edge.queue
                .as_ref()
                .map_or_else(|| "-".to_owned(), |queue| queue.depth.to_string()),
        ]);
    }
    table.render()
}

/// The way that the last call went, with what is done to it; what is asked for instead, where that is idle.
fn via(edge: &Edge) -> String {
    let transport = edge.transport;
    let Some(asked) = edge.asked else {
        return word(&transport);
    };
    let course = asked.course();
    let is_as_asked = |rung: Rung| rung.transport() == transport;
    if transport.is_between_nodes() && is_as_asked(course.between) {
        let shaping = Way {
            transport: Some(course.between),
            ..asked
        };
        return shaping.to_string();
    }
    match asked.transport.is_none_or(is_as_asked) && !transport.is_between_nodes() && course.shaping.is_none()
    {
        true => word(&transport),
        false => format!("{} ({asked} is idle)", word(&transport)),
    }
}

/// Also of `cleave queue ls`.
pub(super) fn queues(queues: &[Queue]) -> String {
    if queues.is_empty() {
        return "no queues yet: one comes to be with its first message\n".to_owned();
    }
    let heading = &[
        "QUEUE",
        "READY",
        "DELAYED",
        "LEASED",
        "DEAD",
        "DONE",
        "FAILED ATTEMPTS",
        "OLDEST",
        "IN/S",
        "OUT/S",
        "TRIES",
        "",
    ];
    let mut table = Table::new(heading, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    for queue in queues {
        table.row([
            queue.name.to_string(),
            queue.ready.to_string(),
            queue.delayed.to_string(),
            queue.leased.to_string(),
            queue.dead.to_string(),
            queue.done.to_string(),
            queue.failed_attempts.to_string(),
            match queue.ready {
                0 => "-".to_owned(),
                _ => duration(queue.oldest_ready_ms.saturating_mul(1_000_000)),
            },
            format!("{:.1}", queue.enqueue_rate_per_s),
            format!("{:.1}", queue.done_rate_per_s),
            queue.tries.to_string(),
            if queue.paused {
                "paused".to_owned()
            } else {
                String::new()
            },
        ]);
    }
    table.render()
}
