//! `cleave load`: sends a scenario's requests and reports how fast they were answered, or compares placements.
//!
//! Only arguments and output are here; the work is the `load` package's. Progress goes to standard error when that is
//! a terminal; the report goes to standard output, as text or, with `--json -`, as JSON alone.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context;
use clap::Args;
use load::blocks::Pace;
use load::client::Target;
use load::compare::{Compare, Side};
use load::progress::Sink;
use load::report::{Report, html, text};
use load::run::Options;
use load::scenario::Scenario;
use load::schedule::Arrivals;
use load::stop::{self, Stop, StopHandle};
use load::threshold::Threshold;

use crate::clock::Clock;

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const INTERRUPTED: i32 = 130;

const DURATION: Duration = Duration::from_secs(30);
const WARMUP: Duration = Duration::from_secs(3);
/// With the last answers, the restored placement and the start, below two minutes.
const COMPARE_DURATION: Duration = Duration::from_secs(112);
const RATE: f64 = 100.0;
const RATE_MAX: f64 = 1_000_000.0;

/// Arguments of `cleave load`.
#[derive(Debug, Args)]
#[command(
    after_help = "EXIT CODES: 0 ok · 1 failed · 2 usage · 3 a threshold was missed · 4 the generator was the limit"
)]
pub struct LoadArgs {
    /// Where to send the requests
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = url)]
    target: String,

    /// Cleave's API, for placements, CPU and bytes
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7070", value_parser = url)]
    server: String,

    /// What to send; the shop's mix, if not given
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,

    /// Requests a second [default: 100; with --compare, half the smaller capacity]
    #[arg(long, value_name = "R", value_parser = rate)]
    rate: Option<f64>,

    /// How long to measure [default: 30s]; with --compare, how long the whole may take [default: 112s]
    #[arg(long, value_name = "D", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,

    /// What is sent first and not counted [default: 3s]; with --compare, behind each change of placement [default: 1500ms]
    #[arg(long, value_name = "D", value_parser = humantime::parse_duration)]
    warmup: Option<Duration>,

    /// How arrivals are spaced
    #[arg(long, value_enum, default_value_t = Spacing::Poisson)]
    arrivals: Spacing,

    /// Virtual users: connections, and requests in flight, at most
    #[arg(long, value_name = "N", default_value_t = load::run::USERS as u32, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    users: u32,

    /// Decides the schedule and the order of blocks; random, if not given, and always reported
    #[arg(long, value_name = "N")]
    seed: Option<u32>,

    /// Compare placements, the first with each other: `together`, `apart`, or files with a [placement] section; each with
    /// how calls go behind it: a rung (`+codec`, `+uds`, `+tcp`, `+quic`), a delay (`+2ms`), a jitter (`+~500us`), a loss
    /// (`+1%`), a bandwidth (`+100Mbit/s`)
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', num_args = 1.., value_parser = side)]
    compare: Vec<Side>,

    /// Fail unless this holds, as `p99<50ms` or `apart.errors<1%`; may be given more than once
    #[arg(long, value_name = "EXPR")]
    threshold: Vec<Threshold>,

    /// Write the report as JSON; `-` is standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write the report as one HTML file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Spacing {
    /// As independent users come
    Poisson,
    /// At equal distances
    Constant,
}

/// Runs the command.
pub async fn run(args: LoadArgs) -> ExitCode {
    let scenario = match scenario(args.scenario.as_deref()) {
        Ok(scenario) => scenario,
        Err(code) => return code,
    };
    if let Err(message) = args.check() {
        return fail(USAGE, &message);
    }
    let (handle, stop) = stop::channel();
    let began = Clock::system().unix_ms() as u64;
    let report = tokio::select! {
        report = measure(&args, scenario, &stop) => report,
        never = stop_on_ctrl_c(handle) => match never {},
    };
    let report = match report {
        Ok(report) => report,
        Err(error) => return fail(FAILED, &format!("{error:#}")),
    };
    if let Err(error) = write(&args, &report) {
        return fail(FAILED, &format!("{error:#}"));
    }
    if !args.is_json_shown() {
        let ended = Clock::system().unix_ms() as u64;
        let [from, to] =
            [began, ended].map(|ms| humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(ms)));
        tell(&format!(
            "its traces, as far as they were sampled: cleave trace --since {from} --until {to} --limit 100000 --export run.jsonl"
        ));
    }
    ExitCode::from(report.exit_code())
}

impl LoadArgs {
    fn is_json_shown(&self) -> bool {
        self.json.as_deref() == Some(Path::new("-"))
    }

    fn check(&self) -> Result<(), String> {
        if self.compare.len() == 1 {
            return Err("--compare needs at least two placements, as `together,apart`".to_owned());
        }
        for (index, side) in self.compare.iter().enumerate() {
            if self.compare[..index]
                .iter()
                .any(|earlier| earlier.name == side.name)
            {
                return Err(format!("--compare names `{}` twice", side.name));
            }
        }
        for placement in self.threshold.iter().filter_map(Threshold::placement) {
            if !self.compare.is_empty() && !self.compare.iter().any(|side| side.name == placement) {
                return Err(format!(
                    "--threshold is about `{placement}`, which --compare does not name"
                ));
            }
        }
        Ok(())
    }
}

async fn measure(args: &LoadArgs, scenario: Scenario, stop: &Stop) -> anyhow::Result<Report> {
    let options = Options {
        target: args.target.clone(),
        server: args.server.clone(),
        scenario,
        arrivals: match args.arrivals {
            Spacing::Poisson => Arrivals::Poisson,
            Spacing::Constant => Arrivals::Constant,
        },
        users: args.users as usize,
        seed: u64::from(args.seed.unwrap_or_else(rand::random)),
        thresholds: args.threshold.clone(),
    };
    let sink = progress(args.is_json_shown());
    if args.compare.is_empty() {
        let rate = args.rate.unwrap_or(RATE);
        let (warmup, duration) = (args.warmup.unwrap_or(WARMUP), args.duration.unwrap_or(DURATION));
        return load::run::run(&options, rate, warmup, duration, stop, &sink).await;
    }
    let mut pace = Pace::default();
    pace.switch_warmup = args.warmup.unwrap_or(pace.switch_warmup);
    let compare = Compare {
        options,
        sides: args.compare.clone(),
        rate_per_s: args.rate,
        budget: args.duration.unwrap_or(COMPARE_DURATION),
        pace,
    };
    load::compare::run(&compare, stop, &sink).await
}

/// The first Ctrl-C ends the run with a report of what ran, and a comparison with the placement restored. The second
/// ends the process at once.
async fn stop_on_ctrl_c(handle: StopHandle) -> std::convert::Infallible {
    if tokio::signal::ctrl_c().await.is_err() {
        return std::future::pending().await;
    }
    handle.stop();
    tell("ending early; Ctrl-C again ends at once and leaves the placement as it is");
    if tokio::signal::ctrl_c().await.is_err() {
        return std::future::pending().await;
    }
    std::process::exit(INTERRUPTED)
}

/// To a terminal, unless a script reads.
fn progress(is_quiet: bool) -> Sink {
    if is_quiet || !std::io::stderr().is_terminal() {
        return Arc::new(|_| {});
    }
    Arc::new(|event| tell(&event.to_string()))
}

fn write(args: &LoadArgs, report: &Report) -> anyhow::Result<()> {
    if let Some(path) = &args.html {
        std::fs::write(path, html::render(report)).with_context(|| format!("write `{}`", path.display()))?;
    }
    let shown = match &args.json {
        Some(_) if args.is_json_shown() => report.to_json(),
        Some(path) => {
            std::fs::write(path, report.to_json()).with_context(|| format!("write `{}`", path.display()))?;
            text::render(report)
        }
        None => text::render(report),
    };
    std::io::stdout()
        .write_all(shown.as_bytes())
        .context("write to standard output")
}

fn scenario(path: Option<&Path>) -> Result<Scenario, ExitCode> {
    let Some(path) = path else {
        return Ok(Scenario::shop());
    };
    let text = std::fs::read_to_string(path);
    let text =
        text.map_err(|error| fail(USAGE, &format!("read the scenario `{}`: {error}", path.display())))?;
    Scenario::parse(&text).map_err(|problems| fail(USAGE, &format!("`{}`:\n{problems}", path.display())))
}

fn url(text: &str) -> Result<String, String> {
    Target::check(text)
        .map(|()| text.to_owned())
        .map_err(|error| format!("{error:#}"))
}

fn rate(text: &str) -> Result<f64, String> {
    let text = text.strip_suffix("/s").unwrap_or(text);
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= RATE_MAX => Ok(rate),
        _ => Err(format!("must be a number above 0 and at most {RATE_MAX}")),
    }
}

fn side(text: &str) -> Result<Side, String> {
    let (base, suffix) = match text.split_once('+') {
        Some((base, suffix)) if !Path::new(text).exists() => (base, Some(suffix)),
        _ => (text, None),
    };
    let side = base_side(base)?;
    match suffix {
        None => Ok(side),
        Some(suffix) => side.by(suffix),
    }
}

fn base_side(text: &str) -> Result<Side, String> {
    match text {
        "together" | "apart" => Side::parse(text, &format!("mode = \"{text}\"")),
        file => {
            let toml = std::fs::read_to_string(file);
            let toml = toml.map_err(|error| {
                format!("neither `together` nor `apart`, and not a file to read: {error}")
            })?;
            let stem = Path::new(file)
                .file_stem()
                .and_then(|stem| stem.to_str())
                .unwrap_or(file);
            Side::parse(stem, &toml)
        }
    }
}

fn fail(code: u8, message: &str) -> ExitCode {
    tell(&format!("cleave load: {message}"));
    ExitCode::from(code)
}

/// A line on standard error. If nobody reads it, there is nobody to tell that either.
fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
