//! `Words`: the texts that spans share (handlers, nodes, edges, placements), each stored once and known by a number.
//!
//! All of them are in memory, for the writer and for readers: there are as many as handlers and edges were ever
//! deployed. Words are never deleted; a store that has its fill of them refuses spans that bring further ones.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use protocol::Span;
use rustc_hash::FxHashMap;
use sqlx::sqlite::SqliteConnection;

use super::super::block::Numbers;
use super::super::summary::text_of;
use crate::telemetry::fields;

/// The most words: thousands of handlers with dozens of edges each.
pub(super) const WORDS_MAX: usize = 65_536;

/// The words of one store.
#[derive(Debug, Default)]
pub(in crate::traces) struct Words(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    ids: FxHashMap<Arc<str>, u32>,
    texts: FxHashMap<u32, Arc<str>>,
}

impl Words {
    /// Reads all of them.
    pub(super) async fn load(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let rows: Vec<(u32, String)> = sqlx::query_as("SELECT id, text FROM words")
            .fetch_all(connection)
            .await?;
        let words = Self::default();
        for (id, text) in rows {
            words.insert(id, text.into());
        }
        Ok(words)
    }

    /// Stores the words of these spans that are new, in transactions of their own: a word stays although the batch
    /// that brought it is rolled back. Leaves the spans whose words are all known now, and tells their numbers.
    pub(super) async fn know(
        &self,
        connection: &mut SqliteConnection,
        spans: &mut Vec<Span>,
    ) -> Result<Vec<Numbers>, sqlx::Error> {
        let (numbers, missing) = self.numbers(spans);
        if missing.is_empty() {
            return Ok(numbers);
        }
        for text in missing {
            if self.len() >= WORDS_MAX {
                tracing::warn!(
                    words.max = WORDS_MAX,
                    "trace store has its fill of names, spans with further ones are dropped"
                );
                let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
                spans.retain(|span| {
                    words_of(span)
                        .into_iter()
                        .flatten()
                        .all(|text| known.ids.contains_key(text))
                });
                break;
            }
            let id: u32 = sqlx::query_scalar("INSERT INTO words (text) VALUES (?) RETURNING id")
                .bind(text.as_str())
                .fetch_one(&mut *connection)
                .await?;
            self.insert(id, text.into());
        }
        Ok(self.numbers(spans).0)
    }

    fn numbers(&self, spans: &[Span]) -> (Vec<Numbers>, BTreeSet<String>) {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut missing = BTreeSet::new();
        let mut number = |text: Option<&str>| {
            let Some(text) = text else { return 0 };
            let number = known.ids.get(text).copied();
            number.unwrap_or_else(|| {
                missing.insert(text.to_owned());
                0
            })
        };
        let numbers = spans.iter().map(|span| {
            let [handler, node, peer, edge, placement] = words_of(span).map(&mut number);
            Numbers {
                handler,
                node,
                peer,
                edge,
                placement,
            }
        });
        (numbers.collect(), missing)
    }

    /// The number of a word.
    pub(in crate::traces) fn id(&self, text: &str) -> Option<u32> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.ids.get(text).copied()
    }

    /// The word of a number.
    pub(in crate::traces) fn get(&self, id: u32) -> Option<Arc<str>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.texts.get(&id).cloned()
    }

    /// The word of a number that stands in a row.
    pub(super) fn text(&self, id: i64) -> Result<Arc<str>, sqlx::Error> {
        let word = u32::try_from(id).ok().and_then(|id| self.get(id));
        word.ok_or_else(|| sqlx::Error::Decode(format!("word {id} is missing").into()))
    }

    fn len(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).ids.len()
    }

    fn insert(&self, id: u32, text: Arc<str>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.ids.insert(Arc::clone(&text), id);
        known.texts.insert(id, text);
    }
}

/// Handler, node, peer, edge and placement.
fn words_of(span: &Span) -> [Option<&str>; 5] {
    [
        Some(span.handler.as_str()),
        Some(span.node.as_str()),
        span.peer.as_ref().map(|peer| peer.as_str()),
        text_of(span, fields::EDGE).map(AsRef::as_ref),
        text_of(span, fields::PLACEMENT).map(AsRef::as_ref),
    ]
}
