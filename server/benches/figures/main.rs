//! The figures: benchmarks that compare side by side in one run, and print ratios.
//!
//! `cargo xtask bench NAME` runs this program. It judges nothing and asserts no time: a bound that is missed is printed
//! as missed. The last lines name the machine, because absolute figures are only about it.

#![expect(clippy::print_stdout, reason = "a table is what this program is for")]

mod calls;
mod isolation;
mod ladder;
mod moves;
mod process;
mod shop;
mod table;
mod traces;
mod ui;
mod wire;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// Both runtimes of a node have two workers at least; a hop runs on one of them.
const WORKERS: usize = 2;

fn main() -> ExitCode {
    // `cargo bench` adds `--bench`.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    let executor = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
    {
        Ok(executor) => executor,
        Err(error) => {
            println!("figures: no async runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let name = words.first().map_or("", String::as_str);
    let rows = match name {
        "calls" => calls::rows(&executor, words.get(1).map_or("", String::as_str)),
        "isolation" => isolation::rows(),
        "ladder" => ladder::rows(&executor),
        "moves" => moves::rows(),
        "shop" => shop::rows(),
        "traces" => traces::rows(&executor),
        "ui" => ui::rows(&executor),
        "wire" => wire::rows(&executor),
        other => {
            println!(
                "figures: no benchmark `{other}`; there are: calls, isolation, ladder, moves, shop, traces, ui, wire"
            );
            return ExitCode::from(2);
        }
    };
    let (machine, commit) = (machine(), commit());
    println!("{}\n{machine}, commit {commit}", table::text(&rows));
    let directory = directory();
    match table::write(&directory, name, &rows, &machine, &commit) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("figures: write `{}`: {error}", directory.display());
            ExitCode::FAILURE
        }
    }
}

/// Where figures go.
fn directory() -> PathBuf {
    std::env::var_os("CLEAVE_BENCH_DIR").map_or_else(|| PathBuf::from("target/bench"), PathBuf::from)
}

/// Processor, cores and system, as far as they are told.
fn machine() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown processor", |(_, model)| model.trim());
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZeroUsize::get);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{model}, {cores} cores, Linux {}", kernel.trim())
}

fn commit() -> String {
    Command::new("git")
        .args(["rev-parse", "--short", "HEAD"])
        .output()
        .ok()
        .filter(|output| output.status.success())
        .map_or_else(
            || "unknown".into(),
            |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        )
}
