//! `Chronicle`: what happened to nodes, handlers and the placement, for people who look later.
//!
//! In memory, bounded, since home's start. Noting takes a lock for a moment and never waits. What must be known by
//! programs is in `placement`, `nodes` and `handlers`; nothing here decides anything.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use protocol::api::Page;
use protocol::api::chronicle::{ChronicleQuery, ENTRIES_MAX, Entry, Happening};
use protocol::{HandlerName, NodeName};

use crate::clock::Clock;

/// Entries of a page where nothing else is said.
const PAGE_DEFAULT: usize = 100;
/// Longer texts are cut: a process may say much before it dies.
const TEXT_CHARS_MAX: usize = 400;

/// The chronicle of one home.
#[derive(Debug)]
pub(super) struct Chronicle {
    clock: Clock,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    written: u64,
    /// The oldest first.
    entries: VecDeque<Entry>,
}

impl Chronicle {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            book: Mutex::default(),
        }
    }

    /// Notes what happened to a node.
    pub(super) fn node(&self, node: &NodeName, what: Happening, text: impl Into<String>) {
        self.write(what, Some(node), None, text.into());
    }

    /// Notes what happened to a handler.
    pub(super) fn handler(&self, handler: &HandlerName, what: Happening, text: impl Into<String>) {
        self.write(what, None, Some(handler), text.into());
    }

    /// Notes what happened to all.
    pub(super) fn all(&self, what: Happening, text: impl Into<String>) {
        self.write(what, None, None, text.into());
    }

    fn write(
        &self,
        what: Happening,
        node: Option<&NodeName>,
        handler: Option<&HandlerName>,
        mut text: String,
    ) {
        if let Some((at, _)) = text.char_indices().nth(TEXT_CHARS_MAX) {
            text.truncate(at);
            text.push('…');
        }
        let unix_ms = self.clock.anew().unix_ms() as u64;
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.written += 1;
        let entry = Entry {
            number: book.written,
            unix_ms,
            what,
            node: node.cloned(),
            handler: handler.cloned(),
            text,
        };
        if book.entries.len() == ENTRIES_MAX {
            book.entries.pop_front();
        }
        book.entries.push_back(entry);
    }

    /// A page, the newest first.
    pub(super) fn page(&self, query: &ChronicleQuery) -> Page<Entry> {
        let limit = query.limit.map_or(PAGE_DEFAULT, |limit| limit as usize);
        let book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = book.entries.iter().rev().filter(|entry| {
            query.before.is_none_or(|before| entry.number < before)
                && query.from.is_none_or(|from| entry.unix_ms >= from)
                && (query.node.is_none() || query.node == entry.node)
                && (query.handler.is_none() || query.handler == entry.handler)
        });
        let items: Vec<Entry> = found.by_ref().take(limit).cloned().collect();
        let has_more = found.next().is_some();
        let next = items.last().filter(|_| has_more);
        Page {
            next: next.map(|last| last.number.to_string()),
            items,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn numbers(page: &Page<Entry>) -> Vec<u64> {
        page.items.iter().map(|entry| entry.number).collect()
    }

    #[test]
    fn the_newest_come_first_and_the_oldest_go() {
        let clock = Clock::test(1_000);
        let chronicle = Chronicle::new(clock.clone());
        let cart = NodeName::parse("cart").unwrap();
        for _ in 0..ENTRIES_MAX {
            chronicle.node(&cart, Happening::NodeStarted, "started");
        }
        clock.advance(Duration::from_secs(5));
        chronicle.all(Happening::Placed, "x".repeat(5_000));
        let page = chronicle.page(&ChronicleQuery::default());
        assert_eq!(page.items.len(), PAGE_DEFAULT);
        assert_eq!(page.items[0].what, Happening::Placed);
        assert_eq!(page.items[0].text.chars().count(), TEXT_CHARS_MAX + 1);
        let all = chronicle.page(&ChronicleQuery {
            limit: Some(ENTRIES_MAX as u32 + 5),
            ..ChronicleQuery::default()
        });
        assert_eq!((all.items.len(), &all.next), (ENTRIES_MAX, &None));
        assert_eq!(all.items.last().unwrap().number, 2);
    }

    #[test]
    fn pages_follow_each_other_and_filters_narrow() {
        let clock = Clock::test(1_000);
        let chronicle = Chronicle::new(clock.clone());
        let (cart, email) = (
            NodeName::parse("cart").unwrap(),
            HandlerName::parse("email").unwrap(),
        );
        chronicle.node(&cart, Happening::NodeStarted, "started");
        chronicle.handler(&email, Happening::HandlerServes, "serves");
        clock.advance(Duration::from_secs(5));
        chronicle.node(&cart, Happening::NodeDied, "died");
        let ask = |query| chronicle.page(&query);
        let first = ask(ChronicleQuery {
            limit: Some(2),
            ..ChronicleQuery::default()
        });
        assert_eq!((numbers(&first), first.next.as_deref()), (vec![3, 2], Some("2")));
        let rest = ask(ChronicleQuery {
            before: Some(2),
            ..ChronicleQuery::default()
        });
        assert_eq!((numbers(&rest), rest.next), (vec![1], None));
        let of_cart = ask(ChronicleQuery {
            node: Some(cart),
            ..ChronicleQuery::default()
        });
        assert_eq!(numbers(&of_cart), [3, 1]);
        let of_email = ask(ChronicleQuery {
            handler: Some(email),
            ..ChronicleQuery::default()
        });
        assert_eq!(numbers(&of_email), [2]);
        let newest = first.items[0].unix_ms;
        let late = ask(ChronicleQuery {
            from: Some(newest),
            ..ChronicleQuery::default()
        });
        assert_eq!(numbers(&late), [3]);
    }
}
