//! `Block`: some spans of one trace as two packed texts of bytes. Pure: knows no database.
//!
//! The *head* has, column by column, what a tree, a window or a search by name needs; the *rest* has, span by span,
//! what only a look at one span does: attributes, log lines, links, steps. Numbers are LEB128, ids 8 bytes, texts stand
//! once in a dictionary of their block; handlers, nodes, edges and placements are numbers of the store's words.
//!
//! Promises: spans read back as they were written, in their order; bytes that no encoder wrote are an error and never a
//! panic, and nothing is allocated by a length that the bytes only claim.

mod bytes;
mod head;
mod rest;
#[cfg(test)]
mod tests;

use protocol::Span;

pub(super) use bytes::Damage;
pub(super) use head::{Head, flag};
pub(super) use rest::{Naming, Record, Rest};

/// The most spans of one block: what is read at once, and what a reader decodes to see one span.
pub(super) const BLOCK_SPANS_MAX: usize = 16_384;

/// The numbers of a span's words; 0 where it has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) handler: u32,
    pub(super) node: u32,
    pub(super) peer: u32,
    pub(super) edge: u32,
    pub(super) placement: u32,
}

/// Packs spans, each with its words' numbers: the head and the rest. Of attributes, those that are words are left out.
pub(super) fn pack(spans: &[(&Span, Numbers)]) -> (Vec<u8>, Vec<u8>) {
    (head::pack(spans), rest::pack(spans))
}
