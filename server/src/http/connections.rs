//! Connections: accepting them up to a limit, serving HTTP/1.1 or HTTP/2 on each, and ending them.
//!
//! A client that sends its headers too slowly is let go. When the tasks are cancelled nothing more is accepted, idle
//! connections close at once, and requests in progress have [`DRAIN_MAX`].

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::shutdown::Tasks;

/// Connections at the same time; more wait to be accepted.
const CONNECTIONS_MAX: u32 = 4_096;
/// The time for a request's headers, and for an idle connection.
const HEADERS_WITHIN: Duration = Duration::from_secs(60);
/// The largest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Requests at the same time on one connection of HTTP/2.
const STREAMS_MAX: u32 = 64;
/// What requests in progress may take once the door closes.
const DRAIN_MAX: Duration = Duration::from_secs(8);
/// The pause after a failed accept, as when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// HTTP/1.1
    One,
    /// HTTP/2 from the first byte, as gRPC without TLS.
    Two,
}

/// Starts what HTTP/2 does beside a connection: each request is a task.
#[derive(Clone)]
struct Spawner(Tasks);

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for Spawner {
    fn execute(&self, task: F) {
        self.0.spawn("request", task);
    }
}

/// Serves every connection of a listener until the tasks are cancelled, and what is in progress then.
pub(super) async fn serve<S, B>(listener: TcpListener, service: S, version: Version, tasks: Tasks)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX as usize));
    loop {
        let permit = tokio::select! {
            biased;
            () = tasks.cancelled() => break,
            permit = Arc::clone(&permits).acquire_owned() => permit.expect("the semaphore is never closed"),
        };
        let stream = tokio::select! {
            biased;
            () = tasks.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let (service, spawner) = (service.clone(), Spawner(tasks.clone()));
        tasks.spawn("connection", async move {
            let _permit = permit;
            converse(stream, service, version, spawner).await;
        });
    }
    drop(listener);
    // Whoever has every permit knows that every connection has ended.
    let _ = tokio::time::timeout(DRAIN_MAX, permits.acquire_many(CONNECTIONS_MAX)).await;
}

async fn converse<S, B>(stream: TcpStream, service: S, version: Version, spawner: Spawner)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + 'static,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    // A page is small; waiting for more of it would cost 40 ms.
    let _ = stream.set_nodelay(true);
    let token = spawner.0.token();
    match version {
        Version::One => {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADERS_WITHIN)
                .max_buf_size(HEAD_BYTES_MAX)
                .serve_connection(TokioIo::new(stream), service);
            finish(connection, token.cancelled(), |connection| {
                connection.graceful_shutdown()
            })
            .await;
        }
        Version::Two => {
            // HTTP/2 has no time for its own beginning: who connects and says nothing is let go here.
            let said = tokio::select! {
                () = token.cancelled() => return,
                said = tokio::time::timeout(HEADERS_WITHIN, stream.readable()) => said,
            };
            if !matches!(said, Ok(Ok(()))) {
                return;
            }
            let connection = http2::Builder::new(spawner)
                .timer(TokioTimer::new())
                .max_concurrent_streams(STREAMS_MAX)
                .max_header_list_size(HEAD_BYTES_MAX as u32)
                .keep_alive_interval(Some(HEADERS_WITHIN))
                .keep_alive_timeout(HEADERS_WITHIN)
                .serve_connection(TokioIo::new(stream), service);
            finish(connection, token.cancelled(), |connection| {
                connection.graceful_shutdown()
            })
            .await;
        }
    }
}

/// Serves a connection to its end; once cancelled, what is in progress on it.
async fn finish<C>(connection: C, cancelled: impl Future<Output = ()>, shut_down: impl FnOnce(Pin<&mut C>))
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = cancelled => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            shut_down(connection.as_mut());
            match tokio::time::timeout(DRAIN_MAX, connection).await {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}
