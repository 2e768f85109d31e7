//! `cleave place`: another placement, and waiting until it is in force.

use std::time::{Duration, Instant};

use clap::Args;
use http::Method;
use protocol::api::placement::{Accepted, Mode, Placement, PlacementStatus};

use super::Remote;
use super::client::Client;
use super::error::Error;
use super::output::{list, print, print_json, tell, word};
use crate::config;
use crate::placement::summary::summary;

/// How often the node is asked whether it is there yet.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Arguments of `cleave place`.
#[derive(Debug, Args)]
#[command(after_help = "\
A change starts the new processes, waits until they are ready, swaps the routes and drains the old ones: no call fails.
It is not written to cleave.toml, which says what to start with.

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
    let client = args.remote.client();
    let status = match &args.placement {
        None => client.get("placement").await?,
        Some(text) => {
            let placement =
                config::placement_argument(text).map_err(|error| Error::Usage(error.to_string()))?;
            change(args, &client, &placement).await?
        }
    };
    if args.remote.json {
        return print_json(&status);
    }
    if status.file != status.desired {
        tell(&format!(
            "cleave.toml says {}, which wins at the next start",
            name(&status.file)
        ));
    }
    print(&summary(&status))
}

async fn change(args: &PlaceArgs, client: &Client, placement: &Placement) -> Result<PlacementStatus, Error> {
    let began = Instant::now();
    let accepted: Accepted = client
        .send(Method::PUT, "placement", placement, Duration::ZERO)
        .await?;
    let mut told = String::new();
    loop {
        let status: PlacementStatus = client.get("placement").await?;
        if status.generation > accepted.generation {
            return Err(Error::Failed(format!(
                "another change came after this one ({} is wanted now)",
                name(&status.desired)
            )));
        }
        if status.actual_generation >= accepted.generation && status.settled {
            tell(&format!("in force after {:.1} s", began.elapsed().as_secs_f64()));
            return Ok(status);
        }
        let progress = progress(&status);
        if progress != told && !args.remote.json {
            tell(&progress);
            told = progress;
        }
        if began.elapsed() >= args.timeout {
            let error = status
                .error
                .as_ref()
                .map(|error| format!(": {error}"))
                .unwrap_or_default();
            return Err(Error::Failed(format!(
                "not in force after {:?}{error}; it goes on, look with `cleave place`\n  {told}",
                args.timeout
            )));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn progress(status: &PlacementStatus) -> String {
    let there = status.handlers.values().filter(|place| is_there(place)).count();
    let rest = status.handlers.iter().filter(|(_, place)| !is_there(place));
    let rest = list(rest.map(|(name, place)| format!("{name} {}", place.state)));
    format!(
        "{there} of {} handlers are in place; {rest}",
        status.handlers.len()
    )
}

fn is_there(place: &protocol::api::placement::HandlerPlace) -> bool {
    place.state == "serving" && place.node.as_ref() == Some(&place.desired_node)
}

fn name(placement: &Placement) -> String {
    match placement.mode {
        Mode::Groups => {
            let groups = placement.groups.iter().map(|group| format!("[{}]", list(group)));
            format!("groups {}", groups.collect::<Vec<_>>().join(" "))
        }
        mode => word(&mode),
    }
}
