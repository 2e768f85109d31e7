//! `Replicas`: the nodes of one handler, and which of them a call goes to.
//!
//! Two are drawn and the one with fewer of this node's own calls in flight is taken: nobody needs to be asked, and no
//! node gets everything at once. A call with an affinity goes to the replica that its parameter's bytes rank first
//! (rendezvous hashing): the same from every node, and when a replica goes only its own callers move. One that was not
//! reached is left out until there are newer routes, which come when it is back.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use protocol::api::placement::REPLICAS_MAX;
use protocol::control::Affinity;
use protocol::{NodeName, shape};

use super::table::{Target, keys};
use crate::dispatch::Call;

/// The nodes that serve a handler; one, nearly always.
#[derive(Default)]
pub(super) struct Replicas {
    all: Vec<Replica>,
    /// Functions with an affinity, by interface as it is looked up, and by name.
    affinities: HashMap<String, HashMap<Arc<str>, Affinity>>,
    draws: AtomicU64,
}

/// One of them.
struct Replica {
    node: NodeName,
    /// The node's name as a number, to be ranked by.
    rank: u64,
    target: Target,
    /// Calls from here that are under way; they outlive the table that they were routed by.
    in_flight: Arc<AtomicUsize>,
    is_out: AtomicBool,
}

/// The replica that a call goes to, where there is a choice.
#[derive(Clone, Copy)]
pub(super) struct Chosen<'t> {
    all: &'t [Replica],
    one: &'t Replica,
}

/// A call under way; ended when dropped.
pub(super) struct InFlight(Arc<AtomicUsize>);

impl Replicas {
    /// Adds a node; beyond the most that a handler can have it is left out.
    pub(super) fn push(&mut self, node: &NodeName, target: Target) {
        if self.all.len() < REPLICAS_MAX as usize {
            self.all.push(Replica {
                node: node.clone(),
                rank: number(node.as_str().as_bytes()),
                target,
                in_flight: Arc::default(),
                is_out: AtomicBool::new(false),
            });
        }
    }

    /// Lets calls of a function go by one of its parameters.
    pub(super) fn set_affinity(&mut self, affinity: &Affinity) {
        for key in keys(&affinity.function.interface) {
            let functions = self.affinities.entry(key).or_default();
            functions.insert(Arc::clone(&affinity.function.function), affinity.clone());
        }
    }

    /// The same nodes by another way, with the same counts; without those that it does not reach.
    pub(super) fn by(&self, target: impl Fn(&NodeName) -> Option<Target>) -> Self {
        let other = |replica: &Replica| {
            Some(Replica {
                node: replica.node.clone(),
                rank: replica.rank,
                target: target(&replica.node)?,
                in_flight: Arc::clone(&replica.in_flight),
                is_out: AtomicBool::new(false),
            })
        };
        Self {
            all: self.all.iter().filter_map(other).collect(),
            affinities: self.affinities.clone(),
            draws: AtomicU64::new(0),
        }
    }

    /// Goes on counting the calls that were routed by an older table.
    pub(super) fn inherit(&mut self, older: &Self) {
        for replica in &mut self.all {
            if let Some(before) = older.all.iter().find(|before| before.node == replica.node) {
                replica.in_flight = Arc::clone(&before.in_flight);
            }
        }
    }

    /// Where a call goes; nowhere if there is no node at all.
    pub(super) fn choose(&self, call: &Call) -> Option<(&Target, Option<Chosen<'_>>)> {
        let one = match self.all.as_slice() {
            [] => return None,
            [only] => return Some((&only.target, None)),
            _ => self.among(self.candidates(), call)?,
        };
        let all = &self.all;
        Some((&one.target, Some(Chosen { all, one })))
    }

    /// The one node, where there is only one.
    pub(super) fn only(&self) -> Option<&Target> {
        match self.all.as_slice() {
            [only] => Some(&only.target),
            _ => None,
        }
    }

    /// Those that are not left out, as bits; all of them if each one is.
    fn candidates(&self) -> u32 {
        let bits = self.all.iter().enumerate();
        let within = bits.filter(|(_, replica)| !replica.is_out());
        match within.fold(0, |bits, (index, _)| bits | 1 << index) {
            0 => (1 << self.all.len()) - 1,
            some => some,
        }
    }

    fn among(&self, candidates: u32, call: &Call) -> Option<&Replica> {
        let of = |index: usize| self.all.get(index).filter(|_| candidates & (1 << index) != 0);
        if let Some(key) = self.key(call) {
            let candidates = (0..self.all.len()).filter_map(of);
            return candidates.max_by_key(|replica| mix(key ^ replica.rank));
        }
        let count = candidates.count_ones() as usize;
        let nth = |n: usize| (0..self.all.len()).filter_map(of).nth(n);
        let drawn = mix(self.draws.fetch_add(1, Ordering::Relaxed)) as usize;
        let first = drawn % count;
        if count == 1 {
            return nth(first);
        }
        let second = (first + 1 + (drawn / count) % (count - 1)) % count;
        let (first, second) = (nth(first)?, nth(second)?);
        let load = |replica: &Replica| replica.in_flight.load(Ordering::Relaxed);
        Some(if load(second) < load(first) { second } else { first })
    }

    /// The parameter by which a call finds its replica, as a number.
    fn key(&self, call: &Call) -> Option<u64> {
        if self.affinities.is_empty() {
            return None;
        }
        let interface = &call.function.interface;
        let functions = self
            .affinities
            .get(interface.as_str())
            .or_else(|| self.affinities.get(&interface.track()))?;
        let affinity = functions.get(&call.function.function)?;
        shape::find(&call.args, &affinity.before, &affinity.parameter).map(number)
    }
}

impl Replica {
    fn is_out(&self) -> bool {
        self.is_out.load(Ordering::Relaxed)
    }
}

impl Chosen<'_> {
    /// Counts a call, until what is returned is dropped.
    pub(super) fn enter(&self) -> InFlight {
        self.one.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(&self.one.in_flight))
    }

    /// It was not reached: calls go to others as long as there are any. Whether there are.
    pub(super) fn leave_out(&self) -> bool {
        self.one.is_out.store(true, Ordering::Relaxed);
        self.all.iter().any(|replica| !replica.is_out())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Bytes as a number that is the same in every process.
fn number(bytes: &[u8]) -> u64 {
    let digest = blake3::hash(bytes);
    let (first, _) = digest
        .as_bytes()
        .split_first_chunk()
        .expect("a digest has 32 bytes");
    u64::from_le_bytes(*first)
}

/// The finalizer of SplitMix64: near numbers come far apart.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests;
