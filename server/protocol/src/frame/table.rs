//! The two tables of a connection: what a node exports, and for whom it speaks.
//!
//! A table only grows: a frame adds entries after those before it, and an entry's place is its id for as long as the
//! connection lives. An export that ended keeps its place and answers `NotFound`.

use bytes::{BufMut, BytesMut};

use super::FrameError;
use super::cursor::{Cursor, put_leb, put_str};
use crate::name::{FunctionPath, HandlerName, INTERFACE_BYTES_MAX, InterfaceName, NAME_BYTES_MAX, TypeHash};

/// The most entries of one table: thousands of handlers with dozens of functions.
pub const TABLE_ENTRIES_MAX: usize = 65_536;

/// The longest frame of a table, in bytes; longer additions take several frames.
pub const TABLE_BYTES_MAX: usize = 1 << 20;

/// The longest function name, in bytes.
pub const FUNCTION_BYTES_MAX: usize = 255;

/// A function that a node serves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Exported {
    /// The handler that has it.
    pub handler: HandlerName,
    /// The function.
    pub function: FunctionPath,
    /// Its type.
    pub type_hash: TypeHash,
}

/// Entries that go on from `first`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFrame<T> {
    /// The id of the first entry.
    pub first: u32,
    /// The entries.
    pub entries: Vec<T>,
}

impl<T> TableFrame<T> {
    /// Appends the entries to a table that they must continue.
    pub fn append_to(self, table: &mut Vec<T>) -> Result<(), FrameError> {
        let len = table.len();
        if self.first as usize != len || len + self.entries.len() > TABLE_ENTRIES_MAX {
            return Err(FrameError::Gap {
                first: self.first,
                len,
            });
        }
        table.extend(self.entries);
        Ok(())
    }
}

/// Writes as many entries as one frame holds and says how many.
pub fn encode_exports(first: u32, entries: &[Exported], out: &mut BytesMut) -> usize {
    encode(first, entries, out, |out, entry| {
        put_str(out, entry.handler.as_str());
        put_str(out, entry.function.interface.as_str());
        put_str(out, &entry.function.function);
        out.put_slice(&entry.type_hash.0);
    })
}

/// Reads a frame of exports.
pub fn decode_exports(bytes: &[u8]) -> Result<TableFrame<Exported>, FrameError> {
    decode(bytes, |cursor| {
        let handler = handler(cursor)?;
        let interface = cursor.text("interface name", INTERFACE_BYTES_MAX)?;
        let interface =
            InterfaceName::parse(interface).map_err(|_| FrameError::Malformed("interface name"))?;
        let function = cursor.text("function name", FUNCTION_BYTES_MAX)?;
        if function.is_empty() {
            return Err(FrameError::Malformed("function name"));
        }
        Ok(Exported {
            handler,
            function: FunctionPath::new(interface, function),
            type_hash: TypeHash(cursor.array()?),
        })
    })
}

/// Writes as many callers as one frame holds and says how many.
pub fn encode_callers(first: u32, entries: &[HandlerName], out: &mut BytesMut) -> usize {
    encode(first, entries, out, |out, entry| put_str(out, entry.as_str()))
}

/// Reads a frame of callers.
pub fn decode_callers(bytes: &[u8]) -> Result<TableFrame<HandlerName>, FrameError> {
    decode(bytes, handler)
}

fn handler(cursor: &mut Cursor<'_>) -> Result<HandlerName, FrameError> {
    let name = cursor.text("handler name", NAME_BYTES_MAX)?;
    HandlerName::parse(name).map_err(|_| FrameError::Malformed("handler name"))
}

fn encode<T>(first: u32, entries: &[T], out: &mut BytesMut, put: impl Fn(&mut BytesMut, &T)) -> usize {
    // The longest entry is below 1 KiB, so that this many stay below `TABLE_BYTES_MAX`.
    let count = entries.len().min(TABLE_BYTES_MAX / 1024);
    put_leb(out, u64::from(first));
    put_leb(out, count as u64);
    for entry in entries.iter().take(count) {
        put(out, entry);
    }
    count
}

fn decode<T>(
    bytes: &[u8],
    entry: impl Fn(&mut Cursor<'_>) -> Result<T, FrameError>,
) -> Result<TableFrame<T>, FrameError> {
    let mut cursor = Cursor::new(bytes);
    let first = cursor.leb32()?;
    let count = cursor.len(TABLE_ENTRIES_MAX)?;
    // An entry takes a byte at least: a count beyond the bytes reserves nothing.
    let mut entries = Vec::with_capacity(count.min(cursor.left() / 2));
    for _ in 0..count {
        entries.push(entry(&mut cursor)?);
    }
    cursor.end()?;
    Ok(TableFrame { first, entries })
}
