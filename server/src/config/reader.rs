//! `Reader`: walks a TOML document and collects every problem on the way, each with its line.
//!
//! A `Section` is asked for the keys it may have; whatever it was not asked for by the time it is closed is an unknown
//! key. Nothing here knows what a key means. A file with syntax errors is walked as far as it could be read, so that
//! one missing quote does not hide the rest; lines that carry a syntax error report nothing else.

use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};

use protocol::nearest;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Problem;

/// Longer values are cut in messages.
const VALUE_CHARS_MAX: usize = 60;

/// What `nested_lists` wants.
const NESTED: &str = "an array of arrays of names, as [[\"cart\", \"checkout\"]]";

/// The document's text and what was found wrong with it.
#[derive(Debug)]
pub(super) struct Reader<'i> {
    text: &'i str,
    problems: RefCell<Vec<Problem>>,
}

impl<'i> Reader<'i> {
    /// Walks `text`: `walk` gets the document's root. The problems come by line.
    pub(super) fn run<T>(
        text: &'i str,
        walk: impl FnOnce(&mut Section<'_, 'i>) -> T,
    ) -> Result<T, Vec<Problem>> {
        let (document, errors) = DeTable::parse_recoverable(text);
        let reader = Self {
            text,
            problems: RefCell::default(),
        };
        let mut root = Section {
            reader: &reader,
            path: String::new(),
            table: document.get_ref(),
            asked: Vec::new(),
        };
        let value = walk(&mut root);
        root.close();
        let unreadable: Vec<usize> = errors
            .iter()
            .map(|error| reader.line(error.span().map_or(0, |span| span.start)))
            .collect();
        let mut problems = reader.problems.into_inner();
        problems.retain(|problem| !unreadable.contains(&problem.line));
        for (line, error) in unreadable.iter().zip(&errors) {
            problems.push(Problem {
                line: *line,
                key: String::new(),
                value: None,
                reason: syntax(error.message()),
                nearest: None,
            });
        }
        problems.sort_by_key(|problem| problem.line);
        if problems.is_empty() {
            Ok(value)
        } else {
            Err(problems)
        }
    }

    fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().get(..offset).unwrap_or(self.text.as_bytes());
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    /// A value as it is written, on one line and cut.
    fn written(&self, value: &Spanned<DeValue<'i>>) -> Option<String> {
        if value.get_ref().is_table() {
            return None;
        }
        let text = self.text.get(value.span())?;
        let mut text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some((cut, _)) = text.char_indices().nth(VALUE_CHARS_MAX) {
            text.truncate(cut);
            text.push('…');
        }
        Some(text)
    }

    fn report(&self, at: Range<usize>, key: String, value: Option<String>, trouble: Trouble) {
        self.problems.borrow_mut().push(Problem {
            line: self.line(at.start),
            key,
            value,
            reason: trouble.reason,
            nearest: trouble.nearest,
        });
    }
}

/// Why a value is refused.
#[derive(Debug)]
pub(super) struct Trouble {
    reason: String,
    nearest: Option<String>,
}

impl From<String> for Trouble {
    fn from(reason: String) -> Self {
        Self {
            reason,
            nearest: None,
        }
    }
}

/// One table of the document.
#[derive(Debug)]
pub(super) struct Section<'r, 'i> {
    reader: &'r Reader<'i>,
    path: String,
    table: &'r DeTable<'i>,
    asked: Vec<&'static str>,
}

/// A value, where it is and how it is written.
#[derive(Debug)]
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) line: usize,
    pub(super) key: String,
    pub(super) written: Option<String>,
}

impl<'r, 'i> Section<'r, 'i> {
    /// The table under a key, where there is one.
    pub(super) fn section(&mut self, key: &'static str) -> Option<Section<'r, 'i>> {
        let (at, value) = self.entry(key)?;
        self.nested(key, at, value)
    }

    /// The tables under the keys of the table under a key: `[handler.cart]`, `[handler.checkout]`. Each comes with its
    /// name, and where it is.
    pub(super) fn sections(&mut self, key: &'static str) -> Vec<(Found<String>, Section<'r, 'i>)> {
        let Some(table) = self.section(key) else {
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (name, value) in table.table.iter() {
            let shown = quoted(name.get_ref());
            if let Some(section) = table.nested(&shown, name.span(), value) {
                let found = Found {
                    value: name.get_ref().to_string(),
                    line: self.reader.line(name.span().start),
                    key: table.full(&shown),
                    written: None,
                };
                sections.push((found, section));
            }
        }
        sections
    }

    /// The value of a key, read by `read`; a refusal is a problem.
    pub(super) fn find<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&DeValue<'i>) -> Result<T, Trouble>,
    ) -> Option<Found<T>> {
        let (_, value) = self.entry(key)?;
        self.accept(key, value, read)
    }

    /// Puts the value of a key, where there is a good one, in `place`.
    pub(super) fn set<T>(
        &mut self,
        key: &'static str,
        place: &mut T,
        read: impl FnOnce(&DeValue<'i>) -> Result<T, Trouble>,
    ) {
        if let Some(found) = self.find(key, read) {
            *place = found.value;
        }
    }

    /// The elements of an array of arrays, each read by `read`; each element that is refused is a problem of its own.
    pub(super) fn nested_lists<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&DeValue<'i>) -> Result<T, Trouble>,
    ) -> Vec<Vec<Found<T>>> {
        let Some((_, value)) = self.entry(key) else {
            return Vec::new();
        };
        let Some(outer) = self.list(key, value, NESTED) else {
            return Vec::new();
        };
        let inner = outer
            .iter()
            .filter_map(|inner| self.list(key, inner, "an array of names, as [[\"cart\", \"checkout\"]]"));
        inner
            .map(|names| {
                names
                    .iter()
                    .filter_map(|name| self.accept(key, name, &read))
                    .collect()
            })
            .collect()
    }

    /// The elements of an array, each read by `read`; each element that is refused is a problem of its own.
    pub(super) fn names<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&DeValue<'i>) -> Result<T, Trouble>,
    ) -> Vec<T> {
        let Some((_, value)) = self.entry(key) else {
            return Vec::new();
        };
        let names = self.list(key, value, "an array of names, as [\"orders\", \"letters\"]");
        let names = names.unwrap_or_default().iter();
        names
            .filter_map(|name| self.accept(key, name, &read))
            .map(|found| found.value)
            .collect()
    }

    /// Whether the key is there, with a good value or not.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.iter().any(|(name, _)| name.get_ref() == key)
    }

    /// Reports a problem at a value that was found.
    pub(super) fn refuse<T>(&self, found: &Found<T>, reason: String) {
        self.reader.problems.borrow_mut().push(Problem {
            line: found.line,
            key: found.key.clone(),
            value: found.written.clone(),
            reason,
            nearest: None,
        });
    }

    /// Reports each key that was not asked for.
    pub(super) fn close(&self) {
        for (key, value) in self.table.iter() {
            if self.asked.contains(&key.get_ref().as_ref()) {
                continue;
            }
            let trouble = Trouble {
                reason: format!("no such key; known here: {}", known(&self.asked)),
                nearest: nearest(key.get_ref(), self.asked.iter().copied()).map(str::to_owned),
            };
            let path = self.full(&quoted(key.get_ref()));
            self.reader
                .report(key.span(), path, self.reader.written(value), trouble);
        }
    }

    fn entry(&mut self, key: &'static str) -> Option<(Range<usize>, &'r Spanned<DeValue<'i>>)> {
        self.asked.push(key);
        let (name, value) = self.table.iter().find(|(name, _)| name.get_ref() == key)?;
        Some((name.span(), value))
    }

    fn nested(
        &self,
        key: &str,
        at: Range<usize>,
        value: &'r Spanned<DeValue<'i>>,
    ) -> Option<Section<'r, 'i>> {
        let DeValue::Table(table) = value.get_ref() else {
            let trouble = Trouble::from(format!("expected a table, `[{}]`", self.full(key)));
            self.reader
                .report(at, self.full(key), self.reader.written(value), trouble);
            return None;
        };
        Some(Section {
            reader: self.reader,
            path: self.full(key),
            table,
            asked: Vec::new(),
        })
    }

    fn list(
        &self,
        key: &str,
        value: &'r Spanned<DeValue<'i>>,
        expected: &str,
    ) -> Option<&'r [Spanned<DeValue<'i>>]> {
        let DeValue::Array(list) = value.get_ref() else {
            let trouble = Trouble::from(format!("expected {expected}"));
            self.reader
                .report(value.span(), self.full(key), self.reader.written(value), trouble);
            return None;
        };
        Some(list)
    }

    fn accept<T>(
        &self,
        key: &str,
        value: &Spanned<DeValue<'i>>,
        read: impl FnOnce(&DeValue<'i>) -> Result<T, Trouble>,
    ) -> Option<Found<T>> {
        let written = self.reader.written(value);
        match read(value.get_ref()) {
            Ok(parsed) => Some(Found {
                value: parsed,
                line: self.reader.line(value.span().start),
                key: self.full(key),
                written,
            }),
            Err(trouble) => {
                self.reader.report(value.span(), self.full(key), written, trouble);
                None
            }
        }
    }

    fn full(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }
}

/// Reads a string, by `parse`.
pub(super) fn text<'i, T>(
    parse: impl Fn(&str) -> Result<T, String>,
) -> impl Fn(&DeValue<'i>) -> Result<T, Trouble> {
    move |value| match value {
        DeValue::String(text) => parse(text).map_err(Trouble::from),
        other => Err(Trouble::from(format!(
            "expected a string in quotes, found {}",
            kind(other)
        ))),
    }
}

/// Reads a whole number within a range.
pub(super) fn whole<'i>(range: RangeInclusive<u32>) -> impl Fn(&DeValue<'i>) -> Result<u32, Trouble> {
    move |value| {
        let number = value
            .as_integer()
            .and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok());
        number.filter(|number| range.contains(number)).ok_or_else(|| {
            Trouble::from(format!(
                "expected a whole number, {} to {}",
                range.start(),
                range.end()
            ))
        })
    }
}

/// Reads `true` or `false`.
pub(super) fn yes_or_no(value: &DeValue<'_>) -> Result<bool, Trouble> {
    let expected = || Trouble::from(format!("expected `true` or `false`, found {}", kind(value)));
    value.as_bool().ok_or_else(expected)
}

/// Reads a share, as a fraction from 0 to 1, in millionths.
pub(super) fn share(value: &DeValue<'_>) -> Result<u32, Trouble> {
    let written = match value {
        DeValue::Integer(number) => Some(number.as_str()),
        DeValue::Float(number) => Some(number.as_str()),
        _ => None,
    };
    let share = written.and_then(|text| text.parse::<f64>().ok());
    let share = share.filter(|share| (0.0..=1.0).contains(share));
    share
        .map(|share| (share * 1e6).round() as u32)
        .ok_or_else(|| Trouble::from("expected a share from 0.0 to 1.0".to_owned()))
}

/// Reads one word of a few.
pub(super) fn choice<'i, T: Copy>(
    words: &[(&'static str, T)],
) -> impl Fn(&DeValue<'i>) -> Result<T, Trouble> {
    move |value| {
        let allowed: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let given = value.as_str().unwrap_or_default();
        let chosen = words.iter().find(|(word, _)| *word == given);
        chosen.map(|(_, value)| *value).ok_or_else(|| Trouble {
            reason: format!("expected {}", one_of(&allowed)),
            nearest: nearest(given, allowed.iter().copied()).map(str::to_owned),
        })
    }
}

/// A syntax error in one line. Bare words are read as booleans, which is not what their writer has in mind.
fn syntax(message: &str) -> String {
    let message = message.replace('\n', ", ");
    let hint = if message.contains("boolean") {
        "; text goes in quotes"
    } else {
        ""
    };
    format!("not TOML: {message}{hint}")
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// A key as TOML wants it: in quotes where it is not bare.
fn quoted(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !key.is_empty() && key.chars().all(bare) {
        key.to_owned()
    } else {
        format!("{key:?}")
    }
}

fn known(keys: &[&str]) -> String {
    keys.iter()
        .map(|key| format!("`{key}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn one_of(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("\"{word}\""))
        .collect::<Vec<_>>()
        .join(" or ")
}
