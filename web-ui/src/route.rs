//! `Route`: which page an address names, and the address of each page.
//!
//! Promises: `Route::parse(route.path())` gives the route back; an address that names no page is [`Route::Missing`].
//! Not here: the browser's history, which is `app/navigation.rs`.

mod trace_view;

use protocol::api::traces::TraceQuery;
use protocol::{HandlerName, QueueName, SpanId, TraceId};

pub use self::trace_view::{Look, TraceView};
use crate::bill::Sort;
use crate::map::Move;

/// A page, with what its address says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `/`: the map, with a change that is proposed, as of a moment.
    Map(MapAddress),
    /// `/traces`, filtered.
    Traces(TraceQuery),
    /// `/traces/{id}`, with what is seen of it; without, the page begins as it likes.
    Trace(TraceId, Option<Box<TraceView>>),
    /// `/compare?a=…&b=…`: two traces, or two queries of traces.
    Compare(String, String),
    /// `/edges`: the bill, in an order, with one edge opened.
    Edges(EdgesAddress),
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
    /// `/learn`, at a step or where the tour was left.
    Learn(Option<u8>),
    /// Anything else.
    Missing(String),
}

/// What the map's address says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MapAddress {
    /// A change that is proposed.
    pub change: Option<Move>,
    /// The moment that is shown, in ms since the epoch; the present without.
    pub at_unix_ms: Option<u64>,
}

/// What the bill's address says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EdgesAddress {
    /// The order.
    pub sort: Sort,
    /// The edge that is opened: `frontend -> shop:cart/cart`.
    pub open: Option<String>,
}

impl Route {
    /// Reads a path and its query (without `?`).
    pub fn parse(path: &str, query: &str) -> Self {
        let missing = || Self::Missing(path.to_owned());
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        match parts.as_slice() {
            [] => Self::Map(map_address(query)),
            ["traces"] => Self::Traces(trace_query(query)),
            ["traces", id] => match id.parse() {
                Ok(id) => Self::Trace(id, TraceView::parse(query).map(Box::new)),
                Err(_) => missing(),
            },
            ["compare"] => Self::Compare(
                parameter(query, "a").unwrap_or_default(),
                parameter(query, "b").unwrap_or_default(),
            ),
            ["edges"] => Self::Edges(edges_address(query)),
            ["queues"] => Self::Queues,
            ["queues", name] => QueueName::parse(name).map_or_else(|_| missing(), Self::Queue),
            ["handlers"] => Self::Handlers,
            ["handlers", name] => HandlerName::parse(name).map_or_else(|_| missing(), Self::Handler),
            ["nodes"] => Self::Nodes,
            ["learn"] => Self::Learn(None),
            ["learn", step] => step
                .parse()
                .map_or_else(|_| missing(), |step| Self::Learn(Some(step))),
            _ => missing(),
        }
    }

    /// The address, with its query.
    pub fn path(&self) -> String {
        match self {
            Self::Map(address) => with_query("/", &map_parameters(address)),
            Self::Traces(query) => with_query("/traces", &trace_parameters(query)),
            Self::Trace(id, None) => format!("/traces/{id}"),
            Self::Trace(id, Some(view)) => with_query(&format!("/traces/{id}"), &view.parameters()),
            Self::Compare(a, b) => with_query("/compare", &[("a", a.clone()), ("b", b.clone())]),
            Self::Edges(address) => with_query("/edges", &edges_parameters(address)),
            Self::Queues => "/queues".to_owned(),
            Self::Queue(name) => format!("/queues/{name}"),
            Self::Handlers => "/handlers".to_owned(),
            Self::Handler(name) => format!("/handlers/{name}"),
            Self::Nodes => "/nodes".to_owned(),
            Self::Learn(None) => "/learn".to_owned(),
            Self::Learn(Some(step)) => format!("/learn/{step}"),
            Self::Missing(path) => path.clone(),
        }
    }

    /// A trace with one of its spans selected.
    pub fn span(id: TraceId, span: SpanId) -> Self {
        Self::Trace(
            id,
            Some(Box::new(TraceView {
                span: Some(span),
                ..TraceView::default()
            })),
        )
    }

    /// The page's stable name: `data-page`, and the entry of the navigation.
    pub fn page(&self) -> &'static str {
        match self {
            Self::Map(_) => "map",
            Self::Traces(_) => "traces",
            Self::Trace(..) => "trace",
            Self::Compare(..) => "compare",
            Self::Edges(_) => "edges",
            Self::Queues => "queues",
            Self::Queue(_) => "queue",
            Self::Handlers => "handlers",
            Self::Handler(_) => "handler",
            Self::Nodes => "nodes",
            Self::Learn(_) => "learn",
            Self::Missing(_) => "missing",
        }
    }

    /// The entry of the navigation that this page belongs to.
    pub fn section(&self) -> &'static str {
        match self.page() {
            "trace" | "compare" => "traces",
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
    if let Some(status) = &query.status {
        out.push(("status", status.clone()));
    }
    if let Some(placement) = &query.placement {
        out.push(("placement", placement.clone()));
    }
    for (name, number) in [
        ("min_ms", query.min_ms),
        ("max_ms", query.max_ms),
        ("min_us", query.min_us),
        ("max_us", query.max_us),
        ("from", query.from),
        ("to", query.to),
        ("limit", query.limit.map(u64::from)),
    ] {
        out.extend(number.map(|number| (name, number.to_string())));
    }
    if let Some(q) = &query.q {
        out.push(("q", q.clone()));
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

fn map_address(query: &str) -> MapAddress {
    let name = |key| parameter(query, key).and_then(|name| HandlerName::parse(&name).ok());
    MapAddress {
        change: name("move").map(|handler| Move {
            handler,
            with: name("with"),
        }),
        at_unix_ms: parameter(query, "at").and_then(|at| at.parse().ok()),
    }
}

fn map_parameters(address: &MapAddress) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    if let Some(change) = &address.change {
        out.push(("move", change.handler.to_string()));
        out.extend(change.with.iter().map(|with| ("with", with.to_string())));
    }
    out.extend(address.at_unix_ms.map(|at| ("at", at.to_string())));
    out
}

fn edges_address(query: &str) -> EdgesAddress {
    EdgesAddress {
        sort: parameter(query, "sort")
            .and_then(|sort| Sort::parse(&sort))
            .unwrap_or_default(),
        open: parameter(query, "edge").filter(|edge| !edge.is_empty()),
    }
}

fn edges_parameters(address: &EdgesAddress) -> Vec<(&'static str, String)> {
    let sort = (address.sort != Sort::default()).then(|| ("sort", address.sort.word().to_owned()));
    let open = address.open.clone().map(|edge| ("edge", edge));
    sort.into_iter().chain(open).collect()
}

fn trace_query(query: &str) -> TraceQuery {
    let text = |name| parameter(query, name).filter(|text| !text.trim().is_empty());
    let number = |name| parameter(query, name).and_then(|number| number.parse().ok());
    TraceQuery {
        handler: parameter(query, "handler").and_then(|name| HandlerName::parse(&name).ok()),
        edge: text("edge"),
        min_ms: number("min_ms"),
        max_ms: number("max_ms"),
        min_us: number("min_us"),
        max_us: number("max_us"),
        status: text("status").filter(|status| matches!(status.as_str(), "ok" | "error")),
        placement: text("placement"),
        from: number("from"),
        to: number("to"),
        q: text("q"),
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

/// Undoes that; a blank may stand as `+`.
pub fn decode(text: &str) -> String {
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
            max_ms: Some(2_000),
            min_us: Some(20_500),
            max_us: Some(1_999_500),
            placement: Some("apart".to_owned()),
            from: Some(1_790_000_000_000),
            to: Some(1_790_000_060_000),
            q: Some("{ name =~ \"a+b & c\" }".to_owned()),
            status: Some("error".to_owned()),
            ..TraceQuery::default()
        };
        for route in [
            Route::Map(MapAddress::default()),
            Route::Map(MapAddress {
                change: Some(Move {
                    handler: HandlerName::parse("cart").unwrap(),
                    with: Some(HandlerName::parse("frontend").unwrap()),
                }),
                at_unix_ms: Some(1_790_000_000_000),
            }),
            Route::Traces(TraceQuery::default()),
            Route::Traces(query),
            Route::Trace(id, None),
            Route::span(id, SpanId(7)),
            Route::Trace(id, Some(Box::new(trace_view::tests::full()))),
            Route::Compare("4bf9".to_owned(), "placement=apart&min_ms=5".to_owned()),
            Route::Edges(EdgesAddress::default()),
            Route::Edges(EdgesAddress {
                sort: Sort::Bytes,
                open: Some("frontend -> shop:cart/cart".to_owned()),
            }),
            Route::Queues,
            Route::Queue(QueueName::parse("checkout.email").unwrap()),
            Route::Handlers,
            Route::Handler(HandlerName::parse("cart-2").unwrap()),
            Route::Nodes,
            Route::Learn(None),
            Route::Learn(Some(3)),
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
