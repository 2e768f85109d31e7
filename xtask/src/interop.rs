//! `cargo xtask interop`: Cleave against clients that others wrote.
//!
//! Promises: OpenTelemetry's SDK of Python, from PyPI in an environment of its own below the target directory, sends to a
//! running Cleave by HTTP and gRPC, and what came of it is read back. No other command needs the network for it: where
//! Python or the packages cannot be had it says so and ends well, because then nothing was found wrong.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::command;
use crate::project::Project;
use crate::server;
use crate::steps::say;

/// What is installed; one line of major versions, so that a new release of theirs is met early.
const PACKAGES: [&str; 4] = [
    "opentelemetry-sdk>=1.30",
    "opentelemetry-exporter-otlp-proto-http>=1.30",
    "opentelemetry-exporter-otlp-proto-grpc>=1.30",
    "prometheus_client>=0.20",
];

pub fn run(project: &Project) -> Result<()> {
    let place = project.target.join("interop");
    let python = match python(&place) {
        Ok(python) => python,
        Err(error) => {
            say(&format!("skipped: {error:#}"));
            return Ok(());
        }
    };
    server::build(project)?;
    let data = place.join(format!("data-{}", std::process::id()));
    let outcome = command::run(
        command::program(python)
            .arg(project.root.join("server/tests/interop/sdk.py"))
            .arg(project.product())
            .arg(&data),
    );
    // What is left of it says nothing that the output did not.
    let _ = std::fs::remove_dir_all(&data);
    outcome
}

/// A Python that has the packages.
fn python(place: &Path) -> Result<PathBuf> {
    let python = place.join("venv/bin/python");
    let has_all = || {
        let modules = "import opentelemetry.exporter.otlp.proto.grpc, opentelemetry.exporter.otlp.proto.http, \
                       opentelemetry.sdk, prometheus_client";
        command::read(command::program(&python).args(["-c", modules])).is_ok()
    };
    if !has_all() {
        say("installing OpenTelemetry's SDK of Python");
        command::read(
            command::program("python3")
                .args(["-m", "venv"])
                .arg(place.join("venv")),
        )?;
        command::read(
            command::program(&python)
                .args(["-m", "pip", "install", "--quiet"])
                .args(PACKAGES),
        )?;
    }
    Ok(python)
}
