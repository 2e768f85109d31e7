//! The rest of a block: what only a look at one span needs.
//!
//! `texts · length of each span's record · records`. A record has, as far as the head says that it is there: a failure's
//! code and message; attributes, each a key and a value; log lines, each a time after the span's start, a level and a
//! message; the link; the steps. Texts are places in the block's dictionary.

use std::sync::Arc;

use protocol::span::{Attribute, CallerStages, Link, Log, Stages, Value};
use protocol::{CalleeStages, ErrorCode, HandlerName, NodeName, Span, SpanId, SpanStatus, TraceId};
use rustc_hash::FxHashMap;

use super::Numbers;
use super::bytes::{Damage, Dictionary, Reader, put, put_signed};
use super::head::{Head, flag};
use crate::telemetry::fields;

const PART: &str = "its rest";

const TEXT: u8 = 0;
const INT: u8 = 1;
const FLOAT: u8 = 2;
const NO: u8 = 3;
const YES: u8 = 4;

/// Whether an attribute is a word of the store, and so stands in the head.
pub(super) fn is_word((key, value): &Attribute) -> bool {
    matches!(value, Value::Text(_)) && [fields::EDGE, fields::PLACEMENT].contains(&key.as_ref())
}

pub(super) fn pack(spans: &[(&Span, Numbers)]) -> Vec<u8> {
    let mut texts = Dictionary::default();
    let mut records = Vec::with_capacity(spans.len() * 40);
    let mut lengths = Vec::with_capacity(spans.len());
    for (span, _) in spans {
        let before = records.len();
        record(&mut records, span, &mut texts);
        put(&mut lengths, (records.len() - before) as u64);
    }
    let mut out = Vec::with_capacity(256 + lengths.len() + records.len());
    texts.put(&mut out);
    out.extend(lengths);
    out.extend(records);
    out
}

fn record<'a>(out: &mut Vec<u8>, span: &'a Span, texts: &mut Dictionary<'a>) {
    if let SpanStatus::Failed { code, message } = &span.status {
        put(out, *code as u64);
        put(out, texts.place(message));
    }
    let attributes = span.attributes.iter().filter(|attribute| !is_word(attribute));
    let count = attributes.clone().count();
    if count > 0 {
        put(out, count as u64);
        for (key, value) in attributes {
            put(out, texts.place(key));
            match value {
                Value::Text(text) => {
                    out.push(TEXT);
                    put(out, texts.place(text));
                }
                Value::Int(number) => {
                    out.push(INT);
                    put_signed(out, *number);
                }
                Value::Float(number) => {
                    out.push(FLOAT);
                    out.extend_from_slice(&number.to_bits().to_le_bytes());
                }
                Value::Bool(is_so) => out.push(if *is_so { YES } else { NO }),
            }
        }
    }
    if !span.logs.is_empty() {
        put(out, span.logs.len() as u64);
        for log in &span.logs {
            put_signed(out, log.unix_ns.wrapping_sub(span.start_unix_ns).cast_signed());
            put(out, texts.place(&log.level));
            put(out, texts.place(&log.message));
        }
    }
    if let Some(link) = span.link {
        out.extend_from_slice(&link.trace_id.0.to_le_bytes());
        out.extend_from_slice(&link.span_id.0.to_le_bytes());
    }
    let callee = match &span.stages {
        None => return,
        Some(Stages::Callee(callee)) => callee,
        Some(Stages::Caller(caller)) => {
            for stage in [caller.lift, caller.send, caller.travel, caller.lower] {
                put(out, stage);
            }
            &caller.callee
        }
    };
    let CalleeStages {
        total,
        decode,
        wait,
        run,
        outgoing,
        encode,
    } = *callee;
    for stage in [total, decode, wait, run, outgoing, encode] {
        put(out, stage);
    }
}

/// A value as it is held: a text by its place in the block's dictionary.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::traces) enum Held {
    Text(u32),
    Int(i64),
    Float(f64),
    Bool(bool),
}

/// One span's record. Texts are places in [`Rest::texts`], and are there.
#[derive(Debug, Default)]
pub(in crate::traces) struct Record {
    /// A failure's code and message.
    pub(in crate::traces) failure: Option<(u16, u32)>,
    /// Keys and values.
    pub(in crate::traces) attributes: Vec<(u32, Held)>,
    /// Time, level and message.
    pub(in crate::traces) logs: Vec<(u64, u32, u32)>,
    pub(in crate::traces) link: Option<Link>,
    pub(in crate::traces) stages: Option<Stages>,
}

/// The rest of a block, record by record.
#[derive(Debug)]
pub(in crate::traces) struct Rest<'a> {
    pub(in crate::traces) texts: Vec<&'a str>,
    records: Vec<&'a [u8]>,
}

impl<'a> Rest<'a> {
    /// Reads the rest of a block of so many spans.
    pub(in crate::traces) fn read(bytes: &'a [u8], spans: usize) -> Result<Self, Damage> {
        let mut from = Reader::new(bytes, PART);
        let texts = from.texts()?;
        let mut lengths = Vec::new();
        for _ in 0..spans {
            lengths.push(from.small()?);
        }
        let mut records = Vec::with_capacity(lengths.len());
        for length in lengths {
            records.push(from.take(length as usize)?);
        }
        from.end()?;
        Ok(Self { texts, records })
    }

    /// Reads the record of a span.
    pub(in crate::traces) fn record(
        &self,
        head: &Head<'_>,
        at: usize,
        into: &mut Record,
    ) -> Result<(), Damage> {
        let part = Damage {
            part: PART,
            fault: "lacks a span",
        };
        let lacks = || part.clone();
        let mut from = Reader::new(self.records.get(at).ok_or_else(lacks)?, PART);
        let flags = *head.flags.get(at).ok_or_else(lacks)?;
        let has_failed = *head.status.get(at).ok_or_else(lacks)? == 2;
        let start_ns = *head.start_ns.get(at).ok_or_else(lacks)?;
        into.failure = None;
        into.attributes.clear();
        into.logs.clear();
        if has_failed {
            let code = u16::try_from(from.number()?).unwrap_or(u16::MAX);
            into.failure = Some((code, self.text(&mut from)?));
        }
        if flags & flag::ATTRIBUTES != 0 {
            for _ in 0..from.count()? {
                let key = self.text(&mut from)?;
                into.attributes.push((key, self.held(&mut from)?));
            }
        }
        if flags & flag::LOGS != 0 {
            for _ in 0..from.count()? {
                let unix_ns = start_ns.wrapping_add(from.signed()?.cast_unsigned());
                let level = self.text(&mut from)?;
                into.logs.push((unix_ns, level, self.text(&mut from)?));
            }
        }
        into.link = read_link(&mut from, flags)?;
        into.stages = read_stages(&mut from, flags)?;
        from.end()
    }

    /// Reads a whole span.
    pub(in crate::traces) fn span(
        &self,
        head: &Head<'_>,
        at: usize,
        naming: &mut Naming<'_>,
    ) -> Result<Span, Damage> {
        let mut record = Record::default();
        // A record is there only where every column has the span.
        self.record(head, at, &mut record)?;
        let flags = head.flags[at];
        let mut attributes = Vec::with_capacity(record.attributes.len() + 2);
        for (word, key) in [
            (head.edge[at], fields::EDGE),
            (head.placement[at], fields::PLACEMENT),
        ] {
            if word != 0 {
                attributes.push((key.into(), Value::Text(naming.text(word)?)));
            }
        }
        for (key, value) in &record.attributes {
            let value = match value {
                Held::Text(place) => Value::Text(self.texts[*place as usize].into()),
                Held::Int(number) => Value::Int(*number),
                Held::Float(number) => Value::Float(*number),
                Held::Bool(is_so) => Value::Bool(*is_so),
            };
            attributes.push((self.texts[*key as usize].to_owned().into(), value));
        }
        let logs = record.logs.iter().map(|(unix_ns, level, message)| Log {
            unix_ns: *unix_ns,
            level: self.texts[*level as usize].into(),
            message: self.texts[*message as usize].to_owned(),
        });
        let status = match (head.status[at], record.failure) {
            (_, Some((code, message))) => SpanStatus::Failed {
                code: ErrorCode::from_number(code),
                message: self.texts[message as usize].to_owned(),
            },
            (1, None) => SpanStatus::Err,
            (_, None) => SpanStatus::Ok,
        };
        Ok(Span {
            trace_id: naming.trace_id,
            span_id: SpanId(head.id[at]),
            parent_id: (head.parent[at] != 0).then(|| SpanId(head.parent[at])),
            kind: head.kind[at],
            handler: naming.handler(head.handler[at])?,
            node: naming.node(head.node[at])?,
            name: naming.name(head.names[head.name[at] as usize]),
            start_unix_ns: head.start_ns[at],
            duration_ns: head.duration_ns[at],
            status,
            peer: match head.peer[at] {
                0 => None,
                word => Some(naming.handler(word)?),
            },
            transport: head.transport[at],
            cold: (flags & flag::HAS_COLD != 0).then_some(flags & flag::COLD != 0),
            stages: record.stages,
            link: record.link,
            attributes,
            logs: logs.collect(),
        })
    }

    fn text(&self, from: &mut Reader<'_>) -> Result<u32, Damage> {
        let place = from.small()?;
        if (place as usize) < self.texts.len() {
            Ok(place)
        } else {
            Err(from.damage("has a text that it does not have"))
        }
    }

    fn held(&self, from: &mut Reader<'_>) -> Result<Held, Damage> {
        Ok(match from.byte()? {
            TEXT => Held::Text(self.text(from)?),
            INT => Held::Int(from.signed()?),
            FLOAT => {
                let bytes = from.take(8)?.first_chunk::<8>().copied().unwrap_or_default();
                Held::Float(f64::from_bits(u64::from_le_bytes(bytes)))
            }
            NO => Held::Bool(false),
            YES => Held::Bool(true),
            _ => return Err(from.damage("has an unknown kind of value")),
        })
    }
}

fn read_link(from: &mut Reader<'_>, flags: u8) -> Result<Option<Link>, Damage> {
    if flags & flag::LINK == 0 {
        return Ok(None);
    }
    let trace = from.take(16)?.first_chunk::<16>().copied().unwrap_or_default();
    let span = from.take(8)?.first_chunk::<8>().copied().unwrap_or_default();
    Ok(Some(Link {
        trace_id: TraceId(u128::from_le_bytes(trace)),
        span_id: SpanId(u64::from_le_bytes(span)),
    }))
}

fn read_stages(from: &mut Reader<'_>, flags: u8) -> Result<Option<Stages>, Damage> {
    if flags & (flag::CALLER | flag::CALLEE) == 0 {
        return Ok(None);
    }
    let caller = if flags & flag::CALLER != 0 {
        Some((from.number()?, from.number()?, from.number()?, from.number()?))
    } else {
        None
    };
    let callee = CalleeStages {
        total: from.number()?,
        decode: from.number()?,
        wait: from.number()?,
        run: from.number()?,
        outgoing: from.number()?,
        encode: from.number()?,
    };
    Ok(Some(match caller {
        None => Stages::Callee(callee),
        Some((lift, send, travel, lower)) => Stages::Caller(CallerStages {
            lift,
            send,
            travel,
            lower,
            callee,
        }),
    }))
}

/// Gives the spans of one trace their names, each made once.
pub(in crate::traces) struct Naming<'a> {
    trace_id: TraceId,
    words: &'a (dyn Fn(u32) -> Option<Arc<str>> + Sync),
    handlers: FxHashMap<u32, HandlerName>,
    nodes: FxHashMap<u32, NodeName>,
    names: FxHashMap<String, Arc<str>>,
}

impl<'a> Naming<'a> {
    /// Names from `words`, for spans of a trace.
    pub(in crate::traces) fn new(
        trace_id: TraceId,
        words: &'a (dyn Fn(u32) -> Option<Arc<str>> + Sync),
    ) -> Self {
        Self {
            trace_id,
            words,
            handlers: FxHashMap::default(),
            nodes: FxHashMap::default(),
            names: FxHashMap::default(),
        }
    }

    fn text(&self, word: u32) -> Result<Arc<str>, Damage> {
        (self.words)(word).ok_or(Damage {
            part: super::head::PART,
            fault: "has a word that the store does not have",
        })
    }

    fn handler(&mut self, word: u32) -> Result<HandlerName, Damage> {
        if let Some(known) = self.handlers.get(&word) {
            return Ok(known.clone());
        }
        let name = HandlerName::parse(&self.text(word)?).map_err(|_| Damage {
            part: super::head::PART,
            fault: "has a word for a handler that is no handler's name",
        })?;
        self.handlers.insert(word, name.clone());
        Ok(name)
    }

    fn node(&mut self, word: u32) -> Result<NodeName, Damage> {
        if let Some(known) = self.nodes.get(&word) {
            return Ok(known.clone());
        }
        let name = NodeName::parse(&self.text(word)?).map_err(|_| Damage {
            part: super::head::PART,
            fault: "has a word for a node that is no node's name",
        })?;
        self.nodes.insert(word, name.clone());
        Ok(name)
    }

    fn name(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.names.get(text) {
            return Arc::clone(known);
        }
        let name: Arc<str> = text.into();
        // Names of one trace can be as many as its spans: what is kept is only to save memory.
        if self.names.len() < 4_096 {
            self.names.insert(text.to_owned(), Arc::clone(&name));
        }
        name
    }
}
