//! `cleave check`: looks at components without a node: what each exports and needs, and what is wrong with it.
//!
//! Reads and resolves as a node would, with the given files as the only handlers. Exit code 1 when any is
//! rejected; one that would wait for an import is not.

mod report;

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use protocol::{CallError, ErrorCode, HandlerName, NodeName};

use super::error::Error;
use super::output::{print, print_json};
use crate::clock::Clock;
use crate::config::Config;
use crate::dispatch::{Call, Dispatch, ReplyFuture};
use crate::runtime::accepted::Accepted;
use crate::runtime::catalog::{self, Known, Preferred};
use crate::runtime::inspect::Rejection;
use crate::runtime::{Runtime, Terms, folder};
use crate::telemetry::Recorder;

/// Arguments of `cleave check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Imports are looked up among the given files: give all that belong together.

EXAMPLES:
  cleave check my.wasm
  cleave check --config shop.toml data/handlers/*.wasm     with the limits and grants of that file
  cleave check data/handlers/*.wasm")]
pub(super) struct CheckArgs {
    /// Components (`.wasm`)
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// What limits and grants come from [default: cleave.toml, where there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Answer in JSON, for scripts
    #[arg(long)]
    json: bool,
}

/// A file, looked at.
struct Checked {
    file: PathBuf,
    size_bytes: u64,
    outcome: Result<Good, Rejection>,
}

/// A file that could be served.
struct Good {
    name: HandlerName,
    accepted: Accepted,
    terms: Terms,
}

pub(super) async fn run(args: &CheckArgs) -> Result<(), Error> {
    let config = configuration(args.config.as_deref())?;
    let files = args.files.clone();
    // Compiling takes seconds of both cores; nothing else happens meanwhile.
    let checked = tokio::task::spawn_blocking(move || check(files, &config)).await;
    let checked = checked.map_err(|error| Error::Failed(format!("checking ended early: {error}")))??;
    let known: Known = checked
        .iter()
        .filter_map(|checked| checked.outcome.as_ref().ok())
        .map(|good| (good.name.clone(), Arc::clone(&good.accepted.artifact)))
        .collect();
    let resolution = catalog::resolve(&known, &Preferred::new());
    if args.json {
        print_json(&report::json(&checked, &resolution))?;
    } else {
        print(&report::text(&checked, &resolution))?;
    }
    let is_good = checked.iter().all(|checked| checked.outcome.is_ok());
    if is_good { Ok(()) } else { Err(Error::Said) }
}

fn configuration(path: Option<&Path>) -> Result<Config, Error> {
    let default = Path::new("cleave.toml");
    let path = path.or_else(|| default.exists().then_some(default));
    let loaded = path.map(Config::load).transpose();
    Ok(loaded
        .map_err(|error| Error::Failed(error.to_string()))?
        .unwrap_or_default())
}

fn check(files: Vec<PathBuf>, config: &Config) -> Result<Vec<Checked>, Error> {
    let scratch = Scratch::new()?;
    let (recorder, _spans) = Recorder::channel(NodeName::home(), Clock::system());
    let runtime = Runtime::new(&scratch.0, Arc::new(Nobody), recorder);
    let runtime = runtime.map_err(|error| Error::Failed(error.to_string()))?;
    let mut names = BTreeMap::new();
    let checked = files.into_iter().map(|file| {
        let size_bytes = std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
        let outcome = look(&runtime, &file, config).and_then(|good| {
            match names.insert(good.name.clone(), file.clone()) {
                None => Ok(good),
                Some(other) => Err(Rejection::new(
                    format!("`{}` would be the handler `{}` too", other.display(), good.name),
                    "rename one: a handler's name is its file's stem",
                )),
            }
        });
        Checked {
            file,
            size_bytes,
            outcome,
        }
    });
    Ok(checked.collect())
}

fn look(runtime: &Runtime, file: &Path, config: &Config) -> Result<Good, Rejection> {
    let name = folder::handler_name(file)?;
    let terms = Terms {
        limits: config.limits(&name),
        grants: config.grants(&name),
    };
    let accepted = Accepted::read(runtime, file, &name, terms.clone())?;
    Ok(Good {
        name,
        accepted,
        terms,
    })
}

/// A folder for compiled code that goes when the command ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, Error> {
        let path = std::env::temp_dir().join(format!(
            "cleave-check-{}-{:08x}",
            std::process::id(),
            rand::random::<u32>()
        ));
        // Compiled code is trusted when it is loaded: nobody else may have a hand in it.
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|error| Error::Failed(format!("make the folder `{}`: {error}", path.display())))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Nothing is called while checking.
struct Nobody;

impl Dispatch for Nobody {
    fn dispatch(&self, call: Call) -> ReplyFuture<'_> {
        let error = CallError::new(
            ErrorCode::NotFound,
            format!("`{}` is not called while checking", call.function),
        );
        Box::pin(async move { Err(error) })
    }
}

#[cfg(test)]
mod tests;
