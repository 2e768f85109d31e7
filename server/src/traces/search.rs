//! `Search`: which spans of a trace a query finds. Pure: the blocks that it needs are handed to it.
//!
//! First everything is decided that the columns of the skeleton tell. Where that leaves a doubt, because the query asks
//! for attributes, messages or log lines, the blocks of those spans are asked for; a text that a block's dictionary
//! does not have is in none of its spans.

mod compare;
mod narrow;
mod pattern;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::block::{Damage, Head, Record, Rest};
use super::query::{Condition, Query};
use super::skeleton::Skeleton;

use compare::{InBlock, InRest, Test};
pub(super) use narrow::{needs, reads_rest};

/// What a query can ask of a whole trace.
#[derive(Debug, Clone)]
pub(super) struct Whole {
    pub(super) root: u64,
    pub(super) root_name: String,
    pub(super) root_handler: String,
    pub(super) root_ns: u64,
    pub(super) duration_ns: u64,
    pub(super) spans: u32,
    pub(super) errors: u32,
    pub(super) placement: String,
}

/// Whether a condition holds: by their order, *and* is the lesser, *or* the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    No,
    /// The rest of the span's block tells.
    Perhaps,
    Yes,
}

impl From<bool> for Answer {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

/// A condition, made ready for one trace.
enum Step {
    Known(bool),
    Not(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Column(Test),
    Rest(usize),
}

/// A condition with what is known of each span.
struct Asked {
    step: Step,
    rest: Vec<InRest>,
    answers: Vec<Answer>,
}

/// A query under way in one trace.
pub(super) struct Search {
    skeleton: Arc<Skeleton>,
    query: Arc<Query>,
    asked: Vec<Asked>,
    /// The first span of each block that is needed.
    firsts: FxHashMap<u32, usize>,
}

impl Search {
    /// Decides what the columns tell.
    pub(super) fn begin(query: Arc<Query>, skeleton: Arc<Skeleton>, whole: &Whole) -> Self {
        let mut asked: Vec<Asked> = query
            .conditions()
            .into_iter()
            .map(|condition| {
                let mut rest = Vec::new();
                let step = Step::of(condition, &skeleton, whole, &mut rest);
                let answers = (0..skeleton.len()).map(|at| step.answer(&skeleton, at, &rest));
                let answers = answers.collect();
                Asked { step, rest, answers }
            })
            .collect();
        let mut firsts = FxHashMap::default();
        for asked in &mut asked {
            for (at, answer) in asked.answers.iter().enumerate() {
                if *answer == Answer::Perhaps {
                    let (block, place) = skeleton.place[at];
                    firsts.insert(block, at - place as usize);
                }
            }
        }
        Self {
            skeleton,
            query,
            asked,
            firsts,
        }
    }

    /// The blocks that it needs, ascending.
    pub(super) fn needs(&self) -> Vec<u32> {
        let mut blocks: Vec<u32> = self.firsts.keys().copied().collect();
        blocks.sort_unstable();
        blocks
    }

    /// Takes a block.
    pub(super) fn take(&mut self, number: u32, head: &Head<'_>, rest: &Rest<'_>) -> Result<(), Damage> {
        let Some(first) = self.firsts.get(&number).copied() else {
            return Ok(());
        };
        let mut record = Record::default();
        for asked in &mut self.asked {
            let here: Vec<InBlock> = asked.rest.iter().map(|test| InBlock::of(test, rest)).collect();
            for at in 0..head.len() {
                let Some(answer) = asked.answers.get_mut(first + at) else {
                    break;
                };
                if *answer != Answer::Perhaps {
                    continue;
                }
                let index = first + at;
                *answer = asked
                    .step
                    .answer_in(&self.skeleton, index, &asked.rest, &here, None);
                if *answer == Answer::Perhaps {
                    rest.record(head, at, &mut record)?;
                    *answer = asked
                        .step
                        .answer_in(&self.skeleton, index, &asked.rest, &here, Some(&record));
                }
            }
        }
        Ok(())
    }

    /// The spans that are found, by their indices, ascending.
    pub(super) fn finish(self) -> Vec<u32> {
        let mut masks = self.asked.iter().map(|asked| {
            let holds = asked.answers.iter().map(|answer| *answer == Answer::Yes);
            holds.collect::<Vec<bool>>()
        });
        let family = Family::of(&self.query, &self.skeleton);
        let found = combine(&self.query, &mut masks, &family);
        let found = found.into_iter().zip(0u32..).filter(|(is_found, _)| *is_found);
        found.map(|(_, at)| at).collect()
    }
}

impl Step {
    fn of(condition: &Condition, skeleton: &Skeleton, whole: &Whole, rest: &mut Vec<InRest>) -> Self {
        let mut both = |left: &Condition, right: &Condition| {
            let left = Box::new(Self::of(left, skeleton, whole, rest));
            (left, Box::new(Self::of(right, skeleton, whole, rest)))
        };
        match condition {
            Condition::All => Self::Known(true),
            Condition::And(left, right) => {
                let (left, right) = both(left, right);
                Self::And(left, right)
            }
            Condition::Or(left, right) => {
                let (left, right) = both(left, right);
                Self::Or(left, right)
            }
            Condition::Not(inner) => Self::Not(Box::new(Self::of(inner, skeleton, whole, rest))),
            Condition::Compare(field, op, value) => {
                if let Some(holds) = compare::whole(field, *op, value, whole, skeleton) {
                    return Self::Known(holds);
                }
                match Test::of(field, *op, value, skeleton) {
                    Some(test) => Self::Column(test),
                    None => {
                        rest.push(InRest::of(field, *op, value));
                        Self::Rest(rest.len() - 1)
                    }
                }
            }
        }
    }

    /// What the columns tell.
    fn answer(&self, skeleton: &Skeleton, at: usize, rest: &[InRest]) -> Answer {
        self.weigh(&mut |step| match step {
            Self::Column(test) => test.holds(skeleton, at).into(),
            Self::Rest(place) => match rest[*place].without(skeleton, at) {
                Some(holds) => holds.into(),
                None => Answer::Perhaps,
            },
            _ => Answer::No,
        })
    }

    /// What the dictionary of its block tells, or its record.
    fn answer_in(
        &self,
        skeleton: &Skeleton,
        at: usize,
        rest: &[InRest],
        here: &[InBlock],
        record: Option<&Record>,
    ) -> Answer {
        self.weigh(&mut |step| match step {
            Self::Column(test) => test.holds(skeleton, at).into(),
            Self::Rest(place) => match rest[*place].without(skeleton, at) {
                Some(holds) => holds.into(),
                None => match (here[*place].holds_nowhere(), record) {
                    (true, _) => Answer::No,
                    (false, Some(record)) => here[*place].holds(&rest[*place], record).into(),
                    (false, None) => Answer::Perhaps,
                },
            },
            _ => Answer::No,
        })
    }

    fn weigh(&self, leaf: &mut impl FnMut(&Self) -> Answer) -> Answer {
        match self {
            Self::Known(holds) => (*holds).into(),
            Self::Not(inner) => match inner.weigh(leaf) {
                Answer::Yes => Answer::No,
                Answer::Perhaps => Answer::Perhaps,
                Answer::No => Answer::Yes,
            },
            Self::And(left, right) => match left.weigh(leaf) {
                Answer::No => Answer::No,
                left => left.min(right.weigh(leaf)),
            },
            Self::Or(left, right) => match left.weigh(leaf) {
                Answer::Yes => Answer::Yes,
                left => left.max(right.weigh(leaf)),
            },
            Self::Column(_) | Self::Rest(_) => leaf(self),
        }
    }
}

/// Each span's parent, where the query asks who is below whom.
struct Family(Vec<Option<u32>>);

impl Family {
    fn of(query: &Query, skeleton: &Skeleton) -> Self {
        if !asks_for_family(query) {
            return Self(Vec::new());
        }
        let by_id: FxHashMap<u64, u32> = skeleton.id.iter().copied().zip(0..).collect();
        Self(
            skeleton
                .parent
                .iter()
                .map(|parent| by_id.get(parent).copied())
                .collect(),
        )
    }

    /// Of each span, whether one of `above` is above it. What is in a circle of parents has at most itself above.
    fn below(&self, above: &[bool]) -> Vec<bool> {
        #[derive(Clone, Copy, PartialEq)]
        enum Known {
            Not,
            Open,
            Is(bool),
        }
        let mut known = vec![Known::Not; self.0.len()];
        let mut path = Vec::new();
        for start in 0..self.0.len() {
            let mut at = start;
            let mut is_below = loop {
                match known[at] {
                    Known::Is(is_below) => break is_below,
                    Known::Open => break false,
                    Known::Not => {}
                }
                known[at] = Known::Open;
                path.push(at);
                match self.0[at] {
                    None => break false,
                    Some(parent) if above[parent as usize] => break true,
                    Some(parent) => at = parent as usize,
                }
            };
            // From the top of the path down: who is below something stays so for all below.
            while let Some(at) = path.pop() {
                is_below = is_below || self.0[at].is_some_and(|parent| above[parent as usize]);
                known[at] = Known::Is(is_below);
            }
        }
        known.into_iter().map(|known| known == Known::Is(true)).collect()
    }
}

fn asks_for_family(query: &Query) -> bool {
    match query {
        Query::Spans(_) => false,
        Query::Child(..) | Query::Below(..) => true,
        Query::And(left, right) | Query::Or(left, right) => asks_for_family(left) || asks_for_family(right),
    }
}

/// Which spans the whole query finds, given those of its conditions in their order.
fn combine(query: &Query, masks: &mut impl Iterator<Item = Vec<bool>>, family: &Family) -> Vec<bool> {
    let (left, right) = match query {
        Query::Spans(_) => return masks.next().unwrap_or_default(),
        Query::And(left, right)
        | Query::Or(left, right)
        | Query::Child(left, right)
        | Query::Below(left, right) => (combine(left, masks, family), combine(right, masks, family)),
    };
    let pairs = left.iter().zip(&right);
    match query {
        Query::And(..) if !left.contains(&true) || !right.contains(&true) => vec![false; left.len()],
        Query::Child(..) => {
            let is_child = |parent: &Option<u32>| parent.is_some_and(|parent| left[parent as usize]);
            let pairs = family.0.iter().zip(&right);
            pairs.map(|(parent, right)| *right && is_child(parent)).collect()
        }
        Query::Below(..) => {
            let below = family.below(&left);
            below
                .iter()
                .zip(&right)
                .map(|(below, right)| *below && *right)
                .collect()
        }
        _ => pairs.map(|(left, right)| *left || *right).collect(),
    }
}
