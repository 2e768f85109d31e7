//! `Client`: a node's API, as any script could use it.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use protocol::api::problem::Problem;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::Error;

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// What a question may take that does no work.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// The largest answer: a trace of 10,000 spans has a tenth of it.
const ANSWER_BYTES_MAX: usize = 256 << 20;
/// The largest event.
const EVENT_BYTES_MAX: usize = 64 << 20;

/// Talks to one node.
pub(super) struct Client {
    server: String,
    http: legacy::Client<HttpConnector, Full<Bytes>>,
}

/// Checks `--server`.
pub(super) fn server(text: &str) -> Result<String, String> {
    let uri: Uri = text
        .parse()
        .map_err(|error| format!("{error}; write http://127.0.0.1:7070"))?;
    if uri.scheme_str() != Some("http") || uri.authority().is_none() {
        return Err("write the scheme and the port, as http://127.0.0.1:7070".to_owned());
    }
    if uri.path_and_query().is_some_and(|path| path.as_str() != "/") {
        return Err("write no path: the API's is added".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

impl Client {
    pub(super) fn new(server: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_WITHIN));
        connector.set_nodelay(true);
        let http = legacy::Client::builder(TokioExecutor::new()).build(connector);
        Self {
            server: server.to_owned(),
            http,
        }
    }

    /// Reads `/api/v1/{path}`.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let request = self.request(Method::GET, path, Bytes::new())?;
        self.answer(request, ANSWER_WITHIN).await
    }

    /// Reads `/api/v1/{path}` as it is.
    pub(super) async fn download(&self, path: &str) -> Result<Bytes, Error> {
        let request = self.request(Method::GET, path, Bytes::new())?;
        let whole = async {
            let response = self.started(request, ANSWER_WITHIN).await?;
            if !response.status().is_success() {
                return self.read(response).await.map(|()| Bytes::new());
            }
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
                .collect()
                .await;
            Ok(body.map_err(|error| self.strange(&error))?.to_bytes())
        };
        let late = tokio::time::timeout(ANSWER_WITHIN, whole).await;
        late.unwrap_or_else(|_| Err(self.late(ANSWER_WITHIN)))
    }

    /// Sends JSON that is written already.
    pub(super) async fn upload<T: DeserializeOwned>(&self, path: &str, json: Bytes) -> Result<T, Error> {
        let request = self.request(Method::POST, path, json)?;
        self.answer(request, ANSWER_WITHIN).await
    }

    /// Sends JSON; the answer may take as long as the work does.
    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
        within: Duration,
    ) -> Result<T, Error> {
        let json = serde_json::to_vec(body).map_err(|error| Error::Failed(error.to_string()))?;
        let request = self.request(method, path, json.into())?;
        self.answer(request, ANSWER_WITHIN + within).await
    }

    /// Follows the event stream until `take` says that it is enough, or the node ends it.
    pub(super) async fn events(
        &self,
        mut take: impl FnMut(&str, &str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let request = self.request(Method::GET, "events", Bytes::new())?;
        let response = self.started(request, ANSWER_WITHIN).await?;
        if !response.status().is_success() {
            return self.read(response).await;
        }
        let mut body = response.into_body();
        let mut text = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| self.strange(&error))?;
            let Ok(data) = frame.into_data() else { continue };
            text.extend_from_slice(&data);
            while let Some(end) = text.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = text.drain(..end + 2).collect();
                if let Some((name, data)) = parse(&String::from_utf8_lossy(&event)) {
                    take(&name, &data)?;
                }
            }
            if text.len() > EVENT_BYTES_MAX {
                return Err(self.strange(&format!("an event of more than {EVENT_BYTES_MAX} bytes")));
            }
        }
        Ok(())
    }

    fn request(&self, method: Method, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}/api/v1/{path}", self.server));
        request = request.header(ACCEPT, "application/json");
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        request
            .body(Full::new(body))
            .map_err(|error| Error::Usage(format!("`{path}` is no path: {error}")))
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        request: Request<Full<Bytes>>,
        within: Duration,
    ) -> Result<T, Error> {
        let answer = async { self.read(self.started(request, within).await?).await };
        tokio::time::timeout(within, answer)
            .await
            .unwrap_or_else(|_| Err(self.late(within)))
    }

    async fn started(
        &self,
        request: Request<Full<Bytes>>,
        within: Duration,
    ) -> Result<Response<Incoming>, Error> {
        match tokio::time::timeout(within, self.http.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) if error.is_connect() => Err(Error::NotRunning {
                server: self.server.clone(),
                reason: innermost(&error),
            }),
            Ok(Err(error)) => Err(self.strange(&innermost(&error))),
            Err(_) => Err(self.late(within)),
        }
    }

    async fn read<T: DeserializeOwned>(&self, response: Response<Incoming>) -> Result<T, Error> {
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await;
        let body = body.map_err(|error| self.strange(&error))?.to_bytes();
        if !status.is_success() {
            return Err(match serde_json::from_slice::<Problem>(&body) {
                Ok(problem) => Error::Refused(Box::new(problem)),
                Err(_) => self.strange(&status),
            });
        }
        let body = if body.is_empty() {
            b"null".as_slice()
        } else {
            &body
        };
        serde_json::from_slice(body).map_err(|error| self.strange(&error))
    }

    fn strange(&self, what: &dyn std::fmt::Display) -> Error {
        Error::Strange {
            server: self.server.clone(),
            what: what.to_string(),
        }
    }

    fn late(&self, within: Duration) -> Error {
        Error::Failed(format!(
            "{} did not answer within {} s",
            self.server,
            within.as_secs()
        ))
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

/// An event's name and data; `None` for a comment.
fn parse(event: &str) -> Option<(String, String)> {
    let mut name = None;
    let mut data: Vec<&str> = Vec::new();
    for line in event.lines() {
        if let Some(value) = line.strip_prefix("event:") {
            name = Some(value.trim().to_owned());
        } else if let Some(value) = line.strip_prefix("data:") {
            data.push(value.strip_prefix(' ').unwrap_or(value));
        }
    }
    Some((name?, data.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_checked_before_they_are_asked() {
        assert_eq!(server("http://127.0.0.1:7070/").unwrap(), "http://127.0.0.1:7070");
        for bad in [
            "127.0.0.1:7070",
            "https://127.0.0.1",
            "http://127.0.0.1:7070/api",
            "",
            "http://",
        ] {
            assert!(server(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn events_are_read_and_comments_are_not() {
        assert_eq!(
            parse("event: traces\ndata: [1,\ndata: 2]\n\n"),
            Some(("traces".into(), "[1,\n2]".into()))
        );
        assert_eq!(
            parse("event:lagged\ndata:null\n\n"),
            Some(("lagged".into(), "null".into()))
        );
        assert_eq!(parse(": keep alive\n\n"), None);
    }
}
