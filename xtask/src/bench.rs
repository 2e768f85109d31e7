//! `cargo xtask bench NAME`: a benchmark that compares side by side in one run.
//!
//! Promises: compiled with the product's own profile; a table on standard output, ratios in `<target>/bench/NAME.json`.
//! Not here: what is measured. That is `server/benches/figures`.

use anyhow::{Result, bail};

use crate::project::Project;
use crate::server;
use crate::{browser, command};

/// The benchmarks.
pub const NAMES: [&str; 8] = [
    "calls",
    "isolation",
    "ladder",
    "moves",
    "shop",
    "traces",
    "ui",
    "wire",
];

pub fn run(project: &Project, name: &str) -> Result<()> {
    server::check_c_compiler()?;
    if matches!(name, "moves" | "shop" | "ui") && !project.components().join("frontend.wasm").exists() {
        bail!("the shop's handlers are not built: run `cargo xtask build` first");
    }
    if matches!(name, "shop" | "ui") {
        let mut cargo = project.cargo();
        cargo.args([
            "build",
            "--release",
            "--workspace",
            "--bin",
            "cleave",
            "--bin",
            "shop-native",
        ]);
        // As in the build of the server: the union of features is that of the tests.
        command::run(cargo.args(["--test", "tidy"]))?;
    }
    let mut cargo = project.cargo();
    if name == "ui" {
        cargo.env("CHROME", browser::find()?);
    }
    cargo
        .args([
            "bench",
            "--profile",
            "release",
            "--workspace",
            "--bench",
            "figures",
            "--",
            name,
        ])
        .env("CLEAVE_BENCH_DIR", project.target.join("bench"))
        .env("CLEAVE_COMPONENTS", project.components());
    command::run(&mut cargo)
}
