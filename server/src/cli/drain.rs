//! `cleave drain`: a node finishes what it accepted and starts anew, while others serve its handlers.

use std::time::Duration;

use clap::Args;
use http::Method;
use protocol::NodeName;
use serde_json::json;

use super::Remote;
use super::error::Error;
use super::output::{print, print_json};
use super::wait::bring_about;
use crate::placement::summary::summary;

/// Arguments of `cleave drain`.
#[derive(Debug, Args)]
#[command(after_help = "\
The node's handlers are served by their other replicas, or else by home, until its new process is ready: no call fails.

EXAMPLES:
  cleave drain catalog
  cleave drain catalog-2           the second replica; `cleave ls nodes` lists them")]
pub(super) struct DrainArgs {
    /// The node
    #[arg(value_name = "NODE")]
    node: NodeName,

    /// How long to wait until it serves again
    #[arg(long, value_name = "D", default_value = "30s", value_parser = humantime::parse_duration)]
    timeout: Duration,

    #[command(flatten)]
    remote: Remote,
}

pub(super) async fn run(args: &DrainArgs) -> Result<(), Error> {
    let path = format!("nodes/{}/drain", args.node);
    let status = bring_about(&args.remote, (Method::POST, &path), &json!({}), args.timeout).await?;
    if args.remote.json {
        return print_json(&status);
    }
    print(&summary(&status))
}
