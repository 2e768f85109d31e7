//! `cleave:state/store`: requests, answers and faults, and their bytes.

use bytes::Bytes;

use super::{decode_call_error, encode_call_error};
use crate::error::CallError;
use crate::value::{Reader, ValueError, put_bytes, put_leb, put_option, put_sleb, put_str};

/// The interface.
pub const INTERFACE: &str = "cleave:state/store@0.1.0";
/// The longest bucket or key, in bytes.
pub const KEY_BYTES_MAX: usize = 512;
/// The largest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 1 << 20;
/// Keys of one page.
pub const KEYS_MAX: usize = 1_000;

/// A function of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Function {
    /// The value under a key.
    Get,
    /// Writes a value.
    Set,
    /// Removes a key.
    Delete,
    /// Whether a key has a value.
    Exists,
    /// A page of a bucket's keys.
    ListKeys,
    /// Adds to a number.
    Increment,
    /// Writes a value if nobody has since.
    Swap,
}

impl Function {
    /// Every function.
    pub const ALL: [Self; 7] = [
        Self::Get,
        Self::Set,
        Self::Delete,
        Self::Exists,
        Self::ListKeys,
        Self::Increment,
        Self::Swap,
    ];

    /// Its name in WIT.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Set => "set",
            Self::Delete => "delete",
            Self::Exists => "exists",
            Self::ListKeys => "list-keys",
            Self::Increment => "increment",
            Self::Swap => "swap",
        }
    }

    /// The function of a name in WIT.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|function| function.as_str() == name)
    }
}

/// One operation on a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The bucket.
    pub bucket: String,
    /// What to do in it.
    pub operation: Operation,
}

/// What to do in a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// See [`Function::Get`].
    Get {
        /// The key.
        key: String,
    },
    /// See [`Function::Set`].
    Set {
        /// The key.
        key: String,
        /// The value.
        value: Bytes,
    },
    /// See [`Function::Delete`].
    Delete {
        /// The key.
        key: String,
    },
    /// See [`Function::Exists`].
    Exists {
        /// The key.
        key: String,
    },
    /// See [`Function::ListKeys`].
    ListKeys {
        /// Where the last page ended.
        cursor: Option<String>,
    },
    /// See [`Function::Increment`].
    Increment {
        /// The key.
        key: String,
        /// What to add.
        delta: i64,
    },
    /// See [`Function::Swap`].
    Swap {
        /// The key.
        key: String,
        /// The version that it must still have; `None` for a key that must still be absent.
        expected: Option<u64>,
        /// The value.
        value: Bytes,
    },
}

/// A value and its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub value: Bytes,
    /// Changes with every write, and is never used again.
    pub version: u64,
}

/// A page of keys, in byte order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyPage {
    /// The keys.
    pub keys: Vec<String>,
    /// Where the next page begins; `None` at the end.
    pub cursor: Option<String>,
}

/// What came of a swap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Swapped {
    /// The value stands, under this version.
    Stored(u64),
    /// Somebody else wrote first.
    Conflict(Option<Entry>),
}

/// A good answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Of `get`.
    Entry(Option<Entry>),
    /// Of `set` and `delete`.
    Nothing,
    /// Of `exists`.
    Exists(bool),
    /// Of `list-keys`.
    Keys(KeyPage),
    /// Of `increment`.
    Sum(i64),
    /// Of `swap`.
    Swapped(Swapped),
}

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A bucket, key or value is not acceptable.
    #[error("{0}")]
    Invalid(String),
    /// Nothing to count on.
    #[error("{0}")]
    NotANumber(String),
    /// The store.
    #[error("{0}")]
    Storage(String),
    /// The call.
    #[error(transparent)]
    CallFailed(CallError),
}

impl Request {
    /// The function that carries it out.
    pub fn function(&self) -> Function {
        match &self.operation {
            Operation::Get { .. } => Function::Get,
            Operation::Set { .. } => Function::Set,
            Operation::Delete { .. } => Function::Delete,
            Operation::Exists { .. } => Function::Exists,
            Operation::ListKeys { .. } => Function::ListKeys,
            Operation::Increment { .. } => Function::Increment,
            Operation::Swap { .. } => Function::Swap,
        }
    }

    /// The arguments of the call.
    pub fn encode(&self) -> Bytes {
        let mut bytes = Vec::new();
        let to = &mut bytes;
        put_str(to, &self.bucket);
        match &self.operation {
            Operation::Get { key } | Operation::Delete { key } | Operation::Exists { key } => {
                put_str(to, key)
            }
            Operation::Set { key, value } => {
                put_str(to, key);
                put_bytes(to, value);
            }
            Operation::ListKeys { cursor } => put_option(to, cursor.as_deref(), put_str),
            Operation::Increment { key, delta } => {
                put_str(to, key);
                put_sleb(to, *delta);
            }
            Operation::Swap { key, expected, value } => {
                put_str(to, key);
                put_option(to, *expected, put_leb);
                put_bytes(to, value);
            }
        }
        bytes.into()
    }

    /// Reads the arguments of a call of this function.
    pub fn decode(function: Function, args: &[u8]) -> Result<Self, ValueError> {
        let mut from = Reader::new(args);
        let bucket = from.string()?;
        let operation = match function {
            Function::Get => Operation::Get { key: from.string()? },
            Function::Delete => Operation::Delete { key: from.string()? },
            Function::Exists => Operation::Exists { key: from.string()? },
            Function::Set => Operation::Set {
                key: from.string()?,
                value: Bytes::copy_from_slice(from.bytes()?),
            },
            Function::ListKeys => Operation::ListKeys {
                cursor: from.option(Reader::string)?,
            },
            Function::Increment => Operation::Increment {
                key: from.string()?,
                delta: from.sleb()?,
            },
            Function::Swap => Operation::Swap {
                key: from.string()?,
                expected: from.option(Reader::leb)?,
                value: Bytes::copy_from_slice(from.bytes()?),
            },
        };
        from.finish()?;
        Ok(Self { bucket, operation })
    }
}

/// The reply's value: `result<…, fault>`.
pub fn encode_reply(reply: &Result<Answer, Fault>) -> Bytes {
    let mut bytes = Vec::new();
    let to = &mut bytes;
    match reply {
        Ok(answer) => {
            to.push(0);
            encode_answer(to, answer);
        }
        Err(fault) => {
            to.push(1);
            encode_fault(to, fault);
        }
    }
    bytes.into()
}

/// Reads the value of a reply to this function.
pub fn decode_reply(function: Function, value: &[u8]) -> Result<Result<Answer, Fault>, ValueError> {
    let mut from = Reader::new(value);
    let reply = match from.discriminant(2)? {
        0 => Ok(decode_answer(&mut from, function)?),
        _ => Err(decode_fault(&mut from)?),
    };
    from.finish()?;
    Ok(reply)
}

fn encode_answer(to: &mut Vec<u8>, answer: &Answer) {
    match answer {
        Answer::Entry(entry) => put_option(to, entry.as_ref(), encode_entry),
        Answer::Nothing => {}
        Answer::Exists(exists) => to.push(u8::from(*exists)),
        Answer::Keys(page) => {
            put_leb(to, page.keys.len() as u64);
            for key in &page.keys {
                put_str(to, key);
            }
            put_option(to, page.cursor.as_deref(), put_str);
        }
        Answer::Sum(sum) => put_sleb(to, *sum),
        Answer::Swapped(Swapped::Stored(version)) => {
            to.push(0);
            put_leb(to, *version);
        }
        Answer::Swapped(Swapped::Conflict(entry)) => {
            to.push(1);
            put_option(to, entry.as_ref(), encode_entry);
        }
    }
}

fn decode_answer(from: &mut Reader<'_>, function: Function) -> Result<Answer, ValueError> {
    Ok(match function {
        Function::Get => Answer::Entry(from.option(decode_entry)?),
        Function::Set | Function::Delete => Answer::Nothing,
        Function::Exists => Answer::Exists(from.bool()?),
        Function::ListKeys => Answer::Keys(KeyPage {
            keys: from.list(Reader::string)?,
            cursor: from.option(Reader::string)?,
        }),
        Function::Increment => Answer::Sum(from.sleb()?),
        Function::Swap => Answer::Swapped(match from.discriminant(2)? {
            0 => Swapped::Stored(from.leb()?),
            _ => Swapped::Conflict(from.option(decode_entry)?),
        }),
    })
}

fn encode_entry(to: &mut Vec<u8>, entry: &Entry) {
    put_bytes(to, &entry.value);
    put_leb(to, entry.version);
}

fn decode_entry(from: &mut Reader<'_>) -> Result<Entry, ValueError> {
    Ok(Entry {
        value: Bytes::copy_from_slice(from.bytes()?),
        version: from.leb()?,
    })
}

fn encode_fault(to: &mut Vec<u8>, fault: &Fault) {
    let (case, text) = match fault {
        Fault::Invalid(text) => (0, text),
        Fault::NotANumber(text) => (1, text),
        Fault::Storage(text) => (2, text),
        Fault::CallFailed(error) => {
            to.push(3);
            return encode_call_error(to, error);
        }
    };
    to.push(case);
    put_str(to, text);
}

fn decode_fault(from: &mut Reader<'_>) -> Result<Fault, ValueError> {
    Ok(match from.discriminant(4)? {
        0 => Fault::Invalid(from.string()?),
        1 => Fault::NotANumber(from.string()?),
        2 => Fault::Storage(from.string()?),
        _ => Fault::CallFailed(decode_call_error(from)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    fn request(operation: Operation) -> Request {
        Request {
            bucket: "carts".into(),
            operation,
        }
    }

    #[test]
    fn requests_round_trip() {
        let key = || "anna".to_owned();
        let operations = [
            Operation::Get { key: key() },
            Operation::Set {
                key: key(),
                value: Bytes::from_static(b"\x00\xff"),
            },
            Operation::Delete { key: key() },
            Operation::Exists { key: key() },
            Operation::ListKeys { cursor: None },
            Operation::ListKeys { cursor: Some(key()) },
            Operation::Increment {
                key: key(),
                delta: -7,
            },
            Operation::Swap {
                key: key(),
                expected: None,
                value: Bytes::new(),
            },
            Operation::Swap {
                key: key(),
                expected: Some(300),
                value: Bytes::from_static(b"2"),
            },
        ];
        for operation in operations {
            let request = request(operation);
            let function = request.function();
            let bytes = request.encode();
            assert_eq!(Request::decode(function, &bytes), Ok(request));
            assert_eq!(Function::parse(function.as_str()), Some(function));
            for cut in 0..bytes.len() {
                assert!(
                    Request::decode(function, &bytes[..cut]).is_err(),
                    "{function:?} cut at {cut}"
                );
            }
        }
    }

    #[test]
    fn a_swap_has_these_bytes() {
        let swap = request(Operation::Swap {
            key: "k".into(),
            expected: Some(300),
            value: Bytes::from_static(b"v"),
        });
        assert_eq!(&swap.encode()[..], b"\x05carts\x01k\x01\xac\x02\x01v");
        let conflict = Ok(Answer::Swapped(Swapped::Conflict(Some(Entry {
            value: Bytes::from_static(b"w"),
            version: 2,
        }))));
        assert_eq!(&encode_reply(&conflict)[..], b"\x00\x01\x01\x01w\x02");
    }

    #[test]
    fn replies_round_trip() {
        let entry = || Entry {
            value: Bytes::from_static(b"two"),
            version: u64::MAX,
        };
        let page = KeyPage {
            keys: vec!["a".into(), String::new()],
            cursor: Some("a".into()),
        };
        let answers = [
            (Function::Get, Ok(Answer::Entry(Some(entry())))),
            (Function::Get, Ok(Answer::Entry(None))),
            (Function::Set, Ok(Answer::Nothing)),
            (Function::Exists, Ok(Answer::Exists(true))),
            (Function::ListKeys, Ok(Answer::Keys(page))),
            (Function::Increment, Ok(Answer::Sum(i64::MIN))),
            (Function::Swap, Ok(Answer::Swapped(Swapped::Stored(9)))),
            (
                Function::Swap,
                Ok(Answer::Swapped(Swapped::Conflict(Some(entry())))),
            ),
            (Function::Set, Err(Fault::Invalid("key".into()))),
            (Function::Increment, Err(Fault::NotANumber("x".into()))),
            (Function::Get, Err(Fault::Storage("disk".into()))),
            (
                Function::Get,
                Err(Fault::CallFailed(CallError::new(ErrorCode::Unreachable, "gone"))),
            ),
        ];
        for (function, reply) in answers {
            let bytes = encode_reply(&reply);
            assert_eq!(decode_reply(function, &bytes), Ok(reply));
            for cut in 0..bytes.len() {
                assert!(
                    decode_reply(function, &bytes[..cut]).is_err(),
                    "{function:?} cut at {cut}"
                );
            }
        }
    }
}
