//! Single comparisons, made ready: of the whole trace, of a column, of the rest of a block.

use std::cmp::Ordering;

use protocol::{SpanKind, Transport};

use super::super::block::{Held, Record, Rest, flag};
use super::super::query::{Column, Field, Literal, Op};
use super::super::skeleton::{NONE, Skeleton};
use super::Whole;
use super::pattern::Pattern;
use crate::telemetry::fields::RESOURCE;

const KINDS: [(&str, SpanKind); 5] = [
    ("internal", SpanKind::Internal),
    ("server", SpanKind::Server),
    ("client", SpanKind::Client),
    ("producer", SpanKind::Producer),
    ("consumer", SpanKind::Consumer),
];
const STATUSES: [&str; 3] = ["ok", "err", "error"];

/// A text compared with another one.
#[derive(Debug, Clone)]
enum Words {
    Is(String),
    Fits(Pattern),
    /// Any will do.
    Any,
}

impl Words {
    /// How a text is compared, without the sense of the comparison.
    fn of(op: Op, value: &Literal) -> Self {
        match (op, value) {
            (Op::Like | Op::Unlike, Literal::Text(text)) => Self::Fits(Pattern::new(text)),
            (_, Literal::Text(text)) => Self::Is(text.clone()),
            (_, Literal::Word(word)) => Self::Is((*word).to_owned()),
            _ => Self::Any,
        }
    }

    fn hit(&self, text: &str) -> bool {
        match self {
            Self::Is(wanted) => wanted == text,
            Self::Fits(pattern) => pattern.fits(text),
            Self::Any => true,
        }
    }
}

/// Whether a comparison holds of a value that is there: a negative one where the positive does not. `nil` is a value that
/// is not there.
fn holds(op: Op, value: &Literal, hit: bool) -> bool {
    if *value == Literal::Nil {
        return op == Op::Unequal;
    }
    hit != op.is_negative()
}

/// Of a value that is not there, only that it is none.
fn holds_of_none(op: Op, value: &Literal) -> bool {
    *value == Literal::Nil && op == Op::Equal
}

/// What is so for all spans of a trace; `None` for a field of each span.
pub(super) fn whole(
    field: &Field,
    op: Op,
    value: &Literal,
    whole: &Whole,
    skeleton: &Skeleton,
) -> Option<bool> {
    let Field::Known(column) = field else {
        return None;
    };
    let text = |text: &str| holds(op, value, Words::of(op, value).hit(text));
    let number = |number: u64| match value {
        Literal::Duration(ns) => op.holds(Some(number.cmp(ns))),
        Literal::Int(than) => op.holds(Some(i128::from(number).cmp(&i128::from(*than)))),
        _ => holds(op, value, false),
    };
    Some(match column {
        Column::RootName => text(&whole.root_name),
        Column::RootHandler => text(&whole.root_handler),
        Column::RootDuration => number(whole.root_ns),
        Column::RootStatus => {
            let root = skeleton.id.iter().position(|id| *id == whole.root);
            let status = root.and_then(|at| STATUSES.get(usize::from(skeleton.status[at])));
            status.map_or_else(|| holds_of_none(op, value), |status| text(status))
        }
        Column::TraceDuration => number(whole.duration_ns),
        Column::TraceSpans => number(whole.spans.into()),
        Column::TraceErrors => number(whole.errors.into()),
        Column::Placement if whole.placement.is_empty() => holds_of_none(op, value),
        Column::Placement => text(&whole.placement),
        _ => return None,
    })
}

/// A comparison that a column decides.
#[derive(Debug)]
pub(super) enum Test {
    /// By the index of a word; the last is for none.
    Words(fn(&Skeleton) -> &[u32], Vec<bool>),
    Duration(Op, u64),
    /// By the number of a status.
    Status([bool; 3]),
    /// By the number of a kind.
    Kind([bool; 5]),
    /// By the number of a transport; the last is for none.
    Transport([bool; 7]),
    /// Not known, warm, cold.
    Cold([bool; 3]),
    /// Whether a flag is there; of no flag, the answer itself.
    Flag(u8, bool),
}

impl Test {
    /// `None` where the rest of a block decides.
    pub(super) fn of(field: &Field, op: Op, value: &Literal, skeleton: &Skeleton) -> Option<Self> {
        let Field::Known(column) = field else {
            return None;
        };
        let word = |word: &str| holds(op, value, Words::of(op, value).hit(word));
        let none = holds_of_none(op, value);
        let words = |column: fn(&Skeleton) -> &[u32]| {
            let wanted = Words::of(op, value);
            let hits = skeleton
                .words
                .iter()
                .map(|text| holds(op, value, wanted.hit(text)));
            Self::Words(column, hits.chain([none]).collect())
        };
        Some(match column {
            Column::Name => words(|skeleton| &skeleton.name),
            Column::Handler => words(|skeleton| &skeleton.handler),
            Column::Node => words(|skeleton| &skeleton.node),
            Column::Peer => words(|skeleton| &skeleton.peer),
            Column::Edge => words(|skeleton| &skeleton.edge),
            Column::Duration => match value {
                Literal::Duration(ns) => Self::Duration(op, *ns),
                // Every span has one.
                _ => Self::Flag(0, op == Op::Unequal),
            },
            Column::Status => Self::Status(STATUSES.map(word)),
            Column::Kind => Self::Kind(KINDS.map(|(name, _)| word(name))),
            Column::Transport => {
                let mut hits = [none; 7];
                for transport in Transport::ALL {
                    hits[transport as usize] = word(transport.word());
                }
                Self::Transport(hits)
            }
            Column::Cold => {
                let is = |is_cold| holds(op, value, *value == Literal::Bool(is_cold));
                Self::Cold([none, is(false), is(true)])
            }
            Column::Log if *value == Literal::Nil => Self::Flag(flag::LOGS, op == Op::Unequal),
            Column::Message if *value == Literal::Nil => {
                let has_failed = op == Op::Unequal;
                Self::Status([!has_failed, !has_failed, has_failed])
            }
            _ => return None,
        })
    }

    pub(super) fn holds(&self, skeleton: &Skeleton, at: usize) -> bool {
        match self {
            Self::Words(column, hits) => {
                let word = column(skeleton).get(at).copied().unwrap_or(NONE);
                let hit = hits.get(word as usize).or_else(|| hits.last());
                hit.copied().unwrap_or_default()
            }
            Self::Duration(op, ns) => op.holds(Some(skeleton.duration_ns[at].cmp(ns))),
            Self::Status(hits) => hits[usize::from(skeleton.status[at]).min(2)],
            Self::Kind(hits) => hits[skeleton.kind[at] as usize],
            Self::Transport(hits) => hits[skeleton.transport[at].map_or(6, |transport| transport as usize)],
            Self::Cold(hits) => {
                let flags = skeleton.flags[at];
                hits[match (flags & flag::HAS_COLD != 0, flags & flag::COLD != 0) {
                    (false, _) => 0,
                    (true, is_cold) => 1 + usize::from(is_cold),
                }]
            }
            Self::Flag(0, wanted) => *wanted,
            Self::Flag(flag, wanted) => (skeleton.flags[at] & flag != 0) == *wanted,
        }
    }
}

/// Which part of the rest decides.
#[derive(Debug)]
enum Part {
    Attribute(String),
    Message,
    Log,
}

/// A comparison that the rest of a block decides.
#[derive(Debug)]
pub(super) struct InRest {
    part: Part,
    op: Op,
    value: Literal,
    words: Words,
}

impl InRest {
    pub(super) fn of(field: &Field, op: Op, value: &Literal) -> Self {
        let part = match field {
            Field::Attribute(key) => Part::Attribute(key.clone()),
            Field::Known(Column::Log) => Part::Log,
            Field::Known(_) => Part::Message,
        };
        Self {
            part,
            op,
            value: value.clone(),
            words: Words::of(op, value),
        }
    }

    /// What is so where the span has no such part at all; `None` where it has one.
    pub(super) fn without(&self, skeleton: &Skeleton, at: usize) -> Option<bool> {
        let has_part = match self.part {
            Part::Attribute(_) => skeleton.flags[at] & flag::ATTRIBUTES != 0,
            Part::Log => skeleton.flags[at] & flag::LOGS != 0,
            Part::Message => skeleton.status[at] == 2,
        };
        (!has_part).then(|| holds_of_none(self.op, &self.value))
    }
}

/// The same comparison in one block.
#[derive(Debug)]
pub(super) struct InBlock {
    /// The key's places in the dictionary, where there are: of the span, and of its resource.
    keys: [Option<u32>; 2],
    /// Which texts of the dictionary are meant.
    hits: Vec<bool>,
    holds_nowhere: bool,
}

impl InBlock {
    pub(super) fn of(test: &InRest, rest: &Rest<'_>) -> Self {
        let place = |fits: &dyn Fn(&str) -> bool| {
            let place = rest.texts.iter().position(|text| fits(text));
            place.and_then(|place| u32::try_from(place).ok())
        };
        let keys = match &test.part {
            Part::Attribute(key) => [
                place(&|text| text == key),
                place(&|text| text.strip_prefix(RESOURCE) == Some(key)),
            ],
            Part::Message | Part::Log => [None; 2],
        };
        let lacks_key = matches!(test.part, Part::Attribute(_)) && keys == [None; 2];
        if lacks_key {
            return Self {
                keys,
                hits: Vec::new(),
                holds_nowhere: !holds_of_none(test.op, &test.value),
            };
        }
        let is_text = matches!(test.value, Literal::Text(_));
        let hits: Vec<bool> = match is_text {
            true => rest.texts.iter().map(|text| test.words.hit(text)).collect(),
            false => Vec::new(),
        };
        let holds_nowhere = is_text && !test.op.is_negative() && !hits.contains(&true);
        Self {
            keys,
            hits,
            holds_nowhere,
        }
    }

    /// Whether the dictionary tells that it holds of no span that has such a part.
    pub(super) fn holds_nowhere(&self) -> bool {
        self.holds_nowhere
    }

    pub(super) fn holds(&self, test: &InRest, record: &Record) -> bool {
        let hit = |place: u32| self.hits.get(place as usize).copied().unwrap_or_default();
        match test.part {
            Part::Message => record
                .failure
                .is_some_and(|(_, message)| holds(test.op, &test.value, hit(message))),
            Part::Log => {
                let any = record.logs.iter().any(|(_, _, message)| hit(*message));
                holds(test.op, &test.value, any)
            }
            Part::Attribute(_) => {
                let held = |of: Option<u32>| record.attributes.iter().find(|(key, _)| Some(*key) == of);
                let found = held(self.keys[0]).or_else(|| held(self.keys[1]));
                match found {
                    None => holds_of_none(test.op, &test.value),
                    Some((_, held)) => self.compares(test, held),
                }
            }
        }
    }

    fn compares(&self, test: &InRest, held: &Held) -> bool {
        if test.value == Literal::Nil {
            return test.op == Op::Unequal;
        }
        let ordering = match (held, &test.value) {
            (Held::Text(place), Literal::Text(_)) => {
                let hit = self.hits.get(*place as usize).copied().unwrap_or_default();
                return holds(test.op, &test.value, hit);
            }
            (Held::Int(number), Literal::Int(than)) => Some(number.cmp(than)),
            (Held::Int(number), Literal::Float(than)) => (*number as f64).partial_cmp(than),
            (Held::Float(number), Literal::Int(than)) => number.partial_cmp(&(*than as f64)),
            (Held::Float(number), Literal::Float(than)) => number.partial_cmp(than),
            (Held::Bool(is_so), Literal::Bool(wanted)) => Some(is_so.cmp(wanted)),
            // Of another kind: unlike it, and in no order.
            _ => None::<Ordering>,
        };
        test.op.holds(ordering)
    }
}
