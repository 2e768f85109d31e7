//! HTTP for handlers that render pages (`wasi:http/incoming-handler`): whole requests in, whole responses out.
//!
//! Bodies are in memory: a request's at most `REQUEST_BYTES_MAX`, beyond which the answer is 413 and the handler is
//! not called. Streaming is deliberately not here; use `sdk::bindings::wasi::http` for that.

#[cfg(target_arch = "wasm32")]
mod exchange;
mod form;

#[cfg(target_arch = "wasm32")]
pub use exchange::serve;
pub use form::{Form, percent_decode, percent_encode};

/// The platform carries no larger requests either.
pub const REQUEST_BYTES_MAX: usize = 1 << 20;

/// Answers requests.
pub trait Handler {
    /// One request, one response.
    fn handle(&self, request: Request) -> Response;
}

/// What a client sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// In capitals, as `GET`.
    pub method: String,
    /// Begins with `/`, still percent-encoded, without the query.
    pub path: String,
    /// What follows the question mark; empty if nothing does.
    pub query: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of this name, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let cookies = self.headers.iter().filter(|(key, _)| key == "cookie");
        let mut pairs = cookies
            .flat_map(|(_, line)| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// The fields of a posted form (`application/x-www-form-urlencoded`).
    pub fn form(&self) -> Form {
        Form::parse(&String::from_utf8_lossy(&self.body))
    }

    /// The fields of the query.
    pub fn query_fields(&self) -> Form {
        Form::parse(&self.query)
    }
}

/// What a client gets.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// A body of the given media type.
    pub fn new(status: u16, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), media_type.to_owned())],
            body: body.into(),
        }
    }

    /// A page.
    pub fn html(status: u16, page: impl Into<Vec<u8>>) -> Self {
        Self::new(status, "text/html; charset=utf-8", page)
    }

    /// A line of text.
    pub fn text(status: u16, text: impl Into<Vec<u8>>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", text)
    }

    /// Sends the client on to another page, to be fetched with GET whatever the method was.
    pub fn see_other(location: &str) -> Self {
        Self {
            status: 303,
            headers: vec![("location".to_owned(), location.to_owned())],
            body: Vec::new(),
        }
    }

    /// Adds a header.
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The first header of this name, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_found_among_others() {
        let headers = vec![
            ("cookie".into(), "a=1; session=xyz".into()),
            ("cookie".into(), "currency=EUR".into()),
        ];
        let request = Request {
            headers,
            ..Request::default()
        };
        assert_eq!(request.cookie("session"), Some("xyz"));
        assert_eq!(request.cookie("currency"), Some("EUR"));
        assert_eq!(request.cookie("ession"), None);
    }
}
