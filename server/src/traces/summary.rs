//! `Summary`: a trace in one row, kept up to date span by span. Pure.
//!
//! Promises: the order in which spans arrive does not matter; what is kept equals what a look at all spans would give.
//! The root is the span without a parent; where there is none (yet), the one that comes closest. Names are numbers of
//! the store's words until the summary is shown.

use std::cmp::Reverse;
use std::sync::Arc;

use protocol::api::traces::TraceSummary;
use protocol::span::{Stages, Value};
use protocol::{ErrorCode, HandlerName, Span, SpanId, SpanKind, SpanStatus, TraceId, Transport};

use super::block::{Head, Numbers, flag};

/// The name of what takes requests from outside.
pub(super) const INGRESS: &str = "ingress";

/// What a summary needs of a span.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    pub(super) id: u64,
    /// 0 for none.
    pub(super) parent: u64,
    pub(super) kind: SpanKind,
    pub(super) numbers: Numbers,
    pub(super) name: &'a str,
    pub(super) start_unix_ns: u64,
    pub(super) duration_ns: u64,
    pub(super) has_failed: bool,
    /// Why it failed, where that is at hand.
    pub(super) failure: Option<(ErrorCode, &'a str)>,
    pub(super) has_stages: bool,
    /// It began here what came in from outside, or from a queue.
    pub(super) is_entry: bool,
    /// It is a call whose callee measured its steps, so recorded a span of its own.
    pub(super) is_answered: bool,
}

/// What is known of a trace so far.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Summary {
    pub(super) start_unix_ns: u64,
    pub(super) end_unix_ns: u64,
    pub(super) spans: u32,
    pub(super) errors: u32,
    /// Ascending, as are the other two.
    pub(super) nodes: Vec<u32>,
    pub(super) handlers: Vec<u32>,
    pub(super) edges: Vec<u32>,
    pub(super) root: Root,
    /// The placement that the span nearest to the root names.
    placement: Option<(Rank, u32)>,
}

/// The span that stands for its trace.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Root {
    rank: Rank,
    pub(super) span_id: SpanId,
    pub(super) name: Arc<str>,
    pub(super) handler: u32,
    pub(super) node: u32,
    pub(super) duration_ns: u64,
    pub(super) has_failed: bool,
    pub(super) error: Option<String>,
}

/// How near a span comes to being the root: the least is nearest. The span id makes it unambiguous.
type Rank = (Standing, u64, Reverse<u64>, u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// It has no parent.
    Root,
    /// It began here what came in from outside, or from a queue.
    Entry,
    /// A call that was recorded only because it failed or was slow; nothing else of its trace will come.
    Lone,
    /// Something below a root that is not here (yet).
    Inner,
}

impl<'a> Facts<'a> {
    /// The facts of a span.
    pub(super) fn of(span: &'a Span, numbers: Numbers) -> Self {
        let failure = match &span.status {
            SpanStatus::Failed { code, message } => Some((*code, message.as_str())),
            SpanStatus::Ok | SpanStatus::Err => None,
        };
        Self {
            id: span.span_id.0,
            parent: span.parent_id.map_or(0, |id| id.0),
            kind: span.kind,
            numbers,
            name: &span.name,
            start_unix_ns: span.start_unix_ns,
            duration_ns: span.duration_ns,
            has_failed: failure.is_some(),
            failure,
            has_stages: span.stages.is_some(),
            is_entry: span.kind == SpanKind::Consumer || span.handler.as_str() == INGRESS,
            is_answered: matches!(span.stages, Some(Stages::Caller(_))) && is_call(span.kind, span.transport),
        }
    }

    /// The facts of a span of a block; `ingress` is that word's number.
    pub(super) fn in_head(head: &'a Head<'_>, at: usize, ingress: u32) -> Self {
        let handler = head.handler[at];
        Self {
            id: head.id[at],
            parent: head.parent[at],
            kind: head.kind[at],
            numbers: head.numbers(at),
            name: head.names[head.name[at] as usize],
            start_unix_ns: head.start_ns[at],
            duration_ns: head.duration_ns[at],
            has_failed: head.status[at] == 2,
            failure: None,
            has_stages: head.flags[at] & (flag::CALLER | flag::CALLEE) != 0,
            is_entry: head.kind[at] == SpanKind::Consumer || handler == ingress,
            is_answered: head.flags[at] & flag::CALLER != 0 && is_call(head.kind[at], head.transport[at]),
        }
    }

    /// Whether its parent, if it has one, was recorded here too.
    pub(super) fn names_its_parent(&self) -> bool {
        self.standing() == Standing::Inner
    }

    fn standing(&self) -> Standing {
        let is_call = matches!(self.kind, SpanKind::Client | SpanKind::Server);
        if self.parent == 0 {
            Standing::Root
        } else if self.is_entry {
            Standing::Entry
        } else if is_call && !self.has_stages {
            Standing::Lone
        } else {
            Standing::Inner
        }
    }

    fn rank(&self) -> Rank {
        (
            self.standing(),
            self.start_unix_ns,
            Reverse(self.duration_ns),
            self.id,
        )
    }
}

/// Whether a callee answers the call itself: an enqueue is answered by the queue.
fn is_call(kind: SpanKind, transport: Option<Transport>) -> bool {
    kind == SpanKind::Client && transport != Some(Transport::Queue)
}

impl Summary {
    /// The summary of a trace's first span.
    pub(super) fn of(facts: &Facts<'_>) -> Self {
        let mut summary = Self {
            start_unix_ns: u64::MAX,
            end_unix_ns: 0,
            spans: 0,
            errors: 0,
            nodes: Vec::new(),
            handlers: Vec::new(),
            edges: Vec::new(),
            root: Root::of(facts),
            placement: None,
        };
        summary.add(facts);
        summary
    }

    /// Takes one more span, which it has not seen before.
    pub(super) fn add(&mut self, facts: &Facts<'_>) {
        self.start_unix_ns = self.start_unix_ns.min(facts.start_unix_ns);
        let end_unix_ns = facts.start_unix_ns.saturating_add(facts.duration_ns);
        self.end_unix_ns = self.end_unix_ns.max(end_unix_ns);
        self.spans = self.spans.saturating_add(1);
        if facts.has_failed {
            self.errors = self.errors.saturating_add(1);
        }
        insert(&mut self.nodes, facts.numbers.node);
        insert(&mut self.handlers, facts.numbers.handler);
        if facts.numbers.edge != 0 {
            insert(&mut self.edges, facts.numbers.edge);
        }
        let rank = facts.rank();
        if rank < self.root.rank {
            self.root = Root::of(facts);
        }
        let placement = facts.numbers.placement;
        if placement != 0 && self.placement.as_ref().is_none_or(|(known, _)| rank < *known) {
            self.placement = Some((rank, placement));
        }
    }

    /// From the earliest start to the latest end.
    pub(super) fn duration_ns(&self) -> u64 {
        self.end_unix_ns.saturating_sub(self.start_unix_ns)
    }

    /// The placement in force, where a span names it.
    pub(super) fn placement(&self) -> Option<u32> {
        self.placement.map(|(_, placement)| placement)
    }

    /// Whether the span that stands for the trace is there, so that the trace can be shown under its name.
    pub(super) fn has_root(&self) -> bool {
        self.root.rank.0 != Standing::Inner
    }

    /// What the API shows, of a trace that lacks so many spans. `None` where `words` lacks a name.
    pub(super) fn show(
        &self,
        trace_id: TraceId,
        missing: u32,
        words: impl Fn(u32) -> Option<Arc<str>>,
    ) -> Option<TraceSummary> {
        let handler = |word| HandlerName::parse(&words(word)?).ok();
        let mut handlers = Vec::with_capacity(self.handlers.len());
        for word in &self.handlers {
            handlers.push(handler(*word)?);
        }
        handlers.sort_unstable();
        let placement = match self.placement() {
            Some(word) => words(word)?.as_ref().to_owned(),
            None => String::new(),
        };
        Some(TraceSummary {
            trace_id,
            name: self.root.name.as_ref().to_owned(),
            handler: handler(self.root.handler)?,
            start_unix_ns: self.start_unix_ns,
            duration_ns: self.duration_ns(),
            spans: self.spans,
            errors: self.errors,
            nodes: u32::try_from(self.nodes.len()).unwrap_or(u32::MAX),
            handlers,
            placement,
            error: self.root.error.clone(),
            missing,
        })
    }
}

impl Root {
    fn of(facts: &Facts<'_>) -> Self {
        Self {
            rank: facts.rank(),
            span_id: SpanId(facts.id),
            name: facts.name.into(),
            handler: facts.numbers.handler,
            node: facts.numbers.node,
            duration_ns: facts.duration_ns,
            has_failed: facts.has_failed,
            error: facts.failure.map(|(code, message)| format!("{code}: {message}")),
        }
    }
}

/// Adds to a short ascending list what it does not have.
fn insert(list: &mut Vec<u32>, word: u32) {
    if let Err(place) = list.binary_search(&word) {
        list.insert(place, word);
    }
}

/// When the span ended.
#[cfg(test)]
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

    use super::super::testing::{any_trace, numbers, span, summary, word};
    use super::*;

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
        let mut known = summary(std::slice::from_ref(&inner));
        assert_eq!(known.root.name, inner.name);
        known.add(&Facts::of(&root, numbers(&root)));
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
            let shown = summary(&spans).show(TraceId(1), 0, word).unwrap();
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
