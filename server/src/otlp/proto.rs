//! OTLP in protobuf: the messages of `model` as opentelemetry-proto 1.x numbers their fields.
//!
//! A field that comes twice counts the last time, a list goes on; fields of later versions are skipped.

use protocol::{SpanId, TraceId};

use super::model::{
    AnyValue, Event, KeyValue, Link, Resource, ResourceSpans, Scope, ScopeSpans, Span, Status, TracesData,
};
use super::wire::{Field, Fields, Message};
use super::{Error, budget};

/// Lists within lists of a value.
const DEPTH_MAX: usize = 32;

/// Calls `take` for each field.
fn each<'a>(
    message: &'a [u8],
    mut take: impl FnMut(u32, Field<'a>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut fields = Fields::of(message);
    while let Some((number, field)) = fields.next()? {
        take(number, field)?;
    }
    Ok(())
}

/// A place for a span, a scope or a resource.
fn placed() -> Result<(), Error> {
    if budget::take_span() {
        Ok(())
    } else {
        Err(Error::TooMany)
    }
}

pub(super) fn traces(message: &[u8]) -> Result<TracesData, Error> {
    let mut data = TracesData::default();
    each(message, |number, field| {
        if number == 1 {
            placed()?;
            data.resource_spans.push(resource_spans(field.bytes(1)?)?);
        }
        Ok(())
    })?;
    Ok(data)
}

fn resource_spans(message: &[u8]) -> Result<ResourceSpans, Error> {
    let mut of = ResourceSpans::default();
    each(message, |number, field| {
        match number {
            1 => of.resource = resource(field.bytes(1)?)?,
            2 => {
                placed()?;
                of.scope_spans.push(scope_spans(field.bytes(2)?)?);
            }
            3 => of.schema_url = field.text(3)?.to_owned(),
            _ => {}
        }
        Ok(())
    })?;
    Ok(of)
}

fn resource(message: &[u8]) -> Result<Resource, Error> {
    let mut resource = Resource::default();
    each(message, |number, field| {
        if number == 1 {
            attribute(&mut resource.attributes, field.bytes(1)?)?;
        }
        Ok(())
    })?;
    Ok(resource)
}

fn scope_spans(message: &[u8]) -> Result<ScopeSpans, Error> {
    let mut of = ScopeSpans::default();
    each(message, |number, field| {
        match number {
            1 => of.scope = scope(field.bytes(1)?)?,
            2 => {
                placed()?;
                of.spans.push(span(field.bytes(2)?)?);
            }
            3 => of.schema_url = field.text(3)?.to_owned(),
            _ => {}
        }
        Ok(())
    })?;
    Ok(of)
}

fn scope(message: &[u8]) -> Result<Scope, Error> {
    let mut scope = Scope::default();
    each(message, |number, field| {
        match number {
            1 => scope.name = field.text(1)?.to_owned(),
            2 => scope.version = field.text(2)?.to_owned(),
            _ => {}
        }
        Ok(())
    })?;
    Ok(scope)
}

fn span(message: &[u8]) -> Result<Span, Error> {
    let mut span = Span::default();
    each(message, |number, field| {
        match number {
            1 => span.trace_id = trace_id(field.bytes(1)?),
            2 => span.span_id = span_id(field.bytes(2)?),
            3 => span.trace_state = field.text(3)?.to_owned(),
            4 => span.parent_span_id = span_id(field.bytes(4)?),
            5 => span.name = field.text(5)?.to_owned(),
            6 => span.kind = field.varint(6)?,
            7 => span.start_time_unix_nano = field.fixed64(7)?,
            8 => span.end_time_unix_nano = field.fixed64(8)?,
            9 => attribute(&mut span.attributes, field.bytes(9)?)?,
            10 => span.dropped_attributes_count = count(field, 10)?,
            11 if budget::take_value() => span.events.push(event(field.bytes(11)?)?),
            12 => span.dropped_events_count = count(field, 12)?,
            13 if budget::take_value() => span.links.push(link(field.bytes(13)?)?),
            14 => span.dropped_links_count = count(field, 14)?,
            15 => span.status = status(field.bytes(15)?)?,
            16 => span.flags = field.fixed32(16)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(span)
}

fn count(field: Field<'_>, number: u32) -> Result<u32, Error> {
    Ok(u32::try_from(field.varint(number)?).unwrap_or(u32::MAX))
}

fn trace_id(bytes: &[u8]) -> Option<TraceId> {
    let id = u128::from_be_bytes(bytes.try_into().ok()?);
    (id != 0).then_some(TraceId(id))
}

fn span_id(bytes: &[u8]) -> Option<SpanId> {
    let id = u64::from_be_bytes(bytes.try_into().ok()?);
    (id != 0).then_some(SpanId(id))
}

fn event(message: &[u8]) -> Result<Event, Error> {
    let mut event = Event::default();
    each(message, |number, field| {
        match number {
            1 => event.time_unix_nano = field.fixed64(1)?,
            2 => event.name = field.text(2)?.to_owned(),
            3 => attribute(&mut event.attributes, field.bytes(3)?)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(event)
}

fn link(message: &[u8]) -> Result<Link, Error> {
    let mut link = Link::default();
    each(message, |number, field| {
        match number {
            1 => link.trace_id = trace_id(field.bytes(1)?),
            2 => link.span_id = span_id(field.bytes(2)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(link)
}

fn status(message: &[u8]) -> Result<Status, Error> {
    let mut status = Status::default();
    each(message, |number, field| {
        match number {
            2 => status.message = field.text(2)?.to_owned(),
            3 => status.code = field.varint(3)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(status)
}

fn attribute(to: &mut Vec<KeyValue>, message: &[u8]) -> Result<(), Error> {
    if budget::take_value() {
        to.push(key_value(message, 0)?);
    }
    Ok(())
}

fn key_value(message: &[u8], depth: usize) -> Result<KeyValue, Error> {
    let mut pair = KeyValue::default();
    each(message, |number, field| {
        match number {
            1 => pair.key = field.text(1)?.to_owned(),
            2 => pair.value = any_value(field.bytes(2)?, depth)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(pair)
}

fn any_value(message: &[u8], depth: usize) -> Result<AnyValue, Error> {
    if depth > DEPTH_MAX {
        return Err(Error::TooDeep);
    }
    let mut value = AnyValue::Empty;
    each(message, |number, field| {
        value = match number {
            1 => AnyValue::Text(field.text(1)?.to_owned()),
            2 => AnyValue::Bool(field.varint(2)? != 0),
            3 => AnyValue::Int(field.varint(3)?.cast_signed()),
            4 => AnyValue::Double(f64::from_bits(field.fixed64(4)?)),
            5 => {
                let mut values = Vec::new();
                each(field.bytes(5)?, |number, field| {
                    if number == 1 && budget::take_value() {
                        values.push(any_value(field.bytes(1)?, depth + 1)?);
                    }
                    Ok(())
                })?;
                AnyValue::Array(values)
            }
            6 => {
                let mut values = Vec::new();
                each(field.bytes(6)?, |number, field| {
                    if number == 1 && budget::take_value() {
                        values.push(key_value(field.bytes(1)?, depth + 1)?);
                    }
                    Ok(())
                })?;
                AnyValue::Map(values)
            }
            7 => AnyValue::Bytes(field.bytes(7)?.to_vec()),
            _ => return Ok(()),
        };
        Ok(())
    })?;
    Ok(value)
}

/// A request's or a file's bytes.
pub(super) fn put_traces(to: &mut Message, data: &TracesData) {
    for of in &data.resource_spans {
        to.message(1, |to| {
            to.message(1, |to| put_attributes(to, 1, &of.resource.attributes));
            for scope in &of.scope_spans {
                to.message(2, |to| {
                    to.message(1, |to| {
                        to.text(1, &scope.scope.name);
                        to.text(2, &scope.scope.version);
                    });
                    scope
                        .spans
                        .iter()
                        .for_each(|span| to.message(2, |to| put_span(to, span)));
                    to.text(3, &scope.schema_url);
                });
            }
            to.text(3, &of.schema_url);
        });
    }
}

fn put_span(to: &mut Message, span: &Span) {
    if let Some(id) = span.trace_id {
        to.bytes(1, &id.0.to_be_bytes());
    }
    if let Some(id) = span.span_id {
        to.bytes(2, &id.0.to_be_bytes());
    }
    to.text(3, &span.trace_state);
    if let Some(id) = span.parent_span_id {
        to.bytes(4, &id.0.to_be_bytes());
    }
    to.text(5, &span.name);
    to.varint(6, span.kind);
    to.fixed64(7, span.start_time_unix_nano);
    to.fixed64(8, span.end_time_unix_nano);
    put_attributes(to, 9, &span.attributes);
    to.varint(10, span.dropped_attributes_count.into());
    for event in &span.events {
        to.message(11, |to| {
            to.fixed64(1, event.time_unix_nano);
            to.text(2, &event.name);
            put_attributes(to, 3, &event.attributes);
        });
    }
    to.varint(12, span.dropped_events_count.into());
    for link in &span.links {
        to.message(13, |to| {
            if let Some(id) = link.trace_id {
                to.bytes(1, &id.0.to_be_bytes());
            }
            if let Some(id) = link.span_id {
                to.bytes(2, &id.0.to_be_bytes());
            }
        });
    }
    to.varint(14, span.dropped_links_count.into());
    to.message(15, |to| {
        to.text(2, &span.status.message);
        to.varint(3, span.status.code);
    });
    to.fixed32(16, span.flags);
}

fn put_attributes(to: &mut Message, number: u32, attributes: &[KeyValue]) {
    for pair in attributes {
        to.message(number, |to| put_pair(to, pair));
    }
}

fn put_pair(to: &mut Message, pair: &KeyValue) {
    to.text(1, &pair.key);
    to.message(2, |to| put_value(to, &pair.value));
}

fn put_value(to: &mut Message, value: &AnyValue) {
    match value {
        AnyValue::Empty => {}
        AnyValue::Text(text) => to.bytes(1, text.as_bytes()),
        AnyValue::Bool(value) => to.always(2, u64::from(*value)),
        AnyValue::Int(value) => to.always(3, value.cast_unsigned()),
        AnyValue::Double(value) => to.fixed64(4, value.to_bits()),
        AnyValue::Array(values) => to.message(5, |to| {
            values
                .iter()
                .for_each(|value| to.message(1, |to| put_value(to, value)));
        }),
        AnyValue::Map(values) => to.message(6, |to| put_attributes(to, 1, values)),
        AnyValue::Bytes(bytes) => to.bytes(7, bytes),
    }
}
