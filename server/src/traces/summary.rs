//! `Summary`: a trace in one row, kept up to date span by span. Pure.
//!
//! Promises: the order in which spans arrive does not matter; what is kept equals what a look at all spans would give.
//! The root is the span without a parent; where there is none (yet), the one that comes closest.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use protocol::api::traces::TraceSummary;
use protocol::span::Value;
use protocol::{HandlerName, NodeName, Span, SpanId, SpanKind, SpanStatus, TraceId};

use crate::telemetry::fields;

/// What is known of a trace so far.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Summary {
    pub(super) start_unix_ns: u64,
    pub(super) end_unix_ns: u64,
    pub(super) spans: u32,
    pub(super) errors: u32,
    pub(super) nodes: BTreeSet<NodeName>,
    pub(super) handlers: BTreeSet<HandlerName>,
    pub(super) edges: BTreeSet<Arc<str>>,
    pub(super) root: Root,
    /// The placement that the span nearest to the root names.
    placement: Option<(Rank, Arc<str>)>,
}

/// The span that stands for its trace.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Root {
    rank: Rank,
    pub(super) span_id: SpanId,
    pub(super) name: Arc<str>,
    pub(super) handler: HandlerName,
    pub(super) node: NodeName,
    pub(super) duration_ns: u64,
    pub(super) error: Option<String>,
}

/// How near a span comes to being the root: the least is nearest. The span id makes it unambiguous.
type Rank = (Standing, u64, Reverse<u64>, SpanId);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// It has no parent.
    Root,
    /// It began here what came in from outside, or from a queue.
    Entry,
    /// A call that was recorded only because it failed or was slow; nothing else of its trace will come.
    Lone,
    /// Something below a root that is not here (yet).
    Inner,
}

impl Summary {
    /// The summary of a trace's first span.
    pub(super) fn of(span: &Span) -> Self {
        let mut summary = Self {
            start_unix_ns: u64::MAX,
            end_unix_ns: 0,
            spans: 0,
            errors: 0,
            nodes: BTreeSet::new(),
            handlers: BTreeSet::new(),
            edges: BTreeSet::new(),
            root: Root::of(span),
            placement: None,
        };
        summary.add(span);
        summary
    }

    /// Takes one more span, which it has not seen before.
    pub(super) fn add(&mut self, span: &Span) {
        self.start_unix_ns = self.start_unix_ns.min(span.start_unix_ns);
        self.end_unix_ns = self.end_unix_ns.max(end_unix_ns(span));
        self.spans = self.spans.saturating_add(1);
        if matches!(span.status, SpanStatus::Failed { .. }) {
            self.errors = self.errors.saturating_add(1);
        }
        if !self.nodes.contains(&span.node) {
            self.nodes.insert(span.node.clone());
        }
        if !self.handlers.contains(&span.handler) {
            self.handlers.insert(span.handler.clone());
        }
        if let Some(edge) = text_of(span, fields::EDGE)
            && !self.edges.contains(edge)
        {
            self.edges.insert(Arc::clone(edge));
        }
        let rank = rank(span);
        if rank < self.root.rank {
            self.root = Root::of(span);
        }
        if let Some(placement) = text_of(span, fields::PLACEMENT)
            && self.placement.as_ref().is_none_or(|(known, _)| rank < *known)
        {
            self.placement = Some((rank, Arc::clone(placement)));
        }
    }

    /// From the earliest start to the latest end.
    pub(super) fn duration_ns(&self) -> u64 {
        self.end_unix_ns.saturating_sub(self.start_unix_ns)
    }

    /// The placement in force, where a span names it.
    pub(super) fn placement(&self) -> Option<&Arc<str>> {
        self.placement.as_ref().map(|(_, placement)| placement)
    }

    /// Whether the span that stands for the trace is there, so that the trace can be shown under its name.
    pub(super) fn has_root(&self) -> bool {
        self.root.rank.0 != Standing::Inner
    }

    /// What the API shows.
    pub(super) fn show(&self, trace_id: TraceId) -> TraceSummary {
        TraceSummary {
            trace_id,
            name: self.root.name.as_ref().to_owned(),
            handler: self.root.handler.clone(),
            start_unix_ns: self.start_unix_ns,
            duration_ns: self.duration_ns(),
            spans: self.spans,
            errors: self.errors,
            nodes: u32::try_from(self.nodes.len()).unwrap_or(u32::MAX),
            handlers: self.handlers.iter().cloned().collect(),
            placement: self.placement().map_or("", |text| text).to_owned(),
            error: self.root.error.clone(),
        }
    }
}

impl Root {
    fn of(span: &Span) -> Self {
        Self {
            rank: rank(span),
            span_id: span.span_id,
            name: Arc::clone(&span.name),
            handler: span.handler.clone(),
            node: span.node.clone(),
            duration_ns: span.duration_ns,
            error: match &span.status {
                SpanStatus::Failed { code, message } => Some(format!("{code}: {message}")),
                SpanStatus::Ok | SpanStatus::Err => None,
            },
        }
    }
}

fn rank(span: &Span) -> Rank {
    let is_call = matches!(span.kind, SpanKind::Client | SpanKind::Server);
    let standing = if span.parent_id.is_none() {
        Standing::Root
    } else if span.kind == SpanKind::Consumer || span.handler == HandlerName::ingress() {
        Standing::Entry
    } else if is_call && span.stages.is_none() {
        Standing::Lone
    } else {
        Standing::Inner
    };
    (
        standing,
        span.start_unix_ns,
        Reverse(span.duration_ns),
        span.span_id,
    )
}

/// When the span ended.
pub(super) fn end_unix_ns(span: &Span) -> u64 {
    span.start_unix_ns.saturating_add(span.duration_ns)
}

/// The text of an attribute.
pub(super) fn text_of<'a>(span: &'a Span, key: &str) -> Option<&'a Arc<str>> {
    span.attributes.iter().find_map(|(name, value)| match value {
        Value::Text(text) if name.as_ref() == key => Some(text),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{any_trace, span};
    use super::*;

    fn summary(spans: &[Span]) -> Summary {
        let mut spans = spans.iter();
        let mut summary = Summary::of(spans.next().unwrap());
        spans.for_each(|span| summary.add(span));
        summary
    }

    #[test]
    fn the_root_names_the_trace_although_it_ends_last() {
        let inner = Span {
            start_unix_ns: 50,
            ..span(1, 2, Some(1))
        };
        let root = Span {
            start_unix_ns: 60,
            name: "GET /".into(),
            ..span(1, 1, None)
        };
        let mut known = Summary::of(&inner);
        assert_eq!(known.root.name, inner.name);
        known.add(&root);
        assert_eq!(known.root.name.as_ref(), "GET /");
        assert!(known.has_root());
        assert_eq!(known.start_unix_ns, 50);
    }

    #[test]
    fn a_trace_that_came_in_from_outside_is_named_by_its_entry() {
        let entry = Span {
            handler: HandlerName::ingress(),
            start_unix_ns: 20,
            ..span(1, 1, Some(99))
        };
        let early = Span {
            start_unix_ns: 10,
            ..span(1, 2, Some(1))
        };
        assert_eq!(summary(&[early, entry]).root.span_id, SpanId(1));
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_does_not_matter(
            (spans, shuffled) in any_trace(1).prop_flat_map(|spans| (Just(spans.clone()), Just(spans).prop_shuffle()))
        ) {
            prop_assert_eq!(summary(&spans), summary(&shuffled));
        }

        #[test]
        fn it_equals_a_look_at_all_spans(spans in any_trace(1)) {
            let shown = summary(&spans).show(TraceId(1));
            let start = spans.iter().map(|span| span.start_unix_ns).min().unwrap();
            let end = spans.iter().map(end_unix_ns).max().unwrap();
            prop_assert_eq!(shown.start_unix_ns, start);
            prop_assert_eq!(shown.duration_ns, end - start);
            prop_assert_eq!(shown.spans as usize, spans.len());
            let failed = spans.iter().filter(|span| matches!(span.status, SpanStatus::Failed { .. })).count();
            prop_assert_eq!(shown.errors as usize, failed);
            for span in &spans {
                prop_assert!(shown.handlers.contains(&span.handler));
            }
            prop_assert!(shown.handlers.is_sorted());
            // Of several roots the earliest leads, of equal ones the longest, then the one with the least id.
            let root = spans
                .iter()
                .filter(|span| span.parent_id.is_none())
                .min_by_key(|span| (span.start_unix_ns, Reverse(span.duration_ns), span.span_id));
            if let Some(root) = root {
                prop_assert_eq!(shown.name.as_str(), root.name.as_ref());
                prop_assert_eq!(shown.error.is_some(), matches!(root.status, SpanStatus::Failed { .. }));
            }
        }
    }
}
