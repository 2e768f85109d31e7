//! Meter: what the server has used so far, read at the edges of each block.
//!
//! CPU time and memory are those of home's process tree without the generator; bytes are the UDP payload that all
//! nodes sent over QUIC, which is every datagram once, in both directions. What cannot be read is left out, not 0.

use std::collections::BTreeMap;

use protocol::api::handlers::Handler;
use protocol::api::nodes::Node;

use crate::api::Api;
use crate::process::{self, Memory};

/// The server at one moment.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// CPU time of home's process tree.
    pub cpu_seconds: Option<f64>,
    /// Its memory; only in the reading at a block's end.
    pub memory: Option<Memory>,
    /// Bytes sent and received, by node name and incarnation.
    pub bytes: Option<BTreeMap<(String, u64), (u64, u64)>>,
    /// Instances that calls had to wait for, and the median of making one, in µs, where that took longest.
    pub cold: Option<(u64, u64)>,
    /// CPU time of the generator itself.
    pub generator_cpu_seconds: Option<f64>,
}

/// Reads the server, if there is an API to ask.
#[derive(Debug, Default)]
pub struct Meter {
    api: Option<Api>,
    home: Option<u32>,
}

/// The name of the node that the user started.
const HOME: &str = "home";

impl Meter {
    /// A meter that asks this API.
    pub fn new(api: Api) -> Self {
        Self {
            api: Some(api),
            home: None,
        }
    }

    /// A meter for a target that is not Cleave: it reads the generator alone.
    pub fn blind() -> Self {
        Self::default()
    }

    /// The API, if there is one.
    pub fn api(&mut self) -> Option<&mut Api> {
        self.api.as_mut()
    }

    /// Reads everything. A part that fails is missing from the reading; the run goes on.
    pub async fn read(&mut self) -> Reading {
        let generator_cpu_seconds = process::own_cpu_seconds();
        let nodes = match &mut self.api {
            Some(api) => api.nodes().await.ok(),
            None => None,
        };
        let handlers = match &mut self.api {
            Some(api) => api.handlers().await.ok(),
            None => None,
        };
        if let Some(home) = nodes
            .iter()
            .flatten()
            .find(|node| node.name.as_str() == HOME && node.pid != 0)
        {
            self.home = Some(home.pid);
        }
        let cpu_seconds = self
            .home
            .and_then(|home| process::cpu_seconds(home, except(home)));
        Reading {
            cpu_seconds,
            memory: None,
            bytes: nodes.as_deref().map(bytes),
            cold: handlers.as_deref().map(cold),
            generator_cpu_seconds,
        }
    }

    /// Reads everything, and memory last: it takes the server's time.
    pub async fn read_at_end(&mut self) -> Reading {
        let mut reading = self.read().await;
        reading.memory = self.home.and_then(|home| process::memory(home, except(home)));
        reading
    }
}

/// The generator is not the server's, even where it was started from it; in a test, both are one process.
fn except(home: u32) -> Option<u32> {
    let own = std::process::id();
    (home != own).then_some(own)
}

fn cold(handlers: &[Handler]) -> (u64, u64) {
    let figures = || handlers.iter().map(|handler| &handler.figures);
    let starts = figures().map(|figures| figures.instance_start_p50_us);
    (
        figures().map(|figures| figures.instances_cold).sum(),
        starts.max().unwrap_or(0),
    )
}

fn bytes(nodes: &[Node]) -> BTreeMap<(String, u64), (u64, u64)> {
    let counters = |node: &Node| (node.quic_bytes_sent, node.quic_bytes_received);
    nodes
        .iter()
        .map(|node| ((node.name.as_str().to_owned(), node.incarnation), counters(node)))
        .collect()
}

impl Reading {
    /// CPU time of the server from an earlier reading to this one.
    pub fn cpu_seconds_since(&self, before: &Self) -> Option<f64> {
        Some((self.cpu_seconds? - before.cpu_seconds?).max(0.0))
    }

    /// CPU time of the generator from an earlier reading to this one.
    pub fn generator_cpu_seconds_since(&self, before: &Self) -> Option<f64> {
        Some(self.generator_cpu_seconds? - before.generator_cpu_seconds?)
    }

    /// Cold starts from an earlier reading to this one; a process that ended meanwhile took its count along.
    pub fn cold_since(&self, before: &Self) -> Option<u64> {
        Some(self.cold?.0.saturating_sub(before.cold?.0))
    }

    /// Bytes over QUIC from an earlier reading to this one. Each datagram is in one node's sent and another's
    /// received; the larger sum is right where a node that ended took its own count with it.
    pub fn bytes_since(&self, before: &Self) -> Option<u64> {
        let (now, before) = (self.bytes.as_ref()?, before.bytes.as_ref()?);
        let (mut sent, mut received) = (0, 0);
        for (node, (sent_now, received_now)) in now {
            let (sent_before, received_before) = before.get(node).copied().unwrap_or_default();
            sent += sent_now.saturating_sub(sent_before);
            received += received_now.saturating_sub(received_before);
        }
        Some(sent.max(received))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(nodes: &[(&str, u64, u64, u64)]) -> Reading {
        let bytes = nodes
            .iter()
            .map(|(name, start, sent, received)| (((*name).to_owned(), *start), (*sent, *received)));
        Reading {
            bytes: Some(bytes.collect()),
            ..Reading::default()
        }
    }

    #[test]
    fn bytes_are_counted_once_and_across_restarts() {
        let before = reading(&[("home", 1, 100, 50), ("cart", 1, 50, 100)]);
        let after = reading(&[("home", 1, 160, 90), ("cart", 1, 90, 160)]);
        assert_eq!(after.bytes_since(&before), Some(100));
        let restarted = reading(&[("home", 1, 160, 90), ("cart", 2, 30, 60)]);
        assert_eq!(restarted.bytes_since(&before), Some(100));
    }

    #[test]
    fn what_was_not_read_is_missing() {
        assert_eq!(Reading::default().bytes_since(&Reading::default()), None);
        assert_eq!(Reading::default().cpu_seconds_since(&Reading::default()), None);
    }
}
