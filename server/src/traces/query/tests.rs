//! Queries there and back, what they mean in words, and texts that are none.

use proptest::prelude::*;

use super::*;

fn shown(text: &str) -> String {
    Query::parse(text)
        .unwrap_or_else(|fault| panic!("{text}: {fault}"))
        .to_string()
}

#[test]
fn a_query_is_printed_in_one_form() {
    for (text, expected) in [
        ("", "{ }"),
        ("{}", "{ }"),
        ("handler = cart", "{ handler = \"cart\" }"),
        ("{ resource.service.name = `cart` }", "{ handler = \"cart\" }"),
        ("{duration>5ms}", "{ duration > 5ms }"),
        (
            "{ duration >= 1.5s && status = error }",
            "{ duration >= 1500ms && status = error }",
        ),
        ("{ status = failed }", "{ status = error }"),
        ("{ status = unset }", "{ status != error }"),
        (
            "{ resource.service.version = 7 }",
            "{ attr.\"resource.service.version\" = 7 }",
        ),
        (
            "{ .http.status_code >= 500 }",
            "{ attr.\"http.status_code\" >= 500 }",
        ),
        (
            "{ span.a = true || attr.\"b c\" != nil }",
            "{ attr.\"a\" = true || attr.\"b c\" != nil }",
        ),
        ("{ !(cold = true) }", "{ !(cold = true) }"),
        ("{ log =~ \"out of*\" }", "{ log =~ \"out of*\" }"),
        (
            "{ edge = \"cart -> state:store\" } >> { status = err }",
            "{ edge = \"cart -> state:store\" } >> { status = err }",
        ),
        (
            "{ name = a } && { name = b } || { name = c }",
            "({ name = \"a\" } && { name = \"b\" }) || { name = \"c\" }",
        ),
        (
            "{ rootName = \"GET /\" && traceDuration > 1m }",
            "{ root.name = \"GET /\" && trace.duration > 1m }",
        ),
        (
            "{ kind = client && transport != quic && placement = apart }",
            "{ (kind = client && transport != quic) && placement = apart }",
        ),
        ("name = \"a\\\"b\\\\c\"", "{ name = \"a\\\"b\\\\c\" }"),
        ("name = shop:cart/cart.get", "{ name = \"shop:cart/cart.get\" }"),
        ("duration < 7µs", "{ duration < 7us }"),
    ] {
        assert_eq!(shown(text), expected, "{text}");
    }
}

#[test]
fn a_fault_says_where_what_and_what_instead() {
    for (text, expected) in [
        (
            "{ duration > 5 }",
            "at character 14: found `5`, expected a duration such as `5ms`",
        ),
        (
            "{ duraton > 5ms }",
            "at character 3: found `duraton`, expected a field; an attribute is written `.duraton`; did you mean `duration`?",
        ),
        (
            "{ handler > \"a\" }",
            "at character 11: found `>`, expected one of `=`, `!=`, `=~`, `!~`",
        ),
        (
            "{ status = bad }",
            "at character 12: found `bad`, expected one of `ok`, `err`, `error`",
        ),
        (
            "{ name = \"a }",
            "at character 14: found the end, expected `\"`, which ends the text that begins at character 10",
        ),
        ("{ name = a", "at character 11: found the end, expected `}`"),
        (
            "{ name = a } ; { }",
            "at character 14: found `;`, expected a name, a value, or one of `{ } ( ) && || ! = != =~ !~ < <= > >= >>`",
        ),
        (
            "{ name = a } }",
            "at character 14: found `}`, expected `&&`, `||`, or the end",
        ),
        (
            "{ duration > 5parsecs }",
            "at character 14: found `5parsecs`, expected a number, or a duration with `ns`, `us`, `ms`, `s`, `m` or `h`",
        ),
        (
            "{ name = \"ö\" } x",
            "at character 16: found `x`, expected `&&`, `||`, or the end",
        ),
    ] {
        assert_eq!(Query::parse(text).unwrap_err().to_string(), expected, "{text}");
    }
    let deep = format!("{}name = a{}", "(".repeat(100), ")".repeat(100));
    assert!(Query::parse(&deep).unwrap_err().expected.contains("brackets"));
    let long = "name = a && ".repeat(1_000);
    assert!(Query::parse(&long).unwrap_err().found.contains("bytes"));
}

fn any_condition() -> impl Strategy<Value = Condition> {
    let text = prop_oneof!["[a-z]{0,9}", any::<String>()].prop_map(Literal::Text);
    let texts = prop::sample::select(vec![
        Column::Name,
        Column::Handler,
        Column::Edge,
        Column::Log,
        Column::RootName,
    ]);
    let matching = prop::sample::select(vec![Op::Equal, Op::Unequal, Op::Like, Op::Unlike]);
    let leaf = prop_oneof![
        Just(Condition::All),
        (texts, matching, text.clone()).prop_map(|(column, op, text)| Condition::Compare(
            Field::Known(column),
            op,
            text
        )),
        (prop::sample::select(Op::ALL[..6].to_vec()), any::<u64>()).prop_map(|(op, ns)| {
            Condition::Compare(Field::Known(Column::Duration), op, Literal::Duration(ns))
        }),
        ("[a-z.]{1,9}|\\PC{1,5}", any::<i64>(), any::<bool>()).prop_map(|(key, number, is_nil)| {
            let value = if is_nil {
                Literal::Nil
            } else {
                Literal::Int(number)
            };
            Condition::Compare(Field::Attribute(key), Op::Unequal, value)
        }),
        ("[a-z]{1,9}", prop::num::f64::NORMAL).prop_map(|(key, number)| Condition::Compare(
            Field::Attribute(key),
            Op::AtLeast,
            Literal::Float(number)
        )),
        prop::sample::select(vec!["ok", "err", "error"]).prop_map(|word| Condition::Compare(
            Field::Known(Column::Status),
            Op::Equal,
            Literal::Word(word)
        )),
        any::<bool>().prop_map(|is_so| Condition::Compare(
            Field::Known(Column::Cold),
            Op::Equal,
            Literal::Bool(is_so)
        )),
    ];
    leaf.prop_recursive(4, 12, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Condition::Not(Box::new(inner))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Condition::And(Box::new(a), Box::new(b))),
            (inner.clone(), inner).prop_map(|(a, b)| Condition::Or(Box::new(a), Box::new(b))),
        ]
    })
}

fn any_query() -> impl Strategy<Value = Query> {
    any_condition()
        .prop_map(Query::Spans)
        .prop_recursive(3, 6, 2, |inner| {
            (inner.clone(), inner, 0..4).prop_map(|(a, b, form)| {
                let (a, b) = (Box::new(a), Box::new(b));
                match form {
                    0 => Query::And(a, b),
                    1 => Query::Or(a, b),
                    2 => Query::Child(a, b),
                    _ => Query::Below(a, b),
                }
            })
        })
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_as_the_same(query in any_query()) {
        let text = query.to_string();
        if text.len() <= QUERY_BYTES_MAX {
            prop_assert_eq!(Query::parse(&text).map_err(|fault| format!("{text}: {fault}")), Ok(query));
        }
    }

    #[test]
    fn any_text_is_a_query_or_a_fault_within_it(text in "\\PC{0,60}") {
        match Query::parse(&text) {
            Ok(query) => prop_assert_eq!(Query::parse(&query.to_string()), Ok(query)),
            Err(fault) => prop_assert!(fault.at >= 1 && fault.at <= text.chars().count() + 1),
        }
    }

    #[test]
    fn words_of_the_language_in_any_order_never_panic(words in prop::collection::vec(prop::sample::select(vec![
        "{", "}", "(", ")", "&&", "||", "!", "=", "!=", "=~", "<", ">", ">>", "name", "duration", "status", ".key",
        "attr.\"k\"", "5ms", "-7", "0.5", "\"text\"", "nil", "true", "error", "-", "\"", "`", "1e", "9e99", "µ",
    ]), 0..24)) {
        if let Ok(query) = Query::parse(&words.join(" ")) {
            prop_assert_eq!(Query::parse(&query.to_string()), Ok(query));
        }
    }
}
