//! axe-core for the browser test: third-party code (MPL-2.0) that is fetched from npm into `target/axe`, never kept here.
//!
//! Where npm cannot be reached, the check of accessibility is left out, with a word; all other tests run.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::project::Project;
use crate::steps::say;

const PACKAGE: &str = "axe-core@4.14.1";
const FILE: &str = "package/axe.min.js";

/// The script, if it is there or can be fetched.
pub fn find(project: &Project) -> Option<PathBuf> {
    let folder = project.target.join("axe");
    let script = folder.join(FILE);
    if !script.is_file()
        && let Err(error) = fetch(&folder)
    {
        say(&format!("the check of accessibility is left out: {error:#}"));
        return None;
    }
    script.is_file().then_some(script)
}

fn fetch(folder: &PathBuf) -> Result<()> {
    let Some(npm) = command::on_path("npm") else {
        bail!("npm, which would fetch {PACKAGE}, is not on PATH");
    };
    std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let packed = command::read(
        command::program(npm)
            .current_dir(folder)
            .args(["pack", "--silent", PACKAGE]),
    )?;
    let archive = packed
        .lines()
        .last()
        .context("read the name of what npm packed")?
        .trim();
    command::run(
        command::program("tar")
            .current_dir(folder)
            .args(["xzf", archive, FILE]),
    )
}
