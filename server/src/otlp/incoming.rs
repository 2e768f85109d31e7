//! OTLP as spans: our own read back as they were, foreign ones in our form with all that they said kept beside it.
//!
//! Promises: what a span lacks refuses that span alone, and the reason is told; limits in number and length hold for
//! every field; the names that a store keeps for ever are bounded, so that no sender fills it with them.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::span::{Attribute, CallerStages, Link, Stages, Value};
use protocol::{
    CalleeStages, EdgeName, ErrorCode, HandlerName, NodeName, Span, SpanKind, SpanStatus, Transport,
};

use super::conventions::SCOPE;
use super::model::{self, AnyValue, KeyValue, Resource, Scope, TracesData};
use crate::clock::Clock;
use crate::telemetry::fields;

mod logs;
mod slug;

use slug::slug;

/// Attributes that a foreign span keeps, those of its resource included: OpenTelemetry's own default.
const ATTRIBUTES_MAX: usize = 128;
/// The longest name of an attribute, in bytes.
const KEY_BYTES_MAX: usize = 256;
/// The longest text of an attribute, in bytes; longer ones are cut.
const TEXT_BYTES_MAX: usize = 4_096;
/// The longest name of a span, in bytes; longer ones are cut.
const NAME_BYTES_MAX: usize = 1_024;
/// Links that a span keeps.
const LINKS_MAX: usize = 32;
/// Names of services, hosts, edges and placements that senders may bring until the next start.
const NAMES_MAX: usize = 4_096;
/// How far ahead of ours a sender's clock may be. The store deletes by time, in order: a span of the next century would
/// keep everything behind it.
const AHEAD_NS_MAX: u64 = 24 * 60 * 60 * 1_000_000_000;
/// Reasons that one answer names.
const REASONS_MAX: usize = 3;

/// What became of a body.
#[derive(Debug, Default)]
pub struct Taken {
    /// The spans that fit.
    pub spans: Vec<Span>,
    /// How many did not.
    pub refused: u64,
    /// Why, for the first of them.
    pub reasons: Vec<String>,
}

/// Turns what senders say into spans.
#[derive(Debug)]
pub struct Intake {
    clock: Clock,
    names: Mutex<HashSet<Box<str>>>,
}

impl Intake {
    /// An intake that has met nobody yet.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            names: Mutex::default(),
        }
    }

    /// The spans of a body.
    pub fn take(&self, data: &TracesData) -> Taken {
        let latest_ns = self.clock.unix_ns().saturating_add(AHEAD_NS_MAX);
        let mut taken = Taken::default();
        for (resource, scope, span) in data.spans() {
            match self.one(resource, scope, span, latest_ns) {
                Ok(span) => taken.spans.push(span),
                Err(reason) => {
                    taken.refused += 1;
                    if taken.reasons.len() < REASONS_MAX && !taken.reasons.iter().any(|known| known == reason)
                    {
                        taken.reasons.push(reason.to_owned());
                    }
                }
            }
        }
        taken
    }

    fn one(
        &self,
        resource: &Resource,
        scope: &Scope,
        span: &model::Span,
        latest_ns: u64,
    ) -> Result<Span, &'static str> {
        let trace_id = span
            .trace_id
            .ok_or("a span has no trace id of 16 bytes that are not all zero")?;
        let span_id = span
            .span_id
            .ok_or("a span has no id of 8 bytes that are not all zero")?;
        let start_unix_ns = span.start_time_unix_nano;
        if start_unix_ns == 0 {
            return Err("a span has no start");
        }
        if start_unix_ns > latest_ns || span.end_time_unix_nano > i64::MAX as u64 {
            return Err("a span begins more than a day ahead of this machine's clock");
        }
        let is_ours = scope.name == SCOPE;
        let service = text_of(&resource.attributes, fields::SERVICE_NAME).unwrap_or_default();
        let handler = self.handler(service, is_ours);
        let node = self.node(resource, &handler);
        let mut out = Span {
            trace_id,
            span_id,
            parent_id: span.parent_span_id.filter(|parent| *parent != span_id),
            kind: kind(span.kind),
            handler,
            node,
            name: cut(&span.name, NAME_BYTES_MAX).into(),
            start_unix_ns,
            duration_ns: span.end_time_unix_nano.saturating_sub(start_unix_ns),
            status: SpanStatus::Ok,
            peer: None,
            transport: None,
            cold: None,
            stages: None,
            link: None,
            attributes: Vec::new(),
            logs: Vec::new(),
        };
        if is_ours {
            self.own(&mut out, span);
        } else {
            self.foreign(&mut out, (resource, scope, service), span);
        }
        Ok(out)
    }

    /// The same word if it is known or there is room for it.
    fn admits(&self, word: &str) -> bool {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.contains(word) {
            return true;
        }
        let has_room = names.len() < NAMES_MAX;
        if has_room {
            names.insert(word.into());
        }
        has_room
    }

    fn handler(&self, service: &str, is_ours: bool) -> HandlerName {
        let own = HandlerName::parse(service)
            .ok()
            .filter(|name| is_ours || !name.is_reserved());
        let name = own.unwrap_or_else(|| {
            HandlerName::parse(&slug(service, "service")).expect("a slug is a handler's name")
        });
        if self.admits(name.as_str()) {
            name
        } else {
            HandlerName::parse("other").expect("`other` is a name")
        }
    }

    /// The node: ours by its name, a foreign one by its host, else by its service, whose clock it shares.
    fn node(&self, resource: &Resource, handler: &HandlerName) -> NodeName {
        let own = text_of(&resource.attributes, fields::NODE).and_then(|node| NodeName::parse(node).ok());
        let node = own.or_else(|| {
            let host = text_of(&resource.attributes, fields::HOST_NAME)?;
            let node = NodeName::parse(&slug(host, "host")).expect("a slug is a node's name");
            Some(if node == NodeName::home() {
                NodeName::parse("host-home").ok()?
            } else {
                node
            })
        });
        let node = node.filter(|node| self.admits(node.as_str()));
        node.unwrap_or_else(|| NodeName::parse(handler.as_str()).expect("a handler's name is a node's"))
    }

    /// A span that we recorded: fields come back out of the attributes.
    fn own(&self, out: &mut Span, span: &model::Span) {
        let text = |key| text_of(&span.attributes, key);
        out.status = match span.status.code {
            2 => {
                let code = ErrorCode::ALL
                    .into_iter()
                    .find(|code| text(fields::ERROR_TYPE) == Some(code.as_str()));
                failed(code.unwrap_or(ErrorCode::Internal), &span.status.message)
            }
            _ if text(fields::RESULT) == Some("err") => SpanStatus::Err,
            _ => SpanStatus::Ok,
        };
        let peer = text(fields::SERVICE_PEER_NAME).and_then(|peer| HandlerName::parse(peer).ok());
        out.peer = peer.filter(|peer| self.admits(peer.as_str()));
        let way = text(fields::TRANSPORT);
        out.transport = Transport::ALL
            .into_iter()
            .find(|transport| way == Some(transport.word()));
        out.cold = span.attributes.iter().find_map(|pair| match pair.value {
            AnyValue::Bool(cold) if pair.key == fields::COLD => Some(cold),
            _ => None,
        });
        out.stages = stages(&span.attributes);
        out.link = first_link(span);
        let kept = span
            .attributes
            .iter()
            .filter(|pair| !GENERATED.contains(&pair.key.as_str()));
        let kept = kept.filter(|pair| self.may_be_a_word(pair));
        out.attributes = kept
            .take(ATTRIBUTES_MAX)
            .filter_map(|pair| attribute("", pair))
            .collect();
        let (logs, _) = logs::logs(&span.events, out.start_unix_ns);
        out.logs = logs;
    }

    /// Edge and placement are words of the store.
    fn may_be_a_word(&self, pair: &KeyValue) -> bool {
        match (pair.key.as_str(), &pair.value) {
            (fields::EDGE, AnyValue::Text(edge)) => edge.parse::<EdgeName>().is_ok() && self.admits(edge),
            (fields::PLACEMENT, AnyValue::Text(placement)) => placement.len() < 256 && self.admits(placement),
            _ => true,
        }
    }

    /// A span that somebody else recorded: everything that has no field of ours stays beside it.
    fn foreign(&self, out: &mut Span, of: (&Resource, &Scope, &str), span: &model::Span) {
        let (resource, scope, service) = of;
        let mut kept = vec![plain(fields::SCOPE_NAME, text_value(&scope.name))];
        if !scope.version.is_empty() {
            kept.push(plain(fields::SCOPE_VERSION, text_value(&scope.version)));
        }
        if service != out.handler.as_str() {
            kept.push(plain(fields::SERVICE_NAME, text_value(service)));
        }
        out.status = match span.status.code {
            2 => failed(ErrorCode::Internal, &span.status.message),
            1 => {
                kept.push(plain(fields::STATUS_CODE, text_value("OK")));
                SpanStatus::Ok
            }
            _ => SpanStatus::Ok,
        };
        let peers = [fields::SERVICE_PEER_NAME, fields::PEER_SERVICE];
        let peer = peers.iter().find_map(|key| text_of(&span.attributes, key));
        out.peer = peer.map(|peer| self.handler(peer, false));
        out.link = first_link(span);
        if !span.trace_state.is_empty() {
            kept.push(plain(fields::TRACE_STATE, text_value(&span.trace_state)));
        }
        let early = out.start_unix_ns.saturating_sub(span.end_time_unix_nano);
        if early > 0 && span.end_time_unix_nano > 0 {
            kept.push(plain(fields::ENDED_EARLY_NS, Value::Int(early.cast_signed())));
        }
        let mut count = |key: &'static str, dropped: u64| {
            if dropped > 0 {
                kept.push(plain(key, Value::Int(dropped.min(u32::MAX.into()).cast_signed())));
            }
        };
        let (logs, dropped) = logs::logs(&span.events, out.start_unix_ns);
        out.logs = logs;
        count(
            fields::LOGS_DROPPED,
            dropped + u64::from(span.dropped_events_count),
        );
        let links = span
            .links
            .iter()
            .filter(|link| link.trace_id.is_some() && link.span_id.is_some());
        let links: Vec<_> = links.skip(1).collect();
        let dropped = links.len().saturating_sub(LINKS_MAX - 1) as u64;
        count(
            fields::DROPPED_LINKS,
            dropped + u64::from(span.dropped_links_count),
        );
        for (at, link) in links.iter().take(LINKS_MAX - 1).enumerate() {
            if let (Some(trace), Some(span)) = (link.trace_id, link.span_id) {
                kept.push((
                    format!("{}{}", fields::LINK, at + 1).into(),
                    text_value(&format!("{trace}-{span}")),
                ));
            }
        }
        let of_resource = resource
            .attributes
            .iter()
            .filter(|pair| ![fields::SERVICE_NAME, fields::NODE].contains(&pair.key.as_str()));
        let of_resource = of_resource.filter_map(|pair| attribute(fields::RESOURCE, pair));
        let own = span.attributes.iter().filter(|pair| !is_kept_word(&pair.key));
        let own = own.filter_map(|pair| attribute("", pair));
        let given = resource.attributes.iter().chain(&span.attributes);
        let given = given
            .filter(|pair| ![fields::SERVICE_NAME, fields::NODE].contains(&pair.key.as_str()))
            .count();
        let attributes: Vec<Attribute> = own.chain(of_resource).take(ATTRIBUTES_MAX).collect();
        let dropped =
            given.saturating_sub(attributes.len()) as u64 + u64::from(span.dropped_attributes_count);
        if dropped > 0 {
            let dropped = dropped.min(u32::MAX.into()).cast_signed();
            kept.push(plain(fields::DROPPED_ATTRIBUTES, Value::Int(dropped)));
        }
        kept.extend(attributes);
        out.attributes = kept;
    }
}

/// The handler that stands for a service, whatever its name: itself, or a slug of it.
pub fn service_name(service: &str) -> HandlerName {
    HandlerName::parse(service).unwrap_or_else(|_| {
        HandlerName::parse(&slug(service, "service")).expect("a slug is a handler's name")
    })
}

/// Names that mean something here and that a foreign span may therefore not have: they count as left out.
fn is_kept_word(key: &str) -> bool {
    let exact = [
        fields::EDGE,
        fields::PLACEMENT,
        fields::SERVICE_NAME,
        fields::NODE,
        fields::SCOPE_NAME,
        fields::SCOPE_VERSION,
        fields::STATUS_CODE,
        fields::DROPPED_ATTRIBUTES,
        fields::DROPPED_LINKS,
        fields::LOGS_DROPPED,
        fields::TRACE_STATE,
        fields::ENDED_EARLY_NS,
    ];
    exact.contains(&key) || key.starts_with(fields::LINK) || key.starts_with(fields::RESOURCE)
}

/// What `outgoing` makes of fields, and no attribute of a span of ours has.
const GENERATED: [&str; 19] = [
    fields::RPC_SYSTEM_NAME,
    fields::RPC_METHOD,
    fields::MESSAGING_SYSTEM,
    fields::MESSAGING_OPERATION_TYPE,
    fields::SERVICE_PEER_NAME,
    fields::TRANSPORT,
    fields::COLD,
    fields::RESULT,
    fields::ERROR_TYPE,
    fields::STAGE_LIFT,
    fields::STAGE_SEND,
    fields::STAGE_TRAVEL,
    fields::STAGE_LOWER,
    fields::STAGE_TOTAL,
    fields::STAGE_DECODE,
    fields::STAGE_WAIT,
    fields::STAGE_RUN,
    fields::STAGE_OUTGOING,
    fields::STAGE_ENCODE,
];

fn kind(number: u64) -> SpanKind {
    match number {
        2 => SpanKind::Server,
        3 => SpanKind::Client,
        4 => SpanKind::Producer,
        5 => SpanKind::Consumer,
        _ => SpanKind::Internal,
    }
}

fn failed(code: ErrorCode, message: &str) -> SpanStatus {
    SpanStatus::Failed {
        code,
        message: cut(message, TEXT_BYTES_MAX).to_owned(),
    }
}

fn first_link(span: &model::Span) -> Option<Link> {
    span.links.iter().find_map(|link| {
        Some(Link {
            trace_id: link.trace_id?,
            span_id: link.span_id?,
        })
    })
}

fn stages(attributes: &[KeyValue]) -> Option<Stages> {
    let ns = |key| {
        attributes.iter().find_map(|pair| match pair.value {
            AnyValue::Int(ns) if pair.key == key => u64::try_from(ns).ok(),
            _ => None,
        })
    };
    let callee = CalleeStages {
        total: ns(fields::STAGE_TOTAL)?,
        decode: ns(fields::STAGE_DECODE)?,
        wait: ns(fields::STAGE_WAIT)?,
        run: ns(fields::STAGE_RUN)?,
        outgoing: ns(fields::STAGE_OUTGOING)?,
        encode: ns(fields::STAGE_ENCODE)?,
    };
    let caller = || {
        Some(CallerStages {
            lift: ns(fields::STAGE_LIFT)?,
            send: ns(fields::STAGE_SEND)?,
            travel: ns(fields::STAGE_TRAVEL)?,
            lower: ns(fields::STAGE_LOWER)?,
            callee,
        })
    };
    Some(caller().map_or(Stages::Callee(callee), Stages::Caller))
}

fn text_of<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    attributes.iter().find_map(|pair| match &pair.value {
        AnyValue::Text(text) if pair.key == key => Some(text.as_str()),
        _ => None,
    })
}

fn plain(key: &'static str, value: Value) -> Attribute {
    (Cow::Borrowed(key), value)
}

fn text_value(text: &str) -> Value {
    Value::Text(Arc::from(cut(text, TEXT_BYTES_MAX)))
}

/// An attribute as we keep it; one without a name, or with too long a one, is none. Lists, maps and bytes are kept as
/// the JSON that OTLP writes them in.
fn attribute(prefix: &'static str, pair: &KeyValue) -> Option<Attribute> {
    if pair.key.is_empty() || pair.key.len() > KEY_BYTES_MAX {
        return None;
    }
    let value = match &pair.value {
        AnyValue::Empty => return None,
        AnyValue::Text(text) => text_value(text),
        AnyValue::Bool(value) => Value::Bool(*value),
        AnyValue::Int(value) => Value::Int(*value),
        AnyValue::Double(value) if value.is_finite() => Value::Float(*value),
        // JSON has no word for it.
        AnyValue::Double(value) => text_value(&value.to_string()),
        other => match logs::readable(other) {
            serde_json::Value::String(text) => text_value(&text),
            json => text_value(&json.to_string()),
        },
    };
    Some((format!("{prefix}{}", pair.key).into(), value))
}

/// The beginning of a text, in whole characters.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}
