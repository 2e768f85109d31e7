//! The form of numbers, ids and words in rows, and back.
//!
//! Ids and words are signed 64-bit integers; times beyond the year 2262 are cut. A row that does not read back is
//! damage, and an error that says what is wrong with it.

use protocol::{HandlerName, NodeName, SpanId, TraceId};

use super::super::block::Damage;
use super::words::Words;

/// Blocks of one trace, as a power of two: a block's id is the trace's, and its number among them.
const NUMBER_BITS: u32 = 20;

/// The id of a block.
pub(super) fn block_id(trace: i64, number: u32) -> i64 {
    trace << NUMBER_BITS | i64::from(number)
}

/// The number of a block among those of its trace.
pub(super) fn block_number(id: i64) -> u32 {
    (id & ((1 << NUMBER_BITS) - 1)) as u32
}

/// The error for a block that this program does not write.
pub(super) fn damaged_block(id: i64, damage: &Damage) -> sqlx::Error {
    let (trace, number) = (id >> NUMBER_BITS, block_number(id));
    sqlx::Error::Decode(format!("block {number} of trace {trace} is damaged: {damage}").into())
}

/// A count or a time; what does not fit is cut.
pub(super) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A trace's id as 16 bytes.
pub(super) fn trace_bytes(trace_id: TraceId) -> Vec<u8> {
    trace_id.0.to_be_bytes().to_vec()
}

/// The id of 16 bytes.
pub(super) fn trace_id(bytes: &[u8]) -> Result<TraceId, sqlx::Error> {
    let bytes = <[u8; 16]>::try_from(bytes).map_err(|_| damaged("a trace id"))?;
    Ok(TraceId(u128::from_be_bytes(bytes)))
}

/// A span's id from its number.
pub(super) fn span_id(number: i64) -> SpanId {
    SpanId(number.cast_unsigned())
}

/// The handler of a word.
pub(super) fn handler(word: i64, words: &Words) -> Result<HandlerName, sqlx::Error> {
    HandlerName::parse(&words.text(word)?).map_err(|_| damaged("a handler's name"))
}

/// The node of a word.
pub(super) fn node(word: i64, words: &Words) -> Result<NodeName, sqlx::Error> {
    NodeName::parse(&words.text(word)?).map_err(|_| damaged("a node's name"))
}

/// The error for a value that this program does not write.
pub(super) fn damaged(what: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("{what} is damaged").into())
}
