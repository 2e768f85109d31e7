//! `cargo xtask up`: from a fresh clone to a running shop.
//!
//! Promises: says beforehand what it will take; copies only components that are new or changed, never over a file
//! that is newer; becomes `cleave up` at the end, so that Ctrl-C and signals reach it and nothing stands between.
//! Not here: what `cleave up` does, and its options, which are passed on after `--`.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::guests::{Guest, Kind};
use crate::project::{Project, write_if_changed};
use crate::steps::{Steps, human, say};
use crate::{build, command, server};

/// Whether to start, and the options of `cleave up`.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    pub start: bool,
    pub passed_on: Vec<String>,
}

/// What a first build leaves in the target directory.
const DISK_BYTES: u64 = 6_000_000_000;

/// Where `cleave up` serves when nothing else is said.
const SHOP_ADDRESS: &str = "127.0.0.1:8080";
const CLEAVE_ADDRESS: &str = "127.0.0.1:7070";

pub fn run(project: &Project, options: &Options) -> Result<()> {
    server::check_c_compiler()?;
    announce(project);
    // Standard library, handlers, web UI, server, copies.
    let mut steps = Steps::new(5);
    let wasm_std = build::wasm_std(project, &mut steps)?;
    let guests = build::handlers(project, &wasm_std, &mut steps)?;
    build::ui(project, &wasm_std, &mut steps)?;
    build::product(project, &mut steps)?;
    let data = data(project, &options.passed_on)?;
    let folder = data.join("handlers");
    steps.run("Copy the handlers", || copy(project, &guests, &folder))?;
    println!("\nBuilt in {}.", human(steps.elapsed()));
    farewell(project, &data, options);
    if options.start {
        start(project, &data, &options.passed_on)
    } else {
        Ok(())
    }
}

fn announce(project: &Project) {
    if project.product().is_file() {
        println!("Building what has changed, then starting the shop.");
        return;
    }
    println!(
        "The first time this takes about 20 minutes on 2 cores and {} GB in {}; afterwards, seconds.",
        DISK_BYTES / 1_000_000_000,
        project.relative(&project.target)
    );
    if let Some(free) = free_bytes(&project.root).filter(|free| *free < DISK_BYTES) {
        println!("Warning: only {:.1} GB are free there.", free as f64 / 1e9);
    }
}

fn free_bytes(folder: &Path) -> Option<u64> {
    let table = command::read(command::program("df").args(["-Pk"]).arg(folder)).ok()?;
    available(&table)
}

/// The fourth column of the last line of `df -Pk`, in bytes.
fn available(table: &str) -> Option<u64> {
    let kilobytes: u64 = table.lines().last()?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// The value of `--name value` or `--name=value` among the options that are passed on.
fn value<'a>(passed_on: &'a [String], name: &str) -> Option<&'a str> {
    let joined = passed_on
        .iter()
        .find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let apart = || {
        passed_on
            .iter()
            .position(|word| word == name)
            .and_then(|at| passed_on.get(at + 1))
            .map(String::as_str)
    };
    joined.or_else(apart)
}

fn data(project: &Project, passed_on: &[String]) -> Result<PathBuf> {
    match value(passed_on, "--data") {
        Some(folder) => std::path::absolute(folder).context("resolve --data"),
        None => Ok(project.root.join("data")),
    }
}

/// What was done with one component.
#[derive(Debug, PartialEq, Eq)]
enum Copied {
    New,
    Replaced,
    Same,
    /// The file there differs and is newer than the built one: somebody put it there.
    Kept,
}

fn copy(project: &Project, guests: &[Guest], folder: &Path) -> Result<()> {
    let mut same = 0;
    for guest in guests.iter().filter(|guest| guest.kind == Kind::Handler) {
        let to = folder.join(format!("{}.wasm", guest.name));
        match copy_one(&guest.component, &to)? {
            Copied::New => say(&format!("{}: new", guest.name)),
            Copied::Replaced => say(&format!("{}: replaced by the new build", guest.name)),
            Copied::Same => same += 1,
            Copied::Kept => say(&format!(
                "{}: kept, {} is newer than the built one; delete it to get the built one back",
                guest.name,
                project.relative(&to)
            )),
        }
    }
    if same > 0 {
        say(&format!("{same} unchanged in {}", project.relative(folder)));
    }
    Ok(())
}

fn copy_one(from: &Path, to: &Path) -> Result<Copied> {
    let built = fs::read(from).with_context(|| format!("read {}", from.display()))?;
    let outcome = match fs::read(to) {
        Err(_) => Copied::New,
        Ok(present) if present == built => Copied::Same,
        Ok(_) if fs::metadata(to)?.modified()? > fs::metadata(from)?.modified()? => Copied::Kept,
        Ok(_) => Copied::Replaced,
    };
    if matches!(outcome, Copied::New | Copied::Replaced) {
        write_if_changed(to, &built)?;
    }
    Ok(outcome)
}

fn farewell(project: &Project, data: &Path, options: &Options) {
    let shop = value(&options.passed_on, "--ingress").unwrap_or(SHOP_ADDRESS);
    let cleave = value(&options.passed_on, "--ui").unwrap_or(CLEAVE_ADDRESS);
    if options.start {
        println!("Starting; Ctrl-C stops it.\n");
    } else {
        println!(
            "To start it: {} up --data {}\n",
            project.product().display(),
            data.display()
        );
    }
    let directory = match project.product().parent() {
        Some(directory) if directory == project.root.join("target/release") => {
            "$PWD/target/release".to_owned()
        }
        Some(directory) => directory.display().to_string(),
        None => String::new(),
    };
    println!("  The shop            http://{shop}");
    println!("  Cleave              http://{cleave}");
    println!("  cleave on PATH      export PATH=\"{directory}:$PATH\"\n");
}

/// Becomes `cleave up`: returns only when that fails.
fn start(project: &Project, data: &Path, passed_on: &[String]) -> Result<()> {
    let mut cleave = std::process::Command::new(project.product());
    cleave
        .current_dir(&project.root)
        .env_remove("LD_LIBRARY_PATH")
        .arg("up");
    if value(passed_on, "--data").is_none() {
        cleave.arg("--data").arg(data);
    }
    cleave.args(passed_on);
    Err(cleave.exec()).with_context(|| format!("start `{}`", command::shown(&cleave)))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn options_are_read_in_both_spellings() {
        assert_eq!(value(&words("--ui 127.0.0.1:1 --data=/x"), "--data"), Some("/x"));
        assert_eq!(
            value(&words("--ui 127.0.0.1:1 --data=/x"), "--ui"),
            Some("127.0.0.1:1")
        );
        assert_eq!(value(&words("--database=/x"), "--data"), None);
        assert_eq!(value(&words("--data"), "--data"), None);
    }

    #[test]
    fn free_space_is_read_from_df() {
        let table = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda 100 40 60 40% /\n";
        assert_eq!(available(table), Some(60 * 1024));
        assert_eq!(available(""), None);
    }

    #[test]
    fn a_component_is_copied_when_new_or_changed_and_never_over_a_newer_one() {
        let folder = std::env::temp_dir().join(format!("xtask-copy-{}", std::process::id()));
        let (from, to) = (folder.join("built.wasm"), folder.join("handlers/catalog.wasm"));
        let set_age = |path: &Path, age: u64| {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - age);
            fs::File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_modified(time)
                .unwrap();
        };
        write_if_changed(&from, b"one").unwrap();
        assert_eq!(copy_one(&from, &to).unwrap(), Copied::New);
        assert_eq!(copy_one(&from, &to).unwrap(), Copied::Same);

        write_if_changed(&from, b"two").unwrap();
        set_age(&from, 1);
        set_age(&to, 2);
        assert_eq!(copy_one(&from, &to).unwrap(), Copied::Replaced);
        assert_eq!(fs::read(&to).unwrap(), b"two");

        fs::write(&to, b"mine").unwrap();
        set_age(&from, 2);
        set_age(&to, 1);
        assert_eq!(copy_one(&from, &to).unwrap(), Copied::Kept);
        assert_eq!(fs::read(&to).unwrap(), b"mine");
        fs::remove_dir_all(&folder).unwrap();
    }
}
