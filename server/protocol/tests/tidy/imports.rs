//! Who may import whom: the table, and how imports are read.
//!
//! Promises: a production line that names a module the table does not allow is reported, in every spelling
//! (`crate::x`, `crate::{x, y}`, `super::super::x`). Tests may import what they need.
//! The picture of it is in `ARCHITECTURE.md`.

use crate::Report;
use crate::source::File;

/// The contract and the ground, which everything above may use.
const GROUND: &[&str] = &["protocol", "dispatch", "telemetry", "shutdown", "clock"];

/// Module of the server → what it may import. Modules that nobody may name (`node`, `cli`) stand in no list.
const TABLE: &[(&str, &[&str], &[&str])] = &[
    // Ground: knows nothing of what stands on it.
    ("clock", &[], &[]),
    ("shutdown", &["clock"], &[]),
    ("db", &["clock", "shutdown"], &[]),
    ("telemetry", &["protocol", "clock", "shutdown"], &[]),
    ("dispatch", &["protocol", "clock", "telemetry"], &[]),
    // State: what is remembered.
    ("edges", GROUND, &[]),
    ("map", &["protocol"], &[]),
    ("peers", GROUND, &[]),
    ("otlp", GROUND, &[]),
    ("queue", GROUND, &["db"]),
    ("state", GROUND, &["db"]),
    ("traces", GROUND, &["db"]),
    // Execution: doing it, here or there. The runtime reaches queue and state through `Dispatch` only.
    ("runtime", GROUND, &[]),
    ("quic", GROUND, &["peers"]),
    // Decision: who serves it. The router holds the `Dispatch`ers that it is given, and knows none of them.
    ("router", GROUND, &["peers", "edges"]),
    ("placement", GROUND, &["peers"]),
    // Doors.
    (
        "http",
        GROUND,
        &[
            "router",
            "runtime",
            "queue",
            "state",
            "traces",
            "edges",
            "otlp",
            "map",
            "peers",
            "placement",
        ],
    ),
    // Above all: the composition root and the command line.
    (
        "config",
        GROUND,
        &[
            "db",
            "edges",
            "http",
            "otlp",
            "peers",
            "placement",
            "queue",
            "quic",
            "router",
            "runtime",
            "state",
            "traces",
        ],
    ),
    ("node", EVERYTHING, &["cli"]),
    ("cli", EVERYTHING, &["load", "node"]),
];

const EVERYTHING: &[&str] = &[
    "protocol",
    "dispatch",
    "telemetry",
    "shutdown",
    "clock",
    "db",
    "edges",
    "otlp",
    "map",
    "peers",
    "queue",
    "state",
    "traces",
    "runtime",
    "quic",
    "router",
    "placement",
    "http",
    "config",
];

/// Other crates that one module alone may name, and that module.
const CONFINED: &[(&str, &str)] = &[
    ("quinn", "quic"),
    ("rustls", "quic"),
    ("tokio_rustls", "quic"),
    ("rcgen", "quic"),
    ("wasmtime", "runtime"),
    ("wasmtime_wasi", "runtime"),
    ("wasmtime_wasi_http", "runtime"),
    ("axum", "http"),
    ("load", "cli"),
];

/// What the packages below the server may not depend on.
const PACKAGES: &[(&str, &[&str])] = &[
    (
        "server/protocol/Cargo.toml",
        &[
            "tokio", "sqlx", "quinn", "wasmtime", "axum", "server", "load", "hyper",
        ],
    ),
    (
        "load/Cargo.toml",
        &["wasmtime", "server", "sqlx", "quinn", "axum"],
    ),
];

pub fn check(file: &File, report: &mut Report) {
    if let Some((_, forbidden)) = PACKAGES.iter().find(|(path, _)| *path == file.path) {
        manifest(file, forbidden, report);
    }
    let Some(inside) = file.path.strip_prefix("server/src/") else {
        return;
    };
    let module = inside.split(['/', '.']).next().unwrap_or_default();
    if !file.is_rust() || file.is_test_file() || matches!(module, "main" | "lib") {
        return;
    }
    let Some((_, ground, more)) = TABLE.iter().find(|(name, ..)| *name == module) else {
        report.add(
            file,
            0,
            "imports",
            format!("`{module}` is not in the table of tidy/imports.rs: give it a place"),
        );
        return;
    };
    let depth = inside.matches('/').count() + 1;
    let code: Vec<(usize, &str)> = file.production().collect();
    for (line, imported) in modules_named(&code, depth) {
        let known = TABLE.iter().any(|(name, ..)| *name == imported);
        if known
            && imported != module
            && !ground.contains(&imported.as_str())
            && !more.contains(&imported.as_str())
        {
            report.add(
                file,
                line,
                "imports",
                format!("`{module}` may not import `{imported}`"),
            );
        }
    }
    for (line, text) in code {
        for (name, owner) in CONFINED
            .iter()
            .filter(|(name, owner)| *owner != module && names_crate(text, name))
        {
            if module != "node" && module != "config" {
                report.add(
                    file,
                    line,
                    "imports",
                    format!("crate `{name}` is named only in `{owner}`"),
                );
            }
        }
    }
}

fn manifest(file: &File, forbidden: &[&str], report: &mut Report) {
    let mut dependencies = false;
    for (index, line) in file.lines.iter().enumerate() {
        if line.starts_with('[') {
            dependencies = line.trim() == "[dependencies]";
        }
        let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
        if dependencies && forbidden.contains(&name) {
            report.add(
                file,
                index + 1,
                "imports",
                format!("this package may not depend on `{name}`"),
            );
        }
    }
}

/// Modules of the crate's root that the code names, with their lines. `depth` is the file's own: 1 for
/// `queue.rs`, 2 for `queue/store.rs`.
fn modules_named(code: &[(usize, &str)], depth: usize) -> Vec<(usize, String)> {
    let to_root = "super::".repeat(depth);
    let mut named = Vec::new();
    for (at, (line, text)) in code.iter().enumerate() {
        for start in ["crate::", to_root.as_str()] {
            for (position, _) in text.match_indices(start) {
                // `super::super::` deep in a longer chain, and `$crate::` or `my_crate::`, are other paths.
                let before = text[..position].chars().next_back();
                if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
                    continue;
                }
                let rest = &text[position + start.len()..];
                if let Some(group) = rest.strip_prefix('{') {
                    named.extend(
                        group_members(group, &code[at + 1..])
                            .into_iter()
                            .map(|name| (*line, name)),
                    );
                } else {
                    named.push((*line, word(rest)));
                }
            }
        }
    }
    named
}

/// First words of the members of `{a, b::c, d::{e}}`, which may end lines below.
fn group_members(first: &str, below: &[(usize, &str)]) -> Vec<String> {
    let mut members = Vec::new();
    let mut depth = 1;
    let mut current = String::new();
    let lines = std::iter::once(first).chain(below.iter().map(|(_, text)| *text));
    for c in lines.flat_map(|line| line.chars().chain(std::iter::once(' '))) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && c == ',') {
            members.push(word(current.trim_start()));
            current.clear();
        } else {
            current.push(c);
        }
        if depth == 0 {
            break;
        }
    }
    members.retain(|member| !member.is_empty());
    members
}

fn word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// Is `name` the head of a path here (`quinn::`, `use quinn;`)?
fn names_crate(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = &code[at + name.len()..];
        let is_head =
            before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':' && c != '"' && c != '.');
        let inside_crate = code[..at].ends_with("crate::") || code[..at].ends_with("self::");
        is_head && !inside_crate && after.starts_with("::")
    })
}

#[test]
fn imports_are_read_in_every_spelling() {
    let code = [
        (1, "use crate::queue::Queues;"),
        (2, "use crate::{clock::Clock, db,"),
        (3, "    traces::{Span, Tree}};"),
        (4, "let x = super::super::router::Router;"),
        (5, "use super::message::Message;"),
        (6, "$crate::node::x(); other_crate::cli::y();"),
    ];
    let expected = [
        (1, "queue"),
        (2, "clock"),
        (2, "db"),
        (2, "traces"),
        (4, "router"),
    ];
    let named = modules_named(&code, 2);
    assert_eq!(
        named
            .iter()
            .map(|(line, name)| (*line, name.as_str()))
            .collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn a_crate_is_named_only_as_the_head_of_a_path() {
    assert!(names_crate("use quinn::Endpoint;", "quinn"));
    assert!(names_crate("Result<(), quinn::ConnectError>", "quinn"));
    assert!(!names_crate("\"quinn::endpoint=warn\"", "quinn"));
    assert!(!names_crate("crate::load::x()", "load"));
    assert!(!names_crate("my_quinn::x()", "quinn"));
}

#[test]
fn a_module_that_breaks_the_table_is_reported_with_its_line() {
    let mut report = Report {
        violations: Vec::new(),
        notes: Vec::new(),
    };
    let text = "//! Head.\nuse crate::clock::Clock;\nuse crate::queue::Queues;\nuse quinn::Endpoint;\n#[cfg(test)]\nmod tests {\n    use crate::node::Node;\n}\n";
    check(&File::new("server/src/runtime/pool.rs".into(), text), &mut report);
    let lines: Vec<(usize, &str)> = report
        .violations
        .iter()
        .map(|v| (v.line, v.what.as_str()))
        .collect();
    assert_eq!(
        lines,
        [
            (3, "`runtime` may not import `queue`"),
            (4, "crate `quinn` is named only in `quic`")
        ]
    );
}
