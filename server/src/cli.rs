//! The command line: `cleave COMMAND`. Arguments in, text or JSON out, an exit code.
//!
//! Every command but `up`, `check` and the hidden `node` talks to a running node over its API, as any script could.
//! Exit codes: 0 ok, 1 failed, 2 usage, 3 a threshold was missed, 4 the load generator was the limit. Results go to
//! standard output, everything else to standard error.

mod call;
mod check;
mod client;
mod drain;
mod error;
mod load;
mod ls;
mod output;
mod place;
mod queue;
mod scale;
mod trace;
pub mod up;
mod wait;

use std::future::Future;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::node;
use client::Client;
use error::Error;

/// Where a node's API is, where nothing else is said.
const SERVER: &str = "http://127.0.0.1:7070";

#[derive(Debug, Parser)]
#[command(
    name = "cleave",
    version,
    about = "Serves WebAssembly components together in one process or apart in many: same modules, no rebuild",
    after_help = "\
EXAMPLES:
  cleave up                                              start; then open http://127.0.0.1:7070
  cleave check my.wasm                                   what it exports and needs, what is wrong with it
  cleave call shop:catalog/catalog list-products         any function by hand
  cleave place apart                                     one process per handler, without a failed call
  cleave trace                                           the newest traces; `cleave trace ID` shows one
  cleave load --compare together,apart                   what the split costs, and what it buys

EXIT CODES: 0 ok · 1 failed · 2 usage · 3 a threshold was missed · 4 the load generator was the limit"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a node and serve the handlers of its data directory
    Up(up::UpArgs),
    /// Look at components: what they export and need, what is wrong with them; starts nothing
    Check(check::CheckArgs),
    /// List handlers, nodes, edges or queues
    Ls(ls::LsArgs),
    /// Call any function by hand, JSON in and out
    Call(call::CallArgs),
    /// Change which handlers share a process, while calls run
    Place(place::PlaceArgs),
    /// Change how many processes serve a handler, while calls run
    Scale(scale::ScaleArgs),
    /// Let a node's process start anew, while others serve its handlers
    Drain(drain::DrainArgs),
    /// List traces, show one, or follow them
    Trace(trace::TraceArgs),
    /// Look at queues and messages, retry dead ones
    Queue(queue::QueueArgs),
    /// Send a scenario's requests, or compare placements
    Load(load::LoadArgs),
    /// A child of a node: started by it, never by hand
    #[command(hide = true)]
    Node,
}

/// Where the node is, and how to answer.
#[derive(Debug, Clone, Args)]
struct Remote {
    /// The node's address
    #[arg(long, value_name = "URL", default_value = SERVER, value_parser = client::server)]
    server: String,

    /// Answer in JSON, for scripts
    #[arg(long)]
    json: bool,
}

impl Remote {
    fn client(&self) -> Client {
        Client::new(&self.server)
    }
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    match Cli::parse().command {
        // It makes its own threads, as few as a child needs.
        Command::Node => node::child(),
        Command::Up(args) => on_threads(node::up(args)),
        Command::Load(args) => on_threads(load::run(args)),
        Command::Check(args) => answer("check", async move { check::run(&args).await }),
        Command::Ls(args) => answer("ls", async move { ls::run(&args).await }),
        Command::Call(args) => answer("call", async move { call::run(&args).await }),
        Command::Place(args) => answer("place", async move { place::run(&args).await }),
        Command::Scale(args) => answer("scale", async move { scale::run(&args).await }),
        Command::Drain(args) => answer("drain", async move { drain::run(&args).await }),
        Command::Trace(args) => answer("trace", async move { trace::run(&args).await }),
        Command::Queue(args) => answer("queue", async move { queue::run(&args).await }),
    }
}

/// One thread for guests that run for long, one for all else.
const WORKERS_MIN: usize = 2;

fn on_threads(command: impl Future<Output = ExitCode>) -> ExitCode {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads.max(WORKERS_MIN))
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(command),
        Err(error) => {
            output::tell(&format!("cleave: start the async runtime: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Commands that ask and print need one thread.
fn answer(name: &str, command: impl Future<Output = Result<(), Error>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(command),
        Err(error) => Err(Error::Failed(format!("start the async runtime: {error}"))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = error.to_string();
            if !text.is_empty() {
                output::tell(&format!("cleave {name}: {text}"));
            }
            ExitCode::from(error.exit_code())
        }
    }
}

#[cfg(test)]
mod tests;
