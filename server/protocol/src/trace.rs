//! Trace context: W3C ids, the `traceparent` header and its 26-byte form on the wire.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The length of a trace context on the wire: version, trace id, span id, flags.
pub const CONTEXT_BYTES: usize = 26;

/// A W3C trace id: 16 bytes, never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceId(pub u128);

/// A W3C span id: 8 bytes, never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SpanId(pub u64);

/// An id that is not lower-case hexadecimal of its length, or is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a {kind}: {digits} lower-case hexadecimal digits, not all zero")]
pub struct IdError {
    kind: &'static str,
    digits: usize,
}

macro_rules! id {
    ($type:ident, $int:ty, $digits:literal, $kind:literal) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{:0", $digits, "x}"), self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $type {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let error = IdError {
                    kind: $kind,
                    digits: $digits,
                };
                let well_formed = text.len() == $digits
                    && text
                        .bytes()
                        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
                match <$int>::from_str_radix(text, 16) {
                    Ok(value) if well_formed && value != 0 => Ok(Self(value)),
                    _ => Err(error),
                }
            }
        }

        impl TryFrom<String> for $type {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(id: $type) -> Self {
                id.to_string()
            }
        }
    };
}

id!(TraceId, u128, 32, "trace id");
id!(SpanId, u64, 16, "span id");

/// Where a call stands in its trace: `span_id` is the span that the next one is a child of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The current span.
    pub span_id: SpanId,
    /// Whether spans of this trace are recorded; decided once, at the head.
    pub sampled: bool,
}

impl TraceContext {
    /// The form on the wire: version 0, trace id, span id (big-endian, as printed), flags.
    pub fn to_bytes(&self) -> [u8; CONTEXT_BYTES] {
        let mut bytes = [0; CONTEXT_BYTES];
        let (_, rest) = bytes.split_at_mut(1);
        let (trace, rest) = rest.split_at_mut(16);
        let (span, flags) = rest.split_at_mut(8);
        trace.copy_from_slice(&self.trace_id.0.to_be_bytes());
        span.copy_from_slice(&self.span_id.0.to_be_bytes());
        flags.copy_from_slice(&[u8::from(self.sampled)]);
        bytes
    }

    /// Reads the form on the wire; `None` for another version or a zero id.
    pub fn from_bytes(bytes: &[u8; CONTEXT_BYTES]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (trace, rest) = rest.split_first_chunk::<16>()?;
        let (span, flags) = rest.split_first_chunk::<8>()?;
        let trace_id = TraceId(u128::from_be_bytes(*trace));
        let span_id = SpanId(u64::from_be_bytes(*span));
        let valid = *version == 0 && trace_id.0 != 0 && span_id.0 != 0;
        valid.then(|| Self {
            trace_id,
            span_id,
            sampled: flags.first().is_some_and(|f| f & 1 == 1),
        })
    }

    /// The W3C `traceparent` header.
    pub fn to_header(&self) -> String {
        format!(
            "00-{}-{}-{:02x}",
            self.trace_id,
            self.span_id,
            u8::from(self.sampled)
        )
    }

    /// Reads a W3C `traceparent` header; `None` where it is malformed, as the standard asks.
    pub fn from_header(header: &str) -> Option<Self> {
        let mut parts = header.trim().split('-');
        let version = parts.next().filter(|v| v.len() == 2 && *v != "ff")?;
        let trace_id = parts.next()?.parse().ok()?;
        let span_id = parts.next()?.parse().ok()?;
        let flags = parts.next().filter(|f| f.len() == 2)?;
        if version == "00" && parts.next().is_some() {
            return None;
        }
        let flags = u8::from_str_radix(flags, 16).ok()?;
        Some(Self {
            trace_id,
            span_id,
            sampled: flags & 1 == 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: TraceContext = TraceContext {
        trace_id: TraceId(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736),
        span_id: SpanId(0x00f0_67aa_0ba9_02b7),
        sampled: true,
    };

    #[test]
    fn header_and_bytes_round_trip() {
        let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(CONTEXT.to_header(), header);
        assert_eq!(TraceContext::from_header(header), Some(CONTEXT));
        assert_eq!(TraceContext::from_bytes(&CONTEXT.to_bytes()), Some(CONTEXT));
    }

    #[test]
    fn malformed_headers_are_ignored() {
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
        ] {
            assert_eq!(TraceContext::from_header(bad), None, "{bad}");
        }
    }
}
