//! gRPC as tonic speaks it: HTTP/2 over TLS on one TCP connection, with a message of bytes that needs no schema, and its
//! own deadline, which the client sends as `grpc-timeout` and both sides keep.

use std::convert::Infallible;
use std::future::Ready;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use server::shutdown::Tasks;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{NamedService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};
use tower::Service;

use super::{TIMEOUT, Wire};

/// A channel to a server that echoes.
pub struct Grpc {
    client: tonic::client::Grpc<Channel>,
}

/// A message that is its bytes.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

#[derive(Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "bench.Echo";
}

impl UnaryService<Bytes> for Echo {
    type Response = Bytes;
    type Future = Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        std::future::ready(Ok(Response::new(request.into_inner())))
    }
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move { Ok(tonic::server::Grpc::new(Raw).unary(Self, request).await) })
    }
}

impl Grpc {
    pub async fn start(tasks: &Tasks) -> Self {
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let (certificate, private) = (key.cert.pem(), key.signing_key.serialize_pem());
        let incoming = TcpIncoming::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .expect("a port")
            .with_nodelay(Some(true));
        let address = incoming.local_addr().expect("its address");
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(&certificate, &private))
            .client_ca_root(Certificate::from_pem(&certificate));
        let server = Server::builder()
            .tls_config(tls)
            .expect("a server's settings")
            .add_service(Echo)
            .serve_with_incoming(incoming);
        tasks.spawn("grpc", server);
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&certificate))
            .identity(Identity::from_pem(&certificate, &private))
            .domain_name("localhost");
        let channel = Channel::from_shared(format!("https://{address}"))
            .expect("a valid address")
            .tls_config(tls)
            .expect("a client's settings")
            .connect()
            .await
            .expect("a connection");
        Self {
            client: tonic::client::Grpc::new(channel),
        }
    }
}

impl Wire for Grpc {
    async fn echo(&self, body: Bytes) -> Bytes {
        let mut client = self.client.clone();
        client.ready().await.expect("a connection");
        let mut request = Request::new(body);
        request.set_timeout(TIMEOUT);
        let path = PathAndQuery::from_static("/bench.Echo/Echo");
        client
            .unary(request, path, Raw)
            .await
            .expect("an echo")
            .into_inner()
    }
}
