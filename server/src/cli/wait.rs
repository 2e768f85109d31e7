//! Waiting until a change of what shall be is in force, with progress that a person can watch.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use http::Method;
use protocol::NodeName;
use protocol::api::Page;
use protocol::api::nodes::Node;
use protocol::api::placement::{Accepted, Mode, Placement, PlacementStatus};

use serde::Serialize;

use super::Remote;
use super::client::Client;
use super::error::Error;
use super::output::{list, tell, word};

/// How often the node is asked whether it is there yet.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How to wait.
#[derive(Clone, Copy)]
struct Patience {
    timeout: Duration,
    /// Whether nobody watches: the answer is for a script.
    is_quiet: bool,
}

/// Asks a node for a change and waits until it is in force.
pub(super) async fn bring_about(
    remote: &Remote,
    (method, path): (Method, &str),
    wish: &impl Serialize,
    timeout: Duration,
) -> Result<PlacementStatus, Error> {
    let client = remote.client();
    let accepted: Accepted = client.send(method, path, wish, Duration::ZERO).await?;
    let patience = Patience {
        timeout,
        is_quiet: remote.json,
    };
    until_in_force(&client, accepted, patience).await
}

/// Waits until what was accepted is in force.
async fn until_in_force(
    client: &Client,
    accepted: Accepted,
    patience: Patience,
) -> Result<PlacementStatus, Error> {
    let began = Instant::now();
    let mut told = String::new();
    let mut nodes = BTreeMap::new();
    loop {
        let status: PlacementStatus = client.get("placement").await?;
        if status.generation > accepted.generation {
            return Err(Error::Failed(format!(
                "another change came after this one ({} is wanted now)",
                name(&status.desired)
            )));
        }
        if !patience.is_quiet {
            let page: Page<Node> = client.get("nodes").await?;
            changed(&mut nodes, &page.items)
                .iter()
                .for_each(|line| tell(line));
        }
        if status.actual_generation >= accepted.generation && status.settled {
            if !patience.is_quiet {
                tell(&format!("in force after {:.1} s", began.elapsed().as_secs_f64()));
            }
            return Ok(status);
        }
        let progress = progress(&status);
        if progress != told && !patience.is_quiet {
            tell(&progress);
            told = progress;
        }
        if began.elapsed() >= patience.timeout {
            let error = status
                .error
                .as_ref()
                .map(|error| format!(": {error}"))
                .unwrap_or_default();
            return Err(Error::Failed(format!(
                "not in force after {:?}{error}; it goes on, look with `cleave place`\n  {told}",
                patience.timeout
            )));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What is told of nodes that came, went or changed since the last look; nothing at the first.
fn changed(known: &mut BTreeMap<NodeName, String>, nodes: &[Node]) -> Vec<String> {
    let now: BTreeMap<NodeName, String> = nodes
        .iter()
        .map(|node| {
            (
                node.name.clone(),
                format!("{} (start {})", word(&node.state), node.incarnation),
            )
        })
        .collect();
    let before = std::mem::replace(known, now);
    if before.is_empty() {
        return Vec::new();
    }
    let gone = before.keys().filter(|name| !known.contains_key(*name));
    let gone = gone.map(|name| format!("node `{name}` is gone"));
    let came = known
        .iter()
        .filter(|(name, state)| before.get(*name) != Some(*state));
    gone.chain(came.map(|(name, state)| format!("node `{name}` is {state}")))
        .collect()
}

fn progress(status: &PlacementStatus) -> String {
    let there = status.handlers.values().filter(|place| place.is_there()).count();
    let rest = status.handlers.iter().filter(|(_, place)| !place.is_there());
    let rest = list(rest.map(|(name, place)| format!("{name} {}", place.state)));
    format!(
        "{there} of {} handlers are in place; {rest}",
        status.handlers.len()
    )
}

/// Says that the next start will be otherwise, where it will.
pub(super) fn tell_of_file(status: &PlacementStatus) {
    if status.file != status.desired {
        tell(&format!(
            "cleave.toml says {}, which wins at the next start",
            name(&status.file)
        ));
    }
}

/// A placement in a few words: `apart, catalog ×2`.
fn name(placement: &Placement) -> String {
    let mut name = match placement.mode {
        Mode::Groups => {
            let groups = placement.groups.iter().map(|group| format!("[{}]", list(group)));
            format!("groups {}", groups.collect::<Vec<_>>().join(" "))
        }
        mode => word(&mode),
    };
    if !placement.way().is_silent() {
        name.push_str(&format!(" by {}", placement.way()));
    }
    for (handler, replicas) in &placement.replicas {
        name.push_str(&format!(", {handler} ×{replicas}"));
    }
    for (edge, way) in &placement.edges {
        name.push_str(&format!(", {edge} by {way}"));
    }
    name
}

#[cfg(test)]
mod tests {
    use protocol::Way;

    use super::*;

    #[test]
    fn a_placement_is_told_with_its_replicas() {
        let replicas = [("catalog".parse().unwrap(), 2)].into();
        let placement = Placement {
            mode: Mode::Apart,
            replicas,
            ..Placement::default()
        };
        assert_eq!(name(&placement), "apart, catalog ×2");
        let way = Way::default().with("uds").unwrap();
        let edges = [("cart -> shop:ad/ad".parse().unwrap(), way.with("2ms").unwrap())].into();
        let placement = Placement {
            edges,
            ..placement.by(way)
        };
        assert_eq!(
            name(&placement),
            "apart by uds, catalog ×2, cart -> shop:ad/ad by uds+2ms"
        );
    }
}
