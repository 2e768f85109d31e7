//! `cleave place`: another placement, and waiting until it is in force.

use std::time::Duration;

use clap::Args;
use http::Method;

use super::Remote;
use super::error::Error;
use super::output::{print, print_json};
use super::wait::{bring_about, tell_of_file};
use crate::config;
use crate::placement::summary::summary;

/// Arguments of `cleave place`.
#[derive(Debug, Args)]
#[command(after_help = "\
A change starts the new processes, waits until they are ready, swaps the routes and drains the old ones: no call fails.
It is not written to cleave.toml, which says what to start with. Replicas stay as `cleave scale` left them.

EXAMPLES:
  cleave place apart
  cleave place groups.toml         a file with [placement], mode = \"groups\" and groups = [[\"cart\", \"checkout\"]]
  cleave place                     what is in force")]
pub(super) struct PlaceArgs {
    /// What shall be; without it, what is
    #[arg(value_name = "together|apart|FILE")]
    placement: Option<String>,

    /// How long to wait until it is in force
    #[arg(long, value_name = "D", default_value = "30s", value_parser = humantime::parse_duration)]
    timeout: Duration,

    #[command(flatten)]
    remote: Remote,
}

pub(super) async fn run(args: &PlaceArgs) -> Result<(), Error> {
    let status = match &args.placement {
        None => args.remote.client().get("placement").await?,
        Some(text) => {
            let placement =
                config::placement_argument(text).map_err(|error| Error::Usage(error.to_string()))?;
            bring_about(&args.remote, (Method::PUT, "placement"), &placement, args.timeout).await?
        }
    };
    if args.remote.json {
        return print_json(&status);
    }
    tell_of_file(&status);
    print(&summary(&status))
}
