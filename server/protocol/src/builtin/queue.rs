//! `cleave:queue/queue`: requests, answers and faults, and their bytes.

use bytes::Bytes;

use super::{decode_call_error, encode_call_error};
use crate::error::CallError;
use crate::value::{Reader, ValueError, put_bytes, put_leb, put_option, put_sleb, put_str};

/// The interface.
pub const INTERFACE: &str = "cleave:queue/queue@0.1.0";

/// A function of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Function {
    /// Puts a message into a queue.
    Enqueue,
    /// Puts a message into a topic.
    Publish,
}

impl Function {
    /// Every function.
    pub const ALL: [Self; 2] = [Self::Enqueue, Self::Publish];

    /// Its name in WIT.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enqueue => "enqueue",
            Self::Publish => "publish",
        }
    }

    /// The function of a name in WIT.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|function| function.as_str() == name)
    }
}

/// The arguments, which both functions share.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The queue or topic.
    pub destination: String,
    /// The message.
    pub body: Bytes,
    /// How it is to be delivered.
    pub options: Options,
}

/// How a message is to be delivered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Not before this many ms have passed.
    pub delay_ms: Option<u64>,
    /// Higher is delivered first.
    pub priority: Option<i32>,
    /// A second message with this key is dropped while the first is remembered.
    pub dedupe_key: Option<String>,
    /// Messages with this key are delivered one after the other.
    pub order_key: Option<String>,
}

/// Why a message was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No such queue or topic.
    #[error("there is no queue or topic `{0}`")]
    NoSuchQueue(String),
    /// The body, with the limit in bytes.
    #[error("the body is larger than {0} bytes")]
    TooLarge(u64),
    /// No room.
    #[error("the queue holds as many messages as it may")]
    Full,
    /// The name or an option.
    #[error("{0}")]
    Invalid(String),
    /// The call.
    #[error(transparent)]
    CallFailed(CallError),
}

impl Request {
    /// The arguments of the call.
    pub fn encode(&self) -> Bytes {
        let mut bytes = Vec::new();
        let to = &mut bytes;
        put_str(to, &self.destination);
        put_bytes(to, &self.body);
        put_option(to, self.options.delay_ms, put_leb);
        put_option(to, self.options.priority.map(i64::from), put_sleb);
        put_option(to, self.options.dedupe_key.as_deref(), put_str);
        put_option(to, self.options.order_key.as_deref(), put_str);
        bytes.into()
    }

    /// Reads the arguments of a call.
    pub fn decode(args: &[u8]) -> Result<Self, ValueError> {
        let mut from = Reader::new(args);
        let request = Self {
            destination: from.string()?,
            body: Bytes::copy_from_slice(from.bytes()?),
            options: Options {
                delay_ms: from.option(Reader::leb)?,
                priority: from.option(Reader::signed)?,
                dedupe_key: from.option(Reader::string)?,
                order_key: from.option(Reader::string)?,
            },
        };
        from.finish()?;
        Ok(request)
    }
}

/// The reply's value: `result<message-id, queue-error>`.
pub fn encode_reply(reply: &Result<String, Fault>) -> Bytes {
    let mut bytes = Vec::new();
    let to = &mut bytes;
    match reply {
        Ok(id) => {
            to.push(0);
            put_str(to, id);
        }
        Err(fault) => {
            to.push(1);
            encode_fault(to, fault);
        }
    }
    bytes.into()
}

/// Reads the value of a reply.
pub fn decode_reply(value: &[u8]) -> Result<Result<String, Fault>, ValueError> {
    let mut from = Reader::new(value);
    let reply = match from.discriminant(2)? {
        0 => Ok(from.string()?),
        _ => Err(decode_fault(&mut from)?),
    };
    from.finish()?;
    Ok(reply)
}

fn encode_fault(to: &mut Vec<u8>, fault: &Fault) {
    match fault {
        Fault::NoSuchQueue(name) => {
            to.push(0);
            put_str(to, name);
        }
        Fault::TooLarge(bytes_max) => {
            to.push(1);
            put_leb(to, *bytes_max);
        }
        Fault::Full => to.push(2),
        Fault::Invalid(reason) => {
            to.push(3);
            put_str(to, reason);
        }
        Fault::CallFailed(error) => {
            to.push(4);
            encode_call_error(to, error);
        }
    }
}

fn decode_fault(from: &mut Reader<'_>) -> Result<Fault, ValueError> {
    Ok(match from.discriminant(5)? {
        0 => Fault::NoSuchQueue(from.string()?),
        1 => Fault::TooLarge(from.leb()?),
        2 => Fault::Full,
        3 => Fault::Invalid(from.string()?),
        _ => Fault::CallFailed(decode_call_error(from)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    #[test]
    fn requests_round_trip() {
        let full = Request {
            destination: "mail".into(),
            body: Bytes::from_static(b"dear"),
            options: Options {
                delay_ms: Some(1 << 40),
                priority: Some(i32::MIN),
                dedupe_key: Some("order-7".into()),
                order_key: Some("anna".into()),
            },
        };
        for request in [Request::default(), full] {
            let bytes = request.encode();
            assert_eq!(Request::decode(&bytes), Ok(request));
            for cut in 0..bytes.len() {
                assert!(Request::decode(&bytes[..cut]).is_err(), "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_priority_beyond_32_bits_is_refused() {
        let mut bytes = Vec::new();
        let to = &mut bytes;
        put_str(to, "mail");
        put_bytes(to, b"");
        to.push(0);
        put_option(to, Some(1 << 40), put_sleb);
        to.push(0);
        to.push(0);
        assert_eq!(Request::decode(&bytes), Err(ValueError::Range));
    }

    #[test]
    fn replies_round_trip() {
        let replies = [
            Ok("17".to_owned()),
            Err(Fault::NoSuchQueue("news".into())),
            Err(Fault::TooLarge(1 << 20)),
            Err(Fault::Full),
            Err(Fault::Invalid("name".into())),
            Err(Fault::CallFailed(CallError::new(ErrorCode::Deadline, "late"))),
        ];
        for reply in replies {
            assert_eq!(decode_reply(&encode_reply(&reply)), Ok(reply));
        }
        assert_eq!(decode_reply(&[2]), Err(ValueError::Discriminant));
        assert_eq!(decode_reply(&[1, 2, 0]), Err(ValueError::Long));
    }
}
