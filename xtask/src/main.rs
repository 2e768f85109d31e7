//! `cargo xtask`: the entry points for building, testing and starting Cleave.
//!
//! Promises: every command sets up what it needs on a bare machine with rustup, cargo and a C compiler, says what
//! it is doing in numbered steps, and ends with the reason and the remedy when it cannot go on. CI runs
//! `cargo xtask test` and nothing else.
//! Not here: anything that a plain `cargo` command does as well, and anything that runs inside the product.
#![expect(
    clippy::print_stdout,
    reason = "a command line tool: its output is its result"
)]
#![expect(
    clippy::print_stderr,
    reason = "a command line tool: problems go to standard error"
)]

mod args;
mod bench;
mod browser;
mod build;
mod command;
mod debian;
mod guests;
mod interop;
mod lint;
mod project;
mod server;
mod steps;
mod test;
mod up;
mod wasm_std;
mod web_ui;

use std::process::ExitCode;

use args::Invocation;
use project::Project;

/// Wrong usage, as everywhere in Cleave.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let invocation = match args::parse(&words) {
        Ok(invocation) => invocation,
        Err(problem) => {
            eprintln!("error: {problem}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match run(invocation) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(invocation: Invocation) -> anyhow::Result<()> {
    match invocation {
        Invocation::Help(text) => {
            println!("{text}");
            Ok(())
        }
        Invocation::Bench(name) => bench::run(&Project::find()?, &name),
        Invocation::Build(options) => build::run(&Project::find()?, &options),
        Invocation::Interop => interop::run(&Project::find()?),
        Invocation::Lint => lint::run(&Project::find()?),
        Invocation::Test(options) => test::run(&Project::find()?, &options),
        Invocation::Up(options) => up::run(&Project::find()?, &options),
    }
}
