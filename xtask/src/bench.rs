//! `cargo xtask bench NAME`: a benchmark that compares side by side in one run.
//!
//! Promises: compiled with the product's own profile; a table on standard output, ratios in `<target>/bench/NAME.json`.
//! Not here: what is measured. That is `server/benches/figures`.

use anyhow::Result;

use crate::command;
use crate::project::Project;
use crate::server;

/// The benchmarks, with what each tells.
pub const NAMES: [&str; 2] = ["calls", "wire"];

pub fn run(project: &Project, name: &str) -> Result<()> {
    server::check_c_compiler()?;
    let mut cargo = project.cargo();
    // `bench` inherits from `release`: the same settings, hence the same compiled dependencies.
    cargo
        .args(["bench", "--workspace", "--bench", "figures", "--", name])
        .env("CLEAVE_BENCH_DIR", project.target.join("bench"));
    command::run(&mut cargo)
}
