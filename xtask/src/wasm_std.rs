//! The standard library for `wasm32-unknown-unknown`, with which handlers and web UI are compiled.
//!
//! Promises: the first source that works is taken: already installed for the pinned toolchain, `rustup target add`,
//! or Debian's compiler with the source of its standard library. The last is compiled once into
//! `target/wasm-sysroot`, and again when that compiler changes. `CLEAVE_WASM_STD` insists on one source.
//! Not here: `rust-toolchain.toml` names no target on purpose; with one in it, every cargo command would fail where
//! rustup's server is out of reach.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::debian;
use crate::project::Project;
use crate::steps::say;

pub const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's toolchain: recent, and packaged with matching source.
const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
/// Clippy of the same compiler; any other could not read a library that this one made.
const DEBIAN_CLIPPY: &str = "/usr/bin/cargo-clippy";
const DEBIAN_CLIPPY_PACKAGE: &str = "rust-web-clippy";
const DEBIAN_SOURCE: &str = "/usr/lib/rustlib/src/rust/library/std";
/// The oldest minor version of Rust 1 that compiles this workspace; `rust-version` in the root Cargo.toml.
const RUSTC_MINOR_MIN: u32 = 95;

/// Bitcode must be in the library, or no guest can be built with link-time optimisation.
const STD_RUSTFLAGS: &str = "-Cembed-bitcode=yes";

/// rustup gives up quickly where its server is refused; this is for where it is silently dropped.
const RUSTUP_TIMEOUT: Duration = Duration::from_secs(180);

/// How to compile for the target.
pub enum WasmStd {
    /// The pinned toolchain has the target.
    Pinned,
    /// Debian's compiler with a standard library of our making, linked by the pinned toolchain's linker.
    Debian { sysroot: PathBuf, linker: PathBuf },
}

/// Where the library may come from; `CLEAVE_WASM_STD` names one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Source {
    Installed,
    Rustup,
    Debian,
}

impl WasmStd {
    /// Finds the library, or makes it.
    pub fn set_up(project: &Project) -> Result<Self> {
        let wanted = wanted(std::env::var("CLEAVE_WASM_STD").ok().as_deref())?;
        let may = |source| wanted.is_none_or(|wanted| wanted == source);
        let pinned = pinned_sysroot(project)?;
        if (may(Source::Installed) || may(Source::Rustup)) && has_std(&pinned) {
            say(&format!("installed: {TARGET} of the pinned toolchain"));
            return Ok(Self::Pinned);
        }
        // A library made earlier is as good as rustup's, and asking rustup again costs seconds.
        if may(Source::Debian) && stamp_is_current(project) {
            say(&format!("made earlier: {}", project.relative(&sysroot(project))));
            return Self::debian(project, &pinned);
        }
        if may(Source::Rustup) && rustup_target_add() && has_std(&pinned) {
            say(&format!("installed by rustup: {TARGET} of the pinned toolchain"));
            return Ok(Self::Pinned);
        }
        if !may(Source::Debian) {
            bail!("CLEAVE_WASM_STD insists on a source that has no {TARGET} here: unset it to try all");
        }
        make_debian_std(project)?;
        Self::debian(project, &pinned)
    }

    fn debian(project: &Project, pinned: &Path) -> Result<Self> {
        let linker = rust_lld(pinned)?;
        Ok(Self::Debian {
            sysroot: sysroot(project),
            linker,
        })
    }

    /// A cargo command whose `--target wasm32-unknown-unknown` works; it builds into `target/wasm`.
    pub fn cargo(&self, project: &Project) -> Command {
        self.cargo_with(project, &[])
    }

    /// The same for the web UI: Leptos erases the types of its views, so that the code of a `<div>` is there once and not
    /// once for each place. That is a third of the module.
    pub fn ui_cargo(&self, project: &Project) -> Command {
        self.cargo_with(project, &["--cfg", "erase_components"])
    }

    fn cargo_with(&self, project: &Project, more: &[&str]) -> Command {
        let mut cargo = project.cargo();
        cargo.env("CARGO_TARGET_DIR", project.target.join("wasm"));
        let mut flags = remapped_paths(project);
        if let Self::Debian { sysroot, linker } = self {
            cargo
                .env("RUSTC", DEBIAN_RUSTC)
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
            flags.extend(["--sysroot".to_owned(), sysroot.display().to_string()]);
        }
        flags.extend(more.iter().map(|flag| (*flag).to_owned()));
        // With `--target`, these go to the target's code only; the encoded form allows for spaces in paths.
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
        cargo
    }

    /// A command `cargo clippy` that works as [`WasmStd::ui_cargo`] does; `None` where there is no clippy of that compiler.
    pub fn clippy(&self, project: &Project) -> Option<Command> {
        let mut clippy = self.ui_cargo(project);
        if let Self::Debian { .. } = self {
            let has_it = || Path::new(DEBIAN_CLIPPY).is_file();
            if !has_it() && debian::install(&[DEBIAN_CLIPPY_PACKAGE], "clippy on the web UI").is_err() {
                return None;
            }
            let cargo = clippy;
            clippy = command::program(DEBIAN_CLIPPY);
            clippy
                .current_dir(&project.root)
                .env("CARGO", cargo.get_program());
            for (name, value) in cargo.get_envs() {
                if let Some(value) = value {
                    clippy.env(name, value);
                }
            }
        }
        clippy.arg("clippy");
        Some(clippy)
    }
}

fn wanted(setting: Option<&str>) -> Result<Option<Source>> {
    match setting {
        None | Some("") => Ok(None),
        Some("installed") => Ok(Some(Source::Installed)),
        Some("rustup") => Ok(Some(Source::Rustup)),
        Some("debian") => Ok(Some(Source::Debian)),
        Some(other) => bail!("CLEAVE_WASM_STD is `{other}`, must be `installed`, `rustup` or `debian`"),
    }
}

/// Panic messages hold source paths: the same source must give the same component in every folder.
fn remapped_paths(project: &Project) -> Vec<String> {
    let mut flags = vec![format!("--remap-path-prefix={}=.", project.root.display())];
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    flags.extend(home.map(|home| format!("--remap-path-prefix={}=cargo", home.display())));
    flags
}

fn pinned_sysroot(project: &Project) -> Result<PathBuf> {
    let mut rustc = command::program("rustc");
    let path = command::read(rustc.current_dir(&project.root).args(["--print", "sysroot"]))?;
    Ok(PathBuf::from(path.trim()))
}

fn has_std(sysroot: &Path) -> bool {
    let Ok(entries) = sysroot.join("lib/rustlib").join(TARGET).join("lib").read_dir() else {
        return false;
    };
    entries
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
}

/// True when rustup says that it added the target; false, without a word, when it cannot.
fn rustup_target_add() -> bool {
    if command::on_path("rustup").is_none() {
        return false;
    }
    let mut rustup = command::program("rustup");
    rustup.args(["target", "add", TARGET]);
    if let Some(toolchain) = std::env::var_os("RUSTUP_TOOLCHAIN") {
        rustup.arg("--toolchain").arg(toolchain);
    }
    match command::try_within(&mut rustup, RUSTUP_TIMEOUT) {
        Ok(output) => output.status.success(),
        Err(_) => false,
    }
}

fn sysroot(project: &Project) -> PathBuf {
    project.target.join("wasm-sysroot")
}

fn stamp_path(project: &Project) -> PathBuf {
    sysroot(project).join("made-by")
}

/// What the library depends on: the compiler, exactly, and the flags.
fn stamp() -> Result<String> {
    Ok(format!(
        "{}{STD_RUSTFLAGS}\n",
        command::read(command::program(DEBIAN_RUSTC).arg("-vV"))?
    ))
}

fn stamp_is_current(project: &Project) -> bool {
    let Ok(made_by) = std::fs::read_to_string(stamp_path(project)) else {
        return false;
    };
    stamp().is_ok_and(|current| current == made_by) && has_std(&sysroot(project))
}

fn rust_lld(pinned: &Path) -> Result<PathBuf> {
    let host = host(&command::read(command::program("rustc").arg("-vV"))?)?;
    let linker = pinned.join("lib/rustlib").join(host).join("bin/rust-lld");
    if !linker.is_file() {
        bail!(
            "the pinned toolchain has no linker at {}: reinstall it with rustup",
            linker.display()
        );
    }
    Ok(linker)
}

fn host(version: &str) -> Result<String> {
    let line = version.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned)
        .context("find the host in the output of `rustc -vV`")
}

fn make_debian_std(project: &Project) -> Result<()> {
    if !debian_toolchain_is_usable() {
        debian::install(&DEBIAN_PACKAGES, "building WASM without rustup's server")?;
        if !debian_toolchain_is_usable() {
            bail!(
                "{DEBIAN_RUSTC} is older than Rust 1.{RUSTC_MINOR_MIN} or has no source at {DEBIAN_SOURCE}"
            );
        }
    }
    say("compiling it with Debian's Rust, once (1 to 2 minutes)");
    let carrier = project.target.join("wasm-sysroot-build");
    write_carrier(&carrier)?;
    let mut cargo = command::program(DEBIAN_CARGO);
    for inherited in [
        "CARGO",
        "RUSTUP_TOOLCHAIN",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "CARGO_ENCODED_RUSTFLAGS",
    ] {
        cargo.env_remove(inherited);
    }
    cargo
        .current_dir(&carrier)
        .env("CARGO_TARGET_DIR", carrier.join("target"));
    // Building the standard library is not a stable feature; Debian's compiler is a stable one.
    cargo
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTC", DEBIAN_RUSTC)
        .env("RUSTFLAGS", STD_RUSTFLAGS);
    cargo.args([
        "build",
        "--quiet",
        "--release",
        "-Zbuild-std=std,panic_abort",
        "--target",
        TARGET,
    ]);
    command::run(&mut cargo).context("compile the standard library")?;
    install_libraries(project, &carrier)
}

fn debian_toolchain_is_usable() -> bool {
    let version = command::read(command::program(DEBIAN_RUSTC).arg("-vV"));
    let recent = version.is_ok_and(|version| minor(&version).is_some_and(|minor| minor >= RUSTC_MINOR_MIN));
    recent && Path::new(DEBIAN_CARGO).is_file() && Path::new(DEBIAN_SOURCE).is_dir()
}

/// `release: 1.96.0` is 96.
fn minor(version: &str) -> Option<u32> {
    let release = version
        .lines()
        .find_map(|line| line.strip_prefix("release: 1."))?;
    release.split('.').next()?.parse().ok()
}

/// `-Zbuild-std` builds the library for some crate; this is the smallest one.
fn write_carrier(folder: &Path) -> Result<()> {
    let manifest = "[package]\nname = \"carrier\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n";
    std::fs::create_dir_all(folder.join("src"))
        .context("create the folder for building the standard library")?;
    std::fs::write(folder.join("Cargo.toml"), manifest)?;
    std::fs::write(folder.join("src/lib.rs"), "#![no_std]\n")?;
    Ok(())
}

/// Copies the libraries to where the compiler looks for them; the stamp is last, so a broken copy is made again.
fn install_libraries(project: &Project, carrier: &Path) -> Result<()> {
    let made = sysroot(project);
    if made.exists() {
        std::fs::remove_dir_all(&made).context("remove the former WASM standard library")?;
    }
    let libraries = made.join("lib/rustlib").join(TARGET).join("lib");
    std::fs::create_dir_all(&libraries).context("create the folder of the WASM standard library")?;
    let built = carrier.join("target").join(TARGET).join("release/deps");
    for entry in built
        .read_dir()
        .with_context(|| format!("list {}", built.display()))?
    {
        let path = entry?.path();
        let name = path.file_name().context("read a library's name")?;
        let is_carrier = name.to_string_lossy().starts_with("libcarrier-");
        if path.extension().is_some_and(|extension| extension == "rlib") && !is_carrier {
            std::fs::copy(&path, libraries.join(name)).with_context(|| format!("copy {}", path.display()))?;
        }
    }
    std::fs::write(stamp_path(project), stamp()?).context("stamp the WASM standard library")?;
    // Only the copies are used from here on, and the leftovers of two compilers must not meet in one folder.
    std::fs::remove_dir_all(carrier).context("remove what building the standard library left")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: &str = "rustc 1.96.0 (ac68faa20 2026-05-25)\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\nrelease: 1.96.0\n";

    #[test]
    fn version_and_host_are_read_from_the_compilers_own_words() {
        assert_eq!(minor(VERSION), Some(96));
        assert_eq!(minor("release: 1.97.0-nightly\n"), Some(97));
        assert_eq!(minor("no release"), None);
        assert_eq!(host(VERSION).unwrap(), "x86_64-unknown-linux-gnu");
        assert!(host("rustc 1.96.0").is_err());
    }

    #[test]
    fn the_setting_names_a_source_or_is_refused() {
        assert_eq!(wanted(None).unwrap(), None);
        assert_eq!(wanted(Some("debian")).unwrap(), Some(Source::Debian));
        assert!(
            wanted(Some("fedora"))
                .unwrap_err()
                .to_string()
                .contains("`fedora`")
        );
    }
}
