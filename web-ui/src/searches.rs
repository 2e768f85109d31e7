//! Saved searches: a name and what the address of a list says. Pure.
//!
//! Promises: each is an entry of its own in the browser's store, so that two tabs that save do not overwrite each
//! other's; what is read back is what was saved, and an entry of another program's is none. Not here: the store
//! (`app/pages/traces/saved.rs`).

use protocol::api::traces::TraceQuery;

use crate::route::{Route, encode, trace_parameters, with_query};

/// What the keys of entries begin with.
const PREFIX: &str = "cleave.search.";
/// The longest name, in characters.
pub const NAME_MAX: usize = 60;
/// More are not saved.
pub const SEARCHES_MAX: usize = 50;

/// A saved search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    pub name: String,
    /// What the address says after its `?`.
    pub text: String,
}

impl Search {
    /// Its key in the store.
    pub fn key(&self) -> String {
        format!("{PREFIX}{}", encode(&self.name))
    }

    /// What a key and a value of the store say.
    pub fn read(key: &str, text: &str) -> Option<Self> {
        let name = crate::route::decode(key.strip_prefix(PREFIX)?);
        // What an address would not keep is not shown as if it did.
        let Route::Traces(query) = Route::parse("/traces", text) else {
            return None;
        };
        (!name.is_empty()).then(|| Self {
            name,
            text: text_of(&query),
        })
    }
}

/// What an address of a list says after its `?`.
pub fn text_of(query: &TraceQuery) -> String {
    let text = with_query("", &trace_parameters(query));
    text.trim_start_matches('?').to_owned()
}

/// A name as it is saved: on one line, neither empty nor long.
pub fn name_of(typed: &str) -> Option<String> {
    let name = typed.split_whitespace().collect::<Vec<_>>().join(" ");
    let name: String = name
        .chars()
        .filter(|char| !char.is_control())
        .take(NAME_MAX)
        .collect();
    (!name.is_empty()).then_some(name)
}

/// Searches to begin with.
pub const FIRST: [(&str, &str); 4] = [
    ("What failed", "status=error"),
    ("Slower than 50 ms", "min_ms=50"),
    ("Waited for a new instance", "q=%7B%20cold%20%3D%20true%20%7D"),
    (
        "Failed below a request that did not",
        "q=%7B%20root.status%20%3D%20ok%20%7D%20%3E%3E%20%7B%20status%20%3D%20error%20%7D",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_read_back() {
        let query = TraceQuery {
            q: Some("{ name = \"ü & =\" }".into()),
            min_us: Some(350),
            from: Some(1_790_000_000_000),
            ..TraceQuery::default()
        };
        let search = Search {
            name: "slow & odd: ü".into(),
            text: text_of(&query),
        };
        assert_eq!(Search::read(&search.key(), &search.text), Some(search.clone()));
        assert_eq!(Route::parse("/traces", &search.text), Route::Traces(query));
        assert_eq!(Search::read("cleave.theme", "dark"), None);
        assert_eq!(Search::read("cleave.search.", "status=ok"), None);
        assert_eq!(Search::read("cleave.search.x", "colour=red").unwrap().text, "");
        for (name, text) in FIRST {
            assert_eq!(
                Search::read(&format!("{PREFIX}{}", encode(name)), text)
                    .unwrap()
                    .text,
                text
            );
        }
    }

    #[test]
    fn names_are_short_lines() {
        assert_eq!(name_of("  two\n words\t"), Some("two words".to_owned()));
        assert_eq!(name_of(" \n "), None);
        assert_eq!(name_of(&"x".repeat(200)).unwrap().len(), NAME_MAX);
    }
}
