//! Bare quinn: one stream a call, the bytes alone, certificates on both sides.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, Endpoint, ServerConfig, TransportConfig};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;

use super::Wire;

/// More than a call is long.
const BODY_BYTES_MAX: usize = 64 << 10;

/// A connection to a server that echoes.
pub struct Bare {
    connection: Connection,
    _endpoints: [Endpoint; 2],
}

impl Bare {
    #[expect(
        clippy::disallowed_methods,
        reason = "quinn alone, without what our tasks cost"
    )]
    pub async fn start() -> Self {
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let certificate = key.cert.der().clone();
        let private = || PrivateKeyDer::try_from(key.signing_key.serialize_der()).expect("its key");
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate.clone()).expect("a root");
        let roots = Arc::new(roots);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
            .build()
            .expect("a verifier");
        let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.clone()], private())
            .expect("a server's settings");
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![certificate], private())
            .expect("a client's settings");
        let server = QuicServerConfig::try_from(server).expect("a cipher for QUIC");
        let client = QuicClientConfig::try_from(client).expect("a cipher for QUIC");
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listening =
            Endpoint::server(ServerConfig::with_crypto(Arc::new(server)), loopback).expect("a port");
        let dialing = Endpoint::client(loopback).expect("a port");
        let address = listening.local_addr().expect("its address");
        tokio::spawn(echo(listening.clone()));
        let mut client = ClientConfig::new(Arc::new(client));
        let mut transport = TransportConfig::default();
        // The others have their turns for longer than quinn bears silence.
        transport.keep_alive_interval(Some(Duration::from_secs(5)));
        client.transport_config(Arc::new(transport));
        let connection = dialing
            .connect_with(client, address, "localhost")
            .expect("a valid name")
            .await
            .expect("a connection");
        Self {
            connection,
            _endpoints: [listening, dialing],
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "quinn alone, without what our tasks cost"
)]
async fn echo(endpoint: Endpoint) {
    while let Some(incoming) = endpoint.accept().await {
        let connection = incoming.await.expect("a handshake");
        while let Ok((mut send, mut recv)) = connection.accept_bi().await {
            tokio::spawn(async move {
                let body = recv.read_to_end(BODY_BYTES_MAX).await.expect("a request");
                send.write_all(&body).await.expect("a reply");
                send.finish().expect("the reply's end");
            });
        }
    }
}

impl Wire for Bare {
    async fn echo(&self, body: Bytes) -> Bytes {
        let (mut send, mut recv) = self.connection.open_bi().await.expect("a stream");
        send.write_chunk(body).await.expect("a request");
        send.finish().expect("the request's end");
        recv.read_to_end(BODY_BYTES_MAX).await.expect("a reply").into()
    }
}
