//! The head of a block: the columns of a skeleton.
//!
//! `version · spans · names · ids (8 bytes each) · parents · starts · durations · forms · flags · names' places · handlers
//! · nodes · peers · edges · placements`. A parent is 0 for none, 1 for one outside of the block (all of those follow the
//! column, 8 bytes each), else its place in the block and 2. A start is the difference to the one before. A form is kind,
//! transport and status in one byte.

use protocol::span::Stages;
use protocol::{Span, SpanKind, SpanStatus, Transport};
use rustc_hash::FxHashMap;

use super::bytes::{Damage, Dictionary, Reader, put, put_signed};
use super::{BLOCK_SPANS_MAX, Numbers};

const VERSION: u8 = 1;
pub(super) const PART: &str = "its head";

/// What a span has in the rest of its block.
pub(in crate::traces) mod flag {
    /// A link.
    pub(in crate::traces) const LINK: u8 = 1;
    /// Log lines.
    pub(in crate::traces) const LOGS: u8 = 1 << 1;
    /// Attributes that are not words.
    pub(in crate::traces) const ATTRIBUTES: u8 = 1 << 2;
    /// The steps of a callee.
    pub(in crate::traces) const CALLEE: u8 = 1 << 3;
    /// The steps of a caller.
    pub(in crate::traces) const CALLER: u8 = 1 << 4;
    /// It is known whether its instance was made for it.
    pub(in crate::traces) const HAS_COLD: u8 = 1 << 5;
    /// It was.
    pub(in crate::traces) const COLD: u8 = 1 << 6;
}

/// A head's columns; the same index is the same span in each. Words are 0 where a span has none.
#[derive(Debug, Default)]
pub(in crate::traces) struct Head<'a> {
    pub(in crate::traces) names: Vec<&'a str>,
    pub(in crate::traces) id: Vec<u64>,
    /// 0 for none.
    pub(in crate::traces) parent: Vec<u64>,
    pub(in crate::traces) start_ns: Vec<u64>,
    pub(in crate::traces) duration_ns: Vec<u64>,
    pub(in crate::traces) kind: Vec<SpanKind>,
    pub(in crate::traces) transport: Vec<Option<Transport>>,
    /// 0 ok, 1 the callee's own `err`, 2 failed.
    pub(in crate::traces) status: Vec<u8>,
    pub(in crate::traces) flags: Vec<u8>,
    /// Index in `names`.
    pub(in crate::traces) name: Vec<u32>,
    pub(in crate::traces) handler: Vec<u32>,
    pub(in crate::traces) node: Vec<u32>,
    pub(in crate::traces) peer: Vec<u32>,
    pub(in crate::traces) edge: Vec<u32>,
    pub(in crate::traces) placement: Vec<u32>,
}

pub(super) fn pack(spans: &[(&Span, Numbers)]) -> Vec<u8> {
    let mut names = Dictionary::default();
    let name: Vec<u64> = spans.iter().map(|(span, _)| names.place(&span.name)).collect();
    let mut out = Vec::with_capacity(64 + spans.len() * 36);
    out.push(VERSION);
    put(&mut out, spans.len() as u64);
    names.put(&mut out);
    for (span, _) in spans {
        out.extend_from_slice(&span.span_id.0.to_le_bytes());
    }
    parents(&mut out, spans);
    let mut before = 0;
    for (span, _) in spans {
        put_signed(&mut out, span.start_unix_ns.wrapping_sub(before).cast_signed());
        before = span.start_unix_ns;
    }
    for (span, _) in spans {
        put(&mut out, span.duration_ns);
    }
    out.extend(spans.iter().map(|(span, _)| form(span)));
    out.extend(spans.iter().map(|(span, _)| flags(span)));
    for place in name {
        put(&mut out, place);
    }
    let columns: [fn(&Numbers) -> u32; 5] = [
        |numbers| numbers.handler,
        |numbers| numbers.node,
        |numbers| numbers.peer,
        |numbers| numbers.edge,
        |numbers| numbers.placement,
    ];
    for column in columns {
        for (_, numbers) in spans {
            put(&mut out, column(numbers).into());
        }
    }
    out
}

fn parents(out: &mut Vec<u8>, spans: &[(&Span, Numbers)]) {
    let places: FxHashMap<u64, u64> = spans
        .iter()
        .zip(2..)
        .map(|((span, _), place)| (span.span_id.0, place))
        .collect();
    let mut outside = Vec::new();
    for (span, _) in spans {
        let parent = span.parent_id.map_or(0, |id| id.0);
        match (parent, places.get(&parent)) {
            (0, _) => out.push(0),
            (_, Some(place)) => put(out, *place),
            (_, None) => {
                out.push(1);
                outside.extend_from_slice(&parent.to_le_bytes());
            }
        }
    }
    out.extend(outside);
}

fn form(span: &Span) -> u8 {
    let status = match span.status {
        SpanStatus::Ok => 0,
        SpanStatus::Err => 1,
        SpanStatus::Failed { .. } => 2,
    };
    let transport = span.transport.map_or(0, |transport| transport as u8 + 1);
    span.kind as u8 | transport << 3 | status << 6
}

fn flags(span: &Span) -> u8 {
    let mut flags = match &span.stages {
        None => 0,
        Some(Stages::Callee(_)) => flag::CALLEE,
        Some(Stages::Caller(_)) => flag::CALLER,
    };
    flags |= match span.cold {
        None => 0,
        Some(false) => flag::HAS_COLD,
        Some(true) => flag::HAS_COLD | flag::COLD,
    };
    for (is_there, its) in [
        (span.link.is_some(), flag::LINK),
        (!span.logs.is_empty(), flag::LOGS),
        (
            span.attributes
                .iter()
                .any(|attribute| !super::rest::is_word(attribute)),
            flag::ATTRIBUTES,
        ),
    ] {
        if is_there {
            flags |= its;
        }
    }
    flags
}

impl<'a> Head<'a> {
    /// Reads a head.
    pub(in crate::traces) fn read(bytes: &'a [u8]) -> Result<Self, Damage> {
        let mut from = Reader::new(bytes, PART);
        if from.byte()? != VERSION {
            return Err(from.damage("is of another version"));
        }
        let spans = from.count()?;
        if spans > BLOCK_SPANS_MAX {
            return Err(from.damage("counts too many spans"));
        }
        let names = from.texts()?;
        let (id, _) = from.take(8 * spans)?.as_chunks::<8>();
        let id: Vec<u64> = id.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
        let parent = read_parents(&mut from, &id)?;
        let mut before = 0u64;
        let start_ns = column(spans, || {
            before = before.wrapping_add(from.signed()?.cast_unsigned());
            Ok(before)
        })?;
        let duration_ns = column(spans, || from.number())?;
        let forms = from.take(spans)?;
        let flags = from.take(spans)?.to_vec();
        let name = column(spans, || {
            from.small().and_then(|place| match names.get(place as usize) {
                Some(_) => Ok(place),
                None => Err(from.damage("names what it does not have")),
            })
        })?;
        let mut words = || column(spans, || from.small());
        let (handler, node, peer, edge, placement) = (words()?, words()?, words()?, words()?, words()?);
        from.end()?;
        let mut head = Self {
            names,
            id,
            parent,
            start_ns,
            duration_ns,
            flags,
            name,
            handler,
            node,
            peer,
            edge,
            placement,
            ..Self::default()
        };
        head.read_forms(forms)?;
        Ok(head)
    }

    /// How many spans there are.
    pub(in crate::traces) fn len(&self) -> usize {
        self.id.len()
    }

    /// The words of a span that is there.
    pub(in crate::traces) fn numbers(&self, at: usize) -> Numbers {
        Numbers {
            handler: self.handler[at],
            node: self.node[at],
            peer: self.peer[at],
            edge: self.edge[at],
            placement: self.placement[at],
        }
    }

    fn read_forms(&mut self, forms: &[u8]) -> Result<(), Damage> {
        const KINDS: [SpanKind; 5] = [
            SpanKind::Internal,
            SpanKind::Server,
            SpanKind::Client,
            SpanKind::Producer,
            SpanKind::Consumer,
        ];
        let damage = |fault| Damage { part: PART, fault };
        self.kind.reserve(forms.len());
        self.transport.reserve(forms.len());
        self.status.reserve(forms.len());
        for form in forms {
            let kind = KINDS.get(usize::from(form & 7));
            self.kind
                .push(*kind.ok_or(damage("has an unknown kind of span"))?);
            let transport = match form >> 3 & 7 {
                0 => None,
                number => Some(
                    Transport::from_number(i64::from(number) - 1)
                        .ok_or(damage("has an unknown transport"))?,
                ),
            };
            self.transport.push(transport);
            let status = form >> 6;
            if status > 2 {
                return Err(damage("has an unknown status"));
            }
            self.status.push(status);
        }
        Ok(())
    }
}

fn read_parents(from: &mut Reader<'_>, ids: &[u64]) -> Result<Vec<u64>, Damage> {
    let mut parents = vec![0; ids.len()];
    let mut outside = Vec::new();
    for parent in &mut parents {
        match from.number()? {
            0 => {}
            1 => outside.push(parent),
            place => {
                let known = usize::try_from(place - 2).ok().and_then(|place| ids.get(place));
                *parent = *known.ok_or(from.damage("has a parent that it does not have"))?;
            }
        }
    }
    let (bytes, _) = from.take(8 * outside.len())?.as_chunks::<8>();
    for (parent, bytes) in outside.into_iter().zip(bytes) {
        *parent = u64::from_le_bytes(*bytes);
    }
    Ok(parents)
}

fn column<T>(spans: usize, mut next: impl FnMut() -> Result<T, Damage>) -> Result<Vec<T>, Damage> {
    let mut column = Vec::with_capacity(spans);
    for _ in 0..spans {
        column.push(next()?);
    }
    Ok(column)
}
