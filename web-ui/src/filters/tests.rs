//! Tests of filters, chips and queries.

use super::*;
use protocol::api::facets::{Facet, FacetValue};

fn with_q(q: &str) -> TraceQuery {
    TraceQuery {
        q: Some(q.to_owned()),
        ..TraceQuery::default()
    }
}

#[test]
fn what_facets_add_to_a_query_is_taken_off_again() {
    for typed in [
        "",
        "duration > 5ms && status = error",
        "{ status = error } && { cold = true }",
        "{ name = \"a && b || c\" } >> { status = error }",
        "{ handler = a } || { handler = b }",
        "{ log =~ `{` }",
        "node = home",
    ] {
        let before = if typed.is_empty() {
            TraceQuery::default()
        } else {
            with_q(typed)
        };
        let named = with(&before, Part::Name, Some("GET /\"x\" \\ && }"));
        let both = with(&named, Part::Node, Some("home"));
        assert_eq!(
            value(&both, Part::Name).as_deref(),
            Some("GET /\"x\" \\ && }"),
            "{both:?}"
        );
        assert_eq!(value(&both, Part::Node).as_deref(), Some("home"), "{both:?}");
        let after = with(&with(&both, Part::Name, None), Part::Node, None);
        let bare = |query: &TraceQuery| Said::of(query.q.as_deref()).typed;
        let inner = bare(&after);
        let inner = inner.strip_prefix(['{', '(']).unwrap_or(&inner);
        let inner = inner.strip_suffix(['}', ')']).unwrap_or(inner).trim();
        assert!(
            bare(&after) == bare(&before) || inner == bare(&before),
            "{typed}: {after:?}"
        );
    }
}

#[test]
fn a_query_that_a_person_typed_is_left_alone() {
    let said = Said::of(Some("{ root.name = \"GET /\" } || { cold = true }"));
    assert_eq!(
        (said.name, said.typed.as_str()),
        (None, "{ root.name = \"GET /\" } || { cold = true }")
    );
    let said = Said::of(Some("{ root.name =~ \"GET\" } && { node = \"cart\" }"));
    assert_eq!(
        (said.typed.as_str(), said.node.as_deref()),
        ("{ root.name =~ \"GET\" }", Some("cart"))
    );
    assert_eq!(Said::of(None).query(), None);
    let joined = Said {
        typed: "{ a = 1 } || { b = 2 }".into(),
        node: Some("x".into()),
        name: None,
    };
    assert_eq!(
        joined.query().unwrap(),
        "({ a = 1 } || { b = 2 }) && { node = \"x\" }"
    );
}

#[test]
fn chips_tell_every_part_and_remove_it() {
    let mut query = with_q("{ node = \"cart\" }");
    query.status = Some("error".into());
    query.handler = HandlerName::parse("cart").ok();
    query.edge = Some("a -> b:c".into());
    query.placement = Some("apart".into());
    query.min_ms = Some(5);
    query.max_us = Some(9_500);
    query.from = Some(1_790_000_000_000);
    let here = Here {
        now_ms: 1_790_000_100_000,
        offset_min: 0,
    };
    let chips = chips(&query, here);
    let words: Vec<String> = chips
        .iter()
        .map(|(part, words)| format!("{} {words}", part.word()))
        .collect();
    assert_eq!(
        words,
        [
            "status failed",
            "handler cart",
            "placement apart",
            "node cart",
            "edge a -> b:c",
            "took 5.00 ms to 9.50 ms",
            "began from 14:13:20"
        ]
    );
    let bare = chips
        .iter()
        .fold(query, |query, (part, _)| with(&query, *part, None));
    assert_eq!(bare, TraceQuery::default());
}

#[test]
fn values_keep_their_places_while_counts_change() {
    let facets = |values: &[(&str, u32)]| {
        let values = values.iter().map(|(value, count)| FacetValue {
            value: (*value).to_owned(),
            count: *count,
        });
        Facets {
            handlers: Facet {
                values: values.collect(),
                left_out: 0,
            },
            ..Facets::default()
        }
    };
    let before = facets(&[("a", 9), ("b", 5), ("c", 1)]);
    let mut now = facets(&[("new", 20), ("b", 11), ("a", 10), ("newer", 2)]);
    settle(&before, &mut now);
    let order: Vec<&str> = now
        .handlers
        .values
        .iter()
        .map(|value| value.value.as_str())
        .collect();
    assert_eq!(order, ["a", "b", "new", "newer"]);
}

#[test]
fn only_what_the_server_would_list_fits() {
    let trace: TraceSummary = serde_json::from_value(serde_json::json!({
        "trace_id": "0af7651916cd43dd8448eb211c80319c", "name": "GET /", "handler": "ingress",
        "start_unix_ns": 1_790_000_000_500_000_000_u64, "duration_ns": 9_500_000, "spans": 2, "errors": 1,
        "nodes": 1, "handlers": ["cart"], "placement": "apart"
    }))
    .unwrap();
    let check = |query: TraceQuery| fits(&query, &trace);
    let all = TraceQuery::default;
    assert_eq!(check(all()), Fit::Yes);
    assert_eq!(check(with_q("{ }")), Fit::Perhaps);
    let exact = TraceQuery {
        min_us: Some(9_500),
        max_us: Some(9_500),
        from: Some(1_790_000_000_500),
        ..all()
    };
    assert_eq!(check(exact), Fit::Yes);
    for query in [
        TraceQuery {
            status: Some("ok".into()),
            ..all()
        },
        TraceQuery {
            min_ms: Some(10),
            ..all()
        },
        TraceQuery {
            max_us: Some(9_499),
            ..all()
        },
        TraceQuery {
            to: Some(1_790_000_000_500),
            ..all()
        },
        TraceQuery {
            placement: Some("together".into()),
            ..with_q("{ }")
        },
        TraceQuery {
            handler: HandlerName::parse("ad").ok(),
            ..all()
        },
    ] {
        assert_eq!(check(query.clone()), Fit::No, "{query:?}");
    }
}
