//! Debian packages: install them as root, or say the line to type.
//!
//! Promises: asks no question, removes no package, and on any other system fails with what is missing.

use anyhow::{Context, Result, bail};

use crate::command;
use crate::steps::say;

/// Installs `packages`; `purpose` completes "needed for …" in messages.
pub fn install(packages: &[&str], purpose: &str) -> Result<()> {
    let line = format!("apt-get install --yes {}", packages.join(" "));
    if command::on_path("apt-get").is_none() {
        bail!(
            "{} needed for {purpose}, and this is not a Debian system: install the equivalent by hand",
            packages.join(", ")
        );
    }
    if !is_root()? {
        bail!(
            "{} needed for {purpose}: run `sudo {line}`, then start again",
            packages.join(", ")
        );
    }
    say(&format!("{line} (needed for {purpose})"));
    // A container image often has no package lists; where they are present this takes seconds.
    command::run(apt_get().arg("update").arg("--quiet=2")).context("update the package lists")?;
    command::run(
        apt_get()
            .args([
                "install",
                "--yes",
                "--no-remove",
                "--no-install-recommends",
                "--quiet=2",
            ])
            .args(packages),
    )
    .with_context(|| format!("install what {purpose} needs"))
}

fn apt_get() -> std::process::Command {
    let mut apt_get = command::program("apt-get");
    apt_get.env("DEBIAN_FRONTEND", "noninteractive");
    apt_get
}

fn is_root() -> Result<bool> {
    Ok(command::read(command::program("id").arg("-u"))?.trim() == "0")
}
