//! Where things are: the repository's root, the target directory, the packages.
//!
//! Promises: paths are absolute, so commands may run in any directory; `CARGO_TARGET_DIR` is honoured.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::command;

/// The repository this program was built in.
pub struct Project {
    pub root: PathBuf,
    pub target: PathBuf,
}

/// One package of the workspace, as far as the build needs it.
#[derive(Debug, PartialEq, Eq)]
pub struct Package {
    pub name: String,
    /// Folder, relative to the root, with `/` between its parts.
    pub folder: String,
    /// Name of the library target when that is a `cdylib`, which is what becomes a WASM module.
    pub module: Option<String>,
}

impl Project {
    pub fn find() -> Result<Self> {
        // Set by `cargo run`; the constant serves a binary that is started by hand.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest
            .parent()
            .context("find the folder above xtask")?
            .to_path_buf();
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(directory) => std::path::absolute(directory).context("resolve CARGO_TARGET_DIR")?,
            None => root.join("target"),
        };
        Ok(Self { root, target })
    }

    /// The pinned toolchain's cargo, in the root, building into the target directory.
    pub fn cargo(&self) -> Command {
        let mut cargo = command::program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target);
        cargo
    }

    /// Directory of the components: handlers here, examples and test guests in folders below.
    pub fn components(&self) -> PathBuf {
        self.target.join("components")
    }

    /// Path of the built product.
    pub fn product(&self) -> PathBuf {
        self.target.join("release/cleave")
    }

    /// A path as people type it from the root.
    pub fn relative<'a>(&self, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }

    /// The workspace's packages by name.
    pub fn packages(&self) -> Result<Vec<Package>> {
        let text = command::read(
            self.cargo()
                .args(["metadata", "--no-deps", "--format-version", "1"]),
        )?;
        let metadata: Value = serde_json::from_str(&text).context("parse the output of `cargo metadata`")?;
        let listed = metadata["packages"]
            .as_array()
            .context("find packages in the output of `cargo metadata`")?;
        let mut packages: Vec<Package> = listed
            .iter()
            .filter_map(|package| self.package(package))
            .collect();
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(packages)
    }

    fn package(&self, package: &Value) -> Option<Package> {
        let manifest = Path::new(package["manifest_path"].as_str()?);
        let folder = manifest
            .parent()?
            .strip_prefix(&self.root)
            .ok()?
            .to_string_lossy()
            .into_owned();
        let is_module = |target: &&Value| {
            target["crate_types"]
                .as_array()
                .is_some_and(|types| types.iter().any(|kind| kind == "cdylib"))
        };
        let module = package["targets"].as_array()?.iter().find(is_module);
        Some(Package {
            name: package["name"].as_str()?.to_owned(),
            folder,
            module: module
                .and_then(|target| target["name"].as_str())
                .map(|name| name.replace('-', "_")),
        })
    }
}

/// Writes `bytes` unless the file holds them already; true when it wrote.
///
/// Unchanged files keep their time, so nothing that depends on them is rebuilt.
pub fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<bool> {
    if std::fs::read(path).is_ok_and(|present| present == bytes) {
        return Ok(false);
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("create folder {}", folder.display()))?;
    }
    // A rename, so that a reader sees the old file or the new one, never a part of it.
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    std::fs::write(&partial, bytes).with_context(|| format!("write {}", path.display()))?;
    std::fs::rename(&partial, path).with_context(|| format!("rename {} into place", path.display()))?;
    Ok(true)
}
