//! `Skeleton`: what a view needs of every span of a trace, column by column. Pure.
//!
//! Promises: spans stand in the order of their arrival, and a trace that grows only gets longer: an index stays the
//! same span's. About 64 bytes a span.

use std::sync::Arc;

use protocol::{SpanKind, TraceId, Transport};
use rustc_hash::FxHashMap;

use super::block::Head;

/// A word that is not there.
pub(crate) const NONE: u32 = u32::MAX;

/// What a view needs of every span of a trace, column by column; the same index is the same span in each.
#[derive(Debug, Clone)]
pub struct Skeleton {
    pub(crate) trace_id: TraceId,
    /// What the columns of words below point to; [`NONE`] where a span has none.
    pub(crate) words: Vec<Arc<str>>,
    pub(crate) id: Vec<u64>,
    /// 0 for none.
    pub(crate) parent: Vec<u64>,
    /// Since the Unix epoch.
    pub(crate) start_ns: Vec<u64>,
    pub(crate) duration_ns: Vec<u64>,
    pub(crate) handler: Vec<u32>,
    pub(crate) node: Vec<u32>,
    pub(crate) name: Vec<u32>,
    pub(crate) peer: Vec<u32>,
    pub(crate) edge: Vec<u32>,
    pub(crate) kind: Vec<SpanKind>,
    pub(crate) transport: Vec<Option<Transport>>,
    /// 0 ok, 1 the callee's own `err`, 2 failed.
    pub(crate) status: Vec<u8>,
    /// What the span has besides: the bits of `block::flag`.
    pub(crate) flags: Vec<u8>,
    /// Block and index in it, where the rest of a span is.
    pub(crate) place: Vec<(u32, u32)>,
}

impl Skeleton {
    /// A trace without spans.
    pub(crate) fn new(trace_id: TraceId) -> Self {
        Self {
            trace_id,
            words: Vec::new(),
            id: Vec::new(),
            parent: Vec::new(),
            start_ns: Vec::new(),
            duration_ns: Vec::new(),
            handler: Vec::new(),
            node: Vec::new(),
            name: Vec::new(),
            peer: Vec::new(),
            edge: Vec::new(),
            kind: Vec::new(),
            transport: Vec::new(),
            status: Vec::new(),
            flags: Vec::new(),
            place: Vec::new(),
        }
    }

    /// How many spans there are.
    pub(crate) fn len(&self) -> usize {
        self.id.len()
    }

    /// The word of a column's value.
    pub fn word(&self, word: u32) -> Option<&Arc<str>> {
        self.words.get(word as usize)
    }

    /// The same in words: nothing for [`NONE`].
    pub(crate) fn text(&self, word: u32) -> &str {
        self.word(word).map_or("", AsRef::as_ref)
    }

    /// The bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.len() * 64 + self.words.iter().map(|word| word.len() + 32).sum::<usize>()
    }

    /// Says anew where the spans are, after blocks have become one.
    pub(super) fn place(&mut self, blocks: &[(u32, u32)]) {
        let places = blocks
            .iter()
            .flat_map(|(number, spans)| (0..*spans).map(|at| (*number, at)));
        self.place.clear();
        self.place.extend(places.take(self.id.len()));
    }
}

/// Adds blocks to a skeleton.
pub(super) struct Builder<'a> {
    skeleton: Skeleton,
    store: &'a (dyn Fn(u32) -> Option<Arc<str>> + Sync),
    by_text: FxHashMap<Arc<str>, u32>,
    /// The store's words that came already: number to index.
    by_number: FxHashMap<u32, u32>,
}

impl<'a> Builder<'a> {
    /// Goes on with a skeleton; `store` tells the store's words.
    pub(super) fn on(skeleton: Skeleton, store: &'a (dyn Fn(u32) -> Option<Arc<str>> + Sync)) -> Self {
        let by_text = skeleton.words.iter().cloned().zip(0..).collect();
        Self {
            skeleton,
            store,
            by_text,
            by_number: FxHashMap::default(),
        }
    }

    /// Adds the spans of a block from an index on.
    pub(super) fn add(&mut self, number: u32, head: &Head<'_>, from: usize) {
        if from >= head.len() {
            return;
        }
        let names: Vec<u32> = head.names.iter().map(|name| self.text((*name).into())).collect();
        let name = |place: &u32| names.get(*place as usize).copied().unwrap_or(NONE);
        self.skeleton.name.extend(head.name[from..].iter().map(name));
        let columns = [&head.handler, &head.node, &head.peer, &head.edge];
        for (to, column) in columns.into_iter().enumerate() {
            let mut last = (0, NONE);
            for number in &column[from..] {
                if *number != last.0 {
                    last = (*number, self.number(*number));
                }
                let to = match to {
                    0 => &mut self.skeleton.handler,
                    1 => &mut self.skeleton.node,
                    2 => &mut self.skeleton.peer,
                    _ => &mut self.skeleton.edge,
                };
                to.push(last.1);
            }
        }
        let skeleton = &mut self.skeleton;
        skeleton.id.extend_from_slice(&head.id[from..]);
        skeleton.parent.extend_from_slice(&head.parent[from..]);
        skeleton.start_ns.extend_from_slice(&head.start_ns[from..]);
        skeleton.duration_ns.extend_from_slice(&head.duration_ns[from..]);
        skeleton.kind.extend_from_slice(&head.kind[from..]);
        skeleton.transport.extend_from_slice(&head.transport[from..]);
        skeleton.status.extend_from_slice(&head.status[from..]);
        skeleton.flags.extend_from_slice(&head.flags[from..]);
        let places = (from..head.len()).map(|at| (number, at as u32));
        skeleton.place.extend(places);
    }

    pub(super) fn finish(self) -> Skeleton {
        self.skeleton
    }

    fn number(&mut self, number: u32) -> u32 {
        if number == 0 {
            return NONE;
        }
        if let Some(known) = self.by_number.get(&number) {
            return *known;
        }
        // A word that the store lacks would be damage; a view can do without a name.
        let index = match (self.store)(number) {
            Some(text) => self.text(text),
            None => NONE,
        };
        self.by_number.insert(number, index);
        index
    }

    fn text(&mut self, text: Arc<str>) -> u32 {
        if let Some(known) = self.by_text.get(&text) {
            return *known;
        }
        let index = u32::try_from(self.skeleton.words.len()).unwrap_or(NONE);
        self.skeleton.words.push(Arc::clone(&text));
        self.by_text.insert(text, index);
        index
    }
}

/// Columns from spans: for tests of what is laid out.
#[cfg(test)]
pub(crate) struct Columns {
    skeleton: Skeleton,
    known: FxHashMap<Arc<str>, u32>,
}

#[cfg(test)]
impl Columns {
    pub(crate) fn new(trace_id: TraceId) -> Self {
        Self {
            skeleton: Skeleton::new(trace_id),
            known: FxHashMap::default(),
        }
    }

    /// Adds a span.
    pub(crate) fn add(&mut self, span: &protocol::Span, edge: Option<&str>) {
        let handler = self.word(span.handler.as_str());
        let node = self.word(span.node.as_str());
        let name = self.word(&span.name);
        let peer = span.peer.as_ref().map_or(NONE, |peer| self.word(peer.as_str()));
        let edge = edge.map_or(NONE, |edge| self.word(edge));
        let columns = &mut self.skeleton;
        columns
            .place
            .push((0, u32::try_from(columns.id.len()).unwrap_or(NONE)));
        columns.id.push(span.span_id.0);
        columns.parent.push(span.parent_id.map_or(0, |parent| parent.0));
        columns.start_ns.push(span.start_unix_ns);
        columns.duration_ns.push(span.duration_ns);
        columns.handler.push(handler);
        columns.node.push(node);
        columns.name.push(name);
        columns.peer.push(peer);
        columns.edge.push(edge);
        columns.flags.push(0);
        columns.kind.push(span.kind);
        columns.transport.push(span.transport);
        columns.status.push(match &span.status {
            protocol::SpanStatus::Ok => 0,
            protocol::SpanStatus::Err => 1,
            protocol::SpanStatus::Failed { .. } => 2,
        });
    }

    pub(crate) fn done(self) -> Skeleton {
        self.skeleton
    }

    fn word(&mut self, text: &str) -> u32 {
        if let Some(at) = self.known.get(text) {
            return *at;
        }
        let at = u32::try_from(self.skeleton.words.len()).unwrap_or(NONE);
        let text: Arc<str> = text.into();
        self.skeleton.words.push(Arc::clone(&text));
        self.known.insert(text, at);
        at
    }
}
