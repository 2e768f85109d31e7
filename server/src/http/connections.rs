//! Connections: accepting them up to a limit, serving HTTP/1.1 on each, and ending them.
//!
//! A client that sends its headers too slowly is let go. When the tasks are cancelled nothing more is accepted, idle
//! connections close at once, and requests in progress have [`DRAIN_MAX`].

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
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
/// What requests in progress may take once the door closes.
const DRAIN_MAX: Duration = Duration::from_secs(8);
/// The pause after a failed accept, as when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves every connection of a listener until the tasks are cancelled, and what is in progress then.
pub(super) async fn serve<S, B>(listener: TcpListener, service: S, tasks: Tasks)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
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
        let (service, token) = (service.clone(), tasks.token());
        tasks.spawn("connection", async move {
            let _permit = permit;
            converse(stream, service, token.cancelled()).await;
        });
    }
    drop(listener);
    // Whoever has every permit knows that every connection has ended.
    let _ = tokio::time::timeout(DRAIN_MAX, permits.acquire_many(CONNECTIONS_MAX)).await;
}

async fn converse<S, B>(stream: TcpStream, service: S, cancelled: impl Future<Output = ()>)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + 'static,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    // A page is small; waiting for more of it would cost 40 ms.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = cancelled => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
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
