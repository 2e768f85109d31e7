//! `wasi:http/outgoing-handler`: denied. A handler reaches other handlers through their interfaces.

use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

/// Denies every outgoing request.
#[derive(Debug)]
pub(in crate::runtime) struct NoOutgoing;

type Transmission = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Exchange = Box<dyn Future<Output = Result<(http::Response<WasiBody>, Transmission), Error>> + Send>;

impl WasiHttpHooks for NoOutgoing {
    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _sent: Transmission,
    ) -> Exchange {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}
