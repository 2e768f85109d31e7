//! OTLP, in and out: bytes to spans as the store keeps them, and back.
//!
//! Promises: a span of ours that goes out and comes in again is the same span; a foreign one keeps what it said, within
//! limits that are counted; no body makes this panic, nor take more memory than its budget. Nothing here opens a port:
//! `http/otlp` is the door, `export` the way out. Cleave's names in OpenTelemetry's words stand in `conventions`.
//!
//! The codec is our own: `opentelemetry-proto` brings the whole SDK with it, and reads a body of any shape to the end
//! before anybody can count what it made of it.

mod budget;
pub mod conventions;
pub mod export;
mod incoming;
mod json;
pub mod model;
mod outgoing;
mod proto;
#[cfg(test)]
mod tests;
mod wire;

pub use budget::{SPANS_MAX, VALUES_MAX};
pub use incoming::{Intake, Taken, service_name};
pub use model::TracesData;
pub use outgoing::{resource_attributes, traces_data};
use wire::Message;
pub use wire::WireError;

/// The largest body, unpacked. Senders' batches have some hundred spans of a kilobyte.
pub const BODY_BYTES_MAX: usize = 16 << 20;

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`
    Protobuf,
    /// `application/json`
    Json,
}

/// What cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No protobuf of these messages.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// No JSON of these messages.
    #[error("the JSON is not that of an OTLP request: {0}")]
    Json(String),
    /// More spans than one body may have.
    #[error("one body has at most {SPANS_MAX} spans, scopes and resources; send smaller batches")]
    TooMany,
    /// A value within values within values.
    #[error("an attribute's value is nested too deeply")]
    TooDeep,
}

/// A body that was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decoded {
    /// What it said.
    pub data: TracesData,
    /// Attributes, events and links beyond [`VALUES_MAX`], which are left out.
    pub dropped_values: u64,
}

/// Reads a request's body, or a file's: both are `TracesData`.
pub fn decode(body: &[u8], encoding: Encoding) -> Result<Decoded, Error> {
    budget::begin();
    let data = match encoding {
        Encoding::Protobuf => proto::traces(body)?,
        // A message could be read from a list of its fields too, which nobody means.
        Encoding::Json if body.trim_ascii_start().first() != Some(&b'{') => {
            return Err(Error::Json("an object is expected".to_owned()));
        }
        Encoding::Json => match serde_json::from_slice(body) {
            Ok(data) => data,
            Err(_) if budget::is_exceeded() => return Err(Error::TooMany),
            Err(error) => return Err(Error::Json(error.to_string())),
        },
    };
    Ok(Decoded {
        data,
        dropped_values: budget::dropped(),
    })
}

/// Writes a request's body, or a file's.
pub fn encode(data: &TracesData, encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::Json => serde_json::to_vec(data).expect("the messages are text, numbers and lists"),
        Encoding::Protobuf => {
            let mut message = Message::default();
            proto::put_traces(&mut message, data);
            message.into_bytes()
        }
    }
}

/// Tempo's answer of one trace in its second version: the trace within a message.
pub fn encode_wrapped(data: &TracesData) -> Vec<u8> {
    let mut message = Message::default();
    message.message(1, |trace| proto::put_traces(trace, data));
    message.into_bytes()
}

/// An export's answer: how many spans were refused, and why.
pub fn answer(rejected: u64, message: &str, encoding: Encoding) -> Vec<u8> {
    let is_whole = rejected == 0 && message.is_empty();
    match encoding {
        Encoding::Json if is_whole => b"{}".to_vec(),
        Encoding::Json => {
            let partial =
                serde_json::json!({ "rejectedSpans": rejected.to_string(), "errorMessage": message });
            serde_json::json!({ "partialSuccess": partial })
                .to_string()
                .into_bytes()
        }
        Encoding::Protobuf => {
            let mut answer = Message::default();
            if !is_whole {
                answer.message(1, |partial| {
                    partial.varint(1, rejected);
                    partial.text(2, message);
                });
            }
            answer.into_bytes()
        }
    }
}

/// A failure's answer, a `google.rpc.Status`.
pub fn status(code: u64, message: &str, encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::Json => serde_json::json!({ "code": code, "message": message })
            .to_string()
            .into_bytes(),
        Encoding::Protobuf => {
            let mut status = Message::default();
            status.varint(1, code);
            status.text(2, message);
            status.into_bytes()
        }
    }
}
