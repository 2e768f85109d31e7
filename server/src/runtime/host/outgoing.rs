//! `wasi:http/outgoing-handler`: requests to the hosts that the handler was granted, over plain HTTP; all others are denied.
//!
//! A request ends by the deadline of the call that sent it, with its connection; bodies are bounded as those of our own
//! door. An address of this machine or its own network is reached only by a grant that names it: what a foreign name
//! resolves to is looked at before anything is sent, and nothing else is dialed. TLS is not spoken: there is no list of
//! authorities to trust. Handlers reach each other through their interfaces, not here.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::FusedFuture as _;
use http::uri::Scheme;
use http_body_util::{BodyExt as _, Limited};
use hyper_util::rt::TokioIo;
use protocol::exchange::{REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX};
use protocol::{HandlerName, HostGrant};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::runtime::deployed::Deployed;
use crate::runtime::grants::Terms;

/// Requests of one instance that are under way at the same time, each with a connection of its own.
const REQUESTS_MAX: usize = 16;

/// Lines of one call that tell of denied requests; further ones are the same over again.
const LINES_MAX: usize = 16;
/// Hosts of one version that are told of in the node's own log.
const TOLD_MAX: usize = 64;

/// The hosts that a version was denied, each told of once: a guest may ask as often as it likes.
#[derive(Debug, Default)]
pub(in crate::runtime) struct Denials(Mutex<HashSet<String>>);

impl Denials {
    fn is_first(&self, host: &str) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < TOLD_MAX && told.insert(host.to_owned())
    }
}

/// What one instance may send.
#[derive(Debug)]
pub(in crate::runtime) struct Outgoing {
    handler: HandlerName,
    terms: Arc<Terms>,
    denials: Arc<Denials>,
    /// For the span of the call in progress.
    lines: Vec<String>,
    /// Of the call in progress.
    deadline: Instant,
    /// Made with the first request: most instances send none.
    requests: Option<Arc<Semaphore>>,
}

type Transmission = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Answered = (http::Response<WasiBody>, Transmission);
type Exchange = Box<dyn Future<Output = Result<Answered, Error>> + Send>;

impl Outgoing {
    pub(in crate::runtime) fn new(deployed: &Deployed, deadline: Instant) -> Self {
        Self {
            handler: deployed.name.clone(),
            terms: Arc::clone(&deployed.terms),
            denials: Arc::clone(&deployed.denials),
            lines: Vec::new(),
            deadline,
            requests: None,
        }
    }

    /// Requests from now on belong to another call.
    pub(in crate::runtime) fn begin(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// What was denied since the last look.
    pub(in crate::runtime) fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    /// What a request needs to go out, or why it may not.
    fn prepare(
        &mut self,
        request: &http::Request<WasiBody>,
        options: Option<RequestOptions>,
    ) -> Result<Prepared, Error> {
        let authority = request.uri().authority().ok_or(Error::HttpRequestUriInvalid)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if request.uri().scheme() != Some(&Scheme::HTTP) {
            self.deny(
                host,
                format!("`{host}` was asked for by another scheme than `http`, which is all that is spoken"),
            );
            return Err(Error::HttpProtocolError);
        }
        let port = authority.port_u16().unwrap_or(80);
        let Some(grant) = self.terms.grants.of_host(host, port) else {
            let handler = &self.handler;
            let line = format!(
                "a request to `{host}:{port}` is denied: `hosts` under [handler.{handler}] in cleave.toml does not name it"
            );
            self.deny(host, line);
            return Err(Error::HttpRequestDenied);
        };
        let requests = self
            .requests
            .get_or_insert_with(|| Arc::new(Semaphore::new(REQUESTS_MAX)));
        let permit = Arc::clone(requests)
            .try_acquire_owned()
            .map_err(|_| Error::ConnectionLimitReached)?;
        let options = options.unwrap_or_default();
        Ok(Prepared {
            grant: grant.clone(),
            host: host.to_owned(),
            port,
            permit,
            deadline: self.deadline,
            connect: options.connect_timeout.unwrap_or(Duration::MAX),
            first_byte: options.first_byte_timeout.unwrap_or(Duration::MAX),
        })
    }

    /// Tells of a denied request, in the call's span and once in the node's log.
    fn deny(&mut self, host: &str, line: String) {
        if self.denials.is_first(host) {
            tracing::warn!(handler = %self.handler, "`{}`, this time and further ones: {line}", self.handler);
        }
        if self.lines.len() < LINES_MAX {
            self.lines.push(line);
        }
    }
}

impl WasiHttpHooks for Outgoing {
    fn default_scheme(&mut self) -> Option<Scheme> {
        Some(Scheme::HTTP)
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _sent: Transmission,
    ) -> Exchange {
        match self.prepare(&request, options) {
            Ok(prepared) => Box::new(prepared.send(request)),
            Err(error) => Box::new(async { Err(error) }),
        }
    }
}

/// A request that may go out.
struct Prepared {
    grant: HostGrant,
    host: String,
    port: u16,
    permit: OwnedSemaphorePermit,
    deadline: Instant,
    /// What the guest itself allows for.
    connect: Duration,
    first_byte: Duration,
}

impl Prepared {
    /// The earlier of the call's deadline and what the guest allows.
    fn by(&self, guests: Duration) -> tokio::time::Instant {
        let own = Instant::now().checked_add(guests);
        own.map_or(self.deadline, |own| own.min(self.deadline)).into()
    }

    async fn send(self, request: http::Request<WasiBody>) -> Result<Answered, Error> {
        let connected = timeout_at(self.by(self.connect), self.connect());
        let stream = connected.await.map_err(|_| Error::ConnectionTimeout)??;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let (mut parts, body) = request.into_parts();
        // Only a proxy is told scheme and authority; the header has the host already.
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = path.parse().map_err(|_| Error::HttpRequestUriInvalid)?;
        let body = limited(body, REQUEST_BYTES_MAX, Error::HttpRequestBodySize);
        let answer = sender.send_request(http::Request::from_parts(parts, body));
        let mut connection = Box::pin(connection.fuse());
        let answered = async {
            tokio::pin!(answer);
            // The answer comes over the connection: whichever ends first says how it went.
            tokio::select! {
                biased;
                answer = &mut answer => answer,
                ended = &mut connection => match ended {
                    Ok(()) => answer.await,
                    Err(error) => Err(error),
                },
            }
        };
        let answered = timeout_at(self.by(self.first_byte), answered).await;
        let response = answered.map_err(|_| Error::HttpResponseTimeout)??;
        let response = response.map(|body| limited(body, RESPONSE_BYTES_MAX, Error::HttpResponseBodySize));
        let (deadline, permit) = (self.deadline, self.permit);
        let rest = async move {
            let _permit = permit;
            if connection.is_terminated() {
                return Ok(());
            }
            match timeout_at(deadline.into(), connection).await {
                Ok(ended) => ended.map_err(Error::from),
                // Its call is over: nobody reads what would still come.
                Err(_) => Ok(()),
            }
        };
        Ok((response, Box::new(rest)))
    }

    /// Resolves the host, and connects to the first address that it may have and that answers.
    async fn connect(&self) -> Result<TcpStream, Error> {
        let unknown = |_| Error::DnsError {
            rcode: None,
            info_code: None,
        };
        let found = tokio::net::lookup_host((self.host.as_str(), self.port));
        let found: Vec<SocketAddr> = found.await.map_err(unknown)?.collect();
        let may_reach = |address: &&SocketAddr| self.grant.names_addresses() || is_public(address.ip());
        let mut last = Error::DestinationIpProhibited;
        for address in found.iter().filter(may_reach) {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                    last = Error::ConnectionRefused;
                }
                Err(error) => last = Error::Connect(error),
            }
        }
        Err(last)
    }
}

fn limited<B>(body: B, bytes_max: usize, too_long: fn(Option<u64>) -> Error) -> WasiBody
where
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let broken = move |error: Box<dyn std::error::Error + Send + Sync>| match error.downcast::<Error>() {
        Ok(error) => *error,
        Err(error) => match error.downcast::<hyper::Error>() {
            Ok(error) => Error::Hyper(*error),
            Err(_) => too_long(Some(bytes_max as u64)),
        },
    };
    Limited::new(body, bytes_max).map_err(broken).boxed_unsync()
}

/// Whether an address belongs to the network at large, and not to this machine or those around it.
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let is_shared = a == 100 && (64..128).contains(&b);
            let is_own = ip.is_loopback() || ip.is_private() || ip.is_link_local() || a == 0 || is_shared;
            !is_own && !ip.is_multicast() && a < 240
        }
        IpAddr::V6(ip) => {
            let is_own = ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local();
            !is_own && !ip.is_unicast_link_local() && !ip.is_multicast()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_and_its_network_are_not_public() {
        for own in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fd00::1",
            "fe80::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!is_public(own.parse().unwrap()), "{own}");
        }
        for other in ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "100.128.0.1"] {
            assert!(is_public(other.parse().unwrap()), "{other}");
        }
    }
}
