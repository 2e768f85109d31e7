//! The binary `cleave`: logs to standard error, then the command line.

use std::io::{IsTerminal, stderr};
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

/// Decides what is logged, in the syntax of `tracing-subscriber`'s filters: `CLEAVE_LOG=debug cleave up`.
const LOG_VARIABLE: &str = "CLEAVE_LOG";
const LOG_DEFAULT: &str = "warn,server=info";

fn main() -> ExitCode {
    let wanted = std::env::var(LOG_VARIABLE).unwrap_or_default();
    let given = (!wanted.is_empty()).then(|| EnvFilter::try_new(&wanted));
    let (filter, problem) = match given {
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (EnvFilter::new(LOG_DEFAULT), Some(error)),
        None => (EnvFilter::new(LOG_DEFAULT), None),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .init();
    if let Some(error) = problem {
        tracing::warn!("`{LOG_VARIABLE}={wanted}` is no filter: {error}; `{LOG_DEFAULT}` is used");
    }
    server::cli::run()
}
