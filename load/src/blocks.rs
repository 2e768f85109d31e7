//! Blocks: in which order the sides of a comparison run, and how the time is divided. Pure.
//!
//! A round runs every side once under the same schedule. Rounds alternate in direction (ABBA): what drifts slowly over
//! the run, as a warming machine does, weighs on both sides alike, and neighbours of one side need no switch.

use std::time::Duration;

use crate::bootstrap::PAIRS_MIN;
use crate::schedule::mix;

/// One block: a side's turn in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// The round, from 0.
    pub round: usize,
    /// The side, by index.
    pub side: usize,
    /// Whether another side ran before it, so that the placement must change.
    pub is_switch: bool,
}

/// The blocks of so many rounds; the seed decides which end begins. `current` is the side that is in force.
pub fn order(rounds: usize, sides: usize, seed: u64, current: Option<usize>) -> Vec<Block> {
    let starts_backwards = mix(seed, u64::MAX) & 1 == 1;
    let mut blocks = Vec::with_capacity(rounds * sides);
    let mut in_force = current;
    for round in 0..rounds {
        let is_backwards = (round % 2 == 1) != starts_backwards;
        for position in 0..sides {
            let side = if is_backwards {
                sides - 1 - position
            } else {
                position
            };
            blocks.push(Block {
                round,
                side,
                is_switch: in_force != Some(side),
            });
            in_force = Some(side);
        }
    }
    blocks
}

/// The seed of a round: every side's block runs the same schedule.
pub fn round_seed(seed: u64, round: usize) -> u64 {
    mix(seed, round as u64)
}

/// How the time is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Rounds.
    pub rounds: usize,
    /// The recorded time of a block.
    pub block: Duration,
}

/// What a comparison spends its time on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Closed loop, per side: not counted.
    pub capacity_warmup: Duration,
    /// Closed loop, per side: counted.
    pub capacity: Duration,
    /// Before a block behind a switch.
    pub switch_warmup: Duration,
    /// Before a block without one.
    pub block_warmup: Duration,
    /// A block that is shorter has no p99 to speak of.
    pub block_min: Duration,
    /// Fewer rounds give no interval.
    pub rounds_min: usize,
    /// More rounds are not worth their switches.
    pub rounds_max: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            capacity_warmup: Duration::from_secs(2),
            capacity: Duration::from_secs(8),
            switch_warmup: Duration::from_millis(1500),
            block_warmup: Duration::from_millis(500),
            block_min: Duration::from_secs(4),
            rounds_min: PAIRS_MIN,
            rounds_max: 12,
        }
    }
}

impl Pace {
    /// The most rounds whose blocks are long enough, in what is left of the time; `switch` is what a change of
    /// placement takes. Where the time is too short for that, the fewest rounds, with the blocks that fit.
    pub fn layout(&self, left: Duration, switch: Duration, sides: usize) -> Layout {
        let block_of = |rounds: usize| {
            let switches = 1 + rounds * (sides - 1);
            let overhead =
                (switch + self.switch_warmup) * switches as u32 + self.block_warmup * (rounds - 1) as u32;
            left.saturating_sub(overhead) / (rounds * sides) as u32
        };
        let rounds = (self.rounds_min..=self.rounds_max)
            .rev()
            .find(|rounds| block_of(*rounds) >= self.block_min);
        let rounds = rounds.unwrap_or(self.rounds_min);
        // A block of no length measures nothing; one that is too short says so by its interval.
        Layout {
            rounds,
            block: block_of(rounds).max(self.block_min / 4),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sides(blocks: &[Block]) -> Vec<usize> {
        blocks.iter().map(|block| block.side).collect()
    }

    #[test]
    fn two_sides_run_abba_and_the_seed_picks_the_start() {
        let starts: Vec<Vec<usize>> = (0..20).map(|seed| sides(&order(4, 2, seed, None))).collect();
        assert!(starts.contains(&vec![0, 1, 1, 0, 0, 1, 1, 0]));
        assert!(starts.contains(&vec![1, 0, 0, 1, 1, 0, 0, 1]));
        assert!(
            starts
                .iter()
                .all(|order| order == &starts[0] || order[0] != starts[0][0])
        );
    }

    #[test]
    fn every_side_runs_once_a_round_and_switches_only_where_it_must() {
        let blocks = order(5, 3, 1, None);
        for round in 0..5 {
            let mut of_round = sides(
                &blocks
                    .iter()
                    .copied()
                    .filter(|b| b.round == round)
                    .collect::<Vec<_>>(),
            );
            of_round.sort_unstable();
            assert_eq!(of_round, [0, 1, 2]);
        }
        for pair in blocks.windows(2) {
            assert_eq!(pair[1].is_switch, pair[0].side != pair[1].side);
        }
        let first = order(1, 2, 1, None)[0].side;
        assert!(!order(1, 2, 1, Some(first))[0].is_switch);
        assert!(order(1, 2, 1, None)[0].is_switch);
    }

    #[test]
    fn the_layout_fills_the_time_and_not_more() {
        let pace = Pace::default();
        let (left, switch) = (Duration::from_secs(83), Duration::from_millis(1500));
        let layout = pace.layout(left, switch, 2);
        assert!(layout.rounds >= 6 && layout.block >= pace.block_min, "{layout:?}");
        let switches = 1 + layout.rounds as u32;
        let spent = layout.block * 2 * layout.rounds as u32
            + (switch + pace.switch_warmup) * switches
            + pace.block_warmup * (layout.rounds as u32 - 1);
        assert!(spent <= left, "{spent:?}");
        let short = pace.layout(Duration::from_secs(5), switch, 2);
        assert_eq!((short.rounds, short.block), (pace.rounds_min, pace.block_min / 4));
    }
}
