//! `Words`: the texts that spans share (handlers, nodes, edges, placements), each stored once and known by a number.
//!
//! All of them are in memory, for the writer and for readers: there are as many as handlers and edges were ever
//! deployed. Words are never deleted; a store that has its fill of them refuses spans that bring further ones.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use protocol::Span;
use sqlx::sqlite::SqliteConnection;

use super::super::summary::text_of;
use crate::telemetry::fields;

/// The most words: thousands of handlers with dozens of edges each.
pub(super) const WORDS_MAX: usize = 65_536;

/// The words of one store.
#[derive(Debug, Default)]
pub(in crate::traces) struct Words(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    ids: HashMap<Arc<str>, i64>,
    texts: HashMap<i64, Arc<str>>,
}

impl Words {
    /// Reads all of them.
    pub(super) async fn load(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let rows: Vec<(i64, String)> = sqlx::query_as("SELECT id, text FROM words")
            .fetch_all(connection)
            .await?;
        let words = Self::default();
        for (id, text) in rows {
            words.insert(id, text.into());
        }
        Ok(words)
    }

    /// Stores the words of these spans that are new, in transactions of their own: a word stays although the batch
    /// that brought it is rolled back. Gives back the spans whose words are all known now.
    pub(super) async fn know(
        &self,
        connection: &mut SqliteConnection,
        spans: Vec<Span>,
    ) -> Result<Vec<Span>, sqlx::Error> {
        let missing: BTreeSet<String> = {
            let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
            spans
                .iter()
                .flat_map(words_of)
                .filter(|text| !known.ids.contains_key(*text))
                .map(str::to_owned)
                .collect()
        };
        if missing.is_empty() {
            return Ok(spans);
        }
        for text in missing {
            if self.len() >= WORDS_MAX {
                tracing::warn!(
                    words.max = WORDS_MAX,
                    "trace store has its fill of names, spans with further ones are dropped"
                );
                let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
                let is_known = |span: &Span| words_of(span).all(|text| known.ids.contains_key(text));
                return Ok(spans.into_iter().filter(is_known).collect());
            }
            let id: i64 = sqlx::query_scalar("INSERT INTO words (text) VALUES (?) RETURNING id")
                .bind(text.as_str())
                .fetch_one(&mut *connection)
                .await?;
            self.insert(id, text.into());
        }
        Ok(spans)
    }

    /// The number of a word.
    pub(super) fn id(&self, text: &str) -> Option<i64> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.ids.get(text).copied()
    }

    /// The number of a word that was made known before.
    pub(super) fn known_id(&self, text: &str) -> Result<i64, sqlx::Error> {
        self.id(text)
            .ok_or_else(|| sqlx::Error::Protocol(format!("the word `{text}` was not stored")))
    }

    /// The word of a number.
    pub(super) fn text(&self, id: i64) -> Result<Arc<str>, sqlx::Error> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known
            .texts
            .get(&id)
            .cloned()
            .ok_or_else(|| sqlx::Error::Decode(format!("word {id} is missing").into()))
    }

    fn len(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).ids.len()
    }

    fn insert(&self, id: i64, text: Arc<str>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.ids.insert(Arc::clone(&text), id);
        known.texts.insert(id, text);
    }
}

fn words_of(span: &Span) -> impl Iterator<Item = &str> {
    [
        Some(span.handler.as_str()),
        Some(span.node.as_str()),
        span.peer.as_ref().map(|peer| peer.as_str()),
        text_of(span, fields::EDGE).map(AsRef::as_ref),
        text_of(span, fields::PLACEMENT).map(AsRef::as_ref),
    ]
    .into_iter()
    .flatten()
}
