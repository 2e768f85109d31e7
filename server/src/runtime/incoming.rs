//! `wasi:http/incoming-handler@0.2`: an HTTP exchange inside an instance, with whole bodies.
//!
//! The response's body is drained while the guest runs, because a guest writes it before it returns.

use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use protocol::exchange::{RESPONSE_BYTES_MAX, Request, Response};
use wasmtime::Store;
use wasmtime::component::Instance;
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::p2::bindings::ProxyIndices;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::guest::Guest;

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
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let incoming = store.data_mut().http().new_incoming_request(scheme, request)?;
    let outparam = store.data_mut().http().new_response_outparam(sender)?;
    let proxy = proxy.load(&mut *store, instance)?;
    let lowered = Instant::now();
    let guest = proxy
        .wasi_http_incoming_handler()
        .call_handle(&mut *store, incoming, outparam);
    let answer = async {
        match receiver.await {
            Ok(Ok(response)) => drain(response).await.map(Some),
            Ok(Err(code)) => Err(wasmtime::format_err!(
                "the handler answered with the error {code:?}"
            )),
            Err(_) => Ok(None),
        }
    };
    let (returned, answer) = tokio::join!(guest, answer);
    returned?;
    match answer? {
        Some(response) => Ok(Handled { response, lowered }),
        None => Err(wasmtime::format_err!(
            "the handler returned without setting a response"
        )),
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
    let body = Limited::new(body, RESPONSE_BYTES_MAX + 1)
        .collect()
        .await
        .map_err(|error| wasmtime::format_err!("the response's body broke off: {error}"))?
        .to_bytes();
    Ok(Response {
        status: parts.status.as_u16(),
        headers,
        body,
    })
}
