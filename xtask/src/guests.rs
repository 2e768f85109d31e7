//! WASM guests: each package with a `cdylib` becomes a component.
//!
//! Promises: handlers land in `target/components/NAME.wasm`, examples in `target/components/examples/`, the tests'
//! misbehaving guests in `target/components/guests/`; a file is written only when its bytes change, and a component
//! whose package is gone is removed.
//! Not here: the web UI, which is WASM but no component.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use wit_component::ComponentEncoder;

use crate::command;
use crate::project::{Package, Project, write_if_changed};
use crate::steps::say;
use crate::wasm_std::{TARGET, WasmStd};

/// The profile in the root Cargo.toml that guests are built with.
const PROFILE: &str = "guest";

/// What a guest is for, told by its folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Handler,
    Example,
    Test,
}

/// A built component.
pub struct Guest {
    pub name: String,
    pub kind: Kind,
    pub component: PathBuf,
}

/// Builds every guest of the workspace.
pub fn build(project: &Project, wasm_std: &WasmStd) -> Result<Vec<Guest>> {
    let packages = project.packages()?;
    let modules: Vec<(&Package, Kind)> = packages
        .iter()
        .filter_map(|package| kind(package).map(|kind| (package, kind)))
        .collect();
    if modules.is_empty() {
        bail!("no package under handlers/ or examples/ has a `cdylib`: nothing to build");
    }
    let mut cargo = wasm_std.cargo(project);
    cargo.args(["build", "--profile", PROFILE, "--target", TARGET]);
    for (package, _) in &modules {
        cargo.args(["--package", &package.name]);
    }
    command::run(&mut cargo)?;
    let guests = modules
        .iter()
        .map(|(package, kind)| componentize(project, package, *kind))
        .collect::<Result<Vec<_>>>()?;
    remove_stale(project, &guests)?;
    Ok(guests)
}

fn kind(package: &Package) -> Option<Kind> {
    package.module.as_ref()?;
    if package.folder.starts_with("handlers/") {
        Some(Kind::Handler)
    } else if package.folder.starts_with("examples/") {
        Some(Kind::Example)
    } else if package.folder.starts_with("server/tests/") {
        Some(Kind::Test)
    } else {
        None
    }
}

fn folder(project: &Project, kind: Kind) -> PathBuf {
    match kind {
        Kind::Handler => project.components(),
        Kind::Example => project.components().join("examples"),
        Kind::Test => project.components().join("guests"),
    }
}

fn componentize(project: &Project, package: &Package, kind: Kind) -> Result<Guest> {
    let module = package.module.as_ref().context("a guest has a module")?;
    let core_path = project
        .target
        .join("wasm")
        .join(TARGET)
        .join(PROFILE)
        .join(format!("{module}.wasm"));
    let core = std::fs::read(&core_path).with_context(|| format!("read {}", core_path.display()))?;
    let component =
        encode(&core).with_context(|| format!("make a component of package `{}`", package.name))?;
    let path = folder(project, kind).join(format!("{}.wasm", package.name));
    let changed = write_if_changed(&path, &component)?;
    let state = if changed { "new" } else { "unchanged" };
    say(&format!(
        "{:<16} {:>7.1} KB  {state}",
        package.name,
        kilobytes(component.len())
    ));
    Ok(Guest {
        name: package.name.clone(),
        kind,
        component: path,
    })
}

fn encode(core: &[u8]) -> Result<Vec<u8>> {
    ComponentEncoder::default().validate(true).module(core)?.encode()
}

/// Bytes as people read them; sizes here are far from where this loses digits.
pub fn kilobytes(bytes: usize) -> f64 {
    bytes as f64 / 1000.0
}

/// A component without a package would be served for ever.
fn remove_stale(project: &Project, guests: &[Guest]) -> Result<()> {
    let current: BTreeSet<&Path> = guests.iter().map(|guest| guest.component.as_path()).collect();
    for kind in [Kind::Handler, Kind::Example, Kind::Test] {
        let Ok(entries) = folder(project, kind).read_dir() else {
            continue;
        };
        for entry in entries {
            let path = entry?.path();
            let is_component = path.extension().is_some_and(|extension| extension == "wasm");
            if is_component && !current.contains(path.as_path()) {
                std::fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
                say(&format!(
                    "removed {}: its package is gone",
                    project.relative(&path)
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(folder: &str, module: Option<&str>) -> Package {
        Package {
            name: "catalog".into(),
            folder: folder.into(),
            module: module.map(str::to_owned),
        }
    }

    #[test]
    fn the_folder_tells_what_a_guest_is_for() {
        assert_eq!(
            kind(&package("handlers/catalog", Some("catalog"))),
            Some(Kind::Handler)
        );
        assert_eq!(
            kind(&package("examples/hello", Some("hello"))),
            Some(Kind::Example)
        );
        assert_eq!(
            kind(&package("server/tests/it/guests/spin", Some("spin"))),
            Some(Kind::Test)
        );
        assert_eq!(kind(&package("handlers/sdk", None)), None);
        assert_eq!(kind(&package("web-ui", Some("web_ui"))), None);
    }

    #[test]
    fn bytes_that_are_no_module_are_refused() {
        assert!(encode(b"not wasm").is_err());
    }
}
