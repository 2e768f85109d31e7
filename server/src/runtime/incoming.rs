//! `wasi:http/incoming-handler@0.2`: an HTTP exchange inside an instance, with whole bodies.
//!
//! The response's body is drained while the guest runs, because a guest writes it before it returns.

use std::pin::pin;
use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body_util::{BodyExt as _, Full, Limited};
use protocol::exchange::{RESPONSE_BYTES_MAX, Request, Response};
use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime::component::Instance;
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::p2::bindings::ProxyIndices;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::failure;
use super::guest::Guest;

type Answer = Result<http::Response<HyperOutgoingBody>, ErrorCode>;

/// An exchange that ended well.
pub(super) struct Handled {
    pub(super) response: Response,
    /// When the request was in the guest's hands.
    pub(super) lowered: Instant,
}

pub(super) async fn handle(
    store: &mut Store<Guest>,
    instance: &Instance,
    proxy: &ProxyIndices,
    request: Request,
) -> wasmtime::Result<Handled> {
    let scheme = if request.scheme == "https" {
        Scheme::Https
    } else {
        Scheme::Http
    };
    let request = hyper_request(request)?;
    let (sender, receiver) = oneshot::channel();
    let incoming = store.data_mut().http().new_incoming_request(scheme, request)?;
    let outparam = store.data_mut().http().new_response_outparam(sender)?;
    let proxy = proxy.load(&mut *store, instance)?;
    let lowered = Instant::now();
    let guest = proxy
        .wasi_http_incoming_handler()
        .call_handle(&mut *store, incoming, outparam);
    let response = finish(guest, receive(receiver)).await?;
    Ok(Handled { response, lowered })
}

/// Runs the guest and drains its response meanwhile. Ends with the guest: a guest that traps or forgets its response
/// leaves the other end of it in its store, so that nobody may wait for the response any longer.
async fn finish(
    guest: impl Future<Output = wasmtime::Result<()>>,
    response: impl Future<Output = wasmtime::Result<Response>>,
) -> wasmtime::Result<Response> {
    let mut guest = pin!(guest);
    // Unconstrained, so that pending means that there is nothing to read, and not that the task's budget is used up.
    let mut response = pin!(tokio::task::unconstrained(response));
    tokio::select! {
        biased;
        returned = &mut guest => returned?,
        drained = &mut response => {
            let drained = drained?;
            guest.await?;
            return Ok(drained);
        }
    }
    match response.now_or_never() {
        Some(drained) => drained,
        None => wasmtime::bail!("it returned without a response, or before the response's body was finished"),
    }
}

async fn receive(receiver: oneshot::Receiver<Answer>) -> wasmtime::Result<Response> {
    match receiver.await {
        Ok(Ok(response)) => drain(response).await,
        Ok(Err(code)) => wasmtime::bail!("it answered with the error {code:?}"),
        Err(_) => wasmtime::bail!("it returned without a response"),
    }
}

fn hyper_request(request: Request) -> wasmtime::Result<http::Request<Full<Bytes>>> {
    let uri = format!("{}://{}{}", request.scheme, request.authority, request.path);
    let mut builder = http::Request::builder().method(request.method.as_str()).uri(uri);
    for (name, value) in &request.headers {
        builder = builder.header(name.as_str(), value.as_ref());
    }
    Ok(builder.body(Full::new(request.body))?)
}

async fn drain(response: http::Response<HyperOutgoingBody>) -> wasmtime::Result<Response> {
    let (parts, body) = response.into_parts();
    let headers = parts
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), Bytes::copy_from_slice(value.as_bytes())))
        .collect();
    let body = Limited::new(body, RESPONSE_BYTES_MAX)
        .collect()
        .await
        .map_err(|error| wasmtime::format_err!("{}", failure::body(&*error)))?
        .to_bytes();
    Ok(Response {
        status: parts.status.as_u16(),
        headers,
        body,
    })
}
