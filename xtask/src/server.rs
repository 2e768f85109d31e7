//! The binary `cleave`, which embeds `web-ui/dist`.

use anyhow::{Result, bail};

use crate::command;
use crate::project::Project;
use crate::steps::say;

/// Features of dependencies are the union over what one command builds. Selecting the workspace and one small test
/// makes that union the same as in `cargo test --workspace`; with `--package server` alone, wasmtime and 60 other
/// crates would be compiled a second time.
const WITH_THE_TESTS_FEATURES: [&str; 5] = ["--workspace", "--bin", "cleave", "--test", "tidy"];

pub fn build(project: &Project) -> Result<()> {
    check_c_compiler()?;
    let mut cargo = project.cargo();
    command::run(cargo.args(["build", "--release"]).args(WITH_THE_TESTS_FEATURES))?;
    say(&format!("{}", project.relative(&project.product())));
    Ok(())
}

/// SQLite and the cryptography are partly C: without a compiler the build would end minutes later, and less clearly.
pub fn check_c_compiler() -> Result<()> {
    if std::env::var_os("CC").is_none() && command::on_path("cc").is_none() {
        bail!("no C compiler: `cc` is not on PATH (on Debian: apt-get install build-essential)");
    }
    Ok(())
}
