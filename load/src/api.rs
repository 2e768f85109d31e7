//! Api: the few calls to Cleave's own API that a comparison makes, over one connection at a time.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{Method, Request};
use http_body_util::Full;
use protocol::api::handlers::Handler;
use protocol::api::nodes::Node;
use protocol::api::placement::{Accepted, Placement, PlacementStatus};
use protocol::api::problem::Problem;
use protocol::api::{Page, Status};
use serde::de::DeserializeOwned;

use crate::client::{Connection, Target};
use crate::stop::Stop;

const TIMEOUT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

/// Cleave, as the generator sees it.
#[derive(Debug)]
pub struct Api {
    target: Target,
    connection: Option<Connection>,
}

impl Api {
    /// An API at a URL; connects with the first call.
    pub async fn resolve(url: &str) -> anyhow::Result<Self> {
        Ok(Self {
            target: Target::resolve(url).await?,
            connection: None,
        })
    }

    /// The node in one look.
    pub async fn status(&mut self) -> anyhow::Result<Status> {
        self.call(Method::GET, "/api/v1/status", None).await
    }

    /// All nodes.
    pub async fn nodes(&mut self) -> anyhow::Result<Vec<Node>> {
        let page: Page<Node> = self.call(Method::GET, "/api/v1/nodes", None).await?;
        Ok(page.items)
    }

    /// All handlers.
    pub async fn handlers(&mut self) -> anyhow::Result<Vec<Handler>> {
        let page: Page<Handler> = self.call(Method::GET, "/api/v1/handlers", None).await?;
        Ok(page.items)
    }

    /// The placement, desired and actual.
    pub async fn placement(&mut self) -> anyhow::Result<PlacementStatus> {
        self.call(Method::GET, "/api/v1/placement", None).await
    }

    /// Asks for exactly this placement and waits until it is in force; false if `stop` came first.
    pub async fn place(
        &mut self,
        placement: &Placement,
        limit: Duration,
        stop: &Stop,
    ) -> anyhow::Result<bool> {
        let deadline = Instant::now() + limit;
        let mut whole = serde_json::to_value(placement).context("write the placement as JSON")?;
        // Said even where there are none: what is left out would stay as it is.
        if let Some(whole) = whole.as_object_mut() {
            for key in ["replicas", "edges"] {
                whole.entry(key).or_insert_with(|| serde_json::json!({}));
            }
        }
        let body = serde_json::to_vec(&whole).context("write the placement as JSON")?;
        let accepted: Accepted = self.call(Method::PUT, "/api/v1/placement", Some(body)).await?;
        loop {
            let now = self.placement().await?;
            if now.generation > accepted.generation {
                bail!(
                    "somebody else changed the placement (generation {}) during the run",
                    now.generation
                );
            }
            if now.settled && now.actual_generation >= accepted.generation {
                return Ok(true);
            }
            if stop.is_stopped() {
                return Ok(false);
            }
            if Instant::now() >= deadline {
                let reason = now.error.unwrap_or_else(|| "see `cleave ls handlers`".to_owned());
                bail!(
                    "the placement is not in force after {}: {reason}",
                    humantime::format_duration(limit)
                );
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn call<T: DeserializeOwned>(
        &mut self,
        method: Method,
        path: &str,
        json: Option<Vec<u8>>,
    ) -> anyhow::Result<T> {
        let url = format!("{}{path}", self.target.url());
        let is_write = json.is_some();
        let mut request = Request::new(Full::new(Bytes::from(json.unwrap_or_default())));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().context("build the request")?;
        request
            .headers_mut()
            .insert(ACCEPT, HeaderValue::from_static("application/json"));
        if is_write {
            request
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let mut body = Vec::new();
        let sending = Connection::send(&mut self.connection, &self.target, request, &mut body);
        let answer = match tokio::time::timeout(TIMEOUT, sending).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(failure)) => bail!("`{url}`: {failure}; is `cleave up` running there?"),
            Err(_) => bail!("`{url}`: no answer in {}", humantime::format_duration(TIMEOUT)),
        };
        if !answer.status.is_success() {
            let detail = serde_json::from_slice::<Problem>(&body).map(|problem| problem.detail);
            bail!(
                "`{url}` answers {}: {}",
                answer.status,
                detail.unwrap_or_else(|_| "no reason given".to_owned())
            );
        }
        serde_json::from_slice(&body).with_context(|| format!("read the answer of `{url}`"))
    }
}
