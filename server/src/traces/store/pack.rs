//! What a batch adds to the store: spans as blocks, and the links among them.

use protocol::Span;

use super::super::block::{self, Numbers};
use super::super::summary::Facts;
use super::insert::{BlockRow, LinkRow};
use super::open::OpenTrace;
use super::row::block_id;

/// Blocks and links to be written.
#[derive(Default)]
pub(super) struct Packs {
    pub(super) blocks: Vec<BlockRow>,
    pub(super) links: Vec<LinkRow>,
    /// Spans in the blocks.
    pub(super) spans: u64,
}

impl Packs {
    /// Adds those spans that the trace does not have, as one block; at most as many as one holds are given.
    pub(super) fn add(&mut self, trace: &mut OpenTrace, rows: &[(&Span, Numbers)]) {
        let mut fresh = Vec::with_capacity(rows.len());
        for (span, numbers) in rows {
            if !trace.add(&Facts::of(span, *numbers)) {
                continue;
            }
            if let Some(link) = span.link {
                self.links.push(LinkRow {
                    link_trace: link.trace_id,
                    link_span: link.span_id.0,
                    trace: trace.id,
                    span: span.span_id.0,
                    start_unix_ns: span.start_unix_ns,
                });
            }
            fresh.push((*span, *numbers));
        }
        if fresh.is_empty() {
            return;
        }
        let (head, rest) = block::pack(&fresh);
        self.spans += fresh.len() as u64;
        self.blocks.push(BlockRow {
            id: block_id(trace.id, trace.tail.push(fresh.len())),
            spans: fresh.len(),
            head,
            rest,
        });
    }
}
