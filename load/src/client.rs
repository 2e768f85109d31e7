//! Client: one keep-alive HTTP/1.1 connection to the target, and the failures it can have.
//!
//! A request is never sent twice: a repeat would hide a failure and count a request that nobody scheduled. The one
//! exception is a request that hyper hands back unsent because the server had closed the idle connection.

use std::fmt;
use std::net::SocketAddr;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::header::{HOST, HeaderMap, HeaderValue};
use http::uri::{Authority, Uri};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The largest answer that is read.
const BODY_BYTES_MAX: usize = 16 << 20;

/// Where requests go: `http://host:port`, resolved once.
#[derive(Debug, Clone)]
pub struct Target {
    url: String,
    address: SocketAddr,
    host: HeaderValue,
}

impl Target {
    /// Checks the form of a URL without resolving it.
    pub fn check(url: &str) -> anyhow::Result<()> {
        Self::parse(url).map(|_| ())
    }

    /// Parses and resolves a URL.
    pub async fn resolve(url: &str) -> anyhow::Result<Self> {
        let authority = Self::parse(url)?;
        let port = authority.port_u16().unwrap_or(80);
        let name = authority.host().trim_start_matches('[').trim_end_matches(']');
        let addresses = tokio::net::lookup_host((name, port)).await;
        let mut addresses = addresses.with_context(|| format!("resolve the host of `{url}`"))?;
        let address = addresses
            .next()
            .with_context(|| format!("find an address for `{url}`"))?;
        let host = HeaderValue::from_str(authority.as_str()).context("use the host as a header")?;
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            address,
            host,
        })
    }

    /// A path is refused, since the scenario gives the paths.
    fn parse(url: &str) -> anyhow::Result<Authority> {
        let uri: Uri = url
            .parse()
            .with_context(|| format!("read `{url}` as a URL; write as `http://127.0.0.1:8080`"))?;
        if uri.scheme_str() != Some("http") {
            bail!("`{url}` does not start with `http://`; other schemes are not supported");
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            bail!("`{url}` has a path; give scheme, host and port only");
        }
        uri.into_parts()
            .authority
            .with_context(|| format!("find a host in `{url}`"))
    }

    /// The URL as given.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether the target is this machine.
    pub fn is_loopback(&self) -> bool {
        self.address.ip().is_loopback()
    }
}

/// Why a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// No connection.
    Connect,
    /// The connection broke before the whole answer was there.
    Broken,
    /// No answer in time.
    Timeout,
    /// The answer had another status than expected.
    Status(u16),
    /// The answer's body was not as expected.
    Body,
}

impl Failure {
    /// The kind, as reports name it.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Broken => "broken",
            Self::Timeout => "timeout",
            Self::Status(_) => "status",
            Self::Body => "body",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => out.write_str("no connection"),
            Self::Broken => out.write_str("the connection broke"),
            Self::Timeout => out.write_str("no answer in time"),
            Self::Status(status) => write!(out, "status {status}"),
            Self::Body => out.write_str("another body than expected"),
        }
    }
}

/// An answer whose body lies in the caller's buffer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
}

/// One connection, and the task that drives it; dropping it closes it.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    _driver: JoinSet<()>,
}

impl Connection {
    /// Connects.
    pub async fn open(target: &Target) -> Result<Self, Failure> {
        let stream = TcpStream::connect(target.address)
            .await
            .map_err(|_| Failure::Connect)?;
        stream.set_nodelay(true).map_err(|_| Failure::Connect)?;
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|_| Failure::Connect)?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // A broken connection shows in the request that it breaks.
            let _ = connection.await;
        });
        Ok(Self {
            sender,
            _driver: driver,
        })
    }

    /// Sends one request over the connection in `slot`, opening one where there is none, and reads the whole answer.
    /// A connection that cannot serve another request leaves the slot.
    pub async fn send(
        slot: &mut Option<Self>,
        target: &Target,
        mut request: Request<Full<Bytes>>,
        body: &mut Vec<u8>,
    ) -> Result<Answer, Failure> {
        request.headers_mut().insert(HOST, target.host.clone());
        let mut connection = match slot.take() {
            Some(connection) if !connection.sender.is_closed() => connection,
            _ => Self::open(target).await?,
        };
        let response = match connection.exchange(request).await {
            Ok(response) => response,
            Err(Some(unsent)) => {
                connection = Self::open(target).await?;
                connection.exchange(unsent).await.map_err(|_| Failure::Broken)?
            }
            Err(None) => return Err(Failure::Broken),
        };
        let (head, incoming) = response.into_parts();
        body.clear();
        let mut incoming = Limited::new(incoming, BODY_BYTES_MAX);
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|_| Failure::Broken)?;
            if let Some(bytes) = frame.data_ref() {
                body.extend_from_slice(bytes);
            }
        }
        *slot = Some(connection);
        Ok(Answer {
            status: head.status,
            headers: head.headers,
        })
    }

    /// The error carries the request where none of it was sent.
    async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<http::Response<hyper::body::Incoming>, Option<Request<Full<Bytes>>>> {
        if self.sender.ready().await.is_err() {
            return Err(Some(request));
        }
        self.sender
            .try_send_request(request)
            .await
            .map_err(|mut error| error.take_message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_checked_with_a_reason() {
        assert!(Target::check("http://127.0.0.1:8080").is_ok());
        assert!(Target::check("http://[::1]:8080/").is_ok());
        for (url, reason) in [
            ("https://127.0.0.1", "http://"),
            ("127.0.0.1:8080", "http://"),
            ("http://127.0.0.1:8080/shop", "has a path"),
            ("", "as a URL"),
        ] {
            let error = format!("{:#}", Target::check(url).unwrap_err());
            assert!(error.contains(reason), "{url}: {error}");
        }
    }
}
