//! The traces of the shop: their shape, their sums, how they are found and kept.

use std::collections::{BTreeMap, BTreeSet};

use protocol::api::Page;
use protocol::api::traces::{SpanRow, TraceDetail, TraceSummary, TypicalSteps};
use protocol::span::{CalleeStages, CallerStages, Stages};
use protocol::{SpanId, SpanKind, Transport};
use serde_json::Value;

use crate::support::{Home, card_form, wait_for};

/// The trace of an id, once all of it was stored: its spans have stopped coming and its root is there.
#[track_caller]
pub(crate) fn wait_trace(home: &Home, id: &str) -> TraceDetail {
    assert_eq!(id.len(), 32, "`{id}` is no trace");
    wait_for(&format!("the trace {id}"), || {
        let answer = home
            .api
            .send(crate::support::Req::get(&format!("/api/v1/traces/{id}")));
        if !answer.status.is_success() {
            return Err(answer.text());
        }
        let detail: TraceDetail = answer.expect();
        let is_whole = detail.orphans == 0
            && detail
                .spans
                .first()
                .is_some_and(|root| root.span.parent_id.is_none())
            && unanswered(&detail).is_empty();
        if is_whole {
            Ok(detail)
        } else {
            Err(format!("without its callee's span: {:?}", unanswered(&detail)))
        }
    })
}

/// Calls of which only the caller's side is there yet.
fn unanswered(detail: &TraceDetail) -> Vec<String> {
    let parents: BTreeSet<SpanId> = detail.spans.iter().filter_map(|row| row.span.parent_id).collect();
    let clients = detail
        .spans
        .iter()
        .filter(|row| row.span.kind == SpanKind::Client);
    clients
        .filter(|row| !parents.contains(&row.span.span_id))
        .map(|row| row.span.name.to_string())
        .collect()
}

/// Whether parts make up a whole: within 3 % or 2 µs.
fn is_close(parts: u64, whole: u64) -> bool {
    parts.abs_diff(whole) <= (whole * 3 / 100).max(2_000)
}

fn callee_parts(stages: &CalleeStages) -> u64 {
    stages.decode + stages.wait + stages.run + stages.outgoing + stages.encode
}

fn caller_parts(stages: &CallerStages) -> u64 {
    stages.lift + stages.send + stages.travel + stages.callee.total + stages.lower
}

/// What of the calls of one function is compared.
type Sum = (String, &'static str);

/// Both sides of every call add up, and agree. Parts never exceed their whole. They can fall short of it in a call that
/// lost the processor between two looks at the clock, so of each function the best of several calls counts.
#[track_caller]
pub(crate) fn check_stages(details: &[TraceDetail]) {
    let mut best: BTreeMap<Sum, (u64, u64)> = BTreeMap::new();
    for detail in details {
        for (sum, parts, whole) in sums(detail) {
            assert!(
                parts <= whole || is_close(parts, whole),
                "{sum:?}: {parts} of {whole}"
            );
            let known = best.entry(sum).or_insert((parts, whole));
            if whole.abs_diff(parts) < known.1.abs_diff(known.0) {
                *known = (parts, whole);
            }
        }
    }
    // Between the callee's span and what its caller was told lies what carries the reply: inside, but no part.
    let compared = best.iter().filter(|((_, what), _)| *what != "told");
    let short = compared.filter(|(_, (parts, whole))| !is_close(*parts, *whole));
    let short: Vec<_> = short.collect();
    assert!(short.is_empty(), "parts and wholes differ: {short:#?}");
    let pairs = best.keys().filter(|(_, what)| *what == "told").count();
    assert!(pairs >= 5, "{pairs} functions of {:?}", best.keys());
}

/// Every sum of a trace: its function, the parts and the whole.
fn sums(detail: &TraceDetail) -> Vec<(Sum, u64, u64)> {
    let servers: BTreeMap<SpanId, CalleeStages> = detail
        .spans
        .iter()
        .filter_map(|row| match row.span.stages {
            Some(Stages::Callee(stages)) => Some((row.span.parent_id?, stages)),
            _ => None,
        })
        .collect();
    let mut sums = Vec::new();
    for span in detail.spans.iter().map(|row| &row.span) {
        let Some(Stages::Caller(caller)) = span.stages else {
            continue;
        };
        let mut add = |what, parts, whole| sums.push(((span.name.to_string(), what), parts, whole));
        add("caller", caller_parts(&caller), span.duration_ns);
        add("callee", callee_parts(&caller.callee), caller.callee.total);
        if let Some(callee) = servers.get(&span.span_id) {
            add("told", callee.total, caller.callee.total);
        }
    }
    sums
}

/// Checkouts of which the best sums count.
pub(crate) const BOUGHT: usize = 8;

/// A checkout's trace.
pub(crate) fn bought(home: &Home) -> TraceDetail {
    let mut visitor = home.visitor();
    visitor.add("storm-kettle", 2);
    let answer = visitor.post("/cart/checkout", &card_form("robin@harbour.example"));
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
    wait_trace(home, answer.header("x-trace-id"))
}

/// The path from the root to each span that serves something: `ingress > frontend > checkout`.
fn paths(detail: &TraceDetail) -> BTreeSet<String> {
    let spans: BTreeMap<SpanId, &SpanRow> = detail.spans.iter().map(|row| (row.span.span_id, row)).collect();
    let path = |row: &SpanRow| {
        let mut handlers = vec![row.span.handler.to_string()];
        let mut parent = row.span.parent_id;
        while let Some(above) = parent.and_then(|id| spans.get(&id)) {
            if above.span.kind != SpanKind::Client {
                handlers.push(above.span.handler.to_string());
            }
            parent = above.span.parent_id;
        }
        handlers.reverse();
        handlers.join(" > ")
    };
    let serving = detail
        .spans
        .iter()
        .filter(|row| row.span.kind != SpanKind::Client);
    serving.map(path).collect()
}

#[test]
fn a_checkout_has_the_shape_and_the_sums_of_its_calls() {
    let home = Home::shop().start();
    bought(&home);
    let detail = bought(&home);
    assert_eq!(detail.summary.name, "POST /cart/checkout");
    assert_eq!(detail.summary.handler.as_str(), "ingress");
    assert_eq!(detail.summary.placement, "together");
    assert_eq!(
        (detail.summary.errors, detail.truncated, detail.orphans),
        (0, 0, 0)
    );
    let expected = [
        "ingress",
        "ingress > frontend",
        "ingress > frontend > checkout",
        "ingress > frontend > checkout > cart",
        "ingress > frontend > checkout > cart > state",
        "ingress > frontend > checkout > catalog",
        "ingress > frontend > checkout > currency",
        "ingress > frontend > checkout > payment",
        "ingress > frontend > checkout > queue",
        "ingress > frontend > checkout > shipping",
        "ingress > frontend > recommendation",
        "ingress > frontend > recommendation > catalog",
    ];
    let paths = paths(&detail);
    for path in expected {
        assert!(paths.contains(path), "`{path}` is missing in {paths:#?}");
    }
    check_stages(&(0..BOUGHT).map(|_| bought(&home)).collect::<Vec<_>>());
    the_tree_is_in_order(&detail);

    // The letter's trace continues this one by a link.
    let linked = wait_for("the letter's trace", || {
        let detail = wait_trace(&home, &detail.summary.trace_id.to_string());
        detail
            .linked
            .first()
            .cloned()
            .ok_or_else(|| format!("{:?}", detail.summary))
    });
    assert!(linked.follows, "{linked:?}");
    let letter = wait_trace(&home, &linked.trace_id.to_string());
    assert!(
        letter
            .summary
            .handlers
            .iter()
            .any(|name| name.as_str() == "email"),
        "{:?}",
        letter.summary
    );
    assert!(
        letter
            .linked
            .iter()
            .any(|back| back.trace_id == detail.summary.trace_id && !back.follows)
    );
    let logs = letter.spans.iter().flat_map(|row| &row.span.logs);
    assert!(
        logs.map(|log| &log.message)
            .any(|line| line.contains("would send")),
        "what a guest logs is kept"
    );
}

/// Depth first, children within their parents, self times that add up to no more than the whole.
#[track_caller]
fn the_tree_is_in_order(detail: &TraceDetail) {
    let mut above: Vec<&SpanRow> = Vec::new();
    for row in &detail.spans {
        above.truncate(row.depth as usize);
        assert_eq!(
            above.len(),
            row.depth as usize,
            "{} has its parent before it",
            row.span.name
        );
        assert_eq!(
            above.last().map(|parent| parent.span.span_id),
            row.span.parent_id,
            "{}",
            row.span.name
        );
        assert!(row.self_ns <= row.span.duration_ns, "{}", row.span.name);
        above.push(row);
    }
    let critical: u64 = detail
        .spans
        .iter()
        .flat_map(|row| &row.critical)
        .map(|(start, end)| end - start)
        .sum();
    let whole = detail.spans[0].span.duration_ns;
    assert!(
        is_close(critical, whole),
        "the critical path is {critical} of {whole} ns"
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "one scenario, read from top to bottom")]
fn traces_are_found_counted_and_kept() {
    let mut home = Home::shop().start();
    let checkout = bought(&home);
    let mut visitor = home.visitor();
    for _ in 0..7 {
        visitor.page("/");
    }
    assert_eq!(visitor.get("/product/no-such-thing").status.as_u16(), 404);
    let spans = wait_for("every span to be recorded or counted as dropped", || {
        let status: Value = home.api.get("/api/v1/status");
        let count = |name: &str| status["spans"][name].as_u64().expect("a number");
        let (finished, recorded, dropped) = (count("finished"), count("recorded"), count("dropped"));
        if finished > 0 && finished == recorded + dropped {
            Ok((recorded, dropped))
        } else {
            Err(status.to_string())
        }
    });
    assert_eq!(spans.1, 0, "nothing is dropped without load");

    let list = |query: &str| {
        home.api
            .get::<Page<TraceSummary>>(&format!("/api/v1/traces?{query}"))
    };
    let all = list("limit=500").items;
    assert!(all.len() >= 10, "{} traces", all.len());
    let with_checkout = list("handler=checkout").items;
    assert!(!with_checkout.is_empty());
    assert!(
        with_checkout
            .iter()
            .all(|trace| trace.handlers.iter().any(|name| name.as_str() == "checkout"))
    );
    let by_edge = list("edge=checkout%20-%3E%20shop:email/email").items;
    assert_eq!(
        by_edge
            .iter()
            .filter(|trace| trace.trace_id == checkout.summary.trace_id)
            .count(),
        1
    );
    let slow_ns = checkout.summary.duration_ns;
    let slow = list(&format!("min_ms={}", slow_ns / 1_000_000)).items;
    assert!(
        slow.iter()
            .any(|trace| trace.trace_id == checkout.summary.trace_id)
    );
    assert!(list("min_ms=3600000").items.is_empty());
    assert!(
        list("status=ok&limit=500")
            .items
            .iter()
            .all(|trace| trace.errors == 0)
    );
    assert!(list("status=error").items.iter().all(|trace| trace.errors > 0));

    // Page by page: all of them, each once, the newest first.
    let (mut paged, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = list(&cursor.map_or_else(
            || "limit=3".to_owned(),
            |cursor| format!("limit=3&before={cursor}"),
        ));
        assert!(page.items.len() <= 3);
        paged.extend(page.items.iter().map(|trace| trace.trace_id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let ids: Vec<_> = all.iter().map(|trace| trace.trace_id).collect();
    assert_eq!(paged, ids);

    // What was stored is there after the next start, to the last nanosecond.
    let path = format!("/api/v1/traces/{}", checkout.summary.trace_id);
    let before: Value = home.api.get(&path);
    home.interrupt();
    home.start_again();
    let after: Value = home.api.get(&path);
    assert_eq!(after["spans"], before["spans"]);
    assert_eq!(after["summary"], before["summary"]);
}

#[test]
fn what_a_call_is_made_of_is_told_by_the_way_it_goes() {
    let home = Home::shop().start();
    let steps = || -> Vec<TypicalSteps> {
        home.api
            .list("/api/v1/steps?caller=frontend&function=shop:catalog/catalog.list-products")
    };
    assert_eq!(steps(), [], "nobody called yet");
    let called = |transport: Transport| {
        wait_for(&format!("calls over {transport:?}"), || {
            home.visitor().page("/");
            let steps = steps();
            match steps.iter().find(|steps| steps.transport == transport) {
                Some(found) if found.samples >= 3 => Ok(found.clone()),
                _ => Err(format!("{steps:?}")),
            }
        })
    };
    let together = called(Transport::Direct);
    home.place_apart();
    let apart = called(Transport::Quic);
    assert!(apart.newest_unix_ns > together.newest_unix_ns);
    for typical in [&together, &apart] {
        let stages = typical.stages;
        assert!(stages.callee.run > 0, "{typical:?}");
        assert!(
            is_close(callee_parts(&stages.callee), stages.callee.total),
            "{typical:?}"
        );
    }
    let ways: Vec<Transport> = steps().iter().map(|steps| steps.transport).collect();
    assert_eq!(ways.len(), 2, "both ways are kept: {ways:?}");
}
