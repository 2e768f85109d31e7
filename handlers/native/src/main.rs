//! `shop-native [ADDRESS]`: the native shop behind an HTTP door like Cleave's: hyper, HTTP/1.1, whole bodies.
//!
//! Says where it listens in one line on standard output, and ends when its standard input does.

#![expect(clippy::print_stdout, reason = "its address is its output")]

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use native::Shop;
use native::world::Plain;
use sdk::http::{REQUEST_BYTES_MAX, Request, Response};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

type Shared = Arc<Mutex<Shop<Plain>>>;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".into());
    let listener = TcpListener::bind(address).await?;
    println!("{}", listener.local_addr()?);
    tokio::select! {
        ended = serve(listener) => ended,
        _ = end_of_input() => Ok(()),
    }
}

async fn end_of_input() {
    let mut input = tokio::io::stdin();
    let mut bytes = [0; 64];
    while matches!(input.read(&mut bytes).await, Ok(1..)) {}
}

async fn serve(listener: TcpListener) -> std::io::Result<()> {
    let shop: Shared = Arc::new(Mutex::new(Shop(Plain::default())));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let shop = Arc::clone(&shop);
        let service = hyper::service::service_fn(move |request| {
            let shop = Arc::clone(&shop);
            async move { Ok::<_, Infallible>(answer(&shop, request).await) }
        });
        connections.spawn(
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
        );
        // Those that have ended make room.
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(shop: &Shared, request: http::Request<Incoming>) -> http::Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, REQUEST_BYTES_MAX).collect().await else {
        return respond(Response::text(413, "the body is too large\n"));
    };
    let headers = parts.headers.iter();
    let request = Request {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: headers
            .map(|(name, value)| {
                (
                    name.as_str().to_owned(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect(),
        body: body.to_bytes().to_vec(),
    };
    let response = shop
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .handle(request);
    respond(response)
}

fn respond(response: Response) -> http::Response<Full<Bytes>> {
    let mut builder = http::Response::builder().status(response.status);
    for (name, value) in &response.headers {
        builder = builder.header(name, value);
    }
    builder
        .body(Full::new(response.body.into()))
        .unwrap_or_else(|_| http::Response::new(Full::new(Bytes::from_static(b"a header is malformed"))))
}
