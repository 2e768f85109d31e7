//! `Field`: what a query can ask about, by its name and what it compares with.

use std::fmt;

/// Something of a span, or of its trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field {
    /// What every span or trace has a place for.
    Known(Column),
    /// An attribute, by its key.
    Attribute(String),
}

/// What every span, or trace, has a place for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Name,
    Handler,
    Node,
    Peer,
    Edge,
    Duration,
    Status,
    Kind,
    Transport,
    Cold,
    Message,
    Log,
    Placement,
    RootName,
    RootHandler,
    RootDuration,
    RootStatus,
    TraceDuration,
    TraceSpans,
    TraceErrors,
}

/// What a field's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Text,
    Duration,
    Number,
    Bool,
    /// One of these words.
    Words(&'static [&'static str]),
    /// An attribute's: anything.
    Any,
}

pub(super) const STATUSES: &[&str] = &["ok", "err", "error"];
/// In the order of [`protocol::SpanKind`].
pub(crate) const KINDS: &[&str] = &["internal", "server", "client", "producer", "consumer"];
const TRANSPORTS: &[&str] = &["direct", "quic", "queue", "codec", "uds", "tcp"];
const PLACEMENTS: &[&str] = &["together", "apart", "groups"];

/// Each column by its names; it is printed by the first. The others are TraceQL's and OpenTelemetry's.
const NAMES: [(Column, &[&str]); 20] = [
    (Column::Name, &["name", "span:name", "function"]),
    (Column::Handler, &["handler", "service.name", "service"]),
    (Column::Node, &["node"]),
    (Column::Peer, &["peer"]),
    (Column::Edge, &["edge", "cleave.edge"]),
    (Column::Duration, &["duration", "span:duration"]),
    (Column::Status, &["status", "span:status"]),
    (Column::Kind, &["kind", "span:kind"]),
    (Column::Transport, &["transport"]),
    (Column::Cold, &["cold"]),
    (
        Column::Message,
        &["message", "statusMessage", "span:statusMessage"],
    ),
    (Column::Log, &["log", "event:name"]),
    (Column::Placement, &["placement", "cleave.placement"]),
    (Column::RootName, &["root.name", "rootName", "trace:rootName"]),
    (
        Column::RootHandler,
        &["root.handler", "rootServiceName", "trace:rootService"],
    ),
    (Column::RootDuration, &["root.duration"]),
    (Column::RootStatus, &["root.status"]),
    (
        Column::TraceDuration,
        &["trace.duration", "traceDuration", "trace:duration"],
    ),
    (Column::TraceSpans, &["trace.spans"]),
    (Column::TraceErrors, &["trace.errors"]),
];

impl Field {
    /// The field of a name; a name with a point in front, or below `span.`, is an attribute's key, and so is one below
    /// `resource.`, whole, as the resource's attributes of foreign spans are kept.
    pub(super) fn of(name: &str) -> Option<Self> {
        let known = NAMES.iter().find(|(_, names)| names.contains(&name));
        if let Some((column, _)) = known {
            return Some(Self::Known(*column));
        }
        let key = [".", "span.", "attr."]
            .into_iter()
            .find_map(|scope| name.strip_prefix(scope))
            .or_else(|| name.starts_with("resource.").then_some(name))?;
        // What stands in a column is no attribute of its own.
        match key {
            "" | "resource." => None,
            "service.name" | "resource.service.name" => Some(Self::Known(Column::Handler)),
            "cleave.node" | "resource.cleave.node" => Some(Self::Known(Column::Node)),
            "cleave.edge" => Some(Self::Known(Column::Edge)),
            "cleave.placement" => Some(Self::Known(Column::Placement)),
            "cleave.transport" => Some(Self::Known(Column::Transport)),
            "cleave.cold" => Some(Self::Known(Column::Cold)),
            _ => Some(Self::Attribute(key.to_owned())),
        }
    }

    pub(super) fn level(&self) -> Level {
        let Self::Known(column) = self else {
            return Level::Any;
        };
        match column {
            Column::Duration | Column::RootDuration | Column::TraceDuration => Level::Duration,
            Column::Status | Column::RootStatus => Level::Words(STATUSES),
            Column::Kind => Level::Words(KINDS),
            Column::Transport => Level::Words(TRANSPORTS),
            Column::Placement => Level::Words(PLACEMENTS),
            Column::Cold => Level::Bool,
            Column::TraceSpans | Column::TraceErrors => Level::Number,
            Column::Name
            | Column::Handler
            | Column::Node
            | Column::Peer
            | Column::Edge
            | Column::Message
            | Column::Log
            | Column::RootName
            | Column::RootHandler => Level::Text,
        }
    }

    /// Names that a person may have meant.
    pub(super) fn nearest(name: &str) -> Option<&'static str> {
        let names = NAMES.iter().filter_map(|(_, names)| names.first().copied());
        protocol::nearest(name, names)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(column) => {
                let names = NAMES.iter().find(|(known, _)| known == column);
                f.write_str(names.map_or("", |(_, names)| names[0]))
            }
            Self::Attribute(key) => {
                f.write_str("attr.")?;
                super::quoted(f, key)
            }
        }
    }
}
