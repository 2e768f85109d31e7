//! Rules about one file at a time.

use crate::Report;
use crate::source::{File, Tree};

/// Production lines from which a split is worth a thought, and from which there is none to be had.
const LINES_NOTED: usize = 400;
const LINES_MAX: usize = 600;

const HEADER_LINES_MAX: usize = 15;

/// Names that say nothing: what belongs there is missing a noun.
const BANNED_STEMS: [&str; 12] = [
    "util", "utils", "common", "helper", "helpers", "manager", "misc", "types", "traits", "errors", "impls",
    "mod",
];

/// Statements that only stores hold.
const SQL: [&str; 9] = [
    "SELECT ",
    "INSERT INTO ",
    "INSERT OR ",
    "DELETE FROM ",
    "UPDATE ",
    "CREATE TABLE ",
    "BEGIN IMMEDIATE",
    "PRAGMA ",
    "WITH RECURSIVE ",
];

/// Statuses that are no failure; all others are chosen in `http/error.rs`.
const STATUSES_OF_SUCCESS: [&str; 12] = [
    "OK",
    "CREATED",
    "ACCEPTED",
    "NO_CONTENT",
    "PARTIAL_CONTENT",
    "SWITCHING_PROTOCOLS",
    "NOT_MODIFIED",
    "SEE_OTHER",
    "FOUND",
    "MOVED_PERMANENTLY",
    "TEMPORARY_REDIRECT",
    "PERMANENT_REDIRECT",
];

pub fn check(file: &File, report: &mut Report) {
    name(file, report);
    // The rules' own words would be found in the rules.
    if !file.path.starts_with("server/protocol/tests/tidy") {
        words(file, report);
    }
    if !file.is_rust() {
        return;
    }
    header(file, report);
    size(file, report);
    if file.path.starts_with("server/src/") {
        places(file, report);
    }
}

pub fn check_examples(tree: &Tree, report: &mut Report) {
    let mut folders: Vec<&str> = tree
        .files
        .iter()
        .filter_map(|file| file.path.strip_prefix("examples/")?.split_once('/'))
        .map(|(folder, _)| folder)
        .collect();
    folders.dedup();
    for folder in folders {
        let readme = format!("examples/{folder}/README.md");
        if !tree.files.iter().any(|file| file.path == readme) {
            let first = tree
                .files
                .iter()
                .find(|file| file.path.starts_with(&format!("examples/{folder}/")));
            let first = first.expect("a folder was listed because of a file in it");
            report.add(
                first,
                0,
                "readme",
                format!("`{readme}` is missing: an example without its commands is none"),
            );
        }
    }
}

fn name(file: &File, report: &mut Report) {
    let last = file.path.rsplit('/').next().unwrap_or_default();
    let stem = last.split('.').next().unwrap_or_default();
    if file.is_rust() && BANNED_STEMS.contains(&stem) {
        report.add(
            file,
            0,
            "name",
            format!("`{last}` says nothing about what it holds: name its noun"),
        );
    }
}

fn words(file: &File, report: &mut Report) {
    for (index, line) in file.lines.iter().enumerate() {
        for mark in ["TODO", "FIXME"] {
            if let Some(at) = line.find(mark)
                && !line[at + mark.len()..].starts_with("(#")
                && !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
            {
                report.add(
                    file,
                    index + 1,
                    "todo",
                    format!("`{mark}` needs the number of its issue, as `{mark}(#12)`"),
                );
            }
        }
        for path in ["/work/", "../shared"] {
            if line.contains(path) {
                report.add(
                    file,
                    index + 1,
                    "foreign path",
                    format!("`{path}` is no path of this repository"),
                );
            }
        }
        if file.is_rust() && (line.contains("#[allow(") || line.contains("#![allow(")) {
            report.add(
                file,
                index + 1,
                "allow",
                "write `#[expect(…, reason = \"…\")]`, which tells when it is over",
            );
        }
    }
}

fn header(file: &File, report: &mut Report) {
    let lines = file
        .lines
        .iter()
        .take_while(|line| line.starts_with("//!"))
        .count();
    if lines == 0 {
        report.add(
            file,
            1,
            "header",
            "the file must begin with `//!`: what it is, what it promises, what is not here",
        );
    } else if lines > HEADER_LINES_MAX {
        report.add(
            file,
            1,
            "header",
            format!("{lines} lines, at most {HEADER_LINES_MAX}"),
        );
    }
}

fn size(file: &File, report: &mut Report) {
    let lines = file.test.iter().filter(|test| !**test).count();
    if lines > LINES_MAX {
        report.add(
            file,
            0,
            "size",
            format!("{lines} lines of production code, at most {LINES_MAX}: split it by noun"),
        );
    } else if lines > LINES_NOTED {
        report.note(format!(
            "{} has {lines} lines of production code; from {LINES_NOTED} on a split is worth a thought",
            file.path
        ));
    }
}

/// What may stand in one place only.
fn places(file: &File, report: &mut Report) {
    let is_store =
        file.path.ends_with("/store.rs") || file.path.contains("/store/") || file.path.contains("src/db");
    for (line, code) in file.production() {
        if !is_store && SQL.iter().any(|statement| holds_sql(code, statement)) {
            report.add(file, line, "sql", "SQL stands in `*/store.rs` and `db.rs` only");
        }
        if file.path != "server/src/http/error.rs"
            && let Some(status) = failure_status(code)
        {
            report.add(
                file,
                line,
                "status",
                format!("`{status}`: only http/error.rs chooses a failure status"),
            );
        }
        if file.path != "server/src/clock.rs" && code.contains("SystemTime::now") {
            report.add(file, line, "clock", "only clock.rs reads wall time");
        }
    }
}

/// A statement at the beginning of a string or of a line inside one.
fn holds_sql(code: &str, statement: &str) -> bool {
    code.contains(&format!("\"{statement}")) || code.trim_start().starts_with(statement)
}

fn failure_status(code: &str) -> Option<&str> {
    let (_, rest) = code.split_once("StatusCode::")?;
    let end = rest
        .find(|c: char| !c.is_ascii_uppercase() && c != '_')
        .unwrap_or(rest.len());
    let status = &rest[..end];
    // `StatusCode::from_u16` and the like begin in lower case.
    (status.len() > 1 && !STATUSES_OF_SUCCESS.contains(&status)).then_some(status)
}

#[cfg(test)]
fn found(path: &str, text: &str) -> Vec<(usize, &'static str)> {
    let mut report = Report {
        violations: Vec::new(),
        notes: Vec::new(),
    };
    check(&File::new(path.into(), text), &mut report);
    report
        .violations
        .iter()
        .map(|violation| (violation.line, violation.rule))
        .collect()
}

#[test]
fn each_rule_finds_what_it_is_for() {
    assert_eq!(found("server/src/x/util.rs", "//! Head.\n"), [(0, "name")]);
    assert_eq!(found("load/src/x.rs", "use a;\n"), [(1, "header")]);
    assert_eq!(found("load/src/x.rs", &"//! Head.\n".repeat(16)), [(1, "header")]);
    assert_eq!(
        found("load/src/x.rs", &format!("//! Head.\n{}", "use a;\n".repeat(600))),
        [(0, "size")]
    );
    assert_eq!(
        found(
            "web-ui/style/a.css",
            "/* TODO: colours */\n/* TODO(#7): colours */\n"
        ),
        [(1, "todo")]
    );
    assert_eq!(found("README.md", "see /work/x\n"), [(1, "foreign path")]);
    assert_eq!(
        found("load/src/x.rs", "//! Head.\n#[allow(dead_code)]\n"),
        [(2, "allow")]
    );
}

#[test]
fn what_belongs_in_one_place_is_found_elsewhere() {
    let sql = "//! Head.\nlet q = \"SELECT id FROM spans\";\n";
    assert_eq!(found("server/src/traces/tree.rs", sql), [(2, "sql")]);
    assert_eq!(found("server/src/traces/store.rs", sql), []);
    let status = "//! Head.\nlet a = StatusCode::OK;\nlet b = StatusCode::BAD_REQUEST;\n";
    assert_eq!(found("server/src/http/api.rs", status), [(3, "status")]);
    assert_eq!(found("server/src/http/error.rs", status), []);
    let clock = "//! Head.\nlet now = SystemTime::now();\n";
    assert_eq!(found("server/src/router.rs", clock), [(2, "clock")]);
}
