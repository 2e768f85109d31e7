//! `Route`: which page an address names, and the address of each page.
//!
//! Promises: `Route::parse(route.path())` gives the route back; an address that names no page is [`Route::Missing`].
//! Not here: the browser's history, which is `app/navigation.rs`.

use protocol::api::traces::TraceQuery;
use protocol::{HandlerName, QueueName, SpanId, TraceId};

/// A page, with what its address says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `/`: the map.
    Map,
    /// `/traces`, filtered.
    Traces(TraceQuery),
    /// `/traces/{id}`, with the selected span.
    Trace(TraceId, Option<SpanId>),
    /// `/edges`
    Edges,
    /// `/queues`
    Queues,
    /// `/queues/{name}`
    Queue(QueueName),
    /// `/handlers`
    Handlers,
    /// `/handlers/{name}`
    Handler(HandlerName),
    /// `/nodes`
    Nodes,
    /// Anything else.
    Missing(String),
}

impl Route {
    /// Reads a path and its query (without `?`).
    pub fn parse(path: &str, query: &str) -> Self {
        let missing = || Self::Missing(path.to_owned());
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        match parts.as_slice() {
            [] => Self::Map,
            ["traces"] => Self::Traces(trace_query(query)),
            ["traces", id] => match id.parse() {
                Ok(id) => Self::Trace(id, parameter(query, "span").and_then(|span| span.parse().ok())),
                Err(_) => missing(),
            },
            ["edges"] => Self::Edges,
            ["queues"] => Self::Queues,
            ["queues", name] => QueueName::parse(name).map_or_else(|_| missing(), Self::Queue),
            ["handlers"] => Self::Handlers,
            ["handlers", name] => HandlerName::parse(name).map_or_else(|_| missing(), Self::Handler),
            ["nodes"] => Self::Nodes,
            _ => missing(),
        }
    }

    /// The address, with its query.
    pub fn path(&self) -> String {
        match self {
            Self::Map => "/".to_owned(),
            Self::Traces(query) => with_query("/traces", &trace_parameters(query)),
            Self::Trace(id, None) => format!("/traces/{id}"),
            Self::Trace(id, Some(span)) => format!("/traces/{id}?span={span}"),
            Self::Edges => "/edges".to_owned(),
            Self::Queues => "/queues".to_owned(),
            Self::Queue(name) => format!("/queues/{name}"),
            Self::Handlers => "/handlers".to_owned(),
            Self::Handler(name) => format!("/handlers/{name}"),
            Self::Nodes => "/nodes".to_owned(),
            Self::Missing(path) => path.clone(),
        }
    }

    /// The page's stable name: `data-page`, and the entry of the navigation.
    pub fn page(&self) -> &'static str {
        match self {
            Self::Map => "map",
            Self::Traces(_) => "traces",
            Self::Trace(..) => "trace",
            Self::Edges => "edges",
            Self::Queues => "queues",
            Self::Queue(_) => "queue",
            Self::Handlers => "handlers",
            Self::Handler(_) => "handler",
            Self::Nodes => "nodes",
            Self::Missing(_) => "missing",
        }
    }

    /// The entry of the navigation that this page belongs to.
    pub fn section(&self) -> &'static str {
        match self.page() {
            "trace" => "traces",
            "queue" => "queues",
            "handler" => "handlers",
            page => page,
        }
    }
}

/// The parameters of a query of traces, in a fixed order.
pub fn trace_parameters(query: &TraceQuery) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    if let Some(handler) = &query.handler {
        out.push(("handler", handler.to_string()));
    }
    if let Some(edge) = &query.edge {
        out.push(("edge", edge.clone()));
    }
    if let Some(min_ms) = query.min_ms {
        out.push(("min_ms", min_ms.to_string()));
    }
    if let Some(status) = &query.status {
        out.push(("status", status.clone()));
    }
    if let Some(limit) = query.limit {
        out.push(("limit", limit.to_string()));
    }
    if let Some(before) = &query.before {
        out.push(("before", before.clone()));
    }
    out
}

/// Joins a path and parameters.
pub fn with_query(path: &str, parameters: &[(&str, String)]) -> String {
    let mut out = path.to_owned();
    for (index, (name, value)) in parameters.iter().enumerate() {
        out.push(if index == 0 { '?' } else { '&' });
        out.push_str(name);
        out.push('=');
        out.push_str(&encode(value));
    }
    out
}

fn trace_query(query: &str) -> TraceQuery {
    TraceQuery {
        handler: parameter(query, "handler").and_then(|name| HandlerName::parse(&name).ok()),
        edge: parameter(query, "edge").filter(|edge| !edge.is_empty()),
        min_ms: parameter(query, "min_ms").and_then(|ms| ms.parse().ok()),
        status: parameter(query, "status").filter(|status| matches!(status.as_str(), "ok" | "error")),
        ..TraceQuery::default()
    }
}

fn parameter(query: &str, name: &str) -> Option<String> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| decode(value))
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = tail;
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(address: &str) -> Route {
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        Route::parse(path, query)
    }

    #[test]
    fn every_route_survives_its_address() {
        let id = TraceId(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        let query = TraceQuery {
            handler: Some(HandlerName::parse("checkout").unwrap()),
            edge: Some("checkout -> shop:email/email".to_owned()),
            min_ms: Some(20),
            status: Some("error".to_owned()),
            ..TraceQuery::default()
        };
        for route in [
            Route::Map,
            Route::Traces(TraceQuery::default()),
            Route::Traces(query),
            Route::Trace(id, None),
            Route::Trace(id, Some(SpanId(7))),
            Route::Edges,
            Route::Queues,
            Route::Queue(QueueName::parse("checkout.email").unwrap()),
            Route::Handlers,
            Route::Handler(HandlerName::parse("cart-2").unwrap()),
            Route::Nodes,
            Route::Missing("/nowhere/at/all".to_owned()),
        ] {
            assert_eq!(parse(&route.path()), route, "{}", route.path());
        }
    }

    #[test]
    fn bad_names_are_missing_pages_and_bad_filters_are_left_out() {
        assert_eq!(parse("/traces/xyz"), Route::Missing("/traces/xyz".to_owned()));
        assert_eq!(parse("/handlers/Not%20OK").page(), "missing");
        assert_eq!(
            parse("/traces?min_ms=many&status=odd&handler=%FF"),
            Route::Traces(TraceQuery::default())
        );
    }

    #[test]
    fn encoding_is_undone_by_decoding() {
        for text in ["a -> b:c/d", "100 %", "ü+&=?", "", "%"] {
            assert_eq!(decode(&encode(text)), text);
        }
        assert_eq!(decode("a+b%2"), "a b%2");
    }
}
