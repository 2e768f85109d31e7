//! The house style that is a test: headers, sizes, names, imports, and what may stand only in one place.
//!
//! Promises: reports every violation at once, as `file:line: rule`, so one run is enough to repair all. It lives in
//! `protocol` so that it runs without compiling the server. Lists of exceptions only shrink: an exception that is
//! not needed is a violation itself.
//! Not here: what clippy can say (function length, `unwrap`, `tokio::spawn`); see `clippy.toml` and the workspace's
//! lints.

#![expect(clippy::print_stdout, reason = "a note is for whoever runs the test by hand")]

#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/source.rs"]
mod source;

use source::{File, Tree};

/// One thing that is not as it should be.
pub struct Violation {
    path: String,
    /// 0 when it concerns the file as a whole.
    line: usize,
    rule: &'static str,
    what: String,
}

/// What a rule sees and where it reports.
pub struct Report {
    violations: Vec<Violation>,
    notes: Vec<String>,
}

impl Report {
    fn add(&mut self, file: &File, line: usize, rule: &'static str, what: impl Into<String>) {
        self.violations.push(Violation {
            path: file.path.clone(),
            line,
            rule,
            what: what.into(),
        });
    }

    fn note(&mut self, note: String) {
        self.notes.push(note);
    }
}

/// A rule that a file may break, and why. Remove an entry as soon as its file is in order.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    // (rule, path, reason)
];

#[test]
fn the_tree_is_tidy() {
    let tree = Tree::read();
    assert!(
        tree.files.len() > 10,
        "found only {} files below {}",
        tree.files.len(),
        tree.root.display()
    );
    let mut report = Report {
        violations: Vec::new(),
        notes: Vec::new(),
    };
    for file in &tree.files {
        rules::check(file, &mut report);
        imports::check(file, &mut report);
    }
    rules::check_examples(&tree, &mut report);
    let unused = unused_exceptions(&report);
    report.violations.retain(|violation| !is_excepted(violation));
    for note in &report.notes {
        println!("note: {note}");
    }
    let mut lines: Vec<String> = report.violations.iter().map(Violation::to_string).collect();
    lines.sort();
    lines.extend(unused);
    assert!(
        lines.is_empty(),
        "{} violations of the house style:\n{}",
        lines.len(),
        lines.join("\n")
    );
}

impl std::fmt::Display for Violation {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "{}:{}: {}: {}",
            self.path,
            self.line.max(1),
            self.rule,
            self.what
        )
    }
}

fn is_excepted(violation: &Violation) -> bool {
    EXCEPTIONS
        .iter()
        .any(|(rule, path, _)| *rule == violation.rule && *path == violation.path)
}

fn unused_exceptions(report: &Report) -> Vec<String> {
    let is_used = |rule: &str, path: &str| report.violations.iter().any(|v| v.rule == rule && v.path == path);
    let unused = EXCEPTIONS.iter().filter(|(rule, path, _)| !is_used(rule, path));
    unused
        .map(|(rule, path, _)| format!("{path}:1: {rule}: the exception is not needed any more, remove it"))
        .collect()
}
