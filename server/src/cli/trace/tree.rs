//! A trace as text: its spans as a tree, and the nine steps of its slowest call. Pure.

use protocol::api::traces::{SpanRow, TraceDetail};
use protocol::span::{CallerStages, Span, Stages};
use protocol::{SpanKind, SpanStatus};

use crate::cli::output::{Table, duration};

/// The whole text.
pub(super) fn render(detail: &TraceDetail) -> String {
    let summary = &detail.summary;
    let mut text = format!(
        "{}  {}  {} spans on {} nodes, {}\n\n",
        summary.name,
        duration(summary.duration_ns),
        summary.spans,
        summary.nodes,
        summary.placement
    );
    text.push_str(&tree(&detail.spans));
    for (count, what) in [
        (detail.truncated, "more spans are stored"),
        (detail.orphans, "spans have lost their parent"),
    ] {
        if count > 0 {
            text.push_str(&format!("{count} {what}\n"));
        }
    }
    for linked in &detail.linked {
        let how = if linked.follows {
            "continues as"
        } else {
            "continues"
        };
        text.push_str(&format!(
            "{how} {}  {}  after {} in the queue  cleave trace {}\n",
            linked.name,
            duration(linked.duration_ns),
            duration(linked.wait_ns),
            linked.trace_id
        ));
    }
    if let Some((span, stages)) = slowest_call(&detail.spans) {
        text.push_str(&steps(span, stages));
    }
    text
}

fn tree(rows: &[SpanRow]) -> String {
    let mut table = Table::new(
        &["SPAN", "KIND", "STARTS", "TOOK", "SELF", "NODE", "VIA", ""],
        &[2, 3, 4],
    );
    for row in rows {
        let span = &row.span;
        table.row([
            format!(
                "{}{} {}",
                "  ".repeat(row.depth as usize),
                span.handler,
                span.name
            ),
            kind(span.kind).to_owned(),
            format!("+{}", duration(row.offset_ns)),
            duration(span.duration_ns),
            duration(row.self_ns),
            span.node.to_string(),
            span.transport
                .map(|transport| crate::cli::output::word(&transport))
                .unwrap_or_default(),
            remark(span),
        ]);
    }
    table.render()
}

fn kind(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Internal => "internal",
        SpanKind::Server => "serves",
        SpanKind::Client => "calls",
        SpanKind::Producer => "sends",
        SpanKind::Consumer => "takes",
    }
}

fn remark(span: &Span) -> String {
    let mut remarks = Vec::new();
    match &span.status {
        SpanStatus::Ok => {}
        SpanStatus::Err => remarks.push("err".to_owned()),
        SpanStatus::Failed { code, message } => remarks.push(format!("failed, {code}: {message}")),
    }
    if span.cold == Some(true) {
        remarks.push("cold".to_owned());
    }
    if !span.logs.is_empty() {
        remarks.push(format!("{} log lines", span.logs.len()));
    }
    remarks.join(" · ")
}

fn slowest_call(rows: &[SpanRow]) -> Option<(&Span, &CallerStages)> {
    let calls = rows.iter().filter_map(|row| match &row.span.stages {
        Some(Stages::Caller(stages)) => Some((&row.span, stages)),
        _ => None,
    });
    calls.max_by_key(|(span, _)| span.duration_ns)
}

/// Steps 3 and 8 are one measured number, shown in halves.
fn steps(span: &Span, stages: &CallerStages) -> String {
    let callee = &stages.callee;
    let half = stages.travel / 2;
    let peer = span.peer.as_ref().map_or("its callee", |peer| peer.as_str());
    let rows: [(&str, String, u64); 10] = [
        (
            "1",
            format!("{} lifts the arguments from its memory", span.handler),
            stages.lift,
        ),
        ("2", "routed, framed, written".to_owned(), stages.send),
        ("3 ≈", "travels there".to_owned(), half),
        ("4", format!("{peer} reads them into its memory"), callee.decode),
        ("5", "waits for an instance".to_owned(), callee.wait),
        ("6", "runs".to_owned(), callee.run),
        ("", "  and waits for its own calls".to_owned(), callee.outgoing),
        ("7", "lifts the result from its memory".to_owned(), callee.encode),
        ("8 ≈", "travels back".to_owned(), stages.travel - half),
        (
            "9",
            format!("{} reads it into its memory", span.handler),
            stages.lower,
        ),
    ];
    let mut table = Table::new(&["STEP", "", "TOOK"], &[2]);
    for (step, what, ns) in rows {
        table.row([step.to_owned(), what, duration(ns)]);
    }
    format!(
        "\nThe slowest call: {} -> {peer} {}, {}\n{}",
        span.handler,
        span.name,
        duration(span.duration_ns),
        table.render()
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use protocol::api::traces::TraceSummary;
    use protocol::{CalleeStages, HandlerName, NodeName, SpanId, TraceId, Transport};

    use super::*;

    fn row(id: u64, depth: u32, duration_ns: u64, stages: Option<Stages>) -> SpanRow {
        SpanRow {
            span: Span {
                trace_id: TraceId(1),
                span_id: SpanId(id),
                parent_id: None,
                kind: SpanKind::Client,
                handler: HandlerName::parse("checkout").unwrap(),
                node: NodeName::home(),
                name: Arc::from("shop:cart/cart.get"),
                start_unix_ns: 0,
                duration_ns,
                status: SpanStatus::Err,
                peer: Some(HandlerName::parse("cart").unwrap()),
                transport: Some(Transport::Quic),
                cold: Some(true),
                stages,
                link: None,
                attributes: Vec::new(),
                logs: Vec::new(),
            },
            depth,
            offset_ns: 10,
            self_ns: duration_ns,
            critical: Vec::new(),
        }
    }

    #[test]
    fn the_slowest_call_s_nine_steps_add_up() {
        let callee = CalleeStages {
            total: 50,
            decode: 5,
            wait: 6,
            run: 20,
            outgoing: 12,
            encode: 7,
        };
        let stages = CallerStages {
            lift: 1,
            send: 2,
            travel: 43,
            lower: 4,
            callee,
        };
        let detail = TraceDetail {
            summary: TraceSummary {
                trace_id: TraceId(1),
                name: "GET /cart".into(),
                handler: HandlerName::ingress(),
                start_unix_ns: 0,
                duration_ns: 2_000,
                spans: 2,
                errors: 0,
                nodes: 1,
                handlers: Vec::new(),
                placement: "apart".into(),
                error: None,
                missing: 0,
            },
            spans: vec![
                row(1, 0, 100, Some(Stages::Caller(stages))),
                row(2, 1, 2_000, None),
            ],
            truncated: 0,
            orphans: 0,
            linked: Vec::new(),
        };
        let text = render(&detail);
        assert!(text.contains("  checkout shop:cart/cart.get"), "{text}");
        assert!(text.contains("err · cold"), "{text}");
        for (step, took) in [("3 ≈", "21 ns"), ("8 ≈", "22 ns"), ("6", "20 ns"), ("9", "4 ns")] {
            let line = text
                .lines()
                .find(|line| line.starts_with(&format!("{step} ")))
                .unwrap();
            assert!(line.ends_with(took), "{line}");
        }
    }
}
