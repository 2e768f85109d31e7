//! The one table of names: what a span of Cleave is in OpenTelemetry's words, semantic conventions 1.44.
//!
//! The names themselves are constants of `telemetry::fields`; here is what each stands for. `docs/conventions.md` shows
//! this table, and a test holds the three together. A convention that is renamed is a change of one constant and one row.

use crate::telemetry::fields;

/// Which version of the semantic conventions the names are of.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";
/// The scope of spans that Cleave itself recorded: by it they are known again.
pub const SCOPE: &str = "cleave";
/// The value of `rpc.system.name` and `messaging.system`.
pub const SYSTEM: &str = "cleave";
/// The event that a line of log becomes.
pub const LOG_EVENT: &str = "log";
/// The level under which an event that is no line of log is kept.
pub const EVENT_LEVEL: &str = "event";

/// Where a name stands in OTLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// With the resource.
    Resource,
    /// With the span.
    Span,
    /// With an event of the span.
    Event,
    /// Kept with a foreign span, so that it goes out as it came in.
    Kept,
}

/// How far a name can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stability {
    /// OpenTelemetry's, stable.
    Stable,
    /// OpenTelemetry's, a release candidate.
    Candidate,
    /// OpenTelemetry's, in development.
    Development,
    /// Ours.
    Own,
}

/// A name and what it stands for.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The attribute.
    pub name: &'static str,
    /// Where it stands.
    pub place: Place,
    /// How far it can be relied on.
    pub stability: Stability,
    /// What it is in Cleave.
    pub ours: &'static str,
}

const fn row(name: &'static str, place: Place, stability: Stability, ours: &'static str) -> Row {
    Row {
        name,
        place,
        stability,
        ours,
    }
}

use Place::{Event, Kept, Resource, Span};
use Stability::{Candidate, Development, Own, Stable};

/// Every name.
pub const TABLE: &[Row] = &[
    row(
        fields::SERVICE_NAME,
        Resource,
        Stable,
        "`handler`; of a foreign span the text as it came",
    ),
    row(fields::SERVICE_INSTANCE_ID, Resource, Stable, "`node`"),
    row(fields::NODE, Resource, Own, "`node`, where it is read back"),
    row(
        fields::HOST_NAME,
        Resource,
        Development,
        "the node of a foreign span",
    ),
    row(fields::RPC_SYSTEM_NAME, Span, Candidate, "`cleave`, of a call"),
    row(
        fields::RPC_METHOD,
        Span,
        Candidate,
        "`name` of a call: `shop:cart/cart.get-cart`",
    ),
    row(fields::SERVICE_PEER_NAME, Span, Development, "`peer`"),
    row(
        fields::PEER_SERVICE,
        Span,
        Development,
        "the peer of a foreign span, by its older name",
    ),
    row(fields::ERROR_TYPE, Span, Stable, "the code of a failed call"),
    row(
        fields::RESULT,
        Span,
        Own,
        "`err`, where the callee answered with its own error",
    ),
    row(
        fields::HTTP_REQUEST_METHOD,
        Span,
        Stable,
        "the request's method, at the ingress",
    ),
    row(
        fields::HTTP_RESPONSE_STATUS_CODE,
        Span,
        Stable,
        "the answer's status",
    ),
    row(fields::URL_PATH, Span, Stable, "the request's path"),
    row(
        fields::MESSAGING_SYSTEM,
        Span,
        Development,
        "`cleave`, of an enqueue or an attempt",
    ),
    row(
        fields::MESSAGING_OPERATION_TYPE,
        Span,
        Development,
        "`send` or `process`",
    ),
    row(fields::MESSAGING_DESTINATION_NAME, Span, Development, "the queue"),
    row(fields::MESSAGING_MESSAGE_ID, Span, Development, "the message"),
    row(fields::MESSAGE_ATTEMPT, Span, Own, "the attempt's number, from 1"),
    row(
        fields::EDGE,
        Span,
        Own,
        "caller and callee interface: `checkout -> shop:email/email`",
    ),
    row(
        fields::TRANSPORT,
        Span,
        Own,
        "`direct`, `codec`, `uds`, `tcp`, `quic` or `queue`",
    ),
    row(fields::PLACEMENT, Span, Own, "the placement in force"),
    row(
        fields::COLD,
        Span,
        Own,
        "whether an instance was made for the call",
    ),
    row(
        fields::ARGS,
        Span,
        Own,
        "the arguments, base64 of their wire form, where `[traces] arguments` is on",
    ),
    row(fields::ARGS_BYTES, Span, Own, "bytes of the arguments"),
    row(fields::VALUE_BYTES, Span, Own, "bytes of the result"),
    row(
        fields::LOGS_DROPPED,
        Span,
        Own,
        "lines of log, or events, beyond the 64 that a span keeps",
    ),
    row(
        fields::ATTRIBUTES_DROPPED,
        Span,
        Own,
        "attributes that the store left out of a span",
    ),
    row(fields::STAGE_LIFT, Span, Own, "step 1"),
    row(fields::STAGE_SEND, Span, Own, "step 2"),
    row(fields::STAGE_TRAVEL, Span, Own, "steps 3 and 8"),
    row(fields::STAGE_LOWER, Span, Own, "step 9"),
    row(
        fields::STAGE_TOTAL,
        Span,
        Own,
        "steps 4 to 7, as one measured number",
    ),
    row(fields::STAGE_DECODE, Span, Own, "step 4"),
    row(fields::STAGE_WAIT, Span, Own, "step 5"),
    row(fields::STAGE_RUN, Span, Own, "step 6"),
    row(fields::STAGE_OUTGOING, Span, Own, "the callee's own calls"),
    row(fields::STAGE_ENCODE, Span, Own, "step 7"),
    row(fields::LOG_LEVEL, Event, Own, "a line's level"),
    row(fields::LOG_MESSAGE, Event, Own, "the line"),
    row(
        fields::EXCEPTION_TYPE,
        Event,
        Stable,
        "read of an event `exception`",
    ),
    row(
        fields::EXCEPTION_MESSAGE,
        Event,
        Stable,
        "read of an event `exception`",
    ),
    row(
        fields::SCOPE_NAME,
        Kept,
        Stable,
        "the scope; `cleave` itself for our own spans",
    ),
    row(fields::SCOPE_VERSION, Kept, Stable, "the scope's version"),
    row(
        fields::STATUS_CODE,
        Kept,
        Stable,
        "`OK`, where the status said so expressly",
    ),
    row(
        fields::DROPPED_ATTRIBUTES,
        Kept,
        Development,
        "attributes that are missing",
    ),
    row(fields::DROPPED_LINKS, Kept, Development, "links that are missing"),
    row(fields::TRACE_STATE, Kept, Own, "the trace state"),
    row(
        fields::LINK,
        Kept,
        Own,
        "and a number: the second link, the third …",
    ),
    row(
        fields::RESOURCE,
        Kept,
        Own,
        "and a name: an attribute of the resource",
    ),
    row(
        fields::ENDED_EARLY_NS,
        Kept,
        Own,
        "how long before its start it says that it ended",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &str = include_str!("../telemetry/fields.rs");
    const DOCS: &str = include_str!("../../../docs/conventions.md");

    #[test]
    fn every_name_stands_in_the_table_once() {
        let names: Vec<&str> = FIELDS
            .lines()
            .filter_map(|line| line.strip_prefix("pub const ")?.split('"').nth(1))
            .collect();
        assert!(names.len() > 40);
        for name in &names {
            let rows = TABLE.iter().filter(|row| row.name == *name).count();
            assert_eq!(rows, 1, "{name}");
        }
        assert_eq!(names.len(), TABLE.len());
    }

    #[test]
    fn the_document_shows_the_table() {
        let rows: Vec<String> = TABLE
            .iter()
            .map(|row| {
                let place = match row.place {
                    Resource => "resource",
                    Span => "span",
                    Event => "event",
                    Kept => "kept",
                };
                let stability = match row.stability {
                    Stable => "stable",
                    Candidate => "release candidate",
                    Development => "development",
                    Own => "own",
                };
                format!("| `{}` | {place} | {stability} | {} |", row.name, row.ours)
            })
            .collect();
        let shown: Vec<&str> = DOCS.lines().filter(|line| line.starts_with("| `")).collect();
        assert_eq!(
            shown,
            rows,
            "docs/conventions.md should read:\n{}",
            rows.join("\n")
        );
        assert!(DOCS.contains(SCHEMA_URL));
    }
}
