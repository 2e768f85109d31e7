//! The query language: what spans are looked for, in words. Pure.
//!
//! `{ handler = "cart" && duration > 5ms }` are the spans for which that holds; sets of spans are combined by `&&`, `||`,
//! `>` (child) and `>>` (anything below). It follows TraceQL where the two overlap; `docs/query.md` says it all.
//!
//! Promises: any text is a query or an error that says where, what was found and what was expected; what is printed reads
//! back as the same query. Depth and length are bounded.

mod field;
mod lexer;
mod parser;
#[cfg(test)]
mod tests;

use std::fmt;

pub(crate) use field::{Column, Field, KINDS};

/// The longest query, in bytes.
pub(crate) const QUERY_BYTES_MAX: usize = 4_096;

/// A query: a set of spans.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Query {
    /// The spans for which a condition holds.
    Spans(Condition),
    /// The spans of both, if both have any.
    And(Box<Self>, Box<Self>),
    /// The spans of either.
    Or(Box<Self>, Box<Self>),
    /// The spans of the second whose parent is in the first.
    Child(Box<Self>, Box<Self>),
    /// The spans of the second with one of the first above them.
    Below(Box<Self>, Box<Self>),
}

/// What holds for a span.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Condition {
    /// Nothing is asked.
    All,
    /// The opposite.
    Not(Box<Self>),
    /// Both.
    And(Box<Self>, Box<Self>),
    /// Either.
    Or(Box<Self>, Box<Self>),
    /// A field compares so with a value.
    Compare(Field, Op, Literal),
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
    Like,
    Unlike,
}

/// A value to compare with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    /// In ns.
    Duration(u64),
    /// One of the words of a field.
    Word(&'static str),
    /// No value.
    Nil,
}

/// A text that is no query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: found {found}, expected {expected}")]
pub(crate) struct Fault {
    /// The character's number, from 1.
    pub(crate) at: usize,
    pub(crate) found: String,
    pub(crate) expected: String,
}

impl Query {
    /// Reads a query.
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        parser::parse(text)
    }

    /// Puts another condition in each one's place.
    pub(crate) fn rewrite<E>(
        self,
        change: &mut impl FnMut(Condition) -> Result<Condition, E>,
    ) -> Result<Self, E> {
        let mut both = |left: Box<Self>, right: Box<Self>| -> Result<_, E> {
            let left = Box::new(left.rewrite(change)?);
            Ok((left, Box::new(right.rewrite(change)?)))
        };
        Ok(match self {
            Self::Spans(condition) => Self::Spans(condition.rewrite(change)?),
            Self::And(left, right) => both(left, right).map(|(left, right)| Self::And(left, right))?,
            Self::Or(left, right) => both(left, right).map(|(left, right)| Self::Or(left, right))?,
            Self::Child(left, right) => both(left, right).map(|(left, right)| Self::Child(left, right))?,
            Self::Below(left, right) => both(left, right).map(|(left, right)| Self::Below(left, right))?,
        })
    }

    /// Its conditions, in the order in which they stand.
    pub(super) fn conditions(&self) -> Vec<&Condition> {
        match self {
            Self::Spans(condition) => vec![condition],
            Self::And(left, right)
            | Self::Or(left, right)
            | Self::Child(left, right)
            | Self::Below(left, right) => {
                let mut all = left.conditions();
                all.extend(right.conditions());
                all
            }
        }
    }
}

impl Condition {
    /// What holds where both do.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, one) | (one, Self::All) => one,
            (left, right) => Self::And(Box::new(left), Box::new(right)),
        }
    }

    /// What holds where either does.
    pub(crate) fn or(self, other: Self) -> Self {
        Self::Or(Box::new(self), Box::new(other))
    }

    /// Puts another condition in each comparison's place.
    fn rewrite<E>(self, change: &mut impl FnMut(Self) -> Result<Self, E>) -> Result<Self, E> {
        Ok(match self {
            Self::All => Self::All,
            Self::Not(inner) => Self::Not(Box::new(inner.rewrite(change)?)),
            Self::And(left, right) => {
                let left = Box::new(left.rewrite(change)?);
                Self::And(left, Box::new(right.rewrite(change)?))
            }
            Self::Or(left, right) => {
                let left = Box::new(left.rewrite(change)?);
                Self::Or(left, Box::new(right.rewrite(change)?))
            }
            compare @ Self::Compare(..) => change(compare)?,
        })
    }
}

impl Op {
    const ALL: [Self; 8] = [
        Self::Equal,
        Self::Unequal,
        Self::Less,
        Self::AtMost,
        Self::More,
        Self::AtLeast,
        Self::Like,
        Self::Unlike,
    ];

    fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
            Self::Like => "=~",
            Self::Unlike => "!~",
        }
    }

    fn of(sign: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.sign() == sign)
    }

    /// Whether it holds of what compares so; of what does not compare at all, only the negative ones do.
    pub(super) fn holds(self, ordering: Option<std::cmp::Ordering>) -> bool {
        match self {
            Self::Equal | Self::Like => ordering.is_some_and(std::cmp::Ordering::is_eq),
            Self::Unequal | Self::Unlike => ordering.is_none_or(std::cmp::Ordering::is_ne),
            Self::Less => ordering.is_some_and(std::cmp::Ordering::is_lt),
            Self::AtMost => ordering.is_some_and(std::cmp::Ordering::is_le),
            Self::More => ordering.is_some_and(std::cmp::Ordering::is_gt),
            Self::AtLeast => ordering.is_some_and(std::cmp::Ordering::is_ge),
        }
    }

    /// Whether it is the opposite of another one: these hold where the value is there and the other does not hold.
    pub(super) fn is_negative(self) -> bool {
        matches!(self, Self::Unequal | Self::Unlike)
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (left, sign, right) = match self {
            Self::Spans(Condition::All) => return f.write_str("{ }"),
            Self::Spans(condition) => return write!(f, "{{ {condition} }}"),
            Self::And(left, right) => (left, "&&", right),
            Self::Or(left, right) => (left, "||", right),
            Self::Child(left, right) => (left, ">", right),
            Self::Below(left, right) => (left, ">>", right),
        };
        // Signs of the same strength group from the left.
        let operand = |f: &mut fmt::Formatter<'_>, operand: &Self| match operand {
            Self::Spans(_) => write!(f, "{operand}"),
            _ => write!(f, "({operand})"),
        };
        operand(f, left)?;
        write!(f, " {sign} ")?;
        operand(f, right)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operand = |f: &mut fmt::Formatter<'_>, operand: &Self| match operand {
            Self::And(..) | Self::Or(..) => write!(f, "({operand})"),
            _ => write!(f, "{operand}"),
        };
        match self {
            Self::All => f.write_str("true"),
            Self::Not(inner) => {
                f.write_str("!")?;
                match inner.as_ref() {
                    Self::All | Self::Not(_) => write!(f, "{inner}"),
                    _ => write!(f, "({inner})"),
                }
            }
            Self::And(left, right) => {
                operand(f, left)?;
                f.write_str(" && ")?;
                operand(f, right)
            }
            Self::Or(left, right) => {
                operand(f, left)?;
                f.write_str(" || ")?;
                operand(f, right)
            }
            Self::Compare(field, op, value) => write!(f, "{field} {} {value}", op.sign()),
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => quoted(f, text),
            Self::Int(number) => write!(f, "{number}"),
            // With its point even when it is whole, so that it is read as a fraction again.
            Self::Float(number) => write!(f, "{number:?}"),
            Self::Bool(is_so) => write!(f, "{is_so}"),
            Self::Duration(ns) => {
                let (unit, size) = lexer::UNITS
                    .into_iter()
                    .find(|(_, size)| ns.is_multiple_of(*size))
                    .unwrap_or(("ns", 1));
                write!(f, "{}{unit}", ns / size)
            }
            Self::Word(word) => f.write_str(word),
            Self::Nil => f.write_str("nil"),
        }
    }
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for char in text.chars() {
        match char {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            char => write!(f, "{char}")?,
        }
    }
    f.write_str("\"")
}
