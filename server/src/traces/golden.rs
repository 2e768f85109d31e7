//! Golden traces: small ones by hand, each with the rows and the critical path that it must come to; and pairs of them,
//! with what their comparison must come to.
//!
//! A file has a sentence, a span a line (id, parent or `-`, kind, handler or `caller>callee`, node, start, end, name,
//! then `failed`, `queue`), and below `---` what is told; of a pair, `===` stands between the two.
//! `CLEAVE_UPDATE_GOLDEN=1` writes what is told anew: look at it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::api::diff::PathSide;
use protocol::api::rows::{RowBar, RowsQuery};
use protocol::{HandlerName, NodeName, Span, SpanId, SpanKind, TraceId, Transport};

use super::diff::{Member, Side, diff};
use super::rows::{Laid, View, window};
use super::skeleton::Columns;
use super::testing::{failed, span};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/traces/golden")
}

fn parse(line: &str) -> Span {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [id, parent, kind, who, node, start, end, name, marks @ ..] = words.as_slice() else {
        panic!("a span has eight words: {line}");
    };
    let parent: Option<u64> = (*parent != "-").then(|| parent.parse().unwrap());
    let mut made = span(1, id.parse().unwrap(), parent);
    let (handler, peer) = match who.split_once('>') {
        Some((handler, peer)) => (handler, Some(peer)),
        None => (*who, None),
    };
    made.handler = HandlerName::parse(handler).unwrap();
    made.peer = peer.map(|peer| HandlerName::parse(peer).unwrap());
    made.node = NodeName::parse(node).unwrap();
    made.name = (*name).into();
    made.start_unix_ns = start.parse().unwrap();
    made.duration_ns = end.parse::<u64>().unwrap() - made.start_unix_ns;
    made.kind = match *kind {
        "client" => SpanKind::Client,
        "producer" => SpanKind::Producer,
        "consumer" => SpanKind::Consumer,
        _ => SpanKind::Server,
    };
    made.transport = match made.kind {
        SpanKind::Client if marks.contains(&"queue") => Some(Transport::Queue),
        SpanKind::Client => Some(Transport::Quic),
        _ => None,
    };
    if marks.contains(&"failed") {
        failed(made)
    } else {
        made
    }
}

fn laid(input: &str) -> Laid {
    let mut columns = Columns::new(TraceId(1));
    for line in input.lines().filter(|line| !line.starts_with('#')) {
        columns.add(&parse(line), None);
    }
    Laid::out(Arc::new(columns.done()), 1)
}

/// What the rows and the path come to, all unfolded.
fn told(laid: &Laid) -> String {
    let all = |laid: &Laid| window(laid, &View::of(&RowsQuery::default()).unwrap(), &[]);
    let stands: Vec<String> = all(laid)
        .rows
        .iter()
        .filter(|row| row.key.repeats)
        .map(|row| row.key.to_string())
        .collect();
    let query = RowsQuery {
        collapsed: Some(stands.join(",")),
        ..RowsQuery::default()
    };
    let rows = window(laid, &View::of(&query).unwrap(), &[]);
    let word = |at: u32| rows.words[at as usize].as_str();
    let mut out = String::new();
    for row in &rows.rows {
        let indent = "  ".repeat(row.depth as usize);
        let _ = write!(
            out,
            "{indent}{} {} {}..{}",
            word(row.handler),
            word(row.label),
            row.outer.0,
            row.outer.1
        );
        if let Some((start, end)) = row.inner {
            let _ = write!(out, " within {start}..{end} at {}", word(row.node));
        }
        if let Some(repeats) = &row.repeats {
            let _ = write!(out, " x{} {}", repeats.count, repeats.total_ns);
        }
        for (mark, is_so) in [
            ("remote", row.bar == RowBar::Remote),
            ("queued", row.bar == RowBar::Queued),
            ("failed", row.failed),
            ("orphan", row.orphan),
        ] {
            if is_so {
                let _ = write!(out, " {mark}");
            }
        }
        out.push('\n');
    }
    out.push_str("path:");
    for part in &laid.path {
        let id = SpanId(laid.skeleton.id[part.span as usize]).0;
        let _ = write!(out, " {id}:{}..{}", part.start, part.end);
    }
    let _ = writeln!(out, "\norphans: {}", laid.tree.orphans);
    out
}

/// What two traces come to side by side: calls and their median length, and what they spend themselves.
fn compared(pair: &str) -> String {
    let (a, b) = pair.split_once("===\n").unwrap();
    let side = |input: &str| {
        let laid = laid(input);
        Side {
            members: vec![Member {
                duration_ns: laid.duration_ns(),
                laid: Arc::new(laid),
                name: String::new(),
                placement: String::new(),
                has_failed: false,
            }],
            is_cut: false,
        }
    };
    let told = diff(&side(a), &side(b));
    let mut out = String::new();
    for path in &told.paths {
        let side = |side: &Option<PathSide>| match side {
            None => "not".to_owned(),
            Some(side) => {
                let failed = match side.failed {
                    0 => String::new(),
                    failed => format!(" {failed} failed"),
                };
                let (median, own, between) = (side.median_ns, side.own_median_ns, side.between_median_ns);
                format!("{} x {median} own {own} between {between}{failed}", side.calls)
            }
        };
        let indent = "  ".repeat(path.depth as usize);
        let by = path
            .length
            .map_or_else(String::new, |length| format!(" | {:+}", length.by_ns));
        let (a, b) = (side(&path.a), side(&path.b));
        let _ = writeln!(out, "{indent}{} {}: {a} | {b}{by}", path.handler, path.label);
    }
    let _ = writeln!(out, "whole: {:+}", told.whole.by_ns);
    out
}

/// Holds each file of a folder to what it says.
fn check(folder: &Path, least: usize, told: impl Fn(&str) -> String) {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|file| file.is_file())
        .collect();
    files.sort();
    assert!(files.len() >= least, "{}", files.len());
    let update = std::env::var_os("CLEAVE_UPDATE_GOLDEN").is_some_and(|update| update == "1");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let (input, expected) = text.split_once("---\n").unwrap();
        let found = told(input);
        if update {
            std::fs::write(&file, format!("{input}---\n{found}")).unwrap();
        } else {
            assert_eq!(found, expected, "{}", file.display());
        }
    }
}

#[test]
fn each_golden_trace_comes_to_what_its_file_says() {
    check(&folder(), 20, |input| told(&laid(input)));
}

#[test]
fn each_golden_pair_comes_to_what_its_file_says() {
    check(&folder().join("diff"), 4, compared);
}
