//! `cleave place`: another placement, and waiting until it is in force.

use std::time::Duration;

use clap::Args;
use http::Method;
use protocol::api::placement::{Placement, PlacementStatus};
use protocol::ladder::{Bandwidth, Delay, Loss};
use protocol::{Rung, Way};

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

--transport is the rung of the ladder that calls go by: direct or codec (through the bytes of the wire) where they stay
on their node, uds, tcp (TLS) or quic where they leave it. Delay, jitter, loss and bandwidth are of the way between
nodes, in each direction. A file may have [edge.\"CALLER -> INTERFACE\"] sections with the same keys for single edges.
What a placement has no use for is shown as idle.

EXAMPLES:
  cleave place apart
  cleave place groups.toml         a file with [placement], mode = \"groups\" and groups = [[\"cart\", \"checkout\"]]
  cleave place apart --transport uds --delay 2ms --jitter 500us --loss 1% --bandwidth 100Mbit/s
  cleave place apart+uds+2ms+~500us+1%+100Mbit/s        the same
  cleave place --transport tcp     as it is, but for the transport
  cleave place                     what is in force")]
pub(super) struct PlaceArgs {
    /// What shall be; without it, what is
    #[arg(value_name = "together|apart|FILE")]
    placement: Option<String>,

    /// How calls go: direct, codec, uds, tcp or quic
    #[arg(long, value_name = "RUNG", value_parser = Rung::parse)]
    transport: Option<Rung>,

    /// What every packet between nodes takes longer, as 2ms
    #[arg(long, value_name = "D")]
    delay: Option<Delay>,

    /// The most that it takes longer beside that, by chance, as 500us
    #[arg(long, value_name = "D")]
    jitter: Option<Delay>,

    /// The share of packets between nodes that is lost, as 1%
    #[arg(long, value_name = "P")]
    loss: Option<Loss>,

    /// What the way between nodes carries for each edge, as 100Mbit/s
    #[arg(long, value_name = "B")]
    bandwidth: Option<Bandwidth>,

    /// How long to wait until it is in force
    #[arg(long, value_name = "D", default_value = "30s", value_parser = humantime::parse_duration)]
    timeout: Duration,

    #[command(flatten)]
    remote: Remote,
}

impl PlaceArgs {
    /// What is asked for; nothing where only to look.
    async fn wanted(&self) -> Result<Option<Placement>, Error> {
        let way = Way {
            transport: self.transport,
            delay: self.delay,
            jitter: self.jitter,
            loss: self.loss,
            bandwidth: self.bandwidth,
        };
        let placement = match &self.placement {
            Some(text) => {
                config::placement_argument(text).map_err(|error| Error::Usage(error.to_string()))?
            }
            None if way.is_silent() => return Ok(None),
            None => {
                let status: PlacementStatus = self.remote.client().get("placement").await?;
                status.desired
            }
        };
        let way = way.or(placement.way());
        Ok(Some(placement.by(way)))
    }
}

pub(super) async fn run(args: &PlaceArgs) -> Result<(), Error> {
    let status = match args.wanted().await? {
        None => args.remote.client().get("placement").await?,
        Some(placement) => {
            bring_about(&args.remote, (Method::PUT, "placement"), &placement, args.timeout).await?
        }
    };
    if args.remote.json {
        return print_json(&status);
    }
    tell_of_file(&status);
    print(&summary(&status))
}
