//! What OTLP says of traces, as plain data: the same for protobuf and JSON, in and out.
//!
//! Only what Cleave reads or writes is here; other fields are skipped where they are read. Ids that are not of their form
//! are `None`, so that one bad span does not refuse its batch. Not here: bytes (`proto`, `json`), meaning (`incoming`,
//! `outgoing`).

use protocol::{SpanId, TraceId};
use serde::{Deserialize, Serialize};

use super::json;

/// A request's body, and a file's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TracesData {
    /// Spans by who made them.
    #[serde(deserialize_with = "json::list")]
    pub resource_spans: Vec<ResourceSpans>,
}

/// The spans of one process, say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceSpans {
    /// Who made them.
    #[serde(deserialize_with = "json::or_default")]
    pub resource: Resource,
    /// By library.
    #[serde(deserialize_with = "json::list")]
    pub scope_spans: Vec<ScopeSpans>,
    /// Which names the resource's attributes have.
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "json::or_default"
    )]
    pub schema_url: String,
}

/// Who made spans.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resource {
    /// What is known of it.
    #[serde(deserialize_with = "json::attributes")]
    pub attributes: Vec<KeyValue>,
}

/// The spans of one library.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScopeSpans {
    /// The library.
    #[serde(deserialize_with = "json::or_default")]
    pub scope: Scope,
    /// The spans.
    #[serde(deserialize_with = "json::list")]
    pub spans: Vec<Span>,
    /// Which names the spans' attributes have.
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "json::or_default"
    )]
    pub schema_url: String,
}

/// A library.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Scope {
    /// Its name.
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "json::or_default"
    )]
    pub name: String,
    /// Its version.
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "json::or_default"
    )]
    pub version: String,
}

/// A span.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Span {
    /// Its trace.
    #[serde(with = "json::id")]
    pub trace_id: Option<TraceId>,
    /// Itself.
    #[serde(with = "json::id")]
    pub span_id: Option<SpanId>,
    /// W3C's trace state.
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "json::or_default"
    )]
    pub trace_state: String,
    /// Its parent.
    #[serde(with = "json::id", skip_serializing_if = "Option::is_none")]
    pub parent_span_id: Option<SpanId>,
    /// W3C's flags in the low byte.
    #[serde(skip_serializing_if = "json::is_zero", deserialize_with = "json::or_default")]
    pub flags: u32,
    /// Its name.
    #[serde(deserialize_with = "json::or_default")]
    pub name: String,
    /// 0 not said, 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    #[serde(deserialize_with = "json::number")]
    pub kind: u64,
    /// Since the Unix epoch.
    #[serde(with = "json::whole")]
    pub start_time_unix_nano: u64,
    /// Since the Unix epoch.
    #[serde(with = "json::whole")]
    pub end_time_unix_nano: u64,
    /// What is known of it.
    #[serde(deserialize_with = "json::attributes")]
    pub attributes: Vec<KeyValue>,
    /// How many attributes are missing.
    #[serde(skip_serializing_if = "json::is_zero", deserialize_with = "json::or_default")]
    pub dropped_attributes_count: u32,
    /// What happened meanwhile.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "json::events")]
    pub events: Vec<Event>,
    /// How many events are missing.
    #[serde(skip_serializing_if = "json::is_zero", deserialize_with = "json::or_default")]
    pub dropped_events_count: u32,
    /// Spans of other traces.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "json::links")]
    pub links: Vec<Link>,
    /// How many links are missing.
    #[serde(skip_serializing_if = "json::is_zero", deserialize_with = "json::or_default")]
    pub dropped_links_count: u32,
    /// How it ended.
    #[serde(deserialize_with = "json::or_default")]
    pub status: Status,
}

/// Something that happened during a span.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Event {
    /// Since the Unix epoch.
    #[serde(with = "json::whole")]
    pub time_unix_nano: u64,
    /// What.
    #[serde(deserialize_with = "json::or_default")]
    pub name: String,
    /// More of it.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "json::attributes")]
    pub attributes: Vec<KeyValue>,
}

/// A span of another trace.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Link {
    /// The trace.
    #[serde(with = "json::id")]
    pub trace_id: Option<TraceId>,
    /// The span.
    #[serde(with = "json::id")]
    pub span_id: Option<SpanId>,
}

/// How a span ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// Why it failed.
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "json::or_default"
    )]
    pub message: String,
    /// 0 not said, 1 ok, 2 error.
    #[serde(skip_serializing_if = "json::is_none", deserialize_with = "json::number")]
    pub code: u64,
}

/// An attribute.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyValue {
    /// Its name.
    #[serde(deserialize_with = "json::or_default")]
    pub key: String,
    /// Its value.
    pub value: AnyValue,
}

/// An attribute's value.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum AnyValue {
    /// None.
    #[default]
    Empty,
    /// Text.
    Text(String),
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A fraction.
    Double(f64),
    /// A list.
    Array(Vec<AnyValue>),
    /// A map.
    Map(Vec<KeyValue>),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl KeyValue {
    /// An attribute of text.
    pub fn text(key: &str, value: impl Into<String>) -> Self {
        Self {
            key: key.to_owned(),
            value: AnyValue::Text(value.into()),
        }
    }

    /// An attribute of a number.
    pub fn int(key: &str, value: u64) -> Self {
        Self {
            key: key.to_owned(),
            value: AnyValue::Int(i64::try_from(value).unwrap_or(i64::MAX)),
        }
    }
}

impl TracesData {
    /// Every span, with its resource and scope.
    pub fn spans(&self) -> impl Iterator<Item = (&Resource, &Scope, &Span)> {
        self.resource_spans.iter().flat_map(|of| {
            let scopes = of.scope_spans.iter();
            scopes.flat_map(move |scope| {
                scope
                    .spans
                    .iter()
                    .map(move |span| (&of.resource, &scope.scope, span))
            })
        })
    }
}
