//! What this node exports, and what a peer does: ids on the wire ⇄ functions. Pure.
//!
//! Ids are the node's own, the same on every connection. An id stands for one handler, function and type for ever; what
//! is withdrawn answers `NotFound`, and gets its old id back when it returns, so that redeploying does not grow the
//! table.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use protocol::frame::{Exported, TABLE_ENTRIES_MAX};
use protocol::{FunctionPath, HandlerName, TypeHash};

/// One id of this node.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) exported: Exported,
    /// Shared with every call of it.
    pub(super) function: Arc<FunctionPath>,
    /// Whether it is served now.
    pub(super) served: bool,
}

/// Every function that this node ever exported, by id.
#[derive(Debug, Clone, Default)]
pub(super) struct Exports {
    entries: Vec<Entry>,
}

/// The table is full: too many different functions since the process started.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Exports {
    pub(super) fn get(&self, id: u32) -> Option<&Entry> {
        self.entries.get(id as usize)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entries from an id on, as they are told to a peer.
    pub(super) fn from(&self, first: usize) -> Vec<Exported> {
        self.entries
            .iter()
            .skip(first)
            .map(|entry| entry.exported.clone())
            .collect()
    }

    /// The table that serves exactly these.
    pub(super) fn serving(&self, exported: Vec<Exported>) -> Result<Self, Full> {
        let mut wanted: HashSet<Exported> = exported.iter().cloned().collect();
        let mut entries = self.entries.clone();
        for entry in &mut entries {
            entry.served = wanted.remove(&entry.exported);
        }
        // In the caller's order, so that equal starts give equal ids.
        for exported in exported {
            if wanted.remove(&exported) {
                entries.push(Entry {
                    function: Arc::new(exported.function.clone()),
                    exported,
                    served: true,
                });
            }
        }
        if entries.len() > TABLE_ENTRIES_MAX {
            return Err(Full);
        }
        Ok(Self { entries })
    }
}

/// What a peer exports, by function.
#[derive(Debug, Clone, Default)]
pub(super) struct Imports {
    count: usize,
    handlers: HashMap<HandlerName, HashMap<FunctionPath, Vec<(TypeHash, u32)>>>,
}

/// Why a function has no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// The peer never exported it.
    Function,
    /// It exports one of another type.
    Type,
}

impl Imports {
    /// Entries so far: the id of the next one.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn extend(&mut self, entries: Vec<Exported>) {
        for entry in entries {
            let id = self.count as u32;
            self.count += 1;
            self.handlers
                .entry(entry.handler)
                .or_default()
                .entry(entry.function)
                .or_default()
                .push((entry.type_hash, id));
        }
    }

    /// The id of a function with this type; its latest type where the caller takes any.
    pub(super) fn find(
        &self,
        handler: &HandlerName,
        function: &FunctionPath,
        type_hash: Option<TypeHash>,
    ) -> Result<u32, Missing> {
        let types = self
            .handlers
            .get(handler)
            .and_then(|functions| functions.get(function))
            .ok_or(Missing::Function)?;
        types
            .iter()
            .rev()
            .find(|(found, _)| type_hash.is_none_or(|wanted| wanted == *found))
            .map(|(_, id)| *id)
            .ok_or(Missing::Type)
    }
}

#[cfg(test)]
mod tests {
    use protocol::InterfaceName;

    use super::*;

    fn exported(handler: &str, function: &str, hash: u8) -> Exported {
        Exported {
            handler: HandlerName::parse(handler).unwrap(),
            function: FunctionPath::new(InterfaceName::parse("a:b/c").unwrap(), function),
            type_hash: TypeHash([hash; 16]),
        }
    }

    fn served(exports: &Exports) -> Vec<bool> {
        (0..exports.len() as u32)
            .map(|id| exports.get(id).unwrap().served)
            .collect()
    }

    #[test]
    fn an_id_is_never_another_function_s_and_comes_back_with_its_own() {
        let (add, get) = (exported("cart", "add", 1), exported("cart", "get", 1));
        let other = exported("cart", "add", 2);
        let table = Exports::default()
            .serving(vec![add.clone(), get.clone()])
            .unwrap();
        let table = table.serving(vec![other.clone(), get.clone()]).unwrap();
        assert_eq!(served(&table), [false, true, true]);
        let table = table.serving(vec![add.clone(), add]).unwrap();
        assert_eq!(served(&table), [true, false, false]);
        assert_eq!(table.from(1), [get, other]);
        assert!(table.get(3).is_none());
    }

    #[test]
    fn a_table_has_an_end() {
        let many = (0..=TABLE_ENTRIES_MAX).map(|n| exported("cart", &format!("f{n}"), 1));
        assert_eq!(Exports::default().serving(many.collect()).unwrap_err(), Full);
    }

    #[test]
    fn functions_are_found_by_their_type_and_the_latest_without_one() {
        let mut imports = Imports::default();
        imports.extend(vec![exported("cart", "add", 1)]);
        imports.extend(vec![exported("cart", "add", 2), exported("ad", "add", 3)]);
        let find = |handler: &str, function: &str, hash: Option<u8>| {
            let wanted = exported(handler, function, 0);
            imports.find(
                &wanted.handler,
                &wanted.function,
                hash.map(|hash| TypeHash([hash; 16])),
            )
        };
        assert_eq!(find("cart", "add", Some(1)), Ok(0));
        assert_eq!(find("cart", "add", None), Ok(1));
        assert_eq!(find("ad", "add", None), Ok(2));
        assert_eq!(find("cart", "add", Some(3)), Err(Missing::Type));
        assert_eq!(find("cart", "get", None), Err(Missing::Function));
        assert_eq!(find("email", "add", None), Err(Missing::Function));
        assert_eq!(imports.len(), 3);
    }
}
