//! `/metrics`: what Cleave counts, in OpenMetrics 1.0, for Prometheus and those that read what it reads.
//!
//! Every call is counted here, sampled or not. Latencies are histograms from 1 µs to 100 s: calls within a process take
//! microseconds. Their sums are made of buckets and up to 1.6 % off. Buckets of latencies have the
//! newest trace that was stored of such a call as their exemplar: the counters know no traces, the trace store does.

mod text;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use protocol::api::nodes::NodeState;

use super::api::Shared;
use super::error::Failure;
use crate::edges::Latencies;
use crate::traces::Exemplar;
use text::{Kind, Text};

/// What it is sent as.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of a latency's buckets, in ns: 1, 2.5 and 5 of each power of ten.
const BOUNDS_NS: [(u64, &str); 25] = [
    (1_000, "1e-06"),
    (2_500, "2.5e-06"),
    (5_000, "5e-06"),
    (10_000, "1e-05"),
    (25_000, "2.5e-05"),
    (50_000, "5e-05"),
    (100_000, "0.0001"),
    (250_000, "0.00025"),
    (500_000, "0.0005"),
    (1_000_000, "0.001"),
    (2_500_000, "0.0025"),
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
    (25_000_000, "0.025"),
    (50_000_000, "0.05"),
    (100_000_000, "0.1"),
    (250_000_000, "0.25"),
    (500_000_000, "0.5"),
    (1_000_000_000, "1.0"),
    (2_500_000_000, "2.5"),
    (5_000_000_000, "5.0"),
    (10_000_000_000, "10.0"),
    (25_000_000_000, "25.0"),
    (50_000_000_000, "50.0"),
    (100_000_000_000, "100.0"),
];

pub(super) async fn show(State(shared): State<Shared>) -> Result<Response, Failure> {
    let mut text = Text::default();
    node(&mut text, &shared);
    nodes(&mut text, &shared);
    edges(&mut text, &shared);
    queues(&mut text, &shared).await?;
    handlers(&mut text, &shared);
    let mut response = text.end().into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(OPENMETRICS));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn node(text: &mut Text, shared: &Shared) {
    let status = shared.context.home.status();
    text.family("cleave_build", Kind::Info, "", "Which version of Cleave this is.");
    text.sample("_info", &[("version", &status.version)], 1.0);
    let spans = status.spans;
    for (name, help, value) in [
        (
            "cleave_spans_finished",
            "Spans that ended, on all nodes.",
            spans.finished,
        ),
        ("cleave_spans_recorded", "Spans that were stored.", spans.recorded),
        (
            "cleave_spans_dropped",
            "Spans that were not, because too many waited or a limit was met.",
            spans.dropped,
        ),
    ] {
        text.family(name, Kind::Counter, "", help);
        text.sample("_total", &[], value as f64);
    }
    text.family(
        "cleave_trace_store_bytes",
        Kind::Gauge,
        "bytes",
        "The size of the trace store.",
    );
    text.sample("", &[], spans.stored_bytes as f64);
    if let Some(otlp) = status.otlp {
        text.family(
            "cleave_otlp_spans",
            Kind::Counter,
            "",
            "Spans that came from outside or went there.",
        );
        let export = otlp.export.clone().unwrap_or_default();
        for (way, outcome, value) in [
            ("in", "taken", otlp.received),
            ("in", "refused", otlp.refused),
            ("out", "taken", export.sent),
            ("out", "dropped", export.dropped),
        ] {
            text.sample("_total", &[("way", way), ("outcome", outcome)], value as f64);
        }
    }
}

fn nodes(text: &mut Text, shared: &Shared) {
    let nodes = shared.context.home.nodes();
    text.family("cleave_node_up", Kind::Gauge, "", "Whether a node takes calls.");
    for node in &nodes {
        text.sample(
            "",
            &[("node", node.name.as_str())],
            f64::from(u8::from(node.state == NodeState::Ready)),
        );
    }
    text.family(
        "cleave_node_cpu_seconds",
        Kind::Counter,
        "seconds",
        "CPU time of a node's process.",
    );
    for node in &nodes {
        text.sample("_total", &[("node", node.name.as_str())], node.cpu_seconds);
    }
    text.family(
        "cleave_node_resident_bytes",
        Kind::Gauge,
        "bytes",
        "Memory of a node's process.",
    );
    for node in &nodes {
        text.sample("", &[("node", node.name.as_str())], node.resident_bytes as f64);
    }
    text.family(
        "cleave_node_quic_bytes",
        Kind::Counter,
        "bytes",
        "What a node sent and received between nodes.",
    );
    for node in &nodes {
        for (way, bytes) in [
            ("sent", node.quic_bytes_sent),
            ("received", node.quic_bytes_received),
        ] {
            text.sample(
                "_total",
                &[("node", node.name.as_str()), ("way", way)],
                bytes as f64,
            );
        }
    }
}

fn edges(text: &mut Text, shared: &Shared) {
    let edges = shared.context.edges.snapshot();
    let labels = |edge: &protocol::api::edges::Edge| {
        [
            ("caller", edge.caller.to_string()),
            ("callee", edge.callee.to_string()),
            ("interface", edge.interface.to_string()),
        ]
    };
    text.family(
        "cleave_edge_calls",
        Kind::Counter,
        "",
        "Calls of an interface by a handler, by how they ended.",
    );
    for edge in &edges {
        let own = labels(edge);
        let fine = edge.calls.saturating_sub(edge.errors).saturating_sub(edge.errs);
        // `err` is the callee's own error, which is a normal answer; `failed` calls came to none.
        for (outcome, count) in [("ok", fine), ("err", edge.errs), ("failed", edge.errors)] {
            text.sample_of("_total", &own, &[("outcome", outcome)], count as f64);
        }
    }
    text.family(
        "cleave_edge_bytes",
        Kind::Counter,
        "bytes",
        "Arguments and results of calls.",
    );
    for edge in &edges {
        let own = labels(edge);
        for (what, bytes) in [("arguments", edge.bytes_in), ("results", edge.bytes_out)] {
            text.sample_of("_total", &own, &[("what", what)], bytes as f64);
        }
    }
    text.family(
        "cleave_edge_transport",
        Kind::Gauge,
        "",
        "The way that an edge's newest call went: 1 for that way.",
    );
    for edge in &edges {
        text.sample_of("", &labels(edge), &[("transport", edge.transport.word())], 1.0);
    }
    let help = "What calls took, as their caller saw it.";
    text.family("cleave_edge_latency_seconds", Kind::Histogram, "seconds", help);
    for (key, latencies) in shared.context.edges.latencies() {
        let own = [
            ("caller", key.caller.to_string()),
            ("callee", key.callee.to_string()),
            ("interface", key.interface.to_string()),
        ];
        let exemplars = shared.context.traces.exemplars(&key.name(), &key.callee);
        histogram(text, &own, &latencies, &exemplars);
    }
}

fn histogram(text: &mut Text, labels: &[(&str, String)], latencies: &Latencies, exemplars: &[Exemplar]) {
    let (mut count, mut sum_ns) = (0u64, 0.0);
    let mut pairs = latencies.iter().peekable();
    let mut exemplars = exemplars.iter().peekable();
    for (bound, written) in BOUNDS_NS {
        while let Some((ns, calls)) = pairs.next_if(|(ns, _)| *ns <= bound) {
            count += calls;
            sum_ns += *ns as f64 * *calls as f64;
        }
        text.bucket(labels, written, count, within(&mut exemplars, bound));
    }
    for (ns, calls) in pairs {
        count += calls;
        sum_ns += *ns as f64 * *calls as f64;
    }
    text.bucket(labels, "+Inf", count, within(&mut exemplars, u64::MAX));
    text.sample_of("_count", labels, &[], count as f64);
    text.sample_of("_sum", labels, &[], sum_ns / 1e9);
}

/// The exemplar of a bucket: the longest that is within its bound and beyond the one before.
fn within<'e>(
    exemplars: &mut std::iter::Peekable<impl Iterator<Item = &'e Exemplar>>,
    bound_ns: u64,
) -> Option<&'e Exemplar> {
    std::iter::from_fn(|| exemplars.next_if(|one| one.latency_ns <= bound_ns)).last()
}

async fn queues(text: &mut Text, shared: &Shared) -> Result<(), Failure> {
    let queues = shared.context.queues.list().await?;
    text.family(
        "cleave_queue_messages",
        Kind::Gauge,
        "",
        "Messages of a queue, by where they stand.",
    );
    for queue in &queues {
        for (state, count) in [
            ("ready", queue.ready),
            ("delayed", queue.delayed),
            ("leased", queue.leased),
            ("dead", queue.dead),
        ] {
            text.sample(
                "",
                &[("queue", queue.name.as_str()), ("state", state)],
                count as f64,
            );
        }
    }
    let help = "How long the oldest message that is ready has been so.";
    text.family("cleave_queue_oldest_seconds", Kind::Gauge, "seconds", help);
    for queue in &queues {
        text.sample(
            "",
            &[("queue", queue.name.as_str())],
            queue.oldest_ready_ms as f64 / 1e3,
        );
    }
    text.family(
        "cleave_queue_paused",
        Kind::Gauge,
        "",
        "Whether a queue is paused.",
    );
    for queue in &queues {
        text.sample(
            "",
            &[("queue", queue.name.as_str())],
            f64::from(u8::from(queue.paused)),
        );
    }
    Ok(())
}

fn handlers(text: &mut Text, shared: &Shared) {
    let handlers = shared.context.home.handlers();
    text.family(
        "cleave_handler_instances",
        Kind::Gauge,
        "",
        "Instances of a handler, on all nodes.",
    );
    for handler in &handlers {
        let figures = &handler.figures;
        for (state, count) in [("idle", figures.instances_idle), ("busy", figures.instances_busy)] {
            text.sample(
                "",
                &[("handler", handler.name.as_str()), ("state", state)],
                count as f64,
            );
        }
    }
    text.family(
        "cleave_handler_instances_made",
        Kind::Counter,
        "",
        "Instances that were made.",
    );
    for handler in &handlers {
        let made = handler.figures.instances_made as f64;
        text.sample("_total", &[("handler", handler.name.as_str())], made);
    }
    text.family(
        "cleave_handler_instances_cold",
        Kind::Counter,
        "",
        "Instances that a call waited for.",
    );
    for handler in &handlers {
        let cold = handler.figures.instances_cold as f64;
        text.sample("_total", &[("handler", handler.name.as_str())], cold);
    }
}

#[cfg(test)]
mod tests;
