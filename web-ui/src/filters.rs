//! What a list of traces is narrowed by: the parts of an address as chips, facets and a query, and back. Pure.
//!
//! Promises: a filter that was added can be removed again and leaves the others as they were; what the server would not
//! list is not taken for a fit. The root's name and a node have no parameter of their own: they stand in the query, as
//! the last of its parts, and are told apart from what a person typed.

use protocol::HandlerName;
use protocol::api::facets::Facets;
use protocol::api::traces::{TraceQuery, TraceSummary};

use crate::format;

/// A filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Status,
    Name,
    Handler,
    Placement,
    Node,
    Edge,
    Length,
    Time,
}

/// Every part, in the order of chips.
pub const PARTS: [Part; 8] = [
    Part::Status,
    Part::Name,
    Part::Handler,
    Part::Placement,
    Part::Node,
    Part::Edge,
    Part::Length,
    Part::Time,
];

impl Part {
    /// In words, before its value.
    pub fn word(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Name => "request",
            Self::Handler => "handler",
            Self::Placement => "placement",
            Self::Node => "node",
            Self::Edge => "edge",
            Self::Length => "took",
            Self::Time => "began",
        }
    }
}

/// Where and when moments are told.
#[derive(Debug, Clone, Copy)]
pub struct Here {
    pub now_ms: u64,
    /// Local time, in minutes ahead of UTC.
    pub offset_min: i64,
}

/// What a query's text says, by who says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// What a person typed.
    pub typed: String,
    pub name: Option<String>,
    pub node: Option<String>,
}

impl Said {
    /// Takes a query apart.
    pub fn of(query: Option<&str>) -> Self {
        let text = query.unwrap_or_default().trim();
        let mut said = Self::default();
        let Some(parts) = sets(text) else {
            said.typed = text.to_owned();
            return said;
        };
        let mut typed = Vec::new();
        for part in parts {
            match (equals(part, "root.name"), equals(part, "node")) {
                (Some(name), _) if said.name.is_none() => said.name = Some(name),
                (_, Some(node)) if said.node.is_none() => said.node = Some(node),
                _ => typed.push(part),
            }
        }
        said.typed = typed.join(" && ");
        said
    }

    /// The whole query; nothing if it says nothing.
    pub fn query(&self) -> Option<String> {
        let picked = [("root.name", &self.name), ("node", &self.node)];
        let picked: Vec<String> = picked
            .into_iter()
            .filter_map(|(field, value)| Some(format!("{{ {field} = {} }}", quoted(value.as_ref()?))))
            .collect();
        let typed = self.typed.trim();
        if picked.is_empty() {
            return (!typed.is_empty()).then(|| typed.to_owned());
        }
        let typed = match (typed.is_empty(), typed.contains('{')) {
            (true, _) => None,
            (_, false) => Some(format!("{{ {typed} }}")),
            // Only `||` binds less than what joins it here.
            (_, true) if sets(typed).is_none() => Some(format!("({typed})")),
            (_, true) => Some(typed.to_owned()),
        };
        Some(typed.into_iter().chain(picked).collect::<Vec<_>>().join(" && "))
    }
}

/// A text as queries quote it.
pub fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", escaped.replace('\n', "\\n").replace('\t', "\\t"))
}

/// The parts of a query that `&&` joins outside of all brackets; nothing if something else stands between them, or if
/// it has no sets at all.
fn sets(text: &str) -> Option<Vec<&str>> {
    let bytes = text.as_bytes();
    let (mut depth, mut at, mut from) = (0_i32, 0, 0);
    let mut quote = None;
    let mut parts = Vec::new();
    while let Some(&byte) = bytes.get(at) {
        match (quote, byte) {
            (Some(b'"'), b'\\') => at += 1,
            (Some(open), byte) if open == byte => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'`') => quote = Some(byte),
            (None, b'{' | b'(') => depth += 1,
            (None, b'}' | b')') => depth -= 1,
            (None, b'|') if depth == 0 => return None,
            (None, b'&') if depth == 0 && bytes.get(at + 1) == Some(&b'&') => {
                parts.push(text.get(from..at)?.trim());
                at += 1;
                from = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    parts.push(text.get(from..)?.trim());
    let has_sets = depth == 0 && quote.is_none() && parts.iter().all(|part| part.ends_with(['}', ')']));
    has_sets.then_some(parts)
}

/// The value in `{ field = "value" }`.
fn equals(set: &str, field: &str) -> Option<String> {
    let inner = set.strip_prefix('{')?.strip_suffix('}')?.trim();
    let value = inner.strip_prefix(field)?.trim_start().strip_prefix('=')?.trim();
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => return None,
            '\\' => out.push(match chars.next()? {
                'n' => '\n',
                't' => '\t',
                other => other,
            }),
            char => out.push(char),
        }
    }
    Some(out)
}

/// The value of a part, as facets have it.
pub fn value(query: &TraceQuery, part: Part) -> Option<String> {
    match part {
        Part::Status => query.status.clone(),
        Part::Handler => query.handler.as_ref().map(|name| name.as_str().to_owned()),
        Part::Placement => query.placement.clone(),
        Part::Edge => query.edge.clone(),
        Part::Name => Said::of(query.q.as_deref()).name,
        Part::Node => Said::of(query.q.as_deref()).node,
        Part::Length | Part::Time => None,
    }
}

/// The same with another value of a part, or without it.
pub fn with(query: &TraceQuery, part: Part, value: Option<&str>) -> TraceQuery {
    let mut query = query.clone();
    let text = value.map(str::to_owned);
    match part {
        Part::Status => query.status = text,
        Part::Handler => query.handler = value.and_then(|name| HandlerName::parse(name).ok()),
        Part::Placement => query.placement = text,
        Part::Edge => query.edge = text,
        Part::Name | Part::Node => {
            let mut said = Said::of(query.q.as_deref());
            match part {
                Part::Name => said.name = text,
                _ => said.node = text,
            }
            query.q = said.query();
        }
        Part::Length => {
            (query.min_ms, query.max_ms) = (None, None);
            (query.min_us, query.max_us) = (None, None);
        }
        Part::Time => (query.from, query.to) = (None, None),
    }
    query
}

/// The parts that are in force, with their values in words.
pub fn chips(query: &TraceQuery, here: Here) -> Vec<(Part, String)> {
    PARTS
        .into_iter()
        .filter_map(|part| {
            let words = match part {
                Part::Length => between(
                    least_ns(query),
                    most_ns(query),
                    ("at least", "at most"),
                    format::duration,
                ),
                Part::Time => between(query.from, query.to, ("from", "before"), |ms| {
                    format::moment(ms, here.now_ms, here.offset_min)
                }),
                Part::Status => value(query, part).map(|word| {
                    if word == "error" {
                        "failed".to_owned()
                    } else {
                        word
                    }
                }),
                _ => value(query, part),
            };
            Some((part, words?))
        })
        .collect()
}

fn between(
    from: Option<u64>,
    to: Option<u64>,
    (least, most): (&str, &str),
    word: impl Fn(u64) -> String,
) -> Option<String> {
    match (from, to) {
        (None, None) => None,
        (Some(from), None) => Some(format!("{least} {}", word(from))),
        (None, Some(to)) => Some(format!("{most} {}", word(to))),
        (Some(from), Some(to)) => Some(format!("{} to {}", word(from), word(to))),
    }
}

/// The least duration, in ns.
pub fn least_ns(query: &TraceQuery) -> Option<u64> {
    let ms = query.min_ms.map(|ms| ms.saturating_mul(1_000_000));
    ms.max(query.min_us.map(|us| us.saturating_mul(1_000)))
}

/// The greatest duration, in ns.
pub fn most_ns(query: &TraceQuery) -> Option<u64> {
    let ms = query.max_ms.map(|ms| ms.saturating_mul(1_000_000));
    ms.into_iter()
        .chain(query.max_us.map(|us| us.saturating_mul(1_000)))
        .min()
}

/// Puts the values of facets in the order in which an earlier answer to the same search had them: what is pressed does
/// not move because counts change.
pub fn settle(before: &Facets, now: &mut Facets) {
    let pairs = [
        (&before.status, &mut now.status),
        (&before.placements, &mut now.placements),
        (&before.handlers, &mut now.handlers),
        (&before.names, &mut now.names),
        (&before.nodes, &mut now.nodes),
        (&before.edges, &mut now.edges),
    ];
    for (before, now) in pairs {
        let place = |value: &str| before.values.iter().position(|known| known.value == value);
        now.values
            .sort_by_key(|value| place(&value.value).unwrap_or(usize::MAX));
    }
}

/// Whether a list shows a trace, as far as its summary tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    No,
    Yes,
    /// The server knows.
    Perhaps,
}

/// Whether a trace fits.
pub fn fits(query: &TraceQuery, trace: &TraceSummary) -> Fit {
    let failed = trace.errors > 0;
    let begun = trace.start_unix_ns / 1_000_000;
    let is_within = query
        .handler
        .as_ref()
        .is_none_or(|name| trace.handlers.contains(name))
        && least_ns(query).is_none_or(|ns| trace.duration_ns >= ns)
        && most_ns(query).is_none_or(|ns| trace.duration_ns <= ns)
        && query.from.is_none_or(|ms| begun >= ms)
        && query.to.is_none_or(|ms| begun < ms)
        && query
            .placement
            .as_ref()
            .is_none_or(|word| *word == trace.placement)
        && match query.status.as_deref() {
            Some("ok") => !failed,
            Some("error") => failed,
            _ => true,
        };
    match (is_within, query.edge.is_some() || query.q.is_some()) {
        (false, _) => Fit::No,
        (true, false) => Fit::Yes,
        // A summary does not say which edges it used, nor what its spans are.
        (true, true) => Fit::Perhaps,
    }
}

#[cfg(test)]
mod tests {
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
}
