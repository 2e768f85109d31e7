//! `cargo xtask test`: set up what is missing, check, and run every test.
//!
//! Promises: all tests run in one `cargo test` with the product's own profile, so that dependencies are compiled
//! once; the tests find components and browser through `CLEAVE_COMPONENTS` and `CHROME`. Ends with cargo's summary
//! lines, one per test binary.
//! Not here: the tests. The browser test is the module `browser` of `server/tests/it`.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::project::Project;
use crate::steps::{Steps, human};
use crate::{axe, browser, build, lint, server};

/// What to leave out, and what to tell the test binaries.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    pub lint: bool,
    pub browser: bool,
    pub passed_on: Vec<String>,
}

/// Leaves out the test module that needs a browser.
const SKIP_BROWSER: [&str; 2] = ["--skip", "browser::"];

pub fn run(project: &Project, options: &Options) -> Result<()> {
    server::check_c_compiler()?;
    // Standard library, handlers, web UI, tests.
    const ALWAYS: usize = 4;
    let total = ALWAYS + usize::from(options.browser) + if options.lint { lint::STEPS } else { 0 };
    let mut steps = Steps::new(total);
    let chrome = match options.browser {
        true => Some(steps.run("Find a browser", browser::find)?),
        false => None,
    };
    let wasm_std = build::wasm_std(project, &mut steps)?;
    build::handlers(project, &wasm_std, &mut steps)?;
    build::ui(project, &wasm_std, &mut steps)?;
    if options.lint {
        lint::steps(project, Some(&wasm_std), &mut steps)?;
    }
    let mut cargo = project.cargo();
    cargo
        .args(["test", "--release", "--workspace", "--no-fail-fast", "--"])
        .args(&options.passed_on);
    cargo.env("CLEAVE_COMPONENTS", project.components());
    match chrome {
        Some(chrome) => {
            if let Some(script) = axe::find(project) {
                cargo.env("CLEAVE_AXE", script);
            }
            cargo.env("CHROME", chrome)
        }
        None => cargo.args(SKIP_BROWSER),
    };
    let outcome = steps.run("Run the tests", || tests(&mut cargo))?;
    conclude(&outcome, &steps)
}

/// What `cargo test` printed, as far as the summary needs it.
#[derive(Default)]
struct Outcome {
    binaries: Vec<String>,
    results: Vec<String>,
    succeeded: bool,
}

/// Runs `cargo test`, passing on its lines as they come and keeping the ones for the summary.
fn tests(cargo: &mut Command) -> Result<Outcome> {
    let mut child = cargo
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start `{}`", command::shown(cargo)))?;
    let stdout = child.stdout.take().context("take cargo's output")?;
    let stderr = child.stderr.take().context("take cargo's messages")?;
    let messages = thread::spawn(move || pass_on(stderr, |line| eprintln!("{line}"), binary));
    let results = pass_on(stdout, |line| println!("{line}"), result);
    let binaries = messages
        .join()
        .map_err(|_| anyhow::anyhow!("the reader of cargo's messages panicked"))?;
    let succeeded = child.wait().context("wait for cargo")?.success();
    Ok(Outcome {
        binaries,
        results,
        succeeded,
    })
}

/// Prints every line and returns what `keep` makes of them.
fn pass_on(stream: impl Read, print: impl Fn(&str), keep: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut kept = Vec::new();
    for bytes in BufReader::new(stream).split(b'\n') {
        let Ok(bytes) = bytes else { break };
        let line = String::from_utf8_lossy(&bytes);
        print(&line);
        kept.extend(keep(&line));
    }
    kept
}

/// `     Running unittests src/lib.rs (target/release/deps/server-0123456789abcdef)` is `server`.
fn binary(line: &str) -> Option<String> {
    let path = line
        .trim()
        .strip_prefix("Running ")?
        .rsplit_once('(')?
        .1
        .trim_end_matches(')');
    let file = path.rsplit('/').next()?;
    Some(file.rsplit_once('-').map_or(file, |(name, _)| name).to_owned())
}

/// `test result: ok. 12 passed; …` is itself.
fn result(line: &str) -> Option<String> {
    line.starts_with("test result: ").then(|| line.to_owned())
}

fn conclude(outcome: &Outcome, steps: &Steps) -> Result<()> {
    println!("\nSummary");
    // A binary that aborts prints no result; then lines and names cannot be told together.
    let named = outcome.binaries.len() == outcome.results.len();
    for (index, result) in outcome.results.iter().enumerate() {
        let name = if named {
            outcome.binaries[index].as_str()
        } else {
            ""
        };
        println!("{result}  {name}");
    }
    let passed: u64 = outcome.results.iter().map(|result| count(result, "passed")).sum();
    let failed: u64 = outcome.results.iter().map(|result| count(result, "failed")).sum();
    println!("{passed} passed, {failed} failed, in {}", human(steps.elapsed()));
    if !outcome.succeeded {
        bail!("tests failed: the list is above, under `failures:`");
    }
    if passed == 0 {
        bail!("no test matched: `cargo xtask test -- --list` prints their names");
    }
    Ok(())
}

/// The number before `what` in a result line.
fn count(result: &str, what: &str) -> u64 {
    let words: Vec<&str> = result.split([' ', ';']).filter(|word| !word.is_empty()).collect();
    let pair = words.windows(2).find(|pair| pair[1] == what);
    pair.and_then(|pair| pair[0].parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESULT: &str =
        "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 1 filtered out; finished in 0.1s";

    #[test]
    fn a_binarys_name_is_read_from_cargos_message() {
        let line = "     Running unittests src/lib.rs (target/release/deps/web_ui-0123456789abcdef)";
        assert_eq!(binary(line), Some("web_ui".to_owned()));
        assert_eq!(binary("   Compiling server v0.1.0"), None);
    }

    #[test]
    fn counts_are_read_from_cargos_result() {
        assert_eq!(
            result(RESULT).map(|line| (count(&line, "passed"), count(&line, "failed"))),
            Some((12, 3))
        );
        assert_eq!(count("test result: ok", "passed"), 0);
        assert_eq!(result("test queue::tests::one ... ok"), None);
    }

    #[test]
    fn all_lines_are_passed_on_and_some_are_kept() {
        let printed = std::cell::RefCell::new(Vec::new());
        let kept = pass_on(
            "a\ntest result: ok\nb".as_bytes(),
            |line| printed.borrow_mut().push(line.to_owned()),
            result,
        );
        assert_eq!(printed.into_inner(), ["a", "test result: ok", "b"]);
        assert_eq!(kept, ["test result: ok"]);
    }

    #[test]
    fn a_run_without_a_single_test_fails() {
        let outcome = Outcome {
            binaries: vec![],
            results: vec!["test result: ok. 0 passed".into()],
            succeeded: true,
        };
        assert!(
            conclude(&outcome, &Steps::new(1))
                .unwrap_err()
                .to_string()
                .contains("no test matched")
        );
    }
}
