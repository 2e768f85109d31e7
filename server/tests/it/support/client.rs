//! A client for one door: requests as scripts and browsers send them, answered whole.

use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use protocol::api::Page;
use protocol::api::problem::Problem;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::wait::WATCHDOG;

/// Connections of all clients live here; tests themselves are plain threads.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime starts")
});

/// Waits for a future under the watchdog.
pub(super) fn block_on<F: Future>(future: F) -> Result<F::Output, String> {
    RUNTIME.block_on(async {
        tokio::time::timeout(WATCHDOG, future)
            .await
            .map_err(|_| "no answer".to_owned())
    })
}

/// Speaks to one address.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    address: String,
    pool: Pool<HttpConnector, Full<Bytes>>,
}

/// A request to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Req {
    method: Method,
    path: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Req {
    pub(crate) fn new(method: Method, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("tests send clean headers");
        self.headers.push((HeaderName::from_static(name), value));
        self
    }

    pub(crate) fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    pub(crate) fn json(self, value: &Value) -> Self {
        self.body("application/json", value.to_string())
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The JSON of an answer that must be a success.
    #[track_caller]
    pub(crate) fn expect<T: DeserializeOwned>(&self) -> T {
        assert!(self.status.is_success(), "{}: {}", self.status, self.text());
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    /// The problem of an answer that must be this failure.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> Problem {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem: Problem = serde_json::from_slice(&self.body).expect("a problem is JSON");
        assert_eq!(problem.status, status);
        problem
    }
}

impl Client {
    pub(crate) fn new(address: &str) -> Self {
        let pool = Pool::builder(TokioExecutor::new()).build_http();
        Self {
            address: address.to_owned(),
            pool,
        }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Sends a request; fails only if no whole answer came.
    pub(crate) fn try_send(&self, request: Req) -> Result<Answer, String> {
        block_on(async {
            let answer = self.open(request).await?;
            let (parts, body) = answer.into_parts();
            let body = body
                .collect()
                .await
                .map_err(|error| format!("the answer broke off: {error}"))?;
            Ok(Answer {
                status: parts.status,
                headers: parts.headers,
                body: body.to_bytes(),
            })
        })?
    }

    #[track_caller]
    pub(crate) fn send(&self, request: Req) -> Answer {
        let what = format!("{} {}{}", request.method, self.address, request.path);
        self.try_send(request)
            .unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// Sends a request and hands back the answer with its body to come.
    pub(super) async fn open(&self, request: Req) -> Result<http::Response<Incoming>, String> {
        let mut outgoing = Request::new(Full::new(request.body));
        *outgoing.method_mut() = request.method;
        let uri = format!("http://{}{}", self.address, request.path);
        *outgoing.uri_mut() = uri.parse().map_err(|error| format!("`{uri}`: {error}"))?;
        outgoing.headers_mut().extend(request.headers);
        self.pool
            .request(outgoing)
            .await
            .map_err(|error| match std::error::Error::source(&error) {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            })
    }

    #[track_caller]
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        self.send(Req::get(path)).expect()
    }

    /// The first page of a list.
    #[track_caller]
    pub(crate) fn list<T: DeserializeOwned>(&self, path: &str) -> Vec<T> {
        self.get::<Page<T>>(path).items
    }
}
