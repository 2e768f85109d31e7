//! TraceQL as Grafana sends it: the store's query language follows it, and here is what differs.
//!
//! `=~` is a regular expression there, of which `|` and `.*` alone are answered; services have their own names; and
//! `| select(…)` is read and has no effect. What is not answered (aggregates, metrics) is refused, never answered wrongly.

use crate::otlp::service_name;
use crate::traces::{Column, Condition, Field, Literal, Op, Query};

/// Reads a query.
pub(super) fn read(text: &str) -> Result<Query, String> {
    let query = match text.trim().split_once('|') {
        Some((query, rest)) if is_select(rest) => query,
        _ => text,
    };
    let query = Query::parse(query).map_err(|fault| fault.to_string())?;
    query.rewrite(&mut |condition| match condition {
        Condition::Compare(field, op @ (Op::Like | Op::Unlike), Literal::Text(pattern)) => {
            fitting(&field, op, &pattern)
        }
        Condition::Compare(field, op, Literal::Text(text)) => Ok(Condition::Compare(
            field.clone(),
            op,
            Literal::Text(named(&field, &text)),
        )),
        other => Ok(other),
    })
}

/// Whether what stands behind the first `|` is a choice of fields.
fn is_select(rest: &str) -> bool {
    let rest = rest.trim();
    rest.starts_with("select(") && rest.ends_with(')') && !rest.contains('|')
}

/// The name under which a service is stored.
fn named(field: &Field, text: &str) -> String {
    match field {
        Field::Known(Column::Handler | Column::RootHandler) => service_name(text).as_str().to_owned(),
        _ => text.to_owned(),
    }
}

/// A whole text that is one of several patterns, or none of them.
fn fitting(field: &Field, op: Op, pattern: &str) -> Result<Condition, String> {
    let one = |pattern: &str| {
        let plain = pattern.replace(".*", "");
        if plain.contains(['(', ')', '[', ']', '+', '?', '*', '^', '$', '\\', '{', '}']) {
            return Err(format!(
                "`{pattern}`: of regular expressions `|` and `.*` alone are answered here"
            ));
        }
        let is_plain = plain.len() == pattern.len();
        let (op, text) = match (op, is_plain) {
            (Op::Like, true) => (Op::Equal, named(field, pattern)),
            (_, true) => (Op::Unequal, named(field, pattern)),
            (op, false) => (op, pattern.replace(".*", "*")),
        };
        Ok(Condition::Compare(field.clone(), op, Literal::Text(text)))
    };
    let mut patterns = pattern.split('|').map(one);
    let first = patterns.next().unwrap_or(Ok(Condition::All))?;
    patterns.try_fold(first, |all, next| {
        Ok(if op == Op::Like {
            all.or(next?)
        } else {
            all.and(next?)
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn queries_of_grafana_are_read() {
        for (text, expected) in [
            ("", "{ }"),
            ("{}", "{ }"),
            ("{ true }", "{ }"),
            (
                "{resource.service.name=\"Cart Service\"}",
                "{ handler = \"cart-service\" }",
            ),
            (
                "{resource.service.name=`cart` && duration>5ms} | select(status, span.x)",
                "{ handler = \"cart\" && duration > 5ms }",
            ),
            (
                "{ duration > 5ms && (status = unset || .http.response.status_code >= 500) }",
                "{ duration > 5ms && (status != error || attr.\"http.response.status_code\" >= 500) }",
            ),
            (
                "{ name =~ \"GET.*|shop:cart/cart.get\" }",
                "{ name =~ \"GET*\" || name = \"shop:cart/cart.get\" }",
            ),
            (
                "{ rootServiceName !~ \"cart|ad.*\" } >> { kind = server }",
                "{ root.handler != \"cart\" && root.handler !~ \"ad*\" } >> { kind = server }",
            ),
        ] {
            let query = read(text).unwrap();
            assert_eq!(query.to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_answered_is_refused() {
        for bad in [
            "cart",
            "{",
            "{ name }",
            "{ name = }",
            "{ name = \"x }",
            "{} | rate()",
            "{} | select(x) | rate()",
            "{ name =~ \"a[bc]\" }",
            "{ (name = \"x\" }",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[{}()&|=<>~!a-z.\"`é 0-9\\\\-]{0,60}") {
            let _ = read(&text);
            let _ = read(&format!("{{{text}"));
        }
    }
}
