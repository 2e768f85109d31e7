//! An HTTP exchange as a call: what `cleave:http/exchange.handle` takes and gives, with whole bodies.
//!
//! Ingress makes one, the runtime hands it to the handler's `wasi:http/incoming-handler`. Bodies do not stream.

#![deny(clippy::indexing_slicing)]

use bytes::Bytes;

use crate::name::{FunctionPath, InterfaceName};
use crate::value::{Reader, ValueError, put_bytes, put_leb};

/// The longest request body, in bytes; more is answered 413.
pub const REQUEST_BYTES_MAX: usize = 1 << 20;
/// The longest response body, in bytes; more is answered 502.
pub const RESPONSE_BYTES_MAX: usize = 8 << 20;
/// The most headers of either.
pub const HEADERS_MAX: usize = 128;

/// The built-in interface.
pub const INTERFACE: &str = "cleave:http/exchange@0.1.0";
/// Its function.
pub const FUNCTION: &str = "handle";

/// The built-in function as a path.
pub fn function() -> FunctionPath {
    let interface = InterfaceName::parse(INTERFACE).expect("the constant is an interface name");
    FunctionPath::new(interface, FUNCTION)
}

/// Headers, in order; values need not be text.
pub type Headers = Vec<(String, Bytes)>;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// `http` or `https`.
    pub scheme: String,
    /// The host that was asked for.
    pub authority: String,
    /// Path and query, as the handler shall see them.
    pub path: String,
    /// The headers.
    pub headers: Headers,
    /// The whole body.
    pub body: Bytes,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Headers,
    /// The whole body.
    pub body: Bytes,
}

impl Request {
    /// The path without its query, as spans name it.
    pub fn route(&self) -> &str {
        self.path.split_once('?').map_or(&self.path, |(path, _)| path)
    }

    /// The call's arguments.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(256 + self.body.len());
        for text in [&self.method, &self.scheme, &self.authority, &self.path] {
            put_bytes(&mut out, text.as_bytes());
        }
        put_headers(&mut out, &self.headers);
        put_bytes(&mut out, &self.body);
        out.into()
    }

    /// Reads the call's arguments.
    pub fn decode(bytes: &Bytes) -> Result<Self, ValueError> {
        let mut reader = Reader::new(bytes);
        let request = Self {
            method: reader.str()?.to_owned(),
            scheme: reader.str()?.to_owned(),
            authority: reader.str()?.to_owned(),
            path: reader.str()?.to_owned(),
            headers: headers(&mut reader)?,
            body: bytes.slice_ref(reader.bytes()?),
        };
        reader.finish()?;
        Ok(request)
    }
}

impl Response {
    /// The call's result.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(256 + self.body.len());
        put_leb(&mut out, u64::from(self.status));
        put_headers(&mut out, &self.headers);
        put_bytes(&mut out, &self.body);
        out.into()
    }

    /// Reads the call's result.
    pub fn decode(bytes: &Bytes) -> Result<Self, ValueError> {
        let mut reader = Reader::new(bytes);
        let response = Self {
            status: reader.unsigned()?,
            headers: headers(&mut reader)?,
            body: bytes.slice_ref(reader.bytes()?),
        };
        reader.finish()?;
        Ok(response)
    }
}

fn put_headers(out: &mut Vec<u8>, headers: &Headers) {
    put_leb(out, headers.len() as u64);
    for (name, value) in headers {
        put_bytes(out, name.as_bytes());
        put_bytes(out, value);
    }
}

fn headers(reader: &mut Reader<'_>) -> Result<Headers, ValueError> {
    let count = reader.count(2)?;
    if count > HEADERS_MAX {
        return Err(ValueError::Range);
    }
    (0..count)
        .map(|_| Ok((reader.str()?.to_owned(), Bytes::copy_from_slice(reader.bytes()?))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exchanges_round_trip_and_cut_ones_are_refused() {
        let request = Request {
            method: "POST".into(),
            scheme: "http".into(),
            authority: "127.0.0.1:8080".into(),
            path: "/cart?x=1".into(),
            headers: vec![("cookie".into(), Bytes::from_static(b"session=1"))],
            body: Bytes::from_static(b"product_id=1"),
        };
        let bytes = request.encode();
        assert_eq!(Request::decode(&bytes), Ok(request));
        for end in 0..bytes.len() {
            assert!(Request::decode(&bytes.slice(..end)).is_err());
        }
        let response = Response {
            status: 303,
            headers: vec![],
            body: Bytes::from_static(b"see"),
        };
        assert_eq!(Response::decode(&response.encode()), Ok(response));
    }
}
