//! What must hold of a whole trace if a query finds anything in it, so that other traces need not be read.

use super::super::query::{Column, Condition, Field, Literal, Op, Query};

/// Conditions that the rows of traces and their parts can tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::traces) struct Needs {
    /// Handlers and edges that took part.
    pub(in crate::traces) words: Vec<String>,
    /// At least this long.
    pub(in crate::traces) min_ns: u64,
    /// Something failed.
    pub(in crate::traces) has_failed: bool,
    pub(in crate::traces) placement: Option<&'static str>,
}

/// What a query needs of a trace.
pub(in crate::traces) fn needs(query: &Query) -> Needs {
    let mut needs = Needs::default();
    of_query(query, &mut needs);
    needs.words.sort_unstable();
    needs.words.dedup();
    needs
}

/// Whether a query asks for what only the rest of a block has.
pub(in crate::traces) fn reads_rest(query: &Query) -> bool {
    fn asks(condition: &Condition) -> bool {
        match condition {
            Condition::All => false,
            Condition::Not(inner) => asks(inner),
            Condition::And(left, right) | Condition::Or(left, right) => asks(left) || asks(right),
            Condition::Compare(Field::Attribute(_), ..) => true,
            Condition::Compare(Field::Known(column), ..) => matches!(column, Column::Log | Column::Message),
        }
    }
    query.conditions().into_iter().any(asks)
}

fn of_query(query: &Query, needs: &mut Needs) {
    match query {
        Query::Spans(condition) => of_condition(condition, needs),
        Query::And(left, right) | Query::Child(left, right) | Query::Below(left, right) => {
            of_query(left, needs);
            of_query(right, needs);
        }
        Query::Or(..) => {}
    }
}

fn of_condition(condition: &Condition, needs: &mut Needs) {
    match condition {
        Condition::And(left, right) => {
            of_condition(left, needs);
            of_condition(right, needs);
        }
        Condition::Compare(Field::Known(column), op, value) => match (column, op, value) {
            (Column::Handler | Column::Edge | Column::RootHandler, Op::Equal, Literal::Text(text)) => {
                needs.words.push(text.clone());
            }
            (
                Column::Duration | Column::TraceDuration | Column::RootDuration,
                Op::More | Op::AtLeast | Op::Equal,
                Literal::Duration(ns),
            ) => needs.min_ns = needs.min_ns.max(*ns),
            (Column::Status | Column::RootStatus, Op::Equal, Literal::Word("error")) => {
                needs.has_failed = true
            }
            (Column::TraceErrors, Op::More, Literal::Int(0..))
            | (Column::TraceErrors, Op::AtLeast, Literal::Int(1..)) => {
                needs.has_failed = true;
            }
            (Column::Placement, Op::Equal, Literal::Word(word)) => needs.placement = Some(word),
            _ => {}
        },
        Condition::All | Condition::Not(_) | Condition::Or(..) | Condition::Compare(..) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_must_hold_is_needed() {
        let of = |text: &str| needs(&Query::parse(text).unwrap());
        let all = of(
            "{ handler = cart && duration > 5ms } >> { status = error && edge = \"a -> b:c\" && placement = apart }",
        );
        assert_eq!(
            all,
            Needs {
                words: vec!["a -> b:c".into(), "cart".into()],
                min_ns: 5_000_000,
                has_failed: true,
                placement: Some("apart"),
            }
        );
        for text in [
            "handler = a || handler = b",
            "!(handler = a)",
            "handler != a",
            "duration < 5ms",
            "status = ok",
            "{ handler = a } || { }",
        ] {
            assert_eq!(of(text), Needs::default(), "{text}");
        }
    }
}
