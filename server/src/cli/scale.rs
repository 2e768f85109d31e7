//! `cleave scale`: how many nodes serve a handler.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use http::Method;
use protocol::HandlerName;
use protocol::api::placement::{REPLICAS_MAX, Scale};

use super::Remote;
use super::error::Error;
use super::output::{print, print_json};
use super::wait::{bring_about, tell_of_file};
use crate::placement::summary::summary;

/// Arguments of `cleave scale`.
#[derive(Debug, Args)]
#[command(after_help = "\
Replicas are nodes of their own: the handler must be alone on its node, as with `cleave place apart`. New ones are ready
before they are called, and old ones finish what they accepted: no call fails. It is not written to cleave.toml; there it
is `replicas` in [handler.NAME].

EXAMPLES:
  cleave scale catalog=2
  cleave scale catalog=1 cart=3")]
pub(super) struct ScaleArgs {
    /// The handler, and how many nodes shall serve it
    #[arg(value_name = "HANDLER=N", required = true, value_parser = wanted)]
    wanted: Vec<(HandlerName, u32)>,

    /// How long to wait until it is in force
    #[arg(long, value_name = "D", default_value = "30s", value_parser = humantime::parse_duration)]
    timeout: Duration,

    #[command(flatten)]
    remote: Remote,
}

fn wanted(text: &str) -> Result<(HandlerName, u32), String> {
    let (name, count) = text
        .split_once('=')
        .ok_or_else(|| "write HANDLER=N, as catalog=2".to_owned())?;
    let name = HandlerName::parse(name).map_err(|error| error.to_string())?;
    let count = count
        .parse()
        .ok()
        .filter(|count| (1..=REPLICAS_MAX).contains(count));
    let count = count.ok_or_else(|| format!("a handler has 1 to {REPLICAS_MAX} replicas"))?;
    Ok((name, count))
}

pub(super) async fn run(args: &ScaleArgs) -> Result<(), Error> {
    let replicas: BTreeMap<HandlerName, u32> = args.wanted.iter().cloned().collect();
    let change = Scale { replicas };
    let status = bring_about(&args.remote, (Method::PATCH, "placement"), &change, args.timeout).await?;
    if args.remote.json {
        return print_json(&status);
    }
    tell_of_file(&status);
    print(&summary(&status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_and_a_number_are_told_apart_from_anything_else() {
        assert_eq!(
            wanted("catalog=2"),
            Ok((HandlerName::parse("catalog").unwrap(), 2))
        );
        for (text, says) in [
            ("catalog", "HANDLER=N"),
            ("Catalog=2", "handler name"),
            ("catalog=0", "1 to 16"),
            ("catalog=17", "1 to 16"),
            ("catalog=", "1 to 16"),
        ] {
            assert!(wanted(text).unwrap_err().contains(says), "{text}");
        }
    }
}
